"""One manager's place in a Raft group: the shell that gives the pure core its time, its wires and its disk.

Wires and disk are those of :mod:`labkit.embedded.swarm.raft.group`. Here is what one member does with them: tick, take
messages in, do what the core says, let those who proposed something know how it ended, and tell when it leads.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labkit.embedded.runtime.clock import Timer
from labkit.embedded.swarm.errors import NoLeader, RpcError
from labkit.embedded.swarm.raft.core import Raft
from labkit.embedded.swarm.raft.group import Exchange, Group
from labkit.embedded.swarm.raft.log import Log
from labkit.embedded.swarm.raft.messages import Change, Entry, Kind, Membership, Message, Ready
from labkit.embedded.swarm.raft.roles import NOBODY, ChangeRefused, NotLeader
from labkit.embedded.swarm.store import Store, Write

TICK = 1.0  # seconds
SNAPSHOT_INTERVAL = 10_000  # entries that a log keeps before it is compacted, SwarmKit's default
KEEP = 500  # entries that stay for members that are a little behind
HEAVY = 20_000  # objects in the log after which it is compacted early: entries hold on to outdated objects


class LostLeadership(NoLeader):
    """The leader stopped leading before the write was committed. It may still come to be."""

    def __init__(self) -> None:
        RpcError.__init__(self, "Unknown", "raft: failed to process the request: node lost leader status")


class Stopped(NoLeader):
    """The manager was shut down before the write was committed."""

    def __init__(self) -> None:
        RpcError.__init__(self, "Unknown", "raft: failed to process the request: node is stopped")


class CannotRemoveMember(RpcError):
    """Too few managers would be reachable afterwards."""

    def __init__(self) -> None:
        super().__init__("Unknown", "raft: member cannot be removed, because removing it may result in loss of quorum")


class Member:
    """A manager in its group. ``context`` of a member is ``(node id, address, machine)``.

    ``on_leadership(bool)`` is called when this member begins to lead, its own term's first entry committed, and when
    it ceases to; ``on_removed()`` when it learns that it is no longer a member.
    """

    def __init__(
        self,
        exchange: Exchange,
        group: Group,
        raft: Raft,
        machine: str,
        store: Store,
        rng: random.Random,
        *,
        on_leadership: Callable[[bool], object] = lambda leads: None,
        on_removed: Callable[[], object] = lambda: None,
        on_membership: Callable[[], object] = lambda: None,
    ) -> None:
        self.id = raft.id
        self.group = group
        self.machine = machine
        self.raft = raft
        self.store = store
        self.ticks_without_leader = 0
        self.running = False
        self._exchange = exchange
        self._rng = rng
        self._on_leadership = on_leadership
        self._on_removed = on_removed
        self._on_membership = on_membership
        self._changing = asyncio.Lock()
        self._waits: dict[int, tuple[int, asyncio.Future[None]]] = {}  # index -> term, who waits for it
        self._timer: Timer | None = None
        self._leads = False  # as told to on_leadership
        self._weight = 0
        self._busy = False
        store.proposer = self
        group.members[self.id] = self

    # -- coming to be

    @classmethod
    def found(cls, exchange: Exchange, group: Group, id: int, context: Any, **rest: Any) -> Member:
        """The first member of a new swarm."""
        return cls(exchange, group, Raft.bootstrap(id, rest["rng"], context), **rest)

    @classmethod
    def join(cls, exchange: Exchange, group: Group, id: int, **rest: Any) -> Member:
        """A member that the leader has just added; it knows nothing yet."""
        return cls(exchange, group, Raft(id, rest["rng"]), **rest)

    @classmethod
    def restore(cls, exchange: Exchange, group: Group, id: int, **rest: Any) -> Member:
        """A member as the disk has it, after a restart of the process."""
        raft = Raft(
            id,
            rest["rng"],
            log=Log(group.applied, group.term),
            hard_state=group.vote_of(id),
            membership=group.membership,
        )
        rest["store"].restore(group.state())
        return cls(exchange, group, raft, **rest)

    def start(self) -> None:
        """Begin to take part. A member that is alone leads at once."""
        if self.running:
            return
        self.running = True
        self.ticks_without_leader = 0
        self._tick_later(TICK * self._rng.uniform(0.5, 1.0))
        if set(self.raft.membership.members) == {self.id}:
            self.campaign()
        else:
            self._work()
            asyncio.get_running_loop().call_soon(self._exchange.rally, self.group)

    def stop(self) -> None:
        """The machine loses power, or the process ends: keep log and vote, forget the rest."""
        if not self.running:
            return
        self.running = False
        if self._timer is not None:
            self._timer.cancel()
        old = self.raft
        # Constructed anew, as it would be from its disk: no leader, no votes counted, nothing under way.
        log = Log(old.log.start, old.log.start_term, old.log.slice(old.log.start + 1))
        self.raft = Raft(self.id, self._rng, log=log, hard_state=old.hard_state, membership=old.membership)
        self.raft.ready()  # what it would apply again is in the store already
        self._lose(Stopped)

    def destroy(self) -> None:
        """Leave no trace: the node left the swarm or is no manager any more."""
        self.stop()
        self.group.forget(self.id)

    def campaign(self) -> None:
        """Stand for election now."""
        self.raft.campaign()
        self._work()

    # -- what can be asked

    @property
    def leads(self) -> bool:
        """Whether this member leads and has caught up with its own term."""
        return self._leads

    @property
    def leader(self) -> Member | None:
        """Whom this member takes for the leader."""
        return self.group.members.get(self.raft.leader) if self.running else None

    @property
    def membership(self) -> Membership:
        return self.raft.membership

    def id_of_node(self, node_id: str) -> int | None:
        """The Raft id of a node that is a member, as far as this member knows."""
        return next((id for id, context in self.membership.members.items() if context[0] == node_id), None)

    def active(self, id: int) -> bool:
        """Whether the other one answers this one."""
        other = self.group.members.get(id)
        if other is None or not other.running:
            return False
        return other is self or self._exchange.fleet.reachable(self.machine, other.machine)

    def can_remove(self, id: int) -> bool:
        """Whether enough of the others answer to be a majority of what would be left."""
        rest = [other for other in self.membership.members if other != id]
        return sum(self.active(other) for other in rest) >= len(rest) // 2 + 1

    # -- proposing

    def next_index(self) -> int:
        """The index of the next proposal. Raises ``LostLeadership`` when this member does not lead."""
        if not self._leads:
            raise LostLeadership
        return self.raft.log.last + 1

    async def propose(self, writes: tuple[Write, ...]) -> None:
        """Returns when ``writes`` are committed, applied here and on disk. Raises ``LostLeadership``."""
        await self._wait(lambda: self.raft.propose(writes))

    async def add(self, id: int, context: Any) -> None:
        """Add a member; returns when that is committed."""
        await self._change(Change("add", id, context))

    async def remove(self, id: int) -> None:
        """Remove a member; returns when that is committed. Raises :class:`CannotRemoveMember`."""
        if not self.can_remove(id):
            raise CannotRemoveMember
        await self._change(Change("remove", id))

    async def _change(self, change: Change) -> None:
        async with self._changing:  # one at a time
            while True:
                try:
                    await self._wait(lambda: self.raft.propose_change(change))
                    return
                except ChangeRefused:  # one that a leader before this one began
                    await self._exchange.clock.sleep(TICK / 10)

    async def _wait(self, propose: Callable[[], int]) -> None:
        if not self.running:
            raise Stopped
        try:
            index = propose()
        except NotLeader:
            raise LostLeadership from None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits[index] = (self.raft.term, done)
        self._work()
        await done

    async def transfer(self) -> bool:
        """Hand leadership to a member that answers; False when nobody took over within an election timeout."""
        others = [id for id in self.membership.members if id != self.id and self.active(id)]
        if not others or not self.raft.is_leader:
            return False
        self.raft.transfer(others[0])
        self._work()
        for _ in range(100):
            await self._exchange.clock.sleep(TICK / 10)
            if not self.raft.is_leader and self.raft.leader != NOBODY:
                return True
        return False

    # -- time and messages

    def _tick_later(self, seconds: float) -> None:
        self._timer = self._exchange.clock.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._tick_later(TICK)
        if self._exchange.fleet.machine(self.machine).power != "on":
            return  # frozen
        self.raft.tick()
        self.ticks_without_leader = 0 if self.raft.leader else self.ticks_without_leader + 1
        self._work()

    def receive(self, sender: Member, message: Message) -> None:
        """A message has arrived over the wire."""
        if not self.running:
            return
        if message.src in self.membership.removed:
            sender.told_removed()
            return
        self.raft.step(message)
        self._work()

    def told_removed(self) -> None:
        """Another member refuses to talk to this one: it was removed while it could not hear of it."""
        asyncio.get_running_loop().call_soon(self._on_removed)

    # -- doing what the core says

    def _work(self) -> None:
        """Collect what the core has to say and do it. Not entered twice: applying may call back."""
        if self._busy:
            return
        self._busy = True
        try:
            while self.raft.has_ready:
                self._do(self.raft.ready())
        finally:
            self._busy = False
        self._watch_leadership()

    def _do(self, ready: Ready) -> None:
        if ready.hard_state is not None and ready.hard_state.vote != NOBODY:
            self.group.keep_vote(self.id, ready.hard_state)
        if ready.snapshot is not None:
            self.store.restore(ready.snapshot.data)
        if ready.committed:
            self.group.commit(ready.committed, self.raft.membership)
            for entry in ready.committed:
                self._apply(entry)
            self._compact(ready.committed)
        messages = ready.messages
        if any(message.kind is Kind.SNAPSHOT for message in messages):
            parcel = self.raft.snapshot(self.store.snapshot())
            messages = tuple(replace(m, snapshot=parcel) if m.kind is Kind.SNAPSHOT else m for m in messages)
        self._exchange.send(self, messages)

    def _apply(self, entry: Entry) -> None:
        self.store.apply(entry.index, entry.data or ())
        if entry.change is not None:
            self._on_membership()
            if entry.change.action == "remove" and entry.change.id == self.id:
                self.told_removed()
        term, done = self._waits.pop(entry.index, (0, None))
        if done is not None and not done.done():
            if term == entry.term:
                done.set_result(None)
            else:
                done.set_exception(LostLeadership())

    def _compact(self, committed: tuple[Entry, ...]) -> None:
        self._weight += sum(len(entry.data or ()) for entry in committed)
        if self._weight > HEAVY or self.raft.commit - self.raft.log.start > SNAPSHOT_INTERVAL:
            self.raft.compact(min(KEEP, (self.raft.commit - self.raft.log.start) // 2))
            self._weight = 0

    def _watch_leadership(self) -> None:
        if not self.raft.is_leader:
            self._lose(LostLeadership)
        elif not self._leads and self.raft.log.term(self.raft.commit) == self.raft.term:
            self._leads = True
            self.group.led_by(self.id)
            self._on_leadership(True)

    def _lose(self, reason: type[NoLeader]) -> None:
        waits, self._waits = self._waits, {}
        for _, done in waits.values():
            if not done.done():
                done.set_exception(reason())
        if self._leads:
            self._leads = False
            self._on_leadership(False)

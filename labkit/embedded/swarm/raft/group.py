"""What the members of a group share in one process: the disk and the wires.

*Disk.* The managers' disks are one file, and it holds what is committed once for the whole group, together with each
member's term and vote. The first member to learn that an entry is committed writes it there; nothing is acknowledged
before. What a real manager's disk has beyond that, entries not yet committed, is kept in memory while the process
lives, also for machines that are off. After ``kill -9`` all members therefore start from the same committed state:
nothing acknowledged is lost, nobody is behind any more, and writes that were never acknowledged are gone.

*Wires.* A message goes through the :class:`Exchange`, which asks the fleet whether the two machines reach each other;
with no delay between them it is delivered from one callback of the event loop that also delivers the answers, so that
a healthy commit takes a few dozen microseconds and one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.raft.messages import Entry, HardState, Membership, Message
from labkit.embedded.swarm.raft.roles import NOBODY
from labkit.embedded.swarm.store import StoreSnapshot, Write, erase, load, save

if TYPE_CHECKING:
    from labkit.embedded.swarm.raft.member import Member

RALLY = 5.0  # seconds after a restart of the process in which a majority that is there elects at once


class Group:
    """What the members of one swarm have in common on disk: rows of kind ``swarm/<group id>/…``.

    A swarm that is re-made with ``--force-new-cluster`` is a new group that begins with a copy of the old state; the
    other managers of old, should they come back, are still the old group.
    """

    def __init__(self, id: str, storage: Storage) -> None:
        self.id = id
        self._storage = storage
        self.members: dict[int, Member] = {}
        kept = storage.get(self._kind, "state") or {}
        self.applied: int = kept.get("index", 0)
        self.term: int = kept.get("term", 0)
        self.last_leader: int = kept.get("leader", NOBODY)
        self.membership = Membership(
            {int(id): tuple(context) for id, context in kept.get("members", {}).items()},
            frozenset(kept.get("removed", ())),
        )
        self._loaded: StoreSnapshot | None = None

    @property
    def _kind(self) -> str:
        return f"swarm/{self.id}/group"

    def commit(self, entries: Iterable[Entry], membership: Membership) -> None:
        """Write committed entries that nobody has written yet."""
        fresh = [entry for entry in entries if entry.index > self.applied]
        if not fresh:
            return
        with self._storage.transaction():
            for entry in fresh:
                if entry.data:
                    save(self._storage, self.id, entry.data)
            self.applied, self.term, self.membership = fresh[-1].index, fresh[-1].term, membership
            self._keep()

    def found(self, snapshot: StoreSnapshot, term: int, membership: Membership) -> None:
        """Begin the group with a state that comes from elsewhere."""
        writes = [Write(cls, id, obj) for cls, objects in snapshot.objects.items() for id, obj in objects.items()]
        with self._storage.transaction():
            save(self._storage, self.id, writes)
            self.applied, self.term, self.membership = snapshot.index, term, membership
            self._keep()

    def led_by(self, id: int) -> None:
        """Remember who leads: it is the first to stand for election after a restart."""
        if id != self.last_leader:
            self.last_leader = id
            self._keep()

    def _keep(self) -> None:
        members = {str(id): context for id, context in self.membership.members.items()}
        self._storage.put(
            self._kind,
            "state",
            {
                "index": self.applied,
                "term": self.term,
                "leader": self.last_leader,
                "members": members,
                "removed": sorted(self.membership.removed),
            },
        )

    def vote_of(self, id: int) -> HardState:
        """A member's term and vote, as it left them."""
        kept = self._storage.get(self._kind, f"vote/{id}") or {"term": 0, "vote": NOBODY}
        if kept["term"] < self.term:  # it had not voted since
            return HardState(self.term, NOBODY, self.applied)
        return HardState(kept["term"], kept["vote"], self.applied)

    def keep_vote(self, id: int, state: HardState) -> None:
        """Must be on disk before anybody hears of the vote."""
        self._storage.put(self._kind, f"vote/{id}", {"term": state.term, "vote": state.vote})

    def state(self) -> StoreSnapshot:
        """The committed state on disk; read once, shared by the members that start from it."""
        if self._loaded is None or self._loaded.index != self.applied:
            self._loaded = StoreSnapshot(self.applied, load(self._storage, self.id))
        return self._loaded

    def forget(self, id: int) -> None:
        """A member has left for good."""
        self.members.pop(id, None)
        self._storage.delete(self._kind, f"vote/{id}")

    def erase(self) -> None:
        """The last member is gone, and the state with it."""
        with self._storage.transaction():
            erase(self._storage, self.id)
            self._storage.delete_all(self._kind)


class Exchange:
    """Carries messages between the members of all groups in this process."""

    def __init__(self, clock: Clock, fleet: Fleet, storage: Storage) -> None:
        self.clock = clock
        self.fleet = fleet
        self._storage = storage
        self._since = clock.time()
        self._groups: dict[str, Group] = {}
        self._queue: list[tuple[Member, Message]] = []
        self._scheduled = False

    def group(self, id: str) -> Group:
        """The group of that id, read from the storage at first."""
        if id not in self._groups:
            self._groups[id] = Group(id, self._storage)
        return self._groups[id]

    def erase(self, id: str) -> None:
        """Nobody is in this group any more."""
        self.group(id).erase()
        del self._groups[id]

    def rally(self, group: Group) -> None:
        """After a restart of the process: as soon as a majority is there, whoever led stands for election.

        A real swarm whose managers all restart waits 10 to 20 s for an election timeout. A sandbox promises to be back
        within a second; this is the one place where it is quicker than the real thing.
        """
        members = {id: member for id, member in group.members.items() if member.running}
        if self.clock.time() - self._since > RALLY or any(member.raft.leader for member in members.values()):
            return
        for id in sorted(members, key=lambda id: id != group.last_leader):
            if sum(members[id].active(other) for other in group.membership.members) >= group.membership.quorum:
                members[id].campaign()
                return

    def send(self, sender: Member, messages: Iterable[Message]) -> None:
        """Put messages on the wire; they arrive from the event loop, in order, if they arrive."""
        self._queue += [(sender, message) for message in messages]
        if self._queue and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                for sender, message in batch:
                    self._carry(sender, message)
        finally:
            self._scheduled = False

    def _carry(self, sender: Member, message: Message) -> None:
        target = sender.group.members.get(message.dst) or self._elsewhere(message.dst)
        if target is None or not self.fleet.reachable(sender.machine, target.machine):
            return
        delay = self.fleet.delay(sender.machine, target.machine)
        if delay:
            self.clock.call_later(delay, self._arrive, sender, target, message)
        else:
            target.receive(sender, message)

    def _elsewhere(self, id: int) -> Member | None:
        """A member that went on in a new group (``--force-new-cluster``): it tells those of old that they are out."""
        return next((group.members[id] for group in self._groups.values() if id in group.members), None)

    def _arrive(self, sender: Member, target: Member, message: Message) -> None:
        if self.fleet.reachable(sender.machine, target.machine):
            target.receive(sender, message)

"""A simulated network of Raft members whose history is drawn at random, and the promises checked as it goes.

Time is a list of events; a seed is a history. Messages are lost, doubled, delayed and reordered; members crash (they
keep log, term, vote and commit index, and lose the rest), are cut off, come and go.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from labkit.embedded.swarm.raft.core import Raft
from labkit.embedded.swarm.raft.log import Log
from labkit.embedded.swarm.raft.messages import Change, Entry, Kind, Membership, Message
from labkit.embedded.swarm.raft.roles import ChangeRefused, NotLeader, Role, Settings


class Broken(AssertionError):
    """A promise of Raft was broken."""


class Simulation:
    """``members`` to begin with; ``loss`` is the chance that a message never arrives."""

    def __init__(self, seed: int, members: int = 3, settings: Settings | None = None, loss: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.settings = settings or Settings()
        self.loss = loss
        self.rafts: dict[int, Raft] = {}
        self.down: dict[int, Raft] = {}
        self.groups: list[set[int]] | None = None  # None: everybody hears everybody
        self.wire: list[Message] = []
        self.applied: dict[int, list[Entry]] = {}  # what each member's shell has applied, from index 1
        self.leaders: dict[int, int] = {}  # term -> who led it
        self.committed: dict[int, Entry] = {}  # index -> the entry that somebody took for committed
        self.acknowledged: list[tuple[int, Any]] = []
        self.proposals = 0
        self.next_id = 1
        first = self.next_id
        self.next_id += 1
        self.rafts[first] = Raft.bootstrap(first, self._rng(), settings=self.settings)
        self.applied[first] = []
        self.rafts[first].campaign()
        self.collect(first)
        self.settle()
        for _ in range(members - 1):
            self.add()
            self.settle()

    def _rng(self) -> random.Random:
        return random.Random(self.rng.random())

    # -- what may happen

    def tick(self, id: int | None = None) -> None:
        for member in [id] if id is not None else list(self.rafts):
            self.rafts[member].tick()
            self.collect(member)

    def crash(self, id: int) -> None:
        self.down[id] = self.rafts.pop(id)

    def restart(self, id: int) -> None:
        old = self.down.pop(id)
        self.applied[id] = self.applied[id][: old.log.start]
        self.rafts[id] = Raft(
            id,
            self._rng(),
            log=Log(old.log.start, old.log.start_term, old.log.slice(old.log.start + 1)),
            hard_state=old.hard_state,
            membership=self.membership_at(old.log.start),
            settings=self.settings,
        )
        self.collect(id)

    def membership_at(self, index: int) -> Membership:
        membership = Membership()
        for at in range(1, index + 1):
            change = self.committed[at].change
            if change is not None:
                membership = membership.after(change)
        return membership

    def partition(self, group: set[int]) -> None:
        everyone = set(self.rafts) | set(self.down)
        self.groups = [group, everyone - group]

    def heal(self) -> None:
        self.groups = None

    def reachable(self, a: int, b: int) -> bool:
        return self.groups is None or any(a in group and b in group for group in self.groups)

    def leader(self) -> Raft | None:
        leading = [raft for raft in self.rafts.values() if raft.is_leader]
        return max(leading, key=lambda raft: raft.term, default=None)

    def propose(self, id: int | None = None) -> int | None:
        raft = self.leader() if id is None else self.rafts.get(id)
        if raft is None:
            return None
        self.proposals += 1
        try:
            index = raft.propose(f"value {self.proposals}")
        except NotLeader:
            return None
        self.collect(raft.id)
        return index

    def add(self) -> int | None:
        leader = self.leader()
        if leader is None:
            return None
        id = self.next_id
        try:
            leader.propose_change(Change("add", id))
        except (NotLeader, ChangeRefused):
            return None
        self.next_id += 1
        self.rafts[id] = Raft(id, self._rng(), settings=self.settings)
        self.applied[id] = []
        self.collect(leader.id)
        return id

    def remove(self, id: int) -> None:
        leader = self.leader()
        if leader is not None and len(leader.membership.members) > 1:
            try:
                leader.propose_change(Change("remove", id))
            except (NotLeader, ChangeRefused):
                return
            self.collect(leader.id)

    def transfer(self, to: int) -> None:
        leader = self.leader()
        if leader is not None:
            try:
                leader.transfer(to)
            except NotLeader:
                return
            self.collect(leader.id)

    def compact(self, id: int) -> None:
        self.rafts[id].compact(self.rng.choice([0, 2]))

    # -- the network

    def collect(self, id: int) -> None:
        raft = self.rafts[id]
        ready = raft.ready()
        if ready.snapshot is not None:
            self.applied[id] = list(ready.snapshot.data)
        for entry in ready.committed:
            self.apply(id, entry)
        for message in ready.messages:
            if message.kind is Kind.SNAPSHOT:
                message = replace(message, snapshot=raft.snapshot(tuple(self.applied[id])))
            self.wire.append(message)
        self.check(raft)

    def deliver(self, position: int | None = None) -> None:
        """One message arrives: any of those under way, or the one at ``position``."""
        if not self.wire:
            return
        message = self.wire.pop(self.rng.randrange(len(self.wire)) if position is None else position)
        if self.rng.random() < self.loss or not self.reachable(message.src, message.dst):
            return
        if self.loss and self.rng.random() < 0.05:
            self.wire.append(message)  # and once again later
        if message.dst in self.rafts:
            self.rafts[message.dst].step(message)
            self.collect(message.dst)

    def settle(self) -> None:
        """Deliver all that is under way, in order."""
        for _ in range(100_000):
            if not self.wire:
                return
            self.deliver(0)
        raise Broken("the members never stop talking")

    def calm(self, ticks: int = 60) -> None:
        """Everybody up, connected, and given time."""
        self.heal()
        self.loss = 0.0
        for id in list(self.down):
            self.restart(id)
        for _ in range(ticks):
            self.tick()
            self.settle()

    # -- the promises

    def apply(self, id: int, entry: Entry) -> None:
        """State machine safety: at an index, nobody ever applies anything else; and nothing without a majority."""
        if entry.index != len(self.applied[id]) + 1:
            raise Broken(f"{id} applies {entry.index} after {len(self.applied[id])}")
        self.applied[id].append(entry)
        known = self.committed.get(entry.index)
        if known is not None and known != entry:
            raise Broken(f"{id} applies {entry}, but {known} was committed")
        if known is None:
            self.check_majority(entry)
            self.committed[entry.index] = entry

    def check_majority(self, entry: Entry) -> None:
        """Who first takes an entry for committed must be right: a majority of the members has it in its log.

        The members are those whom the entries before this one make: a change is committed by those before it.
        """
        membership = self.membership_at(entry.index - 1)
        if not membership.members:
            return  # the group's first entry founds it
        holders = 0
        for id in membership.members:
            raft = self.rafts.get(id) or self.down.get(id)
            if raft is not None and (raft.log.start >= entry.index or raft.log.term(entry.index) == entry.term):
                holders += 1
        if holders < membership.quorum:
            raise Broken(f"{entry} is taken for committed with {holders} of {len(membership.members)}")

    def check(self, raft: Raft) -> None:
        if raft.role is not Role.LEADER:
            return
        # Election safety: one leader a term.
        holder = self.leaders.setdefault(raft.term, raft.id)
        if holder != raft.id:
            raise Broken(f"{holder} and {raft.id} both lead term {raft.term}")

    def check_new_leader(self) -> None:
        """Leader completeness: the leader of the newest term has all that was ever committed."""
        newest = self.leader()
        if newest is None or newest.term != max(self.leaders):
            return
        for index, entry in self.committed.items():
            if index > newest.log.start and newest.log.term(index) != entry.term:
                raise Broken(f"leader {newest.id} lacks {entry}")

    def check_logs(self) -> None:
        """Log matching: where two logs agree on a term, they are the same up to there."""
        rafts = [*self.rafts.values(), *self.down.values()]
        for number, one in enumerate(rafts):
            for other in rafts[number + 1 :]:
                low = max(one.log.start, other.log.start) + 1
                high = min(one.log.last, other.log.last)
                matched = False
                for index in range(high, low - 1, -1):
                    same = one.log.term(index) == other.log.term(index)
                    if matched and not same:
                        raise Broken(f"logs of {one.id} and {other.id} part at {index} and meet again")
                    if same:
                        matched = True
                        if one.log.slice(index, index) != other.log.slice(index, index):
                            raise Broken(f"{one.id} and {other.id} differ at {index} in the same term")

    def check_all(self) -> None:
        self.check_new_leader()
        self.check_logs()

    # -- a random history

    def live(self, steps: int) -> None:
        """Let ``steps`` things happen."""
        for _ in range(steps):
            self.happen()
            self.check_new_leader()
        self.check_logs()

    def happen(self) -> None:
        rng = self.rng
        roll = rng.random()
        up = list(self.rafts)
        if roll < 0.55:
            for _ in range(rng.randrange(1, 8)):
                self.deliver()
        elif roll < 0.78:
            for _ in range(rng.randrange(1, 6)):
                for id in up:
                    if rng.random() < 0.9:  # clocks do not run alike
                        self.tick(id)
        elif roll < 0.88:
            self.propose(rng.choice(up) if up and rng.random() < 0.3 else None)
        elif roll < 0.905 and len(up) > 1:
            self.crash(rng.choice(up))
        elif roll < 0.935 and self.down:
            self.restart(rng.choice(list(self.down)))
        elif roll < 0.95:
            everyone = [*up, *self.down]
            self.partition(set(rng.sample(everyone, rng.randrange(1, len(everyone) + 1))))
        elif roll < 0.965:
            self.heal()
        elif roll < 0.975 and len(self.rafts) + len(self.down) < 8:
            self.add()
        elif roll < 0.985:
            leader = self.leader()
            if leader is not None:
                self.remove(rng.choice(list(leader.membership.members)))
        elif roll < 0.992 and up:
            self.transfer(rng.choice(up))
        elif up:
            self.compact(rng.choice(up))

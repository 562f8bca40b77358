"""One member of the ensemble: the shell that gives the Raft core its time, wires and disk, and serves clients.

A member serves while it leads or follows a leader whose epoch it has caught up with. When it loses its quorum it hangs
up on all of its clients and answers nobody, as the real one, which ends its request processors and looks for a leader.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.zookeeper.clients import Clients
from labkit.embedded.zookeeper.errors import SessionMoved
from labkit.embedded.zookeeper.leading import Sessions
from labkit.embedded.zookeeper.ops import CloseSession, Multi, Sync
from labkit.embedded.zookeeper.raft import (
    NOBODY,
    SETTINGS,
    Core,
    Entry,
    Kind,
    Log,
    Membership,
    Message,
    NotLeader,
    Ready,
    Role,
)
from labkit.embedded.zookeeper.serving import Client, Connection, Counts, Hello
from labkit.embedded.zookeeper.tree import Outcome, Request

if TYPE_CHECKING:
    from labkit.embedded.zookeeper.ensemble import Ensemble
    from labkit.embedded.zookeeper.wire.server import Wire

ELECTION = 0.2  # seconds that an election takes at least (FastLeaderElection.finalizeWait)
KEEP = 200  # entries of the log that stay for members that are a little behind
COMPACT = 2000  # entries, or
OP_COST = 200  # bytes of a request beyond its data and path
HEAVY = 4 * 1024 * 1024  # bytes, after which the log is compacted

Mode = Literal["leading", "following", "looking", "stopped"]


class Member:
    """A ZooKeeper server. ``id`` is its ``myid``, from 1."""

    def __init__(self, ensemble: Ensemble, id: int, machine: str, rng: random.Random) -> None:
        self.ensemble = ensemble
        self.id = id
        self.machine = machine
        self.clock: Clock = ensemble.clock
        self.running = False
        self.serving: bool = False
        self.started = 0.0
        self.tree = ensemble.disk.load()
        self.clients = Clients(self)
        self.wires: set[Wire] = set()
        self.port = 2181
        self.totals = Counts()
        self.sessions: Sessions | None = None  # while it leads
        self.rng = rng
        self._timer: Timer | None = None
        self._hurry: Timer | None = None
        self._busy = False
        self._weight = 0
        if len(ensemble.machines) > 1:
            config = self.tree.nodes["/zookeeper/config"]
            config.data, config.version, config.aversion = ensemble.config().encode(), -1, -1
        disk = ensemble.disk
        self.raft = Core(
            id,
            rng,
            log=Log(disk.index, disk.term),
            hard_state=disk.vote_of(id),
            membership=Membership(dict.fromkeys(range(1, len(ensemble.machines) + 1))),
            settings=SETTINGS,
        )
        self.raft.ready()

    # -- coming and going

    def start(self) -> None:
        """The process starts: it looks for a leader."""
        if self.running:
            return
        self.running = True
        self.started = self.clock.time()
        self.totals = Counts()
        self._tick_later(self.ensemble.tick * self.rng.uniform(0.25, 0.5))

    def stop(self) -> None:
        """The process ends, or the machine loses power: keep log and vote, forget the rest."""
        if not self.running:
            return
        for timer in (self._timer, self._hurry):
            if timer is not None:
                timer.cancel()
        self._hurry = None
        self._hang_up()
        self.running = False
        old = self.raft
        # As it would be from its disk: no leader, no votes counted, nothing under way.
        log = Log(old.log.start, old.log.start_term, old.log.slice(old.log.start + 1))
        self.raft = Core(
            self.id, self.rng, log=log, hard_state=old.hard_state, membership=old.membership, settings=SETTINGS
        )
        self.raft.ready()  # what it would apply again is in the tree already

    @property
    def mode(self) -> Mode:
        """What it does; ``looking`` while it serves nobody for want of a leader with a quorum."""
        if not self.running:
            return "stopped"
        if not self.serving:
            return "looking"
        return "leading" if self.raft.is_leader else "following"

    @property
    def frozen(self) -> bool:
        """Is its machine paused? Then it says nothing, and hears nothing until it goes on."""
        return self.ensemble.fleet.machine(self.machine).power == "paused"

    # -- time and messages

    def _tick_later(self, seconds: float) -> None:
        self._timer = self.clock.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._tick_later(self.ensemble.tick / 2)
        if self.frozen:
            return
        self.raft.tick()
        self._work()
        self._tell_touched()
        if self.sessions is not None and self.serving:
            for id in self.sessions.due(self.clock.time()):
                self._propose(Request(id, self.millis(), CloseSession()))

    def expire(self, ids: Iterable[int]) -> None:
        """As the leader: end these sessions, whatever their deadlines."""
        if self.sessions is not None:
            for id in ids:
                if self.sessions.alive(id):
                    self.sessions.closing.add(id)
                    self._propose(Request(id, self.millis(), CloseSession()))

    def _tell_touched(self) -> None:
        """Let the leader know whose clients have been heard of, as followers do with each ping of the leader's."""
        leader = self.leader
        touched, self.clients.touched = self.clients.touched, set()
        if leader is self:
            self._touch(touched)
        elif leader is not None and touched:
            self.send(leader, leader._touch, touched)

    def _touch(self, ids: Iterable[int]) -> None:
        if self.sessions is not None:
            now = self.clock.time()
            for id in ids:
                self.sessions.touch(id, now)

    def send(self, to: Member, fn: Any, *args: Any) -> None:
        """Call ``fn`` at another member, over the wire between the two."""
        self.ensemble.exchange.carry(self.machine, to.machine, fn, *args)

    def receive(self, message: Message) -> None:
        """A message of Raft's has arrived."""
        if self.running:
            self.raft.step(message)
            self._work()

    def campaign(self) -> None:
        """Stand for election now."""
        if self.running and not self.frozen:
            self.raft.campaign()
            self._work()

    # -- connections between members

    def _left_by(self, leader: int) -> None:
        """That leader leads no more."""
        if self.running and self.raft.leader == leader:
            self.raft.forget_leader()
            self._work()

    def check_wires(self) -> None:
        """A connection to another member may have broken."""
        if not self.running:
            return
        linked = self.ensemble.linked
        if self.raft.is_leader:
            up = sum(linked(self, other) for other in self.ensemble.members.values())
            if up < self.raft.membership.quorum:
                self.raft.step_down()
                self._work()
        elif self.raft.leader != NOBODY:
            leader = self.ensemble.by_id[self.raft.leader]
            if not linked(self, leader):
                self.raft.forget_leader()
                self._work()
        if self.raft.leader == NOBODY and self._hurry is None:
            # Whoever loses the leader votes at once; it takes the real ones some 200 ms to be sure of the outcome.
            self._hurry = self.clock.call_later(ELECTION * self.rng.uniform(1.0, 2.0), self._rush)

    def _rush(self) -> None:
        self._hurry = None
        if not self.running or self.frozen or self.raft.leader != NOBODY:
            return
        up = sum(self.ensemble.linked(self, other) for other in self.ensemble.members.values())
        if up >= self.raft.membership.quorum:
            self.campaign()
            if self.raft.leader == NOBODY:
                self._hurry = self.clock.call_later(ELECTION * self.rng.uniform(1.0, 3.0), self._rush)

    @property
    def leader(self) -> Member | None:
        """Whom this member takes for the leader."""
        return self.ensemble.by_id.get(self.raft.leader) if self.running else None

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
        self._watch_role()

    def _do(self, ready: Ready) -> None:
        disk = self.ensemble.disk
        if ready.hard_state is not None and ready.hard_state.vote != NOBODY:
            self.ensemble.keep_vote(self.id, ready.hard_state)
        if ready.snapshot is not None:
            self.tree = ready.snapshot.data.copy()
        if ready.committed:
            done = [(entry, self._apply(entry)) for entry in ready.committed]
            last = ready.committed[-1]
            if last.index > disk.index:
                disk.commit(last.index, last.term, self.tree, [out for entry, out in done if out is not None])
            for entry, out in done:
                if out is not None:
                    for id in out.sessions:
                        self._session_changed(id)
                    self.clients.tell(entry.data, out)
            self._compact(ready.committed)
        for message in ready.messages:
            if message.kind is Kind.SNAPSHOT:
                message = replace(message, snapshot=self.raft.snapshot(self.tree.copy()))
            other = self.ensemble.by_id[message.dst]
            if other.running and not other.frozen:  # the others say it again, so it need not wait for the thaw
                self.send(other, other.receive, message)

    def _apply(self, entry: Entry) -> Outcome | None:
        """The zxid has the epoch in its upper half and counts from zero in each."""
        tree = self.tree
        zxid = tree.zxid if tree.zxid >> 32 == entry.term else entry.term << 32
        if entry.data is None:
            tree.zxid = zxid
            return None
        return tree.apply(entry.data, zxid if isinstance(entry.data.op, Sync) else zxid + 1)

    def _session_changed(self, id: int) -> None:
        record = self.tree.sessions.get(id)
        if self.sessions is not None:
            if record is None:
                self.sessions.closed(id)
            else:
                self.sessions.opened(record, self.clock.time())

    def _compact(self, committed: tuple[Entry, ...]) -> None:
        raft = self.raft
        self._weight += sum(_weight(entry.data.op) for entry in committed if entry.data is not None)
        if self._weight > HEAVY or raft.commit - raft.log.start > COMPACT:
            raft.compact(min(KEEP, (raft.commit - raft.log.start) // 2))
            self._weight = 0

    def _watch_role(self) -> None:
        """Begin to serve, or cease to."""
        raft = self.raft
        caught_up = raft.leader != NOBODY and self.tree.zxid >> 32 == raft.term
        if raft.is_leader and self.sessions is None and caught_up:
            self.sessions = Sessions(self.ensemble.tick, self.clock.time(), self.tree.sessions.values())
            self.ensemble.disk.led_by(self.id)
        elif not raft.is_leader and self.sessions is not None:
            self.sessions = None
            for other in self.ensemble.members.values():  # it closes its connections to those who followed it
                if other is not self:
                    self.send(other, other._left_by, self.id)
        if caught_up and not self.serving:
            self.serving = True
            if self._hurry is not None:
                self._hurry.cancel()
                self._hurry = None
            self.ensemble.now_serving(self)
        elif self.serving and raft.leader == NOBODY:
            self._hang_up()
            if raft.role is Role.FOLLOWER and self._hurry is None:
                self._hurry = self.clock.call_later(ELECTION * self.rng.uniform(1.0, 2.0), self._rush)
        elif self.serving and not caught_up:  # another leader at once: its clients come back when it has its epoch
            self._hang_up()

    def _hang_up(self) -> None:
        self.serving = False
        self.sessions = None
        self.clients.hang_up()

    def greet(self, client: Client, hello: Hello, peer: str) -> Connection | None:
        """A client wants to be served. None: not here, not now (the real one closes the connection)."""
        return self.clients.greet(client, hello, peer)

    # -- at the leader

    def revalidate(self, member: Member, connection: int, session: int, password: bytes) -> None:
        """May that member serve that session?"""
        if self.sessions is None:
            return  # the follower is about to find out
        record = self.tree.sessions.get(session)
        good = record is not None and record.password == password and self.sessions.alive(session)
        if good:
            self.sessions.owners[session] = connection
            self.sessions.touch(session, self.clock.time())
        self.send(member, member.clients.revalidated, connection, session, record.timeout if record and good else 0)

    def take(self, request: Request) -> None:
        """A write of a client, here or at a follower. Its time is the leader's."""
        if self.sessions is None:
            return
        assert request.origin is not None
        owners, (_, connection, _) = self.sessions.owners, request.origin
        if owners.setdefault(request.session, connection) != connection:
            member = self.ensemble.members[request.origin[0]]
            self.send(member, member.clients.refuse, request.origin, SessionMoved())
            return
        request.time = self.millis()
        self._propose(request)

    def _propose(self, request: Request) -> None:
        try:
            self.raft.propose(request)
        except NotLeader:
            return  # it hangs up on its followers' clients presently
        self._work()

    def millis(self) -> int:
        """The time as ZooKeeper's numbers have it."""
        return int(self.clock.time() * 1000)


def _weight(op: Any) -> int:
    """What a request takes in memory, roughly; a transaction has what its parts take."""
    if isinstance(op, Multi):
        return sum(_weight(part) for part in op.ops)
    return len(getattr(op, "data", b"")) + len(getattr(op, "path", "")) + OP_COST

"""The ensemble of one sandbox: its members on their machines, and who can reach whom.

``Ensemble(fleet, clock, storage, ["master-1", "master-2", "master-3"], rng)``; members are started and stopped each by
itself. A fresh ensemble elects as soon as a majority of it runs: a real one takes a fraction of a second for that,
which nobody wants to wait for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import acls
from labkit.embedded.zookeeper.connecting import Connecting
from labkit.embedded.zookeeper.disk import Disk
from labkit.embedded.zookeeper.exchange import Exchange
from labkit.embedded.zookeeper.member import Member
from labkit.embedded.zookeeper.ops import Id
from labkit.embedded.zookeeper.raft import NOBODY, HardState
from labkit.embedded.zookeeper.session import Session

if TYPE_CHECKING:
    from labkit.embedded.runtime.network import Listener, Network

VERSION = "3.8.0"
PORT = 2181
TICK = 2.0  # seconds: tickTime, of which a follower and its leader ping each other twice
RALLY = 5.0  # seconds after the start of the process in which a majority that is there elects at once


class Ensemble:
    """All members, and the sessions of clients in this process.

    With a ``network`` each member also listens on port 2181 of its machine for clients that speak the protocol.
    """

    def __init__(
        self,
        fleet: Fleet,
        clock: Clock,
        storage: Storage,
        members: Sequence[str],
        rng: random.Random,
        *,
        network: Network | None = None,
        tick: float = TICK,
        secret: str = "",
    ) -> None:
        """``secret`` is ``user:password`` of the clients in this process: then only they, and who knows it, may write.

        The root, too, is theirs from the first moment, so that nobody can be there before them.
        """
        self.fleet = fleet
        self.clock = clock
        self.tick = tick
        self.machines = list(members)
        self.owner = acls.owner(secret)
        self.disk = Disk(storage, self.owner.shared)
        self.exchange = Exchange(fleet, clock)
        self.rng = rng
        self._network = network
        self._listeners: dict[str, Listener] = {}
        self._connections = 0
        self._since = clock.time()
        self._votes: dict[int, tuple[int, int]] = {}
        self._open: dict[Connecting, None] = {}
        self.members = {
            machine: Member(self, number, machine, random.Random(rng.getrandbits(64)))
            for number, machine in enumerate(self.machines, 1)
        }
        self.by_id = {member.id: member for member in self.members.values()}
        self._unsubscribe = fleet.subscribe(self._plugged)

    # -- what can be asked

    @property
    def leader(self) -> str | None:
        """The machine of the leader that has a quorum, or None."""
        return next((member.machine for member in self.members.values() if member.mode == "leading"), None)

    @property
    def has_quorum(self) -> bool:
        """Is there a leader that a majority follows? Only then may anything be written."""
        return self.leader is not None

    def hosts(self, port: int = PORT) -> str:
        """The connection string: ``127.S.0.10:2181,127.S.0.11:2181``."""
        return ",".join(f"{self.fleet.machine(machine).address}:{port}" for machine in self.machines)

    def config(self) -> str:
        """Who takes part, as ``/zookeeper/config`` has it."""
        rows = (
            f"server.{id}={self.fleet.machine(machine).address}:2888:3888:participant"
            for id, machine in enumerate(self.machines, 1)
        )
        return "\n".join((*rows, "version=0"))

    def negotiated(self, timeout: int) -> int:
        """The session timeout that a client gets: between 2 and 20 ticks. Milliseconds."""
        return int(min(max(timeout, 2000 * self.tick), 20_000 * self.tick))

    # -- members

    async def start(self, machine: str) -> None:
        """Start the member of that machine; returns when it listens, not when it has a quorum."""
        member = self.members[machine]
        if member.running:
            return
        if self._network is not None:
            from labkit.embedded.zookeeper.wire.server import Wire

            address = self.fleet.machine(machine).address
            self._listeners[machine] = await self._network.listen_protocol(machine, address, PORT, lambda: Wire(member))
        member.start()
        self._rally()

    async def stop(self, machine: str) -> None:
        """End the member's process: its clients lose their connection, the others elect anew if it led."""
        self._halt(self.members[machine])
        listener = self._listeners.pop(machine, None)
        if listener is not None:
            await listener.close()

    async def close(self) -> None:
        """End everything, without a word to anybody."""
        self._unsubscribe()
        for session in tuple(self._open):
            session.die()
        for member in self.members.values():
            member.stop()
        for listener in self._listeners.values():
            listener.shut()
        self._listeners.clear()
        self.exchange.close()

    def _halt(self, member: Member) -> None:
        if not member.running:
            return
        member.stop()
        self.check_wires()

    def linked(self, a: Member, b: Member) -> bool:
        """Is there a working connection between two members? One that is frozen has not broken."""
        return a.running and b.running and self.fleet.connected(a.machine, b.machine)

    def check_wires(self) -> None:
        """A member, or a wire between two, came or went: let each notice what it lost."""
        for member in self.members.values():
            member.check_wires()

    def _rally(self) -> None:
        """At the start of the process: whoever led stands for election as soon as a majority is there."""
        running = [member for member in self.members.values() if member.running]
        if self.clock.time() - self._since > RALLY or any(member.raft.leader != NOBODY for member in running):
            self.check_wires()
            return
        for member in sorted(running, key=lambda member: (member.id != self.disk.leader, member.id)):
            reached = sum(self.fleet.reachable(member.machine, other.machine) for other in running)
            if reached >= member.raft.membership.quorum:
                member.campaign()
                return

    def keep_vote(self, id: int, state: HardState) -> None:
        """Write a vote once: the commit index in a hard state changes with every request."""
        vote = (state.term, state.vote)
        if self._votes.get(id) != vote:
            self.disk.keep_vote(id, state)
            self._votes[id] = vote

    def next_connection(self) -> int:
        """A number that no connection has had."""
        self._connections += 1
        return self._connections

    def addresses_auth(self, peer: str) -> tuple[Id, ...]:
        """What a client is known by before it has said anything: its address."""
        return (Id("ip", peer.rsplit(":", 1)[0]),)

    # -- clients

    def session(self, machine: str, *, timeout: float = 10.0, private: bool = False) -> Session:
        """A client on that machine. It connects by itself; its calls wait until it has.

        What a ``private`` one makes is for no stranger to read.
        """
        session = Session(self, machine, timeout)
        session.acl = self.owner.private if private else self.owner.shared
        self._open[session] = None
        session.begin()
        return session

    def expire_all(self) -> None:
        """End the sessions of clients that died with an earlier process of this sandbox.

        A real ensemble waits for their timeouts; who restarts a sandbox has waited for long enough. Clients that came
        over the wire may well live, and take their sessions up again. To be called before there are new sessions.
        """
        member = next((member for member in self.members.values() if member.mode == "leading"), None)
        if member is not None:
            member.expire(tuple(id for id, record in member.tree.sessions.items() if record.inside))

    def forget(self, session: Connecting) -> None:
        """That client has ended its session."""
        self._open.pop(session, None)

    def now_serving(self, member: Member) -> None:
        """Whoever waits for a member to connect to need not wait for its next try."""
        for session in tuple(self._open):
            session.hurry()

    def _plugged(self, machine: str, what: str) -> None:
        if what == "fail" and machine in self.members:
            self._halt(self.members[machine])
        if what in ("fail", "partition", "heal"):
            self.check_wires()
            for session in tuple(self._open):
                session.check_wire()

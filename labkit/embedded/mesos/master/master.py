"""A Mesos master: it stands for election, leads or points at the leader, and ends itself when it has lost.

As ``src/master/main.cpp`` and ``Master::contended``, ``detected`` and ``lostCandidacy`` have it: a master that is no
longer the leader does not step back, it exits, and whoever supervises it starts a fresh one. What it knew is learned
anew from agents and frameworks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from labkit.embedded.mesos.ids import MasterIds
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.mesos.master import calls
from labkit.embedded.mesos.master.answers import Answer, redirect, unavailable
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.master.options import Options
from labkit.embedded.mesos.master.registry import Registry
from labkit.embedded.mesos.master.subscription import Subscription
from labkit.embedded.mesos.version import VERSION
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.storage import Storage

if TYPE_CHECKING:
    from labkit.embedded.zookeeper import Detector, Election, Ensemble, Session

log = logging.getLogger(__name__)

Json = dict[str, Any]

PREFIX = "json.info_"
CAPABILITIES = [{"type": "AGENT_UPDATE"}, {"type": "AGENT_DRAINING"}, {"type": "QUOTA_V2"}]


class Master:
    """The master of one machine. Several share ``storage``, which stands for their replicated log."""

    def __init__(
        self,
        machine: str,
        post: Post,
        fleet: Fleet,
        clock: Clock,
        storage: Storage | None,
        ensemble: Ensemble,
        options: Options,
        rng: random.Random,
        *,
        exited: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``exited`` hears why the process has ended by itself."""
        self.machine = machine
        self.options = options
        self.fleet = fleet
        self.clock = clock
        self.pid = Pid("master", machine, fleet.machine(machine).address, options.port)
        self.leading: Leadership | None = None
        self.leader: Json | None = None  # MasterInfo of whoever leads, as far as this one knows
        self.start_time = 0.0
        self.info: Json = {}
        self._post = post
        self._registry = Registry(storage)
        self._ensemble = ensemble
        self._rng = rng
        self._exited = exited
        self._wanted = False
        self._running = False
        self._session: Session | None = None
        self._election: Election | None = None
        self._detector: Detector | None = None
        self._chores = Chores()
        self._again: Timer | None = None
        self._watchers: list[Callable[[], object]] = []
        fleet.subscribe(self._plugged)

    # -- life

    @property
    def running(self) -> bool:
        """Is the process there?"""
        return self._running

    @property
    def elected(self) -> bool:
        """Does it lead?"""
        return self.leading is not None

    def on_change(self, fn: Callable[[], object]) -> None:
        """Have it called when the process starts or ends, and with each new leader."""
        self._watchers.append(fn)

    def _tell(self) -> None:
        for fn in tuple(self._watchers):
            fn()

    async def start(self) -> None:
        """Start the process; on a machine without power it starts when that has some."""
        self._wanted = True
        self._start()

    def _start(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._running or not self._wanted or self.fleet.machine(self.machine).power == "off":
            return
        from labkit.embedded.zookeeper import Detector, Election

        self._running = True
        self.start_time = self.clock.time()
        self._ids = MasterIds(self._rng)
        self.info = self._master_info()
        self._post.register(self.pid, self)
        session = self._session = self._ensemble.session(self.machine, timeout=self.options.zk_session_timeout)
        path = self.options.zk_path
        self._detector = Detector(session, path, PREFIX)
        self._detector.on_change(self._detected)
        self._election = Election(session, path, orjson.dumps(self.info), prefix=PREFIX)
        self._election.on_elected(self._elected)
        self._election.on_lost(self._lost)
        self._chores.start(self._contend(self._election))
        self._tell()

    async def _contend(self, election: Election) -> None:
        try:
            await election.contend()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("master on %s could not contend: %s", self.machine, error)
            if self._election is election:
                self._die(f"Failed to contend: {error}")

    async def stop(self) -> None:
        """End the process, and do not start it again: as ``systemctl stop mesos-master``."""
        self._wanted = False
        session = self._session
        self._end()
        if session is not None:
            await session.close()

    def _end(self) -> Session | None:
        """The process is gone, at once."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if not self._running:
            return None
        self._running = False
        self._chores.cancel()
        lead, self.leading, self.leader = self.leading, None, None
        self._post.unregister(self.pid)
        if lead is not None:
            lead.end()
        election, detector, session = self._election, self._detector, self._session
        self._election = self._detector = self._session = None
        if election is not None:
            election.abandon()
        if detector is not None:
            detector.close()
        self._tell()
        return session

    def _die(self, reason: str) -> None:
        """The process ends itself; it is started again as its supervisor would."""
        log.warning("master on %s: %s", self.machine, reason)
        session = self._end()
        if session is not None:
            self._chores.start(session.close())
        self._exited(reason)
        if self._wanted and self.options.restart_after is not None:
            self._again = self.clock.call_later(self.options.restart_after, self._start)

    def _plugged(self, machine: str, what: str) -> None:
        if machine != self.machine:
            return
        if what == "fail":
            session = self._end()
            if session is not None:
                session.die()
        elif what == "heal" and self._wanted:
            self._start()

    # -- leading

    def _master_info(self) -> Json:
        address = self.fleet.machine(self.machine).address
        # A number in the byte order of the network, read as this computer's: as in the real one.
        number = int.from_bytes(ipaddress.IPv4Address(address).packed, "little")
        return {
            "address": {"hostname": address, "ip": address, "port": self.options.port},
            "capabilities": CAPABILITIES,
            "hostname": address,
            "id": self._ids.master,
            "ip": number,
            "pid": str(self.pid),
            "port": self.options.port,
            "version": VERSION,
        }

    def _elected(self) -> None:
        if not self._running or self.leading is not None:
            return
        log.info("master on %s is elected as the leading master", self.machine)
        self.leader = self.info
        self.leading = Leadership(
            self.pid, self._post, self.clock, self._rng, self.options, self._registry, self._ids, self.info
        )
        self.leading.start()
        self._tell()

    def _lost(self) -> None:
        if self._running:
            self._die("Lost leadership... committing suicide!" if self.elected else "Lost candidacy")

    def _detected(self, data: bytes | None) -> None:
        if not self._running:
            return
        # Whether this one still leads is the election's to say.
        self.leader = self.info if self.leading is not None else None if data is None else orjson.loads(data)
        self._tell()

    # -- messages

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        """What agents say; a master that does not lead does not listen."""
        if self.leading is not None:
            self.leading.receive(sender, message, body)

    def exited(self, pid: Pid) -> None:
        """The connection to an agent broke."""
        if self.leading is not None:
            self.leading.agents.exited(pid)

    # -- the scheduler API

    def elsewhere(self, path: str) -> Answer:
        """What a master that does not lead answers: where the leader is, or that there is none."""
        if self.leader is None:
            return unavailable("No leader elected")
        base = f"//{self.leader['hostname']}:{self.leader['port']}"
        return redirect(base + path)

    def handle_scheduler(self, call: Json, principal: str | None, stream_id: str | None) -> Answer | Subscription:
        """One call of the scheduler API; SUBSCRIBE gives a :class:`Subscription`."""
        if self.leading is None:
            return self.elsewhere("/api/v1/scheduler")
        return calls.handle(self.leading, call, principal, stream_id)

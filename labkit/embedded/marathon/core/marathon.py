"""One Marathon on its machine: stands for election, leads when it is elected, and answers over HTTP either way."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from typing import Any

from labkit.embedded.marathon.api.server import Server
from labkit.embedded.marathon.core.options import Options
from labkit.embedded.marathon.core.probing import Prober
from labkit.embedded.marathon.core.term import Term
from labkit.embedded.marathon.events import EventBus
from labkit.embedded.marathon.leadership import PATH, PREFIX, RESTART, Leadership
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.zookeeper import Detector, Election, Ensemble, Session

log = logging.getLogger(__name__)

Json = dict[str, Any]

MakeDriver = Callable[[str, Session, Json, Any, Any, Any], Any]


class Marathon:
    """A component of its machine: stopped, its tasks run on and the other Marathon takes over.

    ``make_driver(machine, session, framework, received, connected, disconnected)`` makes the line to Mesos.
    """

    def __init__(
        self,
        machine: str,
        fleet: Fleet,
        clock: Clock,
        network: Network,
        ensemble: Ensemble,
        make_driver: MakeDriver,
        options: Options | None = None,
        rng: random.Random | None = None,
        middlewares: Iterable[Any] = (),
    ) -> None:
        """``middlewares``: aiohttp's, which say whom its HTTP server lets in."""
        self.machine = machine
        self.fleet = fleet
        self.clock = clock
        self.network = network
        self.options = options or Options()
        self.host_port = f"{fleet.machine(machine).address}:{self.options.port}"
        self.bus = EventBus(clock)
        self.term: Term | None = None
        self.leadership: Leadership | None = None
        self.started_at = clock.time()
        self._ensemble = ensemble
        self._make_driver = make_driver
        self._rng = rng or random.Random()
        self._session: Session | None = None
        self._election: Election | None = None
        self._detector: Detector | None = None
        self._chores = Chores()
        self._prober = Prober(machine, fleet, clock, network)
        self._standby: list[Callable[[], object]] = []
        self.server = Server(self, middlewares)
        fleet.subscribe(self._plugged)

    # -- life

    @property
    def running(self) -> bool:
        """Is its process there, whether or not it leads?"""
        return self.leadership is not None

    async def start(self) -> None:
        """Connect to ZooKeeper and stand for election, in the background. Harmless when it runs."""
        if self.running:
            return
        await self.server.start()
        self.started_at = self.clock.time()
        self._stand()

    def _stand(self) -> None:
        """Stand for election, on a session of its own."""
        session = self._session = self._ensemble.session(
            self.machine, timeout=self.options.zk_session_timeout, private=True
        )
        # Marathon lets go as soon as its connection to ZooKeeper breaks (Curator's LeaderLatch does).
        self._election = Election(session, PATH, self.host_port.encode(), PREFIX, patience=0.0)
        self._detector = Detector(session, PATH, PREFIX)
        self.leadership = Leadership(
            self.clock, self.host_port, self._election, self._detector, self._lead, self._stop_leading, self._fell
        )
        self._chores.start(self.leadership.contend())

    async def stop(self) -> None:
        """As with SIGTERM. Harmless when it does not run."""
        leadership, self.leadership = self.leadership, None
        if leadership is None:
            return
        # ZooKeeper may take its time to answer, and somebody may start it again meanwhile: that is another process
        # with a session of its own, and nothing below may touch it.
        term, detector, session = self.term, self._detector, self._session
        self._detector = self._session = None
        self._chores.cancel()
        leadership.resign()
        await self.server.stop()
        await leadership.withdraw()
        if term is not None:
            await term.end()
        if detector is not None:
            detector.close()
        if session is not None:
            await session.close()

    def _fell(self) -> None:
        """As a process that ends and is started again by its supervisor: what its session held expires with it."""
        self._chores.start(self._stand_again(self.leadership))

    async def _stand_again(self, fallen: Leadership | None) -> None:
        self._let_go(fallen)
        await self.clock.sleep(RESTART)
        if self.leadership is fallen and fallen is not None:
            self._stand()

    def _let_go(self, leadership: Leadership | None) -> None:
        """Without a word to ZooKeeper."""
        if leadership is not None:
            leadership.die()
        if self._election is not None:
            self._election.abandon()
        if self._detector is not None:
            self._detector.close()
        if self._session is not None:
            self._session.die()

    def _plugged(self, machine: str, what: str) -> None:
        """Its machine lost its power: it says nothing to anybody any more."""
        if machine != self.machine or what != "fail" or self.leadership is None:
            return
        leadership, self.leadership = self.leadership, None
        self._chores.cancel()
        self._let_go(leadership)
        self.term = None
        self._chores.start(self.server.stop())

    # -- leading

    @property
    def is_leader(self) -> bool:
        """It leads, and has taken up what is stored."""
        return self.term is not None and self.term.ready

    @property
    def leader(self) -> str | None:
        """``host:port`` of the one that leads, as far as this one knows."""
        return self.leadership.leader if self.leadership is not None else None

    @property
    def zk_hosts(self) -> str:
        """The ensemble, as ``zk://`` URLs name it."""
        return self._ensemble.hosts()

    def on_standby(self, fn: Callable[[], object]) -> Callable[[], None]:
        """Have ``fn()`` called when it leads no more; returns what ends it."""
        self._standby.append(fn)
        return lambda: self._standby.remove(fn) if fn in self._standby else None

    async def abdicate(self) -> None:
        """Give up the leadership, and join the end of the queue."""
        if self.leadership is not None:
            await self.leadership.abdicate()

    async def _lead(self) -> None:
        assert self._election is not None
        log.info("%s leads", self.host_port)

        def driver(framework: Json, received: Any, connected: Any, disconnected: Any) -> Any:
            assert self._election is not None
            session = self._election.session
            return self._make_driver(self.machine, session, framework, received, connected, disconnected)

        self.term = Term(
            self.clock,
            self.options,
            self._election.session,
            self._prober,
            self.bus,
            driver,
            self._rng,
            self.host_port,
            self.give_up,
        )
        await self.term.begin()

    def _stop_leading(self) -> None:
        term, self.term = self.term, None
        if term is not None:
            log.info("%s leads no more", self.host_port)
            term.stop()
            for fn in tuple(self._standby):
                fn()
            self._chores.start(term.end())

    def give_up(self) -> None:
        """:meth:`abdicate`, for those who cannot wait."""
        self._chores.start(self.abdicate())

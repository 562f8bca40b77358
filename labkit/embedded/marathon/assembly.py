"""What a Mesos sandbox is made of, each part given what it needs of the others.

The only place that knows all of them. Between the parts are ZooKeeper, messages and Mesos' scheduler API, as between
the real ones; Python's own references go from here to each part, and never from one part to another.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labkit.embedded.guard import Guard
from labkit.embedded.marathon import components
from labkit.embedded.marathon.components import Component, Components
from labkit.embedded.marathon.credentials import Credentials
from labkit.embedded.marathon.endpoints import MARATHON_PORT, MASTER_PORT
from labkit.embedded.marathon.parts import Member, Served
from labkit.embedded.mesos.driver import SchedulerDriver
from labkit.embedded.mesos.libprocess import Post
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Detector, Ensemble, Session

log = logging.getLogger(__name__)

Json = dict[str, Any]

MESOS_PATH = "/mesos"
MESOS_PREFIX = "json.info_"
NAMES_EVERY = 1.0  # sandbox seconds
_NAMES_FOLLOW = ("valid_status_updates", "tasks_launched", "slave_registrations", "slave_removals")
LAST_PORT = 65000  # of those that agents offer


class _Line(SchedulerDriver):
    """A driver with a detector of its own, and with the session if that is its own, too."""

    session: Session | None = None

    async def stop(self, *, teardown: bool = False) -> None:
        await super().stop(teardown=teardown)
        self._detector.close()  # type: ignore[attr-defined]  # of ZooKeeper
        if self.session is not None:
            await self.session.close()


def _user() -> str:
    """Who runs the sandbox: commands run as the same."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as somebody without a name
        return str(os.getuid())


class Assembly:
    """All parts of one sandbox, made and not started."""

    def __init__(
        self,
        *,
        name: str,
        state: Path,
        run: Path,
        storage: Storage,
        credentials: Credentials,
        fleet: Fleet,
        network: Network,
        rng: random.Random,
        masters: list[Machine],
        agents: list[Machine],
        marathons: list[Machine],
    ) -> None:
        self.name = name
        self.state = state
        self.run = run
        self.storage = storage
        self.credentials = credentials
        self.fleet = fleet
        self.clock = fleet.clock
        self.network = network
        self.rng = rng
        self.catalogue = Catalogue()
        self.post = Post(fleet, self.clock)
        self.ensemble = Ensemble(
            fleet,
            self.clock,
            storage,
            [machine.name for machine in masters],
            self._random(),
            network=network,
            secret=f"{credentials.user}:{credentials.password}",
        )
        self.guard = self._make_guard()
        self.masters = {machine.name: self._make_master(machine, len(masters)) for machine in masters}
        self.services = {name: self._serve(master) for name, master in self.masters.items()}
        self.dns = self._make_dns(masters)
        each = min(1000, (LAST_PORT - 31000) // len(agents))
        self.agents = {
            machine.name: self._make_agent(machine, number, each) for number, machine in enumerate(agents, 1)
        }
        self.marathons = {machine.name: self._make_marathon(machine) for machine in marathons}
        self.batch = self._make_batch(masters[-1])  # not where the first leader is: lessons end that one
        self.lb = self._make_lb(masters[0], marathons)

    def _random(self) -> random.Random:
        """One for each part, so that none depends on how often another draws."""
        return random.Random(self.rng.getrandbits(64))

    @property
    def zookeepers(self) -> str:
        """``zk://…`` without a path."""
        return f"zk://{self.ensemble.hosts()}"

    # -- each part

    def _make_guard(self) -> Guard:
        """One for all servers. They are called as Mesos-DNS calls them, and as their machines are."""
        return Guard({self.credentials.user: self.credentials.password}, names=self._names())

    def _names(self) -> list[str]:
        return [*self.fleet.machines, *(f"{name}.mesos" for name in ("leader", "master", "marathon"))]

    def _make_master(self, machine: Machine, masters: int) -> Any:
        from labkit.embedded.mesos.master import Master, Options

        options = Options(
            cluster=self.name,
            quorum=masters // 2 + 1,
            zk=f"{self.zookeepers}{MESOS_PATH}",
            zk_path=MESOS_PATH,
        )
        return Master(
            machine.name,
            self.post,
            self.fleet,
            self.clock,
            self.storage,
            self.ensemble,
            options,
            self._random(),
        )

    def _serve(self, master: Any) -> Served:
        from labkit.embedded.mesos.api.server import MasterServer

        return Served(master, MasterServer(master, self.network, self.guard))

    def _make_agent(self, machine: Machine, number: int, each: int) -> Any:
        from labkit.embedded.marathon.discovery.mesosdns.asking import MesosResolver
        from labkit.embedded.mesos.agent import Agent
        from labkit.embedded.mesos.agent.options import for_machine

        options = for_machine(
            machine,
            number,
            self.state / "agents",
            each=each,
            guard=self.guard,
            resolver=lambda name: MesosResolver(self.dns, name),
            rng=self._random(),
        )
        return Agent(
            machine.name,
            self.post,
            self.fleet,
            self.clock,
            self.network,
            self.catalogue,
            self.storage,
            self.ensemble,
            options,
        )

    def _make_marathon(self, machine: Machine) -> Any:
        from labkit.embedded.marathon.core.marathon import Marathon
        from labkit.embedded.marathon.core.options import Options

        options = Options(mesos_user=_user(), principal=self.credentials.user)
        return Marathon(
            machine.name,
            self.fleet,
            self.clock,
            self.network,
            self.ensemble,
            self._make_driver,
            options,
            self._random(),
            # --http_realm; with credentials the real one asks for them everywhere, on /ping, too
            middlewares=(self.guard.varied(realm="Mesosphere"),),
        )

    def _make_driver(
        self, machine: str, session: Session, framework: Json, received: Any, connected: Any, disconnected: Any
    ) -> _Line:
        """A framework's line to whichever master leads, from that machine."""
        return _Line(
            machine,
            self.fleet,
            self.clock,
            lambda: self.masters,
            Detector(session, MESOS_PATH, MESOS_PREFIX),
            framework,
            received,
            connected=connected,
            disconnected=disconnected,
            principal=self.credentials.user,
        )

    def _make_batch(self, machine: Machine) -> Any:
        from labkit.embedded.mesos.batch import Batch, Options

        def driver(framework: Json, received: Any, connected: Any, disconnected: Any) -> _Line:
            session = self.ensemble.session(machine.name)
            line = self._make_driver(machine.name, session, framework, received, connected, disconnected)
            line.session = session
            return line

        options = Options(user=_user(), principal=self.credentials.user, guard=self.guard)
        return Batch(machine.name, self.fleet, self.clock, self.network, self.storage, driver, options)

    def _make_dns(self, masters: list[Machine]) -> Any:
        from labkit.embedded.marathon.discovery.mesosdns import Config, MesosDns

        config = Config(
            masters=tuple(f"{machine.address}:{MASTER_PORT}" for machine in masters),
            zk=f"{self.zookeepers}{MESOS_PATH}",
            beside=(("marathon-lb.marathon", masters[0].address),),
            # As in DC/OS: of a bridged container Marathon tells the host's port, which needs the host's address.
            ip_sources=("host", "netinfo"),
        )
        return MesosDns(
            masters[0],
            self.fleet,
            self.clock,
            self.network,
            leader=self.leading_machine,
            state=self._leading_state,
            config=config,
            rng=self._random(),
            guard=Guard({}, names=self._names()),  # names are no secret on this computer; pages have no business here
        )

    def _make_lb(self, machine: Machine, marathons: list[Machine]) -> Any:
        from labkit.embedded.marathon.discovery.lb import HttpMarathon, MarathonLb
        from labkit.embedded.marathon.discovery.lb.dial import Dialler

        urls = [f"http://{one.address}:{MARATHON_PORT}" for one in marathons]
        credentials = (self.credentials.user, self.credentials.password)
        source = HttpMarathon(urls, Dialler(self.fleet, self.network, machine.name), credentials)
        return MarathonLb(machine, self.fleet, self.clock, self.network, source, self.run / "lb")

    # -- what is asked of all together

    def components(self) -> Iterator[Component]:
        """Every part by name and machine."""
        first = next(iter(self.masters))
        for machine in self.masters:
            yield Component(components.ZOOKEEPER, machine, Member(self.ensemble, machine))
            yield Component(components.MASTER, machine, self.services[machine])
            if machine in self.marathons:
                yield Component(components.MARATHON, machine, self.marathons[machine])
        yield Component(components.MESOS_DNS, first, self.dns)
        yield Component(components.MARATHON_LB, first, self.lb)
        yield Component(components.BATCH, self.batch.machine, self.batch)
        for machine, agent in self.agents.items():
            yield Component(components.AGENT, machine, agent)

    def leading_machine(self) -> str | None:
        """The machine of the leading master, as it sees itself."""
        return next((name for name, master in self.masters.items() if master.running and master.elected), None)

    def _leading_state(self) -> Json:
        """What the leading master answers to ``GET /master/state``, as far as names are made of it."""
        from labkit.embedded.mesos.api.state import running

        name = self.leading_machine()
        master = self.masters[name] if name is not None else None
        if master is None or master.leading is None:
            raise ConnectionError("no master leads")
        return running(master, master.leading)

    async def keep_names(self) -> None:
        """Let Mesos-DNS read the state when something in it has changed: the real one does it every minute.

        A lesson does not wait for a minute. What is looked at are the master's own counters: they cost nothing.
        """
        seen: object = None
        while True:
            await self.clock.sleep(NAMES_EVERY)
            name = self.leading_machine()
            lead = self.masters[name].leading if name is not None else None
            found = lead and (name, *(lead.counters[counter] for counter in _NAMES_FOLLOW))
            if found is not None and found != seen:
                seen = found
                self.dns.changed()

    def leading_marathon(self) -> Any:
        """The Marathon that leads, None while none does."""
        return next((one for one in self.marathons.values() if one.running and one.is_leader), None)

    def has_leader(self, name: str) -> bool:
        """Is somebody elected among the components of that name, if they elect?"""
        if name == components.MASTER:
            return self.leading_machine() is not None
        if name == components.MARATHON:
            return self.leading_marathon() is not None
        return True

    def is_ready(self, there: Components) -> bool:
        """Does a master lead, has it every agent that runs, and has Marathon subscribed, if one runs?"""
        if self.leading_machine() is None:
            return False
        for name, agent in self.agents.items():
            if there.is_running(name, components.AGENT) and not agent.registered:
                return False
        marathons = [one for one in self.marathons if there.is_running(one, components.MARATHON)]
        leading = self.leading_marathon()
        return not marathons or (leading is not None and leading.term.driver.connected)

    def notes(self) -> list[str]:
        """What is not as one would expect it, in plain words."""
        return []

    def explain(self, app: str) -> Json | None:
        """Why instances of the app wait, as the leading Marathon's queue has it; None when none of them does."""
        marathon = self.leading_marathon()
        term = marathon.term if marathon is not None else None
        wanted = "/" + app.strip("/")
        entry = term.queue.entries.get(wanted) if term is not None else None
        if term is None or entry is None:
            return None
        return {
            "app": wanted,
            "count": len(entry.waiting),
            "delay": term.queue.delay(entry),
            "since": entry.since,
            "processedOffersSummary": entry.statistics.summary_json(),
            "lastUnusedOffers": entry.statistics.unused_offers_json(),
        }

    # -- the end

    async def close(self) -> None:
        """End all of it: nobody is told, as after a power cut, so that what is stored says that all of it runs."""
        ends: list[Callable[[], Any]] = [self.lb.stop, self.dns.stop]
        for part in (self.batch, *self.marathons.values(), *self.services.values(), *self.agents.values()):
            ends.append(getattr(part, "close", part.stop))
        ends.append(self.ensemble.close)
        for end in ends:
            try:
                await end()
            except Exception:  # the others still have to
                log.exception("%s did not end cleanly", getattr(end, "__qualname__", end))

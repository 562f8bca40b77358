"""marathon-lb as it runs on a machine: follows Marathon, tells the balancer what to balance."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit.embedded.marathon.discovery.lb.apps import services as services_of
from labkit.embedded.marathon.discovery.lb.balancer.engine import OwnBalancer
from labkit.embedded.marathon.discovery.lb.dial import Dialler
from labkit.embedded.marathon.discovery.lb.engine import Balancer
from labkit.embedded.marathon.discovery.lb.haproxy.config import Places
from labkit.embedded.marathon.discovery.lb.haproxy.engine import Haproxy
from labkit.embedded.marathon.discovery.lb.haproxy.process import HaproxyFailed
from labkit.embedded.marathon.discovery.lb.model import Json, Service
from labkit.embedded.marathon.discovery.lb.routes import app_rules
from labkit.embedded.marathon.discovery.lb.source import RELEVANT, Marathon
from labkit.embedded.marathon.discovery.service import MachineService
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.loopback import can_bind
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network

log = logging.getLogger(__name__)

UNPRIVILEGED_HTTP_PORT = 9080
RESET = 300.0  # sandbox seconds after which the apps are read without an event, as marathon-lb does
AGAIN = 2.0  # sandbox seconds after which a Marathon that did not answer is asked again
BACKOFF = 1.0  # sandbox seconds before the event stream is opened again; doubled up to 30
_REST = 5.0  # times as long as reading the apps took, and at most so many seconds, nothing is read again
_LONGEST_REST = 1.0
_MAX_SOCKET_PATH = 90  # bytes: HAProxy binds a longer temporary name first


@dataclass(frozen=True, slots=True)
class Options:
    """As marathon-lb is started: ``--group``, and the ports of its front ends."""

    groups: tuple[str, ...] = ("external",)
    engine: Literal["auto", "haproxy", "labkit"] = "auto"  # auto: HAProxy when it is on the PATH
    http_port: int = 80
    app_id_port: int = 9091
    stats_port: int = 9090


class MarathonLb(MachineService):
    """One marathon-lb with its balancer. ``folder`` is where HAProxy's configuration and sockets are: a short path."""

    def __init__(
        self,
        machine: Machine,
        fleet: Fleet,
        clock: Clock,
        network: Network,
        marathon: Marathon,
        folder: Path,
        options: Options | None = None,
    ) -> None:
        super().__init__(machine, fleet)
        self._clock = clock
        self._network = network
        self._marathon = marathon
        self._folder = folder
        self.options = options or Options()
        self.dial = Dialler(fleet, network, machine.name)
        self._balancer: Balancer | None = None
        self._apps: list[Json] | None = None
        self._services: list[Service] = []
        self._said: dict[str, bool] = {}
        self._states: dict[tuple[str, str], str] = {}
        self._due = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._lent: set[tuple[str, int]] = set()
        self._took = 0.0  # seconds to read the apps and make services of them
        self.refreshed = 0  # how often the apps were read and given to the balancer

    # -- life

    async def _open(self) -> None:
        self._balancer = await self._start_balancer()
        self._lend()
        if self.machine.power == "paused":
            self._balancer.freeze(True)
        self._due.set()
        self._loops = [asyncio.create_task(self._follow()), asyncio.create_task(self._regenerate())]

    async def _shut(self) -> None:
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        balancer, self._balancer = self._balancer, None
        self._lend()
        if balancer is not None:
            await balancer.stop()
        self._apps, self._services, self._states = None, [], {}

    async def _start_balancer(self) -> Balancer:
        executable = shutil.which("haproxy") if self.options.engine != "labkit" else None
        if executable is not None:
            found: Balancer = Haproxy(executable, self._folder, self._places(), self)
            try:
                await found.start()
                return found
            except (HaproxyFailed, OSError) as error:
                await found.stop()
                if self.options.engine == "haproxy":
                    raise
                log.error("HAProxy does not start: %s", error)
                self._network.note(f"HAProxy does not start here ({error}), so labkit's own balancer stands in for it.")
        elif self.options.engine == "haproxy":
            raise HaproxyFailed("there is no haproxy on the PATH")
        elif self.options.engine == "auto":
            self._network.note(
                "HAProxy is not on the PATH, so labkit's own balancer stands in for it; 'apt-get install haproxy' or "
                "'brew install haproxy' gets the real one."
            )
        own = OwnBalancer(self.machine, self._network, self.dial, self._places(), self)
        try:
            await own.start()
        except BaseException:
            await own.stop()
            raise
        return own

    def _places(self) -> Places:
        address = self.dial.here(self.machine.address)
        port = self.options.http_port
        if not can_bind(address, port):
            self._network.note(
                f"Port {port} may not be opened without a privilege here, so the virtual hosts of marathon-lb are on "
                f"{address}:{UNPRIVILEGED_HTTP_PORT}."
            )
            port = UNPRIVILEGED_HTTP_PORT
        sockets = self._folder
        if len(str(sockets / "haproxy.sock").encode()) > _MAX_SOCKET_PATH:
            log.warning("%s is a long path for a socket", sockets)
        return Places(
            address,
            port,
            self.options.app_id_port,
            self.options.stats_port,
            str(sockets / "haproxy.sock"),
            str(sockets / "pages.sock"),
            self._clock.speed,
            self.dial.locate,
        )

    def _plugged(self, name: str, what: str) -> None:
        if name == self.machine.name and self._balancer is not None:
            if what == "fail":
                self._balancer.kill()
            elif what in ("pause", "unpause"):
                self._balancer.freeze(what == "pause")
        if what in ("partition", "heal", "fail"):
            self.reread()  # wires were cut or mended

    # -- following Marathon

    async def _follow(self) -> None:
        pause = BACKOFF
        gate = self._fleet.gate(self.machine.name)
        while True:
            await gate.wait()
            try:
                async for kind in self._marathon.events():
                    await gate.wait()
                    pause = BACKOFF
                    if not kind or kind in RELEVANT:
                        self._due.set()
            except OSError as error:
                log.info("no events: %s", error)
            except Exception:
                log.exception("following Marathon")
            await self._clock.sleep(pause)
            pause = min(30.0, 2 * pause)

    async def _regenerate(self) -> None:
        gate = self._fleet.gate(self.machine.name)
        while True:
            timer = self._clock.call_later(RESET, self._due.set)
            try:
                await self._due.wait()
            finally:
                timer.cancel()
            await gate.wait()
            # A task's farewell runs in sandbox time, HAProxy reads its configuration in the wall's.
            with self._clock.unhurried():
                answered = await self._catch_up()
            if not answered:  # a Marathon without a leader tells of no event when it has one again
                self._clock.call_later(AGAIN, self._due.set)

    async def _catch_up(self) -> bool:
        """What is due is done, and then a rest is taken; did Marathon answer?"""
        self._due.clear()
        try:
            answered = await self.refresh()
        except Exception:
            log.exception("the balancer keeps what it has")
            answered = False
        # A thousand tasks that start are a thousand events: reading them all must leave most of the time to others.
        await asyncio.sleep(min(_LONGEST_REST, _REST * self._took))
        return answered

    async def refresh(self) -> bool:
        """Read the apps now, and balance them. When Marathon does not answer, the old ones stay; returns whether it
        did."""
        answered, began = True, time.monotonic()
        try:
            self._apps = await self._marathon.apps()
        except (OSError, TimeoutError) as error:
            log.warning("Connection error: %s. The old configuration stays", error)
            answered = False
        balancer = self._balancer
        if self._apps is None or balancer is None:
            return False
        said = {task["id"]: True for app in self._apps for task in app.get("tasks") or ()}
        self._said = {task: alive for task, alive in self._said.items() if task in said}
        found = services_of(self._apps, self.options.groups, resolve=self._resolve, said=self._said)
        found = [self._reached(service) for service in found]
        self._took = time.monotonic() - began
        try:
            await balancer.apply(found)
        finally:
            self._lend()
        self._services = found
        self.refreshed += 1
        return answered

    def _lend(self) -> None:
        """Containers reach the ports that HAProxy has open, of this machine's addresses and as long as it has."""
        bound = self._balancer.bound if self._balancer is not None else ()
        own = self.dial.here(self.machine.address)
        places = {(self.machine.address if ip == own else ip, port) for ip, port in bound}
        lent = {(ip, port) for ip, port in places if self._network.where(ip) == self.machine.name}
        for ip, port in self._lent - lent:
            self._network.take_back(ip, self.machine.name, port, port)
        for ip, port in lent - self._lent:
            self._network.lend(ip, self.machine.name, port, port)
        self._lent = lent

    def _resolve(self, host: str) -> str | None:
        """An agent's host name is its address, or else its machine's name."""
        machine = self._fleet.machines.get(host)
        return machine.address if machine is not None else host

    def _reached(self, service: Service) -> Service:
        """Servers behind a cut wire get nothing: HAProxy is a real process, which the cut would not stop."""
        if all(self.dial.reaches(server.ip) for server in service.servers):
            return service
        servers = (
            server if self.dial.reaches(server.ip) else dataclasses.replace(server, draining=True)
            for server in service.servers
        )
        return dataclasses.replace(service, servers=tuple(servers))

    # -- what it says on port 9090 (pages.Asked)

    def config_text(self) -> str:
        """``/_haproxy_getconfig``."""
        return self._balancer.config_text() if self._balancer is not None else ""

    def vhost_map(self) -> dict[str, str]:
        """``/_haproxy_getvhostmap``: host -> back end."""
        return {host: service.name for service in self._services for host in service.vhosts}

    def app_map(self) -> dict[str, str]:
        """``/_haproxy_getappmap``: app id -> back end."""
        return {app: service.name for app, service in app_rules(self._services).items()}

    async def pids(self) -> list[int]:
        """``/_haproxy_getpids``."""
        return await self._balancer.pids() if self._balancer is not None else []

    def reread(self) -> None:
        """Read the apps again, soon (``/_mlb_signal/hup``)."""
        self._due.set()

    # -- for the graph and for people

    @property
    def kind(self) -> str:
        """Which balancer it is: ``haproxy`` or ``labkit``; "" while none runs."""
        return self._balancer.kind if self._balancer is not None else ""

    @property
    def services(self) -> Sequence[Service]:
        """What is balanced, by app id and port."""
        return self._services

    async def observe(self) -> list[Json]:
        """:meth:`backends` after asking the balancer how its servers are."""
        if self._balancer is not None:
            self._states = await self._balancer.states()
        return self.backends()

    def backends(self) -> list[Json]:
        """What is balanced: service port, app, mode, hosts, and the servers with their state as last observed."""
        return [
            {
                "name": service.name,
                "appId": service.app_id,
                "servicePort": service.port,
                "mode": service.mode,
                "vhosts": list(service.vhosts),
                "path": service.path,
                "servers": [
                    {
                        "name": server.name,
                        "taskId": server.task_id,
                        "address": f"{server.ip}:{server.port}",
                        "state": state,
                        "up": not server.draining and not state.startswith("DOWN"),
                    }
                    for server in service.servers
                    for state in [self._state(service, server.name, server.draining)]
                ],
            }
            for service in self._services
        ]

    def _state(self, service: Service, server: str, draining: bool) -> str:
        return "MAINT" if draining else self._states.get((service.name, server), "no check")

    def place(self, port: int) -> str:
        """Where a port of the balancer is found on this computer."""
        host, real = self.dial.locate(self.machine.address, port)
        return f"{host}:{real}"

    @property
    def http_port(self) -> int:
        """The port of the virtual hosts: 80, or 9080 where that may not be opened."""
        return self._balancer.places.http_port if self._balancer is not None else self.options.http_port

    def status(self) -> Json:
        """For ``GET /status``."""
        return {
            "running": self.running,
            "engine": self.kind,
            "http": f"http://{self.place(self.http_port)}",
            "stats": f"http://{self.place(self.options.stats_port)}/haproxy?stats",
            "services": len(self._services),
            "notes": self._notes(),
        }

    def _notes(self) -> list[str]:
        found = [note for service in self._services for note in service.notes]
        if self.kind == "labkit":
            found += [f"{each.app_id}: HAPROXY_n_AUTH needs HAProxy" for each in self._services if each.auth]
        return [*found, *(self._balancer.notes if self._balancer is not None else ())]

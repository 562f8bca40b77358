"""Mesos-DNS as it runs on a machine: asks the leading master for its state, serves DNS and HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon.discovery.mesosdns import answers, http
from labkit.embedded.marathon.discovery.mesosdns.config import DNS_PORT, UNPRIVILEGED_DNS_PORT, Config
from labkit.embedded.marathon.discovery.mesosdns.names import short_hash
from labkit.embedded.marathon.discovery.mesosdns.records import NoLeader, Zone, make_zone
from labkit.embedded.marathon.discovery.service import MachineService
from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.runtime.dns import Resolver, Scope
from labkit.embedded.runtime.dnsserver import DnsServer
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.loopback import can_bind
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network

if TYPE_CHECKING:
    from aiohttp import web

    from labkit.embedded.guard import Guard

log = logging.getLogger(__name__)

Json = dict[str, Any]

NOTICE = 1.0  # sandbox seconds in which changes are gathered before the state is read again


class MesosDns(MachineService):
    """One Mesos-DNS.

    ``leader`` names the machine of the leading master, None while there is none; ``state`` is what that master answers
    to ``GET /master/state``. The state is asked for over the wire between the two machines.
    """

    def __init__(
        self,
        machine: Machine,
        fleet: Fleet,
        clock: Clock,
        network: Network,
        *,
        leader: Callable[[], str | None],
        state: Callable[[], Json | Awaitable[Json]],
        config: Config | None = None,
        rng: random.Random | None = None,
        guard: Guard | None = None,
    ) -> None:
        super().__init__(machine, fleet)
        self._clock = clock
        self._network = network
        self._leader = leader
        self._state = state
        given = config or Config()
        self.config = dataclasses.replace(given, listener=machine.address)
        self._rng = rng or random.Random()
        self._guard = guard
        self.zone = Zone()
        self._server: DnsServer | None = None
        self._http: Listener | None = None
        self._loop: asyncio.Task[None] | None = None
        self._soon: Timer | None = None
        self._reload = asyncio.Event()
        self._watchers: list[Callable[[], object]] = []

    # -- life

    async def _open(self) -> None:
        port = DNS_PORT if can_bind(self.machine.address, self.config.port) else UNPRIVILEGED_DNS_PORT
        if self.config.port != DNS_PORT:
            port = self.config.port
        if port != self.config.port:
            self._network.note(
                f"Port {self.config.port} may not be opened without a privilege here, so Mesos-DNS answers on "
                f"{self.machine.address}:{port}."
            )
        self.config = dataclasses.replace(self.config, port=port)
        self._server = await DnsServer.start(
            self._network, self.machine, Resolver([self.scope()]), port=port, answering=self._answer
        )
        self._http = await self._network.listen_http(
            self.machine, self.machine.address, self.config.http_port, self._serve
        )
        self._loop = asyncio.create_task(self._refreshing())

    async def _shut(self) -> None:
        server, self._server = self._server, None
        listener, self._http = self._http, None
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if server is not None:
            await server.close()
        if listener is not None:
            listener.shut()
        self.zone = Zone()

    # -- the zone

    async def _refreshing(self) -> None:
        gate = self._fleet.gate(self.machine.name)
        while True:
            self._reload.clear()
            await gate.wait()
            await self.refresh()
            timer = self._clock.call_later(self.config.refresh_seconds, self._reload.set)
            try:
                await self._reload.wait()
            finally:
                timer.cancel()

    def changed(self) -> None:
        """Something changed in the cluster: read the state soon, not only when it is due. Cheap to call."""
        if self.running and self._soon is None:
            self._soon = self._clock.call_later(NOTICE, self._notice)

    def _notice(self) -> None:
        self._soon = None
        self._reload.set()

    async def refresh(self) -> bool:
        """Read the state now. When that fails, the old records stay; returns whether there are new ones."""
        leader = self._leader()
        try:
            if leader is None:
                raise NoLeader
            state = await self._fleet.call(self.machine.name, leader, self._read)
            zone = make_zone(state, self.config, int(self._clock.time()), self._lookup)
        except (NoLeader, OSError) as error:
            log.warning("Warning: Error generating records: %s; keeping old DNS state", error)
            return False
        except Exception:
            log.exception("Warning: Error generating records; keeping old DNS state")
            return False
        self.zone = zone
        for watcher in tuple(self._watchers):
            watcher()
        return True

    async def _read(self) -> Json:
        found = self._state()
        return await found if inspect.isawaitable(found) else found

    def _lookup(self, host: str) -> Sequence[str]:
        """Host names of agents and frameworks are those of machines, if they are no addresses."""
        machine = self._fleet.machines.get(host)
        return () if machine is None else (machine.address,)

    # -- what it is asked

    async def _answer(self, query: bytes, limit: int) -> bytes | None:
        await self._fleet.gate(self.machine.name).wait()
        return answers.answer(query, self.zone, self.config, self._rng, limit)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        await self._fleet.gate(self.machine.name).wait()
        if self._guard is not None and (refusal := self._guard.refuse(request)) is not None:
            return refusal
        said = http.answer(request.method, request.raw_path, request.headers.get("Accept", ""), self.zone, self.config)
        return web.Response(status=said.status, body=said.body, headers={"Content-Type": said.content_type})

    def answers(self, machine: str | None = None) -> bool:
        """Would it answer a question of that machine now?"""
        return self.running and (machine is None or self._fleet.reachable(machine, self.machine.name))

    def scope(self, machine: str | None = None) -> Scope:
        """The names of ``.mesos`` for containers of a machine; none while this server does not answer it."""

        def reached() -> bool:
            return self.answers(machine)

        def lookup(name: str) -> Sequence[str] | None:
            full = f"{name}."
            if not reached() or not self.zone.knows(full):
                return None
            return list(self.zone.a.get(full, ()))

        def services(name: str) -> Sequence[tuple[str, int]] | None:
            found = self.zone.srv.get(f"{name}.") if reached() else None
            if found is None:
                return None
            return [(target.rstrip("."), int(port)) for target, _, port in (each.rpartition(":") for each in found)]

        return Scope(self.config.domain, lookup, services=services, ttl=self.config.ttl)

    # -- for the graph and for people

    def names(self, framework: str = "marathon") -> dict[str, list[str]]:
        """The names by which each app's running tasks are found, A and SRV, without the final dot; by app id.

        Names of single tasks are left out.
        """
        found: dict[str, dict[str, None]] = {}
        for shown in self.zone.frameworks:
            if shown["name"] != framework:
                continue
            for task in shown["tasks"]:
                app = "/" + "/".join(reversed(task["name"].split(".")))
                own = f"-{short_hash(task['id'])}-"
                names = (name.rstrip(".") for name in self.zone.by_task.get(task["id"], ()))
                found.setdefault(app, {}).update(dict.fromkeys(name for name in names if own not in name))
        return {app: list(names) for app, names in found.items()}

    def on_change(self, fn: Callable[[], object]) -> Callable[[], None]:
        """Have ``fn()`` called after the records were read anew; returns what ends it."""
        self._watchers.append(fn)
        return lambda: self._watchers.remove(fn) if fn in self._watchers else None

    @property
    def address(self) -> str:
        """Where it answers DNS, as one gives it to ``dig @ADDRESS -p PORT``: ``127.5.0.10:53``."""
        host, port = self._server.address if self._server is not None else (self.machine.address, self.config.port)
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        """Where its HTTP API is found."""
        place = self._network.real(self.machine.address, self.config.http_port)
        host, port = place or (self.machine.address, self.config.http_port)
        return f"http://{host}:{port}"

    def status(self) -> Json:
        """For ``GET /status``."""
        return {"running": self.running, "dns": self.address, "http": self.url, "records": len(self.zone.a)}

"""A Marathon that plays apps and events, back ends on real sockets, and a client that counts what fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from labkit.embedded.marathon.discovery.lb import LocalMarathon, MarathonLb, Options
from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network

Json = dict[str, Any]


def app(app_id: str = "/web", port: int = 10000, labels: dict[str, str] | None = None, **more: Any) -> Json:
    return {
        "id": app_id,
        "labels": {"HAPROXY_GROUP": "external", **(labels or {})},
        "portDefinitions": [{"port": port, "protocol": "tcp"}],
        "tasks": [],
        **more,
    }


def task(host: str, port: int, name: str = "", state: str = "TASK_RUNNING", **more: Any) -> Json:
    return {"id": name or f"web.{port}", "host": host, "ports": [port], "state": state, **more}


@dataclass
class FakeMarathon:
    """Holds apps; :meth:`tell` plays an event to whoever follows."""

    apps: list[Json] = field(default_factory=list)
    followers: list[Callable[[Json], object]] = field(default_factory=list)
    broken: bool = False

    def source(self) -> LocalMarathon:
        return LocalMarathon(self._fetch, self._follow)

    def _fetch(self) -> Json:
        if self.broken:
            raise ConnectionError("no Marathon answers")
        return {"apps": self.apps}

    def _follow(self, fn: Callable[[Json], object]) -> Callable[[], object]:
        self.followers.append(fn)
        return lambda: self.followers.remove(fn)

    def tell(self, kind: str = "status_update_event") -> None:
        for fn in tuple(self.followers):
            fn({"eventType": kind})


@dataclass
class BackEnd:
    """A small web server that says its name after a short moment; it may be ended as a good one ends."""

    ip: str
    port: int = 0
    pause: float = 0.002
    served: int = 0
    seen: list[dict[str, str]] = field(default_factory=list)
    _runner: web.AppRunner | None = None
    _site: web.TCPSite | None = None

    async def start(self) -> BackEnd:
        async def answer(request: web.Request) -> web.Response:
            self.served += 1
            self.seen.append({key.lower(): value for key, value in request.headers.items()} | {"path": request.path})
            text = await request.text()
            await asyncio.sleep(self.pause)
            return web.Response(text=f"{self.name} {text}".strip(), headers={"X-Path": request.path})

        application = web.Application()
        application.router.add_route("*", "/{rest:.*}", answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=5)
        await self._runner.setup()
        sock = socket.socket()
        sock.bind((self.ip, self.port))
        self.port = sock.getsockname()[1]
        await web.SockSite(self._runner, sock).start()
        return self

    @property
    def name(self) -> str:
        return f"{self.ip}:{self.port}"

    def task(self, **more: Any) -> Json:
        return task(self.ip, self.port, **more)

    async def stop(self) -> None:
        """As SIGTERM does to a server that ends well: nothing new, and what is open is finished."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


@dataclass
class Lab:
    clock: ScaledClock
    fleet: Fleet
    network: Network
    folder: Path
    marathon: FakeMarathon = field(default_factory=FakeMarathon)
    back_ends: list[BackEnd] = field(default_factory=list)
    balancers: list[MarathonLb] = field(default_factory=list)

    async def balancer(self, kind: str, **options: Any) -> MarathonLb:
        given: dict[str, Any] = {"groups": ("external",), "engine": kind, **options}
        made = MarathonLb(
            self.fleet.machine("master-1"),
            self.fleet,
            self.clock,
            self.network,
            self.marathon.source(),
            self.folder,
            Options(**given),
        )
        self.balancers.append(made)
        await made.start()
        await until(lambda: made.refreshed > 0)
        return made

    async def back_end(self, machine: str = "agent-1", **more: Any) -> BackEnd:
        made = await BackEnd(self.fleet.machine(machine).address, **more).start()
        self.back_ends.append(made)
        return made

    async def settle(self, balancer: MarathonLb) -> None:
        """Play an event, and wait until the balancer has taken it."""
        before = balancer.refreshed
        self.marathon.tell()
        await until(lambda: balancer.refreshed > before)


@asynccontextmanager
async def lab(folder: Path) -> AsyncIterator[Lab]:
    clock = ScaledClock()
    fleet = Fleet(clock)
    network = await Network.open(fleet, clock)
    for index, name in enumerate(("master-1", "agent-1", "agent-2")):
        fleet.add(Machine(name, network.machine_address(index)))
    made = Lab(clock, fleet, network, folder)
    try:
        yield made
    finally:
        for balancer in made.balancers:
            await balancer.stop()
        for back_end in made.back_ends:
            await back_end.stop()
        await network.close()


async def until(look: Callable[[], object], timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while not look():  # noqa: ASYNC110  what is looked at has no event
            await asyncio.sleep(0.005)

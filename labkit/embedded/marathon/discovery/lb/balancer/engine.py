"""labkit's own balancer: its front ends, opened and closed as services come and go."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from labkit.embedded.marathon.discovery.lb.balancer import stats
from labkit.embedded.marathon.discovery.lb.balancer.pool import Pool
from labkit.embedded.marathon.discovery.lb.balancer.proxy import HttpConnection, respond
from labkit.embedded.marathon.discovery.lb.dial import Dialler, Stream
from labkit.embedded.marathon.discovery.lb.haproxy.config import Places, bind_address, write
from labkit.embedded.marathon.discovery.lb.http1 import Head
from labkit.embedded.marathon.discovery.lb.labels import BadLabel
from labkit.embedded.marathon.discovery.lb.model import Server, Service
from labkit.embedded.marathon.discovery.lb.pages import Asked, page
from labkit.embedded.marathon.discovery.lb.routes import APP_ID_HEADER, VhostRule, app_rules, vhost_rules
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.splice import splice

log = logging.getLogger(__name__)

Serve = Callable[[Stream, Callable[[], bool]], Awaitable[None]]


@dataclass(eq=False)
class _FrontEnd:
    """A listening port. When it closes, who is connected stays until its request is done."""

    serve: Serve
    listener: Listener | None = None
    closing: bool = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.serve((reader, writer), lambda: self.closing)

    def close(self) -> None:
        self.closing = True
        if self.listener is not None:
            self.listener.retire()


@dataclass
class _Rules:
    vhosts: list[VhostRule] = field(default_factory=list)
    apps: dict[str, Service] = field(default_factory=dict)


class OwnBalancer:
    """See :class:`labkit.embedded.marathon.discovery.lb.engine.Balancer`."""

    kind = "labkit"
    bound = ()  # its listeners are the network's

    def __init__(self, machine: Machine, network: Network, dial: Dialler, places: Places, asked: Asked) -> None:
        self._machine = machine
        self._network = network
        self._dial = dial
        self.places = places
        self._asked = asked
        self.pools: dict[str, Pool] = {}
        self._rules = _Rules()
        self._own: list[_FrontEnd] = []
        self._front_ends: dict[tuple[str, int, str], _FrontEnd] = {}
        self.notes: list[str] = []

    async def start(self) -> None:
        places = self.places
        own = ((places.http_port, self._by_host), (places.app_id_port, self._by_app), (places.stats_port, self._page))
        for port, choose in own:
            front = _FrontEnd(self._http(port, choose))
            front.listener = await self._network.listen(self._machine, places.address, port, front.connected)
            self._own.append(front)

    async def stop(self) -> None:
        self.kill()

    def kill(self) -> None:
        for front in (*self._own, *self._front_ends.values()):
            if front.listener is not None:
                front.listener.shut()
        self._own.clear()
        self._front_ends.clear()
        self.pools.clear()
        self._rules = _Rules()

    def freeze(self, frozen: bool) -> None:
        """The network holds the listeners of a paused machine; what is connected waits at :meth:`_dial`'s wires."""

    async def apply(self, services: Sequence[Service]) -> None:
        self.notes = []
        for service in services:
            if service.name in self.pools:
                self.pools[service.name].update(service)
            else:
                self.pools[service.name] = Pool(service)
        names = {service.name for service in services}
        self.pools = {name: pool for name, pool in self.pools.items() if name in names}
        self._rules = _Rules(vhost_rules(services), app_rules(services))
        wanted = {(bind_address(each, self.places.address), each.port, each.mode): each for each in services}
        for place in [place for place in self._front_ends if place not in wanted]:
            self._front_ends.pop(place).close()
        for place, service in wanted.items():
            await self._open(place, service)

    async def _open(self, place: tuple[str, int, str], service: Service) -> None:
        ip, port, mode = place
        front = self._front_ends.get(place)
        serve = self._service_http(port, service.name) if mode == "http" else self._service_tcp(service.name)
        if front is not None:
            front.serve = serve
            return
        front = _FrontEnd(serve)
        try:
            front.listener = await self._network.listen(self._machine, ip, port, front.connected)
        except OSError as error:
            self.notes.append(f"{service.app_id} is not balanced: {error}")
            log.error("%s", self.notes[-1])
            return
        self._front_ends[place] = front

    # -- who serves a connection

    def _http(self, port: int, choose: Callable[[Head], Awaitable[Pool | bytes | None]]) -> Serve:
        async def serve(client: Stream, closing: Callable[[], bool]) -> None:
            await HttpConnection(client, port, choose, self._dial, closing).serve()

        return serve

    def _service_http(self, port: int, name: str) -> Serve:
        async def choose(request: Head) -> Pool | None:
            return self.pools.get(name)

        return self._http(port, choose)

    def _service_tcp(self, name: str) -> Serve:
        async def serve(client: Stream, closing: Callable[[], bool]) -> None:
            pool = self.pools.get(name)
            peer = client[1].get_extra_info("peername")
            tried: set[Server] = set()
            while pool is not None and (server := pool.pick(peer[0] if peer else "", tried=tried)) is not None:
                tried.add(server)
                try:
                    stream = await self._dial(server.ip, server.port)
                except OSError:
                    continue
                with pool.busy(server):
                    await splice(client, stream)
                return
            client[1].transport.abort()

        return serve

    async def _by_host(self, request: Head) -> Pool | None:
        host = request.get("host")
        for rule in self._rules.vhosts:
            if rule.matches(host, request.start[1]):
                return self.pools.get(rule.service.name)
        return None

    async def _by_app(self, request: Head) -> Pool | None:
        service = self._rules.apps.get(request.get(APP_ID_HEADER).lower())
        return self.pools.get(service.name) if service is not None else None

    async def _page(self, request: Head) -> bytes | None:
        path = request.start[1]
        found = await page(path, self._asked)
        if found is not None:
            return respond(found.status, "OK", found.text.encode(), found.content_type)
        if path.startswith("/haproxy?stats"):
            as_text = ";csv" in path
            text = stats.csv(self.pools) if as_text else stats.html(self.pools)
            return respond(200, "OK", text.encode(), "text/plain" if as_text else "text/html")
        return None

    # -- what it says

    async def states(self) -> dict[tuple[str, str], str]:
        return {
            (name, server.name): "MAINT" if server.draining else "no check"
            for name, pool in self.pools.items()
            for server in pool.service.servers
        }

    async def pids(self) -> list[int]:
        return [os.getpid()]

    def config_text(self) -> str:
        """What HAProxy would be given."""
        try:
            return write([pool.service for pool in self.pools.values()], self.places)
        except BadLabel as error:
            return f"# {error}\n"

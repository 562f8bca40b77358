"""The network of a sandbox: real sockets on loopback addresses of its own.

Every machine, container and virtual IP gets an address of the sandbox's block (:mod:`loopback` claims it) on which it
really listens. Where that cannot be the listener sits elsewhere, :meth:`Network.real` knows where, and ``notes`` says
so in words.

Connections *inside* the sandbox go through :meth:`Network.connect`, which obeys the plugs of the machines. Whoever
comes from outside (a browser, curl) is connected by the operating system, as to machines on the same desk.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import weakref
from collections.abc import Awaitable, Callable, Container
from typing import TYPE_CHECKING

from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.listeners import (
    BACKLOG,
    AddressInUse,
    Connected,
    Datagrams,
    Handler,
    Listener,
    ProtocolFactory,
    converse,
)
from labkit.embedded.runtime.loopback import Loopback
from labkit.embedded.runtime.machines import Fleet, Machine, Unreachable
from labkit.embedded.runtime.outside import Place, dial

__all__ = ["AddressInUse", "Connected", "Handler", "Listener", "Network"]

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

CONNECT_TIMEOUT = 130.0  # seconds after which Linux gives up sending SYNs (tcp_syn_retries 6)
EVERYWHERE = ""  # the machine of a listener that each machine has its own of: a virtual IP


class Network:
    """All sockets of one sandbox."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self.fleet = fleet
        self.clock = clock
        self.notes: list[str] = []
        self._loopback = Loopback(self.note)
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._by_real: dict[tuple[str, int], Listener] = {}
        self._datagrams: dict[tuple[str, int], tuple[str, asyncio.DatagramTransport]] = {}
        self._of_machine: dict[str, set[Listener]] = {}
        self._places: dict[str, str] = {}  # address -> machine on which it is
        self._lent: dict[str, list[tuple[str, int, int]]] = {}  # address -> machine, first and last port
        self._open: dict[tuple[str, str], weakref.WeakSet[asyncio.StreamWriter]] = {}
        self._pools: dict[str, AddressPool] = {}
        self._outside: set[asyncio.Task[None]] = set()  # far ends of connections that left the sandbox, as it seems
        self._http: web.Server | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, fleet: Fleet, clock: Clock, preferred: int | None = None) -> Network:
        """Claim a free block (``preferred`` if it is: then all addresses are those of before a restart)."""
        network = cls(fleet, clock)
        await network._loopback.claim(preferred)
        network._unsubscribe = fleet.subscribe(network._plug_changed)
        return network

    async def close(self) -> None:
        """Close every socket and give the block back."""
        self._unsubscribe()
        for listener in tuple(self._listeners.values()):
            listener.shut()
        for _, transport in self._datagrams.values():
            transport.abort()
        self._datagrams.clear()
        for writers in self._open.values():
            for writer in tuple(writers):
                writer.transport.abort()
        if self._http is not None:
            await self._http.shutdown(0.05)  # for aiohttp 0 is "wait for ever", as an open event stream would
        self._loopback.give_back()

    def note(self, words: str) -> None:
        """Something is not where one would look for it: say so, once."""
        if words not in self.notes:
            self.notes.append(words)

    # addresses ------------------------------------------------------------------------------------------------

    @property
    def block(self) -> str:
        """``127.S``, with which all addresses of the sandbox begin."""
        return self._loopback.block

    def machine_address(self, index: int) -> str:
        """The address of the ``index``-th machine."""
        if index < 240:
            return f"{self.block}.0.{10 + index}"
        return f"{self.block}.{1 + (index - 240) // 256}.{(index - 240) % 256}"

    def pool(self, cidr_or_name: str, size: int = 4094) -> AddressPool:
        """The pool of a network, made when it is first asked for.

        ``127.S.16.0/20`` is taken as it is; a name gets a free part of the block with room for ``size`` addresses.
        """
        if cidr_or_name not in self._pools:
            taken = [pool.network for pool in self._pools.values()]
            self._pools[cidr_or_name] = (
                AddressPool(cidr_or_name) if "/" in cidr_or_name else AddressPool.within(self.block, size, taken)
            )
        return self._pools[cidr_or_name]

    def drop_pool(self, cidr_or_name: str) -> None:
        """The network is gone; its addresses may be given to another."""
        self._pools.pop(cidr_or_name, None)

    def place(self, ip: str, machine: str) -> None:
        """Say on which machine an address is, so that a port nobody listens on is refused rather than unknown."""
        self._places[ip] = machine

    def unplace(self, ip: str) -> None:
        self._places.pop(ip, None)

    def inside(self, ip: str) -> bool:
        """Is this an address of the sandbox?"""
        return ip.startswith(f"{self.block}.")

    def where(self, ip: str) -> str | None:
        """The name of the machine that has this address, if any has; ``EVERYWHERE`` for a virtual IP."""
        placed = self._places.get(ip)
        if placed is None:
            return next((m.name for m in self.fleet.machines.values() if m.address == ip), None)
        return placed

    def real(self, ip: str, port: int) -> tuple[str, int] | None:
        """Where the listener of ``ip:port`` is found from outside the sandbox, None if nobody listens there."""
        listener = self._listeners.get((ip, port))
        return None if listener is None else (listener.real_host, listener.real_port)

    def lend(self, ip: str, machine: str, first: int, last: int) -> None:
        """Ports of an address on which real programs of the sandbox may listen (commands of Mesos' tasks, HAProxy).

        :meth:`connect` asks the operating system there, when nobody of the sandbox listens: there, and nowhere else, so
        that no container reaches what this computer runs besides.
        """
        span = (machine, first, last)
        if span not in self._lent.setdefault(ip, []):
            self._lent[ip].append(span)

    def take_back(self, ip: str, machine: str, first: int, last: int) -> None:
        """The program is gone; harmless when nothing was lent."""
        spans = self._lent.get(ip, [])
        if (machine, first, last) in spans:
            spans.remove((machine, first, last))

    def _borrower(self, ip: str, port: int) -> str | None:
        """The machine whose programs may listen there."""
        return next((name for name, first, last in self._lent.get(ip, ()) if first <= port <= last), None)

    # listening ------------------------------------------------------------------------------------------------

    async def listen(
        self, machine: Machine | str, ip: str, port: int, connected: Connected, *, limit: int = 2**16
    ) -> Listener:
        """Accept connections for ``ip:port`` on ``machine``; each runs ``connected(reader, writer)``."""
        listener = self._bind(machine, ip, port)
        loop = asyncio.get_running_loop()

        def factory() -> asyncio.BaseProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(
                reader, lambda r, w: listener._run(converse(connected, r, w)), loop=loop
            )

        listener._serve(factory)
        return listener

    async def listen_protocol(
        self,
        machine: Machine | str,
        ip: str,
        port: int,
        factory: ProtocolFactory,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> Listener:
        """Accept connections for ``ip:port``, each spoken to by a protocol of ``factory``; over TLS if asked."""
        listener = self._bind(machine, ip, port)
        listener.tls = tls
        listener._serve(factory)
        return listener

    async def listen_http(
        self, machine: Machine | str, ip: str, port: int, handler: Handler, *, tls: ssl.SSLContext | None = None
    ) -> Listener:
        """Serve HTTP on ``ip:port``. All HTTP listeners share one aiohttp server, so each costs little."""
        listener = self._bind(machine, ip, port)
        listener.handler, listener.tls = handler, tls
        listener._serve(self._http_server())
        return listener

    def _http_server(self) -> web.Server:
        if self._http is None:
            from aiohttp import web

            async def dispatch(request: web.BaseRequest) -> web.StreamResponse:
                name = request.transport.get_extra_info("sockname") if request.transport else None
                listener = self._by_real.get(name[:2]) if name else None
                if listener is None or listener.handler is None:
                    raise web.HTTPServiceUnavailable
                return await listener.handler(request)

            self._http = web.Server(dispatch, access_log=None, keepalive_timeout=30.0)
        return self._http

    def _bind(self, machine: Machine | str, ip: str, port: int) -> Listener:
        name = machine if isinstance(machine, str) else machine.name
        if port and (ip, port) in self._listeners:
            raise AddressInUse(ip, port)
        sock = self._loopback.bind(socket.SOCK_STREAM, ip, port)
        sock.listen(BACKLOG)
        listener = Listener(self, name, ip, port, sock)
        self._listeners[ip, listener.port] = listener
        self._by_real[listener.real_host, listener.real_port] = listener
        self._of_machine.setdefault(name, set()).add(listener)
        if name != EVERYWHERE and self.fleet.machine(name).power == "paused":
            listener._held = 1
        return listener

    def elsewhere(self, addresses: Container[str]) -> dict[str, str]:
        """``ip:port`` -> where it is really found, for what listens on these addresses and could not be bound there."""
        return {
            f"{item.ip}:{item.port}": f"{item.real_host}:{item.real_port}"
            for item in self._listeners.values()
            if item.ip in addresses and (item.real_host, item.real_port) != (item.ip, item.port)
        }

    def _forget(self, listener: Listener) -> None:
        self._listeners.pop((listener.ip, listener.port), None)
        self._by_real.pop((listener.real_host, listener.real_port), None)
        self._of_machine.get(listener.machine, set()).discard(listener)

    def trouble(self, listener: Listener, error: OSError) -> None:
        """Accepting failed, in practice because files ran out: let the listener rest a moment, as asyncio does."""
        self.note(f"Accepting a connection failed: {error.strerror}.")
        listener.hold()
        asyncio.get_running_loop().call_later(1.0, listener.release)

    async def latency(self, machine: str, conn: socket.socket) -> None:
        """What a slow machine adds for those who come from outside; insiders have waited in :meth:`connect`."""
        if machine == EVERYWHERE:
            return
        if (delay := self.fleet.latency(machine)) and conn.getpeername()[0] == "127.0.0.1":
            await self.clock.sleep(delay)

    # datagrams ------------------------------------------------------------------------------------------------

    async def listen_udp(
        self, machine: Machine | str, ip: str, port: int, received: Callable[[bytes], Awaitable[bytes | None]]
    ) -> tuple[str, int]:
        """Answer each datagram to ``ip:port`` with what ``received`` returns. Returns where it really is."""
        name = machine if isinstance(machine, str) else machine.name
        if (ip, port) in self._datagrams:
            raise AddressInUse(ip, port)
        sock = self._loopback.bind(socket.SOCK_DGRAM, ip, port)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Datagrams(received, lambda: not name or self.fleet.machine(name).power == "on"), sock=sock
        )
        self._datagrams[ip, port] = (name, transport)
        host, number = sock.getsockname()[:2]
        return host, number

    def real_udp(self, ip: str, port: int) -> tuple[str, int] | None:
        """As :meth:`real`, for datagrams."""
        entry = self._datagrams.get((ip, port))
        return None if entry is None else entry[1].get_extra_info("sockname")[:2]

    def close_udp(self, ip: str, port: int) -> None:
        entry = self._datagrams.pop((ip, port), None)
        if entry is not None:
            entry[1].abort()

    # connecting -----------------------------------------------------------------------------------------------

    async def connect(
        self, machine: str, ip: str, port: int, *, source: str | None = None, timeout: float | None = CONNECT_TIMEOUT
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from ``machine`` (as ``source``, an address there) to ``ip:port`` of the sandbox.

        Raises ConnectionRefusedError when nobody listens, TimeoutError after ``timeout`` sandbox seconds when the
        other machine is off, cut off or paused, and :class:`Unreachable` (``No route to host``) for an address that
        nobody has. Addresses outside of the sandbox are never connected to.
        """
        target = self.where(ip)
        listener = self._listeners.get((ip, port))
        if listener is not None:
            target = listener.machine
        if target is None:
            raise Unreachable(errno.EHOSTUNREACH, "No route to host")
        target = target or machine  # an address that each machine has its own of
        async with self.clock.timeout(timeout):
            await self._pass(machine, target)
            listener = self._listeners.get((ip, port))
            if listener is not None:
                reader, writer = await self._loopback.dial(listener.real_host, listener.real_port, source)
            elif self._borrower(ip, port) is not None:
                reader, writer = await asyncio.open_connection(self._loopback.host(ip), port)
            else:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        pair = (machine, target)
        if pair not in self._open:
            self._open[pair] = weakref.WeakSet()
        self._open[pair].add(writer)
        return reader, writer

    async def connect_outside(
        self, machine: str, place: Place, port: int, *, timeout: float | None = CONNECT_TIMEOUT
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from ``machine`` to a host of the simulated world outside; errors as those of :meth:`connect`."""
        async with self.clock.timeout(timeout):
            await self.clock.sleep(place.distance + 2 * self.fleet.latency(machine))
            while not self.fleet.online(machine):
                await self.clock.sleep(1.0)
            return await dial(place, port, self.clock.time, self._keep)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._outside.add(task)
        task.add_done_callback(self._outside.discard)

    async def _pass(self, src: str, dst: str) -> None:
        """Wait as the first packet would: its delay, a frozen machine, and for ever at a cut."""
        delay = self.fleet.delay(src, dst)
        if delay:
            await self.clock.sleep(2 * delay)
        while not self.fleet.connected(src, dst) or self.fleet.gate(dst).closed:
            if self.fleet.gate(dst).closed:
                await self.fleet.gate(dst).wait()
            else:  # SYNs go out again now and then, so a wire that is mended in time carries the next one
                await self.clock.sleep(1.0)

    # plugs ----------------------------------------------------------------------------------------------------

    def _plug_changed(self, name: str, what: str) -> None:
        listeners = tuple(self._of_machine.get(name, ()))
        if what == "fail":
            for listener in listeners:
                listener.shut()
            for place in [place for place, (machine, _) in self._datagrams.items() if machine == name]:
                self.close_udp(*place)
        elif what == "pause":
            for listener in listeners:
                listener.hold()
        elif what == "unpause":
            for listener in listeners:
                listener.release()
        if what in ("fail", "partition"):
            # A real connection over a cut wire hangs until somebody's patience ends; here it ends at once, so that
            # proxies do not pile up dead pairs of sockets.
            for (src, dst), writers in self._open.items():
                if name in (src, dst) and not self.fleet.connected(src, dst):
                    for writer in tuple(writers):
                        writer.transport.abort()

"""Listening sockets of a sandbox: whom they accept, hold, reset and leave."""

from __future__ import annotations

import asyncio
import errno
import socket
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from labkit.embedded.runtime import loops

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

    from labkit.embedded.runtime.network import Network

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
ProtocolFactory = Callable[[], asyncio.BaseProtocol]
Handler = Callable[["web.BaseRequest"], Awaitable["web.StreamResponse"]]

BACKLOG = 128


class AddressInUse(OSError):
    """Something in this sandbox listens there already."""

    def __init__(self, ip: str, port: int) -> None:
        super().__init__(errno.EADDRINUSE, f"listen tcp {ip}:{port}: bind: address already in use")


class Listener:
    """One listening socket of the sandbox. ``ip:port`` is its place in the sandbox, ``real_*`` where it really is."""

    __slots__ = (
        "_connections",
        "_factory",
        "_held",
        "_network",
        "_tasks",
        "handler",
        "ip",
        "machine",
        "port",
        "real_host",
        "real_port",
        "sock",
        "tls",
    )

    def __init__(self, network: Network, machine: str, ip: str, port: int, sock: socket.socket) -> None:
        self._network = network
        self.machine = machine
        self.ip = ip
        self.real_host, self.real_port = sock.getsockname()[:2]
        self.port = port or self.real_port
        self.sock = sock
        self.handler: Handler | None = None  # of an HTTP listener
        self.tls: ssl.SSLContext | None = None
        self._factory: ProtocolFactory | None = None
        self._connections: weakref.WeakSet[asyncio.BaseTransport] | None = None
        self._tasks: set[asyncio.Task[Any]] | None = None
        self._held = 0

    @property
    def closed(self) -> bool:
        return self.sock.fileno() < 0

    def _serve(self, factory: ProtocolFactory) -> None:
        self._factory = factory
        if not self._held:
            loops.running().add_reader(self.sock.fileno(), self._accept)

    def hold(self) -> None:
        """Answer nobody until :meth:`release`: who connects waits in the backlog. Holds are counted."""
        self._held += 1
        if self._held == 1 and not self.closed and self._factory is not None:
            loops.running().remove_reader(self.sock.fileno())

    def release(self) -> None:
        self._held = max(0, self._held - 1)
        if not self._held and not self.closed and self._factory is not None:
            loops.running().add_reader(self.sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                conn, _peer = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._network.trouble(self, error)
                return
            conn.setblocking(False)
            self._run(self._connect(conn))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Keep a reference to the task while it runs: the loop holds only weak ones."""
        if self._tasks is None:
            self._tasks = set()
        task = loops.running().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, conn: socket.socket) -> None:
        try:
            await self._network.latency(self.machine, conn)
            assert self._factory is not None
            transport, _ = await loops.running().connect_accepted_socket(self._factory, conn, ssl=self.tls)
        except (OSError, asyncio.CancelledError):
            conn.close()
            return
        if self.closed:
            transport.abort()
            return
        if self._connections is None:
            self._connections = weakref.WeakSet()
        self._connections.add(transport)

    def abort_connections(self) -> None:
        """Reset all connections that were accepted here."""
        for transport in tuple(self._connections or ()):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    async def close(self) -> None:
        """Stop listening and reset what is connected."""
        self.shut()

    def shut(self) -> None:
        """:meth:`close` for those who cannot wait; there is nothing to wait for."""
        if self.closed:
            return
        if not self._held and self._factory is not None:
            loops.running().remove_reader(self.sock.fileno())
        self.sock.close()
        for task in tuple(self._tasks or ()):
            task.cancel()
        self.abort_connections()
        self._network._forget(self)

    def retire(self) -> None:
        """Stop listening, and leave who is connected alone: they finish what they are at."""
        if self.closed:
            return
        if not self._held and self._factory is not None:
            loops.running().remove_reader(self.sock.fileno())
        self.sock.close()
        self._network._forget(self)


async def converse(connected: Connected, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await connected(reader, writer)
    except (OSError, EOFError, asyncio.IncompleteReadError):
        pass  # the other side went away
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes], Awaitable[bytes | None]], alive: Callable[[], bool]) -> None:
        self._received = received
        self._alive = alive
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own class is no DatagramTransport by isinstance before 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._alive() and len(self._tasks) < 256:
            task = loops.running().create_task(self._answer(data, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: Any) -> None:
        answer = await self._received(data)
        if answer is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)

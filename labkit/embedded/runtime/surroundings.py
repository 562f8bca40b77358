"""What a program has around it: the container's names and files, its output, its ports, its way to others.

A program is given a :class:`~labkit.embedded.runtime.processes.Process`, which is all this and has a life besides.
Nothing here starts, freezes or ends anything; :meth:`Surroundings._held` says how the process is done with both.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.gates import Held, called
from labkit.embedded.runtime.listeners import Connected, Listener
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.namespaces import Namespace
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.streams import Sink, Tap

if TYPE_CHECKING:
    import ssl

    from aiohttp import web


class Surroundings(ABC):
    """One program's view of the container ``ns``; what it writes goes to ``log``."""

    __slots__ = ("_owned", "_stderr", "_stdout", "exit_code", "log", "ns", "tty")

    def __init__(self, ns: Namespace, log: Log, *, tty: bool) -> None:
        self.ns = ns
        self.log = log
        self.tty = tty
        self.exit_code: int | None = None  # when there is one, nothing is written any more
        self._owned: list[int] | None = None  # ports
        self._stdout: Sink | None = None
        self._stderr: Sink | None = None

    @abstractmethod
    def _held(self, coro: Coroutine[Any, Any, Any]) -> Held:
        """What to await instead, so that it is frozen and ends with the process."""

    # the container --------------------------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        return self.ns.clock

    @property
    def files(self) -> Files:
        return self.ns.files

    @property
    def hostname(self) -> str:
        return self.ns.hostname

    @property
    def machine(self) -> Machine:
        return self.ns.machine

    @property
    def addresses(self) -> list[str]:
        return self.ns.addresses

    @property
    def network(self) -> Network:
        return self.ns.network

    @property
    def rng(self) -> random.Random:
        return self.ns.rng

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    # output ---------------------------------------------------------------------------------------------------

    def out(self, text: str | bytes) -> None:
        """Write to standard output."""
        self._write("stdout", text)

    def err(self, text: str | bytes) -> None:
        """Write to standard error; with a terminal both are the same."""
        self._write("stdout" if self.tty else "stderr", text)

    def _write(self, stream: str, text: str | bytes) -> None:
        if self.exit_code is None:
            data = text.encode() if isinstance(text, str) else text
            self.log.write(stream, data.replace(b"\n", b"\r\n") if self.tty else data)

    @property
    def stdout(self) -> Sink:
        """Standard output as a stream, for what may write without end."""
        if self._stdout is None:
            self._stdout = Tap(self.out)
        return self._stdout

    @property
    def stderr(self) -> Sink:
        if self._stderr is None:
            self._stderr = Tap(self.err)
        return self._stderr

    # the network ----------------------------------------------------------------------------------------------

    async def listen(self, port: int, connected: Connected) -> None:
        """Accept connections on ``port`` of all addresses of the container."""

        async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._held(called(connected, reader, writer))

        await self._listen(port, lambda ip, number: self.network.listen(self.machine, ip, number, held))

    async def listen_http(
        self,
        port: int,
        handler: Callable[[web.BaseRequest], Coroutine[Any, Any, web.StreamResponse]],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve HTTP on ``port`` of all addresses of the container; over TLS if asked."""

        async def held(request: web.BaseRequest) -> web.StreamResponse:
            return await self._held(handler(request))

        await self._listen(port, lambda ip, number: self.network.listen_http(self.machine, ip, number, held, tls=tls))

    def unlisten(self, port: int) -> None:
        """Close a port again."""
        if self._owned is not None and port in self._owned:
            self._owned.remove(port)
            self.ns.unlisten(port)

    async def _listen(self, port: int, start: Callable[[str, int], Awaitable[Listener]]) -> None:
        await self.ns.listen(port, start)
        if self._owned is None:
            self._owned = []
        self._owned.append(port)

    async def connect(
        self, host: str, port: int, timeout: float | None = 130.0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a name or address as this container sees it; obeys the plugs."""
        return await self.ns.connect(host, port, timeout)

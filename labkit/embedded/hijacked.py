"""A connection taken over from HTTP: after the answer's head it belongs to the two sides alone."""

from __future__ import annotations

import asyncio
import fcntl
import termios
from typing import Any

from aiohttp import web

from labkit.embedded.runtime.streams import Pipe

_LOOK, _LOOKS = 0.001, 500  # seconds of the wall clock between two looks at what a client has not read yet
_BLIND = 0.02
HIGH_WATER = 256 * 1024  # bytes a client may lag behind before its process has to wait


class Hijacked:
    """A connection taken over from HTTP.

    aiohttp keeps feeding what the client sends into the request's payload; this takes the transport's raw bytes
    instead by standing in as its protocol, which is also how it hears of a half-close.
    """

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol, *, early: bool = False) -> None:
        """``early`` says that nothing has to wait for :meth:`opened`."""
        self.transport = transport
        self._protocol = protocol
        self.input = Pipe(HIGH_WATER)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._full = False
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._wire = _Wire(self)
        self._early: list[bytes] | None = None if early else []
        transport.set_protocol(self._wire)
        transport.resume_reading()

    # what the wire tells

    def received(self, data: bytes) -> None:
        try:
            self.input.feed(data)
        except BrokenPipeError:
            pass
        if self.input.unread > HIGH_WATER and not self._full:
            self._full = True
            self.transport.pause_reading()

    def eof(self) -> None:
        self.input.feed_eof()

    def lost(self) -> None:
        self.input.feed_eof()
        self._roomy.set()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause(self, full: bool) -> None:
        (self._roomy.clear if full else self._roomy.set)()

    # what handlers do

    @property
    def gone(self) -> bool:
        return self.closed.done() or self.transport.is_closing()

    async def read(self) -> bytes:
        """What the client has sent; empty at the end. Its connection is not read while too much waits here."""
        data = await self.input.read()
        if self._full and self.input.unread < HIGH_WATER // 2:
            self._full = False
            self.transport.resume_reading()
        return data

    async def opened(self) -> None:
        """Wait until the client has read the answer, then send what is there.

        docker-py reads the answer through a buffer that it then throws away, so output that came right behind would
        be lost. From a real engine it never does: a process takes longer to start.
        """
        await _until_read(self.transport)
        early, self._early = self._early or [], None
        for data in early:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Send without waiting."""
        if self._early is not None:
            self._early.append(data)
        elif not self.gone:
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent."""
        await self._roomy.wait()

    async def close(self) -> None:
        """End our side, once everything is sent, and wait until the client has let go of its own.

        A client that has seen our end closes; one that does not is given two seconds.
        """
        if not self.gone and self.transport.can_write_eof():
            self.transport.write_eof()
            try:
                async with asyncio.timeout(2.0):
                    await asyncio.shield(self.closed)
            except TimeoutError:
                pass
        self.transport.close()


class _Wire(asyncio.Protocol):
    def __init__(self, owner: Hijacked) -> None:
        self._owner = owner

    def data_received(self, data: bytes) -> None:
        self._owner.received(data)

    def eof_received(self) -> bool:
        self._owner.eof()
        # The client only has no more to say; our side stays open. Over TLS there is no such thing as half an end.
        return self._owner.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        # aiohttp's own handler has to hear of it too, for its task to end.
        self._owner.lost()
        self._owner._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause(True)

    def resume_writing(self) -> None:
        self._owner.pause(False)


async def _until_read(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    for _ in range(_LOOKS):
        try:
            waiting = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):  # this system cannot tell, or the client is gone
            await asyncio.sleep(_BLIND)
            return
        if not any(waiting):
            return
        await asyncio.sleep(_LOOK)


class Detached(web.Response):
    """The answer to a hijacked request: everything was said, there is nothing left for aiohttp to send."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None

    async def write_eof(self, data: Any = b"") -> None:
        return None

"""Streams over one connection, SPDY's way: the client opens them, either side writes and half-closes each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from labkit.embedded.kubernetes.apiserver import spdyframes
from labkit.embedded.kubernetes.apiserver.spdyframes import Codec, Frame, SpdyError
from labkit.embedded.kubernetes.apiserver.wires import Wire
from labkit.embedded.runtime.streams import Pipe

MAX_STREAMS = 1000  # open at once
PIECE = 32 * 1024  # bytes of data in a frame
CAPACITY = 256 * 1024  # bytes that may wait for a stream's reader before the connection is read no further


class Stream:
    """One stream. ``headers`` are those it was opened with."""

    def __init__(self, mux: Mux, number: int, headers: Mapping[str, str]) -> None:
        self._mux = mux
        self.number = number
        self.headers = headers
        self.input = Pipe(CAPACITY)
        self.ended = False  # our half

    async def read(self) -> bytes:
        """What the client has written; empty once it has closed its half."""
        return await self.input.read()

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when nobody reads any more."""
        if self.ended:
            raise BrokenPipeError("the stream is closed")
        for start in range(0, len(data), PIECE):
            await self._mux.send(spdyframes.data_frame(self.number, data[start : start + PIECE]))

    async def end(self) -> None:
        """Close our half."""
        if not self.ended:
            self.ended = True
            try:
                await self._mux.send(spdyframes.data_frame(self.number, b"", fin=True))
            except ConnectionError:
                pass

    async def reset(self) -> None:
        """Close both halves."""
        self.ended = True
        self.input.feed_eof()
        self.input.close_reading()
        self._mux.forget(self)
        try:
            await self._mux.send(spdyframes.reset(self.number, spdyframes.CANCEL))
        except ConnectionError:
            pass


class Mux:
    """The server's side of a connection. :meth:`accept` while :meth:`run` runs beside."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._codec = Codec()
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._sending = asyncio.Lock()
        self.closed = False

    async def accept(self) -> Stream | None:
        """The next stream that the client opens; None at the end."""
        stream = await self._opened.get()
        if stream is None:
            self._opened.put_nowait(None)
        return stream

    async def run(self) -> None:
        """Read until the connection ends."""
        try:
            while data := await self._wire.read():
                for frame in self._codec.feed(data):
                    await self._take(frame)
        except (SpdyError, ConnectionError):
            pass
        finally:
            self.closed = True
            for stream in self._streams.values():
                stream.input.feed_eof()
            self._opened.put_nowait(None)

    async def _take(self, frame: Frame) -> None:
        if frame.kind == spdyframes.SYN_STREAM:
            await self._open(frame)
            return
        if frame.kind == spdyframes.PING:
            await self.send(spdyframes.pong(frame.value))
            return
        stream = self._streams.get(frame.stream)
        if stream is None:
            return
        if frame.kind == 0:
            try:
                if frame.data:
                    await stream.input.write(frame.data)
            except BrokenPipeError:
                pass
            if frame.fin:
                stream.input.feed_eof()
        elif frame.kind == spdyframes.RST_STREAM:
            stream.ended = True
            stream.input.feed_eof()
            self.forget(stream)

    async def _open(self, frame: Frame) -> None:
        if frame.stream in self._streams or not frame.stream % 2:
            await self.send(spdyframes.reset(frame.stream, spdyframes.PROTOCOL_ERROR))
            return
        if len(self._streams) >= MAX_STREAMS:
            await self.send(spdyframes.reset(frame.stream, spdyframes.REFUSED_STREAM))
            return
        stream = Stream(self, frame.stream, frame.headers)
        self._streams[frame.stream] = stream
        if frame.fin:
            stream.input.feed_eof()
        await self.send(self._codec.reply(frame.stream))
        self._opened.put_nowait(stream)

    async def send(self, data: bytes) -> None:
        """One frame, whole. Raises ConnectionError when the client is gone."""
        async with self._sending:
            await self._wire.write(data)

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)

    async def close(self) -> None:
        """End the connection."""
        try:
            await self.send(spdyframes.goaway())
        except ConnectionError:
            pass
        await self._wire.close()

"""Streams between the processes of a sandbox: bounded pipes, and where a program's output can go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

CAPACITY = 64 * 1024  # as a pipe of Linux


class Sink(Protocol):
    """Takes bytes, and makes the writer wait when it cannot take more."""

    async def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Source(Protocol):
    """Gives bytes; an empty answer is the end."""

    async def read(self, size: int = CAPACITY) -> bytes: ...

    async def readline(self) -> bytes: ...

    def close(self) -> None: ...


class Pipe:
    """Both ends of a pipe. A writer waits while it is full and gets BrokenPipeError when nobody reads any more.

    ``docker exec -i`` and ``attach`` put what the client sends in with :meth:`write` and say EOF with :meth:`feed_eof`.
    """

    __slots__ = ("_capacity", "_data", "_eof", "_readers", "_unread", "_writers")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._data = bytearray()
        self._capacity = capacity
        self._eof = False
        self._unread = False  # the reading end is closed
        self._readers: list[asyncio.Future[None]] = []
        self._writers: list[asyncio.Future[None]] = []

    async def write(self, data: bytes) -> None:
        while len(self._data) >= self._capacity and not self._unread:
            await _park(self._writers)
        self.feed(data)
        if len(self._data) >= self._capacity and not self._unread:
            await _park(self._writers)

    def feed(self, data: bytes) -> None:
        """Put bytes in without waiting, for those who do their own flow control."""
        if self._unread:
            raise BrokenPipeError
        if data and not self._eof:
            self._data += data
            _release(self._readers)

    def feed_eof(self) -> None:
        """The writing end is closed: readers get what is left, then the end."""
        self._eof = True
        _release(self._readers)

    def close(self) -> None:
        """As a :class:`Sink`: the writer has finished."""
        self.feed_eof()

    def close_reading(self) -> None:
        """Nobody will read from now on."""
        self._unread = True
        self._data.clear()
        _release(self._writers)

    @property
    def unread(self) -> int:
        """Bytes that wait for a reader."""
        return len(self._data)

    @property
    def at_eof(self) -> bool:
        return self._eof and not self._data

    async def read(self, size: int = CAPACITY) -> bytes:
        """Up to ``size`` bytes as soon as there are any; empty at the end."""
        while not self._data and not self._eof:
            await _park(self._readers)
        taken = bytes(self._data[:size])
        del self._data[:size]
        _release(self._writers)
        return taken

    async def readline(self) -> bytes:
        """Bytes up to and with a newline; what is left at the end; no more than the capacity at once."""
        seen = 0
        while True:
            end = self._data.find(b"\n", seen)
            if end >= 0:
                return await self.read(end + 1)
            seen = len(self._data)
            if self._eof or seen >= self._capacity:
                return await self.read(max(seen, 1)) if seen else b""
            await _park(self._readers)


class Bytes:
    """A source that holds all it has: a file, a here-document, nothing at all."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._position = 0

    async def read(self, size: int = CAPACITY) -> bytes:
        taken = self._data[self._position : self._position + size]
        self._position += len(taken)
        return taken

    async def readline(self) -> bytes:
        end = self._data.find(b"\n", self._position)
        return await self.read((len(self._data) if end < 0 else end + 1) - self._position)

    def close(self) -> None:
        pass


class Tap:
    """A sink that hands on to a function. Every 64 KiB it lets the others run, however fast the writer is."""

    __slots__ = ("_count", "_fn")

    def __init__(self, fn: Callable[[bytes], object]) -> None:
        self._fn = fn
        self._count = 0

    async def write(self, data: bytes) -> None:
        self._fn(data)
        self._count += len(data)
        if self._count >= CAPACITY:
            self._count = 0
            await asyncio.sleep(0)

    def close(self) -> None:
        pass


class TooMuch(Exception):
    """More bytes than a sandbox lets one value have."""


class Buffer:
    """A sink that keeps what it gets, up to ``limit`` bytes, then raises :class:`TooMuch`."""

    __slots__ = ("_limit", "_tap", "data")

    def __init__(self, limit: int = 1024 * 1024) -> None:
        self.data = bytearray()
        self._limit = limit
        self._tap = Tap(self._take)

    def _take(self, data: bytes) -> None:
        if len(self.data) + len(data) > self._limit:
            raise TooMuch
        self.data += data

    async def write(self, data: bytes) -> None:
        await self._tap.write(data)

    def close(self) -> None:
        pass


async def _park(waiting: list[asyncio.Future[None]]) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting.append(future)
    try:
        await future
    finally:
        if future in waiting:
            waiting.remove(future)


def _release(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)

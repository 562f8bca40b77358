"""What a container wrote: whole lines with their time, in bounded memory, as Docker's json-file driver keeps them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from labkit.embedded.runtime.clock import Clock

MAX_BYTES = 1024 * 1024
MAX_LINES = 10_000
MAX_LINE = 16 * 1024  # Docker cuts longer lines into pieces of this size
_SHORT = 24  # lines; they hold less than MAX_BYTES, since none is longer than MAX_LINE
_LINE_COST = 64  # what a line takes beyond its bytes, roughly


class LogLine(NamedTuple):
    """One line as it was written, ``\\n`` included (a piece of a very long line has none)."""

    time: float
    stream: str  # "stdout" | "stderr"
    data: bytes


class Log:
    """The log of one container. Old lines go when it holds more than ``MAX_BYTES`` or ``MAX_LINES``."""

    __slots__ = ("_clock", "_closed", "_dropped", "_lines", "_partial", "_size", "_taps", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # A list while it is short: an empty deque takes 600 bytes, and most containers write little.
        self._lines: deque[LogLine] | list[LogLine] | None = None
        self._dropped = 0  # lines that have gone; the number of the oldest that is left
        self._size = 0
        self._partial: dict[str, bytearray] | None = None
        self._taps: list[Callable[[str, bytes], object]] | None = None
        self._waiting: list[asyncio.Future[None]] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """True when nobody is left who writes: followers come to an end."""
        return self._closed

    def write(self, stream: str, data: bytes) -> None:
        """Take what a process wrote to ``stdout`` or ``stderr``; lines are kept when they are whole."""
        if not data:
            return
        for tap in tuple(self._taps or ()):
            tap(stream, data)
        if self._partial is None:
            self._partial = {}
        partial = self._partial.get(stream)
        if partial:
            data = bytes(partial) + data
            partial.clear()
        start, now = 0, self._clock.time()
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(stream, data[start : end + 1], now)
            start = end + 1
        if start < len(data):
            rest = data[start:]
            while len(rest) >= MAX_LINE:
                self._add(LogLine(now, stream, rest[:MAX_LINE]))
                rest = rest[MAX_LINE:]
            self._partial[stream] = bytearray(rest)
        self._wake()

    def open(self) -> None:
        """The container has been started (again)."""
        self._closed = False

    def close(self) -> None:
        """The last writer has gone: keep what has no newline yet, and let followers end."""
        for stream, rest in (self._partial or {}).items():
            if rest:
                self._add(LogLine(self._clock.time(), stream, bytes(rest)))
        self._partial = None
        self._closed = True
        self._wake()

    def clear(self) -> None:
        """Forget everything."""
        self._dropped += len(self._lines or ())
        self._lines, self._size = None, 0

    def tap(self, fn: Callable[[str, bytes], object]) -> Callable[[], None]:
        """Have ``fn(stream, data)`` called with the raw bytes as they are written, prompts without a newline included.

        This is what ``docker attach`` shows. Returns what ends it.
        """
        if self._taps is None:
            self._taps = []
        taps = self._taps
        taps.append(fn)
        return lambda: taps.remove(fn) if fn in taps else None

    def lines(self, since: float | None = None, until: float | None = None, tail: int | None = None) -> list[LogLine]:
        """The lines of that time, the last ``tail`` of them."""
        found = [
            line
            for line in self._lines or ()
            if (since is None or line.time >= since) and (until is None or line.time <= until)
        ]
        return found if tail is None or tail < 0 else found[max(0, len(found) - tail) :]

    async def follow(
        self, since: float | None = None, until: float | None = None, tail: int | None = None
    ) -> AsyncIterator[LogLine]:
        """:meth:`lines`, then each new one as it comes, until the log is closed or ``until`` has passed."""
        number = self._dropped + len(self._lines or ())
        for line in self.lines(since, until, tail):
            yield line
        while True:
            lines = self._lines
            newest = self._dropped + len(lines or ())
            if lines is not None and number < newest:
                number = max(number, self._dropped)  # a follower that is too slow misses what was dropped
                for line in list(lines)[number - self._dropped :]:
                    number += 1
                    if until is not None and line.time > until:
                        return
                    if since is None or line.time >= since:
                        yield line
                continue
            if self._closed or (until is not None and self._clock.time() >= until):
                return
            await self._more(until)

    async def _more(self, until: float | None) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(woken)
        try:
            async with self._clock.timeout(None if until is None else until - self._clock.time()):
                await woken
        except TimeoutError:
            pass

    def _keep(self, stream: str, line: bytes, now: float) -> None:
        for start in range(0, len(line), MAX_LINE):
            self._add(LogLine(now, stream, line[start : start + MAX_LINE]))

    def _add(self, line: LogLine) -> None:
        if self._lines is None:
            self._lines = []
        elif len(self._lines) == _SHORT:
            self._lines = deque(self._lines)
        self._lines.append(line)
        self._size += len(line.data) + _LINE_COST
        while isinstance(self._lines, deque) and (self._size > MAX_BYTES or len(self._lines) > MAX_LINES):
            self._size -= len(self._lines.popleft().data) + _LINE_COST
            self._dropped += 1

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        for future in waiting or ():
            if not future.done():
                future.set_result(None)

"""What a tool of the shell is given: its arguments, streams, environment and files, and the pace it may run at."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.runtime.files import Files, normal
from labkit.embedded.runtime.gates import Gate
from labkit.embedded.runtime.namespaces import Entry, Namespace
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.streams import CAPACITY, Buffer, Bytes, Sink, Source, TooMuch

LIMIT = 1024 * 1024  # bytes that one tool may hold at once
_SLICE = 32  # steps between two looks at whether others want to run
_BURST = 40  # slices at full speed before a program that never waits is held back
_REST = 0.01  # seconds of real time between two slices from then on


class Failure(Exception):
    """A tool gives up: ``words`` go to standard error after its name, ``code`` is its exit code."""

    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.words = words
        self.code = code


class Pace:
    """Keeps a program that never waits from starving the others: a burst at full speed, then a few percent of it.

    Goes by real time, not sandbox time: it is this computer's processor that is shared.
    """

    __slots__ = ("_gate", "_process", "_slices", "_steps")
    _busy = 0  # how many are being held back just now, in the whole sandbox

    def __init__(self, process: Process) -> None:
        self._process = process
        self._steps = 0
        self._slices = 0
        self._gate = Gate()  # closed while it rests: the stages of a pipeline rest together

    async def step(self) -> None:
        """To be awaited in every turn of a loop that might never end."""
        if self._gate.closed:
            await self._gate.wait()
        self._steps += 1
        if self._steps < _SLICE:
            return
        self._steps = 0
        self._slices += 1
        if self._slices < _BURST:
            await asyncio.sleep(0)
            return
        if self._gate.closed:
            return
        Pace._busy += 1
        self._gate.close()
        try:
            rest = _REST * Pace._busy
            await asyncio.sleep(rest)
            self._process.busy(rest * self._process.clock.speed)
        finally:
            Pace._busy -= 1
            self._gate.open()

    def rested(self) -> None:
        """The program has waited for something: it may burst again."""
        self._slices = 0


Applet = Callable[["Context"], Awaitable["int | None"]]


@dataclass(slots=True)
class Context:
    """One run of a tool."""

    name: str
    args: list[str]  # without the name
    process: Process
    stdin: Source
    stdout: Sink
    stderr: Sink
    env: dict[str, str]
    cwd: str
    pace: Pace
    run: Callable[[Context, list[str]], Awaitable[int]] = field(repr=False)  # another program with the same streams
    entry: Entry | None = None  # its line in the process table
    title: str = ""  # what complaints begin with, when it is not the name
    failed: bool = False  # some file could not be read
    shell: Any = None  # the Shell that it runs in, for those that are part of it (test, kill %1)

    @property
    def ns(self) -> Namespace:
        return self.process.ns

    @property
    def files(self) -> Files:
        return self.process.files

    def path(self, name: str) -> str:
        """The absolute path of a name that was given on the command line."""
        return normal(name, self.cwd)

    async def out(self, text: str | bytes) -> None:
        await self.stdout.write(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)

    async def err(self, text: str) -> None:
        await self.stderr.write(text.encode("utf-8", "surrogateescape"))

    async def say(self, words: str) -> None:
        """A complaint, with the tool's name before it."""
        await self.err(f"{self.title or self.name}: {words}\n")

    async def sleep(self, seconds: float) -> None:
        await self.process.sleep(seconds)
        self.pace.rested()

    def open(self, name: str) -> Source:
        """A file of the command line for reading; ``-`` is standard input. :class:`Failure` in the tool's words."""
        if name == "-":
            return self.stdin
        try:
            path = self.files.real(self.path(name))
            return special_source(path, self.stdin) or Bytes(self.files.read(path))
        except IsADirectoryError:
            raise Failure("read error: Is a directory") from None
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}") from None

    async def read_all(self, source: Source, limit: int = LIMIT) -> bytes:
        """All of a stream, if it is not too long for a tool that has to hold it."""
        buffer = Buffer(limit)
        try:
            while data := await source.read(CAPACITY):
                await buffer.write(data)
                await self.pace.step()
        except TooMuch:
            raise Failure("out of memory") from None
        return bytes(buffer.data)

    async def lines(self, source: Source) -> AsyncIterator[bytes]:
        """The lines of a stream, newline included, held back when they never end."""
        while line := await source.readline():
            await self.pace.step()
            yield line

    async def inputs(self, names: list[str], complaint: str = "{}") -> AsyncIterator[tuple[str, Source]]:
        """The files that were named (standard input if none was); complains of those that cannot be read."""
        for name in names or ["-"]:
            try:
                source = self.open(name)
            except Failure as failure:
                reason = failure.words.removeprefix(f"{name}: ")
                await self.say(f"{reason if 'read error' in reason else complaint.format(name) + ': ' + reason}")
                self.failed = True
                continue
            yield name, source


class Endless:
    """``/dev/zero`` and ``/dev/urandom``."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[int], bytes]) -> None:
        self._make = make

    async def read(self, size: int = CAPACITY) -> bytes:
        await asyncio.sleep(0)
        return self._make(min(size, CAPACITY))

    async def readline(self) -> bytes:
        return await self.read()

    def close(self) -> None:
        pass


def special_source(path: str, stdin: Source) -> Source | None:
    if path in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/tty"):
        return stdin
    if path == "/dev/zero":
        return Endless(bytes)
    if path in ("/dev/urandom", "/dev/random"):
        return Endless(os.urandom)
    return None


class FileSink:
    """Writes through to a file of the container, so that others see it at once."""

    __slots__ = ("_files", "_path")

    def __init__(self, files: Files, path: str, append: bool) -> None:
        self._files = files
        self._path = files.real(path)  # where a link leads when it is opened
        if not append or not files.exists(path):
            files.write(path, b"")
        else:
            files.check_write(path)

    async def write(self, data: bytes) -> None:
        if not self._files.isfile(self._path):
            return  # removed while it was open: the bytes go where nobody sees them
        self._files.write(self._path, data, append=True)
        if len(data) > CAPACITY:
            await asyncio.sleep(0)

    def close(self) -> None:
        pass

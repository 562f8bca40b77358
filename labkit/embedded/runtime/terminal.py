"""The line discipline of a terminal: echo, editing of a line, Ctrl-C and Ctrl-D, for ``docker run -it``.

The client's own terminal is in raw mode, so all of this happens on the container's side, as in a real pty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labkit.embedded.runtime.streams import CAPACITY, Source

MAX_LINE = 4096  # characters, as Linux's N_TTY
MAX_HISTORY = 200

_INTERRUPT, _EOF, _QUIT = 3, 4, 28
_ERASE = (8, 127)
_KILL_LINE, _KILL_WORD, _CLEAR = 21, 23, 12


class Terminal:
    """Makes lines of what somebody types. A :class:`~labkit.embedded.runtime.streams.Source` for programs."""

    __slots__ = (
        "_echo",
        "_escape",
        "_history",
        "_line",
        "_on_interrupt",
        "_place",
        "_raw",
        "_ready",
        "_woken",
        "interrupted",
    )

    def __init__(self, raw: Source, echo: Callable[[bytes], object], on_interrupt: Callable[[], object]) -> None:
        self._raw = raw
        self._echo = echo
        self._on_interrupt = on_interrupt
        self._line = ""
        self._escape = ""
        self._ready: list[bytes] = []  # finished lines; an empty one is Ctrl-D
        self._woken: asyncio.Future[None] | None = None
        self._history: list[str] = []
        self._place = 0  # in the history
        self.interrupted = False  # a read ended because of Ctrl-C

    async def pump(self) -> None:
        """Take in what is typed, until the other side hangs up."""
        while data := await self._raw.read(CAPACITY):
            for char in data.decode("utf-8", "replace"):
                self._typed(char)
        self._finish(self._line.encode())
        self._finish(b"")

    # typing ---------------------------------------------------------------------------------------------------

    def _typed(self, char: str) -> None:
        if self._escape or char == "\x1b":
            self._sequence(char)
            return
        code = ord(char)
        if char in "\r\n":
            self._echo(b"\n")
            if self._line.strip() and self._history[-1:] != [self._line]:
                self._history = [*self._history[-MAX_HISTORY:], self._line]
            self._place = len(self._history)
            line, self._line = self._line, ""
            self._finish(f"{line}\n".encode())
        elif code == _INTERRUPT:
            self._line = ""
            self._echo(b"^C\n")
            self._on_interrupt()
        elif code == _EOF:
            line, self._line = self._line, ""
            self._finish(line.encode())
        elif code in _ERASE:
            self._replace(self._line[:-1])
        elif code == _KILL_LINE:
            self._replace("")
        elif code == _KILL_WORD:
            self._replace(self._line.rstrip().rpartition(" ")[0] + (" " if " " in self._line.rstrip() else ""))
        elif code == _CLEAR:
            self._echo(b"\x1b[H\x1b[J" + self._line.encode())
        elif code >= 32 and len(self._line) < MAX_LINE:
            self._line += char
            self._echo(char.encode())

    def _sequence(self, char: str) -> None:
        """Arrow keys and their like: up and down walk through the history, all others do nothing."""
        self._escape += char
        if len(self._escape) < 3 and self._escape in ("\x1b", "\x1b[", "\x1bO"):
            return
        if not (char.isalpha() or char == "~") and len(self._escape) < 8:
            return
        key, self._escape = char, ""
        if key in "AB" and self._history:
            self._place = min(max(0, self._place + (1 if key == "B" else -1)), len(self._history))
            self._replace(self._history[self._place] if self._place < len(self._history) else "")

    def _replace(self, line: str) -> None:
        common = len(line) if self._line.startswith(line) else 0
        erased = len(self._line) - common
        self._echo(b"\b \b" * erased + line[common:].encode())
        self._line = line

    def _finish(self, line: bytes) -> None:
        self._ready.append(line)
        self._wake()

    def interrupt(self) -> None:
        """Let whoever reads a line get an empty one, with ``interrupted`` set."""
        self.interrupted = True
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    # reading --------------------------------------------------------------------------------------------------

    async def readline(self) -> bytes:
        while not self._ready:
            if self.interrupted:
                return b""
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        return self._ready.pop(0)

    async def read(self, size: int = CAPACITY) -> bytes:
        line = await self.readline()
        if len(line) > size:
            self._ready.insert(0, line[size:])
            line = line[:size]
        return line

    def close(self) -> None:
        self._raw.close()

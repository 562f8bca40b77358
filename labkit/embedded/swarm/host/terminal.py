"""What a terminal in the kernel does between a person's keys and a program: echo, lines, and keys that are signals."""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.runtime.streams import Pipe

_ERASE = b"\x7f\x08"
_KILL_LINE, _WORD, _EOF, _INTERRUPT, _QUIT, _SUSPEND = 0x15, 0x17, 0x04, 0x03, 0x1C, 0x1A
SIGINT, SIGQUIT = 2, 3


class Terminal:
    """The line discipline in its usual (canonical) mode.

    Args:
        pipe: the program's standard input; gets whole lines.
        echo: shows bytes to the person.
        signal: gets SIGINT for ``^C`` and SIGQUIT for ``^\\``.
    """

    def __init__(self, pipe: Pipe, echo: Callable[[bytes], object], signal: Callable[[int], object]) -> None:
        self._pipe = pipe
        self._echo = echo
        self._signal = signal
        self._line = bytearray()

    def feed(self, data: bytes) -> None:
        """The person has typed ``data``."""
        for byte in data:
            self._key(byte)

    def _key(self, byte: int) -> None:
        if byte in b"\r\n":
            self._echo(b"\r\n")
            self._deliver(bytes(self._line) + b"\n")
        elif byte in _ERASE:
            if self._line:
                _drop_character(self._line)
                self._echo(b"\b \b")
        elif byte == _KILL_LINE:
            self._rub_out(len(self._line))
        elif byte == _WORD:
            kept = bytes(self._line).rstrip().rpartition(b" ")
            self._rub_out(len(self._line) - len(kept[0] + kept[1]))
        elif byte == _EOF:
            if self._line:
                self._deliver(bytes(self._line))
            else:
                self._pipe.feed_eof()
        elif byte in (_INTERRUPT, _QUIT):
            self._line.clear()
            self._echo(b"^C" if byte == _INTERRUPT else b"^\\")
            self._signal(SIGINT if byte == _INTERRUPT else SIGQUIT)
        elif byte == _SUSPEND:
            self._echo(b"^Z")
        elif byte >= 0x20 or byte == 0x09:
            self._line.append(byte)
            self._echo(bytes((byte,)))

    def _rub_out(self, count: int) -> None:
        if count:
            del self._line[-count:]
            self._echo(b"\b \b" * count)

    def _deliver(self, line: bytes) -> None:
        self._line.clear()
        try:
            self._pipe.feed(line)
        except BrokenPipeError:
            pass  # the program reads no more

    def hang_up(self) -> None:
        """The person is gone."""
        self._pipe.feed_eof()


def _drop_character(line: bytearray) -> None:
    """Remove the last character, all bytes of it in UTF-8."""
    while line and line[-1] & 0xC0 == 0x80:
        del line[-1]
    if line:
        del line[-1]


class DetachKeys:
    """Notices the sequence (``ctrl-p,ctrl-q`` unless told otherwise) by which a client leaves without stopping."""

    def __init__(self, keys: bytes = b"\x10\x11") -> None:
        self._keys = keys
        self._seen = 0

    def filter(self, data: bytes) -> tuple[bytes, bool]:
        """What of ``data`` goes on to the program, and whether the client has detached."""
        out = bytearray()
        for byte in data:
            if self._keys and byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self._seen = 0
                    return bytes(out), True
                continue
            if self._seen:
                out += self._keys[: self._seen]
                self._seen = 1 if self._keys and byte == self._keys[0] else 0
                if self._seen:
                    continue
            out.append(byte)
        return bytes(out), False


def parse_keys(text: str) -> bytes | None:
    """``ctrl-p,ctrl-q`` as bytes; None when it is no such sequence."""
    keys = bytearray()
    for word in text.split(","):
        if len(word) == 1:
            keys += word.encode()
        elif word.startswith("ctrl-") and len(word) == 6 and (word[5].isalpha() or word[5] in "@[\\]^_"):
            keys.append(ord(word[5].upper()) & 0x1F)
        else:
            return None
    return bytes(keys)

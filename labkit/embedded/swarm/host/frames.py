"""The wire format of container output: an eight-byte header before every piece, unless a terminal mixes the streams."""

from __future__ import annotations

import struct
from urllib.parse import quote_plus

from .wording import rfc3339fixed

STDIN, STDOUT, STDERR, SYSTEMERR = range(4)
STREAMS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "systemerr": SYSTEMERR}

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


def frame(stream: int, data: bytes) -> bytes:
    """``data`` behind its header: stream number, three zero bytes, length in big-endian order."""
    return struct.pack(">BxxxI", stream, len(data)) + data


def content_type(tty: bool, api_version: tuple[int, int]) -> str:
    """Engines before API 1.42 called both forms raw."""
    return RAW if tty or api_version < (1, 42) else MULTIPLEXED


def attributes(pairs: dict[str, str]) -> bytes:
    """``a=1,b=2``, sorted and URL-quoted: what ``details=1`` puts before a line."""
    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(pairs.items())).encode()


def render(
    stream: str, data: bytes, when: float, *, timestamps: bool, details: dict[str, str] | None, multiplexed: bool
) -> bytes:
    """One log line as ``GET /containers/{id}/logs`` sends it; ``details`` None means not asked for."""
    if details is not None:
        data = attributes(details) + b" " + data
    if timestamps:
        data = rfc3339fixed(when).encode() + b" " + data
    return frame(STREAMS[stream], data) if multiplexed else data

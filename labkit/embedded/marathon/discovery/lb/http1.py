"""Heads and bodies of HTTP/1.1 messages as they pass by: read, and copied without being taken apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

MAX_HEAD = 16 * 1024  # bytes, as HAProxy's tune.bufsize
_CHUNK = 64 * 1024


class BadMessage(ValueError):
    """What came is not HTTP/1."""


@dataclass(slots=True)
class Head:
    """A start line in its three parts, and the header lines as they came."""

    start: tuple[str, str, str]
    lines: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The first value of a header; ``name`` in lower case. "" when it is not there."""
        return next((value for key, value in self.lines if key.lower() == name), "")

    def has(self, name: str, token: str) -> bool:
        """Is the word among the comma-separated values of a header?"""
        return any(
            token == word.strip().lower()
            for key, value in self.lines
            if key.lower() == name
            for word in value.split(",")
        )

    def without(self, *names: str) -> Head:
        """The same without these headers, given in lower case."""
        return Head(self.start, [(key, value) for key, value in self.lines if key.lower() not in names])

    def encode(self) -> bytes:
        """As it goes over the wire, with the empty line behind."""
        text = " ".join(part for part in self.start if part) + "\r\n"
        text += "".join(f"{key}: {value}\r\n" for key, value in self.lines)
        return (text + "\r\n").encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next message's head; None when the other side closed instead. Raises :class:`BadMessage`, OSError."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
        while raw.startswith(b"\r\n"):  # an empty line in front is allowed (RFC 9112, 2.2)
            raw = raw[2:] or await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BadMessage("the head breaks off") from None
        return None
    except asyncio.LimitOverrunError:
        raise BadMessage("the head is too long") from None
    if len(raw) > MAX_HEAD:
        raise BadMessage("the head is too long")
    first, *rest = raw.decode("latin-1")[:-4].split("\r\n")
    start = first.split(" ", 2)
    if len(start) < 2:
        raise BadMessage(first)
    lines = []
    for line in rest:
        key, colon, value = line.partition(":")
        if not colon or not key or key != key.strip():
            raise BadMessage(line)
        lines.append((key, value.strip()))
    head = Head((start[0], start[1], start[2] if len(start) == 3 else ""), lines)
    if not (head.start[0].startswith("HTTP/1.") or head.start[2].startswith("HTTP/1.")):
        raise BadMessage(first)
    _check_framing(head)
    return head


def _check_framing(head: Head) -> None:
    """Lengths that contradict one another are how requests are smuggled past a proxy (RFC 9112, 6.3)."""
    lengths = {value for key, value in head.lines if key.lower() == "content-length"}
    if len(lengths) > 1 or any(not value.isdigit() for value in lengths):
        raise BadMessage("Content-Length")
    if lengths and head.get("transfer-encoding"):
        raise BadMessage("Content-Length with Transfer-Encoding")


def request_body(request: Head) -> int | None:
    """How long a request's body is; None for a chunked one."""
    if request.has("transfer-encoding", "chunked"):
        return None
    return int(request.get("content-length") or 0)


def response_body(response: Head, method: str) -> int | None:
    """How long a response's body is: None for a chunked one, -1 when it ends with the connection."""
    status = response.start[1]
    if method == "HEAD" or status in ("204", "304") or status.startswith("1"):
        return 0
    if response.has("transfer-encoding", "chunked"):
        return None
    length = response.get("content-length")
    return int(length) if length else -1


async def body(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """The bytes of a body as they are on the wire, chunk sizes and all. Raises IncompleteReadError, BadMessage."""
    if length is None:
        async for piece in _chunks(reader):
            yield piece
    elif length < 0:
        while piece := await reader.read(_CHUNK):
            yield piece
    else:
        while length:
            piece = await reader.read(min(length, _CHUNK))
            if not piece:
                raise asyncio.IncompleteReadError(b"", length)
            length -= len(piece)
            yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        try:
            size = int(line.split(b";", 1)[0].strip(), 16)
        except ValueError:
            raise BadMessage("chunk size") from None
        yield line
        if not size:
            break
        async for piece in body(reader, size + 2):
            yield piece
    while True:  # trailers
        line = await reader.readuntil(b"\r\n")
        yield line
        if line == b"\r\n":
            return


async def content(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """The content of a body, out of its chunks."""
    if length is not None:
        async for piece in body(reader, length):
            yield piece
        return
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";", 1)[0].strip(), 16)
        if not size:
            await reader.readuntil(b"\r\n")
            return
        async for piece in body(reader, size):
            yield piece
        await reader.readexactly(2)

"""SPDY/3.1 as bytes: frames, and header blocks with their dictionary (draft-mbelshe-httpbis-spdy-00).

kubectl speaks it for ``port-forward`` (inside a WebSocket since 1.31, bare before), and before 1.29 for ``exec`` and
``attach`` as well. Nothing else does any more, so only what ``moby/spdystream`` sends and understands is here.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL = 1, 2, 3, 5

MAX_FRAME = 1024 * 1024  # bytes; the real ones send at most 32 KiB of data at once
MAX_HEADERS = 64 * 1024  # bytes of a header block once it is unpacked

_NAMES = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(
    struct.pack(">I", len(name)) + name.replace("_", " ").encode() for name in _NAMES.split(" ")
) + _REST.encode()  # fmt: skip


class SpdyError(ConnectionError):
    """The other side does not speak SPDY/3.1."""


@dataclass(slots=True)
class Frame:
    """A frame as read. ``kind`` is 0 for data, else the type of the control frame."""

    kind: int
    stream: int
    flags: int = 0
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    value: int = 0  # a status, a ping's number, a window's growth

    @property
    def fin(self) -> bool:
        return bool(self.flags & FIN)


class Codec:
    """Reads frames out of bytes, and writes them. Header blocks are compressed over the whole connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises SpdyError."""
        buffer = self._buffer
        buffer += data
        frames = []
        while len(buffer) >= 8:
            length = int.from_bytes(buffer[5:8], "big")
            if length > MAX_FRAME:
                raise SpdyError(f"a frame of {length} bytes")
            if len(buffer) < 8 + length:
                break
            head, payload = bytes(buffer[:8]), bytes(buffer[8 : 8 + length])
            del buffer[: 8 + length]
            frame = self._control(head, payload) if head[0] & 0x80 else self._data(head, payload)
            if frame is not None:
                frames.append(frame)
        return frames

    @staticmethod
    def _data(head: bytes, payload: bytes) -> Frame:
        return Frame(0, int.from_bytes(head[:4], "big") & 0x7FFFFFFF, head[4], payload)

    def _control(self, head: bytes, payload: bytes) -> Frame | None:
        version, kind = struct.unpack(">HH", head[:4])
        if version & 0x7FFF != 3:
            raise SpdyError(f"version {version & 0x7FFF}")
        flags = head[4]
        least = {SYN_STREAM: 10, SYN_REPLY: 4, RST_STREAM: 8, PING: 4, GOAWAY: 8, HEADERS: 4, WINDOW_UPDATE: 8}
        if len(payload) < least.get(kind, 0):
            raise SpdyError(f"a frame of type {kind} that is too short")
        if kind == PING:
            return Frame(kind, 0, flags, value=int.from_bytes(payload[:4], "big"))
        if kind not in least:  # settings, and what is unknown, may be passed over
            return None
        stream = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        if kind in (SYN_STREAM, SYN_REPLY, HEADERS):
            return Frame(kind, stream, flags, headers=self._unpack(payload[10 if kind == SYN_STREAM else 4 :]))
        return Frame(kind, stream, flags, value=int.from_bytes(payload[4:8], "big"))

    def _unpack(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, MAX_HEADERS)
        except zlib.error as error:
            raise SpdyError(f"a broken header block: {error}") from None
        if self._inflate.unconsumed_tail:
            raise SpdyError("a header block that is too long")
        headers: dict[str, str] = {}
        try:
            (count,) = struct.unpack_from(">I", plain, 0)
            at = 4
            for _ in range(min(count, 1000)):
                name, at = _text(plain, at)
                value, at = _text(plain, at)
                headers[name.lower()] = value.partition("\0")[0]
        except struct.error:
            raise SpdyError("a header block that is too short") from None
        return headers

    # -- writing

    def reply(self, stream: int, headers: dict[str, str] | None = None) -> bytes:
        """SYN_REPLY."""
        return _control(SYN_REPLY, struct.pack(">I", stream) + self._pack(headers or {}))

    def open(self, stream: int, headers: dict[str, str]) -> bytes:
        """SYN_STREAM."""
        return _control(SYN_STREAM, struct.pack(">IIBB", stream, 0, 0, 0) + self._pack(headers))

    def _pack(self, headers: dict[str, str]) -> bytes:
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for word in (name.encode(), value.encode()):
                plain += struct.pack(">I", len(word)) + word
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _text(plain: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", plain, at)
    end = at + 4 + length
    if end > len(plain):
        raise SpdyError("a header that is too short")
    return plain[at + 4 : end].decode("utf-8", "replace"), end


def _control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload


def data_frame(stream: int, data: bytes, *, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data)) + data


def reset(stream: int, status: int) -> bytes:
    return _control(RST_STREAM, struct.pack(">II", stream, status))


def pong(number: int) -> bytes:
    return _control(PING, struct.pack(">I", number))


def window_update(stream: int, size: int) -> bytes:
    return _control(WINDOW_UPDATE, struct.pack(">II", stream, size))


def goaway(last: int = 0) -> bytes:
    return _control(GOAWAY, struct.pack(">II", last, 0))

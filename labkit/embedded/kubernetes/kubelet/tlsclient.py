"""TLS from a machine to a pod without asking who it is, as probes speak it: with the complaints of Go's ``crypto/tls``.

Go looks at the first bytes that come back, and so tells a server that speaks plain HTTP from one that speaks neither.
asyncio's own TLS keeps those bytes to itself; hence the handshake by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncIterator

CHUNK = 65536
_ALERT, _HANDSHAKE = 21, 22  # kinds of records with which a server may begin
_RECORD_HEADER = 5

# Alerts that Go calls otherwise than OpenSSL.
_ALERTS = {"PROTOCOL_VERSION": "protocol version not supported", "UNKNOWN_CA": "unknown certificate authority"}


class TlsFailed(Exception):
    """They cannot speak TLS; ``str()`` is in Go's words."""


class PlainHttp(TlsFailed):
    """It answers in plain HTTP."""

    def __init__(self) -> None:
        super().__init__("http: server gave HTTP response to HTTPS client")


class Secured:
    """A connection with TLS on it. What comes is read from ``reader``."""

    def __init__(self, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO, writer: asyncio.StreamWriter) -> None:
        self.reader = asyncio.StreamReader()
        self._tls = tls
        self._outgoing = outgoing
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._tls.write(data)
        self._writer.write(self._outgoing.read())

    def take(self) -> None:
        """Pass on what has come and can be read. Raises SSLError for an alert."""
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self._tls.read(CHUNK):
                self.reader.feed_data(data)
            self.reader.feed_eof()  # it has said goodbye, and may still wait for ours before it hangs up


@contextlib.asynccontextmanager
async def secured(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> AsyncIterator[Secured]:
    """Speak TLS on a connection that is there. Raises :class:`TlsFailed`, OSError, and EOFError when it just ends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _trusting().wrap_bio(incoming, outgoing, server_hostname=host)
    await _shake_hands(tls, incoming, outgoing, reader, writer)
    made = Secured(tls, outgoing, writer)
    pump = asyncio.ensure_future(_pump(made, incoming, reader))
    try:
        made.take()
        yield made
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


async def _shake_hands(
    tls: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    first = b""
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
        except ssl.SSLError as error:
            raise TlsFailed(_words(error)) from None
        else:
            writer.write(outgoing.read())
            return
        data = await reader.read(CHUNK)
        if not data:
            raise EOFError
        if len(first) < _RECORD_HEADER:
            # Go waits for the whole header, and so does this: half of one says nothing yet.
            first += data
            if len(first) < _RECORD_HEADER:
                continue
            _check(first)
            data = first
        incoming.write(data)


def _check(first: bytes) -> None:
    """Is what comes first a record of TLS? As ``readRecordOrCCS``."""
    if first.startswith(b"HTTP/"):
        raise PlainHttp
    if first[0] not in (_ALERT, _HANDSHAKE) or first[1] >= 0x10:
        raise TlsFailed("tls: first record does not look like a TLS handshake")


async def _pump(made: Secured, incoming: ssl.MemoryBIO, reader: asyncio.StreamReader) -> None:
    try:
        while data := await reader.read(CHUNK):
            incoming.write(data)
            made.take()
        made.reader.feed_eof()
    except ssl.SSLError as error:
        made.reader.set_exception(TlsFailed(_words(error)))
    except OSError as error:
        made.reader.set_exception(error)


def _words(error: ssl.SSLError) -> str:
    _, found, alert = (error.reason or "").partition("_ALERT_")
    if found:
        return f"remote error: tls: {_ALERTS.get(alert) or alert.replace('_', ' ').lower()}"
    return f"tls: {(error.reason or 'handshake failure').replace('_', ' ').lower()}"


@functools.cache
def _trusting() -> ssl.SSLContext:
    """What a kubelet's probes have: any certificate will do."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made

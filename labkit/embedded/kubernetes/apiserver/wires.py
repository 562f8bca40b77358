"""What streams run over: a connection taken over from HTTP, or the binary messages of a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from aiohttp import web
from aiohttp.http import WSMsgType

from labkit.embedded.hijacked import Hijacked
from labkit.embedded.kubernetes.apiserver.answers import common_headers
from labkit.embedded.kubernetes.errors import BadRequest, StatusError

MAX_MESSAGE = 4 * 1024 * 1024  # bytes of a WebSocket message
HEARTBEAT = 30.0  # seconds; kubectl pings every five by itself
SPDY = "SPDY/3.1"


class Wire(Protocol):
    """Bytes both ways."""

    async def read(self) -> bytes:
        """What has come; empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side does not read. Raises ConnectionError when it is gone."""
        ...

    async def close(self) -> None: ...


class RawWire:
    """A connection that was upgraded."""

    def __init__(self, client: Hijacked) -> None:
        self._client = client

    async def read(self) -> bytes:
        return await self._client.read()

    async def write(self, data: bytes) -> None:
        if self._client.gone:
            raise ConnectionResetError("the client is gone")
        self._client.write(data)
        await self._client.drain()

    async def close(self) -> None:
        await self._client.close()


class SocketWire:
    """The messages of a WebSocket, their borders forgotten."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        return await receive(self._socket)

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        await self._socket.close()


async def receive(socket: web.WebSocketResponse) -> bytes:
    """The next message; empty at the end."""
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.BINARY:
            if message.data:
                return bytes(message.data)
        elif message.type is WSMsgType.TEXT:
            if message.data:
                return str(message.data).encode()
        elif message.type not in (WSMsgType.PING, WSMsgType.PONG):
            return b""


def tokens(raw: web.BaseRequest, header: str) -> list[str]:
    """The words of a header that may be there more than once."""
    return [word.strip() for line in raw.headers.getall(header, []) for word in line.split(",") if word.strip()]


def is_websocket(raw: web.BaseRequest) -> bool:
    return _upgrades_to(raw, "websocket")


def is_spdy(raw: web.BaseRequest) -> bool:
    return _upgrades_to(raw, SPDY)


def _upgrades_to(raw: web.BaseRequest, protocol: str) -> bool:
    connection = [word.lower() for word in tokens(raw, "Connection")]
    return "upgrade" in connection and raw.headers.get("Upgrade", "").lower() == protocol.lower()


def require_upgrade(raw: web.BaseRequest) -> None:
    """Raises BadRequest for a request that wants no other protocol."""
    if not is_websocket(raw) and not is_spdy(raw):
        raise BadRequest("Upgrade request required")


async def open_websocket(raw: web.BaseRequest, protocols: Iterable[str]) -> web.WebSocketResponse:
    """Answer a WebSocket's handshake. Raises StatusError when there is no protocol that both speak."""
    known = list(protocols)
    asked = tokens(raw, "Sec-WebSocket-Protocol")
    if asked and not set(asked) & set(known):
        raise NoProtocol(asked, known)
    chosen = next((name for name in asked if name in known), None)
    socket = web.WebSocketResponse(
        protocols=[chosen] if chosen else [], compress=False, max_msg_size=MAX_MESSAGE, heartbeat=HEARTBEAT
    )
    await socket.prepare(raw)
    return socket


class NoProtocol(StatusError):
    """The client speaks none of the protocols."""

    code, reason = 403, "Forbidden"

    def __init__(self, asked: Iterable[str], known: Iterable[str]) -> None:
        super().__init__(
            "unable to upgrade: unable to negotiate protocol: client supports "
            f"[{' '.join(asked)}], server accepts [{' '.join(known)}]"
        )


def open_spdy(raw: web.BaseRequest, protocols: Iterable[str]) -> tuple[RawWire, str]:
    """Answer an upgrade to SPDY: the wire, and the protocol on top of it. Raises StatusError."""
    known = list(protocols)
    asked = tokens(raw, "X-Stream-Protocol-Version")
    chosen = next((name for name in asked if name in known), "")
    if asked and not chosen:
        raise NoProtocol(asked, known)
    transport = raw.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    assert isinstance(transport, asyncio.Transport)
    head = f"HTTP/1.1 101 Switching Protocols\r\n{common_headers()}Connection: Upgrade\r\nUpgrade: {SPDY}\r\n"
    if chosen:
        head += f"X-Stream-Protocol-Version: {chosen}\r\n"
    transport.write(f"{head}\r\n".encode())
    return RawWire(Hijacked(transport, raw.protocol, early=True)), chosen


__all__ = ["RawWire", "SocketWire", "Wire", "open_spdy", "open_websocket", "receive", "require_upgrade"]

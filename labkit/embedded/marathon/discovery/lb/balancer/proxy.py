"""One client's connection to an HTTP front end: requests in, each to a server, answers out."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

from labkit.embedded.marathon.discovery.lb import http1
from labkit.embedded.marathon.discovery.lb.balancer.pool import COOKIE, Pool
from labkit.embedded.marathon.discovery.lb.dial import Dial, Stream
from labkit.embedded.marathon.discovery.lb.haproxy.config import cookie
from labkit.embedded.marathon.discovery.lb.http1 import BadMessage, Head
from labkit.embedded.marathon.discovery.lb.model import Server
from labkit.embedded.runtime.splice import splice

RETRIES = 3
KEEP_ALIVE = 15.0  # seconds for the next request of a connection
ANSWER_WITHIN = 30.0  # ``timeout server``
LINGER = 2.0  # seconds for a client that still sends what nobody wants
BUFFER = 16 * 1024  # bytes of a request's body that are kept, so that it can be sent once more
_HOP = ("connection", "keep-alive", "proxy-connection", "expect")
_SAFE = ("GET", "HEAD")  # what may be sent again after a server closed without an answer

Choose = Callable[[Head], Awaitable[Pool | bytes | None]]  # a pool, an answer of the balancer itself, or nothing

# The errors that HAProxy answers with, in its words.
_ERRORS = {
    400: ("Bad request", "Your browser sent an invalid request."),
    401: ("Unauthorized", "You need a valid user and password to access this content."),
    403: ("Forbidden", "Request forbidden by administrative rules."),
    502: ("Bad Gateway", "The server returned an invalid or incomplete response."),
    503: ("Service Unavailable", "No server is available to handle this request."),
    504: ("Gateway Time-out", "The server didn't respond in time."),
}


class Unanswered(ConnectionError):
    """The server closed before it said anything."""


def error(status: int, *extra: tuple[str, str]) -> bytes:
    """An error as HAProxy shows it."""
    reason, words = _ERRORS[status]
    text = f"<html><body><h1>{status} {reason}</h1>\n{words}\n</body></html>\n".encode()
    return respond(status, reason, text, "text/html", ("Cache-Control", "no-cache"), *extra)


def respond(status: int, reason: str, content: bytes, kind: str, *extra: tuple[str, str]) -> bytes:
    lines = [("Content-Length", str(len(content))), *extra, ("Content-Type", kind)]
    return Head(("HTTP/1.1", str(status), reason), lines).encode() + content


class HttpConnection:
    """A client of an HTTP front end. ``closing`` says whether the front end is on its way out."""

    def __init__(self, client: Stream, port: int, choose: Choose, dial: Dial, closing: Callable[[], bool]) -> None:
        self.reader, self.writer = client
        self._choose = choose
        self._dial = dial
        self._closing = closing
        peer = self.writer.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        self.port = port

    async def serve(self) -> None:
        """Requests, one after the other, until either side has enough."""
        try:
            while await self._one():
                pass
        except BadMessage:
            self.writer.write(error(400, ("Connection", "close")))
        except (OSError, EOFError):
            pass

    async def _one(self) -> bool:
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                request = await http1.read_head(self.reader)
        except TimeoutError:
            return False
        if request is None:
            return False
        length = http1.request_body(request)
        keep = self._wants_more(request)
        pool = await self._choose(request)
        if not isinstance(pool, Pool):
            await self._discard(length)
            self.writer.write(pool if pool is not None else error(503))
            await self.writer.drain()
            return keep
        refused = _refused(request, pool, self.peer)
        if refused:
            await self._discard(length)
            self.writer.write(refused)
            await self.writer.drain()
            return keep
        return await self._through(pool, request, length, keep)

    def _wants_more(self, request: Head) -> bool:
        if request.start[2] == "HTTP/1.0":
            return request.has("connection", "keep-alive")
        return not request.has("connection", "close")

    async def _discard(self, length: int | None) -> None:
        async for _ in http1.body(self.reader, length):
            pass

    async def _through(self, pool: Pool, request: Head, length: int | None, keep: bool) -> bool:
        if request.has("expect", "100-continue"):
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        kept = b""
        buffered = length is not None and length <= BUFFER
        if buffered and length:
            kept = await self.reader.readexactly(length)
        again = buffered and request.start[0] in _SAFE
        wanted = _cookie(request)
        tried: set[Server] = set()
        for _ in range(RETRIES + 1):
            server = pool.pick(self.peer, wanted, tried) or pool.pick(self.peer)
            if server is None:
                break
            tried.add(server)
            with pool.busy(server):
                try:
                    stream = await self._dial(server.ip, server.port)
                except OSError:
                    continue  # the next one, as ``option redispatch`` has it
                try:
                    return await self._exchange(pool, server, stream, request, length, kept, keep, wanted)
                except Unanswered:
                    if not again:
                        self.writer.write(error(502, ("Connection", "close")))
                        return False
                except TimeoutError:
                    self.writer.write(error(504, ("Connection", "close")))
                    return False
                finally:
                    stream[1].close()
        if not buffered:
            return False  # the body was never read
        self.writer.write(error(503))
        await self.writer.drain()
        return keep

    async def _exchange(
        self,
        pool: Pool,
        server: Server,
        stream: Stream,
        request: Head,
        length: int | None,
        kept: bytes,
        keep: bool,
        wanted: str,
    ) -> bool:
        upgrade = request.has("connection", "upgrade") and bool(request.get("upgrade"))
        reader, writer = stream
        writer.write(_forwarded(request, pool, self.peer, self.port, upgrade).encode() + kept)
        sending, early = None, False
        if length is None or length > BUFFER:
            sending = asyncio.create_task(self._send_body(writer, length))
        try:
            head = await self._answer_of(reader, writer)
            if head.start[1] == "101":
                self.writer.write(head.encode())
                await splice((self.reader, self.writer), stream)
                return False
            # Answered before it had read everything: what is left of the body is no next request.
            early = sending is not None and not sending.done()
            return await self._reply(pool, server, head, reader, request, keep and not early, wanted)
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)  # a server that hung up is no news by now
            if early:
                await self._linger()

    async def _linger(self) -> None:
        """Let the client read its answer: to close while it sends would reset the connection."""
        with suppress(OSError):
            self.writer.write_eof()
            async with asyncio.timeout(LINGER):
                while await self.reader.read(BUFFER):
                    pass

    async def _send_body(self, writer: asyncio.StreamWriter, length: int | None) -> None:
        async for piece in http1.body(self.reader, length):
            writer.write(piece)
            await writer.drain()

    async def _answer_of(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Head:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await writer.drain()
                while True:
                    head = await http1.read_head(reader)
                    if head is None:
                        raise Unanswered
                    if head.start[1] != "100":
                        return head
        except (ConnectionError, BadMessage) as failed:
            raise Unanswered from failed

    async def _reply(
        self,
        pool: Pool,
        server: Server,
        head: Head,
        reader: asyncio.StreamReader,
        request: Head,
        keep: bool,
        wanted: str,
    ) -> bool:
        length = http1.response_body(head, request.start[0])
        keep = keep and length != -1 and not self._closing()
        shown = head.without(*_HOP)
        service = pool.service
        if service.rev_proxy_path:
            host = re.escape(service.vhosts[0]) if service.vhosts else r"[^/]*"
            pattern = rf"^(?:https?://{host}(?::[0-9]+)?)?(/.*)"
            shown.lines = [
                (key, re.sub(pattern, service.rev_proxy_path + r"\1", value) if key.lower() == "location" else value)
                for key, value in shown.lines
            ]
        if service.sticky and wanted != cookie(server):
            shown.lines.append(("Set-Cookie", f"{COOKIE}={cookie(server)}; path=/"))
            shown.lines.append(("Cache-Control", "private"))
        if not keep:
            shown.lines.append(("Connection", "close"))
        elif request.start[2] == "HTTP/1.0":
            shown.lines.append(("Connection", "keep-alive"))
        self.writer.write(shown.encode())
        try:
            async for piece in http1.body(reader, length):
                self.writer.write(piece)
                await self.writer.drain()
        except (BadMessage, asyncio.IncompleteReadError):
            self.writer.transport.abort()  # too late for an error: the client sees that it is cut off
            return False
        await self.writer.drain()
        return keep


def _refused(request: Head, pool: Pool, peer: str) -> bytes:
    service = pool.service
    if service.allowed and not any(_within(peer, network) for network in service.allowed):
        return error(403)
    if service.auth:  # its password is a crypt(3) hash, which Python no longer reads
        return error(401, ("WWW-Authenticate", f'Basic realm="{service.auth[0]}"'))
    if service.root_redirect and request.start[1].partition("?")[0] == "/":
        return respond(301, "Moved Permanently", b"", "text/html", ("Location", service.root_redirect))
    return b""


def _within(ip: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _cookie(request: Head) -> str:
    for part in request.get("cookie").split(";"):
        key, _, value = part.strip().partition("=")
        if key == COOKIE:
            return value
    return ""


def _forwarded(request: Head, pool: Pool, peer: str, port: int, upgrade: bool) -> Head:
    """The request as the server gets it: over a connection of its own, with what the client's was."""
    service = pool.service
    method, target, version = request.start
    head = request.without(*_HOP, "x-forwarded-port")
    if service.proxy_path and (rest := _stripped(target, service.proxy_path)) is not None:
        target = rest
    if service.proxy_path and service.vhosts:
        head.lines = [(key, service.vhosts[0] if key.lower() == "host" else value) for key, value in head.lines]
    if service.sticky:
        head.lines = [(key, _uncookied(value) if key.lower() == "cookie" else value) for key, value in head.lines]
        head.lines = [(key, value) for key, value in head.lines if value or key.lower() != "cookie"]
    head.start = (method, target, version)
    head.lines += [("X-Forwarded-For", peer), ("X-Forwarded-Port", str(port))]
    head.lines.append(("Connection", "upgrade" if upgrade else "close"))
    return head


def _stripped(target: str, prefix: str) -> str | None:
    return "/" + target[len(prefix) :].lstrip("/") if target.startswith(prefix) else None


def _uncookied(value: str) -> str:
    parts = [part.strip() for part in value.split(";")]
    return "; ".join(part for part in parts if not part.startswith(f"{COOKIE}="))

"""The world outside of a sandbox, as far as containers see it: a few well-known hosts, all of them made up.

People's first container pings ``docker.com``. Nothing in a sandbox ever leaves this computer, so that host, and some
more that tutorials talk to, live in the table below: they have a name, an address of the ranges that are reserved for
documentation (RFC 5737) or their own well-known one, an answer to ping, and open ports with nobody real behind them.
Every other name is unknown, and every other address has no route.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from html import escape

HTTP, HTTPS, DNS = 80, 443, 53
TTL = 300  # seconds that its names may be kept
_MAX_HEAD = 16 * 1024  # bytes of a request


@dataclass(frozen=True, slots=True)
class Place:
    """One host out there."""

    name: str
    ip: str
    distance: float  # seconds there and back
    ports: tuple[int, ...] = (HTTP, HTTPS)
    aliases: tuple[str, ...] = ()
    hops: int = 12  # routers on the way

    @property
    def hops_left(self) -> int:
        """The TTL that its packets still have when they arrive."""
        return 64 - self.hops


PLACES = (
    Place("docker.com", "192.0.2.10", 0.0121, aliases=("www.docker.com",)),
    Place("hub.docker.com", "192.0.2.11", 0.0124, aliases=("docs.docker.com", "get.docker.com")),
    Place("registry-1.docker.io", "192.0.2.12", 0.0127, aliases=("docker.io", "index.docker.io", "auth.docker.io")),
    Place("google.com", "198.51.100.10", 0.0083, aliases=("www.google.com",)),
    Place("github.com", "198.51.100.20", 0.0176, aliases=("www.github.com", "raw.githubusercontent.com")),
    Place("info.cern.ch", "198.51.100.40", 0.0231),
    Place("wikipedia.org", "198.51.100.30", 0.0192, aliases=("www.wikipedia.org", "en.wikipedia.org")),
    Place("example.com", "203.0.113.10", 0.0214, aliases=("www.example.com",)),
    Place("example.org", "203.0.113.11", 0.0214, aliases=("www.example.org", "example.net", "www.example.net")),
    Place("dns.google", "8.8.8.8", 0.0079, (DNS, HTTPS), hops=9),
    Place("dns.google", "8.8.4.4", 0.0081, (DNS, HTTPS), hops=9),
    Place("one.one.one.one", "1.1.1.1", 0.0058, (DNS, HTTP, HTTPS), ("cloudflare-dns.com",), hops=7),
    Place("dns.quad9.net", "9.9.9.9", 0.0094, (DNS, HTTPS), hops=9),
)
_BY_IP: Mapping[str, Place] = {place.ip: place for place in PLACES}


def lookup(name: str) -> list[str] | None:
    """The addresses of a name out there; None for one that is not in the table."""
    return [place.ip for place in PLACES if name == place.name or name in place.aliases] or None


def reverse(ip: str) -> str | None:
    """The name of an address out there."""
    place = _BY_IP.get(ip)
    return place.name if place is not None else None


def place_at(ip: str) -> Place | None:
    """The host that has this address; None when nobody has."""
    return _BY_IP.get(ip)


async def dial(
    place: Place, port: int, now: Callable[[], float], keep: Callable[[asyncio.Task[None]], None]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to one of its ports: a pair of sockets of this process, with :func:`serve` at the far end.

    ``keep`` is handed the task that serves it. A closed port is a ConnectionRefusedError.
    """
    if port not in place.ports:
        raise ConnectionRefusedError(111, "Connection refused")
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    keep(asyncio.get_running_loop().create_task(serve(place, port, far, now)))
    return await asyncio.open_connection(sock=near)


async def serve(place: Place, port: int, sock: socket.socket, now: Callable[[], float]) -> None:
    """Be that host for one connection. Port 80 answers each request with a page; the others say nothing."""
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        if port == HTTP:
            while head := await _head(reader):
                writer.write(respond(place, head, now()))
                await writer.drain()
                if b"\r\nconnection: close" in head.lower():
                    break
        else:  # nobody here speaks TLS or DNS: it listens, and hangs up when it is spoken to
            await reader.read(1)
    except OSError:
        pass
    finally:
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The head of the next request; empty when there is none. A body is read over with it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length" and value.strip().isdigit():
                await reader.readexactly(min(int(value), _MAX_HEAD))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""
    return head


def respond(place: Place, head: bytes, now: float) -> bytes:
    """The whole answer to a request."""
    method = head.partition(b" ")[0]
    asked = next(
        (line[5:].strip().decode("latin-1") for line in head.split(b"\r\n") if line.lower().startswith(b"host:")), ""
    )
    name = escape(asked.partition(":")[0] or place.name)
    body = (
        f"<!doctype html>\n<html>\n<head><title>{name} (simulated)</title></head>\n<body>\n<h1>{name}</h1>\n"
        "<p>This page is simulated. A sandbox of labkit has no way out to the internet;\n"
        "a few well-known hosts answer inside it, so that what one tries first works.</p>\n</body>\n</html>\n"
    ).encode("latin-1", "replace")
    lines = (
        "HTTP/1.1 200 OK",
        f"Date: {formatdate(now, usegmt=True)}",
        "Server: labkit-outside",
        "Content-Type: text/html; charset=iso-8859-1",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == b"HEAD" else body)

"""What this computer lends a sandbox: a block of loopback addresses, and sockets on them as near as it allows.

Linux owns all of 127.0.0.0/8. A sandbox claims one block 127.S.0.0/16 of it. macOS has 127.0.0.1 only, ports below
1024 need a privilege, another program may hold a port on all addresses: then a socket sits elsewhere, and a note says
so in words.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Callable, Iterable

BLOCKS = range(16, 251)  # S of 127.S: below are what people use by hand (127.0.0.1, 127.0.1.1, 127.0.0.53)
CLAIM_PORT = 20127  # below Linux's range of ephemeral ports, so nobody gets it by chance
CLAIM_TRIES, CLAIM_PAUSE = 20, 0.02  # of the wall clock

_BIND_NO_PORT: int | None = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24 if hasattr(socket, "SO_REUSEPORT") else None)


class Loopback:
    """One sandbox's part of this computer's loopback addresses. ``note`` is told what could not be had."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.block = ""  # "127.S" from :meth:`claim` on
        self.many = True  # may all of 127.0.0.0/8 be bound?
        self.low_ports = True
        self._held: socket.socket | None = None

    async def claim(self, preferred: int | None = None) -> None:
        """Find out what can be bound, and take a block: ``preferred`` if it is free, or comes free soon."""
        raise_file_limit()
        self._find_out()
        await self._take_block(preferred)

    def give_back(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _find_out(self) -> None:
        """What does this computer let us bind? Asked by trying."""
        self.many = can_bind("127.77.0.1", 0)
        # A port that hardly anybody uses; EADDRINUSE would mean that it may be bound.
        self.low_ports = can_bind("127.0.0.1", 11)
        if not self.many:
            self._note(
                "This computer has no loopback addresses beside 127.0.0.1, so every machine and container listens "
                "there on a port of its own; 'labkit status' says where published ports are found."
            )
        elif not self.low_ports:
            self._note(
                "Ports below 1024 may not be opened without a privilege here, so what listens on port 80 is found from "
                "outside on a higher one. Inside the sandbox nothing changes; 'labkit status' says where published "
                "ports are found."
            )

    async def _take_block(self, preferred: int | None) -> None:
        """The block of before, if it comes free soon: an engine that was killed may leave a child that is just ending,
        and addresses that move are a nuisance to whoever has written them down."""
        if preferred is not None and preferred in BLOCKS:
            for _ in range(CLAIM_TRIES):
                if self._claim_block([preferred]):
                    return
                await asyncio.sleep(CLAIM_PAUSE)
        if not self._claim_block(BLOCKS):
            raise OSError(errno.EADDRINUSE, "all 235 loopback blocks 127.16 to 127.250 are taken by other sandboxes")

    def _claim_block(self, candidates: Iterable[int]) -> bool:
        """Take the first of these that nobody has."""
        for number in candidates:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                # Bound but never listening: nobody can connect, and it is free at once when this process dies.
                sock.bind((f"127.{number}.255.254", CLAIM_PORT) if self.many else ("127.0.0.1", 20200 + number))
            except OSError:
                sock.close()
                continue
            self._held, self.block = sock, f"127.{number}"
            return True
        return False

    def host(self, ip: str) -> str:
        """Where an address of the sandbox is on this computer."""
        return ip if self.many else "127.0.0.1"

    def bind(self, kind: socket.SocketKind, ip: str, port: int) -> socket.socket:
        """A socket bound to ``ip:port``, or as near to it as this computer allows."""
        host = self.host(ip)
        wanted = port if self.many and (port >= 1024 or self.low_ports) else 0
        while True:
            sock = socket.socket(socket.AF_INET, kind)
            sock.setblocking(False)
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, wanted))
                return sock
            except OSError as error:
                sock.close()
                if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EPERM) or not wanted:
                    raise
                reason = (
                    f"another program of this computer holds port {port} on all addresses"
                    if error.errno == errno.EADDRINUSE
                    else f"port {port} may not be opened without a privilege here"
                )
                reason = reason[0].upper() + reason[1:]
                self._note(f"{reason}, so {ip}:{port} is found elsewhere.")
                wanted = 0

    async def dial(self, host: str, port: int, source: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to where something really is, as ``source`` where there is more than one address."""
        if source is None or not self.many:
            return await asyncio.open_connection(host, port)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if _BIND_NO_PORT is not None:
                sock.setsockopt(socket.IPPROTO_IP, _BIND_NO_PORT, 1)
            sock.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise


def can_bind(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return True


def raise_file_limit() -> None:
    """Every container is a listening socket: take all file descriptors that the system grants without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS says "unlimited" but means 10,240 (OPEN_MAX).
        for limit in (hard, 10240):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                return
            except (ValueError, OSError):
                continue

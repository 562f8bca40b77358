"""HAProxy as the balancer: writes its configuration, has it checked, and reloads it without losing a request."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from labkit.embedded.marathon.discovery.lb import http1
from labkit.embedded.marathon.discovery.lb.haproxy.config import Places, bind_address, listens, write
from labkit.embedded.marathon.discovery.lb.haproxy.process import HaproxyFailed, HaproxyProcess
from labkit.embedded.marathon.discovery.lb.labels import BadLabel
from labkit.embedded.marathon.discovery.lb.model import Service
from labkit.embedded.marathon.discovery.lb.pages import Asked, page

log = logging.getLogger(__name__)


class Haproxy:
    """HAProxy in ``folder``; see :class:`labkit.embedded.marathon.discovery.lb.engine.Balancer`."""

    kind = "haproxy"

    def __init__(self, executable: str, folder: Path, places: Places, asked: Asked) -> None:
        self._process = HaproxyProcess(executable, folder, asked.reread)
        self._pages_socket = folder / "pages.sock"
        self.places = places
        self._asked = asked
        self._text = ""
        self.bound: set[tuple[str, int]] = set()
        self._pages: asyncio.Server | None = None
        self._lock = asyncio.Lock()
        self.notes: list[str] = []

    @property
    def process(self) -> HaproxyProcess:
        return self._process

    async def start(self) -> None:
        """Nothing is balanced yet. Raises :class:`HaproxyFailed`."""
        self._process.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pages_socket.unlink(missing_ok=True)
        self._pages = await asyncio.start_unix_server(self._page, str(self._pages_socket))
        self._pages_socket.chmod(0o600)
        await self.apply(())

    async def stop(self) -> None:
        if self._pages is not None:
            self._pages.close()
            self._pages = None
        self._pages_socket.unlink(missing_ok=True)
        await self._process.stop()
        self._text, self.bound = "", set()

    async def apply(self, services: Sequence[Service]) -> None:
        async with self._lock:
            notes: list[str] = []
            chosen = self._bindable(services, notes)
            text = await self._valid(chosen, notes)
            self.notes = notes
            if text is None or (text == self._text and self._process.running):
                return
            try:
                if self._process.running:
                    await self._process.reload(text)
                else:
                    await self._process.start(text)
            except HaproxyFailed as error:
                log.error("HAProxy keeps its old configuration: %s", error)
                self.notes.append(f"HAProxy keeps its old configuration: {error}")
                if not self._process.running:
                    self.bound = set()
                    raise
                return
            self._text, self.bound = text, listens(chosen, self.places)

    def _bindable(self, services: Sequence[Service], notes: list[str]) -> list[Service]:
        """Those whose ports are free: one that is not would keep HAProxy from taking all the others."""
        found = []
        own = listens((), self.places)
        for service in services:
            place = (bind_address(service, self.places.address), service.port)
            if place in own or (place not in self.bound and not _is_free(*place)):
                notes.append(f"{service.app_id} is not balanced: port {service.port} is taken or may not be opened")
                log.error("%s", notes[-1])
                continue
            found.append(service)
        return found

    async def _valid(self, services: list[Service], notes: list[str]) -> str | None:
        """The text for these; without those that would break it, found by adding one after the other."""
        text, wrong = await self._checked(services)
        if not wrong:
            return text
        log.error("running config is kept: %s", wrong)
        good: list[Service] = []
        for service in services:
            tried, wrong = await self._checked([*good, service])
            if wrong:
                notes.append(f"invalid configuration caused by app {service.app_id}; it is left out: {wrong}")
                log.error("%s", notes[-1])
            else:
                good.append(service)
                text = tried
        if not good and services:
            log.error("a valid config could not be made of any app")
            return None
        services[:] = good
        return text

    async def _checked(self, services: Sequence[Service]) -> tuple[str, str]:
        try:
            text = write(services, self.places)
        except BadLabel as error:
            return "", str(error)
        if text == self._text or not services:  # without an app it is our own text, which is tested
            return text, ""
        return text, await self._process.check(text)

    def freeze(self, frozen: bool) -> None:
        self._process.freeze(frozen)

    def kill(self) -> None:
        self._process.kill()

    async def states(self) -> dict[tuple[str, str], str]:
        if not self._process.running or self._process.frozen:
            return {}
        try:
            return await self._process.server_states()
        except (OSError, ValueError):
            return {}

    async def pids(self) -> list[int]:
        return await self._process.pids() if self._process.running else []

    def config_text(self) -> str:
        return self._text

    async def _page(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HAProxy sends on to us what it cannot answer itself."""
        try:
            head = await http1.read_head(reader)
            if head is not None:
                found = await page(head.start[1], self._asked)
                status, text, kind = found or (404, "404 Not Found\n", "text/plain")
                content = text.encode()
                lines = [("Content-Type", kind), ("Content-Length", str(len(content))), ("Connection", "close")]
                writer.write(http1.Head(("HTTP/1.1", str(status), "OK"), lines).encode() + content)
                await writer.drain()
        except (OSError, http1.BadMessage):
            pass
        finally:
            writer.close()


def _is_free(ip: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL)
    return True

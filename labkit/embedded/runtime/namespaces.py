"""What the processes of one container share: host name, addresses, files, process table, network connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.files import Files, Layer
from labkit.embedded.runtime.gates import Gate
from labkit.embedded.runtime.listeners import AddressInUse, Listener
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.outside import Place, place_at
from labkit.embedded.runtime.proc import virtual_file

if TYPE_CHECKING:
    from labkit.embedded.runtime.dns import Resolver
    from labkit.embedded.runtime.images.base import Image
    from labkit.embedded.runtime.processes import Process

MAX_PROCESSES = 256  # in one container, when it has no limit of its own: a fork bomb ends here


class NameNotFound(OSError):
    """A host name that no DNS server of the container knows."""

    def __init__(self, name: str) -> None:
        super().__init__(f"bad address '{name}'")
        self.name = name


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use; 0 is no limit."""

    memory: int = 0  # bytes; the OOM killer comes beyond
    cpus: float = 0.0
    pids: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """A line of the container's process table, as ``ps`` shows it."""

    pid: int
    ppid: int
    args: list[str]
    started: float
    kill: Callable[[int], object]
    process: Process | None = None  # None for what a shell runs inside itself


class Namespace:
    """What the processes of one container have in common."""

    __slots__ = (
        "_next_pid",
        "_rng",
        "_virtual",
        "addresses",
        "clock",
        "files",
        "forks",
        "gate",
        "hostname",
        "image",
        "limits",
        "listeners",
        "machine",
        "main",
        "network",
        "ports",
        "resolver",
        "table",
    )

    groups: tuple[int, ...] = ()  # that its processes are in, whoever they run as

    def __init__(
        self,
        image: Image,
        *,
        hostname: str,
        machine: Machine,
        addresses: list[str],
        network: Network,
        clock: Clock,
        resolver: Resolver | None = None,
        files: Layer | Files | None = None,
        rng: random.Random | None = None,
        limits: Limits | None = None,
        ports: dict[int, list[Listener]] | None = None,
    ) -> None:
        """``ports`` is given when the network is shared, as by the containers of a pod: all that are open there."""
        self.image = image
        self.hostname = hostname
        self.machine = machine
        self.addresses = addresses
        self.network = network
        self.clock = clock
        self.resolver = resolver
        self._rng = rng
        self.limits = limits or Limits()
        self.gate = Gate()  # closed while the container is paused
        self.listeners: dict[int, list[Listener]] = {}  # by the port that the programs know
        self.ports = self.listeners if ports is None else ports  # those of all who share the network
        self.table: dict[int, Entry] = {}
        self.forks = 0  # copies of shells (stages of pipelines), which count as processes but have no line
        self.main: Process | None = None
        self._next_pid = 1
        self.files = files if isinstance(files, Files) else Files(files)
        self.files.base = image.files
        self.files.virtual = self._virtual_file

    @property
    def shares_network(self) -> bool:
        """Whether its addresses are somebody else's to place."""
        return self.ports is not self.listeners

    @property
    def rng(self) -> random.Random:
        """The container's chance. Made when first needed: its state takes 2.5 KB, and few programs throw dice."""
        if self._rng is None:
            self._rng = random.Random(self.hostname)
        return self._rng

    def _virtual_file(self, path: str) -> bytes | None:
        return virtual_file(self, path)

    # processes ------------------------------------------------------------------------------------------------

    def enter(
        self, args: list[str], kill: Callable[[int], object], ppid: int = 0, process: Process | None = None
    ) -> Entry:
        """Take a process id and a line in the table; BlockingIOError (``EAGAIN``) when there are too many."""
        self.spare(1)
        entry = Entry(self.take_pid(), ppid, args, self.clock.time(), kill, process)
        self.table[entry.pid] = entry
        return entry

    def take_pid(self) -> int:
        """The next process id."""
        self._next_pid += 1
        return self._next_pid - 1

    def spare(self, count: int) -> None:
        """Is there room for so many more processes? BlockingIOError if not."""
        if len(self.table) + self.forks + count > (self.limits.pids or MAX_PROCESSES):
            raise BlockingIOError("Resource temporarily unavailable")

    def leave(self, entry: Entry) -> None:
        self.table.pop(entry.pid, None)

    @property
    def memory(self) -> int:
        """Bytes that all its processes use; the table may show those of a neighbour, too."""
        processes = [entry.process for entry in self.table.values() if entry.process is not None]
        return sum(process.memory for process in processes if process.ns is self)

    # network --------------------------------------------------------------------------------------------------

    def own(self, ip: str) -> bool:
        """Is this an address of the container itself?"""
        return ip in self.addresses or (ip.startswith("127.") and not ip.startswith(self.network.block + "."))

    def resolve(self, name: str) -> list[str]:
        """The addresses of a name: ``/etc/hosts`` first, then the container's DNS. :class:`NameNotFound`."""
        if _is_address(name):
            return [name]
        if name in ("localhost", "localhost.localdomain"):
            return ["127.0.0.1"]
        if name == self.hostname and self.addresses:
            return list(self.addresses)
        for line in (self.files._get("/etc/hosts") or b"").decode("utf-8", "replace").splitlines():
            address, *names = line.split("#", 1)[0].split() or [""]
            if name in names and ":" not in address:
                return [address]
        found = self.resolver.resolve(name) if self.resolver is not None else None
        if not found:
            raise NameNotFound(name)
        return found

    @property
    def nameserver(self) -> str:
        """The server that ``/etc/resolv.conf`` names first."""
        for line in (self.files._get("/etc/resolv.conf") or b"").decode("utf-8", "replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "nameserver":
                return words[1]
        return "127.0.0.11"

    def outside(self, ip: str) -> Place | None:
        """The host of the simulated world outside at this address, if the container has a way there."""
        return place_at(ip) if self.resolver is not None and self.resolver.outside else None

    async def connect(
        self, host: str, port: int, timeout: float | None = 130.0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from this container to a name or address, trying each address in turn."""
        error: OSError | None = None
        for ip in self.resolve(host):
            try:
                if self.own(ip):
                    return await self._connect_own(ip, port)
                if (place := self.outside(ip)) is not None:
                    return await self.network.connect_outside(self.machine.name, place, port, timeout=timeout)
                source = self.addresses[0] if self.addresses else None
                return await self.network.connect(self.machine.name, ip, port, source=source, timeout=timeout)
            except OSError as failed:
                error = failed
        assert error is not None
        raise error

    async def _connect_own(self, ip: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        listeners = self.ports.get(port)
        if not listeners:
            raise ConnectionRefusedError(111, "Connection refused")
        listener = next((one for one in listeners if one.ip == ip), listeners[0])
        return await asyncio.open_connection(listener.real_host, listener.real_port)

    async def listen(self, port: int, start: Callable[[str, int], Awaitable[Listener]]) -> None:
        """Listen on ``port`` of all addresses. A container without a network still has its own loopback."""
        if port in self.ports:
            raise AddressInUse("0.0.0.0", port)
        opened: list[Listener] = []
        try:
            for ip in self.addresses:
                opened.append(await start(ip, port))
            if not opened:
                opened.append(await start(f"{self.network.block}.0.1", 0))
        except OSError:
            for listener in opened:
                listener.shut()
            raise
        self.listeners[port] = self.ports[port] = opened

    def unlisten(self, port: int) -> None:
        """Close a port; harmless when it is not open."""
        if port in self.listeners:
            listeners = self.listeners.pop(port)
            self.ports.pop(port, None)
            for listener in listeners:
                listener.shut()

    def end(self) -> None:
        """The main process is gone: the kernel kills all others and closes what is open."""
        for entry in tuple(self.table.values()):
            entry.kill(signals.SIGKILL)
        self.table.clear()
        for port in tuple(self.listeners):
            self.unlisten(port)
        self.gate.open()


def _is_address(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)

"""Ensembles of three for the conformance tests: the embedded one, and Debian's real one."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import subprocess
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Ensemble
from support.until import until

MEMBERS = 3


def say(address: tuple[str, int], word: str) -> str:
    """A four-letter word and its answer; "" when nobody answers."""
    try:
        with socket.create_connection(address, timeout=5) as sock:
            sock.sendall(word.encode())
            parts = []
            while part := sock.recv(65536):
                parts.append(part)
    except OSError:
        return ""
    return b"".join(parts).decode()


class Zoo:
    """Three members; ``addresses[n]`` is where member ``n`` listens."""

    addresses: list[tuple[str, int]]

    @property
    def hosts(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.addresses)

    def start(self, member: int) -> None:
        raise NotImplementedError

    def stop(self, member: int) -> None:
        """End its process without a word."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def mode(self, member: int) -> str:
        """leader, follower, or "" while it serves nobody."""
        lines = say(self.addresses[member], "srvr").splitlines()
        return next((line.removeprefix("Mode: ") for line in lines if line.startswith("Mode: ")), "")

    def leader(self) -> int:
        """The member that leads, once all that run have settled."""
        return until(lambda: [n for n in range(MEMBERS) if self.mode(n) == "leader"], 30, "a leader")[0]

    def complete(self) -> None:
        """Wait until all members serve."""
        until(lambda: all(self.mode(n) for n in range(MEMBERS)), 60, "three members that serve")


class EmbeddedZoo(Zoo):
    """In a thread of this process, for clients that are threads of it, too."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="zookeeper", daemon=True)
        self._thread.start()
        self._do(self._begin())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _begin(self) -> None:
        clock = ScaledClock()
        fleet = Fleet(clock)
        self._network = await Network.open(fleet, clock)
        names = [f"master-{number}" for number in range(1, MEMBERS + 1)]
        for index, name in enumerate(names):
            fleet.add(Machine(name, self._network.machine_address(index)))
        self.ensemble = Ensemble(fleet, clock, Storage(), names, random.Random(1), network=self._network)
        for name in names:
            await self.ensemble.start(name)
        found = [self._network.real(fleet.machine(name).address, 2181) for name in names]
        self.addresses = [place for place in found if place is not None]

    def start(self, member: int) -> None:
        self._do(self.ensemble.start(self.ensemble.machines[member]))

    def stop(self, member: int) -> None:
        self._do(self.ensemble.stop(self.ensemble.machines[member]))

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        await self.ensemble.close()
        await self._network.close()


class RealZoo(Zoo):
    """Three Java processes on loopback ports, with data folders of their own."""

    JAR = Path("/usr/share/java/zookeeper.jar")

    def __init__(self, folder: Path) -> None:
        ports = _free_ports(3 * MEMBERS)
        self.addresses = [("127.0.0.1", port) for port in ports[:MEMBERS]]
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        servers = [f"server.{n + 1}=127.0.0.1:{ports[MEMBERS + n]}:{ports[2 * MEMBERS + n]}" for n in range(MEMBERS)]
        for n in range(MEMBERS):
            data = folder / f"member-{n + 1}"
            data.mkdir(parents=True)
            (data / "myid").write_text(f"{n + 1}\n")
            (folder / f"{n + 1}.cfg").write_text(
                "\n".join(
                    (
                        "tickTime=2000",
                        "initLimit=10",
                        "syncLimit=5",
                        f"dataDir={data}",
                        f"clientPort={ports[n]}",
                        "clientPortAddress=127.0.0.1",
                        "admin.enableServer=false",
                        "4lw.commands.whitelist=*",
                        *servers,
                        "",
                    )
                )
            )
            self.start(n)

    def start(self, member: int) -> None:
        if member in self._processes:
            return
        command = ["java", "-Xmx96m", "-XX:TieredStopAtLevel=1", "-cp", str(self.JAR)]
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        with (self._folder / f"{member + 1}.log").open("ab") as log:
            self._processes[member] = subprocess.Popen(
                [*command, main, str(self._folder / f"{member + 1}.cfg")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )

    def stop(self, member: int) -> None:
        process = self._processes.pop(member, None)
        if process is not None:
            process.kill()
            process.wait(10)

    def close(self) -> None:
        for member in tuple(self._processes):
            self.stop(member)


class Raw:
    """A client that says on the wire what it is told to, and no more: it never pings."""

    def __init__(self, address: tuple[str, int], *, timeout: int = 4000, seen: int = 0) -> None:
        self._sock = socket.create_connection(address, timeout=10)
        self._number = 0
        self._send(struct.pack("!iqiqi16s?", 0, seen, timeout, 0, 16, b"", False))
        said = self.receive()
        _, self.timeout, self.session = struct.unpack_from("!iiq", said)

    def _send(self, record: bytes) -> None:
        self._sock.sendall(struct.pack("!i", len(record)) + record)

    def receive(self) -> bytes:
        """The next record; "" when the member has hung up."""
        head = self._exactly(4)
        return self._exactly(struct.unpack("!i", head)[0]) if head else b""

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self._sock.recv(count - len(found))
            if not part:
                return b""
            found += part
        return found

    def ask(self, kind: int, body: bytes, number: int | None = None) -> tuple[int, int, int, bytes]:
        """Ask, and return the next record: (number, zxid, error, the rest)."""
        self._number += 1
        self._send(struct.pack("!ii", self._number if number is None else number, kind) + body)
        return self.answer()

    def answer(self) -> tuple[int, int, int, bytes]:
        said = self.receive()
        number, zxid, error = struct.unpack_from("!iqi", said)
        return number, zxid, error, said[16:]

    def create(self, path: str, flags: int = 0) -> None:
        """A node that anyone may do anything with."""
        rule = struct.pack("!ii", 1, 31) + text("world") + text("anyone")
        answer = self.ask(1, text(path) + text("") + rule + struct.pack("!i", flags))
        assert answer[2] == 0, answer

    def close(self) -> None:
        """Hang up without a word."""
        self._sock.close()


def text(value: str) -> bytes:
    """A string as Jute has it."""
    return struct.pack("!i", len(value.encode())) + value.encode()


def _free_ports(count: int) -> list[int]:
    socks = [socket.socket() for _ in range(count)]
    try:
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]
    finally:
        for sock in socks:
            sock.close()

"""The network of a container: one machine of its own, with a real address, and all others elsewhere."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
from typing import Any

from labkit.embedded.runtime.clock import Clock, ScaledClock
from labkit.embedded.runtime.loopback import Loopback
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import CONNECT_TIMEOUT, Network

ANYWHERE = "0.0.0.0"


class _OnAllAddresses(dict[tuple[str, int], Any]):
    """Listeners by where they are found: what listens on every address is found at any."""

    def get(self, place: Any, default: Any = None) -> Any:
        return super().get((ANYWHERE, place[1]), default)


class _EveryAddress(Loopback):
    """What listens on this machine listens on all its addresses, since ports are published from another network."""

    own = ""

    def bind(self, kind: socket.SocketKind, ip: str, port: int) -> socket.socket:
        return super().bind(kind, ANYWHERE if ip == self.own else ip, port)


class HostNetwork(Network):
    """The real network of a container, of which this machine is a part."""

    own = ""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        super().__init__(fleet, clock)
        self._loopback: _EveryAddress = _EveryAddress(self.note)

    def settle(self, own: str) -> None:
        """``own`` is this machine's address, and its name."""
        self.own = self._loopback.own = own
        self._by_real = _OnAllAddresses()

    def inside(self, ip: str) -> bool:
        return True

    def where(self, ip: str) -> str | None:
        if super().inside(ip):
            return super().where(ip)
        return self.own if ip.startswith("127.") or ip == ANYWHERE else ip

    def real(self, ip: str, port: int) -> tuple[str, int] | None:
        return (ip, port) if super().real(ip, port) is not None else None

    async def connect(
        self, machine: str, ip: str, port: int, *, source: str | None = None, timeout: float | None = CONNECT_TIMEOUT
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if super().inside(ip) or super().real(ip, port) is not None:
            return await super().connect(machine, ip, port, source=source, timeout=timeout)
        async with asyncio.timeout(timeout):
            try:
                return await asyncio.open_connection(ip, port)
            except OSError as error:
                if error.errno in (errno.EHOSTUNREACH, errno.ETIMEDOUT):
                    raise TimeoutError from error  # what the embedded network says of a machine that is off
                raise


def addresses() -> list[str]:
    """Of this machine, on all its networks."""
    done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def neighbours(own: str) -> list[str]:
    """Every address that infra/marathon/project may give to a machine of that network."""
    first = own.rpartition(".")[0]
    return [f"{first}.{number}" for number in range(11, 209)]


async def surroundings(own: str, cpus: float, memory: int) -> tuple[Fleet, ScaledClock, HostNetwork]:
    """This machine's fleet, clock and network; machines are called by their addresses."""
    clock = ScaledClock(1.0)
    fleet = Fleet(clock)
    for address in dict.fromkeys((*neighbours(own), *addresses())):
        fleet.add(Machine(name=address, address=address, cpus=cpus, memory=memory))
    network = await HostNetwork.open(fleet, clock)
    assert isinstance(network, HostNetwork)
    network.settle(own)
    return fleet, clock, network

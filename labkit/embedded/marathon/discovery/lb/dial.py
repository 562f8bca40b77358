"""Connections from the balancer's machine to tasks and to Marathon, over the wires of the sandbox."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable

from labkit.embedded.runtime.loopback import can_bind
from labkit.embedded.runtime.machines import Fleet, Unreachable
from labkit.embedded.runtime.network import Network

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int], Awaitable[Stream]]


class Dialler:
    """What one machine reaches. Ports that real processes of tasks hold are not the network's: those are dialled by
    the operating system, if the wire to their machine is whole."""

    def __init__(self, fleet: Fleet, network: Network, machine: str) -> None:
        self._fleet = fleet
        self._network = network
        self._machine = machine
        self._loopbacks: bool | None = None

    async def __call__(self, ip: str, port: int) -> Stream:
        """Connect; OSError as the operating system would raise it, at once when the wire is cut."""
        if not self.reaches(ip):
            raise Unreachable(errno.EHOSTUNREACH, "No route to host")
        if self._network.real(ip, port) is not None:
            return await self._network.connect(self._machine, ip, port, timeout=3.0)
        host, real_port = self.locate(ip, port)
        return await asyncio.open_connection(host, real_port)

    def reaches(self, ip: str) -> bool:
        """Is the wire to the machine of that address whole? Addresses outside of the sandbox are not for us."""
        machine = self._network.where(ip)
        if machine is None:
            return self._network.inside(ip)
        return machine == "" or self._fleet.connected(self._machine, machine)

    def locate(self, ip: str, port: int) -> tuple[str, int]:
        """Where that port really is on this computer."""
        real = self._network.real(ip, port)
        return real or (self.here(ip), port)

    def here(self, ip: str) -> str:
        """The address to bind or dial for one of the sandbox: 127.0.0.1 where there are no others."""
        if self._loopbacks is None:
            self._loopbacks = can_bind("127.77.0.1", 0)
        return ip if self._loopbacks else "127.0.0.1"

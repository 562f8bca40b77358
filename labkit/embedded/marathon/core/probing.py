"""How Marathon asks a task whether it is well: a connection, or one HTTP request, from its own machine.

Images listen on addresses of the sandbox's network. Plain commands are real processes that listen on their agent's
address or on all of them, where the network does not know them: there the computer's own loopback answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network

if TYPE_CHECKING:
    from labkit.embedded.marathon.core.instances import Instance
    from labkit.embedded.marathon.specs import App

Json = dict[str, Any]

MAX_BODY = 64 * 1024
MAX_HEADERS = 100


class NotAsked(Exception):
    """There is nothing that could be asked; ``str()`` says why."""


class NoAnswer(Exception):
    """Nothing came back, or nothing of use; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task said to a health or readiness check over HTTP."""

    status: int
    reason: str
    content_type: str
    body: bytes


def address(app: App, instance: Instance) -> str:
    """Where the task is reached: its own address on a container network, else its agent's."""
    if not app.has_container_networks:
        return instance.host
    if not instance.ip_addresses:
        raise NotAsked("Health check failed: unable to get the task's effective IP address")
    found: str = instance.ip_addresses[0]["ipAddress"]
    return found


def port(app: App, instance: Instance, check: Json) -> int:
    """The port that a check names: ``port`` itself, or ``portIndex``, a place or a name in the app's ports."""
    if check.get("port") is not None:
        return int(check["port"])
    index = check.get("portIndex", 0)
    if isinstance(index, str):
        return named_port(app, instance, index)
    ports = _effective(app, instance)
    if not 0 <= index < len(ports) or ports[index] is None:
        raise NotAsked("Health check failed: unable to get the task's effectivePort")
    return int(ports[index] or 0)


def named_port(app: App, instance: Instance, name: str) -> int:
    for definition, number in zip(app.ports, _effective(app, instance), strict=False):
        if definition.name == name and number is not None:
            return number
    raise NotAsked("Health check failed: unable to get the task's effectivePort")


def _effective(app: App, instance: Instance) -> list[int | None]:
    """The port of each definition as seen from outside of the task: host ports are given in order to those that want
    one; on a container network those without one are reached at the container's own."""
    given = iter(instance.ports)
    found: list[int | None] = []
    for definition in app.ports:
        host = next(given, None) if definition.host is not None else None
        found.append(definition.container if app.has_container_networks else host)
    return found


class Prober:
    """Asks from one machine."""

    def __init__(self, machine: str, fleet: Fleet, clock: Clock, network: Network) -> None:
        self.machine = machine
        self.clock = clock
        self._fleet = fleet
        self._network = network

    async def tcp(self, host: str, port: int, timeout: float) -> None:
        """Connect, and hang up. Raises :class:`NoAnswer`."""
        try:
            async with self.clock.timeout(timeout):
                _, writer = await self._connect(host, port)
        except TimeoutError:
            raise NoAnswer("SocketTimeoutException: connect timed out") from None
        except OSError:
            raise NoAnswer("ConnectException: Connection refused (Connection refused)") from None
        writer.close()

    async def http(self, host: str, port: int, path: str, timeout: float) -> Answer:
        """GET it. Raises :class:`NoAnswer`."""
        path = path if path.startswith("/") else f"/{path}"
        try:
            async with self.clock.timeout(timeout):
                return await self._ask(host, port, path)
        except TimeoutError:
            raise NoAnswer(f"TcpIdleTimeoutException: TCP idle-timeout encountered after {timeout:g} seconds") from None
        except (ValueError, asyncio.IncompleteReadError):
            raise NoAnswer("The http server closed the connection unexpectedly") from None
        except OSError:
            raise NoAnswer(f"Connection attempt to {host}:{port} failed: Connection refused") from None

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await self._network.connect(self.machine, host, port, timeout=None)
        except ConnectionRefusedError:
            if not any(machine.address == host for machine in self._fleet.machines.values()):
                raise
            return await asyncio.open_connection(host, port)

    async def _ask(self, host: str, port: int, path: str) -> Answer:
        reader, writer = await self._connect(host, port)
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: akka-http/10.1.11\r\n"
                "Connection: close\r\n\r\n".encode("latin-1", "replace")
            )
            first = (await reader.readline()).decode("latin-1").split(None, 2)
            if len(first) < 2 or not first[0].startswith("HTTP/"):
                raise ValueError(first)
            content_type, length = "text/plain", None
            for _ in range(MAX_HEADERS):
                name, _, value = (await reader.readline()).decode("latin-1").partition(":")
                if not name.strip():
                    break
                if name.lower() == "content-type":
                    content_type = value.strip()
                elif name.lower() == "content-length":
                    length = int(value)
            body = await reader.read(MAX_BODY if length is None else min(length, MAX_BODY)) if length != 0 else b""
            return Answer(int(first[1]), first[2].strip() if len(first) > 2 else "", content_type, body)
        finally:
            writer.close()

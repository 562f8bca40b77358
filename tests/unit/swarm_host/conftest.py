"""A world of two plain Docker hosts with a clock that the tests turn, and images made for testing them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.ids import Ids
from labkit.embedded.runtime.images import Catalogue, Image
from labkit.embedded.runtime.images.base import Program
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGTERM
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.api.request import Filters
from labkit.embedded.swarm.host.container import Container
from labkit.embedded.swarm.host.front import Front
from labkit.embedded.swarm.host.host import Host
from labkit.embedded.swarm.host.networkdb import NetworkDB
from labkit.embedded.swarm.host.virtualips import VirtualIPs


async def serve(process: Process) -> int:
    """Answers every connection with its host name; ends well on SIGTERM."""
    process.exits_on(SIGTERM, code=0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(f"{process.hostname}:".encode() + data)
        writer.write_eof()

    await process.listen(int(process.env.get("PORT", "80")), answer)
    process.out("serving\n")
    return await process.forever()


async def stubborn(process: Process) -> int:
    """Does not care for SIGTERM."""
    process.on_signal(SIGTERM, lambda: process.err("no\n"))
    return await process.forever()


async def sleep(process: Process) -> int:
    await process.sleep(float(process.args[1]))
    return 0


async def leave(process: Process) -> int:
    process.out("bye\n")
    return int(process.args[1])


async def cat(process: Process) -> int:
    while line := await process.stdin.readline():
        process.out(line)
    process.err("end\n")
    return 0


async def env(process: Process) -> int:
    process.out("".join(f"{name}={value}\n" for name, value in sorted(process.env.items())))
    return 0


async def write(process: Process) -> int:
    process.files.write(process.args[1], process.args[2].encode())
    return 0


async def read(process: Process) -> int:
    process.out(process.files.read(process.args[1]))
    return 0


async def check(process: Process) -> int:
    """A health check: what the file says."""
    return int(process.files.read("/health")) if process.files.isfile("/health") else 0


async def call(process: Process) -> int:
    """``call host port``: print what a server answers."""
    reader, writer = await process.connect(process.args[1], int(process.args[2]))
    writer.write_eof()
    process.out(await reader.read() + b"\n")
    return 0


class Tools(Image):
    name = "test/tools"
    versions: ClassVar = {"1": ("1", "latest"), "2": ("2",)}
    megabytes = 20.0
    entrypoint = ()
    cmd = ("serve",)
    ports = ("80/tcp",)

    def programs(self) -> dict[str, Program]:
        return {
            "serve": serve, "stubborn": stubborn, "sleep": sleep, "leave": leave, "cat": cat, "env": env,
            "write": write, "read": read, "check": check, "call": call,
        }  # fmt: skip


class World:
    """What a host needs of the sandbox."""

    def __init__(self, storage: Storage, clock: ManualClock, fleet: Fleet, network: Network) -> None:
        self.storage = storage
        self.clock = clock
        self.fleet = fleet
        self.network = network
        self.rng = random.Random(7)
        self.ids = Ids(self.rng)
        self.catalogue = Catalogue([Tools])
        self.networkdb = NetworkDB(fleet, clock)
        self.front = Front(network)
        self.virtual_ips = VirtualIPs(self)
        self.hosts: dict[str, Host] = {}

    @classmethod
    async def open(cls, storage: Storage, names: tuple[str, ...] = ("one", "two"), block: int | None = None) -> World:
        clock = ManualClock()
        fleet = Fleet(clock)
        network = await Network.open(fleet, clock, block)
        world = cls(storage, clock, fleet, network)
        for index, name in enumerate(names):
            machine = fleet.add(Machine(name, network.machine_address(index), attributes={"disk": "ssd"}))
            world.hosts[name] = Host(world, machine)  # type: ignore[arg-type]
        for host in world.hosts.values():
            await host.start()
        return world

    async def close(self) -> None:
        for host in self.hosts.values():
            await host.stop()
        self.front.shut()
        self.virtual_ips.shut()
        await self.network.close()
        await self.clock.settle()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await World.open(Storage(None))
    yield made
    await made.close()


@pytest.fixture
async def host(world: World) -> Host:
    """The first host, with the image pulled."""
    one = world.hosts["one"]
    await pulled(one)
    return one


async def pulled(host: Host, reference: str = "test/tools:1") -> None:
    """Pull an image while the clock goes on."""
    pull = asyncio.create_task(host.images.pull(reference))
    while not pull.done():
        await host.world.clock.advance(0.1)  # type: ignore[attr-defined]
    await pull


def make(host: Host, *command: str, name: str = "", **body: Any) -> Container:
    """Create a container; ``HostConfig`` and the rest as in the API."""
    given = {"Image": "test/tools:1", **({"Cmd": list(command)} if command else {}), **body}
    return host.containers.create(name, given)[0]


async def run(host: Host, *command: str, name: str = "", **body: Any) -> Container:
    """Create and start one, and let it get going."""
    container = make(host, *command, name=name, **body)
    await host.runner.start(container)
    await host.world.clock.settle()  # type: ignore[attr-defined]
    return container


async def ask(world: World, ip: str, port: int, text: str = "hi") -> str:
    """Connect from outside the sandbox, send ``text``, half-close, and read until the end."""
    place = world.network.real(ip, port)
    if place is None:
        raise ConnectionRefusedError
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(text.encode())
        writer.write_eof()
        async with asyncio.timeout(5):
            return (await reader.read()).decode()
    finally:
        writer.close()


async def until(condition: Callable[[], Any], clock: ManualClock, seconds: float = 0.0) -> None:
    """Let the loop run (and time go on, if told so) until ``condition`` holds; real sockets need a few turns."""
    async with asyncio.timeout(5):
        while not condition():
            if seconds:
                await clock.advance(seconds)
            await asyncio.sleep(0.001)


def output(container: Container) -> str:
    """All that a container has written."""
    assert container.log is not None
    return b"".join(line.data for line in container.log.lines()).decode()


def actions(host: Host, kind: str = "container") -> list[str]:
    """The names of the events so far."""
    return [event.action for event in host.events.recorded(0.0, None) if event.type == kind]


def filters(**values: list[str] | str) -> Filters:
    return Filters({name: (value,) if isinstance(value, str) else tuple(value) for name, value in values.items()})

"""A sandbox without an orchestrator: two machines, a network, and a clock that the test turns (or a fast one)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.dns import Resolver, Scope
from labkit.embedded.runtime.images import Catalogue
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.processes import Process

T = TypeVar("T")


@dataclass
class Box:
    clock: ManualClock
    fleet: Fleet
    network: Network
    names: dict[str, list[str]] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=Catalogue)
    started: list[Process] = field(default_factory=list)

    async def run(
        self, image: str, args: list[str] | None = None, *, machine: str = "one", name: str = "", **more: Any
    ) -> Process:
        """Start a container; ``name`` makes it known to the DNS."""
        found = self.catalogue.find(image)
        process = Process(
            found,
            args=[*found.entrypoint, *found.cmd] if args is None else args,
            env={**found.env, "HOME": "/root", **more.pop("env", {})},
            hostname=name or "box",
            machine=self.fleet.machine(machine),
            addresses=[self.network.pool("net").take()] if more.pop("connected", True) else [],
            network=self.network,
            clock=self.clock,
            resolver=Resolver([Scope("net", self.names.get, reverse=self._reverse)]),
            rng=random.Random(1),
            **more,
        )
        self.started.append(process)
        await process.start()
        if name:
            self.names[name] = process.addresses
        await self.clock.settle()
        return process

    def _reverse(self, ip: str) -> str | None:
        return next((name for name, addresses in self.names.items() if ip in addresses), None)

    async def sh(self, script: str, image: str = "alpine", **more: Any) -> tuple[int, str]:
        """Exit code and output of a script in a new container; time is turned on until it ends."""
        process = await self.run(image, ["sh", "-c", script], **more)
        return await self.until(process.wait()), output(process)

    async def within(self, process: Process, script: str) -> tuple[int, str]:
        """The same by ``exec`` in a running container."""
        child = await process.exec(["sh", "-c", script])
        return await self.until(child.wait()), output(child)

    async def until(self, work: Awaitable[T], step: float = 0.25, most: float = 600.0) -> T:
        """Turn the clock until ``work`` is done. Real sockets need real rounds of the loop in between."""
        task = asyncio.ensure_future(work)
        turned = 0.0
        for _ in range(20_000):
            await self.clock.settle()
            if task.done():
                break
            await asyncio.sleep(0)
            if turned < most and self.clock._heap:
                await self.clock.advance(step)
                turned += step
            else:
                await asyncio.sleep(0.001)  # held back by the pace of a busy loop, which is real time
        return await asyncio.wait_for(task, 5)


def output(process: Process, stream: str = "") -> str:
    """What it has written, to both streams unless one is named."""
    lines = [line.data for line in process.log.lines() if not stream or line.stream == stream]
    return b"".join(lines).decode("utf-8", "replace")


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    clock = ManualClock()
    fleet = Fleet(clock)
    network = await Network.open(fleet, clock)
    for index, name in enumerate(("one", "two")):
        fleet.add(Machine(name, network.machine_address(index)))
    made = Box(clock, fleet, network)
    yield made
    for process in made.started:
        process.kill(9)
    await clock.settle()
    await network.close()

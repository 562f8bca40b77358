"""An ensemble on machines of its own, for tests: time is turned by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import TypeVar

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Ensemble, Session

T = TypeVar("T")


class World:
    """``members`` machines with a member each, and two that only have clients."""

    def __init__(self, members: int = 3, *, storage: Storage | None = None, seed: int = 1, secret: str = "") -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.masters = [f"master-{number}" for number in range(1, members + 1)]
        for index, name in enumerate([*self.masters, "agent-1", "agent-2"]):
            self.fleet.add(Machine(name, f"127.5.0.{10 + index}"))
        self.storage = storage or Storage()
        rng = random.Random(seed)
        self.ensemble = Ensemble(self.fleet, self.clock, self.storage, self.masters, rng, secret=secret)

    async def start(self) -> World:
        for machine in self.masters:
            await self.ensemble.start(machine)
        await self.clock.settle()
        return self

    def session(self, machine: str = "agent-1", timeout: float = 10.0) -> Session:
        return self.ensemble.session(machine, timeout=timeout)

    async def done(self, work: Awaitable[T], within: float = 60.0) -> T:
        """Turn the clock until this is done."""
        task = asyncio.ensure_future(work)
        await self.clock.settle()
        spent = 0.0
        while not task.done() and spent < within:
            await self.clock.advance(0.1)
            spent += 0.1
        assert task.done(), f"not done within {within:g} s"
        return task.result()

    async def heal(self, machine: str) -> None:
        self.fleet.heal(machine)
        if machine in self.ensemble.members:
            await self.ensemble.start(machine)


async def world(members: int = 3, *, storage: Storage | None = None, seed: int = 1) -> World:
    return await World(members, storage=storage, seed=seed).start()

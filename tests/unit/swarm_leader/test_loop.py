"""The frame of every loop: it outlives errors, and looks at everything again after one."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support.fakeswarm import World, a_service

from labkit.embedded.runtime.machines import Machine
from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.leader.loop import Loop, Wakeup
from labkit.embedded.swarm.objects import Service
from labkit.embedded.swarm.store import Change, Store


class Recording(Loop):
    watches = (Service,)

    def __init__(self, world: World, machine: str = "") -> None:
        super().__init__(Store.local(world.clock), world, machine)
        self.log_of: list[str] = []
        self.error: Exception | None = None

    async def begin(self) -> None:
        self.log_of.append("begin")

    async def changed(self, batch: list[Change]) -> None:
        self.log_of += [f"{change.action} {change.object.name}" for change in batch]
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    async def write(self, name: str) -> None:
        service = a_service(f"id-{name}")
        named = type(service)(id=service.id, spec=service.spec | {"Name": name})
        await self.store.update(lambda tx: tx.create(named))


@pytest.mark.parametrize("error", [ValueError("a bug"), NoLeader()])
async def test_an_error_is_logged_and_everything_is_looked_at_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    loop = Recording(world)
    loop.start()
    await world.clock.settle()
    loop.error = error
    with caplog.at_level(logging.ERROR):
        await loop.write("a")
        await world.clock.settle()
    assert ("a bug" in caplog.text) is isinstance(error, ValueError)
    await loop.write("b")
    await world.clock.advance(2)
    await loop.write("c")
    await world.clock.settle()
    assert loop.log_of == ["begin", "create a", "begin", "create c"]
    await loop.stop()
    await loop.write("d")
    await world.clock.advance(2)
    assert len(loop.log_of) == 4


async def test_a_paused_machine_holds_its_loops_still() -> None:
    world = World()
    world.fleet.add(Machine("m", "127.99.0.10"))
    loop = Recording(world, "m")
    loop.start()
    await world.clock.settle()
    world.fleet.pause("m")
    await loop.write("a")
    await world.clock.advance(100)
    assert loop.log_of == ["begin"]
    world.fleet.heal("m")
    await world.clock.settle()
    assert loop.log_of == ["begin", "create a"]
    await loop.stop()


async def test_a_wakeup_comes_by_call_or_by_time() -> None:
    world = World()
    wakeup = Wakeup(world.clock)
    wakeup.set()
    await wakeup.wait()
    start = world.clock.time()
    waiting = asyncio.create_task(wakeup.wait(start + 5))
    await world.clock.advance(4)
    assert not waiting.done()
    await world.clock.advance(1)
    assert waiting.done()

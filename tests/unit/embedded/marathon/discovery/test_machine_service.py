"""A service of a machine: one end at a time, whatever happens to its plug and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from labkit.embedded.marathon.discovery.service import MachineService
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine


class Slow(MachineService):
    """Opens when it is let; says what was done, and whether two things were done at once."""

    def __init__(self, machine: Machine, fleet: Fleet) -> None:
        super().__init__(machine, fleet)
        self.let = asyncio.Event()
        self.let.set()
        self.done: list[str] = []
        self.error: Exception | None = None
        self._busy = False

    async def _open(self) -> None:
        assert not self._busy
        self._busy = True
        try:
            await self.let.wait()
            self.done.append("open")
            if self.error is not None:
                raise self.error
        finally:
            self._busy = False

    async def _shut(self) -> None:
        assert not self._busy
        self.done.append("shut")


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    fleet = Fleet(ManualClock())
    machine = Machine("m", "127.0.0.1")
    fleet.add(machine)
    service = Slow(machine, fleet)
    yield service
    await service.stop()


async def settle(service: Slow) -> None:
    await service._fleet.clock.settle()  # type: ignore[attr-defined]  # a ManualClock


async def test_it_starts_once_and_stops_once(slow: Slow) -> None:
    await slow.start()
    await slow.start()
    assert slow.running
    await slow.stop()
    await slow.stop()
    assert slow.done == ["open", "shut"]


async def test_power_that_flickers_leaves_nothing_of_before(slow: Slow) -> None:
    await slow.start()
    slow._fleet.fail("m")
    assert not slow.running
    slow._fleet.heal("m")
    await settle(slow)
    assert slow.running
    assert slow.done == ["open", "shut", "open"]


async def test_stopped_while_it_starts_it_does_not_run(slow: Slow) -> None:
    slow.let.clear()
    starting = asyncio.create_task(slow.start())
    await settle(slow)
    stopping = asyncio.create_task(slow.stop())
    await settle(slow)
    slow.let.set()
    await asyncio.gather(starting, stopping)
    assert not slow.running
    assert slow.done == ["open", "shut"]


async def test_without_power_while_it_starts_it_starts_again(slow: Slow) -> None:
    slow.let.clear()
    starting = asyncio.create_task(slow.start())
    await settle(slow)
    slow._fleet.fail("m")
    slow._fleet.heal("m")
    slow.let.set()
    await starting
    assert slow.running
    assert slow.done == ["open", "shut", "open"]


async def test_what_cannot_start_leaves_nothing_open_and_may_be_tried_again(slow: Slow) -> None:
    slow.error = OSError("the port is taken")
    with pytest.raises(OSError, match="taken"):
        await slow.start()
    assert not slow.running
    assert slow.done == ["open", "shut"]
    slow.error = None
    await slow.start()
    assert slow.running

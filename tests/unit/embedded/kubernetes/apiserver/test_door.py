"""A component gets to the API server as far as its machine's wire carries it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from labkit.embedded.kubernetes.apiserver.door import Door, Unreachable
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine

REGISTRY = cast(Any, object())


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet(ManualClock())
    for number, name in enumerate(("control-plane", "worker-1")):
        fleet.add(Machine(name=name, address=f"127.77.0.{10 + number}"))
    return fleet


@pytest.fixture
def door(fleet: Fleet) -> Door:
    door = Door(REGISTRY, fleet, "control-plane", "127.77.0.10")
    door.open()
    return door


def test_it_is_shut_while_the_api_server_does_not_run(door: Door) -> None:
    assert door.enter("worker-1") is REGISTRY
    door.close()
    with pytest.raises(Unreachable, match=r"^dial tcp 127\.77\.0\.10:6443: connect: connection refused$"):
        door.enter("control-plane")


def test_a_cut_wire_is_in_the_way_of_one_machine_only(door: Door, fleet: Fleet) -> None:
    fleet.partition(["worker-1"])
    with pytest.raises(Unreachable, match="no route to host"):
        door.enter("worker-1")
    assert door.enter("control-plane") is REGISTRY
    fleet.heal("worker-1")
    assert door.enter("worker-1") is REGISTRY


async def test_a_slow_wire_takes_its_time_there_and_back(door: Door, fleet: Fleet) -> None:
    assert door.hold("worker-1") is None
    fleet.slow("worker-1", 0.5)
    pause = door.hold("worker-1")
    assert pause is not None
    waiting = asyncio.ensure_future(pause)
    clock = cast(ManualClock, fleet.clock)
    await clock.advance(0.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert waiting.done()


async def test_a_paused_api_server_is_given_up_on(door: Door, fleet: Fleet) -> None:
    fleet.pause("control-plane")
    pause = door.hold("worker-1")
    assert pause is not None
    waiting = asyncio.ensure_future(pause)
    await cast(ManualClock, fleet.clock).advance(11)
    with pytest.raises(Unreachable, match="context deadline exceeded"):
        await waiting


@pytest.mark.parametrize("cut", ["partition", "fail", "close"])
def test_connections_break_once(door: Door, fleet: Fleet, cut: str) -> None:
    lost: list[str] = []
    door.connect("worker-1", lambda: lost.append("a"))
    end = door.connect("worker-1", lambda: lost.append("b"))
    door.connect("control-plane", lambda: lost.append("c"))
    end()
    if cut == "close":
        door.close()
        assert sorted(lost) == ["a", "c"]
        return
    fleet.partition(["worker-1"]) if cut == "partition" else fleet.fail("worker-1")
    assert lost == ["a"]
    door.close()
    assert sorted(lost) == ["a", "c"]

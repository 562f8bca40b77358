"""The plug: who reaches whom, and what a call across the wire meets."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine, UnknownMachine, Unreachable


def fleet_of(*names: str) -> Fleet:
    fleet = Fleet(ManualClock())
    for name in names:
        fleet.add(Machine(name, "127.16.0.1"))
    return fleet


def cut_pairs(fleet: Fleet) -> set[str]:
    return {a + b for a, b in itertools.combinations(fleet.machines, 2) if not fleet.reachable(a, b)}


def test_partition_cuts_the_groups_from_each_other_and_heal_takes_one_back() -> None:
    fleet = fleet_of(*"abcd")
    assert cut_pairs(fleet) == set()
    fleet.partition(["a", "b"])
    assert cut_pairs(fleet) == {"ac", "ad", "bc", "bd"}
    assert [fleet.state(name) for name in "abcd"] == ["partitioned", "partitioned", "up", "up"]
    fleet.partition(["c"])
    assert cut_pairs(fleet) == {"ac", "ad", "bc", "bd", "cd"}
    fleet.heal("b")
    assert cut_pairs(fleet) == {"ab", "ac", "ad", "bc", "cd"}


def test_a_machine_that_is_off_or_paused_reaches_nobody() -> None:
    fleet = fleet_of(*"abc")
    fleet.fail("a")
    fleet.pause("b")
    assert cut_pairs(fleet) == {"ab", "ac", "bc"}
    assert not fleet.reachable("a", "a")
    assert fleet.connected("b", "c")
    assert [fleet.state(name) for name in "abc"] == ["down", "paused", "up"]


def test_subscribers_hear_of_changes_only() -> None:
    fleet, heard = fleet_of("a", "b"), list[tuple[str, str]]()
    end = fleet.subscribe(lambda name, what: heard.append((name, what)))
    fleet.fail("a")
    fleet.fail("a")
    fleet.pause("a")  # it is off: there is nothing to freeze
    fleet.heal("a")
    fleet.heal("a")
    fleet.pause("b")
    fleet.heal("b")
    fleet.slow("b", 0.5)
    fleet.partition(["a", "b"])
    assert heard == [
        ("a", "fail"),
        ("a", "heal"),
        ("b", "pause"),
        ("b", "unpause"),
        ("b", "slow"),
        ("a", "partition"),
        ("b", "partition"),
    ]
    end()
    fleet.fail("a")
    assert len(heard) == 7


def test_a_plug_is_kept_and_restored() -> None:
    fleet = fleet_of("a", "b", "c")
    fleet.partition(["a"])
    fleet.slow("a", 2)
    fleet.pause("b")
    fleet.fail("c")
    saved = {name: fleet.plug(name) for name in "abc"}
    again = fleet_of("a", "b", "c")
    for name, plug in saved.items():
        again.restore(name, plug)
    assert {name: again.plug(name) for name in "abc"} == saved
    assert again.gate("b").closed
    again.partition(["b"])  # a new group, not the one of a
    again.heal("b")
    assert not again.connected("a", "b")


@pytest.mark.parametrize("verb", ["fail", "heal", "pause", "state", "plug"])
def test_an_unknown_name_is_an_error_of_its_own(verb: str) -> None:
    with pytest.raises(UnknownMachine, match="no machine is called 'x'; there are a, b"):
        getattr(fleet_of("a", "b"), verb)("x")
    with pytest.raises(UnknownMachine):
        fleet_of("a").partition(["a", "x"])


@pytest.mark.parametrize("seconds", [-1, 1e6, float("nan")])
def test_a_delay_that_makes_no_sense_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a delay must be between"):
        fleet_of("a").slow("a", seconds)


async def test_call_runs_plain_and_async_functions_and_passes_errors_on() -> None:
    fleet = fleet_of("a", "b")

    async def double(value: int) -> int:
        return 2 * value

    assert await fleet.call("a", "b", double, 4) == 8
    assert await fleet.call("a", "b", max, 4, 5) == 5
    with pytest.raises(ZeroDivisionError):
        await fleet.call("a", "b", lambda: 1 // 0)


async def test_call_over_a_cut_wire_or_to_a_dead_machine_fails_at_once() -> None:
    fleet = fleet_of("a", "b", "c")
    fleet.partition(["b"])
    fleet.fail("c")
    for name in "bc":
        with pytest.raises(Unreachable):
            await fleet.call("a", name, lambda: 1)


async def test_call_waits_both_ways_of_a_slow_wire() -> None:
    fleet = fleet_of("a", "b")
    clock = fleet.clock
    assert isinstance(clock, ManualClock)
    fleet.slow("b", 2)
    task = asyncio.create_task(fleet.call("a", "b", clock.time))
    start = clock.time()
    await clock.advance(3.9)
    assert not task.done()
    await clock.advance(0.1)
    assert await task == start + 2


async def test_call_to_a_paused_machine_ends_with_the_patience_or_the_pause() -> None:
    fleet = fleet_of("a", "b")
    clock = fleet.clock
    assert isinstance(clock, ManualClock)
    fleet.pause("b")
    impatient = asyncio.create_task(fleet.call("a", "b", lambda: "late", timeout=5))
    patient = asyncio.create_task(fleet.call("a", "b", lambda: "late", timeout=50))
    await clock.advance(10)
    with pytest.raises(Unreachable, match="did not answer a within 5 s"):
        await impatient
    fleet.heal("b")
    await clock.settle()
    assert await patient == "late"


async def test_a_paused_caller_holds_still() -> None:
    fleet = fleet_of("a", "b")
    clock = fleet.clock
    assert isinstance(clock, ManualClock)
    fleet.pause("a")
    task = asyncio.create_task(fleet.call("a", "b", lambda: 1))
    await clock.advance(100)
    assert not task.done()
    fleet.heal("a")
    assert await task == 1


async def test_an_answer_is_lost_when_the_wire_is_cut_meanwhile() -> None:
    fleet = fleet_of("a", "b")
    clock = fleet.clock
    assert isinstance(clock, ManualClock)
    done = list[int]()

    async def work() -> None:
        await clock.sleep(2)
        done.append(1)

    task = asyncio.create_task(fleet.call("a", "b", work))
    await clock.advance(1)
    fleet.partition(["b"])
    await clock.advance(5)
    with pytest.raises(Unreachable):
        await task
    assert done == [1]

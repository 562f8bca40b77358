"""Time goes by sandbox seconds, in order, and a change of speed reaches those who sleep already."""

from __future__ import annotations

import asyncio
import time

import pytest

from labkit.embedded.runtime.clock import BEAT, LATE, ManualClock, ScaledClock


async def test_timers_fire_in_order_each_at_its_own_time() -> None:
    clock, fired = ManualClock(100.0), list[tuple[str, float]]()
    for name, delay in (("c", 3.0), ("a", 1.0), ("b", 1.0), ("d", 5.0)):
        clock.call_later(delay, lambda name=name: fired.append((name, clock.time())))
    await clock.advance(3)
    assert fired == [("a", 101.0), ("b", 101.0), ("c", 103.0)]
    assert clock.time() == 103.0
    await clock.advance(1.5)
    assert len(fired) == 3
    assert clock.time() == 104.5


async def test_what_a_timer_starts_is_due_within_the_same_advance() -> None:
    clock, seen = ManualClock(0.0), list[float]()

    async def sleeper() -> None:
        for _ in range(3):
            await clock.sleep(2)
            seen.append(clock.time())

    task = asyncio.create_task(sleeper())
    await clock.advance(10)
    assert seen == [2.0, 4.0, 6.0]
    assert task.done()


async def test_a_cancelled_timer_never_fires_and_is_forgotten() -> None:
    clock, fired = ManualClock(), list[int]()
    timers = [clock.call_later(5, fired.append, number) for number in range(500)]
    for timer in timers[1:]:
        timer.cancel()
        timer.cancel()
    assert len(clock._heap) < 200
    await clock.advance(6)
    assert fired == [0]
    timers[0].cancel()
    assert timers[0].cancelled


async def test_an_error_in_a_timer_is_reported_and_stops_nothing() -> None:
    clock, fired, reported = ManualClock(), list[int](), list[dict[str, object]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    clock.call_later(1, lambda: 1 / 0)
    clock.call_later(1, fired.append, 1)
    await clock.advance(1)
    assert fired == [1]
    assert len(reported) == 1


async def test_timeout_ends_the_body_in_sandbox_time() -> None:
    clock = ManualClock()

    async def work() -> str:
        try:
            async with clock.timeout(5):
                await clock.sleep(60)
        except TimeoutError:
            return f"gave up at {clock.time() - start:g}"
        return "done"

    start = clock.time()
    task = asyncio.create_task(work())
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.2)
    assert await task == "gave up at 5"


async def test_a_timeout_that_is_not_reached_leaves_nothing_behind() -> None:
    clock = ManualClock()
    async with clock.timeout(5), clock.timeout(None):
        pass
    await clock.advance(10)


async def test_cancelling_the_task_is_no_timeout() -> None:
    clock = ManualClock()

    async def work() -> None:
        async with clock.timeout(5):
            await clock.sleep(60)

    task = asyncio.create_task(work())
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_settle_ends_even_when_somebody_never_rests() -> None:
    async def restless() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    task = asyncio.create_task(restless())
    await ManualClock().settle(rounds=50)
    task.cancel()


async def test_scaled_time_runs_at_its_speed() -> None:
    clock = ScaledClock(speed=100, start=1000.0)
    before, real = clock.time(), time.monotonic()
    await clock.sleep(2)
    took = time.monotonic() - real
    assert 0.015 < took < 1
    assert clock.time() - before == pytest.approx(took * 100, rel=0.5)


async def test_a_new_speed_wakes_those_who_sleep() -> None:
    clock = ScaledClock(speed=1)
    task = asyncio.create_task(clock.sleep(100))
    await asyncio.sleep(0)
    before = clock.time()
    clock.set_speed(1000)
    assert clock.time() >= before
    clock.call_later(2000, clock.set_speed, 1)
    await asyncio.wait_for(task, 5)


async def test_an_unhurried_body_has_the_walls_time() -> None:
    """HAProxy takes the wall's time to read its configuration: a task's farewell must not be over before."""
    clock = ScaledClock(speed=1000)
    fired: list[float] = []
    with clock.unhurried():
        before, real = clock.time(), time.monotonic()
        clock.call_later(20, lambda: fired.append(time.monotonic()))
        with clock.unhurried():
            await asyncio.sleep(0.05)  # the wall's time is what this is about: some has to pass
        await asyncio.sleep(0.05)
        assert clock.time() - before <= time.monotonic() - real + 0.5
        assert not fired
    assert clock.speed == 1000
    await asyncio.wait_for(clock.sleep(20), 5)
    assert fired


async def test_a_slow_clock_is_not_hurried() -> None:
    clock = ScaledClock(speed=0.01)
    before, real = clock.time(), time.monotonic()
    with clock.unhurried():
        await asyncio.sleep(0.05)  # to be compared with what the clock says of it
    assert clock.time() - before == pytest.approx((time.monotonic() - real) / 100, rel=0.5)


async def test_a_fast_clock_stands_still_while_nobody_can_do_anything() -> None:
    """A machine that is busy with something else holds up whoever would have answered, too."""
    clock = ScaledClock(speed=100)
    before = clock.time()
    patience = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 – which is the matter of this test
    passed = clock.time() - before
    assert passed <= (LATE + BEAT) * 100
    assert not patience.done()
    assert clock.time() >= before + passed, "it never goes back"
    await asyncio.wait_for(patience, 5)


async def test_time_is_fast_again_when_nobody_waited() -> None:
    clock = ScaledClock(speed=100)
    async with asyncio.timeout(60):
        late = 1.0
        while late > BEAT / 2:  # what is seen of a machine that was busy with something else is the test above
            before, real = clock.time(), time.monotonic()
            late, last = 0.0, real
            while last - real < 3 * BEAT:
                await asyncio.sleep(0.002)
                late, last = max(late, time.monotonic() - last), time.monotonic()
            passed, took = clock.time() - before, time.monotonic() - real
    assert passed == pytest.approx(took * 100, rel=0.1)


@pytest.mark.parametrize("speed", [0, -1, 1e9, float("nan")])
def test_a_speed_that_makes_no_sense_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be between"):
        ScaledClock(speed)

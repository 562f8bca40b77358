import asyncio

import pytest

from labkit.embedded.kubernetes.client import WorkQueue
from labkit.embedded.runtime.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_key_waits_once_however_often_it_is_added(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_that_is_worked_on_comes_back_afterwards_never_meanwhile(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    assert not queue.idle
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_later_keeps_the_earliest_date(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.2)
    assert len(queue) == 1
    await queue.get()
    queue.done("a")
    await clock.advance(60)
    assert len(queue) == 0


async def test_retries_double_up_to_the_ceiling_and_begin_anew_when_forgotten(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    pauses = []
    for _ in range(20):
        pauses.append(queue.retry("a"))
        await clock.advance(2000)
        queue.done(await queue.get())
    assert pauses[:4] == [0.005, 0.01, 0.02, 0.04]
    assert pauses[-1] == 1000.0
    assert queue.retries("a") == 20
    queue.forget("a")
    assert queue.retry("a") == 0.005


async def test_a_waiter_that_is_cancelled_when_woken_passes_the_key_on(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await clock.settle()
    queue.add("a")
    first.cancel()
    await clock.settle()
    assert second.done()
    assert second.result() == "a"


async def test_two_workers_never_have_the_same_key(clock: ManualClock) -> None:
    queue: WorkQueue[int] = WorkQueue(clock)
    working: set[int] = set()
    done: list[int] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in working
            working.add(key)
            await asyncio.sleep(0)
            working.discard(key)
            done.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for _ in range(5):
        for key in range(4):
            queue.add(key)
        await asyncio.sleep(0)
    await clock.settle()
    assert set(done) == {0, 1, 2, 3}
    assert queue.idle
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_clear_leaves_no_timer(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 1)
    queue.add("b")
    queue.clear()
    await clock.advance(2)
    assert len(queue) == 0

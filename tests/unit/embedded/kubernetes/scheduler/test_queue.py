"""Who is next, and who waits for what."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.scheduler.queue import QueuedPod, SchedulingQueue

from .making import a_pod, info

FIT = frozenset({"NodeResourcesFit"})
TAINT = frozenset({"TaintToleration"})


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def queue(time: Time) -> SchedulingQueue:
    return SchedulingQueue(time)


def names(queue: SchedulingQueue) -> list[str]:
    found = []
    while (queued := queue.pop()) is not None:
        found.append(queued.pod.name)
    return found


def popped(queue: SchedulingQueue) -> QueuedPod:
    queued = queue.pop()
    assert queued is not None
    return queued


def test_by_priority_then_by_time(queue: SchedulingQueue, time: Time) -> None:
    for name, priority in (("a", 0), ("b", 10), ("c", 0), ("d", 10)):
        queue.add(info(a_pod(name, priority=priority, cpu=f"{time.now:g}m")))
        time.now += 1
    assert names(queue) == ["b", "d", "a", "c"]


def test_alike_pods_of_one_second_go_together(queue: SchedulingQueue, time: Time) -> None:
    for name in ("a1", "b1", "a2", "b2"):
        queue.add(info(a_pod(name, labels={"app": name[0]})))
    time.now += 1
    queue.add(info(a_pod("a3", labels={"app": "a"})))
    assert names(queue) == ["a1", "a2", "b1", "b2", "a3"]


def test_a_refused_pod_waits_for_what_concerns_it(queue: SchedulingQueue, time: Time) -> None:
    queue.add(info(a_pod("web")))
    queue.refused(popped(queue), FIT)
    assert queue.pop() is None
    assert not queue.move(lambda shape, plugins: plugins == TAINT)
    assert queue.move(lambda shape, plugins: plugins == FIT)
    assert popped(queue).attempts == 2


def test_back_off(queue: SchedulingQueue, time: Time) -> None:
    """What something happened for waits out its back-off as long as others wait, too."""
    queue.add(info(a_pod("web")))
    waits = []
    for _ in range(6):
        queued = popped(queue)
        queue.refused(queued, FIT)
        waits.append(queued.backoff)
        queue.move(lambda shape, plugins: True)
        assert queue.due() == time.now + queued.backoff
        queue.add(info(a_pod("other", priority=-1)))
        assert popped(queue).pod.name == "other"
        time.now += queued.backoff
        assert queue.flush()
    assert waits == [1, 2, 4, 8, 10, 10]


def test_nobody_else_waits_then_it_need_not_either(queue: SchedulingQueue) -> None:
    queue.add(info(a_pod("web")))
    queue.refused(popped(queue), FIT)
    queue.move(lambda shape, plugins: True)
    assert queue.counts()["backoff"] == 1
    assert popped(queue).pod.name == "web"


def test_errors_wait_in_any_case(queue: SchedulingQueue, time: Time) -> None:
    queue.add(info(a_pod("web")))
    queue.failed(popped(queue))
    assert queue.pop() is None
    assert queue.due() == time.now + 1
    time.now += 1
    queue.flush()
    queue.failed(popped(queue))
    assert queue.due() == time.now + 2
    time.now += 2
    queue.flush()
    queued = popped(queue)
    queue.refused(queued, FIT)  # it went through, so the errors are over
    assert queued.backoff == 1


def test_five_minutes(queue: SchedulingQueue, time: Time) -> None:
    queue.add(info(a_pod("web")))
    queue.refused(popped(queue), FIT)
    assert queue.due() == time.now + 300
    time.now += 299
    assert not queue.flush()
    time.now += 1
    assert queue.flush()
    assert names(queue) == ["web"]


def test_a_change_of_the_pod_is_a_reason_to_try(queue: SchedulingQueue, time: Time) -> None:
    queue.add(info(a_pod("web", cpu="1")))
    queue.refused(popped(queue), FIT)
    time.now += 5
    assert not queue.update(info(a_pod("web", cpu="1")))
    assert queue.update(info(a_pod("web", cpu="1", labels={"new": "label"})))
    assert popped(queue).pod.shape.labels == {"new": "label"}


def test_gates(queue: SchedulingQueue) -> None:
    queue.update(info(a_pod("web", schedulingGates=[{"name": "x"}])))
    assert queue.pop() is None
    assert not queue.move(lambda shape, plugins: True)
    assert queue.due() is None
    assert queue.update(info(a_pod("web")))
    assert names(queue) == ["web"]


def test_what_is_gone_is_gone(queue: SchedulingQueue, time: Time) -> None:
    for name in ("a", "b", "c"):
        queue.add(info(a_pod(name)))
    queue.refused(popped(queue), FIT)
    queue.failed(popped(queue))
    for name in ("a", "b", "c"):
        queue.remove(("default", name))
    time.now += 1000
    queue.flush()
    assert queue.pop() is None
    assert queue.due() is None
    assert set(queue.counts().values()) == {0}


def test_activated(queue: SchedulingQueue) -> None:
    queue.add(info(a_pod("web")))
    queue.refused(popped(queue), FIT)
    queue.activate(("default", "web"))
    queue.activate(("default", "web"))
    assert names(queue) == ["web"]

"""The task state machine of the agent, by table and with a controller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.fakeswarm import FakeController, FakeHost, a_task

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.swarm.agent.controller import TaskError, TemporaryError
from labkit.embedded.swarm.agent.taskmanager import Next, TaskManager, action, pause, step
from labkit.embedded.swarm.objects import Task, TaskState, TaskStatus

S = TaskState


@pytest.mark.parametrize(
    ("state", "desired", "following"),
    [
        (S.ASSIGNED, S.RUNNING, S.ACCEPTED),
        (S.ACCEPTED, S.RUNNING, S.PREPARING),
        (S.ACCEPTED, S.READY, S.PREPARING),
        (S.PREPARING, S.READY, None),  # something is done there
        (S.READY, S.READY, None),  # waits to be told to run
        (S.READY, S.RUNNING, S.STARTING),
        (S.RUNNING, S.RUNNING, None),
        (S.READY, S.SHUTDOWN, None),
        (S.COMPLETE, S.RUNNING, None),
    ],
)
def test_pauses(state: TaskState, desired: TaskState, following: TaskState | None) -> None:
    status = pause(a_task(state=state, desired_state=desired))
    assert (status.state if status else None) == following


@pytest.mark.parametrize(
    ("state", "desired", "method"),
    [
        (S.ASSIGNED, S.RUNNING, None),
        (S.PREPARING, S.RUNNING, "prepare"),
        (S.PREPARING, S.READY, "prepare"),
        (S.STARTING, S.RUNNING, "start"),
        (S.STARTING, S.READY, None),
        (S.RUNNING, S.RUNNING, "wait"),
        (S.RUNNING, S.READY, None),
        (S.ASSIGNED, S.SHUTDOWN, "shutdown"),
        (S.RUNNING, S.SHUTDOWN, "shutdown"),
        (S.RUNNING, S.REMOVE, "shutdown"),
        (S.COMPLETE, S.SHUTDOWN, None),
        (S.SHUTDOWN, S.REMOVE, None),
        (S.FAILED, S.RUNNING, None),
    ],
)
def test_actions(state: TaskState, desired: TaskState, method: str | None) -> None:
    todo = action(a_task(state=state, desired_state=desired))
    assert (todo[0] if todo else None) == method


class Scripted(FakeController):
    """Raises ``error`` in ``method``."""

    def __init__(self, method: str, error: Exception) -> None:
        super().__init__(FakeHost("h", ManualClock()), a_task())
        self._error = error

        async def fail() -> None:
            raise error

        setattr(self, method, fail)


@pytest.mark.parametrize(
    ("method", "state", "error", "end", "code"),
    [
        ("prepare", S.PREPARING, TaskError("No such image: x:1"), S.REJECTED, None),
        ("start", S.STARTING, TaskError("starting container failed: port is taken"), S.FAILED, None),
        ("wait", S.RUNNING, TaskError("task: non-zero exit (1)", 1), S.FAILED, 1),
        ("shutdown", S.RUNNING, TaskError("it does not stop"), S.FAILED, None),
        ("prepare", S.PREPARING, ValueError("a bug is a failure of the task"), S.REJECTED, None),
    ],
)
async def test_errors_end_a_task(
    method: str, state: TaskState, error: Exception, end: TaskState, code: int | None
) -> None:
    desired = S.SHUTDOWN if method == "shutdown" else S.RUNNING
    status, what = await step(a_task(state=state, desired_state=desired), Scripted(method, error))
    assert (status.state, status.err, status.exit_code) == (end, str(error), code)
    assert what is Next.GO_ON


async def test_what_may_pass_is_tried_again() -> None:
    task = a_task(state=S.PREPARING)
    status, what = await step(task, Scripted("prepare", TemporaryError("try later")))
    assert (status.state, status.err, what) == (S.PREPARING, "try later", Next.RETRY)


class Bench:
    """One manager, its controller's host, and what it reported."""

    def __init__(self, task: Task | None = None, image: str = "app:1", **changes: Any) -> None:
        self.clock = ManualClock()
        self.host = FakeHost("h", self.clock)
        self.reports: list[TaskStatus] = []
        self.task = task or a_task(spec={"ContainerSpec": {"Image": image}}, **{"state": S.ASSIGNED, **changes})
        controller = self.host.controller(self.task)
        self.manager = TaskManager(self.task, controller, self.clock, lambda _, status: self.reports.append(status))

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(status.state.word, status.message) for status in self.reports]

    def want(self, desired: TaskState) -> None:
        from dataclasses import replace

        self.manager.update(replace(self.task, desired_state=desired))


UP = [("accepted", "accepted"), ("preparing", "preparing"), ("ready", "prepared"), ("starting", "starting")]


async def test_a_life_in_words() -> None:
    bench = Bench()
    await bench.clock.settle()
    assert bench.words == [*UP, ("running", "started")]
    assert bench.reports[-1].container_id == "ct1"
    assert bench.reports[-1].exit_code is None
    assert bench.reports[2].container_id == ""  # the container is told of from the start on
    bench.host.kill("t1", 0)
    await bench.clock.settle()
    assert bench.words[-1] == ("complete", "finished")
    assert bench.reports[-1].exit_code == 0
    assert bench.reports[-1].timestamp == bench.clock.time()


async def test_a_failure_keeps_the_message_and_says_why() -> None:
    bench = Bench()
    await bench.clock.settle()
    bench.host.kill("t1", 137)
    await bench.clock.settle()
    last = bench.reports[-1]
    assert (last.state, last.message, last.err, last.exit_code) == (
        S.FAILED,
        "started",
        "task: non-zero exit (137)",
        137,
    )


async def test_a_replacement_stands_ready_and_is_told_to_run() -> None:
    bench = Bench(desired_state=S.READY)
    await bench.clock.settle()
    assert bench.words == UP[:3]
    bench.want(S.RUNNING)
    await bench.clock.settle()
    assert bench.words == [*UP, ("running", "started")]
    bench.want(S.READY)  # an old message
    await bench.clock.settle()
    assert bench.manager.task.desired_state == S.RUNNING


@pytest.mark.parametrize("when", [0.0, 1.0, 5.0])
async def test_a_shutdown_breaks_off_whatever_is_under_way(when: float) -> None:
    bench = Bench(image="slow:1")
    await bench.clock.advance(when)
    bench.want(S.SHUTDOWN)
    await bench.clock.settle()
    assert bench.words[-1] == ("shutdown", "shutdown")
    assert ("start", "t1") in bench.host.calls
    bench.want(S.REMOVE)
    await bench.clock.settle()
    assert bench.words[-1] == ("shutdown", "shutdown")


async def test_a_task_that_is_no_longer_assigned_is_stopped_and_removed() -> None:
    bench = Bench()
    await bench.clock.settle()
    await bench.manager.remove()
    assert bench.host.calls[-2:] == [("shutdown", "t1"), ("remove", "t1")]
    assert bench.words[-1] == ("running", "started")  # nobody wants to hear of it any more


async def test_closing_leaves_the_container() -> None:
    bench = Bench()
    await bench.clock.settle()
    await bench.manager.close()
    assert bench.host.containers["t1"].state == "running"


async def test_from_where_it_was() -> None:
    bench = Bench(state=S.PREPARING)
    await bench.clock.settle()
    assert bench.words == [*UP[2:], ("running", "started")]
    ended = Bench(state=S.FAILED)
    await ended.clock.settle()
    assert ended.reports == []
    assert ended.host.calls == []


async def test_few_prepare_at_a_time() -> None:
    clock, host = ManualClock(), FakeHost("h", ManualClock())
    slots = asyncio.Semaphore(2)
    at_once: list[int] = []
    busy = 0

    class Counting(FakeController):
        async def prepare(self) -> None:
            nonlocal busy
            busy += 1
            at_once.append(busy)
            await clock.sleep(1)
            await super().prepare()
            busy -= 1

    tasks = [a_task(f"t{n}", state=S.ASSIGNED) for n in range(6)]
    managers = [TaskManager(task, Counting(host, task), clock, lambda *_: None, slots) for task in tasks]
    await clock.advance(10)
    assert max(at_once) == 2
    assert all(manager.task.status.state == S.RUNNING for manager in managers)
    for manager in managers:
        await manager.close()

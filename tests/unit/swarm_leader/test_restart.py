"""Restart policies by table, and the supervisor's timing."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from support.fakeswarm import SECOND, FakeSwarm, a_task, fake_swarm

from labkit.embedded.swarm.leader.orchestrator.restart import History, should_restart
from labkit.embedded.swarm.leader.orchestrator.tasks import RestartPolicy, restart_policy
from labkit.embedded.swarm.objects import Service, Task, TaskState

S = TaskState


def history(total: int, *times: float, version: int = 0) -> History:
    return History(version, total, deque(times))


@pytest.mark.parametrize(
    ("policy", "state", "past", "again"),
    [
        (RestartPolicy(), S.FAILED, None, True),
        (RestartPolicy(), S.COMPLETE, None, True),
        (RestartPolicy("none"), S.FAILED, None, False),
        (RestartPolicy("none"), S.RUNNING, None, False),  # drained: still not replaced
        (RestartPolicy("on-failure"), S.FAILED, None, True),
        (RestartPolicy("on-failure"), S.REJECTED, None, True),
        (RestartPolicy("on-failure"), S.COMPLETE, None, False),
        (RestartPolicy("on-failure"), S.RUNNING, None, True),  # its node is down or drained
        (RestartPolicy(max_attempts=2), S.FAILED, None, True),
        (RestartPolicy(max_attempts=2), S.FAILED, history(1), True),
        (RestartPolicy(max_attempts=2), S.FAILED, history(2), False),
        (RestartPolicy(max_attempts=2), S.FAILED, history(2, version=5), True),  # of another spec
        # The window looks back from the task's end, which is at 100.
        (RestartPolicy(max_attempts=2, window=10), S.FAILED, history(5, 80, 85, 90, 95), True),
        (RestartPolicy(max_attempts=2, window=10), S.FAILED, history(5, 80, 91, 95), False),
        (RestartPolicy(max_attempts=2, window=10), S.FAILED, history(5, 91, 100, 101), True),
    ],
)
def test_policies(policy: RestartPolicy, state: TaskState, past: History | None, again: bool) -> None:
    assert should_restart(policy, a_task(state=state, at=100.0), past) is again


def test_defaults_and_nanoseconds() -> None:
    assert restart_policy({}) == RestartPolicy("any", 5.0, 0, 0.0)
    spec = {"RestartPolicy": {"Condition": "on-failure", "Delay": 0, "MaxAttempts": 3, "Window": 2 * SECOND}}
    assert restart_policy(spec) == RestartPolicy("on-failure", 0.0, 3, 2.0)


async def one(swarm: FakeSwarm, **policy: Any) -> Service:
    service = await swarm.create("web", 1, RestartPolicy=policy)
    await swarm.settle()
    return service


def states(swarm: FakeSwarm, service: Service) -> list[tuple[str, str]]:
    tasks = sorted(swarm.tasks(service), key=lambda task: task.created_at)
    return [(task.desired_state.word, task.status.state.word) for task in tasks]


def kill(swarm: FakeSwarm, task: Task, code: int = 137) -> None:
    swarm.hosts[task.node_id.removeprefix("node-")].kill(task.id, code)


async def test_a_replacement_stands_ready_until_the_delay_is_over() -> None:
    async with fake_swarm() as swarm:
        service = await one(swarm)
        kill(swarm, swarm.tasks(service)[0])
        await swarm.settle(1)
        assert states(swarm, service) == [("shutdown", "failed"), ("ready", "ready")]
        assert swarm.tasks(service)[0].status.err == "task: non-zero exit (137)"
        assert swarm.tasks(service)[0].status.exit_code == 137
        await swarm.settle(3.5)
        assert states(swarm, service) == [("shutdown", "failed"), ("ready", "ready")]
        await swarm.settle(1)
        assert states(swarm, service) == [("shutdown", "failed"), ("running", "running")]


async def test_a_task_that_completed_is_replaced_if_the_condition_is_any() -> None:
    async with fake_swarm() as swarm:
        service = await one(swarm, Delay=SECOND)
        kill(swarm, swarm.tasks(service)[0], 0)
        await swarm.settle(2)
        assert states(swarm, service) == [("shutdown", "complete"), ("running", "running")]


@pytest.mark.parametrize("condition", ["none", "on-failure"])
async def test_a_task_that_completed_stays_else(condition: str) -> None:
    async with fake_swarm() as swarm:
        service = await one(swarm, Condition=condition)
        kill(swarm, swarm.tasks(service)[0], 0)
        await swarm.settle(20)
        assert states(swarm, service) == [("shutdown", "complete")]


async def test_attempts_are_counted_also_by_the_next_leader() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create(
            "web", 1, "crash:1", RestartPolicy={"Condition": "any", "Delay": SECOND, "MaxAttempts": 3}
        )
        await swarm.settle(6)
        assert swarm.leader is not None
        await swarm.leader.stop()
        await swarm.lead()
        await swarm.settle(60)
        assert len(swarm.tasks(service)) == 4
        assert {task.status.state for task in swarm.tasks(service)} == {S.FAILED}


async def test_an_image_that_does_not_exist_is_retried_at_the_pace_of_the_delay() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 1, "nosuch:1")
        await swarm.settle(1)
        # The first one, and its replacement, which is rejected while it still stands ready.
        assert states(swarm, service) == [("shutdown", "rejected"), ("ready", "rejected")]
        assert {task.status.err for task in swarm.tasks(service)} == {"No such image: nosuch:1"}
        await swarm.settle(5)
        assert len(swarm.tasks(service)) == 3
        await swarm.settle(5)
        assert len(swarm.tasks(service)) == 4


async def test_on_a_drained_node_there_is_no_delay_but_the_old_task_stops_first() -> None:
    async with fake_swarm() as swarm:
        service = await one(swarm)
        (old,) = swarm.tasks(service)
        await swarm.set_node(old.node_id.removeprefix("node-"), Availability="drain")
        await swarm.settle(1)
        assert states(swarm, service) == [("shutdown", "shutdown"), ("running", "running")]
        assert swarm.tasks(service, running=True)[0].node_id != old.node_id


async def test_on_a_node_that_is_down_nobody_waits_for_the_old_task() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        await swarm.fail("worker-1")
        await swarm.settle(10)
        assert swarm.node_state("worker-1") == "ready"
        await swarm.settle(8)
        assert swarm.node_state("worker-1") == "down"
        await swarm.settle(5)
        running = [task for task in swarm.tasks(service, running=True) if task.node_id != "node-worker-1"]
        assert len(running) == 3
        lost = [task for task in swarm.tasks(service) if task.node_id == "node-worker-1"]
        assert [(task.desired_state, task.status.state) for task in lost] == [(S.SHUTDOWN, S.RUNNING)]
        await swarm.heal("worker-1")
        await swarm.settle(10)
        assert swarm.node_state("worker-1") == "ready"
        assert swarm.on("worker-1") == []  # nothing comes back by itself


async def test_a_delay_goes_on_under_the_next_leader() -> None:
    async with fake_swarm() as swarm:
        service = await one(swarm)
        kill(swarm, swarm.tasks(service)[0])
        await swarm.settle(2)
        assert swarm.leader is not None
        await swarm.leader.stop()
        await swarm.settle(1)
        await swarm.lead()
        await swarm.settle(1.5)
        assert states(swarm, service)[-1] == ("ready", "ready")
        await swarm.settle(1)
        assert states(swarm, service)[-1] == ("running", "running")

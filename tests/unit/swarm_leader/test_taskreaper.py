"""The task history and what is deleted at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fakeswarm import SECOND, a_service, a_task, fake_swarm

from labkit.embedded.swarm.leader.orchestrator.taskreaper import history_limit, is_rubbish, surplus
from labkit.embedded.swarm.objects import Cluster, Task, TaskState
from labkit.embedded.swarm.store import Tx

S = TaskState


@pytest.mark.parametrize(
    ("state", "desired", "service_id", "rubbish"),
    [
        (S.RUNNING, S.REMOVE, "s1", False),
        (S.SHUTDOWN, S.REMOVE, "s1", True),
        (S.FAILED, S.REMOVE, "s1", True),
        (S.PENDING, S.REMOVE, "s1", True),  # never assigned
        (S.ASSIGNED, S.REMOVE, "s1", False),
        (S.ORPHANED, S.REMOVE, "s1", True),
        (S.SHUTDOWN, S.SHUTDOWN, "s1", False),  # history
        (S.ORPHANED, S.SHUTDOWN, "s1", False),
        (S.ORPHANED, S.SHUTDOWN, "", True),
    ],
)
def test_what_goes_at_once(state: TaskState, desired: TaskState, service_id: str, rubbish: bool) -> None:
    assert is_rubbish(a_task(state=state, desired_state=desired, service_id=service_id)) is rubbish


@pytest.mark.parametrize(
    ("limit", "gone"),
    [(-1, []), (5, []), (4, ["t0"]), (3, ["t0", "t1"]), (0, ["t0", "t1", "t3"])],
)
def test_the_oldest_that_are_over_go(limit: int, gone: list[str]) -> None:
    states = [S.FAILED, S.SHUTDOWN, S.RUNNING, S.COMPLETE, S.RUNNING]
    slot = [a_task(f"t{n}", state=state, at=float(n)) for n, state in enumerate(states)]
    assert [task.id for task in surplus(slot[::-1], limit)] == gone


def test_attempts_need_their_history() -> None:
    assert history_limit(a_service(), 5) == 5
    assert history_limit(a_service(TaskTemplate={"RestartPolicy": {"MaxAttempts": 9}}), 5) == 10


async def test_a_slot_keeps_four_dead_tasks_and_the_living_one() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 1, "crash:1", RestartPolicy={"Delay": SECOND})
        await swarm.settle(60)
        tasks = swarm.tasks(service)
        assert len(tasks) == 5
        assert sum(task.desired_state <= S.RUNNING for task in tasks) == 1
        assert sum(len(host.containers) for host in swarm.hosts.values()) <= 5


async def test_another_limit_takes_effect() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 1, "crash:1", RestartPolicy={"Delay": SECOND})
        await swarm.settle(60)

        def shorten(tx: Tx) -> None:
            cluster = tx.cluster()
            assert cluster is not None
            tx.update(replace(cluster, spec={"Orchestration": {"TaskHistoryRetentionLimit": 2}}))

        await swarm.store.update(shorten)
        await swarm.settle(10)
        assert len(swarm.tasks(service)) == 2
        assert len(swarm.store.all(Cluster)) == 1
        assert all(isinstance(task, Task) for task in swarm.tasks(service))

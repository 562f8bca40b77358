"""Tasks on nodes that stopped being fit for them."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakeswarm import SECOND, a_node, a_task, fake_swarm

from labkit.embedded.swarm.leader.orchestrator.constraintenforcer import noncompliant
from labkit.embedded.swarm.objects import Json, TaskState

S = TaskState
EAST = {"Constraints": ["node.labels.zone == east"]}


def reserving(cpus: int) -> Json:
    return {"Resources": {"Reservations": {"NanoCPUs": cpus * SECOND}}}


@pytest.mark.parametrize(
    ("node", "placement", "task", "leaves"),
    [
        ({}, {}, {}, False),
        ({}, EAST, {}, True),
        ({"labels": {"zone": "east"}}, EAST, {}, False),
        ({"availability": "pause"}, EAST, {}, False),  # a paused node is left alone
        ({"availability": "drain"}, EAST, {}, False),  # the orchestrator sees to that one
        ({}, EAST, {"desired_state": S.SHUTDOWN}, False),
        ({}, EAST, {"state": S.COMPLETE}, False),
        ({}, {}, {"spec": reserving(4)}, False),
        ({}, {}, {"spec": reserving(5)}, True),
    ],
)
def test_who_leaves(node: dict[str, Any], placement: Json, task: dict[str, Any], leaves: bool) -> None:
    assert bool(noncompliant(a_node(**node), [a_task(**task)], lambda _: placement)) is leaves


def test_those_that_fit_together_stay() -> None:
    tasks = [a_task(f"t{n}", spec=reserving(3)) for n in range(2)]
    assert [task.id for task in noncompliant(a_node(), tasks, lambda _: {})] == ["t1"]


async def test_a_label_that_goes_takes_the_tasks_with_it() -> None:
    async with fake_swarm(2) as swarm:
        await swarm.set_node("worker-1", Labels={"zone": "east"})
        await swarm.set_node("worker-2", Labels={"zone": "east"})
        service = await swarm.create("web", 2, Placement=EAST)
        await swarm.settle()
        await swarm.set_node("worker-1", Labels={"zone": "west"})
        await swarm.settle(1)
        rejected = next(task for task in swarm.tasks(service) if task.status.state == S.REJECTED)
        assert rejected.status.message == "task rejected by constraint enforcer"
        assert rejected.status.err == "assigned node no longer meets constraints"
        await swarm.settle(6)
        assert len(swarm.on("worker-2")) == 2
        assert swarm.on("worker-1") == []
        assert swarm.hosts["worker-1"].containers[rejected.id].state == "exited"

"""Rolling updates: the arithmetic by table, and the life of an update in the real engine's words."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakeswarm import SECOND, FakeSwarm, a_node, a_service, a_task, fake_swarm

from labkit.embedded.swarm.leader.orchestrator.tasks import is_task_dirty
from labkit.embedded.swarm.leader.orchestrator.updatepolicy import UpdatePolicy, Watchlist, update_policy
from labkit.embedded.swarm.objects import Json, Service, Task, TaskState

S = TaskState


@pytest.mark.parametrize(
    ("spec", "status", "policy"),
    [
        ({}, None, UpdatePolicy()),
        ({"UpdateConfig": {"FailureAction": "continue"}}, None, UpdatePolicy(0, failure_action="continue")),
        ({"UpdateConfig": {"Parallelism": 2, "Delay": SECOND}}, None, UpdatePolicy(2, delay=1.0)),
        ({"UpdateConfig": {"Monitor": 9 * SECOND, "Order": "start-first"}}, None, UpdatePolicy(0, 0, 9, "start-first")),
        ({"UpdateConfig": {"MaxFailureRatio": 0.5}}, None, UpdatePolicy(0, max_failure_ratio=0.5)),
        ({"UpdateConfig": {"Parallelism": 2}}, "rollback_started", UpdatePolicy(rolling_back=True)),
        ({"RollbackConfig": {"Parallelism": 3}}, "rollback_started", UpdatePolicy(3, rolling_back=True)),
        ({"RollbackConfig": {"Parallelism": 3}}, "updating", UpdatePolicy()),
    ],
)
def test_policy_of_a_service(spec: Json, status: str | None, policy: UpdatePolicy) -> None:
    service = a_service(**spec)
    if status:
        service = type(service)(id="s1", spec=service.spec, update_status={"State": status})
    assert update_policy(service) == policy


@pytest.mark.parametrize(("delay", "monitor", "watched"), [(0, 5, 5), (4, 5, 5), (5, 5, 6), (30, 5, 31)])
def test_monitoring_outlasts_the_delay(delay: float, monitor: float, watched: float) -> None:
    assert UpdatePolicy(delay=delay, monitor=monitor).monitoring == watched


@pytest.mark.parametrize(
    ("policy", "slots", "failures", "outcome"),
    [
        (UpdatePolicy(), 5, 1, "pause"),
        (UpdatePolicy(failure_action="continue"), 5, 5, None),
        (UpdatePolicy(failure_action="rollback"), 5, 1, "rollback"),
        (UpdatePolicy(failure_action="rollback", rolling_back=True), 5, 1, "pause"),
        (UpdatePolicy(max_failure_ratio=0.4), 5, 2, None),
        (UpdatePolicy(max_failure_ratio=0.4), 5, 3, "pause"),
    ],
)
def test_failures_and_what_they_lead_to(policy: UpdatePolicy, slots: int, failures: int, outcome: str | None) -> None:
    watchlist = Watchlist(policy, slots)
    verdict = None
    for n in range(failures):
        watchlist.made(f"t{n}")
        verdict = watchlist.ended(f"t{n}", 0.0)
        assert watchlist.ended(f"t{n}", 0.0) is None  # counted once
    assert (verdict.action if verdict else None) == outcome


def test_only_early_ends_of_own_tasks_count() -> None:
    watchlist = Watchlist(UpdatePolicy(), 3)
    watchlist.made("t1")
    watchlist.ran("t1", 10.0)
    watchlist.ran("t1", 14.0)  # the first time counts
    assert watchlist.ended("t1", 15.1) is None
    assert watchlist.ended("other", 11.0) is None
    verdict = watchlist.ended("t1", 15.0)
    assert verdict is not None
    assert verdict.message == "update paused due to failure or early termination of task t1"


def dirty(task: dict[str, Any], service: dict[str, Any], version: int = 1) -> bool:
    made = a_service(TaskTemplate=service)
    made = type(made)(id="s1", spec=made.spec, spec_version=version)
    return is_task_dirty(made, a_task(spec=task), a_node(labels={"zone": "east"}))


def test_when_a_task_no_longer_fits() -> None:
    east, west = ({"Placement": {"Constraints": [f"node.labels.zone=={zone}"]}} for zone in ("east", "west"))
    assert not dirty({"A": 1}, {"A": 2}, version=0)  # the same version is never looked at
    assert dirty({"A": 1}, {"A": 2})
    assert not dirty({"A": 1}, {"A": 1})  # say, only the number of replicas changed
    assert not dirty({"A": 1}, {"A": 1} | east)  # its node satisfies the new constraint
    assert dirty({"A": 1}, {"A": 1} | west)
    assert dirty({"A": 1}, {"A": 2} | east)


def images(swarm: FakeSwarm, service: Service) -> list[str]:
    return sorted(t.spec["ContainerSpec"]["Image"] for t in swarm.tasks(service, running=True))


def status(swarm: FakeSwarm, service: Service) -> tuple[str, str]:
    found = swarm.service(service).update_status or {}
    return found.get("State", ""), found.get("Message", "")


async def test_one_after_another_with_a_delay() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3, UpdateConfig={"Parallelism": 1, "Delay": 10 * SECOND})
        await swarm.settle()
        assert swarm.service(service).update_status is None
        await swarm.update(service, image="app:2")
        seen = []
        for _ in range(4):
            await swarm.settle(2)
            seen.append(images(swarm, service).count("app:2"))
            assert status(swarm, service) == ("updating", "update in progress")
            await swarm.settle(8.3)
        assert seen == [1, 2, 3, 3]
        await swarm.settle(11)  # the last delay, then the delay and a second of watching
        assert status(swarm, service) == ("completed", "update completed")
        times = swarm.service(service).update_status or {}
        assert times["StartedAt"] < times["CompletedAt"]


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
async def test_order(order: str) -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 1, "slow:1", UpdateConfig={"Parallelism": 1, "Order": order})
        await swarm.settle(5)
        await swarm.update(service, image="slow:2")
        await swarm.settle(2)  # the new one takes three seconds to start
        assert images(swarm, service) == (["slow:1"] if order == "start-first" else [])
        await swarm.settle(3)
        assert images(swarm, service) == ["slow:2"]
        assert len(swarm.tasks(service)) == 2
        await swarm.settle(6)
        assert status(swarm, service)[0] == "completed"


async def test_all_at_once() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 30, UpdateConfig={"Parallelism": 0})
        await swarm.settle()
        await swarm.update(service, image="app:2")
        await swarm.settle(1)
        assert images(swarm, service) == ["app:2"] * 30


async def test_a_failure_pauses_and_another_update_goes_on() -> None:
    async with fake_swarm() as swarm:
        # Without a delay the others would be replaced before the first has had the time to crash.
        service = await swarm.create("web", 4, UpdateConfig={"Parallelism": 1, "Delay": 3 * SECOND})
        await swarm.settle()
        await swarm.update(service, image="crash:1")
        await swarm.settle(5)
        state, message = status(swarm, service)
        assert state == "paused"
        assert message.startswith("update paused due to failure or early termination of task ")
        assert any(message.endswith(task.id) for task in swarm.tasks(service))
        await swarm.settle(30)
        assert images(swarm, service).count("app:1") == 3
        await swarm.update(service, image="app:2")
        await swarm.settle(60)
        assert images(swarm, service) == ["app:2"] * 4
        assert status(swarm, service) == ("completed", "update completed")


async def test_a_failure_rolls_back() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3, UpdateConfig={"Parallelism": 1, "FailureAction": "rollback"})
        await swarm.settle()
        await swarm.update(service, image="crash:1")
        await swarm.settle(4)
        state, message = status(swarm, service)
        assert state == "rollback_started"
        assert message.startswith("update rolled back due to failure or early termination of task ")
        await swarm.settle(30)
        assert status(swarm, service) == ("rollback_completed", "rollback completed")
        assert images(swarm, service) == ["app:1"] * 3
        assert swarm.service(service).previous_spec is None


async def test_a_rollback_that_fails_pauses() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2, "crash:1", RollbackConfig={"Parallelism": 1, "FailureAction": "pause"})
        await swarm.settle()
        await swarm.update(service, image="app:1")
        await swarm.settle(60)
        assert images(swarm, service) == ["app:1"] * 2
        await swarm.rollback(service)
        assert status(swarm, service) == ("rollback_started", "manually requested rollback")
        await swarm.settle(30)
        state, message = status(swarm, service)
        assert state == "rollback_paused"
        assert message.startswith("rollback paused due to failure or early termination of task ")


async def test_a_manual_rollback() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        await swarm.update(service, image="app:2", replicas=3)
        await swarm.settle(30)
        await swarm.rollback(service)
        await swarm.settle(30)
        assert images(swarm, service) == ["app:1"] * 3
        assert status(swarm, service) == ("rollback_completed", "rollback completed")


async def test_continue_takes_what_comes() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3, UpdateConfig={"Parallelism": 1, "FailureAction": "continue"})
        await swarm.settle()
        await swarm.update(service, image="crash:1")
        await swarm.settle(60)
        assert status(swarm, service) == ("completed", "update completed")
        assert all(
            t.spec["ContainerSpec"]["Image"] == "crash:1" for t in swarm.tasks(service) if t.desired_state <= 512
        )


async def test_scaling_alone_is_no_update() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2)
        await swarm.settle()
        await swarm.update(service, replicas=4)
        await swarm.settle()
        assert len(swarm.tasks(service, running=True)) == 4
        assert swarm.service(service).update_status is None


async def test_an_update_revives_tasks_that_ended_for_good() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2, "done:1", RestartPolicy={"Condition": "none"})
        await swarm.settle(5)
        assert {task.status.state for task in swarm.tasks(service)} == {S.COMPLETE}
        await swarm.update(service, image="app:2")
        await swarm.settle(30)
        assert images(swarm, service) == ["app:2"] * 2


async def test_tasks_that_wait_for_a_node_are_replaced_too() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2, Placement={"Constraints": ["node.labels.a == b"]})
        await swarm.settle()
        await swarm.update(service, Placement={})
        await swarm.settle(5)
        assert len(swarm.tasks(service, running=True)) == 2
        waiting: list[Task] = [t for t in swarm.tasks(service) if t.status.state < S.ASSIGNED]
        assert waiting == []


async def test_an_update_goes_on_under_the_next_leader() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 4, UpdateConfig={"Parallelism": 1, "Delay": 5 * SECOND})
        await swarm.settle()
        await swarm.update(service, image="app:2")
        await swarm.settle(7)
        assert swarm.leader is not None
        await swarm.leader.stop()
        await swarm.lead()
        await swarm.settle(60)
        assert images(swarm, service) == ["app:2"] * 4
        assert status(swarm, service) == ("completed", "update completed")


@pytest.mark.parametrize("by_the_next_leader", [False, True])
async def test_a_stopped_start_first_update_keeps_the_old_task_until_a_new_one_proves_itself(
    by_the_next_leader: bool,
) -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3, UpdateConfig={"Parallelism": 1, "Order": "start-first"})
        await swarm.settle()
        await swarm.update(service, image="nosuch:1")
        await swarm.settle(60)
        assert status(swarm, service)[0] == "paused"
        assert images(swarm, service) == ["app:1"] * 3
        # As on a real swarm it is tried again and again beside the old one.
        assert sum(task.status.state == S.REJECTED for task in swarm.tasks(service)) >= 4
        if by_the_next_leader:
            assert swarm.leader is not None
            await swarm.leader.stop()
            await swarm.lead()
        for host in swarm.hosts.values():
            host.images_found.add("nosuch")
        await swarm.settle(6)
        assert images(swarm, service) == ["app:1", "app:1", "app:1", "nosuch:1"]
        await swarm.settle(6)
        assert images(swarm, service) == ["app:1", "app:1", "nosuch:1"]
        assert status(swarm, service)[0] == "paused"


async def test_scaled_down_and_up_again_before_the_old_tasks_are_gone() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3, RestartPolicy={"Condition": "none"})
        await swarm.settle()
        await swarm.update(service, replicas=1)
        await swarm.update(service, replicas=3)
        await swarm.settle(5)
        assert len(swarm.tasks(service, running=True)) == 3


async def test_an_update_without_a_change_takes_a_paused_one_up_again() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        await swarm.update(service, image="nosuch:1")
        await swarm.settle(2)
        assert status(swarm, service)[0] == "paused"
        for host in swarm.hosts.values():
            host.images_found.add("nosuch")
        await swarm.update(service)
        await swarm.settle(30)
        assert images(swarm, service) == ["nosuch:1"] * 3
        assert status(swarm, service) == ("completed", "update completed")

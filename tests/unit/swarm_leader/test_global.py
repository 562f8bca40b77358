"""Global services: one task on every node that is fit."""

from __future__ import annotations

from support.fakeswarm import FakeSwarm, fake_swarm

from labkit.embedded.swarm.objects import Node, Service, TaskState
from labkit.embedded.swarm.store import Tx


def where(swarm: FakeSwarm, service: Service) -> list[str]:
    return sorted(task.node_id.removeprefix("node-") for task in swarm.tasks(service, running=True))


async def test_one_on_every_node_also_on_those_that_come() -> None:
    async with fake_swarm(2) as swarm:
        service = await swarm.create("agent", None)
        await swarm.settle()
        assert where(swarm, service) == ["manager-1", "worker-1", "worker-2"]
        task = swarm.tasks(service)[0]
        assert task.slot == 0
        assert task.name == f"agent.{task.node_id}"
        from support.fakeswarm import FakeHost

        from labkit.embedded.runtime.machines import Machine

        swarm.world.fleet.add(Machine("worker-3", "127.99.0.20"))
        swarm.hosts["worker-3"] = FakeHost("worker-3", swarm.clock)
        await swarm.join("worker-3")
        await swarm.settle(2)
        assert where(swarm, service) == ["manager-1", "worker-1", "worker-2", "worker-3"]


async def test_constraints_come_and_go_with_labels() -> None:
    async with fake_swarm(2) as swarm:
        service = await swarm.create("agent", None, Placement={"Constraints": ["node.labels.disk == ssd"]})
        await swarm.settle()
        assert swarm.tasks(service) == []
        await swarm.set_node("worker-1", Labels={"disk": "ssd"})
        await swarm.settle(2)
        assert where(swarm, service) == ["worker-1"]
        await swarm.set_node("worker-1", Labels={})
        await swarm.settle(10)
        assert where(swarm, service) == []
        ended = swarm.tasks(service)[0]
        assert ended.status.err == "assigned node no longer meets constraints"


async def test_drain_and_back() -> None:
    async with fake_swarm(2) as swarm:
        service = await swarm.create("agent", None)
        await swarm.settle()
        await swarm.set_node("worker-1", Availability="drain")
        await swarm.settle(2)
        assert where(swarm, service) == ["manager-1", "worker-2"]
        await swarm.set_node("worker-1", Availability="active")
        await swarm.settle(2)
        assert where(swarm, service) == ["manager-1", "worker-1", "worker-2"]


async def test_a_node_that_dies_and_comes_back() -> None:
    async with fake_swarm(2) as swarm:
        service = await swarm.create("agent", None)
        await swarm.settle()
        await swarm.fail("worker-1")
        await swarm.settle(30)
        assert where(swarm, service) == ["manager-1", "worker-2"]
        await swarm.heal("worker-1")
        await swarm.settle(20)
        assert where(swarm, service) == ["manager-1", "worker-1", "worker-2"]


async def test_rolling_update_and_restart() -> None:
    async with fake_swarm(2) as swarm:
        service = await swarm.create("agent", None)
        await swarm.settle()
        await swarm.update(service, image="app:2")
        await swarm.settle(30)
        assert where(swarm, service) == ["manager-1", "worker-1", "worker-2"]
        assert {t.spec["ContainerSpec"]["Image"] for t in swarm.tasks(service, running=True)} == {"app:2"}
        assert (swarm.service(service).update_status or {})["State"] == "completed"
        task = next(t for t in swarm.tasks(service, running=True) if t.node_id == "node-worker-1")
        swarm.hosts["worker-1"].kill(task.id)
        await swarm.settle(10)
        assert where(swarm, service) == ["manager-1", "worker-1", "worker-2"]


async def test_a_node_that_is_removed_takes_its_tasks_with_it() -> None:
    async with fake_swarm(2) as swarm:
        service = await swarm.create("agent", None)
        await swarm.settle()
        await swarm.fail("worker-1")
        await swarm.settle(30)

        def remove(tx: Tx) -> None:
            tx.delete(Node, "node-worker-1")

        await swarm.store.update(remove)
        await swarm.settle(2)
        assert {task.node_id for task in swarm.tasks(service)} == {"node-manager-1", "node-worker-2"}
        await swarm.remove(service)
        await swarm.settle(2)
        assert swarm.tasks(service) == []


async def test_a_preassigned_task_that_does_not_fit_says_why() -> None:
    async with fake_swarm(1) as swarm:
        service = await swarm.create("agent", None, Resources={"Reservations": {"NanoCPUs": 99 * 10**9}})
        await swarm.settle()
        for task in swarm.tasks(service):
            assert task.status.state == TaskState.PENDING
            assert task.status.err == "insufficient resources on 1 node"

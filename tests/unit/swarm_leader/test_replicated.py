"""Replicated services: which slots are filled, which go when it is scaled down, and what a new leader finds."""

from __future__ import annotations

import pytest
from support.fakeswarm import a_task, fake_swarm

from labkit.embedded.swarm.leader.orchestrator.replicated import order_for_scale_down, plan
from labkit.embedded.swarm.leader.orchestrator.tasks import Slot
from labkit.embedded.swarm.objects import Service, Task, TaskState

S = TaskState


def slots(*numbers: int) -> dict[int, Slot]:
    return {n: [a_task(f"t{n}", slot=n)] for n in numbers}


@pytest.mark.parametrize(
    ("replicas", "alive", "dead", "create", "keep", "remove", "delete"),
    [
        (3, (), (), [1, 2, 3], [], [], []),
        (3, (2,), (), [1, 3], [2], [], []),
        (2, (1, 2), (), [], [1, 2], [], []),
        (1, (1, 2, 3), (), [], [1], [2, 3], []),
        (0, (1, 2), (), [], [], [1, 2], []),
        (2, (1,), (2, 5), [2], [1], [], [5]),  # a slot that is filled again keeps its history
        (1, (1,), (2,), [], [1], [], [2]),
    ],
)
def test_plan(
    replicas: int,
    alive: tuple[int, ...],
    dead: tuple[int, ...],
    create: list[int],
    keep: list[int],
    remove: list[int],
    delete: list[int],
) -> None:
    decided = plan(replicas, slots(*alive), slots(*dead))
    assert decided.create == create
    assert sorted(slot[0].slot for slot in decided.update) == keep
    assert sorted(slot[0].slot for slot in decided.remove) == remove
    assert [task.slot for task in decided.delete] == delete


def test_the_fullest_node_is_relieved_first() -> None:
    nodes = {1: "a", 2: "a", 3: "a", 4: "b", 5: "c"}
    ordered = order_for_scale_down([[a_task(f"t{n}", slot=n, node_id=node)] for n, node in nodes.items()])
    assert [slot[0].slot for slot in ordered] == [1, 4, 5, 2, 3]


def test_tasks_that_do_not_run_go_before_those_that_do_and_unassigned_ones_before_all() -> None:
    tasks = [
        a_task("t1", slot=1, node_id="a", state=S.STARTING),
        a_task("t2", slot=2, node_id="a"),
        a_task("t3", slot=3, node_id="", state=S.PENDING),
        a_task("t4", slot=4, node_id="b"),
    ]
    assert [slot[0].slot for slot in order_for_scale_down([[task] for task in tasks])] == [2, 4, 1, 3]


async def test_life_of_a_service() -> None:
    async with fake_swarm(4) as swarm:
        service = await swarm.create("web", 5)
        await swarm.settle()
        assert [len(swarm.on(name)) for name in swarm.hosts] == [1] * 5
        first = swarm.tasks(service)[0]
        assert (first.name, first.status.message) == ("web.1", "started")
        assert first.status.container_id == f"c{first.id}"
        await swarm.update(service, replicas=12)
        await swarm.settle()
        assert sorted(len(swarm.on(name)) for name in swarm.hosts) == [2, 2, 2, 3, 3]
        await swarm.update(service, replicas=5)
        await swarm.settle(2)
        assert [len(swarm.on(name)) for name in swarm.hosts] == [1] * 5
        assert len(swarm.tasks(service)) == 5  # nothing is left of those that were scaled away
        assert sum(len(host.containers) for host in swarm.hosts.values()) == 5
        await swarm.remove(service)
        await swarm.settle(2)
        assert swarm.store.all(Task) == []
        assert not any(host.containers for host in swarm.hosts.values())


async def test_a_task_that_is_deleted_is_made_again() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 2)
        await swarm.settle()
        (gone, _) = swarm.tasks(service)
        await swarm.store.update(lambda tx: tx.delete(Task, gone.id))
        await swarm.settle()
        assert len(swarm.tasks(service, running=True)) == 2
        assert sum(len(host.containers) for host in swarm.hosts.values()) == 2


async def test_what_happened_while_nobody_led_is_made_up_for() -> None:
    async with fake_swarm() as swarm:
        grown, gone = await swarm.create("grown", 2), await swarm.create("gone", 2)
        await swarm.settle()
        assert swarm.leader is not None
        await swarm.leader.stop()
        swarm.leader = None
        await swarm.remove(gone)
        await swarm.update(grown, replicas=6)
        await swarm.set_node("worker-1", Availability="drain")
        swarm.hosts["manager-1"].kill(next(t.id for t in swarm.on("manager-1")))
        await swarm.settle(10)
        assert len(swarm.tasks(gone)) == 2
        await swarm.lead()
        await swarm.settle(20)
        assert len(swarm.tasks(grown, running=True)) == 6
        assert swarm.on("worker-1") == []
        assert swarm.tasks(gone) == []


async def test_drain_and_activate() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 6)
        await swarm.settle()
        await swarm.set_node("worker-2", Availability="drain")
        await swarm.settle(2)
        assert [len(swarm.on(name)) for name in swarm.hosts] == [3, 3, 0]
        await swarm.set_node("worker-2", Availability="active")
        await swarm.settle(20)
        assert [len(swarm.on(name)) for name in swarm.hosts] == [3, 3, 0]
        await swarm.update(service, replicas=9)
        await swarm.settle()
        assert [len(swarm.on(name)) for name in swarm.hosts] == [3, 3, 3]


async def test_pause_only_keeps_new_tasks_away() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        await swarm.set_node("worker-2", Availability="pause")
        await swarm.update(service, replicas=5)
        await swarm.settle(2)
        assert [len(swarm.on(name)) for name in swarm.hosts] == [2, 2, 1]


async def test_a_thousand_tasks_take_a_few_writes() -> None:
    async with fake_swarm(4) as swarm:
        before = swarm.store.index
        service = await swarm.create("web", 1000)
        await swarm.settle(1)
        assert len(swarm.tasks(service, running=True)) == 1000
        assert swarm.store.index - before < 25
        assert isinstance(swarm.service(service), Service)

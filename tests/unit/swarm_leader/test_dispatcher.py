"""Sessions, heartbeats, reports."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fakeswarm import SECOND, a_task, fake_swarm

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.leader.assignments import AssignmentSet
from labkit.embedded.swarm.leader.sessions import NodeNotFound, NodeNotRegistered, SessionInvalid
from labkit.embedded.swarm.objects import Node, TaskState, TaskStatus
from labkit.embedded.swarm.store import Tx

S = TaskState


def test_an_agent_hears_what_concerns_it() -> None:
    known = AssignmentSet("n1")
    known.put(a_task(state=S.PENDING))
    assert not known
    task = a_task(state=S.ASSIGNED)
    known.put(task)
    assert known.take() == ((task,), ())
    known.put(replace(task, status=TaskStatus(state=S.RUNNING)))  # its own report
    assert not known
    stopping = replace(task, status=TaskStatus(state=S.RUNNING), desired_state=S.SHUTDOWN)
    known.put(stopping)
    assert known.take() == ((stopping,), ())
    known.remove("t1")
    known.remove("never told of")
    assert known.take() == ((), ("t1",))


async def test_nodes_get_ready_with_description_and_address() -> None:
    async with fake_swarm() as swarm:
        node = swarm.store.get(Node, "node-worker-1")
        assert node is not None
        assert (node.state, node.message, node.addr) == ("ready", "", "127.99.0.11")
        assert node.hostname == "worker-1"
        versions = {node.id: node.version for node in swarm.store.all(Node)}
        await swarm.settle(300)
        assert {node.id: node.version for node in swarm.store.all(Node)} == versions  # heartbeats write nothing


@pytest.mark.parametrize("how", ["fail", "partition", "pause"])
async def test_three_missed_heartbeats_and_back(how: str) -> None:
    async with fake_swarm() as swarm:
        if how == "fail":
            await swarm.fail("worker-1")
        elif how == "partition":
            swarm.world.fleet.partition(["worker-1"])
        else:
            swarm.world.fleet.pause("worker-1")
        await swarm.settle(9)
        assert swarm.node_state("worker-1") == "ready"
        await swarm.settle(9)
        node = swarm.store.get(Node, "node-worker-1")
        assert node is not None
        assert (node.state, node.message) == ("down", "heartbeat failure")
        await swarm.heal("worker-1")
        await swarm.settle(20)
        node = swarm.store.get(Node, "node-worker-1")
        assert node is not None
        assert (node.state, node.message) == ("ready", "")


async def test_a_partitioned_node_runs_on_and_gives_up_what_was_replaced() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        (cut_off,) = swarm.on("worker-1")
        swarm.world.fleet.partition(["worker-1"])
        await swarm.settle(30)
        assert swarm.hosts["worker-1"].containers[cut_off.id].state == "running"
        assert sum(task.desired_state == S.RUNNING for task in swarm.tasks(service)) == 3
        await swarm.heal("worker-1")
        await swarm.settle(20)
        assert swarm.hosts["worker-1"].containers[cut_off.id].state == "exited"
        ended = next(task for task in swarm.tasks(service) if task.id == cut_off.id)
        assert ended.status.state == S.SHUTDOWN


async def test_a_short_cut_is_bridged() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        swarm.world.fleet.partition(["worker-1"])
        await swarm.update(service, replicas=6)
        await swarm.settle(6)
        await swarm.heal("worker-1")
        await swarm.settle(20)
        assert len(swarm.tasks(service, running=True)) == 6
        assert len(swarm.on("worker-1")) == 2
        assert swarm.node_state("worker-1") == "ready"


async def test_a_new_leader_calls_nodes_unknown_until_they_register() -> None:
    async with fake_swarm() as swarm:
        await swarm.fail("worker-2")
        await swarm.settle(30)
        swarm.world.fleet.partition(["worker-1"])
        assert swarm.leader is not None
        await swarm.leader.stop()
        await swarm.lead()
        await swarm.settle(1)
        node = swarm.store.get(Node, "node-worker-1")
        assert node is not None
        assert (node.state, node.message) == (
            "unknown",
            'Node moved to "unknown" state due to leadership change in cluster',
        )
        assert swarm.node_state("manager-1") == "ready"
        assert swarm.node_state("worker-2") == "down"  # a change of leader brings nobody back
        await swarm.settle(33)
        node = swarm.store.get(Node, "node-worker-1")
        assert node is not None
        assert (node.state, node.message) == ("down", 'heartbeat failure for node in "unknown" state')


async def test_tasks_of_a_node_that_stays_away_are_orphaned_after_a_day() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        (lost,) = swarm.on("worker-1")
        await swarm.store.update(lambda tx: _slow_heartbeats(tx))
        await swarm.settle(15)
        await swarm.fail("worker-1")
        await swarm.settle(25 * 3600)
        assert {t.id: t.status.state for t in swarm.tasks(service)}[lost.id] == S.ORPHANED


def _slow_heartbeats(tx: Tx) -> None:
    """So that a day is turned in no time."""
    cluster = tx.cluster()
    assert cluster is not None
    tx.update(replace(cluster, spec={"Dispatcher": {"HeartbeatPeriod": 900 * SECOND}}))


async def test_calls_that_are_refused() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        assert swarm.leader is not None
        dispatcher = swarm.leader.dispatcher
        session = dispatcher._sessions.of("node-worker-1")
        assert session is not None
        with pytest.raises(SessionInvalid):
            await dispatcher.heartbeat("node-worker-1", "x")
        with pytest.raises(NodeNotRegistered):
            await dispatcher.heartbeat("nobody", "x")
        with pytest.raises(NodeNotFound):
            await dispatcher.register("nobody", "", {}, "", "worker-1", swarm.agents["worker-1"])
        foreign = next(task for task in swarm.tasks(service) if task.node_id != "node-worker-1")
        with pytest.raises(RpcError, match="cannot update a task not assigned this node"):
            await dispatcher.update_task_status("node-worker-1", session.id, {foreign.id: foreign.status})
        await dispatcher.update_task_status("node-worker-1", session.id, {"gone": TaskStatus()})
        await swarm.leader.stop()
        with pytest.raises(RpcError, match="dispatcher is stopped"):
            await dispatcher.heartbeat("node-worker-1", session.id)


async def test_statuses_only_move_forward() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 1)
        await swarm.settle()
        (task,) = swarm.tasks(service)
        assert swarm.leader is not None
        dispatcher = swarm.leader.dispatcher
        session = dispatcher._sessions.of(task.node_id)
        assert session is not None
        await dispatcher.update_task_status(task.node_id, session.id, {task.id: TaskStatus(state=S.STARTING)})
        await swarm.settle()
        assert swarm.tasks(service)[0].status == task.status


async def test_the_role_reaches_the_node() -> None:
    async with fake_swarm() as swarm:
        assert swarm.nodes["worker-1"].roles == ["worker"]

        def promote(tx: Tx) -> None:
            node = tx.get(Node, "node-worker-1")
            assert node is not None
            tx.update(replace(node, role="manager", raft_id=2, manager_addr="127.99.0.11:2377"))

        await swarm.store.update(promote)
        await swarm.settle()
        assert swarm.nodes["worker-1"].roles == ["worker", "manager"]


async def test_a_node_that_was_removed_does_not_get_in_again() -> None:
    async with fake_swarm() as swarm:
        service = await swarm.create("web", 3)
        await swarm.settle()
        await swarm.store.update(lambda tx: tx.delete(Node, "node-worker-1"))
        await swarm.settle(60)
        assert swarm.store.get(Node, "node-worker-1") is None
        assert len([t for t in swarm.tasks(service, running=True) if t.node_id != "node-worker-1"]) == 3

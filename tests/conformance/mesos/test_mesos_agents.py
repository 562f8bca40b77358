"""Agents that go, come back, and are given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.documents import holds
from support.mesos_cluster import MesosCluster, Place, Scheduler, Stream
from support.until import until

Json = dict[str, Any]

GUIDE = "mesos/docs/high-availability-framework-guide.md#dealing-with-partitioned-or-failed-agents"
RECOVERY = "mesos/docs/agent-recovery.md#agent-recovery"

SPEED = 40.0  # an agent is given up after 75 s

AWARE: Json = {"capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]}


@pytest.fixture
def old(lone: MesosCluster) -> Iterator[Scheduler]:
    """A framework that knows nothing of partitions."""
    one = Scheduler(lone, name="old", checkpoint=True)
    one.subscribe()
    yield one
    one.end()


@pytest.fixture
def aware(lone: MesosCluster) -> Iterator[Scheduler]:
    one = Scheduler(lone, name="aware", checkpoint=True, **AWARE)
    one.subscribe()
    yield one
    one.end()


def _machine(cluster: MesosCluster, task: Json) -> str:
    """The machine of the agent that has the task."""
    agent = next(one for one in cluster.agents() if one["id"] == task["agent_id"]["value"])
    return str(agent["attributes"]["machine"])


def _whole(cluster: MesosCluster) -> bool:
    return len([agent for agent in cluster.agents() if agent["active"]]) == 3


@holds(RECOVERY)
def test_a_task_outlives_its_agents_process(lone: MesosCluster, old: Scheduler) -> None:
    task = old.running("exec sleep 1000")
    machine = _machine(lone, task)
    lone.own.stop("mesos-agent", machine)
    lone.own.start("mesos-agent", machine)
    until(lambda: _whole(lone))
    old.told("RECONCILE", tasks=[{"task_id": task["task_id"], "agent_id": task["agent_id"]}])
    assert old.status(task)["state"] == "TASK_RUNNING"
    old.told("KILL", task_id=task["task_id"])
    old.status(task, "TASK_KILLED")


@holds(RECOVERY)
def test_what_ended_while_the_agent_was_away_is_told(lone: MesosCluster, old: Scheduler) -> None:
    task = old.running("while [ ! -e go ]; do sleep 0.02; done; exit 0")
    agent = next(one for one in lone.agents() if one["id"] == task["agent_id"]["value"])
    state = lone.agent(agent, "/state").json()
    folder = next(one for one in state["frameworks"] if one["id"] == old.id)["executors"][0]["directory"]
    machine = _machine(lone, task)
    lone.own.stop("mesos-agent", machine)
    with open(f"{folder}/go", "w"):
        pass
    lone.own.start("mesos-agent", machine)
    old.status(task, "TASK_FINISHED")
    until(lambda: _whole(lone))


@holds(GUIDE, "mesos/docs/scheduler-http-api.md#failure", "mesos/docs/task-state-reasons.md#for-state-task_unreachable")
def test_an_agent_that_does_not_answer(lone: MesosCluster, old: Scheduler, aware: Scheduler) -> None:
    """75 s without a pong: unreachable. Who is partition aware hears that, the other one that its task is lost."""
    task = old.running("exec sleep 1000")
    old.told("SUPPRESS")
    agent = task["agent_id"]

    def there(offer: Json) -> bool:
        return bool(offer["agent_id"] == agent)

    offer = aware.offer(there)
    second = aware.task(offer, "exec sleep 1000")
    aware.accept(offer, second)
    aware.status(second, "TASK_RUNNING")
    held = aware.offer(there)
    machine = _machine(lone, task)
    lone.own.partition(machine)
    try:
        lost = old.status(task, "TASK_LOST", seconds=60)
        assert (lost["reason"], lost["source"]) == ("REASON_AGENT_REMOVED", "SOURCE_MASTER")
        unreachable = aware.status(second, "TASK_UNREACHABLE", seconds=60)
        assert unreachable["reason"] == "REASON_AGENT_REMOVED"
        assert unreachable["unreachable_time"]["nanoseconds"] > 0
        for one in (old, aware):
            failure = one.stream.event("FAILURE")["failure"]
            assert failure["agent_id"] == agent
        aware.stream.event("RESCIND", lambda event: event["rescind"]["offer_id"] == held["id"])
        assert agent["value"] not in [one["id"] for one in lone.agents()]
        shown = next(one for one in lone.show("/frameworks")["frameworks"] if one["id"] == aware.id)
        assert [one["id"] for one in shown["unreachable_tasks"]] == [second["task_id"]["value"]]
        aware.told("RECONCILE", tasks=[{"task_id": second["task_id"], "agent_id": agent}])
        assert aware.status(second)["state"] == "TASK_UNREACHABLE"
    finally:
        lone.own.heal(machine)
    until(lambda: agent["value"] in [one["id"] for one in lone.agents()], 60.0, "the agent is back")
    aware.told("RECONCILE", tasks=[{"task_id": second["task_id"], "agent_id": agent}])
    assert aware.status(second, "TASK_RUNNING", seconds=60)


@holds("mesos/docs/operator-http-api.md#agent_added", "mesos/docs/operator-http-api.md#agent_removed")
def test_the_operator_is_told_of_agents(lone: MesosCluster) -> None:
    place = Place(lone.leader)
    place.auth = lone.mesos.auth
    stream = Stream(place, "/api/v1", {"type": "SUBSCRIBE"})
    stream.event("SUBSCRIBED")
    agent = next(one for one in lone.agents() if one["attributes"]["machine"] == "agent-3")
    lone.own.fail("agent-3")
    try:
        removed = stream.event("AGENT_REMOVED", seconds=60)["agent_removed"]
        assert removed["agent_id"] == {"value": agent["id"]}
    finally:
        lone.own.heal("agent-3")
    stream.event("AGENT_ADDED", seconds=60)
    stream.close()
    until(lambda: _whole(lone))


@holds(GUIDE)
def test_tasks_of_a_machine_without_power_are_lost(lone: MesosCluster, old: Scheduler) -> None:
    task = old.running("exec sleep 1000")
    machine = _machine(lone, task)
    lone.own.fail(machine)
    try:
        assert old.status(task, "TASK_LOST", seconds=60)
    finally:
        lone.own.heal(machine)
    until(lambda: _whole(lone), 60.0)


@holds("mesos/docs/operator-http-api.md#mark_agent_gone", "mesos/docs/task-state-reasons.md#for-state-task_gone")
def test_an_agent_that_is_marked_gone_is_gone(lone: MesosCluster, aware: Scheduler) -> None:
    """The last test of this module: the agent may not come back under its id."""
    task = aware.running("exec sleep 1000")
    answer = lone.operator("MARK_AGENT_GONE", agent_id=task["agent_id"])
    assert answer.status_code == 200, answer.text
    assert aware.status(task, "TASK_GONE_BY_OPERATOR")["source"] == "SOURCE_MASTER"
    assert task["agent_id"]["value"] not in [one["id"] for one in lone.agents()]
    assert lone.operator("MARK_AGENT_GONE", agent_id={"value": "none"}).status_code == 404

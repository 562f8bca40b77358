"""Agents that are lost under apps: unreachableStrategy says when their instances are replaced and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon
from support.mesos_cluster import MesosCluster
from support.until import until

Json = dict[str, Any]

PAGE = "marathon/docs/docs/unreachable.md#marathon-unreachable-strategy"
OPTIONS = "marathon/docs/docs/configure-task-handling.md#unreachablestrategy-configuration-options"

SPEED = 40.0  # an agent is given up after 75 s


@pytest.fixture
def marathon(lone: MesosCluster) -> Iterator[Marathon]:
    one = Marathon(lone, f"/{lone.name()}")
    yield one
    until(lambda: len([agent for agent in lone.agents() if agent["active"]]) == 3, 60.0)
    one.clear()


def _machine(cluster: MesosCluster, task: Json) -> str:
    agent = next(one for one in cluster.agents() if one["id"] == task["slaveId"])
    return str(agent["attributes"]["machine"])


@holds(PAGE, OPTIONS, "marathon/docs/docs/task-handling.md#non-terminal-states")
def test_it_is_replaced_at_once_by_default(lone: MesosCluster, marathon: Marathon) -> None:
    (task,) = marathon.create()["tasks"]
    machine = _machine(lone, task)
    with marathon.events("status_update_event") as events:
        lone.own.partition(machine)
        try:
            events.next(
                "status_update_event",
                lambda e: e["taskId"] == task["id"] and e["taskStatus"] == "TASK_UNREACHABLE",
                60.0,
            )
            other = until(lambda: next((one for one in marathon.tasks() if one["id"] != task["id"]), None), 60.0)
            assert other
        finally:
            lone.own.heal(machine)
    until(
        lambda: [one["id"] for one in marathon.tasks(state=None)] == [other["id"]],
        60.0,
        "the lost one is forgotten and killed",
    )


@holds(PAGE, OPTIONS)
def test_it_may_be_waited_for(lone: MesosCluster, marathon: Marathon) -> None:
    strategy = {"inactiveAfterSeconds": 36000, "expungeAfterSeconds": 72000}
    (task,) = marathon.create(unreachableStrategy=strategy)["tasks"]
    machine = _machine(lone, task)
    lone.own.partition(machine)
    try:
        until(lambda: [one["state"] for one in marathon.tasks(state=None)] == ["TASK_UNREACHABLE"], 60.0)
    finally:
        lone.own.heal(machine)
    until(lambda: [one["id"] for one in marathon.tasks()] == [task["id"]], 60.0, "it is back, the very same")


@holds("marathon/docs/docs/task-handling.md#terminal-states", PAGE)
def test_a_machine_without_power(lone: MesosCluster, marathon: Marathon) -> None:
    tasks = marathon.create(instances=3, constraints=[["hostname", "MAX_PER", "2"]])["tasks"]
    machine = _machine(lone, tasks[0])
    lone.own.fail(machine)
    try:

        def replaced() -> bool:
            running = marathon.tasks()
            return len(running) == 3 and tasks[0]["id"] not in [one["id"] for one in running]

        until(replaced, 60.0)
    finally:
        lone.own.heal(machine)

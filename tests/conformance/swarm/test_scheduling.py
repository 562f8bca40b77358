"""Where tasks go, where they do not and why; what drain, pause and active do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from support.cluster import WHOAMI, Cluster
from support.present import requires
from support.until import until

SECOND = 1_000_000_000
GIB = 1 << 30


def spread(swarm: Cluster, service: object, count: int) -> Counter[str]:
    return Counter(swarm.host_of(task).name for task in swarm.running(service, count))  # type: ignore[arg-type]


def test_replicas_are_spread_over_all_nodes(swarm: Cluster) -> None:
    service = swarm.create(replicas=len(swarm.hosts) * 2)
    assert set(spread(swarm, service, len(swarm.hosts) * 2).values()) == {2}


def test_a_global_service_has_a_task_on_each_node(swarm: Cluster) -> None:
    service = swarm.create(mode=docker.types.ServiceMode("global"))
    found = spread(swarm, service, len(swarm.hosts))
    assert found == dict.fromkeys(swarm.hosts, 1)
    assert all("Slot" not in task for task in swarm.tasks(service))


@pytest.mark.parametrize(
    ("constraint", "where"),
    [
        ("node.role==manager", {"manager-1", "manager-2", "manager-3"}),
        ("node.role!=manager", {"worker-1", "worker-2"}),
        ("node.hostname==worker-2", {"worker-2"}),
        ("node.labels.zone==a", {"worker-1"}),
        ("node.labels.zone!=a", {"manager-1", "manager-2", "manager-3", "worker-2"}),
        ("node.platform.os==linux", {"manager-1", "manager-2", "manager-3", "worker-1", "worker-2"}),
    ],
)
def test_constraints(swarm: Cluster, constraint: str, where: set[str]) -> None:
    swarm.update_node("worker-1", Labels={"zone": "a"})
    service = swarm.create(replicas=5, constraints=[constraint])
    assert set(spread(swarm, service, 5)) == where


def test_constraints_are_joined_by_and(swarm: Cluster) -> None:
    service = swarm.create(replicas=2, constraints=["node.role==worker", "node.hostname!=worker-1"])
    assert spread(swarm, service, 2) == {"worker-2": 2}


def test_a_constraint_on_the_node_id(swarm: Cluster) -> None:
    service = swarm.create(replicas=1, constraints=[f"node.id=={swarm.node_id('manager-3')}"])
    assert spread(swarm, service, 1) == {"manager-3": 1}


def test_why_pending_no_node_meets_the_constraint(swarm: Cluster) -> None:
    service = swarm.create(constraints=["node.labels.zone==nowhere"])
    reason = f"no suitable node (scheduling constraints not satisfied on {len(swarm.hosts)} nodes)"
    assert swarm.pending(service) == reason
    [task] = swarm.tasks(service)
    assert task["Status"]["Message"] == "pending task scheduling"
    assert "NodeID" not in task


def test_why_pending_resources(swarm: Cluster) -> None:
    service = swarm.create(resources=docker.types.Resources(mem_reservation=4096 * GIB))
    assert swarm.pending(service) == f"no suitable node (insufficient resources on {len(swarm.hosts)} nodes)"


def test_why_pending_host_port(swarm: Cluster) -> None:
    nodes = len(swarm.hosts)
    spec = docker.types.EndpointSpec(ports={swarm.port(): (80, None, "host")})
    service = swarm.create(replicas=nodes + 1, endpoint_spec=spec)
    assert swarm.pending(service) == f"no suitable node (host-mode port already in use on {nodes} nodes)"
    assert sum(task["Status"]["State"] == "running" for task in swarm.tasks(service)) <= nodes


def test_why_pending_max_replicas_per_node(swarm: Cluster) -> None:
    service = swarm.create(replicas=3, maxreplicas=1, constraints=["node.role==worker"])
    # Sometimes only the nodes that were looked at again after the first tasks were placed are counted.
    assert "max replicas per node limit exceed" in swarm.pending(service)
    until(lambda: sum(task["Status"]["State"] == "running" for task in swarm.tasks(service)) == 2)


def test_why_pending_one_node_is_said_in_the_singular(swarm: Cluster) -> None:
    for name in list(swarm.hosts)[1:]:
        swarm.update_node(name, Availability="drain")
    service = swarm.create(constraints=["node.labels.zone==nowhere"])
    reason = swarm.pending(service)
    assert "scheduling constraints not satisfied on 1 node" in reason
    assert f"{len(swarm.hosts) - 1} nodes not available for new tasks" in reason


def test_a_pending_task_goes_as_soon_as_a_node_fits(swarm: Cluster) -> None:
    service = swarm.create(constraints=["node.labels.zone==b"])
    swarm.pending(service)
    swarm.update_node("worker-2", Labels={"zone": "b"})
    assert spread(swarm, service, 1) == {"worker-2": 1}


def test_a_running_task_leaves_a_node_that_stops_to_fit(swarm: Cluster) -> None:
    swarm.update_node("worker-1", Labels={"zone": "c"})
    service = swarm.create(constraints=["node.labels.zone==c"])
    [task] = swarm.running(service, 1)
    swarm.update_node("worker-1", Labels={})

    def sent_away() -> list[dict[str, Any]]:
        return [t for t in swarm.tasks(service) if t["ID"] == task["ID"] and t["DesiredState"] == "shutdown"]

    [rejected] = until(sent_away)
    assert rejected["Status"]["State"] in ("running", "rejected", "shutdown")
    swarm.pending(service)


def test_reservations_are_counted(swarm: Cluster) -> None:
    node = swarm.nodes()["worker-1"]["Description"]["Resources"]
    most = node["NanoCPUs"] // (SECOND * 9 // 10)
    service = swarm.create(
        replicas=most + 1,
        constraints=["node.hostname==worker-1"],
        resources=docker.types.Resources(cpu_reservation=SECOND * 9 // 10),
    )
    assert "insufficient resources on 1 node" in swarm.pending(service)


@requires("docker-cli")
def test_a_preference_spreads_over_the_values_of_a_label(swarm: Cluster) -> None:
    for name in swarm.hosts:
        swarm.update_node(name, Labels={"zone": "one" if name == "worker-2" else "two"})
    service = swarm.service_cli("--replicas", "8", "--placement-pref", "spread=node.labels.zone")
    found = spread(swarm, service["ID"], 8)
    assert found["worker-2"] == 4


def test_drain_moves_tasks_at_once_and_activate_brings_none_back(swarm: Cluster) -> None:
    nodes = len(swarm.hosts)
    service = swarm.create(replicas=nodes)
    assert spread(swarm, service, nodes) == dict.fromkeys(swarm.hosts, 1)
    swarm.update_node("worker-1", Availability="drain")

    def moved() -> bool:
        return "worker-1" not in spread(swarm, service, nodes)

    until(moved)
    gone = [task for task in swarm.tasks(service) if task["DesiredState"] == "shutdown"]
    assert [swarm.host_of(task).name for task in gone] == ["worker-1"]
    until(lambda: swarm.settled(service, "shutdown")[0]["ID"] == gone[0]["ID"])
    swarm.update_node("worker-1", Availability="active")
    swarm.update_node("worker-1", Labels={"poke": "1"})
    assert "worker-1" not in spread(swarm, service, nodes)
    swarm.scale(service, nodes + 1)
    assert spread(swarm, service, nodes + 1)["worker-1"] == 1


def test_pause_keeps_tasks_and_takes_no_new_ones(swarm: Cluster) -> None:
    service = swarm.create(replicas=2, constraints=["node.role==worker"])
    swarm.running(service, 2)
    swarm.update_node("worker-1", Availability="pause")
    swarm.scale(service, 5)
    assert spread(swarm, service, 5) == {"worker-1": 1, "worker-2": 4}


def test_a_global_service_leaves_a_drained_node_and_comes_back(swarm: Cluster) -> None:
    nodes = len(swarm.hosts)
    service = swarm.create(mode=docker.types.ServiceMode("global"))
    swarm.running(service, nodes)
    swarm.update_node("worker-2", Availability="drain")
    until(lambda: "worker-2" not in spread(swarm, service, nodes - 1))
    swarm.update_node("worker-2", Availability="active")
    assert spread(swarm, service, nodes)["worker-2"] == 1


def test_all_nodes_drained(swarm: Cluster) -> None:
    for name in swarm.hosts:
        swarm.update_node(name, Availability="drain")
    service = swarm.create(WHOAMI)
    assert swarm.pending(service) == f"no suitable node ({len(swarm.hosts)} nodes not available for new tasks)"


@pytest.fixture
def quick_heartbeat(swarm: Cluster) -> Iterator[None]:
    """One second instead of five, so that a node counts as down after some three."""
    swarm.cli("swarm", "update", "--dispatcher-heartbeat", "1s")
    assert swarm.api.inspect_swarm()["Spec"]["Dispatcher"]["HeartbeatPeriod"] == SECOND
    yield
    swarm.cli("swarm", "update", "--dispatcher-heartbeat", "5s")


@requires("docker-cli")
def test_a_node_whose_machine_fails_is_down_and_its_tasks_are_replaced(swarm: Cluster, quick_heartbeat: None) -> None:
    service = swarm.create(replicas=2, constraints=["node.role==worker"])
    before = swarm.running(service, 2)
    swarm.sandbox.fail("worker-2")
    try:
        until(lambda: swarm.nodes()["worker-2"]["Status"]["State"] == "down", 40, "worker-2 down")
        assert swarm.nodes()["worker-2"]["Status"]["Message"] == "heartbeat failure"

        def moved() -> bool:
            wanted = [t for t in swarm.tasks(service) if t["DesiredState"] == "running"]
            return [(swarm.host_of(t).name, t["Status"]["State"]) for t in wanted] == [("worker-1", "running")] * 2

        until(moved, 30, "both tasks on worker-1")
        old = {task["ID"] for task in before}
        [lost] = [t for t in swarm.tasks(service) if t["ID"] in old and t["DesiredState"] == "shutdown"]
        assert lost["Status"]["State"] == "running"  # nobody can say otherwise
    finally:
        swarm.sandbox.heal("worker-2")
        until(lambda: swarm.nodes()["worker-2"]["Status"]["State"] == "ready", 40, "worker-2 ready again")
    until(lambda: swarm.api.inspect_task(lost["ID"])["Status"]["State"] in ("shutdown", "failed"), 30)

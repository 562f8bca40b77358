"""From the API server's JSON to the common words."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.model import NodeState, State
from labkit.orchestrators.kubernetes import reading
from labkit.orchestrators.kubernetes.deploying import deployment, service
from labkit.orchestrators.kubernetes.draining import movable
from labkit.orchestrators.kubernetes.rollouts import rolled_back

Json = dict[str, Any]


def pod(status: Json | None = None, *, node: str = "worker-1", deleted: bool = False, **spec: Any) -> Json:
    metadata: Json = {"uid": "u", "name": "web-1", "namespace": "default", "resourceVersion": "1"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    containers = [{"name": "c", "image": "nginx:1.27"}]
    return {
        "metadata": metadata,
        "spec": {"containers": containers, **({"nodeName": node} if node else {}), **spec},
        "status": status or {},
    }


def container(ready: bool = False, restarts: int = 0, **state: Json) -> Json:
    return {"ready": ready, "restartCount": restarts, "state": state}


READY = {"type": "Ready", "status": "True"}
UNREADY = {"type": "Ready", "status": "False", "message": "containers with unready status: [c]"}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}


@pytest.mark.parametrize(
    ("data", "lost", "expected"),
    [
        (pod(node=""), False, (State.PENDING, "Pending", "")),
        (
            pod({"phase": "Pending", "conditions": [UNSCHEDULABLE]}, node=""),
            False,
            (State.PENDING, "Unschedulable", "0/3 nodes"),
        ),
        (pod({"phase": "Pending"}), False, (State.STARTING, "ContainerCreating", "")),
        (
            pod({"phase": "Pending"}, initContainers=[{"name": "i"}]),
            False,
            (State.STARTING, "Init:0/1", ""),
        ),
        (
            pod({"phase": "Running", "conditions": [READY], "containerStatuses": [container(True, running={})]}),
            False,
            (State.RUNNING, "Running", ""),
        ),
        (
            pod({"phase": "Running", "conditions": [UNREADY], "containerStatuses": [container(running={"a": 1})]}),
            False,
            (State.UNREADY, "Running", "containers with unready status: [c]"),
        ),
        (
            pod({"phase": "Running", "containerStatuses": [container(waiting={"reason": "CrashLoopBackOff"})]}),
            False,
            (State.UNREADY, "CrashLoopBackOff", ""),
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "containerStatuses": [container(waiting={"reason": "ErrImagePull", "message": "m"})],
                }
            ),
            False,
            (State.UNREADY, "ErrImagePull", "m"),
        ),
        (pod({"phase": "Running"}, deleted=True), False, (State.STOPPING, "Terminating", "")),
        (pod({"phase": "Running"}), True, (State.LOST, "Unknown", "its node does not answer")),
        (pod({"phase": "Succeeded"}), False, (State.COMPLETE, "Completed", "")),
        (
            pod({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
            False,
            (State.FAILED, "Evicted", "low on memory"),
        ),
    ],
)
def test_what_a_pod_is_doing(data: Json, lost: bool, expected: tuple[State, str, str]) -> None:
    task = reading.read_pod(data, "w", "n", lost)
    assert (task.state, task.detail, task.message) == expected


def test_a_pod_tells_restarts_readiness_and_requests() -> None:
    status = {"phase": "Running", "conditions": [READY], "podIP": "10.1.1.1"}
    status["containerStatuses"] = [
        {**container(True, 2, running={}), "containerID": "containerd://abc"},
        {**container(False, 1, terminated={"exitCode": 3})},
    ]
    data = pod(status)
    requests = {"requests": {"cpu": "250m", "memory": "64Mi"}}
    data["spec"]["containers"] = [{"name": "a", "image": "x", "resources": requests}, {"name": "b", "image": "y"}]
    task = reading.read_pod(data, "w", "n", False)
    assert (task.ready, task.restarts, task.container, task.address) == ("1/2", 3, "abc", "10.1.1.1")
    assert (task.reserved.cpus, task.reserved.memory) == (0.25, 64 * 2**20)


@pytest.mark.parametrize(
    ("ready", "spec", "state", "availability"),
    [
        ("True", {}, NodeState.READY, "active"),
        ("Unknown", {}, NodeState.DOWN, "active"),
        ("False", {}, NodeState.UNKNOWN, "active"),
        ("True", {"unschedulable": True}, NodeState.READY, "pause"),
    ],
)
def test_what_a_node_is(ready: str, spec: Json, state: NodeState, availability: str) -> None:
    labels = {"node-role.kubernetes.io/control-plane": ""}
    node = reading.read_node(
        {
            "metadata": {"uid": "n", "name": "control-plane", "labels": labels},
            "spec": spec,
            "status": {
                "conditions": [{"type": "Ready", "status": ready, "message": "why"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "allocatable": {"cpu": "4", "memory": "8Gi"},
            },
        }
    )
    assert (node.state, node.availability, node.role, node.leader) == (state, availability, "control-plane", True)
    assert (node.address, node.capacity.cpus, node.capacity.memory) == ("10.0.0.1", 4.0, 8 * 2**30)


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("2", 2.0), ("128Mi", 128 * 2**20), ("1e3", 1000.0), ("1500k", 1.5e6), ("100n", 1e-7), (3, 3.0)],
)
def test_quantities(text: Any, value: float) -> None:
    assert reading.quantity(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({}, "waiting for the deployment spec update"),
        ({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 4}, "1 out of 3 new replicas"),
        ({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 4}, "1 old replicas are pending termination"),
        ({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 1}, "1 of 3 updated"),
        ({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}, ""),
    ],
)
def test_a_rollout_is_told_as_kubectl_does(status: Json, says: str) -> None:
    metadata = {"uid": "d", "name": "web", "namespace": "default", "generation": 2}
    found = reading.read_workload({"metadata": metadata, "spec": {"replicas": 3}, "status": status}, "Deployment", 0)
    assert found.update.startswith(says)
    assert bool(found.update) == bool(says)
    assert found.desired == 3


def test_a_service_tells_who_gets_its_traffic() -> None:
    data = {
        "metadata": {"uid": "s", "name": "web", "namespace": "default"},
        "spec": {
            "clusterIP": "10.96.0.9",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}],
        },
    }
    slices = [
        {
            "endpoints": [
                {"targetRef": {"uid": "a"}, "conditions": {"ready": True}},
                {"targetRef": {"uid": "b"}, "conditions": {"ready": False}},
                {"targetRef": {"uid": "c"}},
            ]
        }
    ]
    inside, outside = reading.read_endpoints(data, slices, {"a": "d", "b": "d", "c": "d"})
    assert (inside.kind, inside.port, inside.target_port, inside.address) == ("cluster-ip", 80, 8080, "10.96.0.9")
    assert (outside.kind, outside.port) == ("node-port", 30080)
    assert (inside.tasks, inside.unready, inside.workload) == (("a", "c"), ("b",), "d")


def test_what_is_behind_two_workloads_belongs_to_none() -> None:
    data = {
        "metadata": {"uid": "s", "name": "w", "namespace": "d"},
        "spec": {"clusterIP": "None", "ports": [{"port": 80}]},
    }
    slices = [{"endpoints": [{"targetRef": {"uid": "a"}}, {"targetRef": {"uid": "b"}}]}]
    (found,) = reading.read_endpoints(data, slices, {"a": "one", "b": "two"})
    assert (found.workload, found.kind, found.address) == ("", "headless", "")


def test_undo_takes_the_revision_before_without_its_hash() -> None:
    def replica_set(revision: int, owner: str = "d") -> Json:
        labels = {"app": "web", "pod-template-hash": str(revision)}
        return {
            "metadata": {
                "ownerReferences": [{"uid": owner}],
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            },
            "spec": {"template": {"metadata": {"labels": labels}, "spec": {"revision": revision}}},
        }

    sets = [replica_set(3), replica_set(1), replica_set(2), replica_set(9, "another")]
    assert rolled_back("d", sets) == {"metadata": {"labels": {"app": "web"}}, "spec": {"revision": 2}}
    assert rolled_back("another", sets) is None


@pytest.mark.parametrize(
    ("metadata", "moves"),
    [
        ({}, True),
        ({"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}, True),
        ({"ownerReferences": [{"kind": "DaemonSet", "controller": True}]}, False),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, False),
        ({"deletionTimestamp": "now"}, False),
    ],
)
def test_what_a_drain_moves(metadata: Json, moves: bool) -> None:
    assert movable({"metadata": metadata}) is moves


def test_what_deploy_makes() -> None:
    made = deployment("web", "nginx", 3, {8080: 80}, cpus=0.5, memory="64Mi", max_surge=1, readiness_path="/")
    spec = made["spec"]["template"]["spec"]["containers"][0]
    assert spec["resources"] == {"requests": {"cpu": "0.5", "memory": "64Mi"}}
    assert spec["ports"] == [{"containerPort": 80}]
    assert spec["readinessProbe"]["httpGet"] == {"path": "/", "port": 80}
    assert made["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    more = deployment("web", "nginx", pod={"tolerations": []}, container={"livenessProbe": {"periodSeconds": 1}})
    assert more["spec"]["template"]["spec"]["tolerations"] == []
    assert more["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] == {"periodSeconds": 1}
    inside = service("web", {8080: 80})
    assert inside["spec"]["type"] == "ClusterIP"
    assert inside["spec"]["ports"] == [{"name": "p8080", "port": 8080, "targetPort": 80}]
    assert service("web", ["30080:80"])["spec"]["ports"][0]["nodePort"] == 30080

"""What the panels say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.simulated import Component, SimulatedSwarm

from labkit.model import Endpoint, Node, NodeState, Snapshot, State, Task, Workload
from labkit.placement import Place, Why
from labkit.topology.scene import Scene
from labkit.widgets import details, rows


@pytest.fixture
def swarm() -> SimulatedSwarm:
    made = SimulatedSwarm()
    made.deploy("web", "traefik/whoami:v1.10@sha256:123", 5, {8080: 80})
    made.settle()
    return made


def detail(swarm: SimulatedSwarm, kind: str, key: str, plugs: dict[str, str] | None = None) -> dict:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    return details.detail(swarm.snapshot(None), (kind, key), scene, plugs or {})


def test_why_a_task_waits_is_a_list(swarm: SimulatedSwarm) -> None:
    swarm.workloads["w-web"] = replace(swarm.workloads["w-web"], labels={"only": "gpu-1"})
    swarm.scale("web", 6)
    swarm.step()
    key = next(k for k, t in swarm.tasks.items() if t.name == "web.6")
    found = detail(swarm, "task", key)
    assert found["heading"] == "Why it waits"
    assert found["reasons"] == ["no suitable node", "scheduling constraints not satisfied on 5 nodes"]
    assert found["actions"] == []
    workload = detail(swarm, "workload", "w-web")
    assert workload["heading"] == "Why 1 task waits"
    assert workload["reasons"]


def test_a_failed_task_says_what_it_said(swarm: SimulatedSwarm) -> None:
    key = next(iter(swarm.tasks))
    assert detail(swarm, "task", key)["actions"] == ["kill"]
    swarm.die(key, "task: non-zero exit (137)", 137)
    found = detail(swarm, "task", key)
    assert found["reasons"] == ["non-zero exit (137)"]
    assert ["exit code", "137"] in found["fields"]
    assert ["image", "traefik/whoami:v1.10"] in found["fields"]
    assert found["actions"] == []


@pytest.mark.parametrize(
    ("plug", "actions"),
    [
        ("", ["drain", "pause"]),
        ("up", ["drain", "pause", "fail", "freeze", "partition"]),
        ("down", ["drain", "pause", "heal"]),
    ],
)
def test_only_what_can_be_done_to_a_node_is_offered(swarm: SimulatedSwarm, plug: str, actions: list[str]) -> None:
    assert detail(swarm, "node", "n3", {"worker-1": plug})["actions"] == actions


def test_what_is_gone_has_no_details(swarm: SimulatedSwarm) -> None:
    assert detail(swarm, "task", "never") == {}
    assert detail(swarm, "", "") == {}


def test_machines_outside_the_cluster_are_listed(swarm: SimulatedSwarm) -> None:
    found = rows.loose_machines(swarm.snapshot(None), {"worker-1": "up", "node-9": "down"})
    assert [row["name"] for row in found] == ["node-9"]


@pytest.fixture
def kube() -> Snapshot:
    """A Deployment in the middle of a rollout, a Service in front of it, and a pod that is nobody's."""
    workloads = [
        Workload("d", "web", "Deployment", desired=2, running=2, update="1 old replicas are pending termination"),
        Workload("r1", "web-1", "ReplicaSet", desired=1, running=1, owner="d", revision=1),
        Workload("r2", "web-2", "ReplicaSet", desired=2, running=1, owner="d", revision=2),
        Workload("p", "lone", "Pod", mode="lone", desired=1, running=1),
    ]
    tasks = [
        Task("a", "web-1-a", "r1", State.RUNNING, node="n", labels={"app": "web"}, ready="1/1", namespace="default"),
        Task("b", "web-2-b", "r2", State.UNREADY, node="n", labels={"app": "web"}, ready="0/1", restarts=3),
        Task("p", "lone", "p", State.RUNNING, node="n", ready="1/1"),
    ]
    behind = {"selector": {"app": "web"}, "tasks": ("a",), "unready": ("b",)}
    service = Endpoint("s/80", "d", "cluster-ip", 80, 8080, address="127.1.128.9", name="web", **behind)  # type: ignore[arg-type]
    return Snapshot(
        1.0,
        "kubernetes",
        {"n": Node("n", "control-plane", "control-plane", NodeState.READY)},
        {w.id: w for w in workloads},
        {t.id: t for t in tasks},
        {service.id: service},
    )


def of_kube(snapshot: Snapshot, kind: str, key: str, components: tuple[Component, ...] = ()) -> dict:
    scene = Scene()
    scene.update(snapshot, 0.0)
    return details.detail(snapshot, (kind, key), scene, {}, components)


def test_a_pod_tells_its_owners_and_the_services_in_front_of_it(kube: Snapshot) -> None:
    fields = dict(of_kube(kube, "task", "a")["fields"])
    assert fields["owners"] == "Deployment web → ReplicaSet web-1"
    assert (fields["services"], fields["labels"], fields["restarts"]) == ("web", "app=web", "0")
    assert dict(of_kube(kube, "task", "b")["fields"])["services"] == "web (not ready)"
    alone = of_kube(kube, "task", "p")
    assert dict(alone["fields"])["owners"] == "nobody: it will not be made again"
    assert alone["relabel"]
    assert alone["actions"] == ["kill"]


def test_a_rollout_shows_its_versions(kube: Snapshot) -> None:
    scene = Scene()
    scene.update(kube, 0.0)
    lone, web = rows.workloads(kube, scene.families, scene.layout.cards)
    assert (web["name"], lone["name"]) == ("web", "lone")
    assert [(c["revision"], c["count"]) for c in web["children"]] == [(2, "1 / 2"), (1, "1 / 1")]
    assert not lone["scalable"]
    assert rows.services(scene.services)[0]["count"] == "1 / 2"
    assert of_kube(kube, "workload", "d")["actions"] == ["restart", "roll_back", "pause_rollout", "remove"]


def test_a_service_names_the_pods_that_it_sends_to(kube: Snapshot) -> None:
    fields = dict(of_kube(kube, "service", "service:s")["fields"])
    assert (fields["sends to"], fields["not ready"], fields["selector"]) == ("web-1-a", "web-2-b", "app=web")


def test_a_node_lists_what_runs_the_cluster_on_it(kube: Snapshot) -> None:
    parts = (Component("kube-scheduler", "control-plane", "stopped"), Component("kubelet", "elsewhere", "running"))
    assert of_kube(kube, "node", "n", parts)["components"] == [{"name": "kube-scheduler", "state": "stopped"}]


def test_why_here_is_a_table(kube: Snapshot) -> None:
    places = (
        Place("control-plane", "refused", "TaintToleration", "a taint is not tolerated"),
        Place("n", "chosen", score=300, scores={"NodeResourcesFit": 100, "ImageLocality": 0, "PodTopologySpread": 200}),
        Place("o", "fits"),
    )
    scene = Scene()
    scene.update(kube, 0.0)
    told = details.detail(kube, ("task", "a"), scene, {}, (), Why("web-1-a", "n", places, source="seen"))["places"]
    assert (told["heading"], told["source"]) == ("Why here", "seen")
    assert [(row["sign"], row["score"], row["words"]) for row in told["rows"]] == [
        ("★", "300", "NodeResourcesFit 100 + PodTopologySpread 200"),
        ("✓", "", "it would have done as well"),
        ("✗", "", "a taint is not tolerated"),
    ]
    assert details.detail(kube, ("task", "a"), scene, {})["places"] == {}

"""What the panels say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.simulated import SimulatedSwarm

from labkit.topology.scene import Scene
from labkit.widgets import rows


@pytest.fixture
def swarm() -> SimulatedSwarm:
    made = SimulatedSwarm()
    made.deploy("web", "traefik/whoami:v1.10@sha256:123", 5, {8080: 80})
    made.settle()
    return made


def detail(swarm: SimulatedSwarm, kind: str, key: str, plugs: dict[str, str] | None = None) -> dict:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    return rows.detail(swarm.snapshot(None), (kind, key), scene.tally, plugs or {})


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

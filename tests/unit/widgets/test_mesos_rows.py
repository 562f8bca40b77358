"""What the panels say of a Mesos cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.mesospicture import answered, cluster
from support.simulated import SimulatedSwarm

from labkit.placement import Place, Why
from labkit.topology.scene import Scene
from labkit.widgets import details, rows
from labkit.widgets.actions import buttons


def detail(kind: str, key: str, why: Why | None = None, plugs: dict[str, str] | None = None) -> dict[str, Any]:
    scene = Scene()
    scene.update(cluster(), 0.0)
    return details.detail(cluster(), (kind, key), scene, plugs or {}, (), why)


def test_a_bar_for_each_framework_the_next_to_be_offered_first() -> None:
    found = rows.frameworks(answered(cluster()))
    assert [(row["name"], row["words"]) for row in found] == [("batch", "17%"), ("marathon", "12%")]  # 17 % over 2
    assert found[0]["note"] == "cpus · role batch · weight 2 · no offers"
    held = rows.frameworks(cluster())
    assert [row["name"] for row in held] == ["marathon", "batch"]  # what is offered counts, too
    assert (held[1]["share"], held[1]["held"]) == (0.1667, 0.4)


def test_an_app_in_marathons_words() -> None:
    process = replace(cluster().workloads["/web"], image="$ sleep 1000")
    still = replace(cluster(), workloads={**cluster().workloads, "/web": process})
    scene = Scene()
    scene.update(still, 0.0)
    fields = dict(details.detail(still, ("workload", "/web"), scene, {})["fields"])
    assert fields["running"] == "3 / 3"  # nothing there is "replicated"
    assert fields["command"] == "sleep 1000"
    assert "image" not in fields


def test_a_swarm_has_no_shares() -> None:
    assert rows.frameworks(SimulatedSwarm().snapshot(None)) == []


@pytest.mark.parametrize(
    ("kind", "key", "actions"),
    [
        ("task", "web-1", ["kill", "kill_and_scale"]),
        ("task", "job-1", []),  # only its framework may
        ("task", "/db#1", []),  # there is nothing to kill yet
        ("workload", "/web", ["restart", "suspend", "remove"]),
        ("framework", "batch", ["teardown"]),
        ("framework", "marathon", []),
        ("node", "a1", []),  # no drain, no pause
    ],
)
def test_what_may_be_done(kind: str, key: str, actions: list[str]) -> None:
    assert detail(kind, key)["actions"] == actions
    assert set(actions) <= buttons("marathon").keys()


def test_a_machines_plug_can_be_pulled() -> None:
    assert detail("node", "a1", plugs={"agent-1": "up"})["actions"] == ["fail", "freeze", "partition"]
    scene = Scene()
    scene.update(cluster(), 0.0)
    found = rows.nodes(cluster(), scene.tally, scene.layout.nodes, {})
    assert [row["drains"] for row in found] == [False] * 6
    assert found[1]["note"] == "★ ZooKeeper leader"


def test_a_master_leads_masters_and_runs_no_tasks() -> None:
    scene = Scene()
    scene.update(cluster(), 0.0)
    found = {row["name"]: row["meaning"] for row in rows.nodes(cluster(), scene.tally, scene.layout.nodes, {})}
    leader = next(node for node in cluster().nodes.values() if node.leader)
    assert found[leader.name] == "leads the masters"
    assert "stands in line to lead" in found.values()
    said = dict(detail("node", leader.id)["fields"])
    assert said["state"] == "ready: leads the masters"
    assert not {"tasks", "reserved", "node"} & said.keys()
    assert {"tasks", "reserved", "node"} <= dict(detail("node", "a1")["fields"]).keys()


def test_why_an_app_waits() -> None:
    why = Why("/db", "", (Place("agent-1", "refused", "InsufficientCpus", "it wants 5 cpus, 3.5 were offered"),))
    found = detail("workload", "/db", why)
    assert found["heading"] == "Why 1 task waits"
    assert found["reasons"] == ["no offer fits", "not enough cpus (3 of 3 offers)"]
    assert found["places"]["rows"][0]["words"] == "it wants 5 cpus, 3.5 were offered"
    assert ["depends on", "/web"] in found["fields"]


def test_the_table_of_reasons_has_a_column_of_scores_only_where_there_are_some() -> None:
    refused = Place("agent-1", "refused", "InsufficientCpus", "it wants 5 cpus, 3.5 were offered")
    without, scored = Why("/db", "", (refused,)), Why("web", "n1", (refused, Place("n1", "chosen", score=5)))
    assert "score" not in without._repr_html_()
    assert str(without).splitlines()[1].split() == ["✗", "agent-1", "InsufficientCpus", *refused.words.split()]
    assert '<th style="text-align:left">score</th>' in scored._repr_html_()
    assert str(scored).splitlines()[2].split() == ["★", "n1", "chosen", "5"]


def test_what_a_framework_holds() -> None:
    fields = dict(detail("framework", "batch")["fields"])
    assert fields["offered"] == "3 CPU, 2G on agent-3"
    assert (fields["dominant share"], fields["with its offers"]) == ("17% of cpus", "40%")


def test_an_agent_and_a_master() -> None:
    assert dict(detail("node", "a3")["fields"])["offered"] == "3 CPU, 2G"
    master = dict(detail("node", "m1")["fields"])
    assert master["ZooKeeper"] == "follower (quorum: 3 of 3)"
    assert "reserved" not in master


def test_the_names_of_an_app() -> None:
    assert dict(detail("workload", "/web")["fields"])["address"] == "web.marathon.mesos"

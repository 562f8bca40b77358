"""Who has to leave, and where it hurts least."""

from __future__ import annotations

import random
from typing import Any

import pytest

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.scheduler.decide import decide
from labkit.embedded.kubernetes.scheduler.preemption import Outcome, preempt

from .making import a_cluster, a_node, a_pod, apart, hosts, info, spread, term

NOW = "2026-01-02T00:00:00Z"


def outcome(pod: Json, nodes: list[Json], pods: list[Json], budgets: list[Json] | None = None) -> Outcome:
    cluster = a_cluster(nodes, pods)
    rng = random.Random(1)
    decision = decide(info(pod), cluster, rng)
    assert decision.node is None
    return preempt(info(pod), cluster, decision.diagnosis, budgets or [], rng, NOW)


def chosen(pod: Json, nodes: list[Json], pods: list[Json], budgets: list[Json] | None = None) -> tuple[str, list[str]]:
    found = outcome(pod, nodes, pods, budgets).candidate
    assert found is not None
    return found.node, [victim.name for victim in found.victims]


def budget(allowed: int, **labels: str) -> Json:
    return {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed},
    }


def vip(**more: Any) -> Json:
    return a_pod("vip", **{"cpu": "2", "priority": 100, **more})


def test_no_more_than_needed_and_the_least_important() -> None:
    there = [
        a_pod("old", cpu="1", node="a", started="2026-01-01T00:00:00Z"),
        a_pod("young", cpu="1", node="a", started="2026-01-01T12:00:00Z"),
        a_pod("better", cpu="1", node="a", priority=50),
        a_pod("equal", cpu="1", node="a", priority=100),
    ]
    assert chosen(vip(cpu="1"), hosts("a"), there) == ("a", ["young"])
    assert chosen(vip(cpu="2"), hosts("a"), there) == ("a", ["old", "young"])
    assert chosen(vip(cpu="3"), hosts("a"), there) == ("a", ["better", "old", "young"])


def test_a_big_one_may_leave_alone() -> None:
    there = [a_pod("big", cpu="2", node="a"), a_pod("small", cpu="1", node="a", priority=5)]
    assert chosen(vip(cpu="2"), hosts("a", cpu="3"), there) == ("a", ["big"])


def test_equals_and_betters_stay() -> None:
    found = outcome(vip(cpu="4"), hosts("a"), [a_pod("equal", cpu="1", node="a", priority=100)])
    assert found.candidate is None
    assert found.message == ("preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.")
    assert found.clear


def test_what_it_would_not_help_with_is_not_tried() -> None:
    nodes = [a_node("a", taints=["x:NoSchedule"]), a_node("b", cpu="1"), a_node("c")]
    there = [
        a_pod("low", cpu="1", node="a"),
        a_pod("betters", cpu="3", priority=200, node="c"),
        a_pod("lowc", node="c"),
    ]
    assert outcome(vip(), nodes, there).message == (
        "preemption: 0/3 nodes are available: 1 Insufficient cpu, 2 Preemption is not helpful for scheduling."
    )


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ({"a": [50], "b": [10]}, "b"),  # the lower the most important victim, the better
        ({"a": [10, 10], "b": [10]}, "b"),  # the fewer, the better
        ({"a": [10, 10], "b": [10, 5]}, "b"),  # the lower the sum
        ({"a": [-5, -5], "b": [-5]}, "b"),  # below zero, too
    ],
)
def test_where_it_hurts_least(pods: dict[str, list[int]], expected: str) -> None:
    there = [
        a_pod(cpu=f"{4000 // len(priorities)}m", priority=priority, node=node)
        for node, priorities in pods.items()
        for priority in priorities
    ]
    assert chosen(vip(cpu="4"), hosts("a", "b"), there)[0] == expected


def test_else_whose_victims_have_run_the_shortest() -> None:
    there = [
        a_pod(cpu="4", node="a", started="2026-01-01T00:00:00Z"),
        a_pod(cpu="4", node="b", started="2026-01-01T10:00:00Z"),
    ]
    assert chosen(vip(), hosts("a", "b"), there)[0] == "b"


class TestBudgets:
    def test_rather_those_without(self) -> None:
        there = [
            a_pod("kept", cpu="2", node="a", labels={"app": "kept"}),
            a_pod("free", cpu="2", node="a", labels={"app": "free"}, priority=50),
        ]
        assert chosen(vip(), hosts("a"), there) == ("a", ["kept"])
        assert chosen(vip(), hosts("a"), there, [budget(0, app="kept")]) == ("a", ["free"])
        assert chosen(vip(), hosts("a"), there, [budget(1, app="kept")]) == ("a", ["kept"])

    def test_rather_another_node(self) -> None:
        there = [
            a_pod("kept", cpu="4", node="a", labels={"app": "kept"}),
            a_pod("free", cpu="4", node="b", priority=50),
        ]
        assert chosen(vip(), hosts("a", "b"), there, [budget(0, app="kept")]) == ("b", ["free"])

    def test_in_need_they_are_broken(self) -> None:
        there = [a_pod("kept", cpu="4", node="a", labels={"app": "kept"})]
        found = outcome(vip(), hosts("a"), there, [budget(0, app="kept")]).candidate
        assert found is not None
        assert found.violations == 1


def test_anti_affinity_and_ports_are_given_way_too() -> None:
    foe = a_pod("foe", node="a", labels={"app": "web"})
    assert chosen(vip(cpu="", affinity=apart(term(app="web"))), hosts("a"), [foe]) == ("a", ["foe"])
    ports: Any = [{"name": "c", "image": "i", "ports": [{"hostPort": 80}]}]
    there = [a_pod("holder", node="a", containers=ports), a_pod("other", node="a")]
    assert chosen(vip(containers=ports), hosts("a"), there) == ("a", ["holder"])


def test_spreading_is_given_way_too() -> None:
    labels = {"app": "web"}
    there = [a_pod("one", node="a", labels=labels), a_pod("two", node="b", labels=labels, priority=100)]
    nodes = [a_node("a"), a_node("b"), a_node("c", cpu="1")]
    pod = vip(labels=labels, topologySpreadConstraints=[spread()])
    assert chosen(pod, nodes, there) == ("a", ["one"])


def test_room_that_is_kept_for_others_counts() -> None:
    cluster = a_cluster(hosts("a", "b"), [a_pod("x", cpu="4", node="a"), a_pod("y", cpu="4", node="b", priority=50)])
    cluster.nominate(info(a_pod("star", cpu="4", priority=200)), "a")
    decision = decide(info(vip()), cluster, random.Random(1))
    found = preempt(info(vip()), cluster, decision.diagnosis, [], random.Random(1), NOW).candidate
    assert found is not None
    assert found.node == "b"

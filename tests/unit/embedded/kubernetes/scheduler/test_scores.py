"""How nodes score, by the real formulas; the sums were worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.decide import prioritize
from labkit.embedded.kubernetes.scheduler.profile import FILTERS, SCORES

from .making import (
    PREFERRED,
    ZONE,
    a_cluster,
    a_node,
    a_pod,
    hosts,
    info,
    near,
    rather_apart,
    rather_near,
    spread,
    term,
)

MB = 1024 * 1024


def scores(plugin: str, pod: Json, nodes: list[Json], pods: list[Json] | None = None) -> dict[str, tuple[int, int]]:
    """Node → raw and normalised score of one plug-in."""
    return of(plugin, pod, a_cluster(nodes, pods or ()))


def of(plugin: str, pod: Json, cluster: Cluster) -> dict[str, Any]:
    feasible = list(cluster.nodes.values())
    found = prioritize(info(pod).shape, cluster, feasible)
    if plugin not in found.raw:
        return {}
    columns = zip(feasible, found.raw[plugin], found.normalized[plugin], strict=True)
    return {node.name: (raw, even) for node, raw, even in columns}


def test_the_default_profile() -> None:
    """As ``default_plugins.go`` has it, without volumes and devices."""
    assert [filter.plugin for filter in FILTERS] == [
        "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit",
        "PodTopologySpread", "InterPodAffinity",
    ]  # fmt: skip
    assert {score.plugin: score.weight for score in SCORES} == {
        "TaintToleration": 3, "NodeAffinity": 2, "NodeResourcesFit": 1, "PodTopologySpread": 2, "InterPodAffinity": 2,
        "NodeResourcesBalancedAllocation": 1, "ImageLocality": 1,
    }  # fmt: skip


def test_soft_taints() -> None:
    soft = "PreferNoSchedule"
    nodes = [a_node("a"), a_node("b", taints=[f"x:{soft}"]), a_node("c", taints=[f"x:{soft}", f"y:{soft}"])]
    assert scores("TaintToleration", a_pod(), nodes) == {"a": (0, 100), "b": (1, 50), "c": (2, 0)}
    tolerant = a_pod(tolerations=[{"key": "x", "operator": "Exists"}])
    assert scores("TaintToleration", tolerant, nodes) == {"a": (0, 100), "b": (0, 100), "c": (1, 0)}


def test_preferred_nodes() -> None:
    def preference(weight: int, key: str) -> Json:
        return {"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}

    nodes = [a_node("a"), a_node("b", labels={"x": ""}), a_node("c", labels={"x": "", "y": ""})]
    pod = a_pod(affinity={"nodeAffinity": {PREFERRED: [preference(10, "x"), preference(30, "y")]}})
    assert scores("NodeAffinity", pod, nodes) == {"a": (0, 0), "b": (10, 25), "c": (40, 100)}
    assert scores("NodeAffinity", a_pod(), nodes) == {}


def test_room() -> None:
    there = [a_pod(cpu="2", memory="4Gi", node="b")]
    found = scores("NodeResourcesFit", a_pod(cpu="1", memory="2Gi"), hosts("a", "b"), there)
    assert found == {"a": (75, 75), "b": (25, 25)}
    # Without requests: 100m of 4 and 200 MB of 8 GB, as if it had asked for them.
    assert scores("NodeResourcesFit", a_pod(), hosts("a")) == {"a": (97, 97)}


def test_balance() -> None:
    found = scores("NodeResourcesBalancedAllocation", a_pod(cpu="2", memory="2Gi"), hosts("a"))
    assert found == {"a": (87, 87)}  # half of the CPU, a quarter of the memory: 1 - 0.25 / 2
    assert scores("NodeResourcesBalancedAllocation", a_pod(cpu="2", memory="4Gi"), hosts("a")) == {"a": (100, 100)}
    assert scores("NodeResourcesBalancedAllocation", a_pod(), hosts("a")) == {}  # it asks for nothing: no say


@pytest.mark.parametrize(
    ("size", "score"), [(10 * MB, 0), (23 * MB, 0), (500 * MB, 48), (1000 * MB, 100), (9000 * MB, 100)]
)
def test_images(size: int, score: int) -> None:
    assert scores("ImageLocality", a_pod(), [a_node("a", images={"nginx:1": size})]) == {"a": (score, score)}


def test_images_count_for_less_where_few_nodes_have_them() -> None:
    nodes = [a_node("a", images={"nginx:1": 1000 * MB}), a_node("b")]
    assert scores("ImageLocality", a_pod(), nodes) == {"a": (48, 48), "b": (0, 0)}


WEB = {"app": "web"}


class TestSpread:
    def test_a_soft_constraint(self) -> None:
        there = [a_pod(node="a", labels=WEB), a_pod(node="a", labels=WEB), a_pod(node="b", labels=WEB)]
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(hard=False)])
        # Pods times ln(3 + 2); then 100 * (3 + 0 - s) // 3.
        assert scores("PodTopologySpread", pod, hosts("a", "b", "c"), there) == {
            "a": (3, 0),
            "b": (2, 33),
            "c": (0, 100),
        }

    def test_nodes_without_the_label_come_last(self) -> None:
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(ZONE, hard=False)])
        nodes = [a_node("a", zone="x"), a_node("b")]
        assert scores("PodTopologySpread", pod, nodes) == {"a": (0, 100), "b": (-1, 0)}

    def test_pods_of_a_service_spread_by_default(self) -> None:
        cluster = a_cluster(
            [a_node("a", zone="x"), a_node("b", zone="x"), a_node("c", zone="y")],
            [a_pod(node="a", labels=WEB)],
        )
        assert of("PodTopologySpread", a_pod(labels=WEB), cluster) == {}
        cluster.put_service("default", "web", WEB)
        # Hosts: one pod times ln(5), and 2; zones: one pod times ln(4), and 4.
        assert of("PodTopologySpread", a_pod(labels=WEB), cluster) == {"a": (9, 66), "b": (7, 88), "c": (6, 100)}
        assert of("PodTopologySpread", a_pod(labels={"app": "db"}), cluster) == {}

    def test_pods_of_a_replica_set_spread_by_default(self) -> None:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": True}
        cluster = a_cluster(hosts("a", "b"), [a_pod(node="a", labels=WEB)])
        cluster.put_owner("default", "ReplicaSet", "web-1", selectors.of_map(WEB))
        found = of("PodTopologySpread", a_pod(labels=WEB, owner=owner), cluster)
        assert found["a"][1] < found["b"][1] == 100


class TestPodAffinity:
    def test_preferences(self) -> None:
        there = [a_pod(node="a", labels=WEB), a_pod(node="a", labels=WEB), a_pod(node="b", labels=WEB)]
        nodes = hosts("a", "b", "c")
        fond = a_pod(affinity=rather_near(term(app="web"), weight=10))
        assert scores("InterPodAffinity", fond, nodes, there) == {"a": (20, 100), "b": (10, 50), "c": (0, 0)}
        shy = a_pod(affinity=rather_apart(term(app="web"), weight=10))
        assert scores("InterPodAffinity", shy, nodes, there) == {"a": (-20, 0), "b": (-10, 50), "c": (0, 100)}

    def test_those_who_are_there_have_a_say(self) -> None:
        there = [
            a_pod(node="a", affinity=rather_near(term(app="web"), weight=7)),
            a_pod(node="b", affinity=rather_apart(term(app="web"), weight=7)),
            a_pod(node="c", labels=WEB, affinity=near(term(app="web"))),
        ]
        found = scores("InterPodAffinity", a_pod(labels=WEB), hosts("a", "b", "c"), there)
        assert {name: raw for name, (raw, _) in found.items()} == {"a": 7, "b": -7, "c": 1}
        assert scores("InterPodAffinity", a_pod(labels={"app": "db"}), hosts("a", "b", "c"), there) == {}

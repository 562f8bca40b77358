from typing import Any

import pytest

from labkit.embedded.kubernetes.controllers.daemonset.placement import (
    Placement,
    on_node,
    target_of,
    tolerates,
    with_tolerations,
)
from labkit.embedded.kubernetes.objects import Json


def node(name: str = "n1", *taints: Json, **labels: str) -> Json:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": list(taints)}}


def taint(key: str, effect: str, value: str = "") -> Json:
    return {"key": key, "effect": effect, "value": value}


def place(**spec: Any) -> Placement:
    return Placement({"spec": spec})


def affinity(*terms: Json) -> Json:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeAffinity": required}


@pytest.mark.parametrize(
    ("spec", "where", "expected"),
    [
        ({}, node(), (True, True)),
        ({"nodeName": "n1"}, node(), (True, True)),
        ({"nodeName": "n2"}, node(), (False, False)),
        ({"nodeSelector": {"disk": "ssd"}}, node(disk="ssd"), (True, True)),
        ({"nodeSelector": {"disk": "ssd"}}, node(), (False, False)),
        ({}, node("n1", taint("dedicated", "NoSchedule")), (False, True)),
        ({}, node("n1", taint("dedicated", "NoExecute")), (False, False)),
        ({}, node("n1", taint("dedicated", "PreferNoSchedule")), (True, True)),
        ({"tolerations": [{"operator": "Exists"}]}, node("n1", taint("dedicated", "NoExecute")), (True, True)),
        ({}, node("n1", taint("node.kubernetes.io/unschedulable", "NoSchedule")), (True, True)),
        ({}, node("n1", taint("node.kubernetes.io/not-ready", "NoExecute")), (True, True)),
        ({}, node("n1", taint("node.kubernetes.io/network-unavailable", "NoSchedule")), (False, True)),
        (
            {"hostNetwork": True},
            node("n1", taint("node.kubernetes.io/network-unavailable", "NoSchedule")),
            (True, True),
        ),
        (
            {"affinity": affinity({"matchExpressions": [{"key": "cpus", "operator": "Gt", "values": ["4"]}]})},
            node(cpus="8"),
            (True, True),
        ),
        (
            {"affinity": affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]})},
            node(),
            (False, False),
        ),
        ({"affinity": affinity({})}, node(), (False, False)),
    ],
)
def test_where_a_pod_runs_and_where_one_may_go_on(spec: Json, where: Json, expected: tuple[bool, bool]) -> None:
    assert place(**spec).on(where) == expected


def test_the_pod_is_meant_for_its_node_whatever_affinity_it_had() -> None:
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}
    spec = {"affinity": {"podAffinity": {"a": 1}, "nodeAffinity": {**preferred, **affinity({})["nodeAffinity"]}}}
    made = on_node(spec, "n1")
    assert target_of({"spec": made}) == "n1"
    assert made["affinity"]["podAffinity"] == {"a": 1}
    assert made["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert "requiredDuringSchedulingIgnoredDuringExecution" in spec["affinity"]["nodeAffinity"]


def test_a_bound_pod_is_where_it_is_and_any_other_is_nowhere() -> None:
    assert target_of({"spec": {"nodeName": "n3"}}) == "n3"
    assert target_of({"spec": {}}) == ""


def test_tolerations_are_added_once() -> None:
    once = with_tolerations({})
    assert len(once["tolerations"]) == 6
    assert with_tolerations(once) == once


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "a", "value": "1"}, True),
        ({"key": "a", "value": "2"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerations(toleration: Json, expected: bool) -> None:
    assert tolerates([toleration], taint("a", "NoSchedule", "1")) is expected

"""Why a pod is on its node, or on none: from the objects alone, and from what a scheduler kept."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.orchestrators.kubernetes.fitting import FILTERS, Surroundings, amount, refusals
from labkit.orchestrators.kubernetes.why import explain

Json = dict[str, Any]
HOST = "kubernetes.io/hostname"


def node(name: str = "worker-1", labels: Json | None = None, taints: Any = (), **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "labels": {HOST: name, **(labels or {})}},
        "spec": {"taints": list(taints), **spec},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}},
    }


def pod(name: str = "web", at: str = "", labels: Json | None = None, requests: Json | None = None, **spec: Any) -> Json:
    container: Json = {"name": "c", "resources": {"requests": requests or {}}}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": labels or {"app": "web"}},
        "spec": {"containers": [container], **({"nodeName": at} if at else {}), **spec},
        "status": {},
    }


def taint(text: str) -> Json:
    rest, _, effect = text.partition(":")
    key, _, value = rest.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def affinity(kind: str, *terms: Json) -> Json:
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}}


def node_affinity(*expressions: Json) -> Json:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [one]} for one in expressions]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


WITH_WEB = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": HOST}
SPREAD = {"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
SSD = {"key": "disk", "operator": "In", "values": ["ssd"]}
MUCH = {"cpu": "1500m", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("wanted", "place", "others", "filter", "reason"),
    [
        (pod(), node(), [], "", ""),
        (pod(), node(unschedulable=True), [], "NodeUnschedulable", "cordoned"),
        (pod(), node(taints=[taint("a=b:NoSchedule")]), [], "TaintToleration", "taint a=b:NoSchedule is not tolerated"),
        (
            pod(),
            node(taints=[taint("node.kubernetes.io/unreachable:NoExecute")]),
            [],
            "TaintToleration",
            "the node does not answer (taint node.kubernetes.io/unreachable:NoExecute is not tolerated)",
        ),
        (pod(), node(taints=[taint("a:PreferNoSchedule")]), [], "", ""),
        (pod(tolerations=[{"operator": "Exists"}]), node(taints=[taint("a=b:NoSchedule")]), [], "", ""),
        (pod(tolerations=[{"key": "a", "value": "b"}]), node(taints=[taint("a=b:NoSchedule")]), [], "", ""),
        (
            pod(tolerations=[{"key": "a", "value": "c"}]),
            node(taints=[taint("a=b:NoSchedule")]),
            [],
            "TaintToleration",
            "taint a=b:NoSchedule is not tolerated",
        ),
        (
            pod(nodeSelector={"disk": "ssd"}),
            node(),
            [],
            "NodeAffinity",
            "nodeSelector wants disk=ssd, it has no label disk",
        ),
        (
            pod(nodeSelector={"disk": "ssd"}),
            node(labels={"disk": "hdd"}),
            [],
            "NodeAffinity",
            "nodeSelector wants disk=ssd, its disk is 'hdd'",
        ),
        (pod(nodeSelector={"disk": "ssd"}), node(labels={"disk": "ssd"}), [], "", ""),
        (pod(**node_affinity(SSD)), node(), [], "NodeAffinity", "node affinity wants disk=ssd"),
        (pod(**node_affinity(SSD, {"key": HOST, "operator": "Exists"})), node(), [], "", ""),
        (
            pod(requests=MUCH),
            node(),
            [pod("a", "worker-1", requests={"cpu": "3"})],
            "NodeResourcesFit",
            "cpu: asks for 1.5, 1 of 4 left",
        ),
        (pod(requests=MUCH), node(), [pod("a", "worker-2", requests={"cpu": "3"})], "", ""),
        (
            pod(**affinity("podAntiAffinity", WITH_WEB)),
            node(),
            [pod("a", "worker-1")],
            "InterPodAffinity",
            "anti-affinity: a is there already",
        ),
        (
            pod(labels={"app": "web"}),
            node(),
            [pod("a", "worker-1", **affinity("podAntiAffinity", WITH_WEB))],
            "InterPodAffinity",
            "anti-affinity of a, which is there",
        ),
        (
            pod(labels={"app": "db"}, **affinity("podAffinity", WITH_WEB)),
            node(),
            [],
            "InterPodAffinity",
            f"pod affinity: no pod with app=web in its {HOST}",
        ),
        (pod(**affinity("podAffinity", WITH_WEB)), node(), [], "", ""),  # the first of its kind
        (
            pod(topologySpreadConstraints=[SPREAD]),
            node(),
            [pod("a", "worker-1")],
            "PodTopologySpread",
            f"spread over {HOST}: it would have 2, worker-2 has 0 (maxSkew 1)",
        ),
        (pod(topologySpreadConstraints=[SPREAD]), node(), [pod("a", "worker-1"), pod("b", "worker-2")], "", ""),
        (
            pod(topologySpreadConstraints=[{**SPREAD, "topologyKey": "zone"}]),
            node(),
            [],
            "PodTopologySpread",
            "it has no label zone, over which the pods are spread",
        ),
    ],
)
def test_each_rule_says_why_not(wanted: Json, place: Json, others: list[Json], filter: str, reason: str) -> None:
    around = Surroundings.of(wanted, [place, node("worker-2")], others)
    found = refusals(wanted, place, around)
    assert [(one.filter, one.reason) for one in found] == ([(filter, reason)] if filter else [])


def test_what_has_ended_and_the_pod_itself_take_no_room() -> None:
    big = {"cpu": "3"}
    ended = pod("done", "worker-1", requests=big)
    ended["status"] = {"phase": "Succeeded"}
    itself = pod(at="worker-1", requests=big)
    assert refusals(itself, node(), Surroundings.of(itself, [node()], [ended, itself])) == []


def test_init_containers_run_one_by_one() -> None:
    wanted = pod(requests={"cpu": "1"})
    wanted["spec"]["initContainers"] = [{"resources": {"requests": {"cpu": "5"}}}]
    found = refusals(wanted, node(), Surroundings.of(wanted, [node()], []))
    assert [one.reason for one in found] == ["cpu: asks for 5, 4 of 4 left"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("cpu", 0.25, "250m"), ("cpu", 1.5, "1.5"), ("cpu", 0.0, "0"), ("memory", 1.5 * 2**30, "1.5Gi"), ("pods", 3, "3")],
)
def test_amounts_are_written_as_one_would(name: str, value: float, text: str) -> None:
    assert amount(name, value) == text


# -- put together


def test_a_pod_that_waits_has_the_schedulers_words() -> None:
    waiting = pod(nodeSelector={"disk": "ssd"})
    said = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
    waiting["status"] = {"conditions": [{"type": "PodScheduled", "status": "False", "message": said}]}
    why = explain(waiting, [node("b"), node("a")], [waiting])
    assert (why.title, why.message) == ("web waits", said)
    assert [(place.node, place.verdict) for place in why.places] == [("a", "refused"), ("b", "refused")]
    told = "✗ a NodeAffinity nodeSelector wants disk=ssd, it has no label disk"
    assert " ".join(str(why).splitlines()[1].split()) == told


def test_its_events_tell_what_it_does_not() -> None:
    old = {"reason": "FailedScheduling", "message": "old", "lastTimestamp": "2026-01-01T00:00:00Z"}
    new = {"reason": "FailedScheduling", "message": "new", "lastTimestamp": None, "eventTime": "2026-01-02T00:00:00Z"}
    other = {"reason": "Scheduled", "message": "no"}
    assert explain(pod(), [node()], [], [new, old, other]).message == "new"
    assert explain(pod(), [node()], []).message == "no scheduler has looked at it yet"


def test_a_pod_stays_whatever_is_said_of_its_node_afterwards() -> None:
    why = explain(pod(at="worker-1"), [node(unschedulable=True), node("worker-2")], [])
    assert (why.title, why.message) == ("web is on worker-1", "")
    assert why.place("worker-1").verdict == "chosen"
    assert why.place("worker-1").reason == "it would not come here today: cordoned"
    assert why.place("worker-2").verdict == "fits"
    with pytest.raises(KeyError, match="there are worker-1, worker-2"):
        why.place("worker-9")


def table(*rows: Json, decided: str = "2026-01-01T10:00:00Z") -> Json:
    return {"asOf": "decision", "decidedAt": decided, "nodes": list(rows)}


def row(name: str, refused: str = "", total: int | None = None, **scores: int) -> Json:
    filters = [{"plugin": refused, "passed": False, "message": "node(s) were unkind"}] if refused else []
    weighted = [{"plugin": plugin, "weighted": value} for plugin, value in scores.items()]
    return {"name": name, "feasible": not refused, "filters": filters, "scores": weighted, "total": total}


def test_what_a_scheduler_kept_comes_with_scores() -> None:
    kept = table(row("worker-1", total=190, NodeResourcesFit=90, PodTopologySpread=100), row("worker-2", total=80))
    why = explain(pod(at="worker-1"), [node(), node("worker-2")], [], table=kept)
    assert (why.place("worker-1").score, why.place("worker-1").words) == (
        190,
        "NodeResourcesFit 90 + PodTopologySpread 100",
    )
    assert why.place("worker-2").verdict == "fits"
    assert why.source.startswith("as the scheduler decided at ")
    assert ">190</td>" in why._repr_html_()


def test_our_words_stand_for_its_own_while_they_are_about_the_same_thing() -> None:
    kept = table(row("worker-1", "TaintToleration"), row("worker-2", "NodeResourcesFit"))
    nodes = [node(taints=[taint("a:NoSchedule")]), node("worker-2", taints=[taint("a:NoSchedule")])]
    why = explain(pod(), nodes, [], table=kept)
    assert why.place("worker-1").reason == "taint a:NoSchedule is not tolerated"
    assert why.place("worker-2").reason == "node(s) were unkind"


def test_among_equals_the_lot_decides() -> None:
    equal = table(row("worker-1", total=80), row("worker-2", total=80))
    assert explain(pod(at="worker-1"), [node(), node("worker-2")], [], table=equal).source.endswith("the lot decided")


def test_the_only_one_that_fits_has_no_score() -> None:
    why = explain(pod(at="worker-1"), [node()], [], table=table(row("worker-1")))
    assert why.place("worker-1").words == "the only one that fits: there is nothing to compare"


def test_room_that_was_made_for_it_is_no_choice_among_equals() -> None:
    unasked = {**row("worker-2"), "feasible": False}
    why = explain(pod(at="worker-1"), [node(), node("worker-2")], [], table=table(row("worker-1"), unasked))
    assert why.place("worker-1").words == "room had been made for it here, at the cost of others"
    assert why.place("worker-2").verdict == "not asked"


def test_the_rules_are_those_of_the_embedded_scheduler() -> None:
    """Under the same names and in the same order, so that both kinds of table can be read alike."""
    from labkit.embedded.kubernetes.scheduler.profile import FILTERS as THEIRS

    assert [name for name, _ in FILTERS] == [one.plugin for one in THEIRS if one.plugin != "NodeName"]

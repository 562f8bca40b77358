"""What each filter refuses a node for, in the words of 1.36, and whether pushing others aside could help."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.scheduler.decide import Diagnosis, find_feasible

from .making import (
    ZONE,
    a_cluster,
    a_node,
    a_pod,
    apart,
    hosts,
    info,
    near,
    on_nodes,
    spread,
    term,
)


def refusals(pod: Json, nodes: list[Json], pods: list[Json] | None = None, **namespaces: Any) -> dict[str, Any]:
    """Node → the reasons of its refusal, with ``!`` before them when they are final; only those that refused."""
    cluster = a_cluster(nodes, pods or ())
    for name, labels in namespaces.items():
        cluster.put_namespace(name, labels)
    diagnosis = Diagnosis(len(cluster.nodes))
    find_feasible(info(pod), cluster, diagnosis)
    return {name: ("!" if why.final else "") + ", ".join(why.reasons) for name, why in diagnosis.refused.items()}


AFFINITY = "!node(s) didn't match Pod's node affinity/selector"
TAINTED = "!node(s) had untolerated taint(s)"
SKEWED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = "!node(s) didn't match pod topology spread constraints (missing required label)"
NO_FRIEND = "!node(s) didn't match pod affinity rules"
FOE = "node(s) didn't match pod anti-affinity rules"
UNWANTED = "node(s) didn't satisfy existing pods anti-affinity rules"


class TestNodes:
    def test_a_cordoned_node(self) -> None:
        nodes = [a_node("a"), a_node("b", unschedulable=True)]
        assert refusals(a_pod(), nodes) == {"b": "!node(s) were unschedulable"}
        tolerated = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]
        assert refusals(a_pod(tolerations=tolerated), nodes) == {}

    @pytest.mark.parametrize(
        ("mine", "theirs", "free"),
        [
            ({"hostPort": 80}, {"hostPort": 80}, False),
            ({"hostPort": 80}, {"hostPort": 81}, True),
            ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, True),
            ({"hostPort": 80, "hostIP": "127.0.0.1"}, {"hostPort": 80, "hostIP": "127.0.0.2"}, True),
            ({"hostPort": 80, "hostIP": "127.0.0.1"}, {"hostPort": 80}, False),
            ({"hostPort": 80, "hostIP": "127.0.0.1"}, {"hostPort": 80, "hostIP": "0.0.0.0"}, False),
            ({"containerPort": 80}, {"hostPort": 80}, True),
        ],
    )
    def test_host_ports(self, mine: Json, theirs: Json, free: bool) -> None:
        def with_port(port: Json, **more: Any) -> Json:
            return a_pod(containers=[{"name": "c", "image": "i", "ports": [port]}], **more)

        found = refusals(with_port(mine), hosts("a"), [with_port(theirs, node="a")])
        assert found == ({} if free else {"a": "node(s) didn't have free ports for the requested pod ports"})


class TestTaints:
    @pytest.mark.parametrize(
        ("taint", "toleration", "tolerated"),
        [
            ("k=v:NoSchedule", None, False),
            ("k=v:NoExecute", None, False),
            ("k=v:PreferNoSchedule", None, True),
            ("k=v:NoSchedule", {"key": "k", "value": "v", "effect": "NoSchedule"}, True),
            ("k=v:NoSchedule", {"key": "k", "operator": "Equal", "value": "w"}, False),
            ("k=v:NoSchedule", {"key": "k", "operator": "Exists"}, True),
            ("k=v:NoSchedule", {"operator": "Exists"}, True),
            ("k=v:NoSchedule", {"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
            ("k=v:NoExecute", {"key": "k", "operator": "Exists", "effect": "NoExecute"}, True),
        ],
    )
    def test_tolerations(self, taint: str, toleration: Json | None, tolerated: bool) -> None:
        pod = a_pod(tolerations=[toleration] if toleration else [])
        assert refusals(pod, [a_node("a", taints=[taint])]) == ({} if tolerated else {"a": TAINTED})


class TestNodeAffinity:
    @pytest.mark.parametrize(
        ("expression", "matching"),
        [
            ({"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}, {"a"}),
            ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, {"b", "c"}),
            ({"key": "disk", "operator": "Exists"}, {"a", "b"}),
            ({"key": "disk", "operator": "DoesNotExist"}, {"c"}),
            ({"key": "cores", "operator": "Gt", "values": ["4"]}, {"b"}),
            ({"key": "cores", "operator": "Lt", "values": ["8"]}, {"a"}),
            ({"key": "cores", "operator": "Gt", "values": ["0"]}, {"a", "b"}),
        ],
    )
    def test_expressions(self, expression: Json, matching: set[str]) -> None:
        nodes = [
            a_node("a", labels={"disk": "ssd", "cores": "4"}),
            a_node("b", labels={"disk": "hdd", "cores": "8"}),
            a_node("c", labels={"cores": "many"}),
        ]
        found = refusals(a_pod(affinity=on_nodes({"matchExpressions": [expression]})), nodes)
        assert found == dict.fromkeys({"a", "b", "c"} - matching, AFFINITY)

    def test_terms_are_alternatives_and_their_expressions_are_not(self) -> None:
        nodes = [
            a_node("a", labels={"x": "1"}),
            a_node("b", labels={"y": "1"}),
            a_node("c", labels={"x": "1", "y": "1"}),
        ]
        x, y = ({"key": key, "operator": "Exists"} for key in "xy")
        assert refusals(a_pod(affinity=on_nodes({"matchExpressions": [x]}, {"matchExpressions": [y]})), nodes) == {}
        both = a_pod(affinity=on_nodes({"matchExpressions": [x, y]}))
        assert refusals(both, nodes) == {"a": AFFINITY, "b": AFFINITY}

    def test_an_empty_term_matches_no_node(self) -> None:
        assert refusals(a_pod(affinity=on_nodes({})), hosts("a")) == {"a": AFFINITY}

    def test_a_node_selector_has_to_hold_besides(self) -> None:
        nodes = [a_node("a", labels={"x": "1"}), a_node("b", labels={"x": "1", "disk": "ssd"})]
        pod = a_pod(
            nodeSelector={"disk": "ssd"}, affinity=on_nodes({"matchExpressions": [{"key": "x", "operator": "Exists"}]})
        )
        assert refusals(pod, nodes) == {"a": AFFINITY}

    def test_a_pod_of_a_daemon_set_looks_at_its_node_only(self) -> None:
        field = {"key": "metadata.name", "operator": "In", "values": ["b"]}
        pod = a_pod(cpu="8", affinity=on_nodes({"matchFields": [field]}))
        cluster = a_cluster(hosts("a", "b", "c"))
        diagnosis = Diagnosis(3)
        assert find_feasible(info(pod), cluster, diagnosis) == []
        assert diagnosis.message() == (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
        )

    def test_terms_that_want_different_names_at_once(self) -> None:
        fields = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in "ab"]
        cluster = a_cluster(hosts("a", "b"))
        diagnosis = Diagnosis(2)
        assert find_feasible(info(a_pod(affinity=on_nodes({"matchFields": fields}))), cluster, diagnosis) == []
        assert diagnosis.message() == "0/2 nodes are available: pod affinity terms conflict."


class TestResources:
    def test_each_that_is_short_is_named(self) -> None:
        there = [a_pod(cpu="3", memory="6Gi", node="a")]
        assert refusals(a_pod(cpu="2", memory="3Gi"), hosts("a"), there) == {
            "a": "Insufficient cpu, Insufficient memory"
        }
        assert refusals(a_pod(cpu="1", memory="2Gi"), hosts("a"), there) == {}

    def test_what_not_even_an_empty_node_has_is_final(self) -> None:
        assert refusals(a_pod(cpu="4001m"), hosts("a")) == {"a": "!Insufficient cpu"}

    def test_too_many_pods(self) -> None:
        there = [a_pod(node="a") for _ in range(2)]
        assert refusals(a_pod(), hosts("a", pods=2), there) == {"a": "Too many pods"}

    def test_extended_resources_and_ephemeral_storage(self) -> None:
        def asking(**requests: str) -> Json:
            container = {"name": "c", "image": "i", "resources": {"requests": requests}}
            return a_pod(containers=[container])

        nodes = [a_node("a"), a_node("b", **{"example.com/gpu": "2"})]
        assert refusals(asking(**{"example.com/gpu": "1"}), nodes) == {"a": "!Insufficient example.com/gpu"}
        storage = asking(**{"ephemeral-storage": "200Gi"})
        assert refusals(storage, hosts("a")) == {"a": "!Insufficient ephemeral-storage"}

    def test_finished_or_not_terminating_pods_hold_their_room(self) -> None:
        there = [a_pod(cpu="4", node="a", terminating=True)]
        assert refusals(a_pod(cpu="1"), hosts("a"), there) == {"a": "Insufficient cpu"}

    @pytest.mark.parametrize(
        ("spec", "needs"),
        [
            ({"containers": ["1", "2"]}, 3000),
            ({"containers": ["1"], "initContainers": ["3", "2"]}, 3000),
            (
                {"containers": ["2"], "initContainers": ["+1", "2"]},
                3000,
            ),  # a sidecar stays: 1 + 2 while starting, 3 then
            ({"containers": ["1"], "initContainers": ["+1", "3"]}, 4000),
            ({"containers": ["1"], "initContainers": ["3", "+1"]}, 3000),
            ({"containers": ["1"], "overhead": {"cpu": "500m"}}, 1500),
            ({"containers": ["1", "2"], "resources": {"requests": {"cpu": "2"}}}, 2000),
        ],
    )
    def test_what_a_pod_needs(self, spec: Json, needs: int) -> None:
        def container(text: str) -> Json:
            made = {"name": "c", "image": "i", "resources": {"requests": {"cpu": text.lstrip("+")}}}
            return made | ({"restartPolicy": "Always"} if text.startswith("+") else {})

        for part in ("containers", "initContainers"):
            if part in spec:
                spec = {**spec, part: [container(text) for text in spec[part]]}
        assert info(a_pod(**spec)).shape.requests == {"cpu": needs}


WEB = {"app": "web"}


def webs(**counts: int) -> list[Json]:
    return [a_pod(node=node, labels=WEB) for node, count in counts.items() for _ in range(count)]


class TestSpread:
    def test_no_more_than_the_skew_above_the_emptiest(self) -> None:
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread()])
        assert refusals(pod, hosts("a", "b", "c"), webs(a=1, b=1)) == {"a": SKEWED, "b": SKEWED}
        assert refusals(pod, hosts("a", "b", "c"), webs(a=1, b=1, c=1)) == {}
        wider = a_pod(labels=WEB, topologySpreadConstraints=[spread(skew=2)])
        assert refusals(wider, hosts("a", "b", "c"), webs(a=2, b=1)) == {"a": SKEWED}

    def test_a_node_without_the_label(self) -> None:
        nodes = [a_node("a", zone="x"), a_node("b")]
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(ZONE)])
        assert refusals(pod, nodes) == {"b": NO_LABEL}

    def test_zones(self) -> None:
        nodes = [a_node("a", zone="x"), a_node("b", zone="x"), a_node("c", zone="y")]
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(ZONE)])
        assert refusals(pod, nodes, webs(a=1)) == {"a": SKEWED, "b": SKEWED}

    def test_pods_on_their_way_out_and_of_other_namespaces_do_not_count(self) -> None:
        there = [a_pod(node="a", labels=WEB, terminating=True), a_pod(node="a", labels=WEB, namespace="other")]
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread()])
        assert refusals(pod, hosts("a", "b"), there) == {}

    def test_min_domains(self) -> None:
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(minDomains=3)])
        assert refusals(pod, hosts("a", "b"), webs(a=1, b=1)) == {"a": SKEWED, "b": SKEWED}
        assert refusals(pod, hosts("a", "b", "c"), webs(a=1, b=1, c=1)) == {}

    @pytest.mark.parametrize(("policy", "refused"), [({}, {}), ({"nodeAffinityPolicy": "Ignore"}, {"a": SKEWED})])
    def test_nodes_that_the_pod_cannot_go_to_are_no_domains(self, policy: Json, refused: Json) -> None:
        nodes = [a_node("a", labels={"x": "1"}), a_node("b")]
        pod = a_pod(labels=WEB, nodeSelector={"x": "1"}, topologySpreadConstraints=[spread(**policy)])
        assert refusals(pod, nodes, webs(a=1)) == {"b": AFFINITY, **refused}

    @pytest.mark.parametrize(("policy", "refused"), [({}, {"a": SKEWED}), ({"nodeTaintsPolicy": "Honor"}, {})])
    def test_tainted_nodes_are_domains_unless_told_otherwise(self, policy: Json, refused: Json) -> None:
        nodes = [a_node("a"), a_node("b", taints=["k:NoSchedule"])]
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(**policy)])
        assert refusals(pod, nodes, webs(a=1)) == {"b": TAINTED, **refused}

    def test_match_label_keys(self) -> None:
        labels = {**WEB, "pod-template-hash": "new"}
        there = [a_pod(node="a", labels={**WEB, "pod-template-hash": "old"})]
        plain = a_pod(labels=labels, topologySpreadConstraints=[spread()])
        keyed = a_pod(labels=labels, topologySpreadConstraints=[spread(matchLabelKeys=["pod-template-hash"])])
        assert refusals(plain, hosts("a", "b"), there) == {"a": SKEWED}
        assert refusals(keyed, hosts("a", "b"), there) == {}

    def test_soft_constraints_refuse_nobody(self) -> None:
        pod = a_pod(labels=WEB, topologySpreadConstraints=[spread(hard=False)])
        assert refusals(pod, hosts("a", "b"), webs(a=9)) == {}


DB = {"app": "db"}


class TestPodAffinity:
    def test_near(self) -> None:
        pod = a_pod(affinity=near(term(app="db")))
        assert refusals(pod, hosts("a", "b"), [a_pod(node="a", labels=DB)]) == {"b": NO_FRIEND}

    def test_near_means_in_the_same_domain(self) -> None:
        nodes = [a_node("a", zone="x"), a_node("b", zone="x"), a_node("c", zone="y"), a_node("d")]
        pod = a_pod(affinity=near(term(ZONE, app="db")))
        assert refusals(pod, nodes, [a_pod(node="a", labels=DB)]) == {"c": NO_FRIEND, "d": NO_FRIEND}

    def test_one_pod_has_to_match_all_terms(self) -> None:
        pod = a_pod(affinity=near(term(app="db"), term(tier="hot")))
        apart_ = [a_pod(node="a", labels=DB), a_pod(node="a", labels={"tier": "hot"})]
        assert refusals(pod, hosts("a"), apart_) == {"a": NO_FRIEND}
        assert refusals(pod, hosts("a"), [a_pod(node="a", labels={**DB, "tier": "hot"})]) == {}

    def test_the_first_of_its_kind_has_nobody_to_join(self) -> None:
        pod = a_pod(labels=WEB, affinity=near(term(app="web")))
        assert refusals(pod, hosts("a", "b")) == {}
        assert refusals(pod, hosts("a", "b"), webs(b=1)) == {"a": NO_FRIEND}
        stranger = a_pod(labels=DB, affinity=near(term(app="web")))
        assert refusals(stranger, hosts("a", "b")) == {"a": NO_FRIEND, "b": NO_FRIEND}

    def test_apart(self) -> None:
        pod = a_pod(labels=WEB, affinity=apart(term(app="web")))
        assert refusals(pod, hosts("a", "b"), webs(a=1)) == {"a": FOE}

    def test_who_is_there_keeps_others_away(self) -> None:
        there = [a_pod(node="a", affinity=apart(term(app="web")))]
        assert refusals(a_pod(labels=WEB), hosts("a", "b"), there) == {"a": UNWANTED}
        assert refusals(a_pod(labels=DB), hosts("a", "b"), there) == {}

    def test_namespaces(self) -> None:
        there = [a_pod(node="a", labels=DB, namespace="data")]
        team = {"data": {"team": "store"}, "default": {}}
        nodes = hosts("a", "b")
        own = a_pod(affinity=near(term(app="db")))
        assert refusals(own, nodes, there, **team) == {"a": NO_FRIEND, "b": NO_FRIEND}
        named = a_pod(affinity=near({**term(app="db"), "namespaces": ["data"]}))
        assert refusals(named, nodes, there, **team) == {"b": NO_FRIEND}
        selected = a_pod(affinity=near({**term(app="db"), "namespaceSelector": {"matchLabels": {"team": "store"}}}))
        assert refusals(selected, nodes, there, **team) == {"b": NO_FRIEND}
        every = a_pod(affinity=near({**term(app="db"), "namespaceSelector": {}}))
        assert refusals(every, nodes, there, **team) == {"b": NO_FRIEND}
        others = a_pod(affinity=near({**term(app="db"), "namespaceSelector": {"matchLabels": {"team": "x"}}}))
        assert refusals(others, nodes, there, **team) == {"a": NO_FRIEND, "b": NO_FRIEND}

    def test_preferences_refuse_nobody(self) -> None:
        pod = a_pod(affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}})
        assert refusals(pod, hosts("a")) == {}


def test_the_first_refusal_counts() -> None:
    node = a_node("a", unschedulable=True, taints=["node.kubernetes.io/unschedulable:NoSchedule"], cpu="0")
    pod = a_pod(cpu="1", nodeSelector={"x": "y"})
    assert refusals(pod, [node]) == {"a": "!node(s) were unschedulable"}


def test_messages_count_the_nodes_and_sort_by_text() -> None:
    nodes = [
        a_node("control-plane", taints=["node-role.kubernetes.io/control-plane:NoSchedule"]),
        *hosts(*(f"worker-{number}" for number in range(10)), cpu="1"),
        a_node("small", cpu="1", memory="1Mi"),
    ]
    cluster = a_cluster(nodes)
    diagnosis = Diagnosis(len(nodes))
    assert find_feasible(info(a_pod(cpu="2", memory="1Gi")), cluster, diagnosis) == []
    assert diagnosis.message() == (
        "0/12 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 11 Insufficient cpu."
    )
    assert Diagnosis(0).message() == "no nodes available to schedule pods"

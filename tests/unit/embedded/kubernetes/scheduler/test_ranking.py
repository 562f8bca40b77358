"""What makes many alike pods cheap: one reading of them all, one look at one node for each."""

from __future__ import annotations

import gc
import random

import pytest

from labkit.embedded.kubernetes.scheduler.pods import Shapes
from labkit.embedded.kubernetes.scheduler.ranking import Ranking

from .making import ZONE, a_cluster, a_node, a_pod, apart, hosts, info, spread, term

WEB = {"app": "web"}


def test_alike_pods_share_a_shape() -> None:
    shapes = Shapes()
    pods = [shapes.read(a_pod(f"web-{number}", cpu="1", labels=WEB)) for number in range(100)]
    assert len({id(pod.shape) for pod in pods}) == 1
    others = [
        a_pod("x", cpu="2", labels=WEB), a_pod("x", cpu="1", labels={"app": "db"}),
        a_pod("x", cpu="1", priority=1, labels=WEB),
        a_pod("x", cpu="1", labels=WEB, namespace="other"), a_pod("x", cpu="1", labels=WEB, nodeSelector={"a": "b"}),
    ]  # fmt: skip
    read = [shapes.read(pod) for pod in others]
    assert len({id(pod.shape) for pod in (pods[0], *read)}) == 6
    del pods, read
    gc.collect()
    assert len(shapes) == 0  # gone with the last pod that had them


def test_a_status_does_not_matter() -> None:
    shapes = Shapes()
    pod = a_pod("web")
    first = shapes.read(pod)
    later = shapes.read(
        {**pod, "status": {"phase": "Running"}, "metadata": {**pod["metadata"], "resourceVersion": "9"}}
    )
    assert later.shape is first.shape


@pytest.mark.parametrize("constraints", [[], [spread(), spread(ZONE)], [spread(ZONE, hard=False)]])
def test_one_look_a_pod(constraints: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    rank = Ranking._rank
    monkeypatch.setattr(Ranking, "_rank", lambda self, ranked: (looks.append(ranked), rank(self, ranked)))
    cluster = a_cluster([a_node(f"n{number}", zone="xyz"[number % 3]) for number in range(60)])
    cluster.put_service("default", "web", WEB)
    pod = info(a_pod(labels=WEB, cpu="10m", topologySpreadConstraints=constraints))
    ranking = Ranking.of(pod.shape, cluster, random.Random(1))
    assert ranking is not None
    for number in range(600):
        node = ranking.best()
        assert node is not None
        cluster.assume(info(a_pod(f"web-{number}", **pod.obj["spec"] | {"labels": WEB})), node)
    assert len(looks) == 60 + 599  # the last one placed has not been looked at yet
    assert {len(node.pods) for node in cluster.nodes.values()} == {10}


def test_those_who_look_at_other_pods_have_none() -> None:
    cluster = a_cluster(hosts("a", "b"))
    assert Ranking.of(info(a_pod(affinity=apart(term(app="web")))).shape, cluster, random.Random(1)) is None
    conflict = (
        {"key": "metadata.name", "operator": "In", "values": ["a"]},
        {
            "key": "metadata.name",
            "operator": "In",
            "values": ["b"],
        },
    )
    terms = {"nodeSelectorTerms": [{"matchFields": list(conflict)}]}
    nowhere = a_pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})
    assert Ranking.of(info(nowhere).shape, cluster, random.Random(1)) is None


def test_it_is_thrown_away_when_what_it_took_for_granted_changes() -> None:
    cluster = a_cluster(hosts("a", "b"))
    ranking = Ranking.of(info(a_pod(labels=WEB)).shape, cluster, random.Random(1))
    assert ranking is not None
    cluster.put_node(a_node("a", cpu="2"))  # only its room changed: a look at it will do
    cluster.put_pod(info(a_pod(node="a")))
    assert ranking.current
    cluster.put_node(a_node("a", cpu="2", labels={"x": "y"}))
    assert not ranking.current


def test_a_taint_that_comes_or_goes_concerns_its_own_node() -> None:
    cluster = a_cluster([a_node("a"), a_node("b", taints=["node.kubernetes.io/not-ready:NoSchedule"])])
    shape = info(a_pod(labels=WEB)).shape
    ranking = Ranking.of(shape, cluster, random.Random(1))
    honest = info(a_pod(topologySpreadConstraints=[spread() | {"nodeTaintsPolicy": "Honor"}]))
    counts_by_taint = Ranking.of(honest.shape, cluster, random.Random(1))
    assert ranking is not None
    assert counts_by_taint is not None
    assert ranking.best() == "a"
    cluster.put_node(a_node("a", unschedulable=True))
    assert ranking.best() is None
    cluster.put_node(a_node("b"))
    assert ranking.current
    assert ranking.best() == "b"
    cluster.put_node(a_node("b", taints=["old:PreferNoSchedule"]))
    cluster.put_node(a_node("a"))
    assert ranking.best() == "a"
    assert not counts_by_taint.current


def test_equals_have_equal_chances() -> None:
    chosen = set()
    for seed in range(40):
        ranking = Ranking.of(info(a_pod()).shape, a_cluster(hosts("a", "b", "c")), random.Random(seed))
        assert ranking is not None
        chosen.add(ranking.best())
    assert chosen == {"a", "b", "c"}


@pytest.mark.parametrize(("megabytes", "lives"), [(7, True), (500, False)])
def test_a_small_image_that_arrives_on_a_node_changes_nothing(megabytes: int, lives: bool) -> None:
    cluster = a_cluster([a_node(f"n{number}") for number in range(4)])
    pod = info(a_pod(labels=WEB))
    ranking = Ranking.of(pod.shape, cluster, random.Random(1))
    assert ranking is not None
    cluster.put_node(a_node("n1", images={pod.shape.images[0]: megabytes * 1024 * 1024}))
    assert ranking.current is lives  # a big one counts the more the more nodes have it
    if not lives:
        ranking = Ranking.of(pod.shape, cluster, random.Random(1))
        assert ranking is not None
        assert ranking.best() == "n1"


def test_a_pod_that_was_read_before_is_read_again_where_it_differs() -> None:
    shapes = Shapes()
    pod = a_pod("web", cpu="1", labels=WEB)
    known = shapes.read(pod)
    bound = shapes.read({**pod, "spec": {**pod["spec"], "nodeName": "a"}}, known)
    assert (bound.shape, bound.node) == (known.shape, "a")
    relabelled = shapes.read({**pod, "metadata": {**pod["metadata"], "labels": {"app": "db"}}}, known)
    assert relabelled.shape.labels == {"app": "db"}
    resized = shapes.read({**pod, "spec": {**pod["spec"], "containers": a_pod(cpu="2")["spec"]["containers"]}}, known)
    assert resized.shape.requests != known.shape.requests

"""ReplicaSets and ReplicationControllers: so many pods, whatever happens; adoption, release, twins."""

from __future__ import annotations

import pytest
from support.kube_cluster import WHOAMI, WHOAMI_NEXT, Json, KubeCluster, container, going, is_ready, pod
from support.until import until

KINDS = ["ReplicaSet", "ReplicationController"]


def replicas(kind: str, name: str, count: int, image: str = WHOAMI, **labels: str) -> Json:
    """A ReplicaSet or its elder; its pods carry ``app: NAME`` and the labels."""
    wanted = {"app": name, **labels}
    template = {
        "metadata": {"labels": wanted},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container("c", image)]},
    }
    selector: Json = {"app": name} if kind == "ReplicationController" else {"matchLabels": {"app": name}}
    return {
        "apiVersion": "v1" if kind == "ReplicationController" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": count, "selector": selector, "template": template},
    }


def plural(kind: str) -> str:
    return f"{kind.lower()}s"


def alive(kube: KubeCluster, namespace: str, **labels: str) -> list[Json]:
    return [p for p in kube.pods(namespace, **labels) if not going(p)]


@pytest.mark.parametrize("kind", KINDS)
def test_pods_are_made_and_named(kube: KubeCluster, ns: str, kind: str) -> None:
    made = kube.create(ns, replicas(kind, "web", 2))
    for found in kube.ready_pods(ns, 2, app="web"):
        meta = found["metadata"]
        assert meta["generateName"] == "web-"
        assert meta["ownerReferences"] == [
            {"apiVersion": made["apiVersion"], "kind": kind, "name": "web", "uid": made["metadata"]["uid"],
             "controller": True, "blockOwnerDeletion": True}
        ]  # fmt: skip
    path = kube.path(plural(kind), ns, "web")
    found = kube.object(path, lambda r: r["status"].get("availableReplicas") == 2, 20)
    assert found["status"].pop("terminatingReplicas", 0) == 0  # told since 1.35
    assert found["status"] == {
        "replicas": 2, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "observedGeneration": 1
    }  # fmt: skip
    told = until(
        lambda: len(e := [m for reason, m in kube.events(ns, "web") if reason == "SuccessfulCreate"]) >= 2 and e
    )
    assert sorted(told) == sorted(f"Created pod: {p['metadata']['name']}" for p in kube.pods(ns, app="web"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_deleted_is_replaced(kube: KubeCluster, ns: str, kind: str) -> None:
    kube.create(ns, replicas(kind, "web", 2))
    first, second = kube.ready_pods(ns, 2, app="web")
    kube.delete(kube.path("pods", ns, first["metadata"]["name"]))
    names = {p["metadata"]["name"] for p in kube.ready_pods(ns, 2, app="web")}
    assert first["metadata"]["name"] not in names
    assert second["metadata"]["name"] in names


def test_up_and_down(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, replicas("ReplicaSet", "web", 1))
    path = kube.path("replicasets", ns, "web")
    [eldest] = kube.ready_pods(ns, 1, app="web")
    kube.patch(f"{path}/scale", {"spec": {"replicas": 3}})
    kube.ready_pods(ns, 3, app="web")
    kube.patch(f"{path}/scale", {"spec": {"replicas": 1}})
    kube.ready_pods(ns, 1, app="web")
    until(lambda: "SuccessfulDelete" in dict(kube.events(ns, "web")), 20)
    kube.patch(path, {"spec": {"replicas": 0}})
    until(lambda: not kube.pods(ns, app="web"), 30)
    assert kube.object(path, lambda r: r["status"]["replicas"] == 0, 20)["status"]["observedGeneration"] == 4
    assert eldest


def test_who_goes_first(kube: KubeCluster, ns: str) -> None:
    # Those that are not ready before those that are; then by where most are, and the youngest.
    kube.create(ns, replicas("ReplicaSet", "web", 1))
    [ready] = kube.ready_pods(ns, 1, app="web")
    path = kube.path("replicasets", ns, "web")
    bad = {"template": {"spec": {"containers": [{"name": "c", "image": "example.invalid/none:1"}]}}}
    kube.patch(path, {"spec": {"replicas": 2, **bad}}, "strategic")
    until(lambda: len(alive(kube, ns, app="web")) == 2, 20)
    kube.patch(path, {"spec": {"replicas": 1}})
    until(lambda: len(alive(kube, ns, app="web")) == 1, 20)
    [left] = alive(kube, ns, app="web")
    assert left["metadata"]["name"] == ready["metadata"]["name"]


def test_a_new_template_is_for_new_pods(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, replicas("ReplicaSet", "web", 1))
    [before] = kube.ready_pods(ns, 1, app="web")
    path = kube.path("replicasets", ns, "web")
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": WHOAMI_NEXT}]}}}}
    kube.patch(path, change, "strategic")
    kube.object(path, lambda r: r["status"]["observedGeneration"] == 2, 20)
    [still] = kube.ready_pods(ns, 1, app="web")
    assert still["metadata"]["uid"] == before["metadata"]["uid"]
    kube.delete(kube.path("pods", ns, still["metadata"]["name"]))
    [after] = kube.ready_pods(ns, 1, app="web")
    assert after["spec"]["containers"][0]["image"] == WHOAMI_NEXT


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_that_is_relabelled_gets_a_twin(kube: KubeCluster, ns: str, kind: str) -> None:
    kube.create(ns, replicas(kind, "web", 2))
    first, _ = kube.ready_pods(ns, 2, app="web")
    path = kube.path("pods", ns, first["metadata"]["name"])
    kube.patch(path, {"metadata": {"labels": {"app": "debug"}}})
    kube.ready_pods(ns, 2, app="web")
    released = kube.object(path, lambda p: "ownerReferences" not in p["metadata"], 20)
    assert is_ready(released)
    # Put back, it is one too many: somebody goes.
    kube.patch(path, {"metadata": {"labels": {"app": "web"}}})
    until(lambda: len(alive(kube, ns, app="web")) == 2, 20)


def test_pods_that_fit_are_adopted(kube: KubeCluster, ns: str) -> None:
    kube.run(ns, pod("loner", WHOAMI) | {"metadata": {"name": "loner", "labels": {"app": "web"}}})
    made = kube.create(ns, replicas("ReplicaSet", "web", 2))
    kube.ready_pods(ns, 2, app="web")
    found = kube.get(kube.path("pods", ns, "loner"))
    [owner] = found["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (made["metadata"]["uid"], True)


def test_a_selector_wider_than_the_template(kube: KubeCluster, ns: str) -> None:
    for name in ("first", "second"):
        body = replicas("ReplicaSet", name, 1)
        body["spec"]["selector"] = {"matchLabels": {"tier": "front"}}
        body["spec"]["template"]["metadata"]["labels"] = {"tier": "front", "app": name}
        kube.create(ns, body)
    kube.ready_pods(ns, 2, tier="front")
    owners = {p["metadata"]["ownerReferences"][0]["name"] for p in kube.pods(ns, tier="front")}
    assert owners == {"first", "second"}


@pytest.mark.parametrize("keep", [True, False], ids=["orphan", "background"])
def test_its_own_end(kube: KubeCluster, ns: str, keep: bool) -> None:
    kube.create(ns, replicas("ReplicaSet", "web", 1))
    [before] = kube.ready_pods(ns, 1, app="web")
    path = kube.path("replicasets", ns, "web")
    kube.delete(path, propagationPolicy="Orphan" if keep else "Background")
    kube.gone(path)
    if not keep:
        until(lambda: not kube.pods(ns), 30, "its pods go with it")
        return
    [orphan] = kube.ready_pods(ns, 1, app="web")
    assert "ownerReferences" not in orphan["metadata"]
    anew = kube.create(ns, replicas("ReplicaSet", "web", 1))
    found = kube.object(
        kube.path("pods", ns, orphan["metadata"]["name"]), lambda p: p["metadata"].get("ownerReferences")
    )
    assert found["metadata"]["uid"] == before["metadata"]["uid"]
    assert found["metadata"]["ownerReferences"][0]["uid"] == anew["metadata"]["uid"]


def test_a_failed_pod_is_replaced(kube: KubeCluster, ns: str) -> None:
    body = replicas("ReplicaSet", "web", 1)
    body["spec"]["template"]["spec"]["activeDeadlineSeconds"] = None
    kube.create(ns, body)
    [first] = kube.ready_pods(ns, 1, app="web")
    kube.patch(kube.path("pods", ns, first["metadata"]["name"]), {"spec": {"activeDeadlineSeconds": 1}})
    uid = first["metadata"]["uid"]
    until(lambda: any(is_ready(p) and p["metadata"]["uid"] != uid for p in kube.pods(ns)), 60, "another one runs")
    phases = sorted(p["status"]["phase"] for p in kube.pods(ns, app="web"))
    assert phases == ["Failed", "Running"]  # what has failed stays to be looked at


def test_available_is_ready_for_long_enough(kube: KubeCluster, ns: str) -> None:
    body = replicas("ReplicaSet", "web", 1)
    body["spec"]["minReadySeconds"] = 4
    # Every status is looked at, in order: one that asks now and then may come too late for the first.
    with kube.watch(kube.path("replicasets", ns)) as events:
        kube.create(ns, body)
        status: Json = {}
        while "readyReplicas" not in status:
            status = events.next()[1]["status"]
        assert status["readyReplicas"] == 1
        assert "availableReplicas" not in status
        while "availableReplicas" not in status:
            status = events.next()[1]["status"]
        assert status["availableReplicas"] == 1


def test_what_cannot_be_made_is_told(kube: KubeCluster, ns: str) -> None:
    body = replicas("ReplicaSet", "web", 1)
    body["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    kube.create(ns, body)
    path = kube.path("replicasets", ns, "web")
    found = kube.object(path, lambda r: r["status"].get("conditions"), 20)
    [told] = found["status"]["conditions"]
    assert (told["type"], told["status"], told["reason"]) == ("ReplicaFailure", "True", "FailedCreate")
    assert "error looking up service account" in told["message"]
    assert 'serviceaccount "nobody" not found' in told["message"]
    assert kube.pods(ns) == []


def test_kubectl_and_the_elder(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, replicas("ReplicationController", "web", 1))
    kube.ready_pods(ns, 1, app="web")
    assert kube.kubectl("scale", "rc/web", "-n", ns, "--replicas=2").text == "replicationcontroller/web scaled"
    kube.ready_pods(ns, 2, app="web")
    row = until(lambda: (r := kube.kubectl("get", "rc", "-n", ns, "--no-headers").text.split())[3] == "2" and r, 20)
    assert row[:4] == ["web", "2", "2", "2"]
    refused = kube.kubectl("scale", "rc/web", "-n", ns, "--current-replicas=5", "--replicas=1", check=False)
    assert "Expected replicas to be 5, was 2" in refused.err

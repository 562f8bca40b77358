"""DaemonSets: one pod a node, as nodes come to fit and cease to; updates; revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.kube_cluster import WHOAMI, WHOAMI_NEXT, Json, KubeCluster, container, going, is_ready
from support.until import until

BASIC = ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")


def daemons(name: str = "agent", image: str = WHOAMI, **spec: object) -> Json:
    labels = {"app": name}
    template: Json = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container("c", image)], **spec},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def placed(kube: KubeCluster, namespace: str) -> list[str]:
    """The nodes with a pod that is not going, once for each pod."""
    return sorted(p["spec"].get("nodeName", "") for p in kube.pods(namespace) if not going(p))


@pytest.fixture
def node(kube: KubeCluster) -> Iterator[Callable[..., None]]:
    """Patches the first worker; labels and taints of the tests are taken away afterwards."""
    path = kube.path("nodes", name=kube.workers[0])

    def change(body: Json) -> None:
        kube.patch(path, body)

    yield change
    change({"metadata": {"labels": {"disk": None}}, "spec": {"taints": None, "unschedulable": None}})


def test_one_a_node(kube: KubeCluster, ns: str) -> None:
    made = kube.create(ns, daemons())
    pods = kube.ready_pods(ns, len(kube.workers), app="agent")
    assert placed(kube, ns) == sorted(kube.workers)
    for found in pods:
        assert found["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        assert found["metadata"]["labels"]["controller-revision-hash"]
        tolerated = {t["key"] for t in found["spec"]["tolerations"]}
        assert tolerated == {f"node.kubernetes.io/{what}" for what in BASIC}
        [term] = found["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term["matchFields"] == [
            {"key": "metadata.name", "operator": "In", "values": [found["spec"]["nodeName"]]}
        ]  # fmt: skip
    count = len(kube.workers)
    found = kube.object(kube.path("daemonsets", ns, "agent"), lambda d: d["status"].get("numberAvailable") == count, 20)
    assert found["status"] == {
        "currentNumberScheduled": count, "desiredNumberScheduled": count, "numberAvailable": count,
        "numberReady": count, "updatedNumberScheduled": count, "numberMisscheduled": 0, "observedGeneration": 1,
    }  # fmt: skip


def test_with_a_toleration_the_control_plane_too(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, daemons(tolerations=[{"operator": "Exists"}]))
    kube.ready_pods(ns, len(kube.workers) + 1, app="agent")
    assert placed(kube, ns) == sorted([kube.control_plane, *kube.workers])


def test_a_deleted_pod_comes_back_on_its_node(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, daemons())
    first, _ = kube.ready_pods(ns, len(kube.workers), app="agent")
    kube.delete(kube.path("pods", ns, first["metadata"]["name"]))
    until(lambda: first["metadata"]["uid"] not in [p["metadata"]["uid"] for p in kube.pods(ns)], 30)
    pods = kube.ready_pods(ns, len(kube.workers), app="agent")
    assert first["spec"]["nodeName"] in [p["spec"]["nodeName"] for p in pods]


def test_nodes_are_chosen_by_labels(kube: KubeCluster, ns: str, node: Callable[..., None]) -> None:
    kube.create(ns, daemons(nodeSelector={"disk": "fast"}))
    path = kube.path("daemonsets", ns, "agent")
    kube.object(path, lambda d: d["status"].get("observedGeneration"), 20)
    assert kube.get(path)["status"]["desiredNumberScheduled"] == 0
    node({"metadata": {"labels": {"disk": "fast"}}})
    kube.ready_pods(ns, 1, app="agent")
    assert placed(kube, ns) == [kube.workers[0]]
    node({"metadata": {"labels": {"disk": "slow"}}})
    until(lambda: placed(kube, ns) == [], 30, "the node fits no more")


def test_a_new_taint_keeps_new_pods_away(kube: KubeCluster, ns: str, node: Callable[..., None]) -> None:
    kube.create(ns, daemons())
    kube.ready_pods(ns, len(kube.workers), app="agent")
    node({"spec": {"taints": [{"key": "lab", "value": "x", "effect": "NoSchedule"}]}})
    path = kube.path("daemonsets", ns, "agent")
    # Who is there may stay, but does not belong there any more.
    found = kube.object(path, lambda d: d["status"]["numberMisscheduled"] == 1, 30)
    assert found["status"]["desiredNumberScheduled"] == len(kube.workers) - 1
    [there] = [p for p in kube.pods(ns) if p["spec"]["nodeName"] == kube.workers[0]]
    kube.delete(kube.path("pods", ns, there["metadata"]["name"]))
    kube.ready_pods(ns, len(kube.workers) - 1, app="agent")
    node({"spec": {"taints": None}})
    kube.ready_pods(ns, len(kube.workers), app="agent")


def test_a_cordoned_node_keeps_its_daemons(kube: KubeCluster, ns: str, node: Callable[..., None]) -> None:
    node({"spec": {"unschedulable": True}})
    kube.create(ns, daemons())
    kube.ready_pods(ns, len(kube.workers), app="agent")
    assert kube.workers[0] in placed(kube, ns)


def test_a_rolling_update(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, daemons())
    count = len(kube.workers)
    before = {p["metadata"]["uid"] for p in kube.ready_pods(ns, count, app="agent")}
    path = kube.path("daemonsets", ns, "agent")
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": WHOAMI_NEXT}]}}}}
    lowest = count
    with kube.watch(kube.path("pods", ns)) as events:
        pods: dict[str, Json] = {}
        for _ in range(count):
            _, found = events.next()
            pods[found["metadata"]["name"]] = found
        kube.patch(path, change, "strategic")
        while not (
            len(pods) == count and all(is_ready(p) and p["metadata"]["uid"] not in before for p in pods.values())
        ):
            kind, found = events.next()
            if kind == "DELETED":
                pods.pop(found["metadata"]["name"], None)
            else:
                pods[found["metadata"]["name"]] = found
            lowest = min(lowest, sum(is_ready(p) and not going(p) for p in pods.values()))
    assert lowest == count - 1  # one at a time: maxUnavailable is 1
    assert {p["spec"]["containers"][0]["image"] for p in pods.values()} == {WHOAMI_NEXT}
    found = kube.object(path, lambda d: d["status"].get("updatedNumberScheduled") == count, 20)
    assert found["metadata"]["generation"] == 2


def test_revisions_and_undoing(kube: KubeCluster, ns: str) -> None:
    body = daemons(nodeSelector={"no": "where"})
    kube.create(ns, body)
    path = kube.path("daemonsets", ns, "agent")
    kube.object(path, lambda d: d["status"].get("observedGeneration") == 1, 20)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": WHOAMI_NEXT}]}}}}
    kube.patch(path, change, "strategic")
    revisions = until(lambda: len(found := kube.get(kube.path("controllerrevisions", ns))["items"]) == 2 and found, 20)
    assert sorted(r["revision"] for r in revisions) == [1, 2]
    assert {r["metadata"]["ownerReferences"][0]["kind"] for r in revisions} == {"DaemonSet"}
    told = kube.kubectl("rollout", "undo", "daemonset/agent", "-n", ns).text
    assert told == "daemonset.apps/agent rolled back"
    until(lambda: kube.get(path)["spec"]["template"]["spec"]["containers"][0]["image"] == WHOAMI, 30)
    until(lambda: sorted(r["revision"] for r in kube.get(kube.path("controllerrevisions", ns))["items"]) == [2, 3], 20)


def test_an_update_that_waits_for_deletions(kube: KubeCluster, ns: str) -> None:
    body = daemons()
    body["spec"]["updateStrategy"] = {"type": "OnDelete"}
    kube.create(ns, body)
    count = len(kube.workers)
    first, second = kube.ready_pods(ns, count, app="agent")
    path = kube.path("daemonsets", ns, "agent")
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": WHOAMI_NEXT}]}}}}
    kube.patch(path, change, "strategic")
    kube.object(path, lambda d: d["status"]["observedGeneration"] == 2, 20)
    kube.delete(kube.path("pods", ns, first["metadata"]["name"]))
    until(lambda: first["metadata"]["uid"] not in [p["metadata"]["uid"] for p in kube.pods(ns)], 30)
    images = {
        p["metadata"]["uid"]: p["spec"]["containers"][0]["image"] for p in kube.ready_pods(ns, count, app="agent")
    }
    assert images.pop(second["metadata"]["uid"]) == WHOAMI
    assert list(images.values()) == [WHOAMI_NEXT]


def test_kube_proxy_is_one(kube: KubeCluster) -> None:
    nodes = len(kube.workers) + 1
    # A node is ready before all is that runs on it.
    path = kube.path("daemonsets", "kube-system", "kube-proxy")
    kube.object(path, lambda d: d["status"].get("numberAvailable") == nodes == d["status"]["numberReady"], 120)
    row = kube.kubectl("get", "ds", "kube-proxy", "-n", "kube-system", "--no-headers").text.split()
    assert row[:6] == ["kube-proxy", *[str(nodes)] * 5]

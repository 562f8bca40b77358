"""Disruption budgets: who may be evicted, and who is asked to come back later."""

from __future__ import annotations

from typing import Any

import pytest
from support.kube_cluster import WHOAMI, Json, KubeCluster, condition, deployment, going, pod
from support.until import until


def budget(kube: KubeCluster, ns: str, name: str = "web", **spec: Any) -> str:
    """Makes a budget for the pods of `web` and gives its path."""
    body: Json = {
        "apiVersion": kube.api_version("PodDisruptionBudget"),
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }
    kube.create(ns, body)
    return kube.path("poddisruptionbudgets", ns, name)


def evict(kube: KubeCluster, ns: str, name: str, **more: Any) -> tuple[int, Json]:
    body = {"apiVersion": kube.api_version("Eviction"), "kind": "Eviction", "metadata": {"name": name}, **more}
    answer = kube.raw("POST", kube.path("pods", ns, name, "eviction"), json=body)
    return answer.status_code, answer.json()


def allowed(kube: KubeCluster, path: str, count: int) -> Json:
    def settled(found: Json) -> bool:
        status = found.get("status", {})
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("disruptionsAllowed") == count
        )

    return kube.object(path, settled, 30, f"{count} disruptions allowed")


def test_without_a_budget_a_pod_is_evicted(kube: KubeCluster, ns: str) -> None:
    kube.run(ns, pod("web", WHOAMI))
    code, told = evict(kube, ns, "web")
    assert (code, told["status"]) == (201, "Success")
    kube.gone(kube.path("pods", ns, "web"))


def test_a_dry_eviction(kube: KubeCluster, ns: str) -> None:
    kube.run(ns, pod("web", WHOAMI))
    code, _ = evict(kube, ns, "web", deleteOptions={"dryRun": ["All"]})
    assert code == 201
    assert not going(kube.get(kube.path("pods", ns, "web")))


@pytest.mark.parametrize(
    ("spec", "wanted", "free"),
    [
        ({"minAvailable": 2}, 2, 1),
        ({"minAvailable": "50%"}, 2, 1),
        ({"maxUnavailable": 1}, 2, 1),
        ({"maxUnavailable": "50%"}, 1, 2),  # rounded up, as what must be there is
        ({"minAvailable": 3}, 3, 0),
        ({"maxUnavailable": 0}, 3, 0),
    ],
    ids=str,
)
def test_what_a_budget_counts(kube: KubeCluster, three: str, spec: Json, wanted: int, free: int) -> None:
    name = kube.name("b")
    path = budget(kube, three, name, **spec)
    try:
        status = allowed(kube, path, free)["status"]
        assert (status["desiredHealthy"], status["currentHealthy"], status["expectedPods"]) == (wanted, 3, 3)
        row = kube.kubectl("get", "pdb", name, "-n", three, "--no-headers").text.split()
        assert row[3] == str(free)
    finally:
        kube.delete(path)


@pytest.fixture(scope="module")
def three(cluster: KubeCluster, home: str) -> str:
    """A namespace with a Deployment of three."""
    cluster.create(home, deployment("web", 3))
    cluster.ready_pods(home, 3, app="web")
    return home


def test_a_budget_that_is_used_up(kube: KubeCluster, ns: str) -> None:
    # Three pods that nobody replaces: what is gone stays gone.
    body: Json = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"}}
    template = deployment("web")["spec"]["template"]
    template["spec"]["nodeSelector"] = {"kubernetes.io/os": "linux"}
    kube.create(ns, body | {"spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template}})
    first, second, _ = (p["metadata"]["name"] for p in kube.ready_pods(ns, 3, app="web"))
    path = budget(kube, ns, minAvailable=2)
    allowed(kube, path, 1)
    # Those that come after are never ready, so the first eviction uses the budget up.
    never = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "example.invalid/none:1"}]}}}}
    replicas = kube.path("replicasets", ns, "web")
    kube.patch(replicas, never, "strategic")
    kube.object(replicas, lambda r: r["status"]["observedGeneration"] == 2, 30, "its controller has seen it")
    assert evict(kube, ns, first)[0] == 201
    code, status = evict(kube, ns, second)
    assert code == 429
    assert status["reason"] == "TooManyRequests"
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    [cause] = status["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    until(lambda: kube.get(path)["status"]["currentHealthy"] == 2, 30)
    assert not going(kube.get(kube.path("pods", ns, second)))
    # Deleting asks no budget.
    kube.delete(kube.path("pods", ns, second))
    kube.gone(kube.path("pods", ns, second))


def test_two_budgets_for_one_pod(kube: KubeCluster, ns: str) -> None:
    kube.run(ns, pod("web", WHOAMI))
    for name in ("one", "two"):
        budget(kube, ns, name, maxUnavailable=1)
    until(lambda: len(kube.get(kube.path("poddisruptionbudgets", ns))["items"]) == 2, 10)
    code, status = evict(kube, ns, "web")
    assert code == 500
    assert status["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


def test_a_budget_of_two_kinds(kube: KubeCluster, ns: str) -> None:
    body: Json = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}}
    status = kube.refusal("POST", kube.path("poddisruptionbudgets", ns), json=body)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert "minAvailable and maxUnavailable cannot be both set" in status["message"]


def test_pods_that_nobody_counts(kube: KubeCluster, ns: str) -> None:
    # A share of what no controller has promised cannot be known.
    kube.run(ns, pod("web", WHOAMI))
    path = budget(kube, ns, minAvailable="50%")
    told = until(lambda: NOBODY.intersection(dict(kube.events(ns, "web"))), 30)
    assert told
    assert kube.get(path)["status"]["disruptionsAllowed"] == 0
    if kube.version >= (1, 21):
        assert condition(kube.get(path), "DisruptionAllowed")["status"] == "False"


NOBODY = {"NoControllers", "CalculateExpectedPodCountFailed", "UnmanagedPods"}  # by age


def test_drain_waits_for_a_budget(kube: KubeCluster, ns: str) -> None:
    body = deployment("web", 2)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": kube.workers[0]}
    kube.create(ns, body)
    kube.ready_pods(ns, 2, app="web")
    path = budget(kube, ns, minAvailable=2)
    allowed(kube, path, 0)
    name = kube.workers[0]
    try:
        drain = kube.start("drain", name, "--ignore-daemonsets", "--pod-selector=app=web", "--force",
                           "--delete-emptydir-data", "--timeout=60s")  # fmt: skip
        said = ""
        while "Cannot evict pod" not in said:
            assert drain.stdout
            line = drain.stdout.readline()
            assert line, said
            said += line
        assert "(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget." in said
        assert len([p for p in kube.pods(ns) if not going(p)]) == 2
        # More room, and it goes on by itself.
        kube.patch(path, {"spec": {"minAvailable": 0}})
        said, _ = drain.communicate(timeout=60)
        assert drain.returncode == 0, said
        assert f"node/{name} drained" in said
    finally:
        drain.kill()
        kube.patch(kube.path("nodes", name=name), {"spec": {"unschedulable": None}})

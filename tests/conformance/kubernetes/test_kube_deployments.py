"""Deployments: rollouts, their numbers, pauses, undoing, history, deadlines, proportions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.kube_cluster import WHOAMI, WHOAMI_NEXT, Json, KubeCluster, condition, deployment, going, is_ready
from support.until import until

NOWHERE = "example.invalid/none:1"
REVISION = "deployment.kubernetes.io/revision"


def path(kube: KubeCluster, ns: str, part: str = "") -> str:
    return kube.path("deployments", ns, "web", part)


def image(name: str) -> Json:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}}


def sets(kube: KubeCluster, ns: str, app: str = "web") -> list[Json]:
    """Its ReplicaSets, oldest first."""
    items: list[Json] = kube.get(kube.path("replicasets", ns), labelSelector=f"app={app}")["items"]
    return sorted(items, key=lambda r: int(r["metadata"]["annotations"][REVISION]))


def done(found: Json) -> bool:
    """What `kubectl rollout status` waits for."""
    spec, status = found["spec"]["replicas"], found["status"]
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == spec
        and status.get("replicas", 0) == spec
        and status.get("availableReplicas", 0) == spec
    )


@pytest.fixture
def web(kube: KubeCluster, ns: str) -> Callable[..., Json]:
    """Makes the Deployment `web` and waits until it is there."""

    def make(count: int = 1, name: str = WHOAMI, **spec: object) -> Json:
        kube.create(ns, deployment("web", count, name, **spec))
        return kube.object(path(kube, ns), done, 90)

    return make


def test_what_it_is_made_of(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    found = web(2)
    assert found["metadata"]["annotations"][REVISION] == "1"
    assert found["status"]["observedGeneration"] == 1
    numbers = {key: value for key, value in found["status"].items() if key.endswith("eplicas") and value}
    assert numbers == {
        "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2
    }  # fmt: skip
    [rs] = sets(kube, ns)
    label = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{label}"
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": label}
    assert rs["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
    assert rs["metadata"]["annotations"] | {} == {
        REVISION: "1", "deployment.kubernetes.io/desired-replicas": "2", "deployment.kubernetes.io/max-replicas": "3"
    }  # fmt: skip
    for p in kube.ready_pods(ns, 2, app="web"):
        assert p["metadata"]["name"].startswith(f"web-{label}-")
        assert p["metadata"]["labels"]["pod-template-hash"] == label


def test_its_conditions(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    found = web(1)
    [rs] = sets(kube, ns)
    available, progressing = condition(found, "Available"), condition(found, "Progressing")
    assert (available["status"], available["reason"]) == ("True", "MinimumReplicasAvailable")
    assert available["message"] == "Deployment has minimum availability."
    assert (progressing["status"], progressing["reason"]) == ("True", "NewReplicaSetAvailable")
    assert progressing["message"] == f'ReplicaSet "{rs["metadata"]["name"]}" has successfully progressed.'


def test_a_new_image_rolls_out(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(2)
    [old] = sets(kube, ns)
    kube.patch(path(kube, ns), image(WHOAMI_NEXT), "strategic")
    found = kube.object(path(kube, ns), done, 90)
    assert found["metadata"]["annotations"][REVISION] == "2"
    before, after = sets(kube, ns)
    assert before["metadata"]["uid"] == old["metadata"]["uid"]
    assert (before["spec"]["replicas"], after["spec"]["replicas"]) == (0, 2)
    assert before["spec"]["template"]["spec"]["containers"][0]["image"] == WHOAMI
    pods = kube.ready_pods(ns, 2, app="web")
    assert {p["spec"]["containers"][0]["image"] for p in pods} == {WHOAMI_NEXT}
    new, was = after["metadata"]["name"], before["metadata"]["name"]

    def told() -> bool:
        words = [message for reason, message in kube.events(ns, "web") if reason == "ScalingReplicaSet"]
        assert any(word.startswith(f"Scaled up replica set {new}") for word in words), words
        assert any(word.startswith(f"Scaled down replica set {was}") for word in words), words
        return True

    until(told, 30, "the events of a rollout")  # which come when they come


# (replicas, maxSurge, maxUnavailable) → (pods at most, pods ready at least)
NUMBERS = {
    (4, 1, 0): (5, 4),
    (4, 0, 1): (4, 3),
    (4, "25%", "25%"): (5, 3),
    (3, "25%", "25%"): (4, 3),  # rounded up and down
    (3, "100%", "0%"): (6, 3),
}


@pytest.fixture(scope="module")
def stuck(cluster: KubeCluster, home: str) -> str:
    """A Deployment for each of the numbers, `n0`, `n1`…, that rolls out what never becomes ready."""
    names = [f"n{index}" for index in range(len(NUMBERS))]
    for name, (count, surge, missing) in zip(names, NUMBERS, strict=True):
        rolling = {"maxSurge": surge, "maxUnavailable": missing}
        cluster.create(home, deployment(name, count, strategy={"type": "RollingUpdate", "rollingUpdate": rolling}))
    for name in names:
        cluster.object(cluster.path("deployments", home, name), done, 120)
        cluster.patch(cluster.path("deployments", home, name), image(NOWHERE), "strategic")
    return home


@pytest.mark.parametrize("which", range(len(NUMBERS)), ids=[" ".join(map(str, numbers)) for numbers in NUMBERS])
def test_the_numbers_of_a_rollout(kube: KubeCluster, stuck: str, which: int) -> None:
    most, least = list(NUMBERS.values())[which]

    def stands() -> list[tuple[int, int]]:
        found = sets(kube, stuck, app=f"n{which}")
        numbers = [(rs["spec"]["replicas"], rs["status"].get("readyReplicas", 0)) for rs in found]
        assert len(numbers) == 2, numbers
        assert sum(wanted for wanted, _ in numbers) == most, numbers
        assert sum(ready for _, ready in numbers) == least, numbers
        return numbers

    old, new = until(stands, 60, f"{most} pods, {least} of them ready")
    assert old == (least, least)
    assert new == (most - least, 0)
    path = kube.path("deployments", stuck, f"n{which}")
    found = kube.object(path, lambda d: d["status"].get("unavailableReplicas") == most - least, 20)
    assert condition(found, "Available")["status"] == "True"


def test_recreate_ends_all_before_it_begins(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(2, strategy={"type": "Recreate"})
    with kube.watch(kube.path("pods", ns), labelSelector="app=web") as events:
        images: dict[str, str] = {}
        kube.patch(path(kube, ns), image(WHOAMI_NEXT), "strategic")
        mixed = False
        while True:
            kind, found = events.next()
            name = found["metadata"]["name"]
            if kind == "DELETED":
                images.pop(name, None)
            else:
                images[name] = found["spec"]["containers"][0]["image"]
            mixed |= len(set(images.values())) > 1
            if list(images.values()) == [WHOAMI_NEXT] * 2 and is_ready(found):
                break
    assert not mixed


def test_pause_and_resume(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(1)
    assert kube.kubectl("rollout", "pause", "deployment/web", "-n", ns).text == "deployment.apps/web paused"
    kube.patch(path(kube, ns), image(WHOAMI_NEXT), "strategic")
    found = kube.object(path(kube, ns), lambda d: d["status"]["observedGeneration"] == 3, 20)
    assert len(sets(kube, ns)) == 1
    assert condition(found, "Progressing")["reason"] == "DeploymentPaused"
    # Scaling is done all the same.
    kube.patch(path(kube, ns), {"spec": {"replicas": 2}})
    kube.ready_pods(ns, 2, app="web")
    refused = kube.kubectl("rollout", "undo", "deployment/web", "-n", ns, "--to-revision=1", check=False)
    assert "cannot rollback a paused deployment; resume it first" in refused.err
    kube.kubectl("rollout", "resume", "deployment/web", "-n", ns)
    kube.object(path(kube, ns), done, 90)
    assert {p["spec"]["containers"][0]["image"] for p in kube.ready_pods(ns, 2, app="web")} == {WHOAMI_NEXT}


def test_undo_and_history(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(1)
    first = sets(kube, ns)[0]["metadata"]["uid"]
    kube.patch(path(kube, ns), image(WHOAMI_NEXT), "strategic")
    kube.object(path(kube, ns), done, 90)
    change = {"metadata": {"annotations": {"kubernetes.io/change-cause": "the third"}}}
    kube.patch(path(kube, ns), change | image(NOWHERE), "strategic")
    until(lambda: len(sets(kube, ns)) == 3, 20)
    lines = until(
        lambda: (told := kube.kubectl("rollout", "history", "deployment/web", "-n", ns).lines)[-2:-1] and told, 30
    )
    rows = [line.split(maxsplit=1) for line in lines if line[:1].isdigit()]
    assert rows == [["1", "<none>"], ["2", "<none>"], ["3", "the third"]]
    detail = kube.kubectl("rollout", "history", "deployment/web", "-n", ns, "--revision=2").out
    assert WHOAMI_NEXT in detail
    told = kube.kubectl("rollout", "undo", "deployment/web", "-n", ns, "--to-revision=1").text
    assert told == "deployment.apps/web rolled back"
    found = kube.object(path(kube, ns), done, 90)
    assert found["metadata"]["annotations"][REVISION] == "4"
    # The old ReplicaSet is used again and gets the new number.
    latest = sets(kube, ns)[-1]
    assert latest["metadata"]["uid"] == first
    assert latest["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    refused = kube.kubectl("rollout", "undo", "deployment/web", "-n", ns, "--to-revision=1", check=False)
    assert "unable to find specified revision 1 in history" in refused.err


def test_so_much_history_is_kept(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(0, revisionHistoryLimit=1)
    for word in ("a", "b", "c"):
        kube.patch(path(kube, ns), {"spec": {"template": {"metadata": {"annotations": {"word": word}}}}})
        kube.object(path(kube, ns), done, 20)
    until(lambda: len(sets(kube, ns)) == 2, 20)
    assert sets(kube, ns)[-1]["metadata"]["annotations"][REVISION] == "4"


def test_the_same_template_is_the_same_revision(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(0)
    kube.patch(path(kube, ns), {"metadata": {"labels": {"a": "b"}}, "spec": {"minReadySeconds": 1}})
    kube.object(path(kube, ns), done, 20)
    assert len(sets(kube, ns)) == 1


def test_a_deadline_that_is_missed(kube: KubeCluster, ns: str) -> None:
    kube.create(ns, deployment("web", 1, NOWHERE, progressDeadlineSeconds=3))
    found = kube.object(
        path(kube, ns), lambda d: condition(d, "Progressing").get("reason") == "ProgressDeadlineExceeded", 60
    )
    [rs] = sets(kube, ns)
    told = condition(found, "Progressing")
    assert told["status"] == "False"
    assert told["message"] == f'ReplicaSet "{rs["metadata"]["name"]}" has timed out progressing.'
    assert condition(found, "Available")["reason"] == "MinimumReplicasUnavailable"
    refused = kube.kubectl("rollout", "status", "deployment/web", "-n", ns, check=False)
    assert refused.code == 1
    assert 'deployment "web" exceeded its progress deadline' in refused.err


def test_kubectl_tells_of_a_rollout(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(2)
    told = kube.kubectl("set", "image", "deployment/web", f"c={WHOAMI_NEXT}", "-n", ns).text
    assert told == "deployment.apps/web image updated"
    lines = kube.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=90s", timeout=100).lines
    assert lines[-1] == 'deployment "web" successfully rolled out'
    told = kube.kubectl("rollout", "restart", "deployment/web", "-n", ns).text
    assert told == "deployment.apps/web restarted"
    template = kube.get(path(kube, ns))["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    kube.object(path(kube, ns), done, 90)
    assert len(sets(kube, ns)) == 3


def test_scaling_a_rollout_keeps_its_proportions(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(4, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}})
    kube.patch(path(kube, ns), image(NOWHERE), "strategic")
    until(lambda: [rs["spec"]["replicas"] for rs in sets(kube, ns)] == [4, 2], 40)
    kube.patch(path(kube, ns), {"spec": {"replicas": 6}})
    # Two more, to the larger and the smaller by their share of six.
    numbers = until(lambda: sum(n := [rs["spec"]["replicas"] for rs in sets(kube, ns)]) == 8 and n, 40)
    assert numbers == [5, 3]


def test_a_rollout_in_the_middle_of_another(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(2)
    kube.patch(path(kube, ns), image(NOWHERE), "strategic")
    until(lambda: len(sets(kube, ns)) == 2, 20)
    kube.patch(path(kube, ns), image(WHOAMI_NEXT), "strategic")
    kube.object(path(kube, ns), done, 90)
    assert [rs["spec"]["replicas"] for rs in sets(kube, ns)] == [0, 0, 2]
    until(lambda: not [p for p in kube.pods(ns) if p["spec"]["containers"][0]["image"] == NOWHERE], 30)


def test_a_replica_set_that_fits_is_adopted(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    before = web(1)
    [p] = kube.ready_pods(ns, 1, app="web")
    kube.delete(path(kube, ns), propagationPolicy="Orphan")
    kube.gone(path(kube, ns))
    after = web(1)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    [rs] = sets(kube, ns)
    assert rs["metadata"]["ownerReferences"][0]["uid"] == after["metadata"]["uid"]
    [same] = kube.ready_pods(ns, 1, app="web")
    assert same["metadata"]["uid"] == p["metadata"]["uid"]


def test_a_set_that_was_deleted_is_made_anew(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(1)
    [rs] = sets(kube, ns)
    kube.delete(kube.path("replicasets", ns, rs["metadata"]["name"]), propagationPolicy="Background")
    [anew] = until(lambda: (s := sets(kube, ns)) and s[0]["metadata"]["uid"] != rs["metadata"]["uid"] and s, 20)
    assert anew["metadata"]["name"] == rs["metadata"]["name"]
    kube.object(path(kube, ns), done, 60)


def test_the_set_follows_its_deployment(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(1)
    [rs] = sets(kube, ns)
    kube.patch(kube.path("replicasets", ns, rs["metadata"]["name"], "scale"), {"spec": {"replicas": 3}})
    until(lambda: sets(kube, ns)[0]["spec"]["replicas"] == 1, 20, "the Deployment's number counts")


def test_kubectl_describes_it(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(2)
    until(lambda: "ScalingReplicaSet" in dict(kube.events(ns, "web")), 30)
    text = kube.kubectl("describe", "deployment", "web", "-n", ns).out
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in text
    assert "25% max unavailable, 25% max surge" in text
    assert "NewReplicaSet:" in text
    assert "ScalingReplicaSet" in text


def test_nobody_is_left(kube: KubeCluster, ns: str, web: Callable[..., Json]) -> None:
    web(1)
    assert kube.kubectl("delete", "deployment", "web", "-n", ns).text.startswith('deployment.apps "web" deleted')
    until(lambda: not [p for p in kube.pods(ns) if not going(p)] and not sets(kube, ns), 40)

"""Deletion: finalizers, preconditions, owners, collections; and what becomes of a namespace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.kube_cluster import BUSYBOX, Json, KubeCluster, config_map, deployment, is_ready, pod
from support.until import until


def owned_by(owner: Json, name: str, *, blocks: bool = False) -> Json:
    body = config_map(name, {"owned": "yes"})
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    reference |= {"uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks, "controller": False}
    body["metadata"]["ownerReferences"] = [reference]
    return body


def known(kube: KubeCluster, namespace: str) -> None:
    """Waits until the garbage collector knows every ConfigMap that is there now.

    It cannot be asked, but it takes them up in their order: as soon as a later one goes whose owner never was, the
    others are known.
    """
    nobody = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nobody", "uid": "no-such-uid"}}
    name = kube.create(namespace, owned_by(nobody, kube.name("knock")))["metadata"]["name"]
    kube.gone(kube.path("configmaps", namespace, name))


def test_a_deletion_tells_what_was_deleted(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name))
    status = kube.delete(kube.path("configmaps", home, name))
    assert (status["kind"], status["status"]) == ("Status", "Success")
    assert status["details"] == {"name": name, "kind": "configmaps", "uid": made["metadata"]["uid"]}
    status = kube.refusal("DELETE", kube.path("configmaps", home, name))
    assert (status["code"], status["reason"]) == (404, "NotFound")
    assert status["message"] == f'configmaps "{name}" not found'


def test_a_deletion_of_a_group_tells_its_group(kube: KubeCluster, home: str) -> None:
    name = kube.name("web")
    kube.create(home, deployment(name, 0))
    status = kube.delete(kube.path("deployments", home, name), propagationPolicy="Background")
    assert (status["details"]["group"], status["details"]["kind"]) == ("apps", "deployments")


def test_a_finalizer_holds_an_object(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    body = config_map(name, colour="blue")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    kube.create(home, body)
    path = kube.path("configmaps", home, name)
    told = kube.delete(path)
    assert told["metadata"]["deletionTimestamp"]
    assert told["metadata"]["deletionGracePeriodSeconds"] == 0
    held = kube.patch(path, {"data": {"colour": "red"}})
    assert held["data"] == {"colour": "red"}
    kube.delete(path)  # once more changes nothing
    assert kube.get(path)["metadata"]["deletionTimestamp"] == told["metadata"]["deletionTimestamp"]
    kube.patch(path, {"metadata": {"finalizers": None}})
    assert kube.raw("GET", path).status_code == 404


def test_nothing_may_hold_an_object_that_goes_already(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    body = config_map(name)
    body["metadata"]["finalizers"] = ["example.com/hold"]
    kube.create(home, body)
    path = kube.path("configmaps", home, name)
    kube.delete(path)
    more = '{"metadata": {"finalizers": ["example.com/hold", "example.com/too"]}}'
    status = kube.refusal("PATCH", path, data=more, headers={"Content-Type": "application/merge-patch+json"})
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted"
        in (status["message"])
    )
    kube.patch(path, {"metadata": {"finalizers": []}})
    kube.gone(path)


def test_a_finalizer_needs_a_domain(kube: KubeCluster, home: str) -> None:
    body = config_map(kube.name("cm"))
    body["metadata"]["finalizers"] = ["hold"]
    status = kube.refusal("POST", kube.path("configmaps", home), json=body)
    [cause] = status["details"]["causes"]
    assert cause["field"].startswith("metadata.finalizers")
    assert cause["message"].endswith("name is neither a standard finalizer name nor is it fully qualified")


@pytest.mark.parametrize("which", ["uid", "resourceVersion"])
def test_preconditions(kube: KubeCluster, home: str, which: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, config_map(name))
    path = kube.path("configmaps", home, name)
    wrong = "00000000-0000-4000-8000-000000000000" if which == "uid" else "1"
    status = kube.refusal("DELETE", path, json={"preconditions": {which: wrong}})
    assert (status["code"], status["reason"]) == (409, "Conflict")
    right = made["metadata"][which]
    word = "UID" if which == "uid" else "ResourceVersion"
    what = "deleted and then recreated" if which == "uid" else "modified"
    assert status["message"] == (
        f'Operation cannot be fulfilled on ConfigMap "{name}": the {word} in the precondition ({wrong}) does not match '
        f"the {word} in record ({right}). The object might have been {what}"
    )
    kube.delete(path, preconditions={which: right})
    kube.gone(path)


def test_what_is_owned_goes_with_its_owner(kube: KubeCluster, home: str) -> None:
    owner = kube.create(home, config_map(kube.name("owner")))
    child = kube.create(home, owned_by(owner, kube.name("child")))["metadata"]["name"]
    kube.delete(kube.path("configmaps", home, owner["metadata"]["name"]), propagationPolicy="Background")
    assert kube.raw("GET", kube.path("configmaps", home, owner["metadata"]["name"])).status_code == 404
    kube.gone(kube.path("configmaps", home, child))


def test_what_is_orphaned_stays(kube: KubeCluster, home: str) -> None:
    owner = kube.create(home, config_map(kube.name("owner")))
    child = kube.create(home, owned_by(owner, kube.name("child")))["metadata"]["name"]
    known(kube, home)
    told = kube.delete(kube.path("configmaps", home, owner["metadata"]["name"]), propagationPolicy="Orphan")
    assert told["metadata"]["finalizers"] == ["orphan"]
    kube.gone(kube.path("configmaps", home, owner["metadata"]["name"]))
    assert "ownerReferences" not in kube.get(kube.path("configmaps", home, child))["metadata"]


def test_in_the_foreground_the_owner_waits_for_what_blocks_it(kube: KubeCluster, home: str) -> None:
    owner = kube.create(home, config_map(kube.name("owner")))
    body = owned_by(owner, kube.name("child"), blocks=True)
    body["metadata"]["finalizers"] = ["example.com/hold"]
    child = kube.path("configmaps", home, kube.create(home, body)["metadata"]["name"])
    path = kube.path("configmaps", home, owner["metadata"]["name"])
    known(kube, home)
    told = kube.delete(path, propagationPolicy="Foreground")
    assert told["metadata"]["finalizers"] == ["foregroundDeletion"]
    kube.object(child, lambda found: found["metadata"].get("deletionTimestamp"), 30, "the child is asked to go")
    assert kube.get(path)["metadata"]["deletionTimestamp"]
    kube.patch(child, {"metadata": {"finalizers": []}})
    kube.gone(child)
    kube.gone(path)


def test_what_has_another_owner_stays(kube: KubeCluster, home: str) -> None:
    first, second = (kube.create(home, config_map(kube.name("owner"))) for _ in range(2))
    body = owned_by(first, kube.name("child"))
    body["metadata"]["ownerReferences"] += owned_by(second, "")["metadata"]["ownerReferences"]
    child = kube.path("configmaps", home, kube.create(home, body)["metadata"]["name"])
    kube.delete(kube.path("configmaps", home, first["metadata"]["name"]), propagationPolicy="Background")
    found = kube.object(child, lambda found: len(found["metadata"]["ownerReferences"]) == 1, 30)
    assert found["metadata"]["ownerReferences"][0]["uid"] == second["metadata"]["uid"]
    kube.delete(kube.path("configmaps", home, second["metadata"]["name"]), propagationPolicy="Background")
    kube.gone(child)


def test_what_has_an_owner_that_never_was_goes(kube: KubeCluster, home: str) -> None:
    nobody = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nobody", "uid": "no-such-uid"}}
    child = kube.create(home, owned_by(nobody, kube.name("child")))["metadata"]["name"]
    kube.gone(kube.path("configmaps", home, child))


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_a_deployments_tree(kube: KubeCluster, ns: str, policy: str) -> None:
    kube.create(ns, deployment("web", 1))
    kube.ready_pods(ns, 1, app="web")
    kube.delete(kube.path("deployments", ns, "web"), propagationPolicy=policy)
    kube.gone(kube.path("deployments", ns, "web"))
    if policy == "Orphan":
        [replica_set] = kube.get(kube.path("replicasets", ns))["items"]
        assert "ownerReferences" not in replica_set["metadata"]
        kube.ready_pods(ns, 1, app="web")
        return
    if policy == "Foreground":  # everything below went first
        assert kube.get(kube.path("replicasets", ns))["items"] == []
        assert kube.pods(ns) == []
        return
    until(lambda: not kube.pods(ns) and not kube.get(kube.path("replicasets", ns))["items"], 30, "all is gone")


def test_owners_that_block_want_to_be_said_so(kube: KubeCluster, home: str) -> None:
    body = config_map(kube.name("cm"))
    two = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True}
    body["metadata"]["ownerReferences"] = [two | {"name": "a", "uid": "1"}, two | {"name": "b", "uid": "2"}]
    status = kube.refusal("POST", kube.path("configmaps", home), json=body)
    [cause] = status["details"]["causes"]
    assert cause["field"] == "metadata.ownerReferences"
    assert "Only one reference can have Controller set to true" in cause["message"]


def test_a_collection(kube: KubeCluster, ns: str) -> None:
    for name, tier in (("a", "front"), ("b", "front"), ("c", "back")):
        kube.create(ns, config_map(name, {"tier": tier}))
    path = kube.path("configmaps", ns)
    answer = kube.raw("DELETE", path, params={"labelSelector": "tier=front"})
    assert answer.status_code == 200
    assert answer.json()["kind"] == "ConfigMapList"
    assert {item["metadata"]["name"] for item in answer.json()["items"]} == {"a", "b"}
    left = [item["metadata"]["name"] for item in kube.get(path, labelSelector="tier")["items"]]
    assert left == ["c"]


def test_a_policy_that_is_none(kube: KubeCluster, home: str) -> None:
    kube.create(home, config_map(name := kube.name("cm")))
    path = kube.path("configmaps", home, name)
    status = kube.refusal("DELETE", path, json={"propagationPolicy": "Slow"})
    assert status["message"] == (
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Slow": '
        'supported values: "Foreground", "Background", "Orphan", "nil"'
    )
    both = {"propagationPolicy": "Orphan", "orphanDependents": True}
    status = kube.refusal("DELETE", path, json=both)
    assert "orphanDependents and deletionPropagation cannot be both set" in status["message"]


# -- pods and namespaces, which have ways of their own ---------------------------------------------------------------


def test_a_pod_that_runs_nowhere_goes_at_once(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    kube.create(home, pod(name, schedulerName="nobody", terminationGracePeriodSeconds=30))
    path = kube.path("pods", home, name)
    kube.delete(path)
    assert kube.raw("GET", path).status_code == 404


def test_a_running_pod_is_given_its_grace(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    script = "trap 'sleep 1; exit 7' TERM; while true; do sleep 0.1; done"
    kube.run(home, pod(name, BUSYBOX, "sh", "-c", script, terminationGracePeriodSeconds=60))
    path = kube.path("pods", home, name)
    with kube.watch(kube.path("pods", home), fieldSelector=f"metadata.name={name}") as events:
        told = kube.delete(path, gracePeriodSeconds=40)
        assert told["kind"] == "Pod"
        assert told["metadata"]["deletionGracePeriodSeconds"] == 40
        assert is_ready(told)
        last = told
        while "terminated" not in last["status"]["containerStatuses"][0]["state"]:
            _, last = events.next()
    # It was waited for: killed it would have ended with 137.
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert not is_ready(last)


def test_a_grace_of_nothing_does_not_wait_for_the_kubelet(kube: KubeCluster, home: str) -> None:
    name = kube.name("p")
    script = "trap '' TERM; while true; do sleep 1; done"
    kube.run(home, pod(name, BUSYBOX, "sh", "-c", script, terminationGracePeriodSeconds=60))
    path = kube.path("pods", home, name)
    kube.delete(path, gracePeriodSeconds=0)
    assert kube.raw("GET", path).status_code == 404


def test_a_grace_below_nothing(kube: KubeCluster, home: str) -> None:
    kube.create(home, pod(name := kube.name("p"), schedulerName="nobody"))
    answer = kube.raw("DELETE", kube.path("pods", home, name), json={"gracePeriodSeconds": -1})
    # Newer ones read it as one second.
    assert answer.status_code == 200
    assert kube.raw("GET", kube.path("pods", home, name)).status_code == 404


@pytest.fixture
def leaving(kube: KubeCluster) -> Callable[[], str]:
    """A namespace that a finalizer of an object within keeps from going."""

    def make() -> str:
        name = kube.namespace()
        body = config_map("held")
        body["metadata"]["finalizers"] = ["example.com/hold"]
        kube.create(name, body)
        told = kube.delete(kube.path("namespaces", name=name))
        assert told["status"]["phase"] == "Terminating"
        return name

    return make


def test_a_namespace_that_goes_takes_everything_along(kube: KubeCluster) -> None:
    name = kube.namespace()
    kube.create(name, config_map("a"))
    kube.create(name, deployment("web", 1))
    kube.delete(kube.path("namespaces", name=name))
    kube.gone(kube.path("namespaces", name=name))
    for plural in ("configmaps", "deployments", "replicasets", "pods", "secrets", "serviceaccounts", "events"):
        assert kube.get(kube.path(plural, name))["items"] == [], plural


def test_a_namespace_waits_for_what_is_held_in_it(kube: KubeCluster, leaving: Callable[[], str]) -> None:
    name = leaving()
    path = kube.path("namespaces", name=name)

    def told() -> Json:
        conditions = {c["type"]: c for c in kube.get(path)["status"].get("conditions") or ()}
        assert conditions["NamespaceFinalizersRemaining"]["status"] == "True"
        return conditions

    conditions = until(told, 30, "the namespace says what holds it")
    assert conditions["NamespaceFinalizersRemaining"]["reason"] == "SomeFinalizersRemain"
    assert conditions["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    assert conditions["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    status = kube.refusal("POST", kube.path("configmaps", name), json=config_map("late"))
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        f'configmaps "late" is forbidden: unable to create new content in namespace {name} because it is being '
        "terminated"
    )
    assert status["details"]["causes"] == [
        {"reason": "NamespaceTerminating", "message": f"namespace {name} is being terminated", "field":
         "metadata.namespace"}
    ]  # fmt: skip
    kube.patch(kube.path("configmaps", name, "held"), {"metadata": {"finalizers": []}})
    kube.gone(path)


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_some_namespaces_may_not_go(kube: KubeCluster, name: str) -> None:
    status = kube.refusal("DELETE", kube.path("namespaces", name=name))
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_what_a_new_namespace_holds(kube: KubeCluster, ns: str) -> None:
    found = kube.get(kube.path("namespaces", name=ns))
    assert found["status"]["phase"] == "Active"
    assert found["spec"]["finalizers"] == ["kubernetes"]
    assert kube.get(kube.path("serviceaccounts", ns, "default"))["metadata"]["namespace"] == ns
    root = kube.object(kube.path("configmaps", ns, "kube-root-ca.crt"), lambda found: found["data"], 30)
    assert root["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


def test_the_service_account_is_made_anew(kube: KubeCluster, ns: str) -> None:
    path = kube.path("serviceaccounts", ns, "default")
    before = kube.get(path)["metadata"]["uid"]
    kube.delete(path)
    until(
        lambda: kube.raw("GET", path).status_code == 200 and kube.get(path)["metadata"]["uid"] != before,
        30,
        "a new default service account",
    )


def test_a_namespace_is_where_names_are_unique(kube: KubeCluster, ns: str, home: str) -> None:
    name = kube.name("cm")
    kube.create(ns, config_map(name))
    kube.create(home, config_map(name))
    status = kube.refusal("POST", kube.path("configmaps", home), json=config_map(name))
    assert (status["code"], status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == f'configmaps "{name}" already exists'
    assert status["details"] == {"name": name, "kind": "configmaps"}

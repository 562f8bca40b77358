"""Server-side apply: who owns which field, what conflicts, what goes when its owner lets go of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.kube_cluster import WHOAMI, WHOAMI_NEXT, Json, KubeCluster, config_map, container, deployment


def bare(name: str, **data: str) -> Json:
    body = config_map(name, **data)
    return body if data else {key: value for key, value in body.items() if key != "data"}


@pytest.fixture
def apply(kube: KubeCluster, home: str) -> Callable[..., Json]:
    """Applies an object as a manager."""

    def send(manager: str, body: Json, force: bool = False) -> Json:
        plural = {"ConfigMap": "configmaps", "Deployment": "deployments", "Service": "services"}[body["kind"]]
        params: dict[str, Any] = {"fieldManager": manager} | ({"force": "true"} if force else {})
        return kube.patch(kube.path(plural, home, body["metadata"]["name"]), body, "apply", **params)

    return send


def owned(found: Json) -> dict[tuple[str, str], Json]:
    """(manager, operation) → the fields it owns."""
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in found["metadata"]["managedFields"]}


def test_what_is_applied_is_made_and_owned(kube: KubeCluster, home: str, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    body = bare(name, colour="blue")
    headers = {"Content-Type": "application/apply-patch+yaml"}
    path = kube.path("configmaps", home, name)
    answer = kube.raw("PATCH", path, data=json.dumps(body), headers=headers, params={"fieldManager": "alice"})
    assert answer.status_code == 201
    [entry] = answer.json()["metadata"]["managedFields"]
    assert entry["manager"] == "alice"
    assert entry["operation"] == "Apply"
    assert entry["apiVersion"] == "v1"
    assert entry["fieldsType"] == "FieldsV1"
    assert entry["fieldsV1"] == {"f:data": {"f:colour": {}}}
    again = apply("alice", body)
    assert again["metadata"]["resourceVersion"] == answer.json()["metadata"]["resourceVersion"]


def test_two_managers_share_an_object(kube: KubeCluster, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    apply("alice", bare(name, colour="blue"))
    found = apply("bob", bare(name, size="small"))
    assert found["data"] == {"colour": "blue", "size": "small"}
    assert owned(found) == {
        ("alice", "Apply"): {"f:data": {"f:colour": {}}},
        ("bob", "Apply"): {"f:data": {"f:size": {}}},
    }


def test_a_field_of_somebody_elses_conflicts(kube: KubeCluster, home: str, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    apply("alice", bare(name, colour="blue", size="small"))
    path = kube.path("configmaps", home, name)
    status = kube.refusal(
        "PATCH", path, data=json.dumps(bare(name, colour="red", size="large")), params={"fieldManager": "bob"},
        headers={"Content-Type": "application/apply-patch+yaml"},
    )  # fmt: skip
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == ('Apply failed with 2 conflicts: conflicts with "alice":\n- .data.colour\n- .data.size')
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.colour"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.size"},
    ]


def test_the_same_value_is_no_conflict(kube: KubeCluster, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    apply("alice", bare(name, colour="blue"))
    found = apply("bob", bare(name, colour="blue"))
    assert set(owned(found)) == {("alice", "Apply"), ("bob", "Apply")}
    # What two own, one may let go of: the other keeps it.
    found = apply("alice", bare(name))
    assert found["data"] == {"colour": "blue"}
    assert set(owned(found)) == {("bob", "Apply")}


def test_force_takes_a_field_over(kube: KubeCluster, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    apply("alice", bare(name, colour="blue", size="small"))
    found = apply("bob", bare(name, colour="red"), force=True)
    assert found["data"] == {"colour": "red", "size": "small"}
    assert owned(found) == {
        ("alice", "Apply"): {"f:data": {"f:size": {}}},
        ("bob", "Apply"): {"f:data": {"f:colour": {}}},
    }


def test_what_is_no_longer_applied_goes(kube: KubeCluster, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    apply("alice", bare(name, colour="blue", size="small"))
    found = apply("alice", bare(name, size="small"))
    assert found["data"] == {"size": "small"}


def test_an_update_owns_what_it_changes(kube: KubeCluster, home: str, apply: Callable[..., Json]) -> None:
    name = kube.name("cm")
    apply("alice", bare(name, colour="blue", size="small"))
    path = kube.path("configmaps", home, name)
    found = kube.patch(path, {"data": {"colour": "red"}}, fieldManager="carol")
    assert owned(found) == {
        ("alice", "Apply"): {"f:data": {"f:size": {}}},
        ("carol", "Update"): {"f:data": {"f:colour": {}}},
    }
    status = kube.refusal(
        "PATCH", path, data=json.dumps(bare(name, colour="blue", size="small")), params={"fieldManager": "alice"},
        headers={"Content-Type": "application/apply-patch+yaml"},
    )  # fmt: skip
    assert status["message"].startswith('Apply failed with 1 conflict: conflict with "carol" using v1')
    assert status["message"].endswith(": .data.colour")


def test_the_manager_is_named_by_the_user_agent(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    headers = {"User-Agent": "my-tool/v1.2 (linux)"}
    made = kube.raw("POST", kube.path("configmaps", home), json=bare(name, a="b"), headers=headers).json()
    assert owned(made) == {("my-tool", "Update"): {"f:data": {".": {}, "f:a": {}}}}


def test_an_apply_must_say_who(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    headers = {"Content-Type": "application/apply-patch+yaml"}
    status = kube.refusal("PATCH", kube.path("configmaps", home, name), data=json.dumps(bare(name)), headers=headers)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )


def test_managed_fields_may_not_be_applied(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    made = kube.create(home, bare(name, a="b"))
    headers = {"Content-Type": "application/apply-patch+yaml"}
    path = kube.path("configmaps", home, name)
    status = kube.refusal("PATCH", path, data=json.dumps(made), headers=headers, params={"fieldManager": "x"})
    assert (status["code"], status["message"]) == (400, "metadata.managedFields must be nil")


def test_lists_are_merged_by_their_keys(kube: KubeCluster, apply: Callable[..., Json]) -> None:
    name = kube.name("web")

    def body(*containers: Json) -> Json:
        found = deployment(name, 0)
        found["spec"]["template"]["spec"]["containers"] = list(containers)
        return found

    apply("alice", body(container("web", WHOAMI, ports=[{"containerPort": 80}]), container("old", WHOAMI)))
    side = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}}
    side["spec"] = {"template": {"spec": {"containers": [{"name": "side", "image": WHOAMI}]}}}
    found = apply("bob", side)
    names = [c["name"] for c in found["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["old", "side", "web"]
    found = apply("alice", body(container("web", WHOAMI_NEXT, ports=[{"containerPort": 80}])))
    images = {c["name"]: c["image"] for c in found["spec"]["template"]["spec"]["containers"]}
    assert images == {"web": WHOAMI_NEXT, "side": WHOAMI}
    fields = owned(found)["bob", "Apply"]
    assert fields["f:spec"]["f:template"]["f:spec"]["f:containers"] == {
        'k:{"name":"side"}': {".": {}, "f:image": {}, "f:name": {}}
    }


def test_a_manager_that_scales_owns_the_replicas(kube: KubeCluster, home: str, apply: Callable[..., Json]) -> None:
    kube.needs((1, 23), "an owner for what is scaled")
    name = kube.name("web")
    apply("alice", deployment(name, 0))
    path = kube.path("deployments", home, name)
    kube.patch(f"{path}/scale", {"spec": {"replicas": 1}}, fieldManager="scaler")
    found = kube.get(path)
    [entry] = [e for e in found["metadata"]["managedFields"] if e["manager"] == "scaler"]
    assert entry["subresource"] == "scale"
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    params = {"fieldManager": "alice"}
    status = kube.refusal("PATCH", path, data=json.dumps(deployment(name, 0)), headers=headers, params=params)
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas'
    )


def test_kubectl_applies_on_the_server(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    text = json.dumps(bare(name, colour="blue"))
    told = kube.kubectl("apply", "--server-side", "-n", home, "-f", "-", stdin=text).text
    assert told == f"configmap/{name} serverside-applied"
    kube.kubectl("apply", "--server-side", "-n", home, "--field-manager=bob", "--force-conflicts", "-f", "-",
                 stdin=bare(name, colour="red"))  # fmt: skip
    refused = kube.kubectl("apply", "--server-side", "-n", home, "-f", "-", stdin=text, check=False)
    assert refused.code == 1
    assert 'conflict with "bob": .data.colour' in refused.err


def test_kubectl_applies_on_its_own_side(kube: KubeCluster, home: str) -> None:
    name = kube.name("cm")
    apply = ("apply", "-n", home, "-f", "-")
    assert kube.kubectl(*apply, stdin=bare(name, colour="blue", size="small")).text == f"configmap/{name} created"
    path = kube.path("configmaps", home, name)
    kube.patch(path, {"data": {"other": "stays"}})
    assert kube.kubectl(*apply, stdin=bare(name, colour="red")).text == f"configmap/{name} configured"
    assert kube.get(path)["data"] == {"colour": "red", "other": "stays"}
    assert kube.kubectl(*apply, stdin=bare(name, colour="red")).text == f"configmap/{name} unchanged"
    last = kube.get(path)["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert json.loads(last)["data"] == {"colour": "red"}

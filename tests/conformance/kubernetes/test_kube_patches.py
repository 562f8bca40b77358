"""JSON patches, merge patches, strategic merge patches; what each does with lists, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.kube_cluster import PATCHES, WHOAMI, WHOAMI_NEXT, Json, KubeCluster, config_map, container, deployment


def refused(kube: KubeCluster, path: str, how: str, body: Any) -> Json:
    text = body if isinstance(body, str) else json.dumps(body)
    return kube.refusal("PATCH", path, data=text, headers={"Content-Type": PATCHES[how]})


@pytest.fixture
def data(kube: KubeCluster, home: str) -> str:
    """The path of a ConfigMap."""
    name = kube.name("cm")
    kube.create(home, config_map(name, {"tier": "front"}, colour="blue", size="small"))
    return kube.path("configmaps", home, name)


@pytest.fixture
def web(kube: KubeCluster, home: str) -> str:
    """The path of a Deployment of two containers, whose pods never run."""
    body = deployment(kube.name("web"), 0)
    spec = body["spec"]["template"]["spec"]
    spec["containers"] = [
        container("web", WHOAMI, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                  ports=[{"containerPort": 80, "name": "http"}]),
        container("log", WHOAMI, args=["-verbose"]),
    ]  # fmt: skip
    spec["tolerations"] = [{"key": "a", "operator": "Exists"}]
    return kube.path("deployments", home, kube.create(home, body)["metadata"]["name"])


def containers(found: Json) -> dict[str, Json]:
    return {c["name"]: c for c in found["spec"]["template"]["spec"]["containers"]}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/data/colour", "value": "red"}], {"colour": "red", "size": "small"}),
        ([{"op": "replace", "path": "/data/colour", "value": "red"}], {"colour": "red", "size": "small"}),
        ([{"op": "remove", "path": "/data/size"}], {"colour": "blue"}),
        ([{"op": "move", "from": "/data/size", "path": "/data/extent"}], {"colour": "blue", "extent": "small"}),
        ([{"op": "copy", "from": "/data/size", "path": "/data/a~1b"}], None),
        ([{"op": "test", "path": "/data/size", "value": "small"}, {"op": "remove", "path": "/data/size"}],
         {"colour": "blue"}),
    ],
    ids=["add", "replace", "remove", "move", "copy to a bad key", "test"],
)  # fmt: skip
def test_json_patch(kube: KubeCluster, data: str, operations: list[Json], expected: Json | None) -> None:
    if expected is None:
        assert refused(kube, data, "json", operations)["reason"] == "Invalid"
    else:
        assert kube.patch(data, operations, "json")["data"] == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/colour", "value": "red"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/none/none", "value": "x"},
        {"op": "fly", "path": "/data/none", "value": "x"},
    ],
    ids=lambda operation: operation["op"],
)
def test_a_json_patch_that_does_not_fit(kube: KubeCluster, data: str, operation: Json) -> None:
    status = refused(kube, data, "json", [operation])
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"


def test_a_json_patch_changes_one_element_of_a_list(kube: KubeCluster, web: str) -> None:
    path = "/spec/template/spec/containers/0/image"
    found = containers(kube.patch(web, [{"op": "replace", "path": path, "value": WHOAMI_NEXT}], "json"))
    assert (found["web"]["image"], found["log"]["image"]) == (WHOAMI_NEXT, WHOAMI)


def test_a_merge_patch_takes_away_with_null(kube: KubeCluster, data: str) -> None:
    found = kube.patch(data, {"data": {"colour": None, "shape": "round"}, "metadata": {"labels": None}})
    assert found["data"] == {"size": "small", "shape": "round"}
    assert "labels" not in found["metadata"]


def test_a_merge_patch_replaces_whole_lists(kube: KubeCluster, web: str) -> None:
    only = [{"name": "log", "image": WHOAMI_NEXT}]
    found = kube.patch(web, {"spec": {"template": {"spec": {"containers": only}}}})
    assert list(containers(found)) == ["log"]
    assert "args" not in containers(found)["log"]


def test_a_strategic_merge_patch_knows_the_elements_of_lists(kube: KubeCluster, web: str) -> None:
    change = [{"name": "log", "image": WHOAMI_NEXT}, {"name": "more", "image": WHOAMI}]
    found = containers(kube.patch(web, {"spec": {"template": {"spec": {"containers": change}}}}, "strategic"))
    assert set(found) == {"web", "log", "more"}
    assert (found["log"]["image"], found["log"]["args"]) == (WHOAMI_NEXT, ["-verbose"])


def test_a_strategic_merge_patch_takes_elements_away(kube: KubeCluster, web: str) -> None:
    change = [{"name": "web", "env": [{"name": "A", "$patch": "delete"}, {"name": "C", "value": "3"}]}]
    found = containers(kube.patch(web, {"spec": {"template": {"spec": {"containers": change}}}}, "strategic"))
    assert {e["name"] for e in found["web"]["env"]} == {"B", "C"}
    found = containers(
        kube.patch(
            web,
            {"spec": {"template": {"spec": {"containers": [{"name": "log", "$patch": "delete"}]}}}},
            "strategic",
        )
    )
    assert list(found) == ["web"]


def test_a_strategic_merge_patch_sets_the_order(kube: KubeCluster, web: str) -> None:
    order = [{"name": "log"}, {"name": "web"}]
    change = {"$setElementOrder/containers": order, "containers": [{"name": "log", "args": ["-x"]}]}
    found = kube.patch(web, {"spec": {"template": {"spec": change}}}, "strategic")
    assert list(containers(found)) == ["log", "web"]


def test_a_strategic_merge_patch_replaces_lists_without_keys(kube: KubeCluster, web: str) -> None:
    change = {"tolerations": [{"key": "b", "operator": "Exists"}], "containers": [{"name": "log", "args": ["-a"]}]}
    found = kube.patch(web, {"spec": {"template": {"spec": change}}}, "strategic")
    assert found["spec"]["template"]["spec"]["tolerations"] == [{"key": "b", "operator": "Exists"}]
    assert containers(found)["log"]["args"] == ["-a"]


def test_a_strategic_merge_patch_replaces_with_a_directive(kube: KubeCluster, web: str) -> None:
    change = {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}
    assert kube.patch(web, change, "strategic")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_strategy_that_leaves_the_old_ones_parameters_is_refused(kube: KubeCluster, web: str) -> None:
    status = refused(kube, web, "merge", {"spec": {"strategy": {"type": "Recreate"}}})
    assert status["message"].endswith(
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
    )


def test_the_name_may_not_be_patched(kube: KubeCluster, data: str) -> None:
    status = refused(kube, data, "merge", {"metadata": {"name": "other"}})
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == (
        f"the name of the object (other) does not match the name on the URL ({data.rpartition('/')[2]})"
    )


def test_a_selector_may_not_be_patched(kube: KubeCluster, web: str) -> None:
    status = refused(kube, web, "merge", {"spec": {"selector": {"matchLabels": {"app": "x"}}}})
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert [c["field"] for c in status["details"]["causes"]] == ["spec.template.metadata.labels", "spec.selector"]
    assert status["message"].endswith("field is immutable]")


@pytest.mark.parametrize("how", ["json", "merge", "strategic", "apply"])
def test_a_malformed_patch(kube: KubeCluster, data: str, same: Callable[..., None], how: str) -> None:
    headers = {"Content-Type": PATCHES[how]}
    status = kube.refusal("PATCH", data, data="{bad", headers=headers, params={"fieldManager": "me"})
    same(f"{status['code']} {status['message']}", f"malformed {how} patch")


def test_a_media_type_that_is_no_patch(kube: KubeCluster, data: str) -> None:
    status = kube.refusal("PATCH", data, data="{}", headers={"Content-Type": "application/json"})
    assert (status["code"], status["reason"]) == (415, "UnsupportedMediaType")


def test_the_official_client_chooses_the_patch_by_the_body(kube: KubeCluster, home: str, web: str) -> None:
    name = web.rpartition("/")[2]
    body: Any = {"spec": {"template": {"spec": {"containers": [{"name": "log", "image": WHOAMI_NEXT}]}}}}
    kube.apps.patch_namespaced_deployment(name, home, body)  # a dict: strategic merge, so both containers are left
    found = kube.apps.patch_namespaced_deployment(name, home, [{"op": "add", "path": "/spec/paused", "value": True}])
    assert len(found.spec.template.spec.containers) == 2
    assert found.spec.paused


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
def test_what_becomes_of_an_unknown_field(kube: KubeCluster, home: str, validation: str) -> None:
    kube.needs((1, 27), "fieldValidation")
    body = deployment(kube.name("web"), 0)
    body["spec"]["replica"] = 3
    body["spec"]["template"]["spec"]["containers"][0]["imag"] = "x"
    answer = kube.raw("POST", kube.path("deployments", home), json=body, params={"fieldValidation": validation})
    unknown = ["spec.template.spec.containers[0].imag", "spec.replica"]  # as they stand in the text
    if validation == "Strict":
        assert answer.status_code == 400
        told = ", ".join(f'unknown field "{field}"' for field in unknown)
        assert answer.json()["message"] == (
            f'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: {told}'
        )
        return
    assert answer.status_code == 201
    assert "replica" not in answer.json()["spec"]
    warning = answer.headers.get("Warning", "")
    expected = [f'299 - "unknown field \\"{field}\\""' for field in unknown] if validation == "Warn" else []
    assert warning == ", ".join(expected)


def test_an_unknown_field_is_dropped_when_nobody_asks(kube: KubeCluster, home: str) -> None:
    body = config_map(kube.name("cm"), colour="blue") | {"colour": "red"}
    assert "colour" not in kube.create(home, body)

"""Discovery in both forms, and that they say the same."""

import orjson
import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.discovery import answer, wanted_version

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = V2.replace("v=v2", "v=v2beta1")
KUBECTL = f"{V2},{V2BETA1},application/json"


def body(path, accept=""):
    return orjson.loads(answer(path, accept, address="127.1.0.10:6443").body)


def test_the_walk_begins_at_two_paths():
    assert body("/api") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.1.0.10:6443"}],
    }
    groups = body("/apis/")["groups"]
    assert {group["name"] for group in groups} == {group for group in kinds.groups() if group}
    assert groups[0] == {
        "name": "apps",
        "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
    }


def test_a_group():
    assert body("/apis/apps") == {"kind": "APIGroup", "apiVersion": "v1", **body("/apis")["groups"][0]}


def test_resources_as_a_real_server_lists_them():
    found = {one["name"]: one for one in body("/apis/apps/v1")["resources"]}
    assert found["deployments"] == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"],
        "categories": ["all"],
        "storageVersionHash": "8aSe+NMegvE=",
    }
    assert found["deployments/scale"] == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
    core = body("/api/v1/")
    assert list(core) == ["kind", "groupVersion", "resources"]
    pods = {one["name"]: one for one in core["resources"]}
    assert pods["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8="
    assert pods["pods/binding"] == {
        "name": "pods/binding", "singularName": "", "namespaced": True, "kind": "Binding", "verbs": ["create"],
    }  # fmt: skip
    assert pods["pods/log"]["kind"] == "Pod"


@pytest.mark.parametrize("path", ["/apis/nonsense", "/apis/apps/v9", "/api/v2", "/apis/apps/v1/deployments", "/", "/x"])
def test_what_is_not_there(path):
    assert answer(path, KUBECTL) is None


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (KUBECTL, "v2"),
        (f"{V2BETA1},application/json", "v2beta1"),
        ("application/json", ""),
        (f"application/json, {V2}", ""),
        ("*/*", ""),
        ("", ""),
        (V2.replace("v=v2", "v=v3") + "," + V2BETA1, "v2beta1"),
        ("application/json;as=Table;g=meta.k8s.io;v=v1", ""),
    ],
)
def test_who_gets_the_aggregated_form(accept, version):
    assert wanted_version(accept) == version


@pytest.mark.parametrize(("accept", "version"), [(KUBECTL, "v2"), (V2BETA1, "v2beta1")])
def test_the_aggregated_form(accept, version):
    found = answer("/apis", accept)
    assert found.content_type == f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    assert len(found.etag) == 64
    listing = orjson.loads(found.body)
    assert (listing["kind"], listing["apiVersion"]) == ("APIGroupDiscoveryList", f"apidiscovery.k8s.io/{version}")
    assert found.body == answer("/apis", accept).body


def _aggregated():
    for path in ("/api", "/apis"):
        for group in body(path, KUBECTL)["items"]:
            for version in group["versions"]:
                assert version["freshness"] == "Current"
                prefix = f"/apis/{group['metadata']['name']}" if group["metadata"] else "/api"
                yield f"{prefix}/{version['version']}", version["resources"]


def test_both_forms_say_the_same():
    seen = 0
    for path, resources in _aggregated():
        walked = {one["name"]: one for one in body(path)["resources"]}
        for one in resources:
            plain = walked.pop(one["resource"])
            assert plain["verbs"] == one["verbs"]
            assert plain["namespaced"] == (one["scope"] == "Namespaced")
            assert plain.get("shortNames") == one.get("shortNames")
            assert plain.get("categories") == one.get("categories")
            assert (plain["singularName"], plain["kind"]) == (one["singularResource"], one["responseKind"]["kind"])
            for part in one.get("subresources", ()):
                found = walked.pop(f"{one['resource']}/{part['subresource']}")
                assert found["verbs"] == part["verbs"]
                assert found["kind"] == part["responseKind"]["kind"]
                assert found.get("group", "") == part["responseKind"]["group"]
            seen += 1
        assert not walked
    assert seen == len(kinds.KINDS)

"""The v3 documents: what kubectl looks for in them, and that they hang together."""

import gzip
import re

import orjson
import pytest

from labkit.embedded.kubernetes import kinds, openapi

INDEX = orjson.loads(openapi.index())["paths"]
DOCUMENTS = {path: orjson.loads(openapi.document(path)) for path in INDEX}
OPERATIONS = [
    (path, method, operation)
    for document in DOCUMENTS.values()
    for path, item in document["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]


def names(operation):
    return {parameter["name"] for parameter in operation.get("parameters", ())}


def test_the_index_has_every_group_version_with_a_hash():
    wanted = {kind.path().removeprefix("/").rpartition("/")[0] for kind in kinds.KINDS}
    assert set(INDEX) == wanted
    for path, entry in INDEX.items():
        assert entry["serverRelativeURL"] == f"/openapi/v3/{path}?hash={openapi.fingerprint()}"


def test_there_is_no_other_document():
    assert openapi.document("apis/nonsense/v1") is None
    assert openapi.document("") is None


def test_it_is_kept_compressed():
    assert gzip.decompress(openapi.compressed("apis/apps/v1")) == openapi.document("apis/apps/v1")


@pytest.mark.parametrize("path", INDEX)
def test_every_reference_leads_somewhere(path):
    document = DOCUMENTS[path]
    raw = openapi.document(path).decode()
    found = set(re.findall(r'"#/components/schemas/([^"]+)"', raw))
    assert found <= set(document["components"]["schemas"])
    assert "$defs" not in raw


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.kind)
def test_every_verb_of_every_kind_is_there(kind):
    paths = DOCUMENTS[kind.path().removeprefix("/").rpartition("/")[0]]["paths"]
    whole = kind.path("{namespace}" if kind.namespaced else "")
    wanted = {
        "create": (whole, "post"),
        "list": (whole, "get"),
        "deletecollection": (whole, "delete"),
        "get": (f"{whole}/{{name}}", "get"),
        "update": (f"{whole}/{{name}}", "put"),
        "patch": (f"{whole}/{{name}}", "patch"),
        "delete": (f"{whole}/{{name}}", "delete"),
    }
    for verb, (path, method) in wanted.items():
        assert (method in paths.get(path, {})) == (verb in kind.verbs), (verb, path)
    for part in kind.subresources:
        assert f"{whole}/{{name}}/{part}" in paths


def test_patches_say_what_kubectl_asks_for_before_it_applies():
    patches = [operation for _, _, operation in OPERATIONS if operation.get("x-kubernetes-action") == "patch"]
    assert patches
    for operation in patches:
        assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= names(operation)
        assert set(operation["x-kubernetes-group-version-kind"]) == {"group", "kind", "version"}
        assert "application/apply-patch+yaml" in operation["requestBody"]["content"]


def test_operations_have_names_of_their_own():
    identities = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(identities) == len(set(identities))
    assert {"listCoreV1NamespacedPod", "patchAppsV1NamespacedDeploymentStatus", "readCoreV1NamespacedPodLog"} <= set(
        identities
    )


def test_every_path_names_its_parameters():
    for document in DOCUMENTS.values():
        for path, item in document["paths"].items():
            given = {parameter["name"] for parameter in item.get("parameters", ()) if parameter["in"] == "path"}
            assert given == set(re.findall(r"\{(\w+)\}", path))


def test_explain_finds_prose_and_the_kind():
    schemas = DOCUMENTS["apis/apps/v1"]["components"]["schemas"]
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert deployment["description"]
    spec = deployment["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]
    assert spec["description"]
    assert "io.k8s.api.apps.v1.DeploymentList" in schemas


def test_nothing_stands_beside_a_reference():
    def walk(value):
        if isinstance(value, dict):
            # The schema of CustomResourceDefinitions has a property of this name.
            assert not isinstance(value.get("$ref"), str) or len(value) == 1
            for below in value.values():
                walk(below)
        elif isinstance(value, list):
            for below in value:
                walk(below)

    for document in DOCUMENTS.values():
        walk(document)

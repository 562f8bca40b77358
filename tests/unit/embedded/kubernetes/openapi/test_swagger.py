"""The v2 document in protobuf, taken apart again as kubectl 1.27 does."""

import gzip

import orjson

from labkit.embedded.kubernetes import openapi
from labkit.embedded.kubernetes.protobuf.decode import _wire

PACKED, ETAG = openapi.swagger()


def fields(data, number):
    return [value for found, _, value in _wire(memoryview(data)) if found == number]


def one(data, *numbers):
    for number in numbers:
        (data,) = fields(data, number)
    return data


def text(data, *numbers):
    return bytes(one(data, *numbers)).decode()


def pairs(data, number):
    return {text(pair, 1): one(pair, 2) for pair in fields(data, number)}


DOCUMENT = gzip.decompress(PACKED)
DEFINITIONS = pairs(one(DOCUMENT, 9), 1)
PATHS = pairs(one(DOCUMENT, 8), 2)


def extensions(data, number):
    return {name: orjson.loads(bytes(one(value, 2))) for name, value in pairs(data, number).items()}


def test_head():
    assert text(DOCUMENT, 1) == "2.0"
    assert text(one(DOCUMENT, 2), 1) == "Kubernetes"
    assert len(ETAG) == 128


def test_a_patch_says_what_it_is_of_and_which_parameters_it_reads():
    patch = one(PATHS["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"], 8)
    assert extensions(patch, 13) == {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {"group": "apps", "kind": "Deployment", "version": "v1"},
    }
    query = {text(parameter, 1, 2, 3, 4) for parameter in fields(patch, 8)}
    assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= query


def test_definitions_have_prose_references_and_how_lists_merge():
    spec = pairs(one(DEFINITIONS["io.k8s.api.core.v1.PodSpec"], 25), 1)
    containers = spec["containers"]
    assert text(containers, 22, 1) == "array"
    assert text(containers, 23, 1, 1) == "#/definitions/io.k8s.api.core.v1.Container"
    assert text(containers, 4)
    assert extensions(containers, 31)["x-kubernetes-patch-merge-key"] == "name"
    assert text(DEFINITIONS["io.k8s.apimachinery.pkg.util.intstr.IntOrString"], 2) == "int-or-string"
    deployment = extensions(DEFINITIONS["io.k8s.api.apps.v1.Deployment"], 31)
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]


def test_every_reference_leads_somewhere():
    def references(schema):
        yield from (bytes(value).decode().removeprefix("#/definitions/") for value in fields(schema, 1))
        for below in [*fields(schema, 21), *fields(schema, 23)]:
            for inner in fields(below, 1):
                yield from references(inner)
        for below in fields(schema, 25):
            for inner in pairs(below, 1).values():
                yield from references(inner)

    for schema in DEFINITIONS.values():
        assert set(references(schema)) <= set(DEFINITIONS)

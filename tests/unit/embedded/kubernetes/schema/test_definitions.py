"""The definitions are there for every kind, without their prose, and not read before they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import KINDS, Kind
from labkit.embedded.kubernetes.schema import definitions, go


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_has_a_definition(kind: Kind) -> None:
    found = definitions.definition(kind)
    assert {"apiVersion", "kind", "metadata"} <= found["properties"].keys()
    group = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    assert group in found["x-kubernetes-group-version-kind"]


def test_a_definition_has_plain_types_and_no_prose() -> None:
    found = definitions.walk(definitions.definition(kinds.DEPLOYMENTS), ["spec", "replicas"])
    assert found == {"type": "integer", "format": "int32"}
    assert "enum" not in definitions.definition(kinds.PODS)["properties"]["kind"]


def test_prose_is_read_for_who_asks() -> None:
    name = definitions.name_of("", "v1", "Pod")
    found = definitions.described([name])
    assert found[name]["description"].startswith("Pod is a collection of containers")
    assert "io.k8s.api.core.v1.Container" in found
    assert "io.k8s.api.apps.v1.Deployment" not in found


def test_walking_goes_through_references_lists_and_maps() -> None:
    deployment = definitions.definition(kinds.DEPLOYMENTS)
    ports = definitions.walk(deployment, ["spec", "template", "spec", "containers", 0, "ports"])
    assert ports is not None
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    label = definitions.walk(deployment, ["metadata", "labels", "anything"])
    assert label == {"type": "string"}
    assert definitions.walk(deployment, ["spec", "nothing"]) is None
    assert definitions.walk(deployment, ["metadata", "managedFields", 0, "fieldsV1", "f:x"]) == {}


def test_patch_metadata_beside_a_reference_is_not_lost() -> None:
    schema = {"$ref": "#/$defs/io.k8s.api.core.v1.Pod", "x-kubernetes-patch-strategy": "merge"}
    found = definitions.resolve(schema)
    assert found["x-kubernetes-patch-strategy"] == "merge"
    assert "properties" in found


def test_what_is_not_there() -> None:
    with pytest.raises(definitions.Unknown):
        definitions.named("io.k8s.api.core.v1.Nothing")
    with pytest.raises(definitions.Unknown):
        definitions.name_of("", "v1", "Nothing")


def test_importing_reads_nothing_and_brings_nothing_heavy_along() -> None:
    code = (
        "import sys; from labkit.embedded.kubernetes.schema import compile, definitions; "
        "assert definitions._loaded.cache_info().currsize == 0; "
        "print([name for name in ('jsonschema', 'kubernetes_validate', 'yaml') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_table_of_go_fields_names_only_what_there_is() -> None:
    """Each definition and each field of it: a line that no definition has any more would go unnoticed."""
    for name, fields in go._parsed().items():
        properties = definitions.named(name)["properties"]
        assert fields.keys() <= properties.keys(), name

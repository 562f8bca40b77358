"""Rules of metadata."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import validate, validate_update
from tests.unit.embedded.kubernetes.samples import metadata

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}


def complaints(**meta: Any) -> list[str]:
    return [str(cause) for cause in validate(kinds.CONFIG_MAPS, {"metadata": metadata(**meta)})]


REFUSED: list[tuple[Json, list[str]]] = [
    ({"namespace": ""}, ["metadata.namespace: Required value"]),
    ({"generation": -1}, ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"]),
    ({"annotations": {"a": "x" * 262144}}, [
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    ]),
    ({"ownerReferences": [{**OWNER, "uid": ""}]}, [
        "metadata.ownerReferences[0].uid: Required value: must not be empty",
    ]),
    ({"ownerReferences": [{**OWNER, "apiVersion": "a/b/c"}]}, [
        'metadata.ownerReferences[0].apiVersion: Invalid value: "a/b/c": must be <group>/<version> or <version>',
    ]),
    ({"finalizers": ["mine"]}, [
        'metadata.finalizers[0]: Invalid value: "mine": '
        "name is neither a standard finalizer name nor is it fully qualified",
    ]),
    ({"finalizers": ["orphan", "foregroundDeletion"]}, [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
        "finalizer orphan and foregroundDeletion cannot be both set",
    ]),
    ({"managedFields": [{"operation": "X", "fieldsType": "Y"}]}, [
        'metadata.managedFields[0].operation: Invalid value: "X": must be `Apply` or `Update`',
        'metadata.managedFields[0].fieldsType: Invalid value: "Y": must be `FieldsV1`',
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("meta", "words"), REFUSED)
def test_what_may_not_be(meta: Json, words: list[str]) -> None:
    assert complaints(**meta) == words


def test_what_may_be() -> None:
    found = complaints(
        labels={"app.kubernetes.io/name": "web"},
        annotations={"Example.com/Any": "a b"},
        ownerReferences=[OWNER],
        finalizers=["example.com/x", "foregroundDeletion"],
    )
    assert found == []


def test_one_controller_is_enough() -> None:
    (found,) = complaints(ownerReferences=[OWNER, {**OWNER, "name": "other"}])
    assert found.endswith(
        'Only one reference can have Controller set to true. Found "true" in references '
        "for ReplicaSet/web and ReplicaSet/other"
    )


def test_a_cluster_wide_kind_has_no_namespace() -> None:
    found = validate(kinds.NODES, {"metadata": metadata()})
    assert [str(cause) for cause in found] == ["metadata.namespace: Forbidden: not allowed on this type"]


def changed(old: Json, **new: Any) -> list[str]:
    before, after = {"metadata": metadata(**old)}, {"metadata": metadata(**{**old, **new})}
    return [str(cause) for cause in validate_update(kinds.CONFIG_MAPS, after, before)]


def test_what_does_not_change() -> None:
    assert changed({"uid": "a"}, uid="b") == ['metadata.uid: Invalid value: "b": field is immutable']
    assert changed({"generation": 2}, generation=1) == [
        "metadata.generation: Invalid value: 1: must not be decremented"
    ]
    assert changed({"labels": {"a": "b"}}, labels={"a": "c"}) == []


def test_what_ends_gets_no_new_finalizers() -> None:
    ending = {"deletionTimestamp": "2026-11-22T18:37:38Z", "finalizers": ["a/b"]}
    assert changed(ending, finalizers=["a/b", "a/c"]) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a/c"}'
    ]
    assert changed(ending, finalizers=[]) == []

"""NamespaceLifecycle: nothing is created in a namespace that is not there, or that is going."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Forbidden
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry


def handles(kind: Kind) -> bool:
    return kind.namespaced


def on_create(registry: Registry, kind: Kind, new: Json, options: WriteOptions) -> None:
    metadata = new["metadata"]
    namespace = metadata["namespace"]
    record = registry.etcd.get(kinds.NAMESPACES, ("", namespace))
    if record is None:
        raise registry.not_found(kinds.NAMESPACES, namespace)
    if "deletionTimestamp" in record.obj["metadata"]:
        problem = f"unable to create new content in namespace {namespace} because it is being terminated"
        error = Forbidden(kind.plural, kind.group, metadata.get("name", ""), problem)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        error.details = {**(error.details or {}), "causes": [cause]}
        raise error

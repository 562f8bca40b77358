"""``scale``: how many replicas, in one form for every kind that has them (``autoscaling/v1``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.embedded.kubernetes.errors import MODIFIED, Cause, Conflict, Invalid, NotFound
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, edited, spec_of, status_of
from labkit.embedded.kubernetes.registry import objectmeta, patching, writing
from labkit.embedded.kubernetes.registry.options import WriteOptions
from labkit.embedded.kubernetes.registry.pipeline import checked_shape
from labkit.embedded.kubernetes.selectors import of, of_map

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

SCALE = Kind("Scale", "scales", "autoscaling")  # never stored, so no row of the table


def get(registry: Registry, kind: Kind, namespace: str, name: str) -> Json:
    """The ``Scale`` of an object. Raises ``NotFound``."""
    record = registry.etcd.get(kind, (namespace, name))
    if record is None:  # named so by all who store a scale: ``pkg/registry/*/storage``, ScaleREST
        raise NotFound(f"{kind.plural}/scale", kind.group, name)
    return _scale_of(record.obj)


def _scale_of(obj: Json) -> Json:
    metadata, spec, status = obj["metadata"], spec_of(obj), status_of(obj)
    replicas = spec.get("replicas", 1)
    scaled: Json = {"replicas": status.get("replicas") or 0}
    selector = spec.get("selector")
    # A ReplicationController has a plain map there, all others a LabelSelector.
    plain = obj["kind"] == "ReplicationController"
    if text := str(of_map(selector) if plain else of(selector)):
        scaled["selector"] = text
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": {
            field: metadata[field]
            for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if field in metadata
        },
        "spec": {"replicas": replicas} if replicas else {},
        "status": scaled,
    }


def update(registry: Registry, kind: Kind, namespace: str, name: str, scale: Json, options: WriteOptions) -> Json:
    """Set the number of replicas; a resourceVersion in the ``Scale`` must be the newest. Returns the new ``Scale``."""
    scale = checked_shape(SCALE, scale, options) if not options.trusted else scale
    record = registry.record(kind, namespace, name)
    metadata = scale.get("metadata") or {}
    objectmeta.check_name(metadata, name)
    was = record.obj["metadata"]
    version = metadata.get("resourceVersion") or ""
    if version not in ("", "0", was["resourceVersion"]):
        raise Conflict(kind.plural, kind.group, name, MODIFIED)
    objectmeta.check_precondition(kind, metadata, was)
    return _scale_of(_set(registry, kind, record, scale, options).obj)


def patch(
    registry: Registry, kind: Kind, namespace: str, name: str, media_type: str, body: Any, options: WriteOptions
) -> Json:
    """The same with a patch of the ``Scale``. An apply is taken as a merge patch."""
    now = _scale_of(registry.record(kind, namespace, name).obj)
    media_type = patching.MERGE if media_type == patching.APPLY else media_type
    return update(registry, kind, namespace, name, patching.changed(SCALE, now, media_type, body), options)


def _set(registry: Registry, kind: Kind, record: Record, scale: Json, options: WriteOptions) -> Record:
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        problem = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = Cause("FieldValueInvalid", problem, "spec.replicas")
        raise Invalid(SCALE.kind, SCALE.group, record.obj["metadata"]["name"], [cause])
    new = edited(record.obj)
    new["spec"]["replicas"] = replicas
    return writing.replace(registry, kind, record, new, options, "scale")

"""Creating and replacing objects: the steps that every kind's writes go through, in the order of the real one.

``k8s.io/apiserver/pkg/registry/generic/registry/store.go`` with ``…/rest/create.go`` and ``update.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.errors import MODIFIED, AlreadyExists, BadRequest, Cause, Conflict, Invalid, StatusError
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.kubernetes.patch.apply import managed as ownership
from labkit.embedded.kubernetes.registry import objectmeta
from labkit.embedded.kubernetes.registry.notsimulated import not_simulated
from labkit.embedded.kubernetes.registry.options import WriteOptions
from labkit.embedded.kubernetes.registry.pipeline import (
    checked_shape,
    manage,
    set_defaults,
    validated,
    validated_update,
)

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

_ATTEMPTS = 8  # at a generated name that is not taken


class SetVersion(StatusError):
    """A new object cannot have a resourceVersion. The real one answers a plain 500."""

    code, reason = 500, ""

    def __init__(self) -> None:
        super().__init__("resourceVersion should not be set on objects to be created")


def create(registry: Registry, kind: Kind, namespace: str, obj: Json, options: WriteOptions) -> Record:
    """Make a new object of what was sent. Raises ``AlreadyExists``, ``Invalid``, ``Forbidden``, ``NotFound``…"""
    if not options.trusted:
        objectmeta.check_type(kind, obj)
        obj = checked_shape(kind, obj, options)
    return insert(registry, kind, namespace, obj, options)


def insert(
    registry: Registry, kind: Kind, namespace: str, obj: Json, options: WriteOptions, *, managed: bool = False
) -> Record:
    """The same for an object whose shape is known; ``managed``: its managedFields are up to date."""
    etcd = registry.etcd
    etcd.check()
    strategy = registry.strategies[kind]
    new = objectmeta.own(kind, set_defaults(kind, obj))
    metadata = new["metadata"]
    objectmeta.check_namespace(kind, metadata, namespace)
    if metadata.pop("resourceVersion", None):
        raise SetVersion
    now = times.rfc3339(registry.clock.time())
    objectmeta.begin(metadata, registry.names.uid(), now)
    generated = bool(metadata.get("generateName")) and not metadata.get("name")
    if generated:
        metadata["name"] = _generated(registry, kind, metadata)
    metadata.setdefault("name", "")
    if not managed:
        new = _managed(kind, new, options, now)
        metadata = new["metadata"]
    registry.admission.create(kind, new, options)
    strategy.prepare_for_create(new)
    if not metadata["name"]:
        required = Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
        raise Invalid(kind.kind, kind.group, "", [required])
    key: Key = (metadata.get("namespace", ""), metadata["name"])
    finish, stored = strategy.begin_create(new), False
    try:
        if not (options.trusted and kind is kinds.PODS):  # made from a template that was checked with its owner
            validated(kind, new)
            if not options.trusted:
                options.warnings += not_simulated(kind, new)
        there = etcd.get(kind, key)
        if there is not None:
            raise _taken(kind, there, generated)
        if options.dry_run:
            return Record(new, 0)
        record = etcd.put(kind, key, new)
        stored = True
    finally:
        finish(stored)
    if strategy.ttl is not None:
        registry.expiry.watch_over(kind)
    return record


def _managed(kind: Kind, new: Json, options: WriteOptions, now: str) -> Json:
    """Whoever creates an object manages what they said and its defaults, but not what admission and strategy add."""
    if options.fields is not None:
        new["metadata"]["managedFields"] = ownership.first(kind, options.manager, now, options.fields)
        return new
    status = new.pop("status", None) if kind.has_status else None
    new = manage(kind, None, new, options.manager, "Update", "", now)
    if status is not None:
        new["status"] = status
    return new


def _generated(registry: Registry, kind: Kind, metadata: Json) -> str:
    taken = registry.etcd.table(kind).records
    name = ""
    for _ in range(_ATTEMPTS):
        name = registry.names.generate(metadata["generateName"])
        if (metadata.get("namespace", ""), name) not in taken:
            break
    return name


def _taken(kind: Kind, there: Record, generated: bool) -> AlreadyExists:
    error = AlreadyExists(kind.plural, kind.group, there.obj["metadata"]["name"])
    if generated:
        error.message += ", the server was not able to generate a unique name for the object"
        error.details = {**(error.details or {}), "retryAfterSeconds": 1}
    if "deletionTimestamp" in there.obj["metadata"]:
        error.message = f"object is being deleted: {error.message}"
    return error


def update(
    registry: Registry, kind: Kind, namespace: str, name: str, obj: Json, options: WriteOptions, subresource: str
) -> Record:
    """PUT: what was sent takes the place of what is there."""
    if not options.trusted:
        objectmeta.check_type(kind, obj)
        obj = checked_shape(kind, obj, options)
    metadata = obj.get("metadata") or {}
    objectmeta.check_name(metadata, name)
    if (metadata.get("namespace") or namespace) != namespace:
        raise BadRequest(objectmeta.NAMESPACE_MISMATCH)
    strategy = registry.strategies[kind]
    record = registry.etcd.get(kind, (namespace, name))
    if record is None:
        if not strategy.create_on_update or subresource:
            raise registry.not_found(kind, name)
        created = {**obj, "metadata": {key: value for key, value in metadata.items() if key != "resourceVersion"}}
        return insert(registry, kind, namespace, created, options)
    objectmeta.check_precondition(kind, metadata, record.obj["metadata"])
    return replace(registry, kind, record, obj, options, subresource)


def replace(
    registry: Registry,
    kind: Kind,
    record: Record,
    obj: Json,
    options: WriteOptions,
    subresource: str = "",
    *,
    managed: bool = False,
) -> Record:
    """Put ``obj`` in the place of ``record``. Writes that change nothing make no revision, and give back ``record``."""
    old = record.obj
    if obj is old:
        return record
    strategy = registry.strategies[kind]
    was = old["metadata"]
    name = was["name"]
    new = objectmeta.own(kind, obj if subresource == "status" else set_defaults(kind, obj))
    metadata = new["metadata"]
    version = metadata.get("resourceVersion") or ""
    if version in ("", "0"):
        if not strategy.unconditional_update:
            problem = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", problem, "metadata.resourceVersion")
            raise Invalid(kind.plural, kind.group, name, [cause])
    elif version != was["resourceVersion"]:
        raise Conflict(kind.plural, kind.group, name, MODIFIED)
    objectmeta.carry(metadata, was)
    metadata.setdefault("name", name)
    metadata["resourceVersion"] = was["resourceVersion"]
    if kind.namespaced and not metadata.get("namespace"):
        metadata["namespace"] = was["namespace"]
    if not managed and "managedFields" not in metadata and "managedFields" in was:
        metadata["managedFields"] = was["managedFields"]
    if subresource == "status":
        strategy.prepare_for_status(new, old)
    elif subresource == "finalize":
        strategy.prepare_for_finalize(new, old)
    elif subresource == "ephemeralcontainers":
        strategy.prepare_for_ephemeral_containers(new, old)
    else:
        registry.admission.update(kind, new, old, options)
        strategy.prepare_for_update(new, old)
    if new == old and not vanishes(registry, kind, new, old):
        return record
    finish, stored = (None if subresource else strategy.begin_update(new, old)), False
    try:
        validated_update(kind, new, old, subresource)
        if not managed:
            new = manage(kind, old, new, options.manager, "Update", subresource, times.rfc3339(registry.clock.time()))
        if options.dry_run:
            return Record(new, record.revision)
        if vanishes(registry, kind, new, old):
            registry.remove(kind, record)
            return Record(new, record.revision)
        record = registry.etcd.put(kind, (was.get("namespace", ""), name), new)
        stored = True
    finally:
        if finish is not None:
            finish(stored)
    return record


def vanishes(registry: Registry, kind: Kind, new: Json, old: Json) -> bool:
    """Whether an update ends an object that was only waiting for it: the last finalizer is gone."""
    was = old["metadata"]
    if "deletionTimestamp" not in was or new["metadata"].get("finalizers"):
        return False
    return not was.get("deletionGracePeriodSeconds") and registry.strategies[kind].may_vanish(new)

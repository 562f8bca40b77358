"""Deleting: at once, gracefully, or when the finalizers are gone.

``k8s.io/apiserver/pkg/registry/rest/delete.go`` and ``…/generic/registry/store.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.errors import Cause, Conflict, Forbidden, Invalid, NotFound
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key, edited
from labkit.embedded.kubernetes.registry.options import BACKGROUND, FOREGROUND, ORPHAN, DeleteOptions
from labkit.embedded.kubernetes.registry.strategies.base import Strategy

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

ORPHAN_FINALIZER = "orphan"
FOREGROUND_FINALIZER = "foregroundDeletion"

# Namespaces that a cluster cannot be without (plugin/pkg/admission: NamespaceLifecycle).
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def delete(registry: Registry, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Json:
    """Ask for an object's end. Returns what DELETE answers: the object as long as it waits for something (and for some
    kinds in any case), else a ``Status``."""
    record = registry.etcd.get(kind, (namespace, name))
    if kind is kinds.NAMESPACES and name in IMMORTAL:
        raise Forbidden(kind.plural, kind.group, name, "this namespace may not be deleted")
    if record is None:
        raise registry.not_found(kind, name)
    check(options)
    _check_preconditions(kind, record.obj, options)
    if kind is kinds.NAMESPACES:
        return _delete_namespace(registry, record, options)
    return _delete(registry, registry.strategies[kind], record, options.copy())


def _delete(registry: Registry, strategy: Strategy, record: Record, options: DeleteOptions) -> Json:
    kind = strategy.kind
    if options.grace_period_seconds is not None and options.grace_period_seconds < 0:
        options.grace_period_seconds = 1
    old = record.obj
    new = edited(old)
    graceful, pending = _begin(registry, strategy, new, old, options)
    if pending:
        return _answer(strategy, old)
    finalizers = _finalizers(strategy, old, options)
    if finalizers:
        new["metadata"]["finalizers"] = finalizers
    else:
        new["metadata"].pop("finalizers", None)
    waits = bool(finalizers)
    if not graceful and waits:
        _mark(registry, new)
    if waits or (graceful and new["metadata"]["deletionGracePeriodSeconds"] > 0):
        if options.dry_run:
            return new
        if new == old:
            return old
        return registry.etcd.put(kind, _key(old), new).obj
    if options.dry_run:
        return _answer(strategy, new if graceful else old)
    if graceful:  # a pod that goes at once still says when it did: its last state is what watchers are sent
        registry.etcd.put(kind, _key(old), new)
        record = registry.etcd.table(kind).records[_key(old)]
    return _answer(strategy, registry.remove(kind, record).obj)


def check(options: DeleteOptions) -> None:
    """Raises :class:`Invalid` for options that do not go together (``ValidateDeleteOptions``)."""
    causes: list[Cause] = []
    if options.propagation is not None and options.orphan_dependents is not None:
        problem = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(
            Cause("FieldValueInvalid", f'Invalid value: "{options.propagation}": {problem}', "propagationPolicy")
        )
    if options.propagation not in (None, ORPHAN, BACKGROUND, FOREGROUND):
        known = f'supported values: "{FOREGROUND}", "{BACKGROUND}", "{ORPHAN}", "nil"'
        problem = f'Unsupported value: "{options.propagation}": {known}'
        causes.append(Cause("FieldValueNotSupported", problem, "propagationPolicy"))
    if causes:
        raise Invalid("DeleteOptions", "meta.k8s.io", "", causes)


def _check_preconditions(kind: Kind, obj: Json, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    # The kind stands where the resource should: so the real one has it.
    if options.uid is not None and options.uid != metadata["uid"]:
        problem = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise Conflict(kind.kind, kind.group, metadata["name"], problem)
    version = options.resource_version
    if version is not None and version != metadata["resourceVersion"]:
        problem = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise Conflict(kind.kind, kind.group, metadata["name"], problem)


def _begin(registry: Registry, strategy: Strategy, new: Json, old: Json, options: DeleteOptions) -> tuple[bool, bool]:
    """Whether the object is given time, and whether it has been given some already that this does not shorten.

    Only writes the times into ``new``. (``BeforeDelete``)
    """
    metadata, was = new["metadata"], old["metadata"]
    given = strategy.grace(old, options)
    if given is None:
        return False, False
    now = registry.clock.time()
    if "deletionTimestamp" in was:
        left = was.get("deletionGracePeriodSeconds") or 0
        if left == 0:
            return False, False
        wanted = options.grace_period_seconds
        if wanted is None or wanted >= left:
            return False, True
        ends = times.parse(was["deletionTimestamp"]) - left + wanted
        if ends < now:
            ends, wanted = now, 1 if wanted else 0
        metadata["deletionTimestamp"] = times.rfc3339(ends)
        metadata["deletionGracePeriodSeconds"] = wanted
        return True, False
    metadata["deletionTimestamp"] = times.rfc3339(now + given)
    metadata["deletionGracePeriodSeconds"] = given
    if metadata.get("generation"):
        metadata["generation"] += 1
    return True, False


def _mark(registry: Registry, new: Json) -> None:
    """It waits for its finalizers from now on (``markAsDeleting``)."""
    metadata = new["metadata"]
    now = registry.clock.time()
    if "deletionTimestamp" not in metadata:
        if metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = times.rfc3339(now)
    elif times.parse(metadata["deletionTimestamp"]) > now:
        metadata["deletionTimestamp"] = times.rfc3339(now)
    metadata["deletionGracePeriodSeconds"] = 0


def _finalizers(strategy: Strategy, old: Json, options: DeleteOptions) -> list[str]:
    """The finalizers with those of the garbage collector that the options ask for."""
    there: list[str] = old["metadata"].get("finalizers") or []
    if strategy.garbage is None:
        return there
    how = _propagation(strategy, there, options)
    kept = [one for one in there if one not in (ORPHAN_FINALIZER, FOREGROUND_FINALIZER)]
    if how == ORPHAN:
        kept.append(ORPHAN_FINALIZER)
    elif how == FOREGROUND:
        kept.append(FOREGROUND_FINALIZER)
    return there if set(kept) == set(there) else kept


def _propagation(strategy: Strategy, finalizers: list[str], options: DeleteOptions) -> str:
    if options.orphan_dependents is not None:
        return ORPHAN if options.orphan_dependents else BACKGROUND
    if options.propagation is not None:
        return options.propagation
    for one in finalizers:
        if one == ORPHAN_FINALIZER:
            return ORPHAN
        if one == FOREGROUND_FINALIZER:
            return FOREGROUND
    return strategy.garbage or BACKGROUND


def _delete_namespace(registry: Registry, record: Record, options: DeleteOptions) -> Json:
    """A namespace only starts to end; its controller empties it (``pkg/registry/core/namespace/storage``)."""
    old = record.obj
    metadata = old["metadata"]
    strategy = registry.strategies[kinds.NAMESPACES]
    if "deletionTimestamp" not in metadata:
        new = edited(old)
        new["metadata"]["deletionTimestamp"] = times.rfc3339(registry.clock.time())
        new["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
        finalizers = _finalizers(strategy, old, options)
        if finalizers:
            new["metadata"]["finalizers"] = finalizers
        if options.dry_run:
            return new
        return registry.etcd.put(kinds.NAMESPACES, _key(old), new).obj
    if (old.get("spec") or {}).get("finalizers"):
        return old
    return _delete(registry, strategy, record, options)


def _key(obj: Json) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _answer(strategy: Strategy, obj: Json) -> Json:
    if strategy.returns_deleted:
        return obj
    kind, metadata = strategy.kind, obj["metadata"]
    details = {"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]}
    if kind.group:
        details = {"name": metadata["name"], "group": kind.group, "kind": kind.plural, "uid": metadata["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def delete_collection(registry: Registry, kind: Kind, records: list[Record], options: DeleteOptions) -> list[Json]:
    """Delete each of them; what has gone meanwhile is no error. Returns the objects as they were listed."""
    for record in records:
        namespace, name = _key(record.obj)
        try:
            delete(registry, kind, namespace, name, options)
        except NotFound:
            continue
    return [record.obj for record in records]

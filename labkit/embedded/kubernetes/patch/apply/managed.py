"""``metadata.managedFields``: who last set which field.

What apiserver's ``managedfields`` package keeps for every create, update and patch that is no apply. An entry is of one
manager (the client's ``fieldManager``, else the first part of its user agent), operation, version and sub-resource.
Whoever gives a field another value takes it from all others; who takes a field away takes it from all. An entry's time
is that of its manager's last write that set something. What a server keeps (name, uid, resourceVersion, …) belongs to
nobody.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.patch.apply.changes import changes
from labkit.embedded.kubernetes.patch.apply.fieldsets import LEAF, Node, difference, intersection, node, shared, union
from labkit.embedded.kubernetes.patch.apply.zero import zero
from labkit.embedded.kubernetes.patch.shapes import shape_of

MAX_UPDATERS = 10  # more entries of operation Update than this are summed up as ANCIENT
ANCIENT = "ancient-changes"

# Fields that belong to nobody, whoever writes them.
STRIPPED = ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields")
_OBJECT = frozenset(("apiVersion", "kind", "metadata"))
_METADATA = frozenset((*STRIPPED, "resourceVersion", "clusterName"))

# (manager, operation, version, sub-resource, time, id of its set) → the entries of an object that was just created.
# A thousand pods of one second have one list among them. The lists hold the sets, so the ids stay theirs.
_FIRST: dict[tuple[str, str, str, str, str, int], list[Json]] = {}
_FIRST_LIMIT = 256


def update(
    kind: Kind,
    old: Json | None,
    new: Json,
    manager: str,
    operation: str = "Update",
    subresource: str = "",
    now: str = "",
) -> Json:
    """``new`` with ``metadata.managedFields`` brought up to date; ``old`` is None for a create.

    ``now`` is an RFC 3339 time of whole seconds. What ``new`` itself says in managedFields counts as the API server has
    it: entries of its own replace the old ones, ``[]`` or ``[{}]`` forgets them, none leaves them.
    """
    metadata = new.get("metadata") or {}
    entries = updated(kind, old, new, manager, operation, subresource, now)
    if not entries:
        if "managedFields" not in metadata:
            return new
        return {**new, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    if metadata.get("managedFields") is entries:
        return new
    return {**new, "metadata": {**metadata, "managedFields": entries}}


def updated(
    kind: Kind,
    old: Json | None,
    new: Json,
    manager: str,
    operation: str = "Update",
    subresource: str = "",
    now: str = "",
) -> list[Json]:
    """What :func:`update` puts into ``metadata.managedFields``; the old list itself when nothing has changed."""
    before = entries_before(old, new, subresource)
    if old is not None and not before:
        return before  # nobody tracks this object (it was reset): only an apply begins anew
    gained, lost = written(kind, old, new, subresource)
    if gained is None and lost is None:
        return before
    manager = manager or "unknown"
    if not before:
        return _first(manager, operation, kind.api_version, subresource, now, gained) if gained else []
    me = (manager, operation, kind.api_version, subresource)
    entries = without(before, gained, lost, keep=me)
    ours = next((one for one in entries if identity(one) == me), None)
    if gained is not None:
        entries = [one for one in entries if one is not ours]
        kept = None if ours is None else difference(ours["fieldsV1"], lost)
        fields = union(kept, gained) or LEAF
        if ours is None or ours.get("time") != now or ours["fieldsV1"] is not fields:
            ours = entry(manager, operation, kind.api_version, subresource, now, fields)
        entries.append(ours)
        if len(entries) > MAX_UPDATERS:
            entries = capped(entries)
        entries.sort(key=order)
    elif ours is not None:
        entries = without(entries, None, lost, keep=None)
    return entries


def entries_before(old: Json | None, new: Json | None, subresource: str) -> list[Json]:
    """The entries that a write starts from (``decodeLiveOrNew``): its own when it brings some and they are sound."""
    live: list[Json] = (old.get("metadata") or {}).get("managedFields") or [] if old is not None else []
    if new is None or subresource:
        return live
    given = (new.get("metadata") or {}).get("managedFields")
    if given is None or given == live:  # most updates bring what they have read
        return live
    if given == [] or given == [{}]:
        return []
    return [_sound(one) for one in given] if all(map(_is_sound, given)) else live


def written(kind: Kind, old: Json | None, new: Json, subresource: str) -> tuple[Node | None, Node | None]:
    """The fields that a write sets and those that it takes away, of those that somebody may own."""
    shape = shape_of(kind)
    skip = _OBJECT
    if subresource == "status":
        skip = skip | {"spec"}
    elif kind.has_status:
        skip = skip | {"status"}
    old = old if old is not None else {}
    gained, lost = changes(old, new, shape, skip, zero(kind))
    below = shape.field("metadata")
    if below is None:
        return gained, lost
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    if before == after:  # as in every write of a status
        return gained, lost
    more, less = changes(before, after, below, _METADATA)
    return _with_metadata(gained, more), _with_metadata(lost, less)


def _with_metadata(root: Node | None, metadata: Node | None) -> Node | None:
    return root if metadata is None else node(False, {**(root or {}), "f:metadata": metadata})


def without(entries: list[Json], gained: Node | None, lost: Node | None, *, keep: Any) -> list[Json]:
    """The entries less what was taken over or away; ``keep`` names the one (:func:`identity`) that is left alone."""
    result = []
    changed = union(gained, lost)
    for one in entries:
        if keep is not None and identity(one) == keep:
            result.append(one)
            continue
        fields: Node = one["fieldsV1"]
        taken = intersection(fields, changed)
        if taken is None:
            result.append(one)
            continue
        rest = difference(fields, taken)
        if rest:
            result.append({**one, "fieldsV1": rest})
    return result


def entry(manager: str, operation: str, version: str, subresource: str, time: str, fields: Node) -> Json:
    """An entry, its members in the order in which the real one prints them."""
    made: Json = {"manager": manager, "operation": operation, "apiVersion": version}
    if time:
        made["time"] = time
    made["fieldsType"] = "FieldsV1"
    made["fieldsV1"] = fields
    if subresource:
        made["subresource"] = subresource
    return made


def identity(one: Json) -> tuple[str, str, str, str]:
    """What tells one entry from another. An applier is one and the same in every version."""
    operation = one.get("operation", "")
    version = "" if operation == "Apply" else one.get("apiVersion", "")
    return one.get("manager", ""), operation, version, one.get("subresource", "")


def order(one: Json) -> tuple[str, str, str, str, str]:
    """Appliers first, then by time and name."""
    return (
        one.get("operation", ""),
        one.get("time") or "",
        one.get("manager", ""),
        one.get("apiVersion", ""),
        one.get("subresource", ""),
    )


def capped(entries: list[Json]) -> list[Json]:
    """At most ten entries of updates; the oldest beyond that become one (``capManagersManager``)."""
    updaters = sorted((one for one in entries if one.get("operation") == "Update"), key=_age)
    if len(updaters) <= MAX_UPDATERS:
        return entries
    # One entry more than what has to go: the bucket takes a place itself.
    oldest = updaters[: len(updaters) - MAX_UPDATERS + 1]
    fields: Node | None = None
    for one in oldest:
        fields = union(fields, one["fieldsV1"])
    last = oldest[-1]
    bucket = entry(ANCIENT, "Update", last.get("apiVersion", ""), "", last.get("time") or "", fields or LEAF)
    gone = {id(one) for one in oldest}
    return [*(one for one in entries if id(one) not in gone), bucket]


def _age(one: Json) -> tuple[str, str]:
    return one.get("time") or "", one.get("manager", "")


def first(kind: Kind, manager: str, now: str, fields: Node) -> list[Json]:
    """The entries of an object that ``manager`` makes with these fields, which it knows from another one like it."""
    return _first(manager, "Update", kind.api_version, "", now, fields)


def _first(manager: str, operation: str, version: str, subresource: str, now: str, fields: Node) -> list[Json]:
    key = (manager, operation, version, subresource, now, id(fields))
    found = _FIRST.get(key)
    if found is None:
        if len(_FIRST) >= _FIRST_LIMIT:
            _FIRST.clear()
        found = _FIRST[key] = [entry(manager, operation, version, subresource, now, fields)]
    return found


def share(obj: Json) -> Json:
    """An object that was just read from disk, which nobody else has yet, with its sets made one with their likes."""
    entries = (obj.get("metadata") or {}).get("managedFields")
    for one in entries or ():
        one["fieldsV1"] = shared(one.get("fieldsV1") or {})
    return obj


def _is_sound(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and one.get("operation") in ("Apply", "Update")
        and bool(one.get("apiVersion"))
        and one.get("fieldsType") == "FieldsV1"
        and _is_set(one.get("fieldsV1") or {})
    )


def _is_set(value: Any) -> bool:
    return isinstance(value, dict) and all(
        (":" in key or (key == "." and not below)) and _is_set(below) for key, below in value.items()
    )


def _sound(one: Json) -> Json:
    return {**one, "fieldsV1": shared(one.get("fieldsV1") or {})}

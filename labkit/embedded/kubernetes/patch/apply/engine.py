"""Server-side apply: a manager says what it wants of an object, and owns those fields from then on.

The order of steps is that of apiserver's ``managedfields`` and of structured-merge-diff's ``Updater.Apply``: the
configuration is merged over the live object; what the manager applied the last time and neither it nor anybody else
manages now is taken away; then the result is compared with what was there. A field that changes and that somebody else
manages is a conflict, unless it is forced; a field that stays as it is becomes shared.
"""

from __future__ import annotations

from typing import Any

import orjson

from labkit.embedded.kubernetes.errors import BadRequest, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.patch.apply import fieldsets, managed
from labkit.embedded.kubernetes.patch.apply.changes import changes
from labkit.embedded.kubernetes.patch.apply.configs import fields_of, problems
from labkit.embedded.kubernetes.patch.apply.fieldsets import LEAF, Node, difference, intersection, node, union
from labkit.embedded.kubernetes.patch.apply.merging import merge
from labkit.embedded.kubernetes.patch.apply.pruning import prune
from labkit.embedded.kubernetes.patch.apply.zero import zero
from labkit.embedded.kubernetes.patch.shapes import Shape, shape_of

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY = "before-first-apply"
_KUBECTL = "kubectl"  # the one manager for which the annotation of client-side apply is looked at

_STRIPPED = fieldsets.of_paths(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [("f:metadata", f"f:{name}") for name in (*managed.STRIPPED, "resourceVersion", "clusterName")]
)
Conflicts = list[tuple[Json, tuple[str, ...]]]  # the entry of the manager in the way, the path


class ApplyConflict(StatusError):
    """409: others manage fields that would change. A cause for each."""

    code, reason = 409, "Conflict"

    def __init__(self, conflicts: Conflicts) -> None:
        conflicts = sorted(conflicts, key=lambda one: _manager_key(one[0]))
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {_manager_text(entry)}",
                "field": fieldsets.text(path),
            }
            for entry, path in conflicts
        ]
        super().__init__(_conflict_message(conflicts), {"causes": causes})
        self.conflicts = conflicts


class Unappliable(StatusError):
    """A configuration that does not fit the kind. The real one says so with a 500, though the client is at fault."""

    code, reason = 400, ""


def apply(
    kind: Kind, live: Json | None, config: Json, manager: str, force: bool, now: str, *, subresource: str = ""
) -> Json:
    """What the object becomes when ``manager`` applies ``config``; ``live`` is None when it does not exist yet.

    ``now`` is an RFC 3339 time of whole seconds. The result carries ``metadata.managedFields`` and is not defaulted;
    it is ``live`` itself when nothing changed.

    Raises:
        BadRequest: The configuration is of another kind or brings managedFields.
        Unappliable: It has fields of a wrong type, unknown fields or items twice.
        ApplyConflict: Others manage what would change.
    """
    _check(kind, config)
    shape = shape_of(kind)
    wrong = problems(config, shape)
    if wrong:
        words = wrong[0] if len(wrong) == 1 else "\n".join(["errors:", *(f"  {one}" for one in wrong)])
        raise Unappliable(f"failed to create typed patch object ({_names(kind, config)}): {words}")
    step = _Apply(kind, shape, live, config, manager, now, subresource)
    if not force:
        step.refuse_conflicts()
    return step.result()


def _check(kind: Kind, config: Json) -> None:
    version, name = str(config.get("apiVersion") or ""), str(config.get("kind") or "")
    if (version, name) != (kind.api_version, kind.kind):
        raise BadRequest(f"invalid object type: {version or '/'}, Kind={name}")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


def _names(kind: Kind, config: Json) -> str:
    metadata = config.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind.api_version}, Kind={kind.kind}"


class _Apply:
    """One apply: everything that its steps share."""

    def __init__(
        self, kind: Kind, shape: Shape, live: Json | None, config: Json, manager: str, now: str, subresource: str
    ) -> None:
        self.kind, self.shape, self.live, self.config = kind, shape, live, config
        self.manager, self.now, self.subresource = manager, now, subresource
        self.identity = (manager, "Apply", "", subresource)
        self.entries = self._entries()
        self.base: Json = _bare(live) if live is not None else {}
        ours = next((one for one in self.entries if managed.identity(one) == self.identity), None)
        self.last: Node = ours["fieldsV1"] if ours is not None else LEAF
        self.fields = self._without_reset(fields_of(config, shape))
        self.merged = self._merged()
        gained, lost = changes(self.base, self.merged, shape, ground=zero(kind))
        self.gained = self._without_reset(gained) if gained is not None else None
        self.lost = self._without_reset(lost) if lost is not None else None

    def _entries(self) -> list[Json]:
        entries = managed.entries_before(self.live, None, self.subresource)
        entries = [one for one in entries if one.get("apiVersion") == self.kind.api_version]
        if entries or self.live is None:
            return entries
        # Nobody tracked it so far: what is there belongs to whoever came before.
        gained, _ = managed.written(self.kind, None, self.live, "")
        if gained is None:
            return []
        return [managed.entry(BEFORE_FIRST_APPLY, "Update", self.kind.api_version, "", self.now, gained)]

    def _without_reset(self, fields: Node) -> Node:
        """Without what this path of the API does not write: the status, or all but the status."""
        if self.subresource == "ephemeralcontainers":
            below = (fields.get("f:spec") or {}).get("f:ephemeralContainers")
            inner = None if below is None else node(False, {"f:ephemeralContainers": below})
            return LEAF if inner is None else node(False, {"f:spec": inner}) or LEAF
        if self.subresource == "status":
            gone = "f:spec"
        elif self.kind.has_status:
            gone = "f:status"
        else:
            return fields
        if gone not in fields:
            return fields
        return node(False, {name: below for name, below in fields.items() if name != gone}) or LEAF

    def _merged(self) -> Json:
        if self.live is None:
            return self.config
        merged: Json = merge(self.base, self.config, self.shape)
        everyone: Node | None = self.fields
        for one in self.entries:
            if managed.identity(one) != self.identity:
                everyone = union(everyone, one["fieldsV1"])
        return prune(merged, self.last, everyone or LEAF, self.shape) or {}

    # -- conflicts

    def refuse_conflicts(self) -> None:
        conflicts: Conflicts = []
        for one in self.entries:
            if managed.identity(one) != self.identity:
                taken = intersection(one["fieldsV1"], self.gained)
                conflicts += [(one, path) for path in fieldsets.members(taken)] if taken else []
        if conflicts and self.manager == _KUBECTL:
            # What client-side apply wrote and nobody has changed since may be taken over by kubectl itself.
            allowed = self._last_applied()
            conflicts = [(one, path) for one, path in conflicts if not fieldsets.holds(allowed, path)]
        if conflicts:
            raise ApplyConflict(conflicts)

    def _last_applied(self) -> Node:
        text = ((self.base.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
        try:
            config = orjson.loads(text or "null")
        except orjson.JSONDecodeError:
            return LEAF
        if not isinstance(config, dict) or config.get("apiVersion") != self.kind.api_version:
            return LEAF
        if problems(config, self.shape):
            return LEAF
        gained, lost = changes(config, self.base, self.shape)
        return difference(difference(fields_of(config, self.shape), gained), lost) or LEAF

    # -- the result

    def result(self) -> Json:
        changed = self.live is None or self.merged != self.base
        obj = self.merged if changed else self.base
        entries = self._new_entries(changed)
        if self.manager == _KUBECTL:
            obj = self._with_annotation(obj)
        if self.live is not None and obj is self.base and entries == self.live["metadata"].get("managedFields", []):
            return self.live
        metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
        if entries:
            metadata["managedFields"] = entries
        return {**obj, "metadata": metadata}

    def _new_entries(self, changed: bool) -> list[Json]:
        entries = managed.without(self.entries, self.gained, self.lost, keep=self.identity)
        before = next((one for one in self.entries if managed.identity(one) == self.identity), None)
        entries = [one for one in entries if managed.identity(one) != self.identity]
        fields = difference(self.fields, _STRIPPED)
        if fields:
            # An apply that changes nothing leaves the time as it was.
            time = self.now if changed else (before or {}).get("time", "")
            ours = managed.entry(self.manager, "Apply", self.kind.api_version, self.subresource, time, fields)
            entries.append(before if before == ours else ours)
        entries.sort(key=managed.order)
        return entries

    def _with_annotation(self, obj: Json) -> Json:
        """kubectl's own annotation kept up to date, so that one may go back to client-side apply."""
        annotations = (obj.get("metadata") or {}).get("annotations") or {}
        if not annotations.get(LAST_APPLIED):
            return obj
        text = _encoded(self.config)
        if annotations[LAST_APPLIED] == text:
            return obj
        return {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}}


def _bare(live: Json) -> Json:
    """The object without its managedFields, which are no part of what is merged and compared."""
    metadata = live.get("metadata") or {}
    if "managedFields" not in metadata:
        return live
    return {**live, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _encoded(config: Json) -> str:
    metadata: dict[str, Any] = dict(config.get("metadata") or {})
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return orjson.dumps({**config, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"


def _manager_key(entry: Json) -> tuple[str, ...]:
    return managed.identity(entry)


def _manager_text(entry: Json) -> str:
    words = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        words += f' with subresource "{entry["subresource"]}"'
    return words if entry.get("operation") == "Apply" else f"{words} using {entry.get('apiVersion', '')}"


def _conflict_message(conflicts: Conflicts) -> str:
    if len(conflicts) == 1:
        entry, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {_manager_text(entry)}: {fieldsets.text(path)}"
    lines: list[str] = []
    before = None
    for entry, path in conflicts:
        if entry is not before:
            lines.append(f"conflicts with {_manager_text(entry)}:")
            before = entry
        lines.append(f"- {fieldsets.text(path)}")
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)

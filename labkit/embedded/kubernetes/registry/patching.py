"""PATCH: what a patch of any of the four types makes of an object, then an update like any other.

``k8s.io/apiserver/pkg/endpoints/handlers/patch.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Conflict, Invalid, StatusError, UnsupportedMediaType
from labkit.embedded.kubernetes.etcd import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.patch import json_patch, merge_patch, strategic_merge
from labkit.embedded.kubernetes.patch.apply import apply
from labkit.embedded.kubernetes.registry import objectmeta, writing
from labkit.embedded.kubernetes.registry.options import WriteOptions
from labkit.embedded.kubernetes.registry.pipeline import checked_shape
from labkit.embedded.kubernetes.validation.fields import invalid

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class InvalidPatch(StatusError):
    """422 without a kind: what came out of the patch is no object of its kind.

    It shows the patched object as JSON, or, of a strategic merge patch, the patch as Go prints a map.
    """

    code, reason = 422, "Invalid"

    def __init__(self, shown: str, problem: str) -> None:
        cause = invalid("patch", shown, problem)
        super().__init__(f' "" is invalid: {cause}', {"causes": [cause.as_dict()]})


def patch(
    registry: Registry,
    kind: Kind,
    namespace: str,
    name: str,
    media_type: str,
    body: Any,
    options: WriteOptions,
    subresource: str,
) -> tuple[Record, bool]:
    """The object as it is after the patch, and whether an apply has created it."""
    record = registry.etcd.get(kind, (namespace, name))
    if media_type == APPLY:
        return _apply(registry, kind, namespace, name, record, body, options, subresource)
    if record is None:
        raise registry.not_found(kind, name)
    patched = changed(kind, record.obj, media_type, body)
    if patched is not record.obj:
        if not options.trusted:
            patched = _checked(kind, patched, media_type, body, options)
        _check_place(patched, namespace, name)
    return writing.replace(registry, kind, record, patched, options, subresource), False


def _checked(kind: Kind, patched: Json, media_type: str, body: Any, options: WriteOptions) -> Json:
    def refusal(problem: str) -> InvalidPatch:
        shown = go_text(body) if media_type == STRATEGIC else orjson.dumps(patched).decode()
        return InvalidPatch(shown, problem)

    if problem := objectmeta.type_problem(kind, patched):
        raise refusal(problem)
    try:
        return checked_shape(kind, patched, options, refusal)
    except BadRequest as error:  # a wrong type: its words follow those that say which kind it cannot be
        _, _, problem = str(error).partition(f" cannot be handled as a {kind.kind}: ")
        raise refusal(problem or str(error)) from None


def go_text(value: Any) -> str:
    """A decoded value as Go's ``%+v`` prints it: ``map[spec:map[replicas:three]]``."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def changed(kind: Kind, obj: Json, media_type: str, body: Any) -> Json:
    """The object with the patch laid over it. Raises what the patch is refused with."""
    if media_type == STRATEGIC:
        return strategic_merge(kind, obj, body)
    if media_type == MERGE:
        return merge_patch(obj, body)
    if media_type == JSON:
        return json_patch(obj, body)
    raise UnsupportedMediaType([JSON, MERGE, STRATEGIC, APPLY])


def _apply(
    registry: Registry,
    kind: Kind,
    namespace: str,
    name: str,
    record: Record | None,
    config: Any,
    options: WriteOptions,
    subresource: str,
) -> tuple[Record, bool]:
    if not isinstance(config, dict):
        raise BadRequest("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    if not options.manager:
        required = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
        raise Invalid("PatchOptions", "meta.k8s.io", "", [required])
    now = times.rfc3339(registry.clock.time())
    live = None if record is None else record.obj
    if live is None and subresource:
        raise registry.not_found(kind, name)
    merged = apply(kind, live, config, options.manager, options.force, now, subresource=subresource)
    if live is not None and merged is live:
        assert record is not None
        return record, False
    if not options.trusted:
        merged = checked_shape(kind, merged, options)
    _check_place(merged, namespace, name)
    if record is not None:
        return writing.replace(registry, kind, record, merged, options, subresource, managed=True), False
    uid = merged["metadata"].get("uid")
    if uid:
        problem = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise Conflict(kind.plural, kind.group, name, problem)
    return writing.insert(registry, kind, namespace, merged, options, managed=True), True


def _check_place(obj: Json, namespace: str, name: str) -> None:
    """Raises :class:`BadRequest` for a patch that would make the object another one."""
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if (metadata.get("namespace") or namespace) != namespace:
        raise BadRequest(objectmeta.NAMESPACE_MISMATCH)
    objectmeta.check_name(metadata, name)

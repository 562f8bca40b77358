"""JSON merge patch, RFC 7386: an object laid over an object, ``null`` takes away, lists are replaced."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.objects import Json


def merge_patch(obj: Json, patch: Any) -> Json:
    """``obj`` with the patch laid over it; ``obj`` stays as it is, and is returned itself when nothing changes.

    Raises:
        BadRequest: The patch is no object.
    """
    if not isinstance(patch, dict):
        raise BadRequest(
            "error decoding patch: json: cannot unmarshal "
            f"{_kind(patch)} into Go value of type map[string]interface {{}}"
        )
    return _merged(obj, patch)


def _merged(value: Json, patch: Json) -> Json:
    result = value
    for key, wanted in patch.items():
        if wanted is None:
            if key in result:
                result = {name: item for name, item in result.items() if name != key}
            continue
        found = result.get(key)
        if isinstance(wanted, dict):
            changed: Any = _merged(found, wanted) if isinstance(found, dict) else without_nulls(wanted)
        else:
            changed = wanted
        if changed is found or (changed == found and type(changed) is type(found) and key in result):
            continue
        if result is value:
            result = dict(value)
        result[key] = changed
    return result


def without_nulls(value: Any) -> Any:
    """What a patch leaves where there was nothing: itself without the fields that it takes away.

    Nulls in lists stay, as does what they hold: RFC 7386 looks at objects in objects only.
    """
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array"

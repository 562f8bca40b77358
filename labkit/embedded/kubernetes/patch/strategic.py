"""Strategic merge patch: a merge patch that knows which lists are merged, and by which key their items are told apart.

As ``k8s.io/apimachinery/pkg/util/strategicpatch`` does it. Besides values a patch may hold directives: ``$patch`` (in a
map or an item of a list: ``replace``, ``delete``, ``merge``), ``$setElementOrder/x`` (how the list ``x`` is to be
ordered), ``$deleteFromPrimitiveList/x`` and ``$retainKeys`` (of a union: every other field goes).
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.errors import BadRequest, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.patch.jsonpatch import Unprocessable
from labkit.embedded.kubernetes.patch.shapes import ANYTHING, STRUCT, Shape, shape_of

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


class Unmergeable(StatusError):
    """A patch that does not go with the object. The real one answers 500 with these words; it is the client's fault."""

    code, reason = 400, ""


def strategic_merge(kind: Kind, obj: Json, patch: Any) -> Json:
    """``obj`` with the patch laid over it; ``obj`` stays as it is, what is not touched is shared.

    Raises:
        BadRequest: The patch or one of its directives is malformed.
        Unmergeable: An item lacks the key by which its list is merged, or a directive is not known.
    """
    if not isinstance(patch, dict):
        raise BadRequest("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    return _merge_map(obj, patch, shape_of(kind))


def _merge_map(original: Json, patch: Json, shape: Shape) -> Json:
    if _PATCH in patch:
        return _directed(patch)
    result = dict(original)
    retained = patch.get(_RETAIN)
    if _RETAIN in patch:
        result = _retain(result, patch, retained)
    ordered = {key.removeprefix(_ORDER): order for key, order in patch.items() if key.startswith(_ORDER)}
    for name, order in ordered.items():
        _merge_ordered(result, patch, name, order, shape)
    for key, value in patch.items():
        if key not in ordered and not key.startswith("$"):
            _merge_field(result, key, value, shape)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _delete_primitives(result, key.removeprefix(_DELETE), value)
    unchanged = len(result) == len(original) and all(result[key] is original.get(key) for key in result)
    return original if unchanged else result


def _directed(patch: Json) -> Json:
    directive = patch[_PATCH]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    raise Unmergeable(f"unknown patch type: {_go(directive)} in map: {_go(patch)}")


def _retain(original: Json, patch: Json, keys: Any) -> Json:
    if not isinstance(keys, list):
        raise BadRequest("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and key not in keys and not key.startswith((_RETAIN, _DELETE, _ORDER)):
            raise BadRequest("invalid patch format of retainKeys")
    return {key: value for key, value in original.items() if key in keys}


def _merge_field(result: Json, key: str, value: Any, shape: Shape) -> None:
    if value is None:
        result.pop(key, None)
        return
    found = result.get(key)
    if isinstance(found, dict) and isinstance(value, dict):
        below = _field(shape, key)
        result[key] = value if below.strategy == "replace" else _merge_map(found, value, below)
    elif isinstance(found, list) and isinstance(value, list):
        below = _field(shape, key)
        result[key] = _merge_list(found, value, below) if below.strategy == "merge" else value
    else:
        kept, cleaned = _clean(value)
        if kept:
            result[key] = cleaned if type(found) is not type(cleaned) or found != cleaned else found
        else:
            result.pop(key, None)


def _field(shape: Shape, name: str) -> Shape:
    found = shape.field(name)
    if found is not None:
        return found
    if shape.container == STRUCT:
        raise Unmergeable(f'unable to find api field in struct {shape.name} for the json field "{name}"')
    return ANYTHING


def _delete_primitives(result: Json, name: str, values: Any) -> None:
    found = result.get(name)
    if not isinstance(values, list):
        raise BadRequest("invalid patch format of primitive list")
    if isinstance(found, list):
        result[name] = [item for item in found if item not in values]


# -- lists


def _merge_list(original: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    """Items of the patch merged into those that were there; new ones are put where the patch has them."""
    if not original and not patch:
        return original
    if not _holds_maps(original, patch):
        merged = _unique([*original, *patch])
        return _arranged(merged, patch, original, "")
    key = shape.merge_key
    if not key:
        raise Unmergeable(f"cannot merge lists without merge key for {shape.name}")
    original, patch = _obey(original, patch, key)
    merged = list(original)
    for item in patch:
        wanted = _key(item, key)
        at = next((index for index, found in enumerate(merged) if found.get(key) == wanted), None)
        if at is None:
            merged.append(_clean(item)[1])
        else:
            merged[at] = _merge_map(merged[at], item, shape.item)
    return _arranged(merged, patch, original, key)


def _obey(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """The list and its patch after the items that are directives."""
    plain: list[Any] = []
    replace = False
    for item in patch:
        if _PATCH not in item:
            plain.append(item)
            continue
        directive = item[_PATCH]
        if directive == "delete":
            unwanted = _key(item, key)
            original = [one for one in original if one.get(key) != unwanted]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise Unmergeable("merging lists cannot yet be specified in the patch")
        else:
            raise Unmergeable(f"unknown patch type: {_go(directive)} in map: {_go(item)}")
    return (plain, []) if replace else (original, plain)


def _merge_ordered(result: Json, patch: Json, name: str, order: Any, shape: Shape) -> None:
    """Merge the list ``name`` and put it in the order of a ``$setElementOrder``."""
    original, wanted = result.get(name), patch.get(name)
    if not isinstance(order, list):
        raise BadRequest("invalid patch format of setElementOrder list")
    for value in (original, wanted):
        if value is not None and not isinstance(value, list):
            raise Unmergeable(f"expected a []interface {{}}, but received a {_go_type(value)}")
    below = _field(shape, name)
    key = below.merge_key
    if wanted:
        _check_order(wanted, order, key)
    if original is not None and wanted is not None:
        merged = _merge_list(original, wanted, below) if below.strategy == "merge" else wanted
    elif original is not None:
        merged = original
    elif wanted is not None:
        merged = _clean(wanted)[1]
    else:
        return
    result[name] = _arranged(merged, order, original or [], key)


def _check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """The patch's items have to come in the order that it asks for."""
    plain = [item for item in patch if not (isinstance(item, dict) and _PATCH in item)]
    at = 0
    for wanted in order:
        if at < len(plain) and _identity(plain[at], key) == _identity(wanted, key):
            at += 1
    if order and at < len(plain):
        raise Unmergeable(
            f"The order in patch list:\n{_go(patch)}\n doesn't match $setElementOrder list:\n{_go(order)}\n"
        )


def _arranged(merged: list[Any], order: list[Any], before: list[Any], key: str) -> list[Any]:
    """Items that ``order`` names, in its order, among the others, in the order that they had.

    A named and an unnamed item that were both there before stay as they were to each other; otherwise the named one
    comes first.
    """
    wanted = [_identity(item, key) for item in order]
    known = [_identity(item, key) for item in before]
    ours: list[Any] = []
    theirs: list[Any] = []
    for item in merged:
        (ours if _identity(item, key) in wanted else theirs).append(item)
    ours.sort(key=lambda item: wanted.index(_identity(item, key)))
    theirs.sort(key=lambda item: _at(known, _identity(item, key)))
    arranged: list[Any] = []
    while theirs and ours:
        left, right = _at(known, _identity(theirs[0], key)), _at(known, _identity(ours[0], key))
        arranged.append((theirs if 0 <= left < right else ours).pop(0))
    return arranged + theirs + ours


def _at(known: list[Any], identity: Any) -> int:
    return known.index(identity) if identity in known else -1


def _identity(item: Any, key: str) -> Any:
    if not key:
        return item
    return _key(item, key)


def _key(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        raise Unmergeable(f"expected a map[string]interface {{}}, but received a {_go_type(item)}")
    try:
        return item[key]
    except KeyError:
        raise Unmergeable(f"map: {_go(item)} does not contain declared merge key: {key}") from None


def _holds_maps(*lists: list[Any]) -> bool:
    kinds = {type(item) for items in lists for item in items}
    if list in kinds:
        raise Unprocessable
    if len(kinds) > 1:
        raise Unmergeable(f"list element types are not identical: {_go(list(lists))}")
    return dict in kinds


def _unique(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _clean(value: Any) -> tuple[bool, Any]:
    """What a patch leaves where there was nothing: no nulls, no directives. False: there is nothing to leave."""
    if isinstance(value, dict):
        if _PATCH in value:
            return False, None
        cleaned = {}
        for key, item in value.items():
            if item is not None and not key.startswith((_RETAIN, _ORDER, _DELETE)):
                kept, below = _clean(item)
                if kept:
                    cleaned[key] = below
        return True, cleaned
    if isinstance(value, list):
        return True, [below for kept, below in map(_clean, value) if kept]
    return True, value


# -- Go's way of printing what it was given


def _go(value: Any) -> str:
    """A value as Go's ``%v`` prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_go(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_go, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _go_type(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    return {list: "[]interface {}", float: "float64", str: "string"}.get(type(value), "%!s(<nil>)")

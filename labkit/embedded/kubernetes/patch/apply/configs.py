"""The set of fields that a configuration applies, and what may be wrong with one.

As structured-merge-diff's ``typed/tofieldset.go`` and ``validate.go``: leaves, atomic values, items of lists and maps
are in the set; structs are only when they are empty.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.patch.apply.elements import Unfit, element_of
from labkit.embedded.kubernetes.patch.apply.fieldsets import LEAF, Node, node, text
from labkit.embedded.kubernetes.patch.shapes import KEYED, MAP, STRUCT, Shape
from labkit.embedded.kubernetes.patch.shapes import LEAF as ONE

Path = tuple[str, ...]


def fields_of(config: Json, shape: Shape) -> Node:
    """The set of a configuration's fields. It is sound (:func:`problems` found nothing)."""
    return _set(config, shape) or LEAF


def _set(value: Any, shape: Shape) -> Node | None:
    """The set below a value, without a word on the value itself unless it is a leaf."""
    if shape.what == ONE:
        return LEAF
    children: dict[str, Node] = {}
    if shape.what in (STRUCT, MAP):
        for key, item in (value or {}).items():
            below = shape.field(key)
            if below is None:
                continue
            inside = _set(item, below)
            counts = item is None or item == {} or not shape.has(key)
            found = _as_member(inside) if counts else inside
            if found is not None:
                children[f"f:{key}"] = found
    else:
        for item in value or []:
            children[element_of(item, shape)] = _as_member(_set(item, shape.item))
    return node(False, children)


def _as_member(inside: Node | None) -> Node:
    if not inside:
        return LEAF
    return node(True, {name: below for name, below in inside.items() if name != "."}) or LEAF


def problems(value: Any, shape: Shape, path: Path = ()) -> list[str]:
    """What keeps a configuration from being applied, in the words of structured-merge-diff."""
    if value is None:
        return []
    what = shape.what
    if what == ONE:
        return _leaf_problems(value, shape, path)
    if what in (STRUCT, MAP):
        if not isinstance(value, dict):
            return [_at(path, f"expected map, got {_shown(value)}")]
        found = []
        for key, item in value.items():
            below = shape.field(key)
            if below is None:
                found.append(_at((*path, f"f:{key}"), "field not declared in schema"))
            else:
                found += problems(item, below, (*path, f"f:{key}"))
        return found
    return _list_problems(value, shape, path)


def _list_problems(value: Any, shape: Shape, path: Path) -> list[str]:
    if not isinstance(value, list):
        return [_at(path, f"expected list, got {_shown(value)}")]
    found: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        try:
            element = element_of(item, shape)
        except Unfit as error:
            found.append(_at(path, f"element {index}: {error}"))
            continue
        if element in seen:
            found.append(_at(path, f"duplicate entries for key {text((element,))}"))
            continue
        seen.add(element)
        if shape.what == KEYED:
            found += problems(item, shape.item, (*path, element))
    return found


def _leaf_problems(value: Any, shape: Shape, path: Path) -> list[str]:
    found: list[str] = []
    if shape.container == STRUCT and isinstance(value, dict):  # atomic, but its fields are known all the same
        for key, item in value.items():
            below = shape.field(key)
            if below is None:
                found.append(_at((*path, f"f:{key}"), "field not declared in schema"))
            else:
                found += problems(item, below, (*path, f"f:{key}"))
        return found
    expected = _EXPECTED.get(shape.type)
    if expected is None:
        return found
    types, name = expected
    if not isinstance(value, types) or (isinstance(value, bool) and shape.type != "boolean"):
        return [_at(path, f"expected {name}, got {_shown(value)}")]
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += problems(item, shape.item, (*path, f"i:{index}"))
    return found


_EXPECTED: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "string"),
    "boolean": ((bool,), "boolean"),
    "integer": ((int,), "numeric (int or float)"),
    "number": ((int, float), "numeric (int or float)"),
    "array": ((list,), "list"),
    "object": ((dict,), "map"),
}


def _at(path: Path, problem: str) -> str:
    return f"{text(path)}: {problem}" if path else problem


def _shown(value: Any) -> str:
    """As Go's ``%v`` prints a value of structured-merge-diff: a pointer to what holds it."""
    if isinstance(value, bool):
        return f"&{{{str(value).lower()}}}"
    if isinstance(value, str):
        return f"&{{{value}}}"
    if isinstance(value, dict):
        return f"&{{map[{' '.join(f'{key}:{_plain(value[key])}' for key in sorted(value))}]}}"
    if isinstance(value, list):
        return f"&{{[{' '.join(map(_plain, value))}]}}"
    return f"&{{{value}}}"


def _plain(value: Any) -> str:
    return _shown(value)[2:-1] if value is not None else "<nil>"

"""Which fields a write has set, and which it has taken away.

As structured-merge-diff's ``typed/compare.go``: a path that was not there before is in the set together with all below
it, containers too (that is where the dots of ``f:labels: {".": {}, …}`` come from); of what was there before only the
leaves that have become others.

This runs on every write, so what has been worked out for a struct with certain fields is kept with its shape: a struct
whose fields are all leaves costs one look-up.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.patch.apply.elements import elements_of
from labkit.embedded.kubernetes.patch.apply.fieldsets import LEAF, Node, node
from labkit.embedded.kubernetes.patch.shapes import ANYTHING, MAP, STRUCT, Shape
from labkit.embedded.kubernetes.patch.shapes import LEAF as ONE

_PLANS = 256  # kept per shape
_MISSING: Any = object()


class _Plan:
    """What is known of values with certain keys: the keys that have more below them, and sets made before."""

    __slots__ = ("deep", "known", "names", "whole")

    def __init__(self, keys: tuple[str, ...], shape: Shape) -> None:
        below = {key: shape.field(key) or ANYTHING for key in keys}
        self.names = {key: f"f:{key}" for key in keys}
        self.deep = [(key, one) for key, one in below.items() if one.what != ONE]
        self.known: dict[tuple[int, ...], Node] = {}
        self.whole: Node | None = None if self.deep else node(True, dict.fromkeys(self.names.values(), LEAF))


def added(value: Any, shape: Shape) -> Node:
    """The set of a value that was not there before: it and everything in it."""
    if not value or shape.what == ONE:
        return LEAF
    if shape.what in (STRUCT, MAP):
        return _added_fields(value, shape) if isinstance(value, dict) else LEAF
    items = elements_of(value, shape) if isinstance(value, list) else None
    if items is None:
        return LEAF
    return node(True, {element: added(item, shape.item) for element, item in items.items()}) or LEAF


def _added_fields(value: dict[str, Any], shape: Shape) -> Node:
    keys = tuple(value)
    plan = shape.plans.get(keys)
    if plan is None:
        if len(shape.plans) >= _PLANS:
            shape.plans.clear()
        plan = shape.plans[keys] = _Plan(keys, shape)
    if plan.whole is not None:
        whole: Node = plan.whole
        return whole
    parts = [added(value[key], below) for key, below in plan.deep]
    known = tuple(map(id, parts))
    found: Node | None = plan.known.get(known)
    if found is None:
        children = dict.fromkeys(plan.names.values(), LEAF)
        for (key, _), part in zip(plan.deep, parts, strict=True):
            children[plan.names[key]] = part
        if len(plan.known) >= _PLANS:
            plan.known.clear()
        found = plan.known[known] = node(True, children) or LEAF  # it holds the parts: their ids stay theirs
    return found


def changes(old: Any, new: Any, shape: Shape, skip: frozenset[str] = frozenset()) -> tuple[Node | None, Node | None]:
    """What is set (added or given another value) and what is gone between two values that both are there.

    ``skip`` names fields of this level that are not looked at.
    """
    if old is new:
        return None, None
    if shape.what == ONE or (not old and not new):
        return (None if same(old, new) else LEAF), None
    if shape.what in (STRUCT, MAP):
        if not isinstance(old or {}, dict) or not isinstance(new or {}, dict):
            return (None if same(old, new) else LEAF), None
        return _changed_fields(old or {}, new or {}, shape, skip)
    before = elements_of(old or [], shape) if isinstance(old or [], list) else None
    after = elements_of(new or [], shape) if isinstance(new or [], list) else None
    if before is None or after is None:
        return (None if same(old, new) else LEAF), None
    return _changed_items(before, after, shape.item)


def _changed_fields(
    old: dict[str, Any], new: dict[str, Any], shape: Shape, skip: frozenset[str]
) -> tuple[Node | None, Node | None]:
    gained: dict[str, Node] = {}
    lost: dict[str, Node] = {}
    for key, value in new.items():
        before = old.get(key, _MISSING)
        if before is value or key in skip:
            continue
        below = shape.field(key) or ANYTHING
        if before is _MISSING:
            gained[f"f:{key}"] = added(value, below)
            continue
        more, less = changes(before, value, below)
        if more is not None:
            gained[f"f:{key}"] = more
        if less is not None:
            lost[f"f:{key}"] = less
    for key, value in old.items():
        if key not in new and key not in skip:
            lost[f"f:{key}"] = added(value, shape.field(key) or ANYTHING)
    return node(False, gained) if gained else None, node(False, lost) if lost else None


def _changed_items(old: dict[str, Any], new: dict[str, Any], shape: Shape) -> tuple[Node | None, Node | None]:
    gained: dict[str, Node] = {}
    lost: dict[str, Node] = {}
    for element, value in new.items():
        before = old.get(element, _MISSING)
        if before is _MISSING:
            gained[element] = added(value, shape)
            continue
        more, less = changes(before, value, shape)
        if more is not None:
            gained[element] = more
        if less is not None:
            lost[element] = less
    for element, value in old.items():
        if element not in new:
            lost[element] = added(value, shape)
    return node(False, gained) if gained else None, node(False, lost) if lost else None


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: ``1`` is no ``true``."""
    if left is right:
        return True
    if left != right:
        return False
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, dict):
        return all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list):
        return all(map(same, left, right))
    return True

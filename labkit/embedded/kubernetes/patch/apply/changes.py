"""Which fields a write has set, and which it has taken away.

As structured-merge-diff's ``typed/compare.go``: a path that was not there before is in the set together with all below
it, containers too (that is where the dots of ``f:labels: {".": {}, …}`` come from); of what was there before only the
leaves that have become others. A struct that is no pointer in Go is always there (:mod:`zero`), even if JSON lacks it.

This runs on every write, so what has been worked out for a struct with certain fields is kept with its shape: a struct
whose fields are all leaves costs one look-up.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.patch.apply import fieldsets
from labkit.embedded.kubernetes.patch.apply.elements import elements_of
from labkit.embedded.kubernetes.patch.apply.fieldsets import LEAF, Node, node
from labkit.embedded.kubernetes.patch.shapes import ANYTHING, MAP, STRUCT, Shape
from labkit.embedded.kubernetes.patch.shapes import LEAF as ONE

_PLANS = 256  # kept per shape
_MISSING: Any = object()


_NOTHING: dict[str, Any] = {}
_NONE: frozenset[str] = frozenset()


class _Plan:
    """What is known of values with certain keys: the keys that have more below them, and sets made before."""

    __slots__ = ("_member", "deep", "era", "known", "leaves", "whole")

    def __init__(
        self, keys: tuple[str, ...], shape: Shape, ground: dict[str, Any] | None, skip: frozenset[str]
    ) -> None:
        self.deep: list[tuple[str, str, Shape, Any]] = []
        self.leaves: dict[str, Node] = {}
        for key in keys:
            if key in skip:
                continue
            below = shape.field(key) or ANYTHING
            zero = _MISSING if ground is None else ground.get(key, _MISSING)
            if below.what != ONE or zero is not _MISSING:
                self.deep.append((key, f"f:{key}", below, zero))
            else:
                self.leaves[f"f:{key}"] = LEAF
        self._member = ground is None
        self.begin()

    def begin(self) -> None:
        """The table of nodes has been forgotten, and so are the sets made before."""
        self.known: dict[tuple[int, ...], Node | None] = {}
        self.whole: Node | None = None if self.deep else node(self._member, self.leaves)
        self.era = fieldsets.era


def added(value: Any, shape: Shape) -> Node:
    """The set of a value that was not there before: it and everything in it."""
    if not value or shape.what == ONE:
        return LEAF
    if shape.what in (STRUCT, MAP):
        return _added_fields(value, shape, None, _NONE) or LEAF if isinstance(value, dict) else LEAF
    items = elements_of(value, shape) if isinstance(value, list) else None
    if items is None:
        return LEAF
    return node(True, {element: added(item, shape.item) for element, item in items.items()}) or LEAF


def _added_fields(
    value: dict[str, Any], shape: Shape, ground: dict[str, Any] | None, skip: frozenset[str]
) -> Node | None:
    """The set of a struct or map; with ``ground`` it was there before, and had that in it."""
    keys = tuple(value)
    plan = shape.plans.get((keys, id(ground), skip))  # grounds are constants: their ids stay theirs
    if plan is None:
        if len(shape.plans) >= _PLANS:
            shape.plans.clear()
        plan = shape.plans[keys, id(ground), skip] = _Plan(keys, shape, ground, skip)
    if plan.era != fieldsets.era:
        plan.begin()
    if not plan.deep:
        whole: Node | None = plan.whole
        return whole
    parts = [
        added(value[key], below)
        if zero is _MISSING
        else changes(zero, value[key], below, _NONE, zero if isinstance(zero, dict) else _NOTHING)[0]
        for key, _, below, zero in plan.deep
    ]
    known = tuple(map(id, parts))
    found: Node | None = plan.known.get(known)
    if found is None:
        children = dict(plan.leaves)
        for (_, name, _, _), part in zip(plan.deep, parts, strict=True):
            if part is not None:
                children[name] = part
        if len(plan.known) >= _PLANS:
            plan.known.clear()
        found = plan.known[known] = node(ground is None, children)  # it holds the parts: their ids stay theirs
    return found


def changes(
    old: Any, new: Any, shape: Shape, skip: frozenset[str] = _NONE, ground: dict[str, Any] = _NOTHING
) -> tuple[Node | None, Node | None]:
    """What is set (added or given another value) and what is gone between two values that both are there.

    ``skip`` names fields of this level that are not looked at; ``ground`` is what is there where nothing is said.
    """
    if old is new:
        return None, None
    if shape.what == ONE or (not old and not new):
        return (None if same(old, new) else LEAF), None
    if shape.what in (STRUCT, MAP):
        if not isinstance(old or {}, dict) or not isinstance(new or {}, dict):
            return (None if same(old, new) else LEAF), None
        return _changed_fields(old or {}, new or {}, shape, skip, ground)
    before = elements_of(old or [], shape) if isinstance(old or [], list) else None
    after = elements_of(new or [], shape) if isinstance(new or [], list) else None
    if before is None or after is None:
        return (None if same(old, new) else LEAF), None
    return _changed_items(before, after, shape.item)


def _changed_fields(
    old: dict[str, Any], new: dict[str, Any], shape: Shape, skip: frozenset[str], ground: dict[str, Any]
) -> tuple[Node | None, Node | None]:
    if not old or old is ground:
        return _added_fields(new, shape, ground, skip), None
    gained: dict[str, Node] = {}
    lost: dict[str, Node] = {}
    for key, value in new.items():
        before = old.get(key, _MISSING)
        if before is value or key in skip:
            continue
        if type(value) is str and type(before) is str:  # most are
            if value != before:
                gained[f"f:{key}"] = LEAF
            continue
        if type(value) is str and before is _MISSING and key not in ground:
            gained[f"f:{key}"] = LEAF
            continue
        below = shape.field(key) or ANYTHING
        zero = ground.get(key, _MISSING)
        if before is _MISSING:
            if zero is _MISSING:
                gained[f"f:{key}"] = added(value, below)
                continue
            before = zero
        more, less = changes(before, value, below, _NONE, zero if isinstance(zero, dict) else _NOTHING)
        if more is not None:
            gained[f"f:{key}"] = more
        if less is not None:
            lost[f"f:{key}"] = less
    for key, value in old.items():
        if key not in new and key not in skip:
            below = shape.field(key) or ANYTHING
            zero = ground.get(key, _MISSING)
            if zero is _MISSING:
                lost[f"f:{key}"] = added(value, below)
                continue
            more, less = changes(value, zero, below, _NONE, zero if isinstance(zero, dict) else _NOTHING)
            if more is not None:
                gained[f"f:{key}"] = more
            if less is not None:
                lost[f"f:{key}"] = less
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

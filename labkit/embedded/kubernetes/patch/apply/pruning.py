"""What an applier no longer applies goes, unless somebody else manages it.

structured-merge-diff's ``merge/update.go: prune`` in one walk: a path of the last configuration that nobody manages any
more is removed with all below it (defaults that were filled in there, too); one that others manage stays, and so do
items of lists and maps that the last configuration did not name.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.patch.apply.elements import Unfit, element_of
from labkit.embedded.kubernetes.patch.apply.fieldsets import Node, is_member
from labkit.embedded.kubernetes.patch.shapes import ANYTHING, KEYED, LEAF, MAP, STRUCT, Shape


def prune(value: Any, last: Node, managed: Node, shape: Shape) -> Any:
    """``value`` without what is in ``last`` and not in ``managed``; None when nothing of a container is left.

    The same object is returned when nothing goes.
    """
    if not last or shape.what == LEAF or not value:
        return value
    if shape.what in (STRUCT, MAP):
        return _prune_fields(value, last, managed, shape) if isinstance(value, dict) else value
    return _prune_items(value, last, managed, shape) if isinstance(value, list) else value


def _prune_fields(value: dict[str, Any], last: Node, managed: Node, shape: Shape) -> Any:
    kept: dict[str, Any] = {}
    changed = False
    for key, item in value.items():
        ours = last.get(f"f:{key}")
        if ours is None:
            kept[key] = item
            continue
        theirs = managed.get(f"f:{key}")
        named = shape.has(key)  # a struct's field is in a set as soon as anything below it is
        if _in(ours, named) and not _in(theirs, named):
            changed = True
            continue
        left = prune(item, ours, theirs or {}, shape.field(key) or ANYTHING)
        if left is None and item is not None:
            changed = True
            if not _in(theirs, False):
                continue
            left = type(item)()  # emptied, and an empty one is what somebody applies
        changed = changed or left is not item
        kept[key] = left
    if not changed:
        return value
    return kept or None


def _prune_items(value: list[Any], last: Node, managed: Node, shape: Shape) -> Any:
    kept: list[Any] = []
    changed = False
    for item in value:
        try:
            element = element_of(item, shape)
        except Unfit:
            kept.append(item)
            continue
        ours, theirs = last.get(element), managed.get(element)
        if ours is None:
            kept.append(item)
        elif is_member(ours) and not _in(theirs, False):
            changed = True
        else:
            left = prune(item, ours, theirs or {}, shape.item) if shape.what == KEYED else item
            changed = changed or left is not item
            if left is not None:
                kept.append(left)
    if not changed:
        return value
    return kept or None


def _in(found: Node | None, named: bool) -> bool:
    return found is not None and (named or is_member(found))

"""A configuration laid over a live object: ``typed/merge.go`` of structured-merge-diff.

Structs, maps, sets and lists with keys are merged, everything else is replaced. Nothing is taken away here.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.patch.apply.changes import same
from labkit.embedded.kubernetes.patch.apply.elements import elements_of
from labkit.embedded.kubernetes.patch.shapes import ANYTHING, LEAF, MAP, STRUCT, Shape


def merge(live: Any, config: Any, shape: Shape) -> Any:
    """What is there and what is wanted, together; ``live`` itself when that is what is wanted."""
    if shape.what == LEAF or (not live and not config):
        return live if same(live, config) else config
    if config is None:
        return live
    if shape.what in (STRUCT, MAP):
        if not isinstance(live, dict) or not isinstance(config, dict):
            return config
        merged = dict(live)
        for key, value in config.items():
            merged[key] = merge(live[key], value, shape.field(key) or ANYTHING) if key in live else value
        return live if _identical(live, merged) else merged
    if not isinstance(live, list) or not isinstance(config, list):
        return config
    return _merge_lists(live, config, shape)


def _identical(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return len(left) == len(right) and all(right[key] is value for key, value in left.items())


def _merge_lists(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    wanted = elements_of(config, shape)
    there = elements_of(live, shape)
    if wanted is None:  # refused before: fieldsets of configurations are checked
        return config
    if there is None:
        return config  # the live list holds items twice; they cannot be told apart
    merged = [
        merge(there[element], wanted[element], shape.item)
        if element in there and element in wanted
        else wanted.get(element, there.get(element))
        for element in _order(list(there), list(wanted))
    ]
    if len(merged) == len(live) and all(new is old for new, old in zip(merged, live, strict=True)):
        return live
    return merged


def _order(live: list[str], wanted: list[str]) -> list[str]:
    """Both lists' elements in one order: that of ``wanted`` for its own, the others where they stood among the live.

    Those that only the live list has stay in front of the shared one that they preceded; new ones follow what they
    follow in ``wanted``.
    """
    ours, theirs = set(wanted), set(live)
    shared = [element for element in wanted if element in theirs]
    merged: list[str] = []
    done: set[str] = set()
    at_live = at_wanted = at_shared = 0
    while at_live < len(live) or at_wanted < len(wanted):
        if at_live < len(live):
            element = live[at_live]
            awaited = shared[at_shared] if at_shared < len(shared) else None
            if at_wanted < len(wanted):
                if element == wanted[at_wanted]:
                    merged.append(element)
                    done.add(element)
                    at_live += 1
                    at_wanted += 1
                    at_shared += 1
                    continue
                if element in ours and awaited is not None and awaited != element:
                    at_live += 1  # its turn comes with the wanted ones
                    continue
            if element not in ours:
                merged.append(element)
                at_live += 1
                continue
            if element in done:
                at_live += 1
        if at_wanted < len(wanted):
            element = wanted[at_wanted]
            merged.append(element)
            done.add(element)
            at_wanted += 1
            if at_shared < len(shared) and shared[at_shared] == element:
                at_shared += 1
    return merged

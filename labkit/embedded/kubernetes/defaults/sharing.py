"""Building an object from another and sharing what stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.embedded.kubernetes.objects import Json


def filled(obj: Json, defaults: Json) -> Json:
    """The object with every key of ``defaults`` that it has not; itself if it has them all."""
    for key in defaults:
        if key not in obj:
            return {**defaults, **obj}
    return obj


def put(obj: Json, key: str, value: Any) -> Json:
    """The object with that value at the key; itself if that very value is there."""
    return obj if obj.get(key) is value else {**obj, key: value}


def within(obj: Json, key: str, change: Callable[[Json], Json]) -> Json:
    """The object with a part of it changed; itself if there is no such part or nothing to change."""
    part = obj.get(key)
    return obj if part is None else put(obj, key, change(part))


def each(items: list[Json], change: Callable[[Json], Json]) -> list[Json]:
    """The list with each item changed; itself if none had to be."""
    out: list[Json] | None = None
    for index, item in enumerate(items):
        new = change(item)
        if new is not item:
            if out is None:
                out = list(items)
            out[index] = new
    return items if out is None else out


def each_within(obj: Json, key: str, change: Callable[[Json], Json]) -> Json:
    """The same for a list in an object."""
    items = obj.get(key)
    return put(obj, key, each(items, change)) if items else obj

"""Lists as sets and maps of items: the path element of each item."""

from __future__ import annotations

from typing import Any

import orjson

from labkit.embedded.kubernetes.patch.shapes import KEYED, Shape

_LIMIT = 4096
_names: dict[tuple[Any, ...], str] = {}
# The same for lists with one key, whose value is a string, as almost all are: name of the key → value → path element.
# In a table of strings nothing is mistaken for something else, as 1 would be for True.
_plain: dict[str, dict[str, str]] = {}


class Unfit(ValueError):
    """An item that cannot be in a list of this shape; the words are structured-merge-diff's."""


def element_of(item: Any, shape: Shape) -> str:
    """The path element of an item of a SET or KEYED list.

    Raises:
        Unfit: It lacks all keys, or is of the wrong sort.
    """
    if shape.what == KEYED:
        if len(shape.keys) == 1 and isinstance(item, dict) and type(value := item.get(shape.keys[0])) is str:
            return _plain_element(shape.keys[0], value)
        if item is None:
            raise Unfit("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise Unfit("associative list with keys may not have non-map elements")
        key = shape.key_of(item)
        if not key:
            names = " ".join(f'"{name}"' for name in shape.keys)
            raise Unfit(
                f"associative list with keys has an element that omits all key fields [{names}] "
                "(and doesn't have default values for any key fields)"
            )
        if not all(type(value) in (str, int) for _, value in key):  # 1, 1.0 and True would be one key of a dict
            return "k:" + orjson.dumps(dict(key), option=orjson.OPT_SORT_KEYS).decode()
        made = _names.get(key)
        if made is None:
            if len(_names) >= _LIMIT:
                _names.clear()
            made = _names[key] = "k:" + orjson.dumps(dict(key)).decode()
        return made
    if isinstance(item, dict):
        raise Unfit("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise Unfit("not supported: associative list with lists as elements")
    if item is None:
        raise Unfit("associative list without keys has an element that's an explicit null")
    return "v:" + orjson.dumps(item).decode()


def _plain_element(key: str, value: str) -> str:
    known = _plain.setdefault(key, {})
    found = known.get(value)
    if found is None:
        if len(known) >= _LIMIT:
            known.clear()
        found = known[value] = "k:" + orjson.dumps({key: value}).decode()
    return found


def elements_of(items: list[Any], shape: Shape) -> dict[str, Any] | None:
    """The items by their path elements; None when one is unfit or comes twice: such a list counts as one thing."""
    found = _known_elements(items, shape) if shape.what == KEYED and len(shape.keys) == 1 else None
    if found is None:
        try:
            found = {element_of(item, shape): item for item in items}
        except Unfit:
            return None
    return found if len(found) == len(items) else None


def _known_elements(items: list[Any], shape: Shape) -> dict[str, Any] | None:
    """The items of a list with one key, if each has been seen before, as conditions have; else None."""
    name = shape.keys[0]
    known = _plain.get(name)
    if known is None:
        return None
    try:
        return {known[item[name]]: item for item in items}
    except (KeyError, TypeError):
        return None

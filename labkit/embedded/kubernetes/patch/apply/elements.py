"""Lists as sets and maps of items: the path element of each item."""

from __future__ import annotations

from typing import Any

import orjson

from labkit.embedded.kubernetes.patch.shapes import KEYED, Shape

_LIMIT = 4096
_names: dict[tuple[Any, ...], str] = {}


class Unfit(ValueError):
    """An item that cannot be in a list of this shape; the words are structured-merge-diff's."""


def element_of(item: Any, shape: Shape) -> str:
    """The path element of an item of a SET or KEYED list.

    Raises:
        Unfit: It lacks all keys, or is of the wrong sort.
    """
    if shape.what == KEYED:
        if len(shape.keys) == 1 and type(item) is dict:  # almost all are
            value = item.get(shape.keys[0])
            if type(value) is str:
                found = _names.get((shape.keys[0], value))
                if found is not None:
                    return found
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
        try:
            return _names[key]
        except KeyError:
            made = "k:" + orjson.dumps(dict(key)).decode()
        except TypeError:  # a key that is a list or a map
            return "k:" + orjson.dumps(dict(key), option=orjson.OPT_SORT_KEYS).decode()
        if len(_names) >= _LIMIT:
            _names.clear()
        # 1, 1.0 and True are one key of a dict: keep only what cannot be mistaken
        if all(type(value) in (str, int) for _, value in key):
            _names[key] = made
            if len(key) == 1:
                _names[key[0]] = made
        return made
    if isinstance(item, dict):
        raise Unfit("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise Unfit("not supported: associative list with lists as elements")
    if item is None:
        raise Unfit("associative list without keys has an element that's an explicit null")
    return "v:" + orjson.dumps(item).decode()


def elements_of(items: list[Any], shape: Shape) -> dict[str, Any] | None:
    """The items by their path elements; None when one is unfit or comes twice: such a list counts as one thing."""
    try:
        found = {element_of(item, shape): item for item in items}
    except Unfit:
        return None
    return found if len(found) == len(items) else None

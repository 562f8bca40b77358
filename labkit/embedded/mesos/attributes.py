"""What an agent says of itself: ``rack:a;zone:b;level:10;ports:[1-3]``.

As ``src/common/attributes.cpp`` has it: a value is a scalar, ranges, or else text. Nobody takes anything of an
attribute away; constraints look at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.embedded.mesos.ranges import RangesError, parse_ranges, ranges_text
from labkit.embedded.mesos.resources import number

Json = dict[str, Any]


class AttributesError(ValueError):
    """What was given is no attribute."""


def parse(text: str) -> list[Json]:
    """What ``--attributes`` takes, as the v1 API has it. Raises :class:`AttributesError`."""
    found: list[Json] = []
    for item in text.replace("\n", ";").split(";"):
        if not item.strip():
            continue
        name, colon, value = item.partition(":")
        if not colon or not name.strip() or not value.strip():
            raise AttributesError(f"Invalid attribute key:value pair '{item.strip()}'")
        found.append(attribute(name.strip(), value.strip()))
    return found


def of(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    """From names and values, as a machine's ``attributes`` hold them."""
    return [attribute(name, value) for name, value in pairs]


def attribute(name: str, value: str) -> Json:
    """One attribute of the type that its value has."""
    if value.startswith("["):
        try:
            spans = parse_ranges(value)
        except RangesError as error:
            raise AttributesError(str(error)) from None
        listed = [{"begin": begin, "end": end} for begin, end in spans]
        return {"name": name, "type": "RANGES", "ranges": {"range": listed}}
    try:
        scalar = round(float(value), 3)
    except ValueError:
        return {"name": name, "type": "TEXT", "text": {"value": value}}
    if scalar in (float("inf"), float("-inf")) or scalar != scalar:
        return {"name": name, "type": "TEXT", "text": {"value": value}}
    return {"name": name, "type": "SCALAR", "scalar": {"value": scalar}}


def text_of(item: Json) -> str:
    """The value as text: what constraints compare."""
    kind = item.get("type")
    if kind == "TEXT":
        return str(item["text"]["value"])
    if kind == "SCALAR":
        return number(round(item["scalar"]["value"] * 1000))
    if kind == "RANGES":
        return ranges_text((int(one["begin"]), int(one["end"])) for one in item["ranges"].get("range", ()))
    return "{" + ",".join(item.get("set", {}).get("item", ())) + "}"


def summary(items: Iterable[Json]) -> Json:
    """As the old endpoints show them: text and numbers by name."""
    return {item["name"]: item["scalar"]["value"] if item.get("type") == "SCALAR" else text_of(item) for item in items}

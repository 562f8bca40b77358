"""What an agent has, an offer holds and a task takes: scalars, ranges and sets, each of a role.

As ``src/common/resources.cpp`` has it. A scalar counts in thousandths (``cpus:0.001`` is the least there is, and sums
are exact), so three times ``0.1`` is ``0.3``. What nobody has reserved belongs to the role ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from labkit.embedded.mesos.ranges import Range, RangesError, covers, cut, join, merge, parse_ranges, ranges_text

Json = dict[str, Any]
Key = tuple[str, str]  # (name, role)

UNRESERVED = "*"

# The order in which Mesos' own agents name what they have.
_ORDER = {"cpus": 0, "gpus": 1, "mem": 2, "disk": 3, "ports": 4}

_ITEM = re.compile(r"^\s*(?P<name>[^(:\s]+)\s*(?:\((?P<role>[^)]*)\))?\s*:\s*(?P<value>.+?)\s*$", re.DOTALL)


class ResourcesError(ValueError):
    """What was given is no resource; the message has the real words."""


def _invalid(item: Any, why: str) -> ResourcesError:
    """The words of ``Resources::validate``."""
    return ResourcesError(f"Resource '{_shown(item)}' is invalid: {why}")


def _shown(item: Any) -> str:
    """As Mesos prints a resource, as far as there is one."""
    try:
        role = (item.get("allocation_info") or {}).get("role")
        name = f"{item.get('name', '')}(allocated: {role})" if role else item.get("name", "")
        value = item.get(str(item.get("type")).lower()) or {}
        if item.get("type") == "SCALAR":
            return f"{name}:{value.get('value', 0):.15g}"
        if item.get("type") == "RANGES":
            pairs = [f"{int(one['begin'])}-{int(one['end'])}" for one in value.get("range", ())]
            return f"{name}:[{', '.join(pairs)}]"
        return f"{name}:{{{', '.join(value.get('item', ()))}}}"
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return str(item)


_MALFORMED = {
    "SCALAR": "Invalid scalar resource",
    "RANGES": "Invalid ranges resource",
    "SET": "Invalid set resource",
}


def _overlap(given: list[Range]) -> bool:
    ordered = sorted(given)
    return any(ordered[at + 1][0] <= ordered[at][1] for at in range(len(ordered) - 1))


class Resources:
    """A bag of resources. Never changed: ``+`` and ``-`` make new ones.

    Those with a quantity of zero are not in it, so an empty bag is false.
    """

    __slots__ = ("_json", "ranges", "scalars", "sets")

    def __init__(
        self,
        scalars: Mapping[Key, int] | None = None,
        ranges: Mapping[Key, tuple[Range, ...]] | None = None,
        sets: Mapping[Key, frozenset[str]] | None = None,
    ) -> None:
        """``scalars`` are in thousandths, ``ranges`` in order, not touching each other."""
        self.scalars: Mapping[Key, int] = scalars if scalars is not None else {}
        self.ranges: Mapping[Key, tuple[Range, ...]] = ranges if ranges is not None else {}
        self.sets: Mapping[Key, frozenset[str]] = sets if sets is not None else {}
        self._json: list[Json] | None = None

    # -- from text and JSON

    @classmethod
    def parse(cls, text: str, role: str = UNRESERVED) -> Resources:
        """What ``--resources`` takes: ``cpus:4;mem:4096;ports:[31000-31999];disk(ads):100;zones:{a,b}``.

        Raises :class:`ResourcesError`.
        """
        scalars: dict[Key, int] = {}
        ranges: dict[Key, tuple[Range, ...]] = {}
        sets: dict[Key, frozenset[str]] = {}
        for item in text.split(";"):
            if not item.strip():
                continue
            match = _ITEM.match(item)
            if match is None:
                raise ResourcesError(f"Bad value for resources, missing or extra ':' in {item}")
            key = (match["name"], (match["role"] or role).strip())
            value = match["value"]
            if value.startswith("["):
                try:
                    ranges[key] = merge([*ranges.get(key, ()), *parse_ranges(value)])
                except RangesError as error:
                    raise ResourcesError(str(error)) from None
            elif value.startswith("{"):
                if not value.endswith("}"):
                    raise ResourcesError(f"Failed to parse resource {key[0]} value {value}: missing '}}'")
                words = (word.strip() for word in value[1:-1].split(","))
                sets[key] = sets.get(key, frozenset()) | {word for word in words if word}
            else:
                scalars[key] = scalars.get(key, 0) + _thousandths(value, key[0])
        return cls(
            {key: value for key, value in scalars.items() if value},
            {key: value for key, value in ranges.items() if value},
            {key: value for key, value in sets.items() if value},
        )

    @classmethod
    def of(cls, items: Iterable[Json]) -> Resources:
        """From the JSON of an agent, an offer or a task. Raises :class:`ResourcesError`."""
        scalars: dict[Key, int] = {}
        ranges: dict[Key, tuple[Range, ...]] = {}
        sets: dict[Key, frozenset[str]] = {}
        for item in items:
            kind = ""
            try:
                name, kind = item["name"], item["type"]
                if not name:
                    raise _invalid(item, "Empty resource name")
                key = (name, item.get("role") or _reserved_for(item))
                if kind == "SCALAR":
                    value = item["scalar"]["value"]
                    count = round(value * 1000)
                    if value and count <= 0:
                        raise _invalid(item, "Invalid scalar resource: value <= 0")
                    if count:
                        scalars[key] = scalars.get(key, 0) + count
                elif kind == "RANGES":
                    given = [(int(one["begin"]), int(one["end"])) for one in item["ranges"].get("range", ())]
                    if any(begin > end for begin, end in given):
                        raise _invalid(item, "Invalid ranges resource: begin > end")
                    if len(given) > 1 and _overlap(given):
                        raise _invalid(item, "Invalid ranges resource: overlapping ranges")
                    if given:
                        ranges[key] = merge([*ranges.get(key, ()), *given])
                elif kind == "SET":
                    words = item["set"].get("item", ())
                    if len(set(words)) < len(words):
                        raise _invalid(item, "Invalid set resource: duplicated elements")
                    if words:
                        sets[key] = sets.get(key, frozenset()) | frozenset(words)
                else:
                    raise _invalid(item, "Unsupported resource type")
            except (KeyError, TypeError, AttributeError, OverflowError):
                raise _invalid(item, _MALFORMED.get(kind, "Invalid resource type")) from None
        return cls(scalars, ranges, sets)

    def json(self, allocated: str | None = None) -> list[Json]:
        """As the v1 API has it; with ``allocation_info`` when they are allocated to a role. Do not change it."""
        if allocated is not None:
            info = {"role": allocated}
            return [{**item, "allocation_info": info} for item in self.json()]
        if self._json is None:
            self._json = [self._item(key) for key in self._keys()]
        return self._json

    def _keys(self) -> list[Key]:
        keys = [*self.scalars, *self.ranges, *self.sets]
        if len(keys) > 1:
            keys.sort(key=lambda key: (_ORDER.get(key[0], 9), key))
        return keys

    def _item(self, key: Key) -> Json:
        name, role = key
        if key in self.scalars:
            return {"name": name, "type": "SCALAR", "scalar": {"value": self.scalars[key] / 1000}, "role": role}
        if key in self.ranges:
            spans = [{"begin": begin, "end": end} for begin, end in self.ranges[key]]
            return {"name": name, "type": "RANGES", "ranges": {"range": spans}, "role": role}
        return {"name": name, "type": "SET", "set": {"item": sorted(self.sets[key])}, "role": role}

    # -- reading

    def scalar(self, name: str) -> float:
        """How much of it, of all roles together."""
        return sum(value for (own, _), value in self.scalars.items() if own == name) / 1000

    @property
    def cpus(self) -> float:
        return self.scalar("cpus")

    @property
    def mem(self) -> float:
        """Megabytes."""
        return self.scalar("mem")

    @property
    def disk(self) -> float:
        """Megabytes."""
        return self.scalar("disk")

    @property
    def gpus(self) -> float:
        return self.scalar("gpus")

    def spans(self, name: str = "ports") -> tuple[Range, ...]:
        """The ranges of that name, of all roles, in order."""
        found = [span for (own, _), value in self.ranges.items() if own == name for span in value]
        return merge(found) if found else ()

    def ports(self) -> Iterator[int]:
        """Every port, in order."""
        for begin, end in self.spans():
            yield from range(begin, end + 1)

    def __bool__(self) -> bool:
        return bool(self.scalars or self.ranges or self.sets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resources):
            return NotImplemented
        return self.scalars == other.scalars and self.ranges == other.ranges and self.sets == other.sets

    def __hash__(self) -> int:
        return hash((frozenset(self.scalars.items()), frozenset(self.ranges.items()), frozenset(self.sets.items())))

    def __str__(self) -> str:
        """As Mesos prints them: ``cpus:4; mem:4096; ports:[31000-31999]``."""
        return "; ".join(self._text(key) for key in self._keys()) or "{}"

    def _text(self, key: Key) -> str:
        name, role = key
        label = name if role == UNRESERVED else f"{name}(reservations: [(STATIC,{role})])"
        if key in self.scalars:
            return f"{label}:{number(self.scalars[key])}"
        if key in self.ranges:
            return f"{label}:{ranges_text(self.ranges[key])}"
        return f"{label}:{{{', '.join(sorted(self.sets[key]))}}}"

    def __repr__(self) -> str:
        return f"Resources({str(self)!r})"

    def summary(self) -> Json:
        """As the old endpoints show them: the four quantities are always there, the rest as text."""
        totals: Json = {"disk": 0.0, "mem": 0.0, "gpus": 0.0, "cpus": 0.0}
        for (name, _), value in self.scalars.items():
            totals[name] = totals.get(name, 0.0) + value / 1000
        for name in {name for name, _ in self.ranges}:
            totals[name] = ranges_text(self.spans(name))
        for name in {name for name, _ in self.sets}:
            words = {word for (own, _), items in self.sets.items() if own == name for word in items}
            totals[name] = "{" + ", ".join(sorted(words)) + "}"
        return totals

    # -- by role

    @property
    def roles(self) -> frozenset[str]:
        """The roles for which something is reserved."""
        keys = (*self.scalars, *self.ranges, *self.sets)
        return frozenset(role for _, role in keys if role != UNRESERVED)

    def available_to(self, role: str) -> Resources:
        """What may be offered to ``role``: what nobody has reserved, and what is reserved for it or a role above."""
        if not self.roles:
            return self
        return self._where(lambda own: own in (UNRESERVED, role) or role.startswith(own + "/"))

    def reserved(self, role: str) -> Resources:
        """What is reserved for exactly that role."""
        return self._where(lambda own: own == role)

    def unreserved(self) -> Resources:
        """What is reserved for nobody."""
        return self._where(lambda own: own == UNRESERVED)

    def _where(self, wanted: Any) -> Resources:
        return Resources(
            {key: value for key, value in self.scalars.items() if wanted(key[1])},
            {key: value for key, value in self.ranges.items() if wanted(key[1])},
            {key: value for key, value in self.sets.items() if wanted(key[1])},
        )

    # -- sums

    def __add__(self, other: Resources) -> Resources:
        if not other:
            return self
        if not self:
            return other
        scalars = dict(self.scalars)
        for key, value in other.scalars.items():
            scalars[key] = scalars.get(key, 0) + value
        ranges = self.ranges
        if other.ranges:
            ranges = dict(ranges)
            for key, spans in other.ranges.items():
                ranges[key] = join(ranges[key], spans) if key in ranges else spans
        sets = self.sets
        if other.sets:
            sets = dict(sets)
            for key, words in other.sets.items():
                sets[key] = sets.get(key, frozenset()) | words
        return Resources(scalars, ranges, sets)

    def __sub__(self, other: Resources) -> Resources:
        """What is left; what is not there cannot be taken and is passed over, as in Mesos."""
        if not other:
            return self
        scalars = dict(self.scalars)
        for key, value in other.scalars.items():
            left = scalars.get(key, 0) - value
            if left > 0:
                scalars[key] = left
            else:
                scalars.pop(key, None)
        ranges = self.ranges
        if other.ranges:
            ranges = dict(ranges)
            for key, spans in other.ranges.items():
                rest = cut(ranges.get(key, ()), spans)
                if rest:
                    ranges[key] = rest
                else:
                    ranges.pop(key, None)
        sets = self.sets
        if other.sets:
            sets = dict(sets)
            for key, words in other.sets.items():
                stay = sets.get(key, frozenset()) - words
                if stay:
                    sets[key] = stay
                else:
                    sets.pop(key, None)
        return Resources(scalars, ranges, sets)

    def contains(self, other: Resources) -> bool:
        """Is all of ``other`` in here?"""
        mine = self.scalars
        for key, value in other.scalars.items():
            if mine.get(key, 0) < value:
                return False
        for key, spans in other.ranges.items():
            if not covers(self.ranges.get(key, ()), spans):
                return False
        return all(words <= self.sets.get(key, frozenset()) for key, words in other.sets.items())

    __contains__ = contains

    def dominant(self, total: Resources) -> tuple[str, float]:
        """The resource of which this is the greatest part of ``total``, and that part (0 to 1)."""
        best, share = "", 0.0
        for name in {name for name, _ in self.scalars}:
            whole = total.scalar(name)
            part = self.scalar(name) / whole if whole else 0.0
            if part > share or not best:
                best, share = name, part
        return best, share


EMPTY = Resources()


def total(bags: Iterable[Resources]) -> Resources:
    """All of them together."""
    result = EMPTY
    for bag in bags:
        result = result + bag
    return result


# -- numbers


def number(thousandths: int) -> str:
    """``4``, ``0.5``: without zeros that say nothing."""
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")


def _thousandths(text: str, name: str) -> int:
    try:
        value = round(float(text) * 1000)
    except (ValueError, OverflowError):
        raise ResourcesError(f"Failed to parse resource {name} value {text}") from None
    if value < 0:
        raise ResourcesError(f"Failed to parse resource {name} value {text}: it is negative")
    return value


def _reserved_for(item: Json) -> str:
    reservations = item.get("reservations")
    return reservations[-1].get("role", UNRESERVED) if reservations else UNRESERVED

"""Where instances may be (``mesos/Constraints.scala``, ``docs/docs/constraints.md`` of Marathon).

A constraint is compiled once per app version into a check of one offer against the instances that are placed already.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Json = dict[str, Any]

HOSTNAME, REGION, ZONE = "@hostname", "@region", "@zone"
OPERATORS = ("UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS")


class Place(Protocol):
    """Where something is: an agent that offers, or an instance that runs."""

    @property
    def host(self) -> str:
        """Empty: nowhere yet."""

    @property
    def region(self) -> str | None: ...

    @property
    def zone(self) -> str | None: ...

    @property
    def attributes(self) -> Sequence[Json]:
        """As the offer has them (v1 JSON)."""


class Placed(Place, Protocol):
    """An instance, as far as constraints look at it."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> str:
        """The version of the app that it runs."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Where an offer comes from."""

    agent_id: str
    host: str
    region: str | None = None
    zone: str | None = None
    attributes: tuple[Json, ...] = ()

    @classmethod
    def of_offer(cls, offer: Json) -> Agent:
        """The agent of an offer (v1 JSON)."""
        fault_domain = (offer.get("domain") or {}).get("fault_domain") or {}
        return cls(
            offer["agent_id"]["value"],
            offer["hostname"],
            (fault_domain.get("region") or {}).get("name"),
            (fault_domain.get("zone") or {}).get("name"),
            tuple(offer.get("attributes") or ()),
        )


# -- what a field's value is, as text


def scalar_text(value: float) -> str:
    """Up to three decimals, without zeros at the end; halves go to the even neighbour (Java's ``0.###``)."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def attribute_text(attribute: Json) -> str:
    """An attribute as constraints compare it: sorted, and formatted as Mesos prints it."""
    if "text" in attribute:
        return str(attribute["text"]["value"])
    if "scalar" in attribute:
        return scalar_text(float(attribute["scalar"]["value"]))
    if "ranges" in attribute:
        ranges = sorted((int(each["begin"]), int(each["end"])) for each in attribute["ranges"].get("range", ()))
        return "[" + ",".join(f"{begin}-{end}" for begin, end in ranges) + "]"
    return "{" + ",".join(sorted(attribute["set"].get("item", ()))) + "}"


Reader = Callable[[Place], str | None]

_READERS: dict[str, Reader] = {
    "hostname": lambda place: place.host or None,
    HOSTNAME: lambda place: place.host or None,
    REGION: lambda place: place.region,
    ZONE: lambda place: place.zone,
}


def reader(name: str) -> Reader:
    """What gives a field's value of an agent or an instance; None if it has none."""
    found = _READERS.get(name)
    if found is not None:
        return found

    def read(place: Place) -> str | None:
        for attribute in place.attributes:
            if attribute["name"] == name:
                return attribute_text(attribute)
        return None

    return read


# -- the operators: (the offer's value, how many instances are at which value, instances wanted) -> whether it will do

Counts = Counter[str | None]
Check = Callable[[str, Counts, int], bool]


def _unique(_: str) -> Check:
    return lambda value, counts, wanted: value not in counts


def _cluster(parameter: str) -> Check:
    if parameter:
        return lambda value, counts, wanted: value == parameter
    # The value of the first one binds all others.
    return lambda value, counts, wanted: next(iter(counts), value) == value


def _integer(text: str, default: int) -> int:
    if text == "inf":
        return 2**31 - 1
    try:
        return int(text)
    except ValueError:
        return default


def _group_by(parameter: str) -> Check:
    groups = max(0, _integer(parameter, 0))
    if not groups:
        # Nobody said how many values there are: any new one, and of the known ones those with the fewest. (Marathon
        # 1.11.24 divides by zero here and places nothing; this is what its documentation promises, and 1.10 does.)
        return lambda value, counts, wanted: value not in counts or counts[value] == min(counts.values())

    def check(value: str, counts: Counts, wanted: int) -> bool:
        if value not in counts:
            return len(counts) < groups
        each, remainder = divmod(wanted, groups)
        count = counts[value]
        return count < each or (count == each and sum(max(0, n - each) for n in counts.values()) < remainder)

    return check


def _max_per(parameter: str) -> Check:
    most = int(parameter)
    return lambda value, counts, wanted: counts.get(value, 0) < most


def _like(parameter: str) -> Check:
    pattern = re.compile(parameter)
    return lambda value, counts, wanted: bool(parameter) and pattern.fullmatch(value) is not None


def _unlike(parameter: str) -> Check:
    pattern = re.compile(parameter)
    return lambda value, counts, wanted: bool(parameter) and pattern.fullmatch(value) is None


_SCALAR = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def _is(parameter: str) -> Check:
    expected = scalar_text(float(parameter)) if _SCALAR.fullmatch(parameter) else parameter
    return lambda value, counts, wanted: value == expected


_CHECKS: dict[str, Callable[[str], Check]] = {
    "UNIQUE": _unique,
    "CLUSTER": _cluster,
    "GROUP_BY": _group_by,
    "LIKE": _like,
    "UNLIKE": _unlike,
    "MAX_PER": _max_per,
    "IS": _is,
}


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """One constraint of an app, compiled."""

    field: str
    operator: str
    value: str
    read: Reader
    check: Check

    def met(self, agent: Place, placements: Placements, wanted: int) -> bool:
        """Whether an instance may go there. ``wanted``: how many instances the app is to have in the end."""
        found = self.read(agent)
        if found is None:
            # Whoever has no such attribute is unlike everything, and like nothing.
            return self.operator == "UNLIKE"
        return self.check(found, placements.counts[self.field], wanted)

    def __str__(self) -> str:
        return ":".join(part for part in (self.field, self.operator, self.value) if part)


def compile_constraint(raw: Sequence[str]) -> Constraint:
    """Of ``[field, operator]`` or ``[field, operator, value]``, which the validation has seen."""
    field, operator = raw[0], raw[1].upper()
    value = raw[2] if len(raw) > 2 else ""
    return Constraint(field, operator, value, reader(field), _CHECKS[operator](value))


class Placements:
    """How many instances of an app are at which value of its constraints' fields.

    Made anew from all instances, or kept by whoever launches many: ``add`` one that was placed, ``remove`` it when it
    is gone. Only instances that run the app's present configuration count: old ones are about to go.
    """

    __slots__ = ("config_version", "counts", "readers")

    def __init__(self, constraints: Sequence[Constraint], config_version: str) -> None:
        self.readers = {each.field: each.read for each in constraints}
        self.counts: dict[str, Counts] = {field: Counter() for field in self.readers}
        self.config_version = config_version

    @classmethod
    def of(cls, constraints: Sequence[Constraint], config_version: str, instances: Iterable[Placed]) -> Placements:
        """Those of these instances that run the configuration of now: constraints do not look at older ones."""
        found = cls(constraints, config_version)
        if constraints:
            for instance in instances:
                if instance.version >= config_version:
                    found.add(instance)
        return found

    def add(self, place: Place) -> None:
        """One more instance is there."""
        for field, read in self.readers.items():
            self.counts[field][read(place)] += 1

    def remove(self, place: Place) -> None:
        """One is there no more."""
        for field, read in self.readers.items():
            counts, value = self.counts[field], read(place)
            counts[value] -= 1
            if counts[value] <= 0:
                del counts[value]


# -- which ones to kill

P = TypeVar("P", bound=Placed)


def to_kill(constraints: Sequence[Constraint], instances: Sequence[P], count: int) -> list[P]:
    """Whom to kill, of these, so that those that stay are spread as evenly as can be (``selectInstancesToKill``).

    Only GROUP_BY has a say. May be fewer than ``count``: then the kill selection chooses the others.
    """
    if len(instances) <= count:
        return list(instances)
    spreads = [
        _Spread([each.read(instance) for instance in instances]) for each in constraints if each.operator == "GROUP_BY"
    ]
    if not spreads:
        return []
    chosen: list[int] = []
    left = list(range(len(instances)))
    while len(chosen) < count:
        candidates = [
            index
            for spread in sorted(spreads, key=lambda spread: -spread.difference())
            for index in spread.crowded(left)
        ]
        found = next(
            (index for index in [*candidates, *left] if all(spread.gains_without(index) for spread in spreads)), None
        )
        if found is None:
            break
        left.remove(found)
        chosen.append(found)
        for spread in spreads:
            spread.remove(found)
    return [instances[index] for index in chosen]


class _Spread:
    """How many of the instances are in each group of one constraint."""

    def __init__(self, values: list[str | None]) -> None:
        self.values = values
        self.counts = Counter(values)
        self.at_first = self.difference()

    def difference(self) -> int:
        """Between the biggest group and the smallest. A group that is empty by now still counts."""
        return max(self.counts.values()) - min(self.counts.values())

    def crowded(self, left: list[int]) -> list[int]:
        """Those in the biggest groups; none if all are equal."""
        biggest = max(self.counts.values())
        if min(self.counts.values()) == biggest:
            return []
        return [index for index in left if self.counts[self.values[index]] == biggest]

    def gains_without(self, index: int) -> bool:
        """Whether it is (nearly) even without this one too, or at least more so than at first."""
        self.counts[self.values[index]] -= 1
        difference = self.difference()
        self.counts[self.values[index]] += 1
        return difference <= 1 or self.at_first > difference

    def remove(self, index: int) -> None:
        self.counts[self.values[index]] -= 1

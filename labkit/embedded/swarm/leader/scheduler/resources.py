"""What a node has and a task reserves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from labkit.embedded.swarm.objects import Json, Node

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs in billionths, memory in bytes, and generic resources counted by kind.

    A named generic resource (a GPU by its id) counts as one of its kind: which one a task gets is not tracked.
    """

    cpus: int = 0
    memory: int = 0
    generic: Mapping[str, int] = field(default_factory=lambda: _NOTHING)

    @classmethod
    def of_node(cls, node: Node) -> Resources:
        """All that the node says it has."""
        return cls._of(node.description.get("Resources") or {})

    @classmethod
    def reserved_by(cls, spec: Json) -> Resources:
        """What a task of this spec (``TaskTemplate``) reserves."""
        reservations = (spec.get("Resources") or {}).get("Reservations")
        return cls._of(reservations) if reservations else NOTHING

    @classmethod
    def _of(cls, given: Json) -> Resources:
        generic = given.get("GenericResources")
        return cls(
            int(given.get("NanoCPUs") or 0),
            int(given.get("MemoryBytes") or 0),
            _counted(generic) if generic else _NOTHING,
        )

    def has(self, wanted: Resources) -> bool:
        """Is there enough for ``wanted``? Of what is not wanted there may be less than nothing."""
        if wanted is NOTHING:
            return True
        if wanted.cpus > self.cpus or wanted.memory > self.memory:
            return False
        return all(self.generic.get(kind, 0) >= count for kind, count in wanted.generic.items())

    def __add__(self, other: Resources) -> Resources:
        return self._combined(other, 1)

    def __sub__(self, other: Resources) -> Resources:
        return self._combined(other, -1)

    def _combined(self, other: Resources, sign: int) -> Resources:
        if other is NOTHING:
            return self
        generic: Mapping[str, int] = self.generic
        if other.generic:
            kinds = {*self.generic, *other.generic}
            generic = {kind: self.generic.get(kind, 0) + sign * other.generic.get(kind, 0) for kind in kinds}
        return Resources(self.cpus + sign * other.cpus, self.memory + sign * other.memory, generic)


def _counted(generic: Iterable[Json]) -> Counter[str]:
    count: Counter[str] = Counter()
    for resource in generic:
        spec: Any = resource.get("DiscreteResourceSpec")
        if spec:
            count[str(spec.get("Kind"))] += int(spec.get("Value") or 0)
        elif resource.get("NamedResourceSpec"):
            count[str(resource["NamedResourceSpec"].get("Kind"))] += 1
    return count


NOTHING = Resources()

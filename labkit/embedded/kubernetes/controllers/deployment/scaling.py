"""Scaling a Deployment in the middle of a rollout: each ReplicaSet gets its share. Pure.

``scale`` in ``pkg/controller/deployment/sync.go`` with ``GetReplicaSetProportion`` of ``util/deployment_util.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor


@dataclass(frozen=True, slots=True)
class Share:
    """An active ReplicaSet. ``most_before`` is its max-replicas annotation, None when it has none."""

    name: str
    wanted: int
    created: str
    most_before: int | None = None


def shares(desired: int, surge: int, replicas_before: int, active: Sequence[Share]) -> dict[str, int]:
    """The new size of each, by name. ``replicas_before`` is the Deployment's status.replicas."""
    allowed = desired + surge if desired > 0 else 0
    to_add = allowed - sum(one.wanted for one in active)
    # The larger ones take most; among equals the newest grows, the oldest shrinks.
    ordered = sorted(active, key=lambda one: one.name)
    ordered.sort(key=lambda one: one.created, reverse=to_add > 0)
    ordered.sort(key=lambda one: one.wanted, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for one in ordered:
        sizes[one.name] = one.wanted
        if to_add != 0:
            part = _proportion(one, desired, surge, replicas_before, to_add, added)
            sizes[one.name] += part
            added += part
    if ordered and to_add != 0:  # what rounding left over goes to the first
        first = ordered[0].name
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _proportion(one: Share, desired: int, surge: int, replicas_before: int, to_add: int, added: int) -> int:
    if one.wanted == 0 or to_add == added:
        return 0
    part = _fraction(one, desired, surge, replicas_before)
    rest = to_add - added
    # Growing never takes more than is left to add, shrinking never more than is left to remove.
    return min(part, rest) if to_add > 0 else max(part, rest)


def _fraction(one: Share, desired: int, surge: int, replicas_before: int) -> int:
    """By how much it changes if it keeps its share of the whole."""
    if desired == 0:
        return -one.wanted
    before = one.most_before or replicas_before
    if not before:
        return 0
    return round_half_up(one.wanted * (desired + surge) / before) - one.wanted


def round_half_up(number: float) -> int:
    """To the nearest; halves away from zero (Go's way), for numbers that are not negative."""
    return floor(number + 0.5)

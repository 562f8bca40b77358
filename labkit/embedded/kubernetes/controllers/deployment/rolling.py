"""How a rollout goes on: from desired numbers and what there is to what each ReplicaSet shall be. Pure.

``pkg/controller/deployment/rolling.go`` and ``util/deployment_util.go``. What must hold: never more pods than desired
and surge together, never fewer available than desired less unavailable, as far as it is up to the controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.embedded.kubernetes.controllers.percent import IntOrPercent, resolve


@dataclass(frozen=True, slots=True)
class Size:
    """A ReplicaSet as the rollout sees it. ``wanted`` is its spec.replicas, the rest its status."""

    name: str
    wanted: int
    available: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rollout may do at most."""

    surge: int
    unavailable: int


def limits(surge: IntOrPercent, unavailable: IntOrPercent, desired: int) -> Limits:
    """Surge rounded up, unavailable rounded down; if that leaves nothing to move with, one may be unavailable."""
    more, less = resolve(surge, desired, up=True), resolve(unavailable, desired, up=False)
    return Limits(more, 1 if more == 0 and less == 0 else less)


def most_unavailable(desired: int, allowed: Limits) -> int:
    """How many may be missing: never more than there shall be."""
    return min(allowed.unavailable, desired)


def new_size(desired: int, allowed: Limits, new: int, total: int) -> int:
    """What the newest ReplicaSet shall have; ``total`` is the sum of what all shall have now, its own included."""
    room = desired + allowed.surge - total
    return new if room <= 0 else new + min(room, desired - new)


def scale_new(desired: int, allowed: Limits, new: Size, old: Sequence[Size]) -> int:
    """The newest ReplicaSet's next size: down to what is desired at once, up as far as there is room."""
    if new.wanted >= desired:
        return desired
    return new_size(desired, allowed, new.wanted, new.wanted + sum(one.wanted for one in old))


def scale_old(desired: int, allowed: Limits, new: Size, old: Sequence[Size]) -> dict[str, list[int]]:
    """The next sizes of old ReplicaSets (oldest first), by name, those that change only.

    First what is not available goes, for it does not serve anyway; then as many as may be missing. A set may be in for
    both, one after the other: the sizes are steps.
    """
    steps: dict[str, list[int]] = {}
    sizes = {one.name: one.wanted for one in old}
    if not any(sizes.values()):
        return steps
    at_least = desired - most_unavailable(desired, allowed)
    not_there_yet = new.wanted - new.available
    most = new.wanted + sum(sizes.values()) - at_least - not_there_yet
    if most <= 0:
        return steps

    def shrink(one: Size, number: int) -> None:
        sizes[one.name] -= number
        steps.setdefault(one.name, []).append(sizes[one.name])

    cleaned = 0
    for one in old:
        if cleaned >= most:
            break
        broken = min(most - cleaned, one.wanted - one.available)
        if one.wanted and broken > 0:
            cleaned += broken
            shrink(one, broken)
    spare = new.available + sum(one.available for one in old) - at_least
    for one in old:
        if spare <= 0:
            break
        number = min(sizes[one.name], spare)
        if number > 0:
            spare -= number
            shrink(one, number)
    return steps

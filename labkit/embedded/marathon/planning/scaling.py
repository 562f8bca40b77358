"""How many to start and whom to kill (``core/deployment/ScalingProposition.scala``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from labkit.embedded.marathon import constraints
from labkit.embedded.marathon.planning.instances import RUN, Deployed
from labkit.embedded.marathon.specs.app import App

I = TypeVar("I", bound=Deployed)  # noqa: E741

OLDEST_FIRST = "OLDEST_FIRST"

# Who is least useful goes first: those out of reach, those that do not run yet. All else comes last.
_WEIGHTS = {"Unreachable": 1, "Staging": 2, "Starting": 3, "Running": 4}


@dataclass(frozen=True)
class Proposition(Generic[I]):
    """Whom to kill, and how many to start, so that there are as many as there should be (``ScalingProposition``)."""

    to_decommission: list[I]  # in the order in which they are to be killed
    to_start: int


def kill_order(instances: Iterable[I], selection: str) -> list[I]:
    """In the order in which they would be killed: by condition, then by age (``sortByConditionAndDate``)."""
    sign = 1 if selection == OLDEST_FIRST else -1

    def key(instance: I) -> tuple[int, bool, float]:
        condition = instance.condition
        time = (
            instance.staged_at
            if condition == "Staging"
            else instance.since
            if condition == "Starting"
            else instance.started_at
        )
        # Those that never started go before those that did, whatever the selection says.
        return (_WEIGHTS.get(condition, 5), time is not None, sign * (time or 0.0))

    return sorted(instances, key=key)


def propose(
    app: App, instances: Iterable[I], scale_to: int | None = None, to_kill: Collection[str] = ()
) -> Proposition[I]:
    """What it takes to have ``scale_to`` instances (of an app: as many as it wants), of all there are now.

    ``to_kill``: ids of those that have to go in any case. Those that are to end already, and those that were given up
    as unreachable, do not count.
    """
    wanted = app.instances if scale_to is None else scale_to
    running = [each for each in instances if each.goal == RUN and each.condition != "UnreachableInactive"]
    sentenced = [each for each in running if each.id in to_kill]
    others = [each for each in running if each.id not in to_kill] if sentenced else running
    count = max(len(running) - wanted, len(sentenced))
    uneven: Sequence[I] = ()
    if count > len(sentenced):
        uneven = constraints.to_kill(app.constraints, others, count - len(sentenced))
    chosen = [*sentenced, *uneven]
    if len(chosen) < count:
        taken = {each.id for each in uneven}
        chosen += kill_order((each for each in others if each.id not in taken), app.kill_selection)
    return Proposition(chosen[:count], wanted - len(running) + count)

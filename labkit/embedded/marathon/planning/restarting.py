"""The arithmetic of a rolling restart (``core/deployment/impl/TaskReplaceActor.scala``)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.marathon.planning.instances import RUN, Deployed
from labkit.embedded.marathon.specs.app import App


@dataclass(frozen=True, slots=True)
class RestartStrategy:
    """``kill_now``: old instances to kill before anything is started; ``max_capacity``: instances at any time."""

    kill_now: int
    max_capacity: int


def restart_strategy(app: App, instances: Iterable[Deployed]) -> RestartStrategy:
    """For all instances of the app as they are now, old and new. The app must want at least one."""
    assert app.instances > 0, f"instances must be > 0 but is {app.instances}"
    current = list(instances)
    healthy = sum(each.goal == RUN and each.considered_healthy for each in current)
    min_healthy = math.ceil(app.instances * app.minimum_health_capacity)
    max_capacity = int(app.instances * (1 + app.maximum_over_capacity))
    kill_now = max(0, healthy - min_healthy)
    if min_healthy == max_capacity <= healthy:
        # None may be missing and none may be too many: one too many is allowed, or it would never begin.
        max_capacity += 1
    if app.instances < len(current):
        # A deployment that was cut short has left more than there should be.
        kill_now = max(len(current) - app.instances, kill_now)
    return RestartStrategy(kill_now, max_capacity)


@dataclass(slots=True)
class Replacement:
    """How far the replacement of an app's instances has come; kept by whoever carries it out.

    At the start ``kill_now`` of ``to_kill`` are killed and ``start_now()`` are started; then, whenever a new one is
    healthy and ready, the next of ``to_kill``; whenever an old one has ended, ``start_now()`` again.
    """

    instances: int
    strategy: RestartStrategy
    to_kill: list[str]  # ids of old instances, the next one first
    old: set[str]  # ids of old instances that have not ended
    started: int  # new instances that were started or are scheduled

    def start_now(self) -> int:
        """How many new instances may be started at this moment; they count as started from then on."""
        room = max(0, self.strategy.max_capacity - len(self.old) - self.started)
        count = min(max(0, self.instances - self.started), room)
        self.started += count
        return count

    def kill_next(self) -> str | None:
        """The id of the next old instance to kill, which is then no longer in the queue."""
        return self.to_kill.pop(0) if self.to_kill else None


def to_replace(app: App, instances: Iterable[Deployed]) -> Replacement:
    """The replacement of all instances of the app that run another version than ``app``'s."""
    current = list(instances)
    new = [each for each in current if each.version == app.version]
    old = [each for each in current if each.version != app.version and each.goal == RUN]
    # Those that are of no use go first.
    order = sorted(old, key=lambda each: each.considered_healthy)
    return Replacement(
        app.instances,
        restart_strategy(app, current),
        [each.id for each in order],
        {each.id for each in old},
        len(new),
    )

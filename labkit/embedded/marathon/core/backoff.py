"""How long an app that fails waits for its next start.

``core/launchqueue/impl/RateLimiter.scala``: the delay belongs to an app's *config version* (scaling and restarting keep
it, a changed definition starts afresh), grows by ``backoffFactor`` up to ``maxLaunchDelaySeconds``, begins anew with
each sign of life of a new task, and is forgotten once nothing failed for ``maxLaunchDelaySeconds``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App


@dataclass(frozen=True, slots=True)
class Delay:
    """No launch until ``since + seconds``."""

    since: float
    seconds: float
    maximum: float

    @property
    def deadline(self) -> float:
        return self.since + self.seconds


class RateLimiter:
    """The delays of all apps."""

    def __init__(self) -> None:
        self._delays: dict[tuple[str, str], Delay] = {}
        self._moved: list[Callable[[str], object]] = []

    def on_move(self, fn: Callable[[str], object]) -> None:
        """Have ``fn(app id)`` called when a deadline has moved: whoever wakes up at it must know."""
        self._moved.append(fn)

    def _tell(self, app: App) -> None:
        for fn in self._moved:
            fn(app.id)

    def add(self, app: App, now: float) -> float:
        """A task of it failed: it waits longer. Returns until when."""
        key = (app.id, app.config_version)
        maximum = app.max_launch_delay
        delay = self._delays.get(key)
        seconds = app.backoff if delay is None else delay.seconds * app.backoff_factor
        self._delays[key] = delay = Delay(now, min(seconds, maximum), maximum)
        self._tell(app)
        return delay.deadline

    def advance(self, app: App, now: float) -> None:
        """A task of it shows life: whatever delay there is begins now."""
        key = (app.id, app.config_version)
        delay = self._delays.get(key)
        if delay is not None:
            self._delays[key] = Delay(now, delay.seconds, delay.maximum)
            self._tell(app)

    def reset(self, app: App) -> None:
        """Let it start at once, and the next failure count as the first."""
        self._delays.pop((app.id, app.config_version), None)

    def deadline(self, app: App, now: float) -> float:
        """When it may be launched; ``now`` or before when nothing holds it."""
        delay = self._delays.get((app.id, app.config_version))
        return now if delay is None else delay.deadline

    def forget_overdue(self, now: float) -> None:
        """Forget delays of apps in which nothing failed for as long as a delay may last."""
        for key in [key for key, delay in self._delays.items() if now > delay.since + delay.maximum]:
            del self._delays[key]

"""Which instances wait for an offer, since when, and why no offer has done yet.

``core/launchqueue``: an app is in the queue while instances of it are scheduled. Its statistics
(``processedOffersSummary`` of ``/v2/queue``) begin anew with each launch attempt, that is when it enters the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon.core.backoff import RateLimiter
from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.marathon.matching import Statistics
from labkit.embedded.runtime.clock import Clock, Timer

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App

Json = dict[str, Any]


class Entry:
    """One app in the queue."""

    __slots__ = ("app_id", "since", "statistics", "waiting")

    def __init__(self, app_id: str, now: float) -> None:
        self.app_id = app_id
        self.waiting: dict[str, Instance] = {}
        self.since = now
        self.statistics = Statistics()

    @property
    def app(self) -> App:
        """The version that is launched next."""
        return next(iter(self.waiting.values())).app


class LaunchQueue:
    """The queue. ``changed()`` is called when there may be more to launch than before, or nothing any more."""

    def __init__(
        self,
        clock: Clock,
        tracker: InstanceTracker,
        limiter: RateLimiter,
        new_id: Callable[[App], str],
        changed: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._tracker = tracker
        self._limiter = limiter
        self._new_id = new_id
        self._changed = changed
        self._timer: Timer | None = None
        self._telling = False
        self.entries: dict[str, Entry] = {}
        tracker.subscribe(self._instance_changed)
        limiter.on_move(self._delay_moved)

    def add(self, app: App, count: int) -> list[Instance]:
        """Launch this many instances of it when there are offers."""
        return [self._tracker.schedule(app, self._new_id(app)) for _ in range(count)]

    def reset_delay(self, app: App) -> None:
        """Launch it now, however often it has failed."""
        self._limiter.reset(app)
        self._tell()

    def delay(self, entry: Entry) -> Json:
        """``delay`` of ``/v2/queue``. Overdue: it waits for nothing but an offer."""
        left = self._limiter.deadline(entry.app, self._clock.time()) - self._clock.time()
        return {"timeLeftSeconds": max(0, round(left)), "overdue": left <= 0}

    def ready(self) -> Iterator[Entry]:
        """What may be launched now, in the order in which it came."""
        now = self._clock.time()
        return (entry for entry in self.entries.values() if self._limiter.deadline(entry.app, now) <= now)

    def take(self, instance: Instance) -> None:
        """There is an offer for it: it waits no more."""
        entry = self.entries.get(instance.app_id)
        if entry is not None and entry.waiting.pop(instance.id, None) is not None and not entry.waiting:
            del self.entries[instance.app_id]
            self._tell()

    def close(self) -> None:
        """Launch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.entries.clear()

    def _instance_changed(self, instance: Instance, before: str) -> None:
        entry = self.entries.get(instance.app_id)
        if instance.scheduled and instance.id in self._tracker.by_id:
            if entry is None:
                entry = self.entries[instance.app_id] = Entry(instance.app_id, self._clock.time())
            if instance.id not in entry.waiting:
                entry.waiting[instance.id] = instance
                self._tell()
        else:
            self.take(instance)

    def _delay_moved(self, app_id: str) -> None:
        """It may have been due, and is not any more: then nobody else would wake up for it."""
        if app_id in self.entries:
            self._tell()

    def _tell(self) -> None:
        """Once for everything that changes in one go."""
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._told)

    def _told(self) -> None:
        self._telling = False
        self._arm()
        self._changed()

    def _arm(self) -> None:
        """Wake up when the next delay is over."""
        now = self._clock.time()
        later = [
            deadline for entry in self.entries.values() if (deadline := self._limiter.deadline(entry.app, now)) > now
        ]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if later:
            self._timer = self._clock.call_later(min(later) - now, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._told()

"""What goes out of the picture by itself, by and by: tasks that died, offers that were answered.

Times are seconds on the clock of ``now``, which the caller gives.
"""

from __future__ import annotations

import heapq

from labkit.model import Snapshot, Task

FRESH = 2.5  # seconds that a task which died is drawn in full colour
FADE = 9.0  # seconds until it is gone
ANSWERED = 2.0  # seconds that the line of an offer stays, paler, after its framework answered


class Fading:
    """When each thing began to go, and when the next one looks different."""

    def __init__(self) -> None:
        self.answered: dict[str, float] = {}  # framework whose last offer went → until when that is shown
        self._died: dict[str, float] = {}
        self._deadlines: list[tuple[float, str]] = []

    @property
    def next_change(self) -> float | None:
        due = [*self.answered.values(), *(deadline for deadline, _ in self._deadlines[:1])]
        return min(due, default=None)

    def note(self, key: str, old: Task | None, new: Task | None, now: float) -> None:
        """A task came, changed or went. One that was never seen alive is gone at once."""
        if new is None or new.in_place:
            self._died.pop(key, None)
        elif key not in self._died:
            seen_alive = old is not None and old.in_place
            self._died[key] = now if seen_alive else now - FADE
            if seen_alive:
                heapq.heappush(self._deadlines, (now + FRESH, key))
                heapq.heappush(self._deadlines, (now + FADE, key))

    def due(self, now: float) -> set[str]:
        """The tasks that have come to look different since this was asked last."""
        found = set()
        while self._deadlines and self._deadlines[0][0] <= now:
            found.add(heapq.heappop(self._deadlines)[1])
        return found

    def is_pale(self, key: str, task: Task, now: float) -> bool:
        return self._is_dead_for(key, task, now, FRESH)

    def is_gone(self, key: str, task: Task, now: float) -> bool:
        return self._is_dead_for(key, task, now, FADE)

    def _is_dead_for(self, key: str, task: Task, now: float, seconds: float) -> bool:
        return not task.in_place and now - self._died.get(key, 0.0) >= seconds

    def answer(self, before: Snapshot | None, snapshot: Snapshot, now: float) -> bool:
        """Remember who answered its last offer just now, forget who did a while ago; whether there is anything new."""
        was = dict(self.answered)
        for key, old in (before.frameworks if before is not None else {}).items():
            new = snapshot.frameworks.get(key)
            if old.offers and new is not None and not new.offers:
                self.answered[key] = now + ANSWERED
        self.answered = {
            key: until
            for key, until in self.answered.items()
            if until > now and key in snapshot.frameworks and not snapshot.frameworks[key].offers
        }
        return was != self.answered

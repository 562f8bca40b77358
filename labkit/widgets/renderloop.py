"""The one thread that writes to widgets.

Watchers, callbacks and workers only *mark* a view; this thread draws marked views, each at most so many times a
second, under one lock. Several writers without a lock left the browser different from Python in two of ten trials,
and nothing in the browser pushes back: what is sent faster than it can draw piles up there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)

AFTER_ERROR = 2.0  # seconds until a view that failed is tried again


class View(Protocol):
    """Something that is drawn."""

    def render(self, now: float) -> float | None:
        """Draw what is new. Seconds until it wants to be drawn again without being marked; None for never."""

    @property
    def gap(self) -> float:
        """Seconds from one frame to the next, at least."""

    def failed(self, error: Exception) -> None:
        """Told of what :meth:`render` raised. Must not raise."""


class RenderLoop:
    """Draws marked views on a thread of its own, which lives as long as there are views."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[View, float | None] = {}
        self._last: dict[View, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, view: View) -> None:
        """Draw a view from now on, first at once."""
        with self._changed:
            self._due[view] = self._clock()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="labkit-render", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drop(self, view: View) -> None:
        """Draw a view no more; the thread ends with the last one."""
        with self._changed:
            self._due.pop(view, None)
            self._last.pop(view, None)
            self._changed.notify_all()

    def mark(self, view: View) -> None:
        """A view has something new to show. Cheap; from any thread; many marks before a frame are one frame."""
        with self._changed:
            if view in self._due:
                self._want(view, max(self._clock(), self._last.get(view, 0.0) + view.gap))
                self._changed.notify_all()

    def draw_due(self) -> float | None:
        """Draw what is due now; seconds until the next is, None if nothing is."""
        now = self._clock()
        with self._changed:
            due = [view for view, when in self._due.items() if when is not None and when <= now]
            for view in due:
                self._due[view] = None
                self._last[view] = now
        for view in due:
            self._draw(view, now)
        with self._changed:
            times = [when for when in self._due.values() if when is not None]
        return max(0.0, min(times) - self._clock()) if times else None

    def _draw(self, view: View, now: float) -> None:
        try:
            with self.lock:
                again = view.render(now)
        except Exception as error:
            log.exception("drawing a view failed")
            view.failed(error)
            again = AFTER_ERROR
        if again is not None:
            with self._changed:
                if view in self._due:
                    self._want(view, now + max(again, view.gap))

    def _want(self, view: View, when: float) -> None:
        before = self._due[view]
        self._due[view] = when if before is None else min(before, when)

    def _run(self) -> None:
        while True:
            wait = self.draw_due()
            with self._changed:
                if not self._due:
                    self._thread = None
                    return
                times = [when for when in self._due.values() if when is not None]
                if wait is None and times:
                    continue
                left = min(times) - self._clock() if times else None
                if left is None or left > 0:
                    self._changed.wait(left)


LOOP = RenderLoop()

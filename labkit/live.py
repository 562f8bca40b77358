"""The watcher: one thread a cluster that keeps the latest snapshot and the history, and tells subscribers what changed.

Everything that shows a cluster (graph, dashboard, lab panels, ``labkit graph --watch``) subscribes here instead of
asking the cluster itself, so ten views cost as much as one. The thread never dies of an error: what could not be
read leaves the last picture in place, marked with :attr:`Live.error`, and the next look is a little later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from .events import describe
from .model import Diff, Event, Snapshot, diff

log = logging.getLogger(__name__)

Subscriber = Callable[[Snapshot, Diff], None]

HISTORY = 600  # moments kept for scrubbing back: ten minutes of a cluster that changes every second
EVENTS = 1000
STALE_AFTER = 6.0  # seconds without a good look until a picture must say that it is old
SLICE = 0.5  # longest single wait(), so that stop() and poke() are heard in time
MIN_GAP = 0.1  # shortest time between two looks: a burst of changes is one picture
BACKOFF = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between looks while the cluster cannot be read


class Watched(Protocol):
    """The part of an orchestrator adapter that watching needs."""

    name: str

    def snapshot(self, previous: Snapshot | None) -> Snapshot:
        """The cluster now; unchanged objects are those of ``previous``."""

    def wait(self, timeout: float) -> None:
        """Block until something may have changed, ``timeout`` seconds at most."""


class Live:
    """The live view of one cluster.

    Subscribers are called on the watcher's thread with ``(snapshot, diff)``; what one of them raises is kept in
    :attr:`error` and logged, and does not keep the others from being called.

    Args:
        orchestrator: the adapter to look through.
        interval: seconds between looks when nothing announces a change.
        now: the wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        orchestrator: Watched,
        *,
        interval: float = 1.0,
        history: int = HISTORY,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._orchestrator = orchestrator
        self._interval = interval
        self._now = now
        self._history: deque[tuple[Snapshot, Diff]] = deque(maxlen=history)
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._subscribers: dict[int, Subscriber] = {}
        self._next_key = 0
        self._state = threading.Condition()  # guards everything below and announces each look
        self._latest: Snapshot | None = None
        self._looks = 0
        self._looking = False
        self._one_look = threading.Lock()  # refresh() looks by itself when no thread is there to do it
        self._failures = 0
        self._read_error = ""
        self._subscriber_error = ""
        self._updated_at = 0.0
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # What is known -------------------------------------------------------------------------------------------

    @property
    def latest(self) -> Snapshot:
        """The newest picture; an empty one with its ``error`` set before the first look succeeded."""
        latest = self._latest
        if latest is None:
            return Snapshot(at=0.0, orchestrator=self._orchestrator.name, error=self._read_error or "not read yet")
        return latest

    @property
    def history(self) -> tuple[tuple[Snapshot, Diff], ...]:
        """The moments at which something changed, oldest first."""
        with self._state:
            return tuple(self._history)

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, oldest first."""
        with self._state:
            return tuple(self._events)

    @property
    def error(self) -> str:
        """Why the picture is not current or not complete, in one line; empty when all is well."""
        return self._read_error or (self._latest.error if self._latest else "") or self._subscriber_error

    @property
    def updated_at(self) -> float:
        """When the cluster was last read without an error; 0.0 for never."""
        return self._updated_at

    @property
    def stale(self) -> bool:
        """Whether the picture is older than a watcher that works would leave it."""
        return self._now() - self._updated_at > STALE_AFTER

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    # Control -------------------------------------------------------------------------------------------------

    def start(self) -> Live:
        """Start watching; does nothing when it already does."""
        with self._state:
            if self.running:
                return self
            self._stopping.clear()
            name = f"labkit-live-{self._orchestrator.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Stop watching and wait for the thread to end. The last picture, history and events stay readable."""
        self._stopping.set()
        self._poked.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        with self._state:
            self._state.notify_all()

    def poke(self) -> None:
        """Ask for a look right now, without waiting for it."""
        self._poked.set()
        wake = getattr(self._orchestrator, "wake", None)
        if callable(wake):  # an adapter that can interrupt its own wait()
            wake()

    def refresh(self, timeout: float = 5.0) -> Snapshot:
        """A picture that was taken after this call; the newest one there is if none came within ``timeout`` seconds."""
        if threading.current_thread() is self._thread or not self.running:
            self._look()
            return self.latest
        with self._state:
            # A look that is under way now may have begun before the change that the caller wants to see.
            wanted = self._looks + (2 if self._looking else 1)
            self.poke()
            self._state.wait_for(lambda: self._looks >= wanted or self._stopping.is_set(), timeout)
        return self.latest

    def subscribe(self, fn: Subscriber) -> Callable[[], None]:
        """Call ``fn(snapshot, diff)`` after every change. Returns the function that ends it."""
        with self._state:
            key, self._next_key = self._next_key, self._next_key + 1
            self._subscribers[key] = fn

        def unsubscribe() -> None:
            with self._state:
                self._subscribers.pop(key, None)

        return unsubscribe

    # The watcher ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._poked.clear()
            self._look()
            self._pause()

    def _pause(self) -> None:
        """Wait until there is a reason to look again."""
        if self._failures:
            self._poked.wait(BACKOFF[min(self._failures, len(BACKOFF)) - 1])
            return
        self._stopping.wait(MIN_GAP)
        deadline = time.monotonic() + self._interval
        while not self._poked.is_set() and (left := deadline - time.monotonic()) > 0:
            began = time.monotonic()
            allowed = min(left, SLICE)
            try:
                self._orchestrator.wait(allowed)
            except Exception as error:
                self._read_error = _one_line(error)
                self._poked.wait(allowed)
                return
            if time.monotonic() - began < allowed * 0.95:  # it came back early: something may have changed
                return

    def _look(self) -> None:
        """Take one picture and tell everybody what is new in it."""
        with self._one_look:
            with self._state:
                self._looking = True
            try:
                self._take()
            finally:
                with self._state:
                    self._looks += 1
                    self._looking = False
                    self._state.notify_all()

    def _take(self) -> None:
        previous = self._latest
        try:
            snapshot = self._orchestrator.snapshot(previous)
            self._read_error = ""
        except Exception as error:
            log.debug("cannot read %s", self._orchestrator.name, exc_info=True)
            self._read_error = _one_line(error)
            snapshot = (
                replace(previous, error=self._read_error)
                if previous is not None
                else Snapshot(at=self._now(), orchestrator=self._orchestrator.name, error=self._read_error)
            )
        self._failures = self._failures + 1 if self._read_error else 0
        changes = diff(previous, snapshot)
        with self._state:
            if not snapshot.error:
                self._updated_at = self._now()
            self._latest = snapshot
            if changes or previous is None:
                self._history.append((snapshot, changes))
                self._events.extend(describe(previous, snapshot, changes, self._now()))
            subscribers = list(self._subscribers.values()) if changes or previous is None else []
        self._tell(subscribers, snapshot, changes)

    def _tell(self, subscribers: list[Subscriber], snapshot: Snapshot, changes: Diff) -> None:
        errors = []
        for subscriber in subscribers:
            try:
                subscriber(snapshot, changes)
            except Exception as error:
                log.exception("a subscriber of the live view failed")
                errors.append(f"a view failed: {_one_line(error)}")
        if subscribers:
            self._subscriber_error = "; ".join(errors)


def _one_line(error: BaseException) -> str:
    text = str(getattr(error, "explanation", None) or error).strip().splitlines()
    return text[0] if text else type(error).__name__

"""When to look at a swarm again: at once when Docker tells of an event, otherwise at a pace that follows what happens.

Docker has no events for tasks, so a swarm that moves is looked at often, one that rests seldom, and one that is
expensive to read (thousands of tasks) no more than a tenth of the time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

_MOVING = ((2.0, 0.15), (10.0, 0.5))  # (seconds since the last change, seconds between looks)
_RESTING = 1.0
_SHARE = 10.0  # a look may cost one part in this many
_REST = 4.0  # after a look, no other for so many times what it took, whatever happens
_RECONNECT = 1.0  # seconds until a broken event stream is opened again


class Source(Protocol):
    """An endpoint that events can be had from."""

    @property
    def name(self) -> str: ...

    def events(self) -> Any: ...


def pace(since_change: float, cost: float) -> float:
    """Seconds until the next look, when the last change was so long ago and a look takes so long."""
    usual = next((pause for limit, pause in _MOVING if since_change < limit), _RESTING)
    return max(usual, cost * _SHARE)


class Waiting:
    """Blocks a watcher until something may have changed; its event thread starts with the first wait."""

    def __init__(self, source: Callable[[], Source], clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._news = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stream: Any = None
        self._listening_to = ""
        self._changed_at = clock()
        self._cost = 0.0
        self._looked_at = clock()

    def looked(self, cost: float, *, changed: bool) -> None:
        """Tells that somebody looked, how long it took (seconds) and whether there was anything new."""
        self._cost = cost
        self._looked_at = self._clock()
        if changed:
            self._changed_at = self._clock()

    def wake(self) -> None:
        """Something is about to change: look at once, and often for a while."""
        self._changed_at = self._clock()
        self._news.set()

    def wait(self, timeout: float) -> None:
        self._start()
        begun = self._clock()
        # A thousand tasks that start are thousands of events: looking at each would keep the engine from starting them.
        rest = self._looked_at + self._cost * _REST - begun
        if rest > 0:
            self._closed.wait(min(rest, timeout))
        left = timeout - (self._clock() - begun)
        if left <= 0:
            return  # news, if there is any, is for the next wait
        self._news.wait(min(left, pace(self._clock() - self._changed_at, self._cost)))
        self._news.clear()

    def close(self) -> None:
        self._closed.set()
        self._news.set()
        self._hang_up()
        if self._thread is not None:
            self._thread.join(timeout=1.0)  # one that sits in ssh ends with the process

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._listen, name="labkit-swarm-events", daemon=True)
                self._thread.start()
        # The manager that the events came from may have been failed, and a paused one just says nothing.
        if self._stream is not None and self._source().name != self._listening_to:
            self._hang_up()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                source = self._source()
                stream = source.events()
                with self._lock:
                    self._stream, self._listening_to = stream, source.name
                if self._closed.is_set():
                    self._hang_up()
                for _ in stream:
                    self.wake()
            except Exception:
                # Whatever went wrong with it, a stream of events is a convenience: the watcher looks by itself too.
                pass
            self._hang_up()
            self._closed.wait(_RECONNECT)

    def _hang_up(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):  # docker-py reaches into sockets here; a dead one is as good as closed
                stream.close()

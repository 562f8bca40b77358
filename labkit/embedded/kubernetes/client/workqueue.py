"""The queue between those who notice that something changed and those who bring it in order.

As ``k8s.io/client-go/util/workqueue``: a key waits once however often it is added; one that is being worked on comes
back afterwards, never to a second worker meanwhile; one that fails comes back after 5 ms, 10 ms, … up to 1000 s. (The
overall limit of ten retries a second that client-go adds on top is left out.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from labkit.embedded.runtime.clock import Clock, Timer

K = TypeVar("K", bound=Hashable)

BASE_DELAY = 0.005
MAX_DELAY = 1000.0


class WorkQueue(Generic[K]):
    """Keys to be worked on. Not more than one worker has a key at a time."""

    def __init__(self, clock: Clock, *, base: float = BASE_DELAY, ceiling: float = MAX_DELAY) -> None:
        self._clock = clock
        self._base, self._ceiling = base, ceiling
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()  # must be worked on (again)
        self._working: set[K] = set()
        self._later: dict[K, Timer] = {}
        self._failures: dict[K, int] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing waits for a worker and nobody works; some may be due later."""
        return not self._ready and not self._working

    def add(self, key: K) -> None:
        """Have it worked on soon."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._put(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have it worked on after so many sandbox seconds; an earlier date that it already has stays."""
        if seconds <= 0:
            self.add(key)
            return
        timer = self._later.get(key)
        if timer is not None:
            if timer.when <= self._clock.time() + seconds:
                return
            timer.cancel()
        self._later[key] = self._clock.call_later(seconds, self._due, key)

    def retry(self, key: K, ceiling: float | None = None) -> float:
        """Have it worked on again after a pause that doubles with each retry; returns that pause.

        ``ceiling`` bounds the pause for this retry only.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = min(self._base * 2.0 ** min(failures, 60), self._ceiling if ceiling is None else ceiling)
        self.add_after(key, pause)
        return pause

    def retries(self, key: K) -> int:
        """How often it has failed since it was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """It went well: the next retry begins with a short pause again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; :meth:`done` must follow."""
        while not self._ready:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(woken)
            try:
                await woken
            except BaseException:
                if woken in self._waiting:
                    self._waiting.remove(woken)
                elif self._ready:  # it was woken and taken away in one go: the next one's turn
                    self._wake()
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Its worker has finished; if it was added meanwhile, it is ready again."""
        self._working.discard(key)
        if key in self._dirty:
            self._put(key)

    def clear(self) -> None:
        """Forget everything, timers too."""
        for timer in self._later.values():
            timer.cancel()
        for store in (self._ready, self._dirty, self._working, self._later, self._failures):
            store.clear()

    def _due(self, key: K) -> None:
        del self._later[key]
        self.add(key)

    def _put(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)
                return

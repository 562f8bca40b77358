"""How many statuses that are soon overtaken the kubelets of a sandbox write.

A real kubelet's client may send 50 requests a second, a hundred at once (``--kube-api-qps``, ``--kube-api-burst``), and
its status manager writes the newest status only: on a machine that is flooded with pods, most of them go from
``Pending`` straight to ``Running``, and nobody ever reads that their containers were being created. Here one process
stands for all machines, so they share one allowance, and it is for that passing status alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from labkit.embedded.runtime.clock import Clock, Timer

RATE, BURST = 50, 100  # a second, and how many at once
TURN = 0.1  # seconds between two looks at those that wait


class Allowance:
    """A bucket of tokens, and a queue of those that wait for one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens, self._since = float(BURST), clock.time()
        self._waiting: deque[Callable[[], bool]] = deque()
        self._timer: Timer | None = None

    def ask(self, write: Callable[[], bool]) -> None:
        """Call ``write()`` now, or when it is its turn. It returns False when there is nothing to write any more."""
        if not self._waiting and self._take():
            write()
            return
        self._waiting.append(write)
        if self._timer is None:
            self._timer = self._clock.call_later(TURN, self._turn)

    def _take(self) -> bool:
        now = self._clock.time()
        self._tokens = min(float(BURST), self._tokens + (now - self._since) * RATE)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _turn(self) -> None:
        self._timer = None
        while self._waiting and self._take():
            while self._waiting and not self._waiting.popleft()():
                pass
        if self._waiting:
            self._timer = self._clock.call_later(TURN, self._turn)

"""Pauses between tries at a server that does not answer."""

from __future__ import annotations

from labkit.embedded.runtime.clock import Clock

# ``k8s.io/client-go/tools/cache/reflector.go``: 800 ms, doubling up to 30 s, and from the start again when two minutes
# went by without a failure. Its jitter (up to as much again) would only make lessons slower.
FIRST, LAST, RESET = 0.8, 30.0, 120.0


class Backoff:
    """The pauses of a reflector."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = FIRST
        self._failed_at = float("-inf")

    def next(self) -> float:
        """The pause that is due now."""
        now = self._clock.time()
        if now - self._failed_at > RESET:
            self._next = FIRST
        self._failed_at = now
        pause, self._next = self._next, min(self._next * 2, LAST)
        return pause

    def reset(self) -> None:
        """It answered."""
        self._next = FIRST

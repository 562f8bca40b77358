"""Pauses that double: between restarts of a container that keeps ending, and between tries to pull an image."""

from __future__ import annotations

from dataclasses import dataclass

FIRST, LONGEST = 10.0, 300.0
FORGOTTEN = 2 * LONGEST  # seconds of quiet after which it begins anew


@dataclass(slots=True)
class Backoff:
    """One container's or image's. ``delay`` 0: it has not failed yet."""

    delay: float = 0.0
    since: float = 0.0

    def remaining(self, now: float, failed_at: float) -> float:
        """Seconds until the next try is allowed, for something that failed then."""
        if now - self.since > FORGOTTEN:
            return 0.0
        return max(0.0, failed_at + self.delay - now)

    def next(self, now: float) -> None:
        """Another try is made."""
        if not self.delay or now - self.since > FORGOTTEN:
            self.delay = FIRST
        else:
            self.delay = min(self.delay * 2, LONGEST)
        self.since = now

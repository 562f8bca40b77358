"""What an agent counts, for ``/metrics/snapshot``."""

from __future__ import annotations

from collections import Counter


class Tally:
    """Counters since the agent's machine was put up."""

    def __init__(self) -> None:
        self.launched = 0
        self.updates = 0
        self.ended: Counter[str] = Counter()

    def count(self, state: str) -> None:
        """A task has ended in this state."""
        self.ended[state] += 1

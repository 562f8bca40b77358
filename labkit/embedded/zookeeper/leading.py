"""What the leader alone does: it knows when each session was heard of last, and who serves it.

Numbers and rounding are those of ``SessionTrackerImpl``: a session expires at a multiple of the tick after its timeout
(so up to a tick later), and a new leader gives every session its whole timeout again.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.embedded.zookeeper.tree import SessionRecord


class Sessions:
    """Deadlines and owners, in sandbox seconds."""

    def __init__(self, tick: float, now: float, records: Iterable[SessionRecord]) -> None:
        self._tick = tick
        self._deadlines: dict[int, float] = {}
        self._timeouts: dict[int, int] = {}
        self.owners: dict[int, int] = {}  # session -> connection
        self.closing: set[int] = set()
        for record in records:
            self.opened(record, now)

    def opened(self, record: SessionRecord, now: float) -> None:
        """A session is new, or taken over from an earlier leader: its whole timeout lies before it."""
        self._timeouts[record.id] = record.timeout
        self.touch(record.id, now)

    def closed(self, id: int) -> None:
        """It is gone."""
        self._timeouts.pop(id, None)
        self._deadlines.pop(id, None)
        self.owners.pop(id, None)
        self.closing.discard(id)

    def touch(self, id: int, now: float) -> None:
        """Its client has been heard of."""
        timeout = self._timeouts.get(id)
        if timeout is None:
            return
        deadline = ((now + timeout / 1000) // self._tick + 1) * self._tick
        if deadline > self._deadlines.get(id, 0.0):
            self._deadlines[id] = deadline

    def alive(self, id: int) -> bool:
        """Is it known, and not about to be closed?"""
        return id in self._timeouts and id not in self.closing

    def due(self, now: float) -> list[int]:
        """Sessions whose time is over, each said once."""
        late = [id for id, deadline in self._deadlines.items() if deadline <= now and id not in self.closing]
        self.closing.update(late)
        return late

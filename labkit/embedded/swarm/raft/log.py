"""The log of one member: entries after a compacted beginning."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.swarm.raft.messages import Entry


class Log:
    """Indexes are Raft's own, from 1. Everything up to ``start`` has been compacted away (0: nothing has)."""

    def __init__(self, start: int = 0, start_term: int = 0, entries: Sequence[Entry] = ()) -> None:
        self.start = start
        self.start_term = start_term
        self._entries = list(entries)

    @property
    def last(self) -> int:
        """Index of the last entry."""
        return self.start + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.start_term

    def term(self, index: int) -> int | None:
        """The term of the entry at ``index``; None where the log does not reach or no longer reaches."""
        if index == self.start:
            return self.start_term
        if self.start < index <= self.last:
            return self._entries[index - self.start - 1].term
        return None

    def slice(self, low: int, high: int | None = None) -> tuple[Entry, ...]:
        """Entries ``low`` to ``high``, both included; ``low`` must be after ``start``."""
        end = None if high is None else high - self.start
        return tuple(self._entries[low - self.start - 1 : end])

    def append(self, entry: Entry) -> None:
        """Add the next entry."""
        self._entries.append(entry)

    def truncate(self, index: int) -> None:
        """Drop the entry at ``index`` and everything after it."""
        del self._entries[index - self.start - 1 :]

    def compact(self, index: int) -> None:
        """Forget everything up to and including ``index``."""
        term = self.term(index)
        if term is None or index <= self.start:
            return
        del self._entries[: index - self.start]
        self.start, self.start_term = index, term

    def up_to_date(self, index: int, term: int) -> bool:
        """Whether a log that ends with (``index``, ``term``) has all that this one may have committed (§5.4.1)."""
        return (term, index) >= (self.last_term, self.last)

    def agreement(self, index: int, term: int) -> int:
        """The greatest index up to ``index`` whose entry here has a term of at most ``term``.

        With it two logs that disagree find their common part in as many round trips as they have terms, not entries.
        """
        index = min(index, self.last)
        while index > self.start and (self.term(index) or 0) > term:
            index -= 1
        return index

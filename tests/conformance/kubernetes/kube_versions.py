"""Where kubectl's outputs may differ from the recorded ones, and why: by the server's version, or by kubectl's own.

The transcripts were recorded with :data:`RECORDED`. A row says from which version on which lines read otherwise; the
rows whose version lies between the recorded and the running one are applied, in this order. A row that changes
nothing in any session is an excuse that nobody needs, and the test says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Version = tuple[int, int]

RECORDED: dict[str, Version] = {"server": (1, 20), "client": (1, 27)}


@dataclass(frozen=True)
class Row:
    """One difference. `where` is found in the command; `old` and `new` match whole lines.

    With both, a line that is `old` reads `new` (a template of `re.sub`). With `old` alone such lines are gone, with
    `new` alone there may be more of them.
    """

    side: str  # "server" or "client"
    since: Version
    where: str
    why: str
    old: str = ""
    new: str = ""

    def holds(self, running: dict[str, Version]) -> bool:
        return RECORDED[self.side] < self.since <= running[self.side]


ROWS: tuple[Row, ...] = ()


class Differences:
    """The rows that count for a pair of versions, applied to what was recorded and to what was answered."""

    def __init__(self, running: dict[str, Version], rows: Iterable[Row] = ROWS) -> None:
        self.rows = [row for row in rows if row.holds(running)]
        self.used: set[Row] = set()

    def expected(self, command: str, lines: Iterable[str]) -> list[str]:
        """What was recorded, as the running versions say it."""
        kept = list(lines)
        for row in self._for(command):
            if row.old:
                told = [self._reads(row, line) for line in kept]
                kept = [line for line in told if line is not None]
        return kept

    def answered(self, command: str, lines: Iterable[str]) -> list[str]:
        """What was answered, without the lines that only the running versions have."""
        kept = list(lines)
        for row in self._for(command):
            if row.new and not row.old:
                left = [line for line in kept if not re.fullmatch(row.new, line)]
                if len(left) != len(kept):
                    self.used.add(row)
                kept = left
        return kept

    def _for(self, command: str) -> Iterable[Row]:
        return (row for row in self.rows if re.search(row.where, command))

    def _reads(self, row: Row, line: str) -> str | None:
        found = re.fullmatch(row.old, line)
        if found is None:
            return line
        self.used.add(row)
        return found.expand(row.new) if row.new else None

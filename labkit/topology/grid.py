"""The measures of the picture: the canvas, how much a box says, how large a slot is, and the slots of one box.

Units are pixels of a canvas :data:`WIDTH` wide, y grows downwards.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field

WIDTH = 1120
MARGIN = 16
TRAY = -1  # the cell of tasks without a node

CARD_HEIGHT, TRAY_HEIGHT, LEGEND_HEIGHT = 62, 38, 34
TRAY_TITLE = 220  # what the tray's title takes where the window, but not its letters, is narrow
# (columns, rows). Narrower cards would cut the names; more workloads are counted, not drawn.
CARDS_A_ROW = ((4, 1), (5, 1), (6, 1), (6, 2), (6, 3), (6, 4))


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h


@dataclass(frozen=True, slots=True)
class BoxStyle:
    """How much a node's box has room to say."""

    name: str
    up_to: int  # nodes
    height: float
    gap: float
    gutter: float  # between rows: links run in it
    head: float  # above the slots
    foot: float  # below them
    pad: float


BOX_STYLES = (
    BoxStyle("full", 18, 172, 18, 38, 50, 38, 12),
    BoxStyle("compact", 80, 104, 12, 24, 30, 16, 8),
    BoxStyle("tiny", 100_000, 30, 5, 5, 4, 4, 4),
)


@dataclass(frozen=True, slots=True)
class Level:
    """Slot size. ``label``: "name" beside the mark, "sign" in it, or none."""

    pitch_x: float
    pitch_y: float
    size: float  # of the mark
    border: float
    label: str


LEVELS = (
    Level(92, 28, 15, 3.0, "name"),
    Level(92, 21, 14, 2.5, "name"),
    Level(28, 28, 19, 3.0, "sign"),
    Level(22, 22, 16, 2.5, "sign"),
    Level(15, 15, 11, 2.0, ""),
    Level(11, 11, 8, 1.5, ""),
    Level(8, 8, 6, 1.0, ""),
    Level(6, 6, 4.5, 0.5, ""),
)


def columns(style: BoxStyle, managers: int, workers: int) -> int:
    """Boxes a row, so that few are wide and many are not endless rows."""
    if style.name == "full":
        return max(3, min(6, max(managers, workers)))
    if style.name == "compact":
        return 8
    total = managers + workers
    return max(20, min(48, round((total * 2.2) ** 0.5)))


@dataclass(slots=True)
class Cell:
    """A place for a node, and the slots in it. Slots outlive their tasks: an empty one is drawn as nothing."""

    points: list[int] = field(default_factory=list)  # slot -> index of its point
    taken: dict[int, str] = field(default_factory=dict)  # slot -> task
    free: list[int] = field(default_factory=list)  # heap of slots below ``top`` that are free, may hold stale ones
    top: int = 0  # slots ever used
    waiting: OrderedDict[str, None] = field(default_factory=OrderedDict)  # tasks that found no room

    def take(self, task: str, preferred: int | None, room: int) -> int | None:
        """A slot for a task: the one it had before if nobody sits there, else the lowest; None when full."""
        if preferred is not None and preferred < room and preferred not in self.taken:
            for slot in range(self.top, preferred):
                heapq.heappush(self.free, slot)
            self.top = max(self.top, preferred + 1)
            self.taken[preferred] = task
            return preferred
        while self.free:
            slot = heapq.heappop(self.free)
            if slot not in self.taken and slot < room:
                self.taken[slot] = task
                return slot
        while self.top in self.taken:
            self.top += 1
        if self.top >= room:
            return None
        slot, self.top = self.top, self.top + 1
        self.taken[slot] = task
        return slot

    def leave(self, slot: int) -> None:
        del self.taken[slot]
        heapq.heappush(self.free, slot)

    @property
    def load(self) -> int:
        return len(self.taken) + len(self.waiting)

"""Where everything stands: a fixed grid of node boxes, and a slot allocator in each.

Positions come from identity and never move for another object's sake: a node keeps its box, a task keeps its slot
until it dies, and a task that comes back (scrubbing through the history) gets its old slot again. O(what changed)
an update. Only three things redraw the whole: a new row of boxes, smaller slots because a box is full, and another
box style because the cluster has become much larger.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .grid import (
    BOX_STYLES,
    CARD_HEIGHT,
    CARDS_A_ROW,
    LEGEND_HEIGHT,
    LEVELS,
    MARGIN,
    TRAY,
    TRAY_HEIGHT,
    TRAY_TITLE,
    WIDTH,
    BoxStyle,
    Cell,
    Level,
    Rect,
    columns,
)

MEMORY = 20_000  # seats remembered of tasks that are gone


@dataclass(frozen=True, slots=True)
class Seat:
    cell: int
    slot: int
    point: int


class Layout:
    """Boxes for nodes, cards for workloads, seats for tasks.

    After a change read :attr:`version` (another one means that positions were made anew), :attr:`x` and :attr:`y`
    (grown when their length is), and :meth:`seat`.
    """

    def __init__(self) -> None:
        self.version = 0
        self.style = BOX_STYLES[0]
        self.cols = 3
        self.manager_rows = 1
        self.rows = 2
        self.level = LEVELS[0]
        self.card_grid = CARDS_A_ROW[0]
        self.nodes: dict[str, int] = {}  # node -> cell
        self.cards: dict[str, int] = {}  # workload -> number, also the index of its colour
        self.x: npt.NDArray[np.uint16] = np.zeros(0, np.uint16)
        self.y: npt.NDArray[np.uint16] = np.zeros(0, np.uint16)
        self._cells: dict[int, Cell] = {TRAY: Cell()}
        self._seats: dict[str, Seat] = {}
        self._home: dict[str, int] = {}  # task -> cell, seated or waiting
        self._memory: OrderedDict[str, tuple[int, int]] = OrderedDict()  # task -> (cell, slot) it last had

    # Nodes and workloads --------------------------------------------------------------------------------------

    def set_nodes(self, nodes: Iterable[tuple[str, bool]]) -> bool:
        """The nodes there are, as (id, is manager) in the order in which new ones are to be placed.

        True when boxes came, went or moved.
        """
        wanted = dict(nodes)
        gone = [node for node in self.nodes if node not in wanted]
        new = [node for node in wanted if node not in self.nodes]
        if not gone and not new:
            return False
        for node in gone:
            cell = self.nodes.pop(node)
            for task in [t for t, home in self._home.items() if home == cell]:
                self.remove(task)
        managers = sum(wanted.values())
        style = next(s for s in BOX_STYLES if len(wanted) <= s.up_to)
        if not self.nodes or style is not self.style:
            self._regrid(style, wanted, managers)
        else:
            taken = set(self.nodes.values())
            grew = False
            for node in new:
                cell, rows = self._vacant(wanted[node], taken)
                grew |= rows > self.rows
                self.rows = max(self.rows, rows)
                self.nodes[node] = cell
                taken.add(cell)
                self._cells.setdefault(cell, Cell())
            if grew:
                self.version += 1  # the canvas is higher; boxes and seats stay
        return True

    def _vacant(self, manager: bool, taken: set[int]) -> tuple[int, int]:
        """The first free cell for a node, and the rows that the grid then has."""
        first_worker = self.manager_rows * self.cols
        if manager:
            for cell in range(first_worker):
                if cell not in taken:
                    return cell, self.rows
        cell = first_worker
        while cell in taken:
            cell += 1
        return cell, cell // self.cols + 1

    def _regrid(self, style: BoxStyle, wanted: dict[str, bool], managers: int) -> None:
        self.style = style
        self.cols = columns(style, managers, len(wanted) - managers)
        self.manager_rows = max(1, -(-managers // self.cols)) if managers else 0
        self.rows = self.manager_rows
        seated = {task: home for task, home in self._home.items() if home != TRAY}
        owners = {cell: node for node, cell in self.nodes.items()}
        self.nodes = {}
        taken: set[int] = set()
        for node, manager in wanted.items():
            cell, rows = self._vacant(manager, taken)
            self.rows = max(self.rows, rows, 1)
            self.nodes[node] = cell
            taken.add(cell)
        moves = {task: self.nodes[owners[cell]] for task, cell in seated.items() if owners.get(cell) in self.nodes}
        for task in seated:
            self.remove(task)
        self._cells = {TRAY: self._cells[TRAY], **{cell: Cell() for cell in taken}}
        self._memory.clear()
        self.level = LEVELS[0]
        for task, cell in moves.items():
            self.put(task, cell)
        self._place_points()

    def set_workloads(self, workloads: Iterable[str]) -> bool:
        """The workloads there are, in the order in which new ones get their cards. True when cards came or went."""
        wanted = list(workloads)
        gone = [w for w in self.cards if w not in set(wanted)]
        new = [w for w in wanted if w not in self.cards]
        for workload in gone:
            del self.cards[workload]
        taken = set(self.cards.values())
        number = 0
        for workload in new:
            while number in taken:
                number += 1
            self.cards[workload] = number
            taken.add(number)
        most = max(self.cards.values(), default=-1) + 1
        grid = next((g for g in CARDS_A_ROW if g[0] * g[1] >= most), CARDS_A_ROW[-1])
        if CARDS_A_ROW.index(grid) > CARDS_A_ROW.index(self.card_grid) or not self.cards:
            higher = grid[1] != self.card_grid[1]
            self.card_grid = grid
            if higher:
                self._place_points()
        return bool(gone or new)

    # Tasks ----------------------------------------------------------------------------------------------------

    def put(self, task: str, cell: int) -> int | None:
        """Seat a task in a cell; it keeps the seat it has there. The index of its point, None if there is no room."""
        if self._home.get(task) == cell:
            seat = self._seats.get(task)
            return seat.point if seat else None
        self.remove(task)
        self._home[task] = cell
        home = self._cells[cell]
        remembered = self._memory.get(task)
        preferred = remembered[1] if remembered and remembered[0] == cell else None
        slot = home.take(task, preferred, self.room(cell))
        if slot is None:
            home.waiting[task] = None
            return None
        return self._sit(task, cell, slot)

    def remove(self, task: str) -> int | None:
        """Free a task's seat. The index of the point that is empty now; None when it had none."""
        cell = self._home.pop(task, None)
        if cell is None:
            return None
        home = self._cells[cell]
        seat = self._seats.pop(task, None)
        if seat is None:
            home.waiting.pop(task, None)
            return None
        home.leave(seat.slot)
        self._memory[task] = (cell, seat.slot)
        self._memory.move_to_end(task)
        if len(self._memory) > MEMORY:
            self._memory.popitem(last=False)
        return seat.point

    def admit(self) -> list[str]:
        """Seat tasks that waited for room and now find it; the seated."""
        seated = []
        for cell, home in self._cells.items():
            while home.waiting:
                task = next(iter(home.waiting))
                slot = home.take(task, None, self.room(cell))
                if slot is None:
                    break
                del home.waiting[task]
                self._sit(task, cell, slot)
                seated.append(task)
        return seated

    def seat(self, task: str) -> Seat | None:
        return self._seats.get(task)

    def occupants(self) -> Iterable[tuple[str, Seat]]:
        return self._seats.items()

    def load(self, cell: int) -> int:
        """Tasks in a cell, drawn or not."""
        home = self._cells.get(cell)
        return home.load if home else 0

    def without_room(self, cell: int) -> int:
        """Tasks of a cell that are not drawn for want of room."""
        home = self._cells.get(cell)
        return len(home.waiting) if home else 0

    def _sit(self, task: str, cell: int, slot: int) -> int:
        home = self._cells[cell]
        if slot >= len(home.points):
            self._add_row(cell, slot)
        seat = self._seats[task] = Seat(cell, slot, home.points[slot])
        return seat.point

    # Slots ----------------------------------------------------------------------------------------------------

    def fit(self) -> bool:
        """Choose the slot size for the fullest box; True when it changed and every slot was placed anew."""
        load = max((cell.load for key, cell in self._cells.items() if key != TRAY), default=0)
        best = self._level_for(load)
        at = LEVELS.index(self.level)
        if best > at or self._level_for(load * 2) < at:
            self.level = LEVELS[best]
            self._place_points()
            return True
        return False

    def _level_for(self, load: int) -> int:
        for index, level in enumerate(LEVELS):
            a_row, rows = self._slots(level)
            if load <= a_row * rows:
                return index
        return len(LEVELS) - 1

    def _slots(self, level: Level) -> tuple[int, int]:
        """(slots a row, rows) of a box at a level."""
        area = self.area(self.box_of_cell(0))
        return int(area.w // level.pitch_x), int((area.h + 0.5) // level.pitch_y)

    def room(self, cell: int) -> int:
        """Slots that a cell can hold."""
        if cell == TRAY:
            return int((self.tray().w - TRAY_TITLE - 110) // self.level.pitch_x)
        a_row, rows = self._slots(self.level)
        return a_row * rows

    def _place_points(self) -> None:
        """Give every slot its position anew. Slot numbers stay, so the order of tasks does."""
        self.version += 1
        self.x, self.y = np.zeros(0, np.uint16), np.zeros(0, np.uint16)
        for cell, home in self._cells.items():
            room = self.room(cell)
            home.points = []
            for slot, task in sorted(home.taken.items(), reverse=True):
                if slot >= room:  # larger slots, fewer of them: the last ones look for a free one again
                    del home.taken[slot]
                    self._seats.pop(task, None)
                    home.waiting[task] = None
                    home.waiting.move_to_end(task, last=False)
            home.top = max(home.taken, default=-1) + 1
            home.free = [slot for slot in range(home.top) if slot not in home.taken]
            if home.top:
                self._add_row(cell, home.top)  # one slot more than in use: room for the next one without growing
            for slot, task in home.taken.items():
                self._seats[task] = Seat(cell, slot, home.points[slot])
        self.admit()

    def _add_row(self, cell: int, slot: int) -> None:
        """Append points for (half) rows of a cell until it has ``slot`` (as far as there is room).

        Half rows, where slots are many: each costs bytes in every frame, a new one those of all positions once.
        """
        home = self._cells[cell]
        a_row = self.room(TRAY) if cell == TRAY else self._slots(self.level)[0]
        few = a_row if a_row <= 6 else a_row // 2
        until = min(self.room(cell), (slot // few + 1) * few)
        slots = np.arange(len(home.points), max(until, len(home.points)))
        x0, y0, level = self._origin(cell, a_row)
        home.points.extend(range(len(self.x), len(self.x) + len(slots)))
        self.x = np.concatenate([self.x, (x0 + (slots % a_row) * self._step(cell, a_row)).astype(np.uint16)])
        self.y = np.concatenate([self.y, (y0 + (slots // a_row) * level.pitch_y).astype(np.uint16)])

    def _step(self, cell: int, a_row: int) -> float:
        """Distance of slots in a row: names share the width of the box, marks stand close."""
        if cell == TRAY:
            return self.level.pitch_x
        if self.level.label == "name":
            return self.area(self.box_of_cell(cell)).w / a_row
        return self.level.pitch_x

    def label_room(self, in_box: bool = True) -> float:
        """Pixels for a name beside a mark, in a box or in the tray."""
        if self.level.label != "name":
            return 0.0
        return self._step(0 if in_box else TRAY, self._slots(self.level)[0]) - self.level.size - 8

    def _origin(self, cell: int, a_row: int) -> tuple[float, float, Level]:
        if cell == TRAY:
            tray, level = self.tray(), self.level
            return tray.x + TRAY_TITLE, tray.y + tray.h / 2, level
        area, level = self.area(self.box_of_cell(cell)), self.level
        if level.label == "name":
            return area.x + level.size / 2 + 2, area.y + level.pitch_y / 2, level
        slack = (area.w - a_row * level.pitch_x) / 2 if self.style.name == "tiny" else 0.0
        return area.x + slack + level.pitch_x / 2, area.y + level.pitch_y / 2, level

    # Geometry -------------------------------------------------------------------------------------------------

    @property
    def top(self) -> float:
        """Where the node grid begins."""
        tray = self.tray()
        return tray.bottom + (self.style.gutter if self.style.name == "full" else 16)

    @property
    def height(self) -> float:
        """Of the whole canvas."""
        grid = self.rows * self.style.height + max(0, self.rows - 1) * self.style.gutter
        return self.top + grid + 14 + LEGEND_HEIGHT

    def card(self, number: int) -> Rect | None:
        """The place of a workload's card; None when there is no room for it."""
        cols, rows = self.card_grid
        if number >= cols * rows:
            return None
        gap = 12
        w = (WIDTH - 2 * MARGIN - (cols - 1) * gap) / cols
        row, col = divmod(number, cols)
        return Rect(MARGIN + col * (w + gap), MARGIN + row * (CARD_HEIGHT + gap), w, CARD_HEIGHT)

    def tray(self) -> Rect:
        """Where tasks wait that have no node."""
        rows = self.card_grid[1]
        return Rect(MARGIN, MARGIN + rows * (CARD_HEIGHT + 12), WIDTH - 2 * MARGIN, TRAY_HEIGHT)

    def box(self, node: str) -> Rect:
        return self.box_of_cell(self.nodes[node])

    def box_of_cell(self, cell: int) -> Rect:
        style = self.style
        w = (WIDTH - 2 * MARGIN - (self.cols - 1) * style.gap) / self.cols
        row, col = divmod(cell, self.cols)
        return Rect(MARGIN + col * (w + style.gap), self.top + row * (style.height + style.gutter), w, style.height)

    def area(self, box: Rect) -> Rect:
        """The part of a box where its slots are."""
        style = self.style
        return Rect(box.x + style.pad, box.y + style.head, box.w - 2 * style.pad, box.h - style.head - style.foot)

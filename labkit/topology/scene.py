"""The picture as plain data, kept up to date with what changed: what ``figure`` sends and ``svg`` writes.

:meth:`Scene.update` says by name which parts changed, so that a renderer sends nothing else. Tasks live in arrays
with one entry a *slot*, not one a task: a slot has its position for good, and what happens in it is a byte.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.model import Diff, Node, Resources, Snapshot, State, Task, Workload, diff

from . import style, words
from .layout import CARD_HEIGHT, LEGEND_HEIGHT, LEVELS, MARGIN, TRAY, WIDTH, Layout, Rect
from .tally import Tally, common_state

FRESH = 2.5  # seconds that a task which died is drawn in full colour
FADE = 9.0  # seconds until it is gone
AGGREGATE_ABOVE = 2000  # tasks drawn, from which on a box shows workloads with their counts instead
LABELS_UP_TO = 320  # slots; more labels would cost more bytes than all the rest

Points = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    text: str
    role: str  # "title" | "note" | "right" | "strong" (right-aligned title) | "alert" (right-aligned, bad news)


@dataclass(frozen=True, slots=True)
class Bar:
    """A thin bar: how much of something is taken."""

    x: float
    y: float  # its middle
    w: float
    part: float  # 0..1
    code: int  # index of style.BARS


@dataclass(frozen=True, slots=True)
class Block:
    """A box, card or tray with what stands in it."""

    id: str
    rect: Rect
    look: str  # key of style.NODES
    texts: tuple[Text, ...] = ()
    bars: tuple[Bar, ...] = ()
    swatch: int = -1  # a card's workload colour


@dataclass(frozen=True, slots=True)
class Links:
    """Polylines between the leader and the nodes: those that work and those that do not."""

    whole: tuple[tuple[tuple[float, float], ...], ...] = ()
    broken: tuple[tuple[tuple[float, float], ...], ...] = ()


class Scene:
    """A cluster's picture.

    Args:
        show_dead: keep tasks that ended where they ended, as long as the orchestrator remembers them.
    """

    def __init__(self, show_dead: bool = False) -> None:
        self.layout = Layout()
        self.tally = Tally()
        self.snapshot: Snapshot | None = None
        self.show_dead = show_dead
        self.highlight = ""  # a workload; the others are drawn faded
        self.aggregated = False
        self.state: Points = np.zeros(0, np.uint8)
        self.border: Points = np.zeros(0, np.uint8)
        self.symbol: Points = np.zeros(0, np.uint8)
        self.labels: list[str] = []
        self.hover: list[str] = []
        self.occupant: list[str] = []
        self.blocks: dict[str, Block] = {}
        self.links = Links()
        self.with_labels = True
        self.status = Text(0, 0, "", "right")  # at the foot: how fresh the picture is
        self._version = -1
        self._died: dict[str, float] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._plugs: Mapping[str, str] = {}
        self._seen: tuple[bool, str] = (show_dead, "")

    # What a renderer asks -------------------------------------------------------------------------------------

    @property
    def next_change(self) -> float | None:
        """When the picture will change by itself (something fades), on the clock of ``now``; None for never."""
        return self._deadlines[0][0] if self._deadlines else None

    @property
    def height(self) -> float:
        return self.layout.height

    def task_at(self, point: int) -> str:
        """The id of the task in a slot ("node/workload" when aggregated); empty for an empty slot."""
        return self.occupant[point] if 0 <= point < len(self.occupant) else ""

    def say(self, text: str, alert: bool = False) -> set[str]:
        """Put a line at the foot of the picture ("updated 12:30:05"); the changed parts, as :meth:`update`."""
        place = (WIDTH - MARGIN, self.height - LEGEND_HEIGHT / 2 - 2)
        status = Text(*place, text, "alert" if alert else "right")
        if status == self.status:
            return set()
        self.status = status
        return {"texts"}

    # Updating -------------------------------------------------------------------------------------------------

    def update(self, snapshot: Snapshot, now: float, plugs: Mapping[str, str] | None = None) -> set[str]:
        """Show another moment. The parts that changed:

        ``canvas`` (everything moved), ``points`` (there are more slots), ``state``, ``border``, ``symbol``,
        ``labels``, ``hover`` (of slots), ``blocks``, ``texts``, ``bars``, ``links``.
        """
        before = self.snapshot
        changes = diff(before, snapshot)
        self.snapshot = snapshot
        dirty: set[str] = set()
        moved_nodes = self._nodes(before, snapshot, changes)
        moved_cards = self._workloads(before, snapshot, changes)
        vacated, touched = self._tasks(before, snapshot, changes, now, first=before is None)
        if self._version != self.layout.version:
            dirty.add("canvas")
            self._repaint(now)
        else:
            dirty |= self._paint(vacated, touched, now)
        replug = plugs is not None and plugs != self._plugs
        if plugs is not None:
            self._plugs = dict(plugs)
        stale = self._stale_blocks(before, changes, moved_nodes or replug, moved_cards, "canvas" in dirty)
        dirty |= self._build(stale, snapshot)
        if "canvas" in dirty or moved_nodes or changes.nodes or changes.error_changed:
            links = self._route(snapshot)
            if links != self.links:
                self.links = links
                dirty.add("links")
        self._version = self.layout.version
        return dirty

    def _nodes(self, before: Snapshot | None, snapshot: Snapshot, changes: Diff) -> bool:
        if before is not None and not (changes.nodes.added or changes.nodes.removed):
            return False
        ordered = sorted(snapshot.nodes.values(), key=lambda n: (not _manages(n), _natural(n.name), n.id))
        return self.layout.set_nodes((n.id, _manages(n)) for n in ordered)

    def _workloads(self, before: Snapshot | None, snapshot: Snapshot, changes: Diff) -> bool:
        if before is not None and not (changes.workloads.added or changes.workloads.removed):
            return False
        ordered = sorted(snapshot.workloads.values(), key=lambda w: (_natural(w.name), w.id))
        return self.layout.set_workloads(w.id for w in ordered)

    def _tasks(
        self, before: Snapshot | None, snapshot: Snapshot, changes: Diff, now: float, first: bool
    ) -> tuple[list[int], set[str]]:
        """Seat, move and unseat; (points that are empty now, tasks to paint)."""
        was: Mapping[str, Task] = before.tasks if before is not None else {}
        touched: set[str] = set(changes.tasks.added | changes.tasks.changed)
        pairs: set[tuple[str, str]] = set()
        for key in changes.tasks.removed | touched:
            old, new = was.get(key), snapshot.tasks.get(key)
            self.tally.change(old, new)
            pairs.update((t.node, t.workload) for t in (old, new) if t is not None)
            if new is None or new.state.alive:
                self._died.pop(key, None)
            elif key not in self._died:
                seen_alive = old is not None and old.state.alive
                died = now if seen_alive else now - FADE
                self._died[key] = died
                if seen_alive:
                    heapq.heappush(self._deadlines, (now + FRESH, key))
                    heapq.heappush(self._deadlines, (now + FADE, key))
        while self._deadlines and self._deadlines[0][0] <= now:
            touched.add(heapq.heappop(self._deadlines)[1])
        options = (self.show_dead, self.highlight)
        everything = options != self._seen or changes.nodes.added or changes.nodes.removed
        self._seen = options
        if self._switch_mode(snapshot) or everything:
            touched = set(snapshot.tasks)
            pairs = set(self.tally.pairs)
        gone = changes.tasks.removed
        if self.aggregated:
            touched, gone = {f"{node}/{workload}" for node, workload in pairs}, frozenset()
        vacated = [point for key in gone if (point := self.layout.remove(key)) is not None]
        for key in sorted(touched, key=self._order):
            vacated.extend(self._seat(key, now))
        touched.update(self.layout.admit())
        if self.layout.fit():
            touched.update(self.layout.admit())
        return vacated, touched

    def _order(self, key: str) -> tuple[str, int, str]:
        """New tasks are seated workload by workload, in the order of their slots."""
        task = self.snapshot.tasks.get(key) if self.snapshot else None
        return (task.workload, task.slot, key) if task else ("", 0, key)

    def _switch_mode(self, snapshot: Snapshot) -> bool:
        living = sum(self.tally.living.values())
        most = max(self.tally.living.values(), default=0)
        last = LEVELS[-1]
        area = self.layout.area(self.layout.box_of_cell(0))
        fits = int(area.w // last.pitch_x) * int(area.h // last.pitch_y)
        room = 0.75 if self.aggregated else 1.0  # not back and forth at the border
        aggregated = living > AGGREGATE_ABOVE * room or most > fits * room
        if aggregated == self.aggregated:
            return False
        self.aggregated = aggregated
        for key in [key for key, _ in self.layout.occupants()]:
            self.layout.remove(key)
        self._version = -1
        return True

    def _seat(self, key: str, now: float) -> list[int]:
        """Seat a task (or a pair) where it belongs now; the points that it leaves."""
        cell = self._pair_cell(key) if self.aggregated else self._cell(key, now)
        was = self.layout.seat(key)
        if cell is None:
            self.layout.remove(key)
        else:
            self.layout.put(key, cell)
        now_at = self.layout.seat(key)
        return [was.point] if was is not None and (now_at is None or now_at.point != was.point) else []

    def _cell(self, key: str, now: float) -> int | None:
        task = self.snapshot.tasks.get(key) if self.snapshot else None
        if task is None:
            return None
        if not task.state.alive and not self.show_dead and now - self._died.get(key, 0.0) >= FADE:
            return None
        if task.node:
            return self.layout.nodes.get(task.node)
        return TRAY if task.state.alive else None

    def _pair_cell(self, key: str) -> int | None:
        node, _, workload = key.partition("/")
        if common_state(self.tally.pairs[node, workload]) is None:
            return None
        return self.layout.nodes.get(node) if node else TRAY

    # Painting slots -------------------------------------------------------------------------------------------

    def _paint(self, vacated: list[int], touched: Iterable[str], now: float) -> set[str]:
        dirty = set()
        if len(self.layout.x) > len(self.state):
            self._grow()
            dirty.add("points")
        before = (self.state.copy(), self.border.copy(), self.symbol.copy())
        texts_before = (list(self.labels), list(self.hover))
        for point in vacated:
            self._clear(point)
        for key in touched:
            seat = self.layout.seat(key)
            if seat is not None:
                self._draw(seat.point, key, now)
        for name, old, new in zip(
            ("state", "border", "symbol"), before, (self.state, self.border, self.symbol), strict=True
        ):
            if not np.array_equal(old, new):
                dirty.add(name)
        if self.with_labels and texts_before[0] != self.labels:
            dirty.add("labels")
        if texts_before[1] != self.hover:
            dirty.add("hover")
        return dirty

    def _repaint(self, now: float) -> None:
        self.state = self.border = self.symbol = np.zeros(0, np.uint8)
        self.labels, self.hover, self.occupant = [], [], []
        self._grow()
        for key, seat in self.layout.occupants():
            self._draw(seat.point, key, now)

    def _grow(self) -> None:
        more = len(self.layout.x) - len(self.state)
        self.state = np.concatenate([self.state, np.full(more, style.HIDDEN, np.uint8)])
        self.border = np.concatenate([self.border, np.full(more, style.NO_WORKLOAD, np.uint8)])
        self.symbol = np.concatenate([self.symbol, np.zeros(more, np.uint8)])
        for texts in (self.labels, self.hover, self.occupant):
            texts.extend([""] * more)
        self.with_labels = bool(self.layout.level.label) and len(self.state) <= LABELS_UP_TO

    def _clear(self, point: int) -> None:
        self.state[point], self.border[point] = style.HIDDEN, style.NO_WORKLOAD
        self.labels[point] = self.hover[point] = self.occupant[point] = ""

    def _draw(self, point: int, key: str, now: float) -> None:
        if self.aggregated:
            node, _, workload = key.partition("/")
            counts = self.tally.pairs[node, workload]
            state = common_state(counts) or State.STOPPED
            faded = False
            living = sum(counts[s] for s in State if s.alive)
            name = self._workload_name(workload)
            count = f"{counts[State.RUNNING]}/{living}" if counts[State.RUNNING] != living else str(living)
            room = self.layout.level.pitch_x - self.layout.level.size - 8
            if self.layout.level.label == "name":
                label = f"{words.short(name, room - 6.4 * (len(count) + 1))} {count}"
            else:
                label = count if len(count) <= 2 else ""
            hover = f"{name}: {counts[State.RUNNING]} of {living} running"
        else:
            task = self.snapshot.tasks[key] if self.snapshot else None
            if task is None:
                return
            state, workload = task.state, task.workload
            faded = not state.alive and now - self._died.get(key, 0.0) >= FRESH
            label = words.task_label(
                task, self.layout.level.label, self.layout.level.pitch_x - self.layout.level.size - 8, faded
            )
            hover = words.task_hover(task)
        if self.highlight and workload != self.highlight:
            faded = True
        colour = self.layout.cards.get(workload, len(style.WORKLOADS) - 1) % len(style.WORKLOADS)
        self.state[point] = state + style.FADED if faded else state
        self.border[point] = colour + len(style.WORKLOADS) if faded else colour
        self.symbol[point] = style.TASKS[state].code
        self.labels[point] = label if self.with_labels else ""
        self.hover[point] = hover
        self.occupant[point] = key

    def _workload_name(self, workload: str) -> str:
        found = self.snapshot.workloads.get(workload) if self.snapshot else None
        return found.name if found else workload[:8]

    # Blocks ---------------------------------------------------------------------------------------------------

    def _stale_blocks(
        self, before: Snapshot | None, changes: Diff, all_nodes: bool, all_cards: bool, canvas: bool
    ) -> set[str]:
        assert self.snapshot is not None
        nodes, workloads = self.snapshot.nodes, self.snapshot.workloads
        if canvas or before is None or (all_nodes and all_cards):
            return {"tray", *nodes, *workloads}
        stale = {"tray", *changes.nodes.changed, *changes.workloads.changed}
        for key in changes.tasks.added | changes.tasks.removed | changes.tasks.changed:
            for book in (before, self.snapshot):
                if (task := book.tasks.get(key)) is not None:
                    stale.update((task.node, task.workload))
        if all_nodes:
            stale.update(nodes)
        if all_cards or changes.endpoints:
            stale.update(workloads)
        return stale

    def _build(self, stale: set[str], snapshot: Snapshot) -> set[str]:
        dirty: set[str] = set()
        gone = [k for k in self.blocks if k != "tray" and k not in snapshot.nodes and k not in snapshot.workloads]
        for key in gone:
            del self.blocks[key]
            dirty |= {"blocks", "texts", "bars"}
        for key in stale:
            block = self._block(key, snapshot)
            old = self.blocks.get(key)
            if block is None or block == old:
                continue
            self.blocks[key] = block
            if old is None or (old.rect, old.look, old.swatch) != (block.rect, block.look, block.swatch):
                dirty.add("blocks")
            if old is None or old.texts != block.texts:
                dirty.add("texts")
            if old is None or old.bars != block.bars:
                dirty.add("bars")
        return dirty

    def _block(self, key: str, snapshot: Snapshot) -> Block | None:
        if key == "tray":
            return self._tray(snapshot)
        if key in snapshot.nodes and key in self.layout.nodes:
            return self._node(snapshot.nodes[key])
        if key in snapshot.workloads and key in self.layout.cards:
            return self._card(snapshot.workloads[key], snapshot)
        return None

    def _node(self, node: Node) -> Block:
        rect, look = self.layout.box(node.id), style.condition(node)
        reserved = self.tally.reserved.get(node.id, Resources())
        parts = [_part(reserved.cpus, node.capacity.cpus), _part(reserved.memory, node.capacity.memory)]
        left, right, pad = rect.x + self.layout.style.pad, rect.right - self.layout.style.pad, self.layout.style.pad
        crowd = self.layout.without_room(self.layout.nodes[node.id])
        if self.layout.style.name == "tiny":
            return Block(node.id, rect, look)
        half = (right - left - pad) / 2
        if self.layout.style.name == "compact":
            title = Text(left, rect.y + 16, words.short(words.node_title(node), right - left, 7.2), "title")
            bars = _bars(left, rect.bottom - 9, half, pad, parts)
            return Block(node.id, rect, look, (title,), bars)
        role = words.node_role(node)
        count = words.plural(self.tally.living.get(node.id, 0), "task") + (f" (+{crowd} not drawn)" if crowd else "")
        note = words.short(words.node_note(node, self._plugs.get(node.name, "")), right - left - 60, 6.2)
        texts = [
            Text(left, rect.y + 18, words.short(words.node_title(node), right - left - 66, 7.8), "title"),
            Text(right, rect.y + 18, role, "right"),
            Text(left, rect.y + 36, note, "note"),
            Text(right, rect.y + 36, count, "right"),
        ]
        if node.capacity.cpus or node.capacity.memory:
            cpu, mem = words.capacity(reserved, node.capacity)
            texts.append(Text(left, rect.bottom - 24, cpu, "note"))
            texts.append(Text(left + half + pad, rect.bottom - 24, mem, "note"))
        return Block(node.id, rect, look, tuple(texts), _bars(left, rect.bottom - 12, half, pad, parts))

    def _card(self, workload: Workload, snapshot: Snapshot) -> Block | None:
        number = self.layout.cards[workload.id]
        rect = self.layout.card(number)
        if rect is None:
            return None
        left, right = rect.x + 18, rect.right - 12
        done = workload.running >= workload.desired
        count = words.desired(workload)
        endpoints = [e for e in snapshot.endpoints.values() if e.workload == workload.id]
        second = workload.update or words.image(workload.image) or workload.kind
        ports = words.ports(endpoints)
        texts = [
            Text(left, rect.y + 18, words.short(workload.name, right - left - 9 * len(count), 7.8), "title"),
            Text(right, rect.y + 18, count, "strong"),
            Text(left, rect.y + 36, words.short(second, right - left - 6.6 * len(ports) - 6, 6.2), "note"),
        ]
        if ports and rect.w > 180:
            texts.append(Text(right, rect.y + 36, ports, "right"))
        part = _part(workload.running, workload.desired) if workload.desired else 0.0
        bar = Bar(left, rect.y + CARD_HEIGHT - 11, right - left, part or 0.0, 3 if done else 1)
        return Block(workload.id, rect, "card", tuple(texts), (bar,), number % len(style.WORKLOADS))

    def _tray(self, snapshot: Snapshot) -> Block:
        rect = self.layout.tray()
        middle = rect.y + rect.h / 2
        waiting = self.layout.load(TRAY)
        if self.aggregated:
            waiting = sum(counts[State.PENDING] for (node, _), counts in self.tally.pairs.items() if not node)
        texts = [Text(rect.x + 14, middle, "Waiting for a node", "title")]
        missing = self.layout.without_room(TRAY)
        hidden = len(snapshot.workloads) - sum(1 for w in self.layout.cards.values() if self.layout.card(w))
        if waiting:
            texts.append(
                Text(rect.right - 14, middle, f"+{missing} more" if missing else f"{waiting} waiting", "right")
            )
        elif hidden > 0:
            texts.append(Text(rect.right - 14, middle, f"{hidden} more workloads are not drawn above", "right"))
        elif not snapshot.workloads:
            texts.append(Text(rect.right - 14, middle, "no workload yet: deploy one and watch it land", "right"))
        else:
            texts.append(Text(rect.right - 14, middle, "every task has its place", "right"))
        return Block("tray", rect, "crowded" if waiting else "tray", tuple(texts))

    # Links ----------------------------------------------------------------------------------------------------

    def _route(self, snapshot: Snapshot) -> Links:
        """Lines from the leader to every node, in the gutters: to managers above them, to workers between the rows."""
        layout = self.layout
        if layout.style.name == "tiny":
            return Links()
        leader = next((n for n in snapshot.nodes.values() if n.leader and n.id in layout.nodes), None)
        whole: list[tuple[tuple[float, float], ...]] = []
        broken: list[tuple[tuple[float, float], ...]] = []
        start = layout.box(leader.id) if leader else layout.box_of_cell(0)
        reach = layout.style.gutter / 2
        for node in snapshot.nodes.values():
            if leader is not None and node.id == leader.id:
                continue
            box = layout.box(node.id)
            bad = leader is None or bool(snapshot.error) or style.condition(node) in ("down", "unreachable", "unknown")
            (broken if bad else whole).append(_link(start, box, reach))
        return Links(tuple(sorted(whole)), tuple(sorted(broken)))


def _link(start: Rect, end: Rect, reach: float) -> tuple[tuple[float, float], ...]:
    """A right-angled line from box to box that crosses no box."""
    sx, ex = start.x + start.w / 2, end.x + end.w / 2
    bus = end.y - reach
    if end.y <= start.y:  # the same row (or one above): over the top of both
        return ((sx, start.y), (sx, start.y - reach), (sx, bus), (ex, bus), (ex, end.y))
    first = start.bottom + reach
    if bus - first < 2:  # the next row
        return ((sx, start.bottom), (sx, bus), (ex, bus), (ex, end.y))
    trunk = MARGIN / 2  # further down: along the left edge
    return ((sx, start.bottom), (sx, first), (trunk, first), (trunk, bus), (ex, bus), (ex, end.y))


def _bars(left: float, y: float, half: float, pad: float, parts: list[float | None]) -> tuple[Bar, ...]:
    bars = []
    for index, part in enumerate(parts):
        if part is not None:
            code = 2 if part >= style.FULL else 1 if part >= style.NEARLY_FULL else 0
            bars.append(Bar(left + index * (half + pad), y, half, part, code))
    return tuple(bars)


def _part(value: float, total: float) -> float | None:
    return min(1.0, value / total) if total else None


def _manages(node: Node) -> bool:
    return node.role in ("manager", "control-plane", "master")


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """worker-2 before worker-10."""
    parts: list[tuple[int, int, str]] = []
    digits = ""
    for character in name + "\0":
        if character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        parts.append((1, 0, character))
    return tuple(parts)

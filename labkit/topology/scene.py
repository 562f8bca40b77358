"""The picture as plain data, kept up to date with what changed: what ``figure`` sends and ``svg`` writes.

:meth:`Scene.update` says by name which parts changed, so that a renderer sends nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from labkit.model import Diff, Framework, Node, Snapshot, State, Task, diff

from . import style, words
from .blocks import card_block, framework_block, node_block, service_block, tray_block
from .fading import Fading
from .families import FRAMEWORK, Families, Service, services_of
from .grid import LEGEND_HEIGHT, LEVELS, MARGIN, TRAY, WIDTH
from .layout import Layout
from .links import offer, route, serve
from .parts import Block, Line, Links, Text
from .slots import Slots
from .tally import Tally, common_state

AGGREGATE_ABOVE = 2000  # tasks drawn, from which on a box shows workloads with their counts instead
LINES_UP_TO = 24  # tasks; more lines from Services would hide what they lead to


class Scene:
    """A cluster's picture.

    Args:
        show_dead: keep tasks that ended where they ended, as long as the orchestrator remembers them.
    """

    def __init__(self, show_dead: bool = False) -> None:
        self.layout = Layout()
        self.families = Families()
        self.services: dict[str, Service] = {}
        self.tally = Tally()
        self.snapshot: Snapshot | None = None
        self.show_dead = show_dead
        self.highlight = ""  # a workload; the others are drawn faded
        self.aggregated = False
        self.slots = Slots()
        self.blocks: dict[str, Block] = {}
        self.links = Links()
        self.status = Text(0, 0, "", "right")  # at the foot: how fresh the picture is
        self._version = -1
        self._fading = Fading()
        self._plugs: Mapping[str, str] = {}
        self._seen: tuple[bool, str] = (show_dead, "")

    # What a renderer asks -------------------------------------------------------------------------------------

    @property
    def next_change(self) -> float | None:
        """When the picture will change by itself (something fades), on the clock of ``now``; None for never."""
        return self._fading.next_change

    @property
    def height(self) -> float:
        return self.layout.height

    def task_at(self, point: int) -> str:
        """The id of the task in a slot ("node/workload" when aggregated); empty for an empty slot."""
        return self.slots.occupant[point] if 0 <= point < len(self.slots.occupant) else ""

    def framework(self, key: str) -> Framework | None:
        """The framework whose card has this key."""
        return (
            self.snapshot.frameworks.get(key.removeprefix(FRAMEWORK))
            if self.snapshot and key[:10] == FRAMEWORK
            else None
        )

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
        moved_cards = self._cards(before, snapshot, changes)
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
        around = moved_nodes or moved_cards or changes.nodes or changes.error_changed
        faded = self._fading.answer(before, snapshot, now)
        if "canvas" in dirty or around or self.services or changes.offers or faded:
            links = replace(
                route(self.layout, snapshot),
                served=self._served(),
                offered=offer(self.layout, snapshot, (f.id for f in snapshot.frameworks.values() if f.offers)),
                answered=offer(self.layout, snapshot, self._fading.answered),
            )
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

    def _cards(self, before: Snapshot | None, snapshot: Snapshot, changes: Diff) -> bool:
        """A card for what people made (workloads that nobody owns, Services); True when cards came or went."""
        if before is None or changes.endpoints:
            self.services = services_of(snapshot)
        moved = changes.workloads.added or changes.workloads.removed
        moved = moved or changes.frameworks.added or changes.frameworks.removed
        if before is not None and not moved and not (changes.endpoints.added or changes.endpoints.removed):
            return False
        ordered = sorted(snapshot.workloads.values(), key=lambda w: (_natural(w.name), w.id))
        self.families.update(ordered)
        tops = [w.id for w in ordered if self.families.top(w.id) == w.id and w.id not in snapshot.frameworks]
        frameworks = sorted(snapshot.frameworks.values(), key=lambda f: (_natural(f.name), f.id))
        services = sorted(self.services.values(), key=lambda s: (_natural(s.name), s.key))
        cards = [*(FRAMEWORK + f.id for f in frameworks), *tops, *(s.key for s in services)]
        return self.layout.set_workloads(cards) or bool(moved)

    def _served(self) -> tuple[Line, ...]:
        """Lines from a Service's card to the tasks it sends to: of the one looked at, or of all while they are few."""
        if self.aggregated:
            return ()
        tasks = self.snapshot.tasks if self.snapshot else {}
        chosen = [s for s in self.services.values() if self.highlight in ("", s.key) or self._leads_to(s, tasks)]
        if not self.highlight and sum(len(s.tasks) for s in chosen) > LINES_UP_TO:
            return ()
        return serve(self.layout, chosen)

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
            self._fading.note(key, old, new, now)
        touched |= self._fading.due(now)
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
        if not self.show_dead and self._fading.is_gone(key, task, now):
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
        if len(self.layout.x) > len(self.slots.state):
            self._grow()
            dirty.add("points")
        was = self.slots.copy()
        for point in vacated:
            self.slots.clear(point)
        for key in touched:
            seat = self.layout.seat(key)
            if seat is not None:
                self._draw(seat.point, key, now)
        return dirty | self.slots.changed(was)

    def _repaint(self, now: float) -> None:
        self.slots = Slots()
        self._grow()
        for key, seat in self.layout.occupants():
            self._draw(seat.point, key, now)

    def _grow(self) -> None:
        self.slots.grow(len(self.layout.x), labelled=bool(self.layout.level.label))

    def _draw(self, point: int, key: str, now: float) -> None:
        if self.aggregated:
            node, _, workload = key.partition("/")
            counts = self.tally.pairs[node, workload]
            state = common_state(counts) or State.STOPPED
            faded = False
            living = sum(counts[s] for s in State if s.alive)
            name = self._workload_name(workload)
            count = f"{counts[State.RUNNING]}/{living}" if counts[State.RUNNING] != living else str(living)
            room = self.layout.label_room()
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
            faded = self._fading.is_pale(key, task, now)
            label = words.task_label(task, self.layout.level.label, self.layout.label_room(bool(task.node)), faded)
            hover = words.task_hover(task)
        if self.highlight and not self._is_lit(key, workload):
            faded = True
        colour = self.families.colour(workload, len(style.WORKLOADS) - 1)
        self.slots.fill(point, key, state, colour, faded, label, hover)

    def _leads_to(self, service: Service, tasks: Mapping[str, Task]) -> bool:
        """Whether some of its traffic goes to the workload that is looked at."""
        found = (tasks[key].workload for key in service.tasks if key in tasks)
        return any(self.highlight in (workload, self.families.top(workload)) for workload in found)

    def stands_back(self, key: str) -> bool:
        """Whether a task is faded because something else is looked at."""
        task = self.snapshot.tasks.get(key) if self.snapshot else None
        return bool(self.highlight) and task is not None and not self._is_lit(key, task.workload)

    def _is_lit(self, key: str, workload: str) -> bool:
        """Whether a task belongs to what is looked at: a workload, one that owns it, or a Service in front of it."""
        if self.highlight in self.services:
            return key in self.services[self.highlight].tasks
        if (framework := self.framework(self.highlight)) is not None:
            return workload in framework.workloads
        return self.highlight in (workload, self.families.top(workload))

    def _workload_name(self, workload: str) -> str:
        found = self.snapshot.workloads.get(workload) if self.snapshot else None
        return found.name if found else workload[:8]

    # Blocks ---------------------------------------------------------------------------------------------------

    def _stale_blocks(
        self, before: Snapshot | None, changes: Diff, all_nodes: bool, all_cards: bool, canvas: bool
    ) -> set[str]:
        assert self.snapshot is not None
        nodes, workloads = self.snapshot.nodes, self.snapshot.workloads
        frameworks = [FRAMEWORK + key for key in self.snapshot.frameworks]
        if canvas or before is None or (all_nodes and all_cards):
            return {"tray", *nodes, *workloads, *self.services, *frameworks}
        if changes.nodes and any(node.store for node in nodes.values()):
            all_nodes = True  # every member's box tells of the quorum
        stale = {"tray", *changes.nodes.changed, *changes.workloads.changed}
        for key in changes.tasks.added | changes.tasks.removed | changes.tasks.changed:
            for book in (before, self.snapshot):
                if (task := book.tasks.get(key)) is not None:
                    stale.update((task.node, task.workload))
        if all_nodes:
            stale.update(nodes)
        if frameworks and (all_cards or changes.frameworks or changes.workloads):
            stale.update(frameworks)
        if all_cards or changes.endpoints:
            stale.update(workloads)
            stale.update(self.services)
        # What an owned workload does stands in its owner's card.
        return stale | {self.families.top(key) for key in stale}

    def _build(self, stale: set[str], snapshot: Snapshot) -> set[str]:
        dirty: set[str] = set()
        gone = [k for k in self.blocks if k not in self.layout.nodes and k not in self.layout.cards and k != "tray"]
        for key in gone:
            del self.blocks[key]
            dirty |= {"blocks", "texts", "bars"}
        for key in stale:
            block = self._block(key, snapshot)
            old = self.blocks.get(key)
            if block is None or block == old:
                continue
            self.blocks[key] = block
            if old is None or (old.rect, old.look, old.swatches) != (
                block.rect,
                block.look,
                block.swatches,
            ):
                dirty.add("blocks")
            if old is None or old.texts != block.texts:
                dirty.add("texts")
            if old is None or old.bars != block.bars:
                dirty.add("bars")
        return dirty

    def _block(self, key: str, snapshot: Snapshot) -> Block | None:
        if key == "tray":
            return tray_block(self.layout, snapshot, self._waiting())
        if key in snapshot.nodes and key in self.layout.nodes:
            node = snapshot.nodes[key]
            unit = words.unit(snapshot.orchestrator)
            plug, quorum = self._plugs.get(node.name, ""), words.quorum_words(snapshot) if node.store else ""
            return node_block(self.layout, self.tally, node, plug, unit, quorum)
        if key not in self.layout.cards:
            return None
        if (framework := self.framework(key)) is not None:
            return framework_block(self.layout, self.families, framework, snapshot)
        if key in self.services:
            return service_block(self.layout, self.services[key])
        if key in snapshot.workloads:
            return card_block(self.layout, self.families, snapshot.workloads[key], snapshot)
        return None

    def _waiting(self) -> int:
        if self.aggregated:
            return sum(counts[State.PENDING] for (node, _), counts in self.tally.pairs.items() if not node)
        return self.layout.load(TRAY)


def _manages(node: Node) -> bool:
    return node.role in ("manager", "control-plane", "master", "zookeeper")


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

"""What stands in the boxes, the cards and the tray. Pure: from a snapshot and its sums to blocks."""

from __future__ import annotations

from labkit.model import Node, Resources, Snapshot, Workload

from . import style, words
from .grid import CARD_HEIGHT, TRAY
from .layout import Layout
from .parts import Bar, Block, Text
from .tally import Tally


def node_block(layout: Layout, tally: Tally, node: Node, plug: str) -> Block:
    """A node's box: who it is, how it is, and how much of it is taken."""
    rect, look = layout.box(node.id), style.condition(node)
    reserved = tally.reserved.get(node.id, Resources())
    parts = [_part(reserved.cpus, node.capacity.cpus), _part(reserved.memory, node.capacity.memory)]
    left, right, pad = rect.x + layout.style.pad, rect.right - layout.style.pad, layout.style.pad
    crowd = layout.without_room(layout.nodes[node.id])
    if layout.style.name == "tiny":
        return Block(node.id, rect, look)
    half = (right - left - pad) / 2
    if layout.style.name == "compact":
        title = Text(left, rect.y + 16, words.short(words.node_title(node), right - left, 7.2), "title")
        bars = _bars(left, rect.bottom - 9, half, pad, parts)
        return Block(node.id, rect, look, (title,), bars)
    role = words.node_role(node)
    count = words.plural(tally.living.get(node.id, 0), "task") + (f" (+{crowd} not drawn)" if crowd else "")
    note = words.short(words.node_note(node, plug), right - left - 60, 6.2)
    texts = [
        Text(left, rect.y + 18, words.short(words.node_title(node), right - left - 6.4 * len(role) - 4, 7.8), "title"),
        Text(right, rect.y + 18, role, "right"),
        Text(left, rect.y + 36, note, "note"),
        Text(right, rect.y + 36, count, "right"),
    ]
    if node.capacity.cpus or node.capacity.memory:
        narrow = half < 112
        cpu, mem = words.parts(*parts) if narrow else words.capacity(reserved, node.capacity)
        texts.append(Text(left, rect.bottom - 24, cpu, "note"))
        texts.append(Text(left + half + pad, rect.bottom - 24, mem, "note"))
    return Block(node.id, rect, look, tuple(texts), _bars(left, rect.bottom - 12, half, pad, parts))


def card_block(layout: Layout, workload: Workload, snapshot: Snapshot) -> Block | None:
    """A workload's card: wanted and running; None when there is no room for it."""
    number = layout.cards[workload.id]
    rect = layout.card(number)
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


def tray_block(layout: Layout, snapshot: Snapshot, waiting: int) -> Block:
    """Where tasks wait that have no node."""
    rect = layout.tray()
    middle = rect.y + rect.h / 2
    texts = [Text(rect.x + 14, middle, "Waiting for a node", "title")]
    missing = layout.without_room(TRAY)
    hidden = len(snapshot.workloads) - sum(1 for w in layout.cards.values() if layout.card(w))
    if waiting:
        texts.append(Text(rect.right - 14, middle, f"+{missing} more" if missing else f"{waiting} waiting", "right"))
    elif hidden > 0:
        texts.append(Text(rect.right - 14, middle, f"{hidden} more workloads are not drawn above", "right"))
    elif not snapshot.workloads:
        texts.append(Text(rect.right - 14, middle, "no workload yet: deploy one and watch it land", "right"))
    else:
        texts.append(Text(rect.right - 14, middle, "every task has its place", "right"))
    return Block("tray", rect, "crowded" if waiting else "tray", tuple(texts))


def _bars(left: float, y: float, half: float, pad: float, parts: list[float | None]) -> tuple[Bar, ...]:
    bars = []
    for index, part in enumerate(parts):
        if part is not None:
            code = 2 if part >= style.FULL else 1 if part >= style.NEARLY_FULL else 0
            bars.append(Bar(left + index * (half + pad), y, half, part, code))
    return tuple(bars)


def _part(value: float, total: float) -> float | None:
    return min(1.0, value / total) if total else None

"""The lines between the leader and the nodes: what a manager's word travels on. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.model import Snapshot

from . import style
from .families import FRAMEWORK, Service
from .grid import MARGIN, Rect
from .layout import Layout
from .parts import Line, Links


def route(layout: Layout, snapshot: Snapshot) -> Links:
    """Lines from the leader to every node, in the gutters: to managers above them, to workers between the rows."""
    if layout.style.name == "tiny":
        return Links()
    leader = next((n for n in snapshot.nodes.values() if n.leader and n.id in layout.nodes), None)
    whole: list[Line] = []
    broken: list[Line] = []
    start = layout.box(leader.id) if leader else layout.box_of_cell(0)
    reach = layout.style.gutter / 2
    for node in snapshot.nodes.values():
        if leader is not None and node.id == leader.id:
            continue
        box = layout.box(node.id)
        bad = leader is None or bool(snapshot.error) or style.condition(node) in ("down", "unreachable", "unknown")
        (broken if bad else whole).append(_link(start, box, reach))
    return Links(tuple(sorted(whole)), tuple(sorted(broken)))


def serve(layout: Layout, services: Iterable[Service]) -> tuple[Line, ...]:
    """Straight lines from the cards of Services to the tasks that they send traffic to."""
    lines: list[Line] = []
    for service in services:
        card = layout.card(layout.cards[service.key]) if service.key in layout.cards else None
        if card is None:
            continue
        for task in sorted(service.tasks):
            seat = layout.seat(task)
            if seat is not None:
                end = (float(layout.x[seat.point]), float(layout.y[seat.point]))
                lines.append(((card.x + card.w / 2, card.bottom), end))
    return tuple(lines)


def offer(layout: Layout, snapshot: Snapshot, frameworks: Iterable[str]) -> tuple[Line, ...]:
    """From the leading master up to the cards of frameworks that it offers something."""
    leader = next((n for n in snapshot.nodes.values() if n.leader and n.id in layout.nodes), None)
    if leader is None:
        return ()
    box = layout.box(leader.id)
    lines: list[Line] = []
    for key in sorted(frameworks):
        card = layout.card(layout.cards[FRAMEWORK + key]) if FRAMEWORK + key in layout.cards else None
        if card is not None:
            # Each leaves the box at a place of its own, so that several are told apart where they begin.
            start = box.x + box.w * (0.3 + 0.4 * len(lines) / max(1, len(lines) + 3))
            lines.append(((start, box.y), (card.x + card.w / 2, card.bottom)))
    return tuple(lines)


def _link(start: Rect, end: Rect, reach: float) -> Line:
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

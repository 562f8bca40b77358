"""What stands in the boxes, the cards and the tray. Pure: from a snapshot and its sums to blocks."""

from __future__ import annotations

from labkit.model import Framework, Node, Resources, Snapshot, Workload

from . import style, words
from .families import FRAMEWORK, Families, Service
from .grid import CARD_HEIGHT, TRAY
from .layout import Layout
from .parts import Bar, Block, Swatch, Text
from .tally import Tally


def node_block(layout: Layout, tally: Tally, node: Node, plug: str, unit: str = "task", quorum: str = "") -> Block:
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
    count = words.plural(tally.living.get(node.id, 0), unit) + (f" (+{crowd} not drawn)" if crowd else "")
    note = words.short(words.node_note(node, plug), right - left - 60, 6.2)
    texts = [
        Text(left, rect.y + 18, words.short(words.node_title(node), right - left - 6.4 * len(role) - 4, 7.8), "title"),
        Text(right, rect.y + 18, role, "right"),
        Text(left, rect.y + 36, note, "note"),
        Text(right, rect.y + 36, count, "right"),
    ]
    if node.store:
        texts.append(Text(left, rect.bottom - 14, words.store(node), "note"))
        texts.append(Text(right, rect.bottom - 14, quorum, "right"))
        texts[3] = Text(right, rect.y + 36, "", "right")  # no task will ever be here
    if node.capacity.cpus or node.capacity.memory:
        narrow = half < 112
        cpu, mem = words.parts(*parts) if narrow else words.capacity(reserved, node.capacity)
        texts.append(Text(left, rect.bottom - 24, cpu, "note"))
        texts.append(Text(left + half + pad, rect.bottom - 24, mem, "note"))
    return Block(node.id, rect, look, tuple(texts), _bars(left, rect.bottom - 12, half, pad, parts))


def card_block(layout: Layout, families: Families, workload: Workload, snapshot: Snapshot) -> Block | None:
    """A workload's card: wanted and running; None when there is no room for it."""
    rect = layout.card(layout.cards[workload.id])
    if rect is None:
        return None
    left, right = rect.x + 18, rect.right - 12
    done = workload.running >= workload.desired
    count = words.desired(workload)
    endpoints = [e for e in snapshot.endpoints.values() if e.workload == workload.id and not e.name]
    children = families.children(workload.id, snapshot)
    revisions = words.revisions(children) if len(children) > 1 else ""
    second = revisions or workload.update or words.image(workload.image) or workload.kind
    ports = words.ports(endpoints)
    texts = [
        Text(left, rect.y + 18, words.short(workload.name, right - left - 9 * len(count), 7.8), "title"),
        Text(right, rect.y + 18, count, "strong"),
        Text(left, rect.y + 36, words.short(second, right - left - 6.6 * len(ports) - 6, 6.2), "note"),
    ]
    if ports and rect.w > 170:
        texts.append(Text(right, rect.y + 36, ports, "right"))
    part = _part(workload.running, workload.desired) if workload.desired else 0.0
    bar = Bar(left, rect.y + CARD_HEIGHT - 11, right - left, part or 0.0, 3 if done else 1)
    return Block(workload.id, rect, "card", tuple(texts), (bar,), _swatches(families, workload, children))


def _swatches(families: Families, workload: Workload, children: list[Workload]) -> tuple[Swatch, ...]:
    """Its colour, or those of what it made, each as high as its part of the running tasks."""
    found = [w for w in children if w.running] or children[:1] or [workload]
    total = sum(w.running for w in found)
    return tuple(
        Swatch(families.colour(w.id, 0) % len(style.WORKLOADS), w.running / total if total else 1 / len(found))
        for w in found
    )


def framework_block(layout: Layout, families: Families, framework: Framework, snapshot: Snapshot) -> Block | None:
    """A framework's card: its offers, and its share of the cluster as Dominant Resource Fairness counts it."""
    rect = layout.card(layout.cards[FRAMEWORK + framework.id])
    if rect is None:
        return None
    left, right = rect.x + 18, rect.right - 12
    count = words.offers(framework) if framework.offers or rect.w > 200 else ""  # its name goes first
    title = f"⚙ {framework.name}"
    weight = f" · weight {words.number(framework.weight)}" if framework.weight != 1 else ""
    tasks = words.plural(framework.tasks, "task") if rect.w > (240 if weight else 170) else ""
    second = words.short(words.share(framework) + weight, right - left - 6.6 * len(tasks) - 6, 6.2)
    texts = [
        Text(left, rect.y + 18, words.short(title, right - left - 7.4 * len(count), 7.8), "title"),
        Text(right, rect.y + 18, count, "strong" if framework.offers else "right"),
        Text(left, rect.y + 36, second, "note"),
        *([Text(right, rect.y + 36, tasks, "right")] if tasks else []),
    ]
    bar = Bar(left, rect.y + CARD_HEIGHT - 11, right - left, min(1.0, framework.share), 0)
    mine = [snapshot.workloads[key] for key in framework.workloads if key in snapshot.workloads]
    ran = sorted((w for w in mine if w.running), key=lambda w: w.id)[:8]
    total = sum(w.running for w in ran)
    swatches = tuple(Swatch(families.colour(w.id, 0) % len(style.WORKLOADS), w.running / total) for w in ran)
    look = "framework" if framework.active and framework.connected else "idle"
    return Block(FRAMEWORK + framework.id, rect, look, tuple(texts), (bar,), swatches)


def service_block(layout: Layout, service: Service) -> Block | None:
    """A Service's card: where it answers and to how many it sends; None when there is no room for it."""
    rect = layout.card(layout.cards[service.key])
    if rect is None:
        return None
    left, right = rect.x + 12, rect.right - 12
    ready, unready = len(service.tasks), len(service.unready)
    count = f"{ready} / {ready + unready}"
    first = service.endpoints[0]
    if first.kind == "haproxy":
        where = f"HAProxy {first.address}".strip()
    else:
        where = f"{words.selector(first.selector)} {words.service_kind(first)}"
    ports = words.service_ports(service.endpoints)
    texts = [
        Text(left, rect.y + 18, words.short(f"⇄ {service.name}", right - left - 9 * len(count), 7.8), "title"),
        Text(right, rect.y + 18, count, "strong"),
        Text(left, rect.y + 36, words.short(where, right - left - 6.6 * len(ports) - 6, 6.2), "note"),
    ]
    if ports and rect.w > 170:
        texts.append(Text(right, rect.y + 36, ports, "right"))
    part = _part(ready, ready + unready) or 0.0
    bar = Bar(left, rect.y + CARD_HEIGHT - 11, right - left, part, 3 if ready and not unready else 1)
    look = "service" if ready or not first.selector else "unserved"
    return Block(service.key, rect, look, tuple(texts), (bar,))


def tray_block(layout: Layout, snapshot: Snapshot, waiting: int) -> Block:
    """Where tasks wait that have no node."""
    rect = layout.tray()
    middle = rect.y + rect.h / 2
    texts = [Text(rect.x + 14, middle, f"Waiting for {words.wanted(snapshot.orchestrator)}", "title")]
    missing = layout.without_room(TRAY)
    hidden = sum(1 for number in layout.cards.values() if layout.card(number) is None)
    if waiting:
        texts.append(Text(rect.right - 14, middle, f"+{missing} more" if missing else f"{waiting} waiting", "right"))
    elif hidden > 0:
        texts.append(Text(rect.right - 14, middle, f"{hidden} more workloads are not drawn above", "right"))
    elif not snapshot.workloads:
        texts.append(Text(rect.right - 14, middle, "no workload yet: deploy one and watch it land", "right"))
    else:
        texts.append(Text(rect.right - 14, middle, f"every {words.unit(snapshot.orchestrator)} has its place", "right"))
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

"""The same picture as a standalone SVG: for exports, closed notebooks, GitHub, and everywhere without a kernel."""

from __future__ import annotations

from datetime import datetime
from html import escape
from math import cos, pi, sin

from labkit.model import Snapshot, State

from . import style, words
from .families import services_of
from .grid import LEGEND_HEIGHT, MARGIN, WIDTH, Rect
from .parts import Block, Text, swatch_rects
from .scene import Scene

SIZES = {"title": 13, "strong": 13, "note": 11, "right": 11, "name": 11, "alert": 12}
LEGEND = (
    State.RUNNING,
    State.UNREADY,
    State.STARTING,
    State.PENDING,
    State.STOPPING,
    State.FAILED,
    State.LOST,
    State.COMPLETE,
    State.STOPPED,
)
LEGEND_STEP = 92  # in a narrow window the words keep their size, so they need room


def svg(snapshot: Snapshot, theme: str = "light", show_dead: bool = False) -> str:
    """A picture of a snapshot as SVG text. ``theme``: "light", "dark", or "auto" (follows the page it is in)."""
    scene = Scene(show_dead=show_dead)
    scene.update(snapshot, now=0.0)
    when = f"{datetime.fromtimestamp(snapshot.at):%Y-%m-%d %H:%M:%S}"
    scene.say(f"as last seen {when}: {snapshot.error}"[:60] if snapshot.error else when, alert=bool(snapshot.error))
    return render(scene, theme)


def render(scene: Scene, theme: str = "light") -> str:
    """A scene as SVG text."""
    look = style.THEMES[theme]
    height = round(scene.height)
    summary = summarise(scene.snapshot) if scene.snapshot else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(summary)}" font-family="{escape(style.FONT)}" '
        f'style="max-width:100%;height:auto;color:{look.text}">',
        f"<title>{escape(summary)}</title>",
        _patterns(),
    ]
    if look.background != "transparent":
        parts.append(f'<rect width="{WIDTH}" height="{height}" fill="{look.background}"/>')
    parts.extend(_links(scene))
    parts.extend(_block(block, look) for block in scene.blocks.values())
    parts.extend(_tasks(scene, look))
    parts.extend(_legend(height, look, scene.status))
    parts.append("</svg>")
    return "\n".join(parts)


def summarise(snapshot: Snapshot) -> str:
    """The picture in a sentence or two, for those who cannot see it."""
    lines = [f"{snapshot.orchestrator}: {words.plural(len(snapshot.nodes), 'node')}"]
    trouble = [f"{n.name} is {style.NODES[c].word}" for n in snapshot.nodes.values() if _odd(c := style.condition(n))]
    if trouble:
        lines.append(", ".join(trouble))
    if told := words.quorum_words(snapshot):
        lines.append(f"ZooKeeper has {told}" if told.startswith("no") else f"ZooKeeper's {told}")
    for framework in snapshot.frameworks.values():
        has = f"{words.plural(framework.tasks, 'task')} and {words.offers(framework)}"
        lines.append(f"the framework {framework.name} has {words.share(framework)}, {has}")
    tops = (w for w in snapshot.workloads.values() if w.owner not in snapshot.workloads and w.kind != "framework")
    lines.extend(f"{w.name} has {w.running} of {w.desired} tasks running" for w in tops)
    for service in services_of(snapshot).values():
        what = "HAProxy's" if service.endpoints[0].kind == "haproxy" else "the Service"
        unit = words.unit(snapshot.orchestrator)
        lines.append(f"{what} {service.name} sends to {words.plural(len(service.tasks), unit)}")
    if snapshot.error:
        lines.append(snapshot.error)
    return "; ".join(lines)


def _odd(condition: str) -> bool:
    return condition not in ("ready", "leader")


def _patterns() -> str:
    hatches = []
    for name, look in style.NODES.items():
        path = {
            "x": "M0 0L12 12M12 0L0 12",
            "/": "M0 12L12 0",
            "\\": "M0 0L12 12",
            "-": "M0 6H12",
            ".": "M6 6h1",
        }.get(look.hatch)
        if path:
            hatches.append(
                f'<pattern id="hatch-{name}" width="12" height="12" patternUnits="userSpaceOnUse">'
                f'<path d="{path}" stroke="{_opaque(look.line)}" stroke-opacity="0.16" fill="none"/></pattern>'
            )
    return f"<defs>{''.join(hatches)}</defs>"


def _opaque(colour: str) -> str:
    return "rgb(" + ",".join(colour.removeprefix("rgba(").rstrip(")").split(",")[:3]) + ")"


def _paint(colour: str, attribute: str = "fill") -> str:
    """A colour as SVG 1.1 attributes: not every renderer knows ``rgba()``."""
    if not colour.startswith("rgba("):
        return f'{attribute}="{colour}"'
    alpha = colour.rstrip(")").split(",")[3]
    return f'{attribute}="{_opaque(colour)}" {attribute}-opacity="{alpha}"'


def _links(scene: Scene) -> list[str]:
    lines = []
    for polylines, colour, extra in (
        (scene.links.whole, style.LINK, ""),
        (scene.links.broken, style.LINK_BROKEN, ' stroke-dasharray="3 5"'),
        (scene.links.served, style.LINK_SERVED, ""),
        (scene.links.answered, style.LINK_ANSWERED, ' stroke-dasharray="2 4"'),
        (scene.links.offered, style.LINK_OFFERED, ' stroke-dasharray="7 4"'),
    ):
        for points in polylines:
            path = "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points)
            lines.append(f'<path d="{path}" fill="none" {_paint(colour, "stroke")} stroke-width="1.5"{extra}/>')
    return lines


def _rect(rect: Rect, radius: float, attributes: str) -> str:
    return (
        f'<rect x="{rect.x:.1f}" y="{rect.y:.1f}" width="{rect.w:.1f}" height="{rect.h:.1f}" '
        f'rx="{radius}" {attributes}/>'
    )


def _block(block: Block, theme: style.Theme) -> str:
    look = style.NODES[block.look]
    radius = min(10.0, block.rect.h / 4)
    parts = [f'<g data-id="{escape(block.id)}">']
    parts.append(_rect(block.rect, radius, f'{_paint(look.fill)} {_paint(look.line, "stroke")} stroke-width="1.5"'))
    if look.hatch:
        parts.append(_rect(block.rect, radius, f'fill="url(#hatch-{block.look})"'))
    for rect, colour in swatch_rects(block):
        parts.append(_rect(rect, 2.5, f'fill="{style.WORKLOADS[colour]}"'))
    for bar in block.bars:
        parts.append(_rect(Rect(bar.x, bar.y - 2.5, bar.w, 5), 2.5, _paint(style.BAR_TRACK)))
        if bar.part:
            filled = Rect(bar.x, bar.y - 2.5, max(5.0, bar.w * bar.part), 5)
            parts.append(_rect(filled, 2.5, f'fill="{style.BARS[bar.code]}"'))
    parts.extend(_text(text, theme) for text in block.texts)
    parts.append("</g>")
    return "".join(parts)


def _text(text: Text, theme: style.Theme) -> str:
    bold = ' font-weight="bold"' if text.role in ("title", "strong", "alert") else ""
    colour = theme.text if text.role in ("title", "strong", "name") else theme.muted
    colour = style.VERMILLION if text.role == "alert" else colour
    anchor = ' text-anchor="end"' if text.role in ("right", "strong", "alert") else ""
    # Colours as style, not attribute: var() works only there.
    return (
        f'<text x="{text.x:.1f}" y="{text.y:.1f}" dy="0.35em" font-size="{SIZES[text.role]}"{bold}{anchor} '
        f'style="fill:{colour}">{escape(text.text)}</text>'
    )


def _tasks(scene: Scene, theme: style.Theme) -> list[str]:
    fills, borders = style.colours(tasks=True), style.colours(tasks=False)
    symbols = {look.code: look.symbol for look in style.TASKS.values()}
    level = scene.layout.level
    parts = []
    for point, occupant in enumerate(scene.slots.occupant):
        if not occupant:
            continue
        x, y = float(scene.layout.x[point]), float(scene.layout.y[point])
        fill, border = fills[scene.slots.state[point]], borders[scene.slots.border[point]]
        mark = shape(symbols[int(scene.slots.symbol[point])], x, y, level.size / 2)
        painted = f'<g><title>{escape(scene.slots.hover[point])}</title><path d="{mark}" {_paint(fill)} '
        painted += f'{_paint(border, "stroke")} stroke-width="{level.border}"/>'
        if label := scene.slots.labels[point]:
            if level.label == "name":
                role = "name" if scene.slots.state[point] < style.FADED else "note"
                painted += _text(Text(x + level.size / 2 + 6, y, label, role), theme)
            else:
                painted += (
                    f'<text x="{x}" y="{y}" dy="0.35em" font-size="{level.size * 0.58:.1f}" font-weight="bold" '
                    f'text-anchor="middle" fill="{theme.on_fill}">{escape(label)}</text>'
                )
        parts.append(painted + "</g>")
    return parts


def _legend(height: float, theme: style.Theme, status: Text) -> list[str]:
    y = height - LEGEND_HEIGHT / 2 - 2
    parts = []
    for x, state in legend_places():
        look = style.TASKS[state]
        parts.append(f'<path d="{shape(look.symbol, x, y, 6)}" fill="{look.fill}"/>')
        parts.append(_text(Text(x + 12, y, look.word, "note"), theme))
    parts.append(_text(Text(LEGEND_NOTE_AT, y, LEGEND_NOTE, "note"), theme))
    if status.text:
        parts.append(_text(status, theme))
    return parts


LEGEND_NOTE = "border: workload"
LEGEND_NOTE_AT = MARGIN + len(LEGEND) * LEGEND_STEP + 8


def legend_places() -> list[tuple[float, State]]:
    """(x, state) of the legend's entries."""
    return [(MARGIN + 8 + index * LEGEND_STEP, state) for index, state in enumerate(LEGEND)]


def shape(symbol: str, x: float, y: float, r: float) -> str:
    """The path of a mark, the same shapes as plotly's."""
    if symbol == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    if symbol == "x":
        a, b = r * 0.32, r
        corners = [(-b, -b + a), (-b + a, -b), (0, -a), (b - a, -b), (b, -b + a), (a, 0), (b, b - a), (b - a, b)]
        corners += [(0, a), (-b + a, b), (-b, b - a), (-a, 0)]
    else:
        count, turn, grow = _POLYGONS[symbol]
        angles = [turn + 2 * pi * i / count for i in range(count)]
        corners = [(r * grow * cos(angle), r * grow * sin(angle)) for angle in angles]
    return "M" + "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners) + "Z"


# corners, angle of the first, size relative to the circle's
_POLYGONS = {
    "square": (4, pi / 4, 2**0.5 * 0.92),
    "diamond": (4, 0.0, 1.3),
    "triangle-up": (3, -pi / 2, 1.15),
    "triangle-down": (3, pi / 2, 1.15),
    "pentagon": (5, -pi / 2, 1.1),
    "hexagon": (6, pi / 2, 1.0),
    "octagon": (8, pi / 8, 1.0),
}

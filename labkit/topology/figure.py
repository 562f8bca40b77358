"""The scene as a plotly figure: which traces there are, and their arrays.

A fixed set of traces whose points never move; :mod:`labkit.topology.renderer` sends what changes of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from . import style, svg
from .grid import LEGEND_HEIGHT, WIDTH
from .parts import Block, Text, swatch_rects
from .scene import Scene

# The traces, by what they draw. Their order is their number and, within bars and within marks, what covers what.
TRACES = (
    "boxes",
    "hatches",
    "tracks",
    "bars",
    "links",
    "broken",
    "served",
    "offered",
    "answered",
    "slots",
    "titles",
    "strong",
    "notes",
    "right",
    "alert",
    "key",
)
NUMBER = {name: index for index, name in enumerate(TRACES)}
BAR_HEIGHT = 5.0
FONT_SIZES = {"titles": 13, "strong": 13, "notes": 11, "right": 11, "alert": 12}

# What a text is, told by its weight: the style sheet of the widget colours by it (widgets/static/figure.css).
WEIGHTS = {"notes": 400, "right": 400, "name": 500, "sign": 600, "titles": 700, "strong": 700, "alert": 800}

Props = dict[str, Any]


def _f32(values: list[float]) -> Any:
    return np.array(values, np.float32)


def _u8(values: list[int]) -> Any:
    return np.array(values, np.uint8)


# From scene to arrays: one function a trace, pure ---------------------------------------------------------------


def boxes(scene: Scene) -> Props:
    """Node boxes, cards and the tray; last the colour swatches of the cards."""
    blocks = _ordered(scene)
    swatches = [found for block in blocks for found in swatch_rects(block)]
    rects = [b.rect for b in blocks] + [rect for rect, _ in swatches]
    codes = [style.NODE_CODES[b.look] for b in blocks] + [len(style.NODES) + colour for _, colour in swatches]
    return {
        "x": _f32([r.x + r.w / 2 for r in rects]),
        "y": _f32([r.h for r in rects]),
        "base": _f32([r.y for r in rects]),
        "width": _f32([r.w for r in rects]),
        "marker.color": _u8(codes),
        "marker.line.color": _u8(codes),
    }


def hatches(scene: Scene) -> Props:
    """The same boxes again where they are hatched: a pattern for each trace is cheap, one for each point is not."""
    hatched = [b for b in _ordered(scene) if style.NODES[b.look].hatch]
    return {
        "x": _f32([b.rect.x + b.rect.w / 2 for b in hatched]),
        "y": _f32([b.rect.h for b in hatched]),
        "base": _f32([b.rect.y for b in hatched]),
        "width": _f32([b.rect.w for b in hatched]),
        "marker.pattern.shape": [style.NODES[b.look].hatch for b in hatched],
        "marker.pattern.fgcolor": [style.NODES[b.look].line for b in hatched],
    }


def tracks(scene: Scene) -> Props:
    found = _bars(scene)
    return {
        "base": _f32([b.x for b in found]),
        "x": _f32([b.w for b in found]),
        "y": _f32([b.y for b in found]),
    }


def bars(scene: Scene) -> Props:
    found = _bars(scene)
    return {
        "base": _f32([b.x for b in found]),
        "x": _f32([max(BAR_HEIGHT, b.w * b.part) if b.part else 0.0 for b in found]),
        "y": _f32([b.y for b in found]),
        "marker.color": _u8([b.code for b in found]),
    }


def links(scene: Scene) -> Props:
    return _polylines(scene.links.whole)


def broken(scene: Scene) -> Props:
    return _polylines(scene.links.broken)


def served(scene: Scene) -> Props:
    return _polylines(scene.links.served)


def offered(scene: Scene) -> Props:
    return _polylines(scene.links.offered)


def answered(scene: Scene) -> Props:
    return _polylines(scene.links.answered)


def _polylines(lines: tuple[tuple[tuple[float, float], ...], ...]) -> Props:
    gap = float("nan")
    points = [p for line in lines for p in (*line, (gap, gap))]
    return {"x": _f32([x for x, _ in points]), "y": _f32([y for _, y in points])}


def slots(scene: Scene) -> Props:
    """Every slot, taken or not."""
    return {
        "x": scene.layout.x.copy(),
        "y": scene.layout.y.copy(),
        "marker.color": scene.slots.state.copy(),
        "marker.line.color": scene.slots.border.copy(),
        "marker.symbol": scene.slots.symbol.copy(),
        "text": _labels(scene),
        "hovertext": list(scene.slots.hover),
    }


def slot_look(scene: Scene, theme: style.Theme | None = None) -> Props:
    """What is the same for all slots of a level; colours too where no style sheet gives them."""
    level = scene.layout.level
    named = level.label == "name"
    ink = {"textfont.color": theme.text if named else theme.on_fill} if theme else {}
    return {
        **ink,
        "marker.size": level.size,
        "marker.line.width": level.border,
        "textposition": "middle right" if named else "middle center",
        "textfont.size": 11 if named else round(level.size * 0.58, 1),
        "textfont.weight": WEIGHTS["name"] if named else WEIGHTS["sign"],
    }


def _labels(scene: Scene) -> list[str]:
    if not scene.slots.with_labels:
        return []
    # Plotly sets text close to the mark: a space at the front keeps the distance that the SVG has. An empty text
    # would take its element out of the page for good (plotly 7.1), so that no later text could appear there.
    space = " " if scene.layout.level.label == "name" else ""
    return [space + label or " " for label in scene.slots.labels]


def texts(scene: Scene, *roles: str) -> Props:
    found = [t for b in _ordered(scene) for t in b.texts if t.role in roles]
    if scene.status.text and scene.status.role in roles:
        found.append(scene.status)
    return {
        "x": _f32([t.x for t in found]),
        "y": _f32([t.y for t in found]),
        "text": [_markup(t) for t in found],
    }


def key(scene: Scene) -> Props:
    """The legend: a mark and a word for each state."""
    y = scene.height - LEGEND_HEIGHT / 2 - 2
    places = svg.legend_places()
    note = [(svg.LEGEND_NOTE_AT, "middle right", svg.LEGEND_NOTE)]
    return {
        "x": _f32([x for x, _ in places] + [x for x, _, _ in note]),
        "y": _f32([y] * (len(places) + 1)),
        "marker.color": _u8([int(s) for _, s in places] + [style.HIDDEN]),
        "marker.symbol": _u8([style.TASKS[s].code for _, s in places] + [0]),
        "text": [f" {style.TASKS[s].word}" for _, s in places] + [text for _, _, text in note],
        "textposition": ["middle right"] * len(places) + [side for _, side, _ in note],
    }


MAKERS: dict[str, Any] = {
    "boxes": boxes,
    "hatches": hatches,
    "tracks": tracks,
    "bars": bars,
    "links": links,
    "broken": broken,
    "served": served,
    "offered": offered,
    "answered": answered,
    "slots": slots,
    "key": key,
}
ROLES = {"titles": ("title",), "strong": ("strong",), "notes": ("note",), "right": ("right",), "alert": ("alert",)}


def make(name: str, scene: Scene) -> Props:
    """The arrays of a trace."""
    return texts(scene, *ROLES[name]) if name in ROLES else MAKERS[name](scene)


def _ordered(scene: Scene) -> list[Block]:
    return list(scene.blocks.values())


def _bars(scene: Scene) -> list[Any]:
    return [bar for block in scene.blocks.values() for bar in block.bars]


def _markup(text: Text) -> str:
    return text.text.replace("&", "&amp;").replace("<", "&lt;") or " "  # never empty, see _labels


# The figure ------------------------------------------------------------------------------------------------------


def traces(theme: style.Theme) -> list[Props]:
    """The fixed traces, still without arrays."""
    box_lines = [*(n.line for n in style.NODES.values()), *style.WORKLOADS]
    box_fills = [*(n.fill for n in style.NODES.values()), *style.WORKLOADS]
    quiet: Props = {"hoverinfo": "skip", "showlegend": False}
    clickable: Props = {"hoverinfo": "none", "showlegend": False}
    thin: Props = {**quiet, "type": "bar", "orientation": "h", "width": BAR_HEIGHT}
    writing: Props = {**quiet, "type": "scatter", "mode": "text", "cliponaxis": False}
    return [
        {
            **clickable,
            "type": "bar",
            "marker": {
                **_coded(box_fills),
                "cornerradius": 10,
                "line": {**_coded(box_lines), "width": 1.5},
            },
        },
        {
            **quiet,
            "type": "bar",
            "marker": {
                "color": "rgba(0,0,0,0)",
                "line": {"width": 0},
                "cornerradius": 10,
                "pattern": {"fillmode": "overlay", "fgopacity": 0.16, "size": 12, "solidity": 0.1},
            },
        },
        {**thin, "marker": {"color": style.BAR_TRACK, "cornerradius": 2.5, "line": {"width": 0}}},
        {**thin, "marker": {**_coded(list(style.BARS)), "cornerradius": 2.5, "line": {"width": 0}}},
        {**quiet, "type": "scatter", "mode": "lines", "line": {"color": style.LINK, "width": 1.5}},
        {
            **quiet,
            "type": "scatter",
            "mode": "lines",
            "line": {"color": style.LINK_BROKEN, "width": 1.5, "dash": "3px,5px"},
        },
        {**quiet, "type": "scatter", "mode": "lines", "line": {"color": style.LINK_SERVED, "width": 1.25}},
        {
            **quiet,
            "type": "scatter",
            "mode": "lines",
            "line": {"color": style.LINK_OFFERED, "width": 2, "dash": "7px,4px"},
        },
        {
            **quiet,
            "type": "scatter",
            "mode": "lines",
            "line": {"color": style.LINK_ANSWERED, "width": 1.5, "dash": "2px,4px"},
        },
        {
            "type": "scatter",
            "mode": "markers+text",
            "showlegend": False,
            "hoverinfo": "text",
            "cliponaxis": False,
            "marker": {
                "opacity": 1.0,  # plotly would thin out overlapping marks
                **_coded(style.colours(tasks=True)),
                "line": _coded(style.colours(tasks=False)),
            },
            "textfont": {},
        },
        *(
            {
                **writing,
                "textposition": "middle left" if name in ("right", "strong", "alert") else "middle right",
                "textfont": {
                    "size": FONT_SIZES[name],
                    "color": _ink(name, theme),
                    "weight": WEIGHTS[name],
                },
            }
            for name in ROLES
        ),
        {
            **quiet,
            "type": "scatter",
            "mode": "markers+text",
            "cliponaxis": False,
            "marker": {"size": 11, "opacity": 1.0, **_coded(style.colours(tasks=True)), "line": {"width": 0}},
            "textfont": {"size": 11, "color": theme.muted, "weight": WEIGHTS["notes"]},
        },
    ]


def _ink(name: str, theme: style.Theme) -> str:
    if name == "alert":
        return style.VERMILLION
    return theme.text if name in ("titles", "strong") else theme.muted


def _coded(colours: list[str]) -> Props:
    return {"cmin": 0, "cmax": len(colours) - 1, "colorscale": style.scale(colours)}


def layout(scene: Scene, theme: style.Theme) -> Props:
    """Axes are the scene's canvas and do not move: a zoom survives every update."""
    clear = "rgba(0,0,0,0)"
    axis: Props = {"visible": False, "fixedrange": False, "zeroline": False, "showgrid": False}
    return {
        "height": round(scene.height),
        "autosize": True,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "barmode": "overlay",
        "bargap": 0,
        "hovermode": "closest",
        "dragmode": "pan",
        "clickmode": "event",
        "uirevision": "labkit",
        "paper_bgcolor": clear if theme.background == "transparent" else theme.background,
        "plot_bgcolor": clear,
        "font": {"family": style.FONT},
        "hoverlabel": {"font": {"family": style.FONT, "size": 12}},
        "xaxis": {**axis, "range": [0, WIDTH]},
        "yaxis": {**axis, "range": [round(scene.height), 0]},
    }


def build(scene: Scene, theme: str = "light") -> Props:
    """A whole figure as plotly's JSON-like dicts, arrays as numpy.

    Plotly knows no CSS variables: for "auto" it writes in a grey that reads on both, and the widget's style sheet
    puts the page's own colours over it.
    """
    look = style.THEMES[theme]
    if theme == "auto":
        look = replace(look, text=style.GREY, muted=style.GREY)
    data = traces(look)
    for name, trace in zip(TRACES, data, strict=True):
        for path, value in {**make(name, scene), **(slot_look(scene, look) if name == "slots" else {})}.items():
            put(trace, path, value)
        trace["name"] = name
    return {"data": data, "layout": layout(scene, look)}


def figure(scene: Scene, theme: str = "light") -> go.Figure:
    """A plain, validated plotly figure of a scene."""
    return go.Figure(build(scene, theme))


def put(trace: Props, path: str, value: Any) -> None:
    """Set ``marker.line.color`` in nested dicts."""
    *parents, last = path.split(".")
    for parent in parents:
        trace = trace.setdefault(parent, {})
    trace[last] = value

"""Keeps a figure widget like its scene by sending the arrays of what changed.

Validation by plotly is skipped for them (it looks at every element of a symbol array, 20 ms for 1,000 tasks): they
are made by :mod:`labkit.topology.figure`, of codes from :mod:`style`, and the tests let plotly validate them.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .figure import NUMBER, ROLES, TRACES, Props, make, put, slot_look, slots
from .scene import Scene

Restyle = dict[int, Props]  # trace number -> {"marker.color": array, …}

# Which traces a changed part of the scene touches.
PARTS = {
    "blocks": ("boxes", "hatches", "tracks", "bars", *ROLES),
    "texts": tuple(ROLES),
    "bars": ("tracks", "bars"),
    "links": ("links", "broken", "served", "offered", "answered"),
}
SLOT_PARTS = {
    "state": "marker.color",
    "border": "marker.line.color",
    "symbol": "marker.symbol",
    "labels": "text",
    "hover": "hovertext",
}


def changes(scene: Scene, dirty: set[str]) -> tuple[Restyle, Props]:
    """What to send for the changed parts of a scene: (arrays by trace, layout)."""
    if "canvas" in dirty:
        everything = {NUMBER[name]: make(name, scene) for name in TRACES}
        everything[NUMBER["slots"]].update(slot_look(scene))
        height = round(scene.height)
        return everything, {"height": height, "yaxis.range": [height, 0]}
    restyle: Restyle = {}
    for part, names in PARTS.items():
        if part in dirty:
            for name in names:
                restyle[NUMBER[name]] = make(name, scene)
    if "points" in dirty:
        restyle[NUMBER["slots"]] = slots(scene)
    else:
        everything_of_slots = {SLOT_PARTS[part] for part in dirty & SLOT_PARTS.keys()}
        if everything_of_slots:
            arrays = slots(scene)
            restyle[NUMBER["slots"]] = {path: arrays[path] for path in everything_of_slots}
    return restyle, {}


class FigureLike(Protocol):
    """The part of ``labkit.widgets.figurewidget.GraphWidget`` that is kept up to date."""

    _data: list[Props]
    _layout: Props

    def send_update(self, style_data: Props, layout_data: Props, traces: list[int]) -> None:
        """Have the page restyle some traces and relayout the figure."""


class FigureRenderer:
    """Keeps a figure widget like its scene.

    :meth:`update` must not run on two threads at once; the widgets' one renderer thread sees to that.
    """

    def __init__(self, widget: FigureLike, scene: Scene) -> None:
        self.widget = widget
        self.scene = scene
        # Plotly keeps some arrays as lists; told again in our types they compare equal and are not sent twice.
        for name in TRACES:
            for path, value in make(name, scene).items():
                put(widget._data[NUMBER[name]], path, value)

    def update(self, dirty: set[str]) -> None:
        """Send the changed parts. Names under the mouse of a big cluster are left for :meth:`update_hover`."""
        if not self.scene.slots.with_labels:
            dirty = dirty - {"hover"} if "canvas" not in dirty else dirty
        if dirty:
            restyle, relayout = changes(self.scene, dirty)
            self._send(restyle, relayout)

    def update_hover(self) -> None:
        """The names under the mouse: 10 KB for 1,000 tasks, so not in every frame."""
        self._send({NUMBER["slots"]: {"hovertext": list(self.scene.slots.hover)}}, {})

    def _send(self, restyle: Restyle, relayout: Props) -> None:
        groups: dict[tuple[str, ...], dict[int, Props]] = {}
        for number, props in restyle.items():
            trace = self.widget._data[number]
            changed = {path: value for path, value in props.items() if not _same(_get(trace, path), value)}
            for path, value in changed.items():
                put(trace, path, value)
            if changed:
                # Traces of which the same attributes change share a message. Plotly would send one with gaps for all;
                # a page that is still loading then writes the gaps over what those traces have (plotly 7.1).
                groups.setdefault(tuple(sorted(changed)), {})[number] = changed
        for path, value in relayout.items():
            put(self.widget._layout, path, value)
        if relayout:
            self.widget.send_update({}, relayout, [])
        for paths, traces in groups.items():
            numbers = sorted(traces)
            self.widget.send_update({path: [traces[n][path] for n in numbers] for path in paths}, {}, numbers)


def _get(trace: Props, path: str) -> Any:
    value: Any = trace
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _same(old: Any, new: Any) -> bool:
    if isinstance(new, np.ndarray):
        # NaN separates lines, and is not equal to itself.
        return (
            isinstance(old, np.ndarray)
            and old.dtype == new.dtype
            and np.array_equal(old, new, equal_nan=new.dtype.kind == "f")
        )
    return bool(old == new)

"""A plotly FigureWidget that also shows where no kernel is, and that a reloaded page gets as it is now."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly
import plotly.graph_objects as go
from plotly.serializers import custom_serializers

from labkit.topology import figure, svg
from labkit.topology.scene import Scene

HERE = Path(__file__).parent
BUNDLE = Path(plotly.__file__).parent / "package_data" / "widgetbundle.js"
EXPORT = re.compile(r"export\s*\{[^{}]*?(\w+) as default\s*\}")
CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True, "doubleClick": "reset"}


def _module() -> str:
    """Plotly's module with ours behind it; what it exports is ours, which has plotly's by name."""
    bundle = BUNDLE.read_text(encoding="utf-8")
    *_, last = EXPORT.finditer(bundle)  # earlier ones are in the texts of its workers
    ours = (HERE / "static" / "figure.js").read_text(encoding="utf-8")
    return f"{bundle[: last.start()]}const plotlyWidget = {last[1]}{bundle[last.end() :]}\n{ours}"


class GraphWidget(go.FigureWidget):
    """The live graph. ``theme`` "auto" takes its text colours from the page: JupyterLab's, light or dark."""

    _esm = _module()
    _css = HERE / "static" / "figure.css"

    _built = False  # the base class asks for the state before there is any

    def __init__(self, scene: Scene, theme: str = "auto") -> None:
        built = figure.build(scene, theme)
        super().__init__(data=built["data"], layout=built["layout"])
        self._built = True
        self._config = CONFIG
        self._scene = scene
        self._clicked: list[Callable[[str, int], None]] = []
        if theme == "auto":
            self.add_class("labkit-graph")
        for name in ("slots", "boxes"):
            self.data[figure.NUMBER[name]].on_click(self._on_click)

    def on_pick(self, fn: Callable[[str, int], None]) -> None:
        """Call ``fn("slots" | "boxes", point)`` when something is clicked, on whichever thread the kernel uses."""
        self._clicked.append(fn)

    def _on_click(self, trace: Any, points: Any, state: Any) -> None:
        for point in points.point_inds:
            for fn in self._clicked:
                fn(trace.name, int(point))

    def send_update(self, style_data: dict[str, Any], layout_data: dict[str, Any], traces: list[int]) -> None:
        """Plotly's own ``_send_update_msg`` in one message instead of four.

        The last one is never taken back as plotly does (`None`): its ids make each message a new one.
        """
        with self.hold_sync():
            self._last_layout_edit_id += 1
            self._last_trace_edit_id += 1
            self._layout_edit_in_process = self._trace_edit_in_process = True
            self._py2js_update = {
                "style_data": style_data,
                "layout_data": layout_data,
                "style_traces": traces,
                "trace_edit_id": self._last_trace_edit_id,
                "layout_edit_id": self._last_layout_edit_id,
            }

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Widget state as sent to a page: plotly keeps that of the last display, so put the present in its place."""
        state: dict[str, Any] = super().get_state(key=key, drop_defaults=drop_defaults)
        to_json = custom_serializers["to_json"]
        if key is None:
            state.pop("_py2js_update", None)  # is in the present already
        if self._built and "_widget_data" in state:
            state["_widget_data"] = to_json(self._data, self)
        if self._built and "_widget_layout" in state:
            state["_widget_layout"] = to_json(self._layout, self)
        return state

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None, validate: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        bundle = dict(super()._repr_mimebundle_(include, exclude, validate, **kwargs))
        return {**bundle, **fallback(self._scene)}


def fallback(scene: Scene) -> dict[str, str]:
    """The picture for places without a kernel: closed notebooks, GitHub, nbconvert."""
    snapshot = scene.snapshot
    if snapshot is None:
        return {"text/plain": "a cluster that was not read yet"}
    return {
        "text/plain": svg.summarise(snapshot),
        "text/html": f'<div class="labkit-static">{svg.svg(snapshot, "auto", scene.show_dead)}</div>',
        "image/svg+xml": svg.svg(snapshot, "light", scene.show_dead),
    }

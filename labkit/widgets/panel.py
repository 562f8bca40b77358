"""The HTML parts of the dashboard: one anywidget, shown as the bar above the graph and as the panel below it.

Data goes to the page in traits (only those that changed are sent), and what a person does comes back as one kind of
message, ``{"intent": …}``. The page itself notices when the kernel has gone silent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

log = logging.getLogger(__name__)

HERE = Path(__file__).parent / "static"


class Panel(anywidget.AnyWidget):
    """``part``: "bar" (status, history) or "panel" (workloads, nodes, details, events)."""

    _esm = HERE / "panel.js"
    _css = HERE / "panel.css"

    part = traitlets.Unicode("panel").tag(sync=True)
    info = traitlets.Dict().tag(sync=True)  # name, orchestrator, engine, images; actions: verb -> [text, title, danger]
    health = traitlets.Dict().tag(sync=True)  # updated, stale, error
    beat = traitlets.Int(0).tag(sync=True)  # counts up while the kernel lives
    outcome = traitlets.Dict().tag(sync=True)  # text, level
    history = traitlets.Dict().tag(sync=True)  # count, index (-1: live), time
    options = traitlets.Dict().tag(sync=True)  # show_dead, highlight
    workloads: Any = traitlets.List().tag(sync=True)
    services: Any = traitlets.List().tag(sync=True)
    frameworks: Any = traitlets.List().tag(sync=True)  # of Mesos alone: without any, the page has no place for them
    nodes: Any = traitlets.List().tag(sync=True)
    events: Any = traitlets.List().tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)

    def __init__(self, heard: Callable[[dict[str, Any]], None], **traits: Any) -> None:
        super().__init__(**traits)
        self._heard = heard
        self.on_msg(self._receive)

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and isinstance(content.get("intent"), str):
            self._heard(content)
        else:
            log.debug("not an intent: %r", content)

    def show(self, **traits: Any) -> None:
        """Set traits; those that are as before send nothing."""
        for name, value in traits.items():
            if getattr(self, name) != value:
                setattr(self, name, value)

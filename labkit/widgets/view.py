"""The live graph of a sandbox: follows its watcher, or stands at a moment of the past."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from labkit.model import Diff, Snapshot
from labkit.topology.renderer import FigureRenderer
from labkit.topology.scene import Scene

from .figurewidget import GraphWidget
from .protocol import SandboxLike
from .renderloop import LOOP, RenderLoop

TICK = 2.0  # seconds between looks at whether the picture has become stale
QUIET = 1.5  # seconds without a frame before the names under the mouse are sent for a big cluster

# (tasks up to, seconds a frame takes at least): what a browser draws in a fraction of that
GAPS = ((1000, 0.22), (2000, 1.0))
GAP_AGGREGATED = 0.5


class GraphView:
    """One sandbox's picture. Everything but :meth:`render` may be called from any thread."""

    def __init__(
        self, sandbox: SandboxLike, loop: RenderLoop = LOOP, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.live = sandbox.live
        self.scene = Scene()
        self.pinned: Snapshot | None = None  # a moment of the past that is looked at
        self.plugs: Mapping[str, str] = {}  # machine -> state of its plug
        self.show_dead = False
        self.highlight = ""
        self.with_status = True  # off beside a dashboard, which says it itself
        self.error = ""
        self._loop = loop
        self._hover_due = False
        self.scene.update(self.live.latest, now())
        self._status()
        self.widget = GraphWidget(self.scene)
        self._renderer = FigureRenderer(self.widget, self.scene)
        self._unsubscribe: Callable[[], None] = lambda: None
        self.bind(sandbox)
        loop.add(self)

    def bind(self, sandbox: SandboxLike) -> None:
        """Follow the sandbox's present watcher: it has a new one after it was closed and used again."""
        self._unsubscribe()
        self.live = sandbox.live
        self._unsubscribe = self.live.subscribe(self._changed)
        self.live.start()
        self.mark()

    def close(self) -> None:
        """Stop drawing; the last picture stays."""
        self._unsubscribe()
        self._loop.drop(self)

    def mark(self) -> None:
        self._loop.mark(self)

    @property
    def shown(self) -> Snapshot:
        """The moment that is looked at."""
        return self.pinned or self.live.latest

    # For the render loop --------------------------------------------------------------------------------------

    @property
    def gap(self) -> float:
        if self.scene.aggregated:
            return GAP_AGGREGATED
        count = len(self.scene.slots.state)
        return next((gap for up_to, gap in GAPS if count <= up_to), GAPS[-1][1])

    def render(self, now: float) -> float | None:
        self.scene.show_dead = self.show_dead
        self.scene.highlight = self.highlight
        dirty = self.scene.update(self.shown, now, self.plugs if self.pinned is None else {}) | self._status()
        self._renderer.update(dirty)
        if not self.scene.slots.with_labels and "hover" in dirty:
            self._hover_due = True
        elif self._hover_due and not dirty:
            self._renderer.update_hover()
            self._hover_due = False
        fade = self.scene.next_change
        return min(TICK, QUIET if self._hover_due else TICK, max(0.0, fade - now) if fade is not None else TICK)

    def failed(self, error: Exception) -> None:
        self.error = f"drawing failed: {error}"

    def _changed(self, snapshot: Snapshot, diff: Diff) -> None:
        self.mark()

    def _status(self) -> set[str]:
        if not self.with_status:
            return self.scene.say("")
        if self.pinned is not None:
            return self.scene.say(f"the past: {_clock(self.pinned.at)}", alert=True)
        error = self.live.error or self.error
        if error or self.live.stale:
            seen = f"last seen {_clock(self.live.updated_at)}" if self.live.updated_at else "not seen yet"
            return self.scene.say(_fit(f"{seen}: {error}" if error else seen), alert=True)
        return self.scene.say(f"updated {_clock(self.live.updated_at)}")


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%H:%M:%S}"


def _fit(text: str) -> str:
    return text if len(text) <= 52 else text[:51] + "…"

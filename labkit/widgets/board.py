"""The dashboard: a bar with status and history, the live graph, and panels that act on the cluster."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from typing import Any

import ipywidgets

from labkit.errors import LabkitError
from labkit.model import Snapshot
from labkit.placement import Why

from . import details, rows
from .actions import buttons
from .figurewidget import fallback
from .intents import VERBS, Outcome, Worker, explain
from .panel import Panel
from .protocol import ComponentLike, SandboxLike
from .renderloop import LOOP, RenderLoop
from .view import GraphView

log = logging.getLogger(__name__)

BEAT = 2.0  # seconds between signs of life to the page
LINGERS = 20.0  # seconds that the last thing done stands beside a trouble of the cluster: later it may be true no more
MOMENTS = 400  # positions of the history slider
# Suggested where the sandbox cannot say what it has.
IMAGES = ("traefik/whoami:v1.10", "nginx:1.27", "httpd:2.4", "redis:7", "busybox:1.36", "alpine:3.20")


class Dashboard(ipywidgets.VBox):
    """A sandbox's dashboard. Shown in several places it is the same one; :meth:`close` ends it."""

    def __init__(
        self,
        sandbox: SandboxLike,
        view: GraphView,
        loop: RenderLoop = LOOP,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sandbox = sandbox
        self.view = view
        self._loop = loop
        self._now = now
        self._heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._outcome = Outcome()
        self._selected = ("", "")
        self._index = -1  # of the moment looked at; -1 for the present
        self._moments: tuple[Snapshot, ...] = ()  # what the slider runs over: fixed while one looks at the past
        self._plugs: dict[str, str] = {}
        self._components: list[ComponentLike] = []
        self._next_beat = 0.0
        info = {
            "name": sandbox.name,
            "orchestrator": sandbox.orchestrator,
            "engine": sandbox.engine,
            "images": list(getattr(sandbox, "images", IMAGES)),
            "actions": buttons(sandbox.orchestrator),
        }
        self.bar = Panel(self._hear, part="bar", info=info)
        self.panel = Panel(self._hear, part="panel", info=info)
        view.with_status = False
        view.widget.on_pick(self._pick)
        super().__init__([self.bar, view.widget, self.panel])
        self.add_class("labkit-dashboard")
        self._why: tuple[str, Why | None] = ("", None)  # of the task that is selected: its id, and why it is there
        self.worker = Worker(sandbox, self._tell, self._look)
        self._unsubscribe = view.live.subscribe(lambda snapshot, diff: self._loop.mark(self))
        with loop.lock:
            self.render(clock())
        self.worker.start()
        loop.add(self)

    def close(self) -> None:
        """Stop updating and acting; the last picture stays where it is shown."""
        self._unsubscribe()
        self._loop.drop(self)
        self.view.close()
        self.worker.stop()

    # Heard on any thread: only put away -----------------------------------------------------------------------

    def _hear(self, message: dict[str, Any]) -> None:
        """An intent from the page. Those for the cluster go to the worker, those for the view to the render loop."""
        if message["intent"] in VERBS:
            self.worker.ask(message["intent"], {k: v for k, v in message.items() if k != "intent"})
        else:
            self._heard.put(message)
            self._loop.mark(self)

    def _pick(self, trace: str, point: int) -> None:
        self._heard.put({"intent": "pick", "trace": trace, "point": point})
        self._loop.mark(self)

    def _tell(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._loop.mark(self)

    def _look(self) -> None:
        """On the worker's thread: asking an engine, or a scheduler, may take a while."""
        self._ask_why()
        self._look_at_machines()

    def _look_at_machines(self) -> None:
        plugs = {machine.name: machine.state for machine in self._sandbox.machines}
        if plugs != self._plugs:
            self._plugs = plugs
            self.view.plugs = plugs
            self.view.mark()
            self._loop.mark(self)
        components = list(self._sandbox.components)
        if components != self._components:
            self._components = components
            self._loop.mark(self)

    def _ask_why(self) -> None:
        """Why the selected task is where it is; a cluster that cannot say, or not now, leaves the table away."""
        kind, task = self._selected
        # Marathon keeps its reasons by app, not by task.
        asked = kind == "task" or (kind == "workload" and self._sandbox.orchestrator == "marathon")
        why: Callable[[str], Why] | None = getattr(self._sandbox, "why", None)
        if why is None or not asked:
            return
        told: tuple[str, Why | None] = task, None
        try:
            told = task, why(task)
        except LabkitError:
            log.debug("cannot ask why", exc_info=True)
        if told != self._why:
            self._why = told
            self._loop.mark(self)

    # For the render loop --------------------------------------------------------------------------------------

    gap = 0.22

    def render(self, now: float) -> float | None:
        while True:
            try:
                message = self._heard.get_nowait()
            except queue.Empty:
                break
            try:
                self._obey(message)
            except Exception as error:
                self._outcome = Outcome(f"{message.get('intent')}: {explain(error)}", "error", self._now())
        self._show(now)
        return BEAT

    def failed(self, error: Exception) -> None:
        self._outcome = Outcome(f"drawing failed: {explain(error)}", "error", self._now())

    def _obey(self, message: dict[str, Any]) -> None:
        """What changes only what is looked at."""
        intent = message["intent"]
        if intent == "select":
            self._selected = (str(message["kind"]), str(message["id"]))
        elif intent == "pick":
            self._selected = self._picked(message["trace"], int(message["point"]))
        elif intent == "show_dead":
            self.view.show_dead = bool(message["on"])
        elif intent == "highlight":
            self.view.highlight = str(message.get("id") or "")
        elif intent == "scrub":
            self._scrub(int(message["index"]))
        elif intent == "live":
            self._index, self.view.pinned = -1, None
        elif intent == "keyframe":
            pass  # a page asks for a sign of life
        else:
            raise ValueError("unknown intent")
        if intent in ("select", "pick"):
            self.worker.look()
        self.view.mark()

    def _scrub(self, index: int) -> None:
        if self._index < 0:  # the slider must not grow under the hand that holds it
            self._moments = tuple(snapshot for snapshot, _ in self.view.live.history)[-MOMENTS:]
        if not self._moments:
            return
        self._index = max(0, min(index, len(self._moments) - 1))
        self.view.pinned = self._moments[self._index]

    def _picked(self, trace: str, point: int) -> tuple[str, str]:
        scene = self.view.scene
        if trace == "slots":
            key = scene.task_at(point)
            if not scene.aggregated and scene.stands_back(key):
                self.view.highlight = ""  # who asks for this one has done with what stood out before
            return ("node", key.partition("/")[0]) if scene.aggregated else ("task", key)
        keys = list(scene.blocks)
        if point >= len(keys):
            return "", ""
        key = keys[point]
        if key in scene.services:
            self.view.highlight = "" if self.view.highlight == key else key
            return "service", key
        if (framework := scene.framework(key)) is not None:
            self.view.highlight = "" if self.view.highlight == key else key
            return "framework", framework.id
        return ("node", key) if key in self.view.shown.nodes else ("workload", key)

    def _show(self, now: float) -> None:
        live, snapshot = self.view.live, self.view.shown
        scene, past = self.view.scene, self.view.pinned is not None
        plugs = {} if past else self._plugs
        count = len(self._moments) if past else min(MOMENTS, len(live.history))
        error = self.view.error or live.error
        health = {
            "updated": rows.clock(live.updated_at) if live.updated_at else "",
            "stale": live.stale,
            "error": snapshot.error if past else error,
        }
        history = {"count": count, "index": self._index, "time": rows.clock(snapshot.at) if past else ""}
        options = {"show_dead": self.view.show_dead, "highlight": self.view.highlight}
        last = self._outcome
        if health["error"] and last.level == "done" and self._now() - last.at > LINGERS:
            last = Outcome()
        outcome = {"text": last.text, "level": last.level, "at": last.at}
        beat = self.bar.beat
        if now >= self._next_beat:
            beat, self._next_beat = beat + 1, now + BEAT * 0.9
        self.bar.show(health=health, history=history, options=options, outcome=outcome, beat=beat)
        self.panel.show(
            options=options,
            history=history,
            workloads=rows.workloads(snapshot, scene.families, scene.layout.cards)[: rows.MOST_ROWS],
            services=rows.services(scene.services)[: rows.MOST_ROWS],
            frameworks=rows.frameworks(snapshot)[: rows.MOST_ROWS],
            nodes=[
                *rows.nodes(snapshot, scene.tally, scene.layout.nodes, plugs),
                *rows.loose_machines(snapshot, plugs),
            ][: rows.MOST_ROWS],
            events=rows.events(live.events),
            detail=details.detail(
                snapshot,
                self._selected,
                scene,
                plugs,
                [] if past else self._components,
                None if past or self._why[0] != self._selected[1] else self._why[1],
            ),
        )

    # Display --------------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        shown = super()._repr_mimebundle_(**kwargs)
        bundle = shown[0] if isinstance(shown, tuple) else shown
        with self._loop.lock:
            return {**(bundle or {}), **fallback(self.view.scene)}

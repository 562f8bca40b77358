"""The dashboard: acts through the worker, draws on one thread, loses no error, goes back in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from support.comms import Wire, listening
from support.simulated import SimulatedSandbox

from labkit.errors import ClusterError
from labkit.model import Snapshot
from labkit.placement import Place, Why
from labkit.topology import figure
from labkit.widgets import view as view_module
from labkit.widgets.board import Dashboard
from labkit.widgets.renderloop import RenderLoop
from labkit.widgets.view import GraphView


class ByHand(RenderLoop):
    """Draws when a test says so."""

    def add(self, view: object) -> None:
        with self._changed:
            self._due[view] = 0.0  # type: ignore[index]


class Bench:
    """A dashboard whose thread is the test's own."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.now = 100.0
        self.sandbox = SimulatedSandbox()
        self.swarm = self.sandbox.actions
        self.swarm.deploy("web", "nginx:1.27", 3, {8080: 80})
        self.swarm.settle()
        self.sandbox.live.start = lambda: self.sandbox.live  # type: ignore[method-assign]
        self.loop = ByHand()
        self.look()
        self.view = GraphView(self.sandbox, self.loop, now=lambda: self.now)
        self.board = Dashboard(self.sandbox, self.view, self.loop, clock=lambda: self.now)
        self.frame()

    def look(self) -> None:
        self.sandbox.live.refresh()

    def frame(self) -> None:
        self.now += 0.5
        self.view.render(self.now)
        self.board.render(self.now)

    def say(self, intent: str, **more: object) -> None:
        self.board.panel._handle_custom_msg({"intent": intent, **more}, [])

    @property
    def outcome(self) -> dict:
        return self.board.bar.outcome


@pytest.fixture
def bench() -> Iterator[Bench]:
    with listening() as wire:
        made = Bench(wire)
        yield made
        made.board.close()


def settled(bench: Bench, text: str) -> None:
    """Frames until the status line says something."""
    waited = threading.Event()
    for _ in range(100):
        bench.frame()
        if text in bench.outcome["text"]:
            return
        waited.wait(0.02)
    raise AssertionError(bench.outcome)


def test_it_shows_the_cluster(bench: Bench) -> None:
    assert [w["name"] for w in bench.board.panel.workloads] == ["web"]
    assert [n["name"] for n in bench.board.panel.nodes][:2] == ["manager-1", "manager-2"]
    assert bench.board.panel.events[-1]["text"].startswith("watching swarm")
    assert bench.board.bar.health["error"] == ""
    assert not bench.board.bar.health["stale"]


def test_an_intent_is_done_and_confirmed(bench: Bench) -> None:
    bench.say("scale", workload="web", name="web", replicas=5)
    settled(bench, "web: 5 wanted")
    assert bench.swarm.workloads["w-web"].desired == 5
    bench.look()
    bench.frame()
    assert bench.board.panel.workloads[0]["desired"] == 5


def test_a_raising_action_ends_in_the_status_line(bench: Bench) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("rpc error: code = Unknown desc = update out of sequence")

    bench.swarm.scale = refuse  # type: ignore[method-assign]
    bench.say("scale", workload="web", name="web", replicas=5)
    settled(bench, "update out of sequence")
    assert bench.outcome["level"] == "error"


@pytest.mark.parametrize("message", [{"intent": "fly"}, {"intent": "scrub"}, {"intent": "pick", "trace": "slots"}])
def test_a_raising_callback_ends_in_the_status_line(bench: Bench, message: dict) -> None:
    bench.board.panel._handle_custom_msg(message, [])
    bench.frame()
    assert bench.outcome["level"] == "error"
    assert message["intent"] in bench.outcome["text"]


def test_a_task_that_stands_back_and_is_picked_steps_forward(bench: Bench) -> None:
    """Its own workload's stand out as before; another one's would be looked at, and pale."""
    bench.swarm.deploy("db", "redis:7.4", 1)
    bench.swarm.settle()
    bench.look()
    bench.frame()
    bench.say("highlight", id="w-db")
    bench.frame()
    slots = {key: point for point, key in enumerate(bench.view.scene.slots.occupant) if key}
    tasks = bench.view.shown.tasks
    of = {tasks[key].workload: point for key, point in slots.items() if key in tasks}
    bench.say("pick", trace="slots", point=of["w-db"])
    bench.frame()
    assert bench.board.panel.options["highlight"] == "w-db"
    bench.say("pick", trace="slots", point=of["w-web"])
    bench.frame()
    assert bench.outcome["level"] != "error"
    assert bench.board.panel.options["highlight"] == ""


def test_a_view_that_cannot_draw_says_so(bench: Bench) -> None:
    bench.view.failed(RuntimeError("no pen"))
    bench.frame()
    assert bench.board.bar.health["error"] == "drawing failed: no pen"


def test_callbacks_only_enqueue(bench: Bench) -> None:
    """A callback may run on any thread: nothing is sent from it."""
    bench.wire.clear()
    bench.say("select", kind="node", id="n0")
    slots = bench.view.widget.data[figure.NUMBER["slots"]]
    bench.view.widget._on_click(slots, type("P", (), {"point_inds": [0]}), None)
    assert not bench.wire.messages
    assert bench.board.panel.detail == {}


def test_a_click_on_a_task_shows_it(bench: Bench) -> None:
    key, seat = next(iter(bench.view.scene.layout.occupants()))
    bench.view.widget._on_click(
        bench.view.widget.data[figure.NUMBER["slots"]], type("P", (), {"point_inds": [seat.point]}), None
    )
    bench.frame()
    assert bench.board.panel.detail["id"] == key
    assert bench.board.panel.detail["actions"] == ["kill"]


def test_a_click_on_a_task_asks_why_it_is_there(bench: Bench) -> None:
    key = next(iter(bench.swarm.tasks))
    asked = threading.Event()

    def why(task: str) -> Why:
        asked.set()
        return Why(task, "worker-1", (Place("worker-1", "chosen"),))

    bench.sandbox.why = why  # type: ignore[attr-defined]
    bench.say("select", kind="task", id=key)
    bench.frame()
    assert asked.wait(5)  # on the worker's thread, at once and not with its next round
    for _ in range(100):
        bench.frame()
        if bench.board.panel.detail["places"]:
            break
        threading.Event().wait(0.01)
    assert [row["node"] for row in bench.board.panel.detail["places"]["rows"]] == ["worker-1"]


def test_a_cluster_that_cannot_say_why_is_no_trouble(bench: Bench) -> None:
    def why(task: str) -> Why:
        raise ClusterError("nobody answers")

    bench.sandbox.why = why  # type: ignore[attr-defined]
    bench.say("select", kind="task", id=next(iter(bench.swarm.tasks)))
    bench.frame()
    bench.board._look()
    bench.frame()
    assert bench.board.panel.detail["places"] == {}
    assert bench.outcome["text"] == ""


def test_a_click_on_a_box_shows_the_node_or_workload(bench: Bench) -> None:
    boxes = bench.view.widget.data[figure.NUMBER["boxes"]]
    kinds = set()
    for point, key in enumerate(bench.view.scene.blocks):
        bench.view.widget._on_click(boxes, type("P", (), {"point_inds": [point]}), None)
        bench.frame()
        if key != "tray":
            assert bench.board.panel.detail["id"] == key
            kinds.add(bench.board.panel.detail["kind"])
    assert kinds == {"node", "workload"}


def test_history_goes_back_and_comes_home(bench: Bench) -> None:
    for replicas in (5, 7, 2):
        bench.swarm.scale("web", replicas)
        bench.swarm.settle()
        bench.look()
        bench.frame()
    count = bench.board.bar.history["count"]
    assert count == 4
    bench.say("scrub", index=1)
    bench.frame()
    assert bench.board.panel.workloads[0]["desired"] == 5
    assert bench.board.bar.history["index"] == 1
    then = bench.view.shown
    bench.swarm.scale("web", 9)
    bench.look()
    bench.frame()
    assert bench.view.shown is then, "the past holds still while the present moves on"
    assert bench.board.bar.history["count"] == count, "and the slider does not grow under the hand"
    bench.say("live")
    bench.frame()
    assert bench.board.panel.workloads[0]["desired"] == 9
    assert bench.board.bar.history["index"] == -1


def test_a_stale_picture_says_so(bench: Bench) -> None:
    def broken(previous: Snapshot | None) -> Snapshot:
        raise ConnectionError("connection refused")

    bench.swarm.snapshot = broken  # type: ignore[method-assign]
    live = bench.sandbox.live
    seen = live.updated_at
    live._now = lambda: seen + 60
    bench.look()
    bench.frame()
    assert bench.board.bar.health["stale"]
    assert bench.board.bar.health["error"] == "connection refused"
    assert bench.board.bar.health["updated"] == f"{datetime.fromtimestamp(seen):%H:%M:%S}"
    assert len(bench.board.panel.nodes) == 5, "the picture does not empty"


def test_what_was_done_long_ago_does_not_stand_beside_todays_trouble(bench: Bench) -> None:
    then = time.time()
    bench.board._now = lambda: then + 1
    bench.say("remove", workload=next(iter(bench.swarm.snapshot(None).workloads)), name="web")
    settled(bench, "web removed")

    def broken(previous: Snapshot | None) -> Snapshot:
        raise ConnectionError("connection refused")

    bench.swarm.snapshot = broken  # type: ignore[method-assign]
    bench.look()
    bench.frame()
    assert bench.outcome["text"] == "web removed", "it may well be the reason"
    bench.board._now = lambda: then + 60
    bench.frame()
    assert (bench.outcome["text"], bench.board.bar.health["error"]) == ("", "connection refused")


def test_the_graph_alone_says_how_fresh_it_is(bench: Bench) -> None:
    bench.view.with_status = True
    bench.frame()
    assert bench.view.scene.status.text.startswith("updated ")
    bench.sandbox.live._now = lambda: bench.sandbox.live.updated_at + 60
    bench.frame()
    assert bench.view.scene.status.role == "alert"
    assert bench.view.scene.status.text.startswith("last seen ")


def test_dead_tasks_on_a_toggle(bench: Bench) -> None:
    key = next(iter(bench.swarm.tasks))
    bench.swarm.kill(key)
    bench.swarm.settle()
    bench.look()
    bench.frame()
    bench.now += 60
    bench.frame()
    assert bench.view.scene.layout.seat(key) is None
    bench.say("show_dead", on=True)
    bench.frame()
    bench.frame()
    assert bench.view.scene.layout.seat(key) is not None


def test_a_pulled_plug_is_seen_before_the_cluster_notices(bench: Bench) -> None:
    bench.sandbox._machines[3].state = "down"
    bench.board._look_at_machines()
    bench.frame()
    node = next(n for n in bench.board.panel.nodes if n["name"] == "worker-1")
    assert node["plug"] == "down"
    assert "unplugged" in " ".join(t.text for t in bench.view.scene.blocks["n3"].texts)


def test_a_quiet_cluster_costs_a_heartbeat(bench: Bench) -> None:
    for _ in range(3):
        bench.frame()
    bench.wire.clear()
    for _ in range(8):
        bench.frame()
    assert bench.wire.keys == {"beat"}
    assert bench.wire.bytes < 500


def test_frames_are_rarer_when_there_is_more_to_draw(bench: Bench) -> None:
    assert 0.2 <= bench.view.gap <= 0.25
    bench.view.scene.slots.state = bench.view.scene.slots.state.repeat(200)
    assert bench.view.gap == 1.0
    bench.view.scene.aggregated = True
    assert bench.view.gap == view_module.GAP_AGGREGATED


def test_without_a_kernel_there_is_still_a_picture(bench: Bench) -> None:
    bundle = bench.board._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "manager-1" in bundle["text/html"]


def test_the_same_sandbox_has_one_figure() -> None:
    from labkit import widgets

    with listening():
        sandbox = SimulatedSandbox()
        assert widgets.graph(sandbox) is widgets.graph(sandbox)
        board = widgets.dashboard(sandbox)
        assert board is widgets.dashboard(sandbox)
        assert board.view.widget is widgets.graph(sandbox)
        board.close()
        sandbox.live.stop()

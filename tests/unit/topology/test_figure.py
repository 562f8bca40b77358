"""What is sent to the page: valid for plotly, and no more than what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import plotly.graph_objects as go
import pytest
from support.comms import Wire, listening
from support.simulated import SimulatedSwarm, big

from labkit.model import State
from labkit.topology import figure, style
from labkit.topology.renderer import FigureRenderer, _get, _same
from labkit.topology.scene import Scene
from labkit.widgets.figurewidget import GraphWidget


@pytest.fixture
def wire() -> Iterator[Wire]:
    with listening() as found:
        yield found


def shown(swarm: SimulatedSwarm) -> tuple[Scene, GraphWidget, FigureRenderer]:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    widget = GraphWidget(scene)
    return scene, widget, FigureRenderer(widget, scene)


def test_the_shapes_have_plotlys_numbers() -> None:
    values = go.scatter.Marker()._get_validator("symbol").values
    numbers = {name: values[i - 2] for i, name in enumerate(values) if isinstance(name, str) and not name.isdigit()}
    for look in style.TASKS.values():
        assert numbers[look.symbol] == look.code


@pytest.mark.parametrize("theme", list(style.THEMES))
def test_plotly_finds_the_figure_valid(theme: str) -> None:
    swarm = SimulatedSwarm()
    swarm.deploy("web", "nginx", 5, {80: 80})
    swarm.settle()
    swarm.down("worker-1")
    swarm.drain("manager-2")
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    made = figure.figure(scene, theme)
    assert [t.name for t in made.data] == list(figure.TRACES)


def test_what_is_sent_is_valid_too(wire: Wire) -> None:
    swarm = SimulatedSwarm()
    scene, widget, renderer = shown(swarm)
    for turn in range(6):
        if turn == 1:
            swarm.deploy("web", "nginx", 40, {80: 80})
        if turn == 4:
            swarm.down("manager-1")
        swarm.step()
        renderer.update(scene.update(swarm.snapshot(None), float(turn)))
    assert wire.updates()
    fresh = figure.build(scene, "auto")
    again = go.Figure({"data": widget._data, "layout": widget._layout})  # raises on what plotly does not know
    assert len(again.data) == len(fresh["data"])
    for number, trace in enumerate(fresh["data"]):
        for path in ("x", "y", "text", "marker.color", "marker.symbol", "marker.line.color", "marker.size"):
            assert _same(_get(widget._data[number], path), _get(trace, path)), (number, path)


def test_a_message_has_no_gaps(wire: Wire) -> None:
    swarm = SimulatedSwarm()
    scene, _, renderer = shown(swarm)
    wire.clear()
    swarm.deploy("web", "nginx", 5, {80: 80})
    swarm.step()
    renderer.update(scene.update(swarm.snapshot(None), 1.0))
    for update in wire.updates():
        assert "_undefined_" not in str(update)
        assert all(len(values) == len(update["style_traces"]) for values in update["style_data"].values())


def test_nothing_new_sends_nothing(wire: Wire) -> None:
    swarm = SimulatedSwarm()
    scene, _, renderer = shown(swarm)
    wire.clear()
    renderer.update(scene.update(swarm.snapshot(None), 1.0))
    assert not wire.messages


def test_ten_of_a_thousand_tasks_are_five_kilobytes(wire: Wire) -> None:
    swarm = big(1000, 20)
    scene, _, renderer = shown(swarm)
    for turn in range(3):
        snapshot = swarm.snapshot(None)
        for task in [t for t in swarm.tasks.values() if t.state.alive][turn * 50 :][:10]:
            swarm.die(task.id, "task: non-zero exit (1)", 1)
            swarm.tasks[f"{task.id}'"] = replace(task, id=f"{task.id}'", state=State.STARTING)
        before = scene.layout.x.copy(), scene.layout.y.copy()
        wire.clear()
        renderer.update(scene.update(swarm.snapshot(snapshot), turn * 100.0))
        count = len(before[0])
        if len(scene.layout.x) == count:  # else it makes room for more slots, now and then
            assert 0 < wire.bytes <= 5 * 1024
        assert (scene.layout.x[:count] == before[0]).all(), "no slot moves"
        assert (scene.layout.y[:count] == before[1]).all()


def test_no_label_is_ever_empty(wire: Wire) -> None:
    """Plotly would remove its element for good."""
    swarm = SimulatedSwarm()
    swarm.deploy("web", "nginx", 5)
    swarm.settle()
    _, widget, _ = shown(swarm)
    for trace in widget._data:
        assert all(trace.get("text", [1])), trace["name"]


def test_a_reloaded_page_gets_the_present(wire: Wire) -> None:
    swarm = SimulatedSwarm()
    scene, widget, renderer = shown(swarm)
    swarm.deploy("web", "nginx", 5)
    swarm.settle()
    renderer.update(scene.update(swarm.snapshot(None), 1.0))
    state = widget.get_state()
    slots = state["_widget_data"][figure.NUMBER["slots"]]
    assert bytes(slots["marker"]["color"]["buffer"]) == scene.slots.state.tobytes()
    assert "_py2js_update" not in state


def test_a_closed_notebook_shows_the_picture(wire: Wire) -> None:
    swarm = SimulatedSwarm()
    swarm.deploy("web", "nginx", 2)
    swarm.settle()
    _, widget, _ = shown(swarm)
    bundle = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "manager-1" in bundle["text/html"]
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "web has 2 of 2 tasks running" in bundle["text/plain"]

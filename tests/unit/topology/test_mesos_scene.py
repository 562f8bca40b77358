"""Mesos in the picture: frameworks and their offers, the ensemble, service ports; nothing of it elsewhere."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from support.mesospicture import answered, cluster
from support.simulated import SimulatedSwarm

from labkit.model import NodeState, State, Workload
from labkit.topology import figure, style
from labkit.topology.fading import ANSWERED, FADE
from labkit.topology.nxgraph import graph
from labkit.topology.scene import Scene
from labkit.topology.svg import legend_places, render, summarise


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.update(cluster(), 0.0)
    return made


def texts(scene: Scene, block: str) -> list[str]:
    return [t.text for t in scene.blocks[block].texts]


def test_a_framework_has_one_card(scene: Scene) -> None:
    assert texts(scene, "framework:batch")[0] == "⚙ batch"
    assert "1 offer" in texts(scene, "framework:batch")
    assert any(text.startswith("17% of cpus") for text in texts(scene, "framework:batch"))
    assert "batch" not in scene.blocks  # not a second one as a workload
    assert {"/web", "/db", "framework:marathon", "service:haproxy:web_10000"} <= set(scene.blocks)


def test_among_many_cards_a_framework_keeps_its_name() -> None:
    still = cluster()
    more = {f"/more{i}": Workload(f"/more{i}", f"more{i}", "app") for i in range(6)}
    crowd = Scene()
    crowd.update(replace(answered(still), workloads={**still.workloads, **more}), 0.0)
    assert texts(crowd, "framework:marathon")[0] == "⚙ marathon"


def test_a_framework_wears_the_colours_of_its_tasks(scene: Scene) -> None:
    card = scene.blocks["framework:batch"]
    assert [swatch.colour for swatch in card.swatches] == [scene.families.colours["batch"]]
    assert len(scene.blocks["framework:marathon"].swatches) == 1  # of apps that run something


def test_offers_flow_from_the_leading_master_and_fade(scene: Scene) -> None:
    card, leader = scene.blocks["framework:batch"].rect, scene.blocks["m1"].rect
    ((start, end),) = scene.links.offered
    assert start[1] == leader.y
    assert leader.x < start[0] < leader.right
    assert end == (card.x + card.w / 2, card.bottom)
    dirty = scene.update(answered(cluster()), 10.0)
    assert "links" in dirty
    assert (scene.links.offered, len(scene.links.answered)) == ((), 1)
    assert scene.next_change == 10.0 + ANSWERED
    assert "links" in scene.update(answered(cluster()), 10.0 + ANSWERED)
    assert scene.links.answered == ()
    assert scene.next_change is None


def test_offers_need_a_leader(scene: Scene) -> None:
    snapshot = cluster()
    nodes = {**snapshot.nodes, "m1": replace(snapshot.nodes["m1"], leader=False, state=NodeState.DOWN)}
    scene.update(replace(snapshot, nodes=nodes, error="no leader"), 1.0)
    assert scene.links.offered == ()
    assert len(scene.links.broken) == 6


def test_every_member_tells_of_the_quorum(scene: Scene) -> None:
    assert "★ ZooKeeper leader" in texts(scene, "m2")
    assert "quorum: 3 of 3" in texts(scene, "m3")
    snapshot = cluster()
    lost = {key: replace(snapshot.nodes[key], store="down") for key in ("m2", "m3")}
    scene.update(replace(snapshot, nodes={**snapshot.nodes, **lost}), 1.0)
    assert "no quorum: 1 of 3" in texts(scene, "m1")


def test_agents_say_what_constraints_speak_of(scene: Scene) -> None:
    assert "rack-1 · zone a" in texts(scene, "a1")


def test_the_unreachable_keep_their_place_until_they_are_given_up(scene: Scene) -> None:
    still = cluster()
    silent = replace(still.tasks["web-3"], state=State.LOST, detail="TASK_UNREACHABLE")
    scene.update(replace(still, tasks={**still.tasks, "web-3": silent}), 1.0)
    later = 2.0 + FADE
    scene.update(replace(still, tasks={**still.tasks, "web-3": silent}), later)
    assert scene.slots.state[scene.slots.occupant.index("web-3")] == State.LOST
    assert scene.slots.labels[scene.slots.occupant.index("web-3")] == "web.3f3c"
    given_up = replace(silent, wanted=False)
    scene.update(replace(still, tasks={**still.tasks, "web-3": given_up}), later)
    assert scene.slots.state[scene.slots.occupant.index("web-3")] == State.LOST
    scene.update(replace(still, tasks={**still.tasks, "web-3": given_up}), later + FADE)
    assert "web-3" not in scene.slots.occupant


def test_a_narrow_window_cuts_no_word(scene: Scene) -> None:
    """The picture shrinks with the window, letters do not."""
    narrow, letter = 0.82, 6.0
    tray = scene.layout.tray()
    first = scene.layout.x[scene.layout.seat("/db#1").point]  # type: ignore[union-attr]
    title = next(t for t in scene.blocks["tray"].texts if t.role == "title")
    assert (first - tray.x - 8) * narrow > (title.x - tray.x) * narrow + 1.2 * letter * len(title.text)
    places = legend_places()
    for (x, state), (after, _) in itertools.pairwise(places):
        assert (after - x - 6) * narrow > 12 * narrow + letter * len(style.TASKS[state].word)


def test_a_service_port_leads_to_its_tasks(scene: Scene) -> None:
    assert texts(scene, "service:haproxy:web_10000")[:3] == ["⇄ web:10000", "3 / 3", "HAProxy"]
    assert len(scene.links.served) == 3


def test_the_tasks_of_a_framework_stand_out(scene: Scene) -> None:
    scene.highlight = "framework:marathon"
    scene.update(cluster(), 1.0)
    lit = {key for key, seat in scene.layout.occupants() if scene.slots.state[seat.point] < style.FADED}
    assert lit == {"web-1", "web-2", "web-3", "/db#1"}


def test_the_same_picture_every_time() -> None:
    first, second = Scene(), Scene()
    first.update(cluster(), 0.0)
    second.update(cluster(), 0.0)
    assert render(first) == render(second)
    assert first.update(cluster(), 1.0) == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plotly_takes_it(scene: Scene, theme: str) -> None:
    made = figure.figure(scene, theme)
    assert next(t for t in made.data if t.name == "offered").x is not None


def test_the_words_for_those_who_cannot_see_it() -> None:
    told = summarise(cluster())
    assert "ZooKeeper's quorum: 3 of 3" in told
    assert "the framework batch has 17% of cpus, 4 tasks and 1 offer" in told
    assert "HAProxy's web:10000 sends to 3 tasks" in told


def test_the_graph_of_networkx() -> None:
    found = graph(cluster())
    assert found.edges["a3", "o1"]["relation"] == "makes"
    assert found.edges["o1", "batch"]["relation"] == "offered to"
    assert found.edges["marathon", "/web"]["relation"] == "runs"


def test_a_swarm_has_nothing_of_it() -> None:
    swarm = SimulatedSwarm()
    swarm.deploy("web", "traefik/whoami:v1.10", 2)
    swarm.settle()
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    assert not [key for key in scene.blocks if key.startswith("framework:")]
    assert (scene.links.offered, scene.links.answered) == ((), ())
    assert "ZooKeeper" not in render(scene)

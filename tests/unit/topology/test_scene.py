"""The picture as data: what a snapshot becomes, what changes with it, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.simulated import SimulatedSwarm, big

from labkit.model import State
from labkit.topology import style
from labkit.topology.fading import FADE, FRESH
from labkit.topology.scene import Scene


@pytest.fixture
def swarm() -> SimulatedSwarm:
    made = SimulatedSwarm()
    made.deploy("web", "traefik/whoami:v1.10", 5, {8080: 80})
    made.settle()
    return made


def drawn(scene: Scene) -> dict[str, int]:
    return {key: int(scene.slots.state[s.point]) for key, s in scene.layout.occupants()}


def texts(scene: Scene, block: str) -> list[str]:
    return [t.text for t in scene.blocks[block].texts]


def test_the_first_picture_is_complete(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    assert "canvas" in scene.update(swarm.snapshot(None), 0.0)
    assert set(drawn(scene)) == set(swarm.tasks)
    assert texts(scene, "n0")[:2] == ["★ manager-1", "leader"]
    assert "5 / 5" in texts(scene, "w-web")
    assert ":8080→80" in texts(scene, "w-web")
    assert len(scene.links.whole) == 4


def test_nothing_new_changes_nothing(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    assert scene.update(swarm.snapshot(None), 1.0) == set()


def test_a_state_is_one_byte(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    before = scene.slots.state.copy()
    task = next(iter(swarm.tasks))
    swarm.tasks[task] = replace(swarm.tasks[task], state=State.STOPPING)
    assert scene.update(swarm.snapshot(None), 1.0) <= {"state", "symbol", "hover", "texts", "bars", "blocks"}
    assert (before != scene.slots.state).sum() == 1


def test_the_dead_fade_where_they_died_and_then_go(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    key = next(iter(swarm.tasks))
    point = scene.layout.seat(key).point  # type: ignore[union-attr]
    swarm.die(key, "task: non-zero exit (1)", 1)
    snapshot = swarm.snapshot(None)
    scene.update(snapshot, 1.0)
    assert scene.slots.state[point] == State.FAILED
    assert scene.next_change == 1.0 + FRESH
    scene.update(snapshot, 1.0 + FRESH)
    assert scene.slots.state[point] == State.FAILED + style.FADED
    scene.update(snapshot, 1.0 + FADE)
    assert scene.slots.state[point] == style.HIDDEN
    assert scene.next_change is None


def test_one_toggle_shows_the_dead(swarm: SimulatedSwarm) -> None:
    key = next(iter(swarm.tasks))
    swarm.kill(key)
    swarm.settle()
    snapshot = swarm.snapshot(None)
    scene = Scene()
    scene.update(snapshot, 0.0)
    assert key not in drawn(scene), "what was dead before we looked is not shown"
    scene.show_dead = True
    scene.update(snapshot, 1.0)
    assert drawn(scene)[key] == State.FAILED + style.FADED
    scene.show_dead = False
    scene.update(snapshot, 2.0)
    assert key not in drawn(scene)


def test_a_down_node_stays_and_says_so(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    box = scene.blocks["n3"].rect
    swarm.down("worker-1")
    dirty = scene.update(swarm.snapshot(None), 1.0, {"worker-1": "down"})
    assert {"blocks", "texts", "links"} <= dirty
    assert scene.blocks["n3"].rect == box
    assert scene.blocks["n3"].look == "down"
    assert texts(scene, "n3")[0] == "✕ worker-1"
    assert "down · unplugged" in texts(scene, "n3")
    assert len(scene.links.broken) == 1


def test_without_a_leader_every_link_is_broken(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    swarm.error = "The swarm does not have a leader."
    scene.update(swarm.snapshot(None), 0.0)
    assert not scene.links.whole
    assert len(scene.links.broken) == 4
    assert len(drawn(scene)) == 5, "the picture does not empty"


def test_scrubbing_back_puts_everything_where_it_was(swarm: SimulatedSwarm) -> None:
    scene, moments, pictures = Scene(), [], []
    for turn in range(12):
        if turn == 2:
            swarm.scale("web", 9)
        if turn == 5:
            swarm.down("worker-1")
        if turn == 8:
            swarm.scale("web", 3)
        swarm.step()
        moments.append(swarm.snapshot(None))
    now = 0.0
    for moment in moments:
        now += 100.0
        scene.update(moment, now)
        pictures.append({k: s.point for k, s in scene.layout.occupants() if moment.tasks[k].state.alive})
    for moment, picture in list(zip(moments, pictures, strict=True))[::-1]:
        now += 100.0
        scene.update(moment, now)
        again = {k: s.point for k, s in scene.layout.occupants() if moment.tasks[k].state.alive}
        assert again == picture


def test_a_workload_stands_out(swarm: SimulatedSwarm) -> None:
    swarm.deploy("redis", "redis:7", 2)
    swarm.settle()
    scene = Scene()
    scene.highlight = "w-redis"
    scene.update(swarm.snapshot(None), 0.0)
    for key, code in drawn(scene).items():
        assert (code < style.FADED) == (swarm.tasks[key].workload == "w-redis")


def test_waiting_tasks_are_in_the_tray(swarm: SimulatedSwarm) -> None:
    swarm.deploy("gpu", "cuda:1", 2)
    swarm.workloads["w-gpu"] = replace(swarm.workloads["w-gpu"], labels={"only": "nowhere"})
    swarm.step()
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    assert "2 waiting" in texts(scene, "tray")
    tray = scene.layout.tray()
    waiting = [k for k, t in swarm.tasks.items() if t.workload == "w-gpu"]
    for key in waiting:
        assert tray.y < scene.layout.y[scene.layout.seat(key).point] < tray.bottom  # type: ignore[union-attr]


def test_very_many_tasks_are_counted_not_drawn() -> None:
    swarm = big(2500, 30)
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    assert scene.aggregated
    assert len(drawn(scene)) == 30 * 3
    assert "svc0: 42 of 42 running" in scene.slots.hover
    for key in list(swarm.tasks)[:2000]:
        del swarm.tasks[key]
    assert "canvas" in scene.update(swarm.snapshot(None), 1.0)
    assert not scene.aggregated
    assert len(drawn(scene)) == 500


def test_sums_follow_the_tasks(swarm: SimulatedSwarm) -> None:
    scene = Scene()
    for _ in range(3):
        swarm.scale("web", 12)
        swarm.step()
        scene.update(swarm.snapshot(None), 0.0)
        swarm.scale("web", 2)
        swarm.step()
        snapshot = swarm.snapshot(None)
        scene.update(snapshot, 0.0)
        for node in snapshot.nodes:
            ours, theirs = scene.tally.reserved.get(node), snapshot.reserved_on(node)
            assert (ours.cpus, ours.memory) == pytest.approx((theirs.cpus, theirs.memory)) if ours else not theirs.cpus


def test_an_empty_cluster_has_a_picture() -> None:
    swarm = SimulatedSwarm(managers=0, workers=0)
    scene = Scene()
    scene.update(swarm.snapshot(None), 0.0)
    assert scene.height > 0
    assert "no workload yet" in " ".join(texts(scene, "tray"))

"""The watcher: keeps the picture, tells everybody, survives everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.simulated import SimulatedSwarm

from labkit.live import STALE_AFTER, Live
from labkit.model import Diff, Snapshot


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def swarm() -> SimulatedSwarm:
    return SimulatedSwarm()


@pytest.fixture
def live(swarm: SimulatedSwarm) -> Iterator[Live]:
    made = Live(swarm)
    yield made
    made.stop()


def test_it_looks_and_tells(swarm: SimulatedSwarm, live: Live) -> None:
    told: list[tuple[Snapshot, Diff]] = []
    live.subscribe(lambda snapshot, diff: told.append((snapshot, diff)))
    live.start()
    live.refresh()
    swarm.deploy("web", "nginx", 3)
    snapshot = live.refresh()
    assert "w-web" in snapshot.workloads
    assert told[-1][1].workloads.added == {"w-web"}
    assert live.latest is snapshot
    assert live.history[-1][0] is snapshot
    assert any("web created" in e.text for e in live.events)
    assert not live.error
    assert not live.stale


def test_nothing_new_is_no_history(live: Live) -> None:
    for _ in range(5):
        live.refresh()
    assert len(live.history) == 1


def test_history_and_events_are_bounded(swarm: SimulatedSwarm) -> None:
    live = Live(swarm, history=4)
    swarm.deploy("web", "nginx", 1)
    for n in range(10):
        swarm.scale("web", n)
        live.refresh()
    assert len(live.history) == 4


def test_an_error_keeps_the_last_picture_and_marks_it(swarm: SimulatedSwarm) -> None:
    clock = Clock()
    live = Live(swarm, now=clock)
    live.refresh()

    def broken(previous: Snapshot | None) -> Snapshot:
        raise ConnectionError("connection refused\nlong story")

    good, swarm.snapshot = swarm.snapshot, broken  # type: ignore[method-assign]
    told: list[Snapshot] = []
    live.subscribe(lambda snapshot, diff: told.append(snapshot))
    clock.now += STALE_AFTER + 1
    live.refresh()
    assert live.error == "connection refused"
    assert told[-1].error == "connection refused"
    assert len(live.latest.nodes) == 5, "the picture does not empty"
    assert live.updated_at == 1000.0
    assert live.stale
    swarm.snapshot = good  # type: ignore[method-assign]
    live.refresh()
    assert not live.error
    assert not live.stale
    assert live.events[-1].text == "the cluster answers again"


def test_an_adapters_own_error_counts_as_old(swarm: SimulatedSwarm) -> None:
    clock = Clock()
    live = Live(swarm, now=clock)
    live.refresh()
    swarm.error = "The swarm does not have a leader."
    clock.now += 60
    live.refresh()
    assert live.stale
    assert live.error == "The swarm does not have a leader."


def test_before_the_first_look(swarm: SimulatedSwarm) -> None:
    live = Live(swarm)
    assert live.latest.error == "not read yet"
    assert not live.latest.nodes
    assert live.stale


def test_a_subscriber_that_raises_is_heard_of_and_harms_nobody(swarm: SimulatedSwarm, live: Live) -> None:
    told: list[Snapshot] = []

    def bad(snapshot: Snapshot, diff: Diff) -> None:
        raise RuntimeError("cannot draw")

    live.subscribe(bad)
    live.subscribe(lambda snapshot, diff: told.append(snapshot))
    live.start()
    live.refresh()
    assert told
    assert live.error == "a view failed: cannot draw"
    assert live.running


def test_unsubscribed_is_told_no_more(swarm: SimulatedSwarm, live: Live) -> None:
    told: list[Snapshot] = []
    leave = live.subscribe(lambda snapshot, diff: told.append(snapshot))
    live.refresh()
    leave()
    swarm.deploy("web", "nginx", 1)
    live.refresh()
    assert len(told) == 1


def test_it_never_dies_of_wait(swarm: SimulatedSwarm, live: Live) -> None:
    def broken(timeout: float) -> None:
        raise OSError("stream ended")

    swarm.wait = broken  # type: ignore[method-assign]
    live.start()
    live.refresh()
    live.refresh()
    assert live.running


def test_a_change_is_seen_without_asking(swarm: SimulatedSwarm, live: Live) -> None:
    seen = threading.Event()
    live.subscribe(lambda snapshot, diff: seen.set() if snapshot.workloads else None)
    live.start()
    live.refresh()
    swarm.deploy("web", "nginx", 1)
    assert seen.wait(10)


def test_stop_ends_the_thread_and_start_begins_again(swarm: SimulatedSwarm, live: Live) -> None:
    live.start()
    live.start()
    assert sum(t.name == "labkit-live-swarm" for t in threading.enumerate()) == 1
    live.stop()
    assert not live.running
    assert live.latest.nodes or live.latest.error
    live.start()
    assert live.refresh().nodes

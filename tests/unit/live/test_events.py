"""What happened, in sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.mesospicture import cluster
from support.simulated import SimulatedSwarm

from labkit.events import describe, reasons
from labkit.model import Event, Snapshot, State, Task, Workload, diff


@pytest.fixture
def swarm() -> SimulatedSwarm:
    made = SimulatedSwarm()
    made.deploy("web", "nginx:1.26", 5, {8080: 80})
    made.settle()
    return made


def told(swarm: SimulatedSwarm, act: Callable[[], object]) -> list[Event]:
    old = swarm.snapshot(None)
    act()
    new = swarm.snapshot(old)
    return describe(old, new, diff(old, new), 1.0)


def texts(events: list[Event]) -> list[str]:
    return [e.text for e in events]


def test_the_first_look_is_one_line(swarm: SimulatedSwarm) -> None:
    new = swarm.snapshot(None)
    assert texts(describe(None, new, diff(None, new), 1.0)) == ["watching swarm: 5 nodes, 1 workload"]


def test_a_framework_registers_and_is_nobodys_workload() -> None:
    there = cluster()
    workloads = {key: w for key, w in there.workloads.items() if w.kind != "framework"}
    before = replace(there, workloads=workloads, frameworks={"marathon": there.frameworks["marathon"]}, tasks={})
    after = replace(there, tasks={})
    assert texts(describe(None, after, diff(None, after), 1.0)) == ["watching marathon: 6 nodes, 2 workloads"]
    assert texts(describe(before, after, diff(before, after), 1.0)) == ["the framework batch registered"]
    assert texts(describe(after, before, diff(after, before), 1.0)) == ["the framework batch is gone"]


def test_a_lone_pod_is_let_go_and_adopted() -> None:
    """It ran all the time: nothing was created, and nothing removed."""
    pod = Task("p1", "shop-x", "d1", "n1", State.RUNNING)
    shop = Workload("d1", "shop", "Deployment", desired=3, running=3)
    alone = Workload("p1", "shop-x", "Pod", "lone", desired=1, running=1)
    base = cluster()
    owned = replace(base, workloads={"d1": shop}, tasks={"p1": pod})
    aside = replace(base, workloads={"d1": shop, "p1": alone}, tasks={"p1": replace(pod, workload="p1")})
    gone = replace(base, workloads={"d1": shop}, tasks={})
    assert texts(describe(owned, aside, diff(owned, aside), 1.0)) == ["shop-x belongs to nobody now"]
    assert texts(describe(aside, owned, diff(aside, owned), 1.0)) == ["shop-x belongs to shop now"]
    assert "shop-x removed" in texts(describe(aside, gone, diff(aside, gone), 1.0))
    assert "shop-x created: lone, Pod" in texts(describe(gone, aside, diff(gone, aside), 1.0))


def test_a_framework_without_offers_and_one_without_a_scheduler() -> None:
    there = cluster()

    def with_batch(**changed: bool) -> Snapshot:
        return replace(there, frameworks={**there.frameworks, "batch": replace(there.frameworks["batch"], **changed)})

    idle, gone = with_batch(active=False), with_batch(active=False, connected=False)
    assert texts(describe(there, idle, diff(there, idle), 1.0)) == ["the framework batch gets no offers"]
    assert texts(describe(there, gone, diff(there, gone), 1.0)) == ["the framework batch has lost its scheduler"]
    assert texts(describe(gone, there, diff(gone, there), 1.0)) == ["the framework batch registered again"]


def test_a_task_that_fails_says_where_and_why(swarm: SimulatedSwarm) -> None:
    key = next(k for k, t in swarm.tasks.items() if t.name == "web.3")
    node = swarm.nodes[swarm.tasks[key].node].name
    event = told(swarm, lambda: swarm.die(key, "task: non-zero exit (137)", 137))[0]
    assert event.text == f"web.3 failed on {node}: non-zero exit (137)"
    assert (event.kind, event.level, event.subject) == ("task", "error", "web.3")


def test_scaling_and_its_tasks(swarm: SimulatedSwarm) -> None:
    assert "web scaled 5 → 8" in texts(told(swarm, lambda: swarm.scale("web", 8)))


def test_many_of_a_kind_are_one_line(swarm: SimulatedSwarm) -> None:
    swarm.scale("web", 60)
    swarm.step()
    events = told(swarm, swarm.step)
    assert texts(events) == ["web has all its 60 tasks running", "web: 55 tasks running"]


def test_nodes(swarm: SimulatedSwarm) -> None:
    found = texts(told(swarm, lambda: swarm.down("manager-1")))
    assert "manager-1 is down" in found
    assert "manager-2 is leader" in found
    assert "manager-1 is unreachable for the other managers" in found
    assert "manager-1 is up" in texts(told(swarm, lambda: swarm.up("manager-1")))
    assert "worker-1 is drained: its tasks move to other nodes" in texts(told(swarm, lambda: swarm.drain("worker-1")))


def test_what_waits_says_why_once(swarm: SimulatedSwarm) -> None:
    for name in list(swarm.nodes):
        swarm.pause(name)
    swarm.scale("web", 7)
    found = texts(told(swarm, swarm.step))
    assert found == ["web.6 and 1 more wait: no suitable node (scheduling constraints not satisfied on 5 nodes)"]
    assert not told(swarm, swarm.step)


def test_losing_and_finding_the_managers(swarm: SimulatedSwarm) -> None:
    def lose() -> None:
        swarm.error = "The swarm does not have a leader."

    def find() -> None:
        swarm.error = ""

    assert [(e.text, e.level) for e in told(swarm, lose)] == [("The swarm does not have a leader.", "error")]
    assert texts(told(swarm, find)) == ["the cluster answers again"]


def test_published_ports_and_removal(swarm: SimulatedSwarm) -> None:
    found = texts(told(swarm, lambda: swarm.remove("web")))
    assert found == ["web removed", "web is no longer published on port 8080"]


def test_every_end_of_a_task_is_told(swarm: SimulatedSwarm) -> None:
    for state in State:
        if not state.alive:
            key = next(k for k, t in swarm.tasks.items() if t.state is State.RUNNING)
            events = told(swarm, lambda key=key, state=state: swarm.die(key, state=state))  # type: ignore[misc]
            assert any(e.kind == "task" for e in events), state


def test_reasons_become_a_list() -> None:
    assert reasons("no suitable node (insufficient resources on 3 nodes; 2 nodes not available for new tasks)") == [
        "no suitable node",
        "insufficient resources on 3 nodes",
        "2 nodes not available for new tasks",
    ]
    assert reasons("just so") == ["just so"]
    assert reasons("") == []


def test_nothing_is_no_event() -> None:
    empty = Snapshot(0.0, "swarm")
    assert describe(empty, empty, diff(empty, empty), 1.0) == []

"""Owner trees, the colours of what has tasks of its own, and Services with the tasks behind them."""

from __future__ import annotations

from dataclasses import replace

from labkit.model import Endpoint, Node, NodeState, Snapshot, State, Task, Workload
from labkit.topology.families import SERVICE, Families, services_of
from labkit.topology.scene import Scene

DEPLOYMENT = Workload("d", "web", "Deployment", desired=3, running=3)
OLD = Workload("r1", "web-1", "ReplicaSet", desired=2, running=2, owner="d", revision=1)
NEW = Workload("r2", "web-2", "ReplicaSet", desired=1, running=1, owner="d", revision=2)
LONE = Workload("p", "lone", "Pod", desired=1, running=1)


def snapshot(*workloads: Workload, tasks: tuple[Task, ...] = (), endpoints: tuple[Endpoint, ...] = ()) -> Snapshot:
    return Snapshot(
        at=1.0,
        orchestrator="kubernetes",
        nodes={"n": Node("n", "worker-1", "worker", NodeState.READY)},
        workloads={w.id: w for w in workloads},
        tasks={t.id: t for t in tasks},
        endpoints={e.id: e for e in endpoints},
    )


def task(name: str, workload: str) -> Task:
    return Task(name, name, workload, State.RUNNING, node="n")


def test_the_top_is_what_a_person_made() -> None:
    families = Families()
    families.update([DEPLOYMENT, OLD, NEW, LONE])
    assert [families.top(key) for key in ("d", "r1", "r2", "p", "unknown")] == ["d", "d", "d", "p", "unknown"]
    assert [w.id for w in families.children("d", snapshot(DEPLOYMENT, OLD, NEW))] == ["r2", "r1"]


def test_those_with_tasks_have_colours_that_stay() -> None:
    families = Families()
    families.update([OLD, NEW, DEPLOYMENT])
    before = dict(families.colours)
    assert before == {"r1": 0, "r2": 1}
    families.update([NEW, DEPLOYMENT, LONE])
    assert families.colours == {"r2": 1, "p": 0}


def test_owners_in_a_circle_do_not_hang() -> None:
    families = Families()
    families.update([replace(OLD, owner="r2"), replace(NEW, owner="r1")])
    assert families.top("r1") in ("r1", "r2")


def test_endpoints_with_a_name_are_services() -> None:
    port = Endpoint("s/80", "d", "cluster-ip", 80, 8080, name="web", tasks=("a", "b"), unready=("c",))
    plain = Endpoint("x/ingress", "d", "ingress", 80, 80)
    found = services_of(snapshot(endpoints=(port, replace(port, id="s/node", kind="node-port"), plain)))
    service = found[SERVICE + "s"]
    assert list(found) == [service.key]
    assert (service.tasks, service.unready) == ({"a", "b"}, {"c"})


def test_cards_are_for_what_people_made_and_show_what_came_of_it() -> None:
    scene = Scene()
    port = Endpoint("s/80", "d", "cluster-ip", 80, 8080, name="web", tasks=("a", "c"), selector={"app": "web"})
    tasks = (task("a", "r1"), task("b", "r1"), task("c", "r2"), task("p", "p"))
    scene.update(snapshot(DEPLOYMENT, OLD, NEW, LONE, tasks=tasks, endpoints=(port,)), now=0.0)
    assert set(scene.layout.cards) == {"d", "p", SERVICE + "s"}
    assert [round(swatch.part, 2) for swatch in scene.blocks["d"].swatches] == [0.33, 0.67]
    assert any("rev 2: 1 · rev 1: 2" in text.text for text in scene.blocks["d"].texts)
    assert len(scene.links.served) == 2


def test_looking_at_a_service_dims_who_is_not_behind_it() -> None:
    scene = Scene()
    port = Endpoint("s/80", "d", "cluster-ip", 80, 8080, name="web", tasks=("a",), selector={"app": "web"})
    now = snapshot(DEPLOYMENT, OLD, LONE, tasks=(task("a", "r1"), task("p", "p")), endpoints=(port,))
    scene.update(now, now=0.0)
    scene.highlight = SERVICE + "s"
    scene.update(now, now=1.0)
    faded = {
        scene.slots.occupant[i]: bool(code >= len(State))
        for i, code in enumerate(scene.slots.state)
        if scene.slots.occupant[i]
    }
    assert faded == {"a": False, "p": True}
    scene.highlight = "d"
    scene.update(now, now=2.0)
    assert scene.slots.occupant[0] in ("a", "p")


def test_a_pod_that_leaves_the_service_loses_its_line() -> None:
    scene = Scene()
    port = Endpoint("s/80", "d", "cluster-ip", 80, 8080, name="web", tasks=("a", "b"), selector={"app": "web"})
    tasks = (task("a", "r1"), task("b", "r1"))
    scene.update(snapshot(DEPLOYMENT, OLD, tasks=tasks, endpoints=(port,)), now=0.0)
    dirty = scene.update(
        snapshot(DEPLOYMENT, OLD, tasks=tasks, endpoints=(replace(port, tasks=("b",), unready=("a",)),)), now=1.0
    )
    assert "links" in dirty
    assert len(scene.links.served) == 1
    assert any(text.text == "1 / 2" for text in scene.blocks[SERVICE + "s"].texts)

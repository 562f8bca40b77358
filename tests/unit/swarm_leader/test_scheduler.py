"""The scheduler: filters by table, spreading, and the loop's words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.fakeswarm import SECOND, a_node, a_task, fake_swarm

from labkit.embedded.swarm.leader.scheduler.filters import Pipeline
from labkit.embedded.swarm.leader.scheduler.nodeinfo import Failures, NodeInfo
from labkit.embedded.swarm.leader.scheduler.resources import Resources
from labkit.embedded.swarm.leader.scheduler.spread import place
from labkit.embedded.swarm.objects import Json, Node, Task, TaskState

GIB = 1024**3


def task(spec: Json | None = None, **changes: Any) -> Task:
    changes = {"node_id": "", "state": TaskState.PENDING, **changes}
    return a_task(changes.pop("id", "t"), spec=spec or {}, **changes)


def reserving(cpus: float = 0, memory: int = 0, generic: list[Json] | None = None) -> Json:
    reservations: Json = {"NanoCPUs": int(cpus * SECOND), "MemoryBytes": memory}
    return {"Resources": {"Reservations": reservations | ({"GenericResources": generic} if generic else {})}}


def placed(**placement: Any) -> Json:
    return {"Placement": placement}


HOST_PORT = {"Ports": [{"PublishMode": "host", "PublishedPort": 8080, "Protocol": "tcp", "TargetPort": 80}]}
GPU = [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}]


@pytest.mark.parametrize(
    ("a", "node", "there", "words"),
    [
        (task(), a_node(), [], ""),
        (task(), a_node(state="down"), [], "1 node not available for new tasks"),
        (task(), a_node(state="unknown"), [], "1 node not available for new tasks"),
        (task(), a_node(availability="pause"), [], "1 node not available for new tasks"),
        (task(), a_node(availability="drain"), [], "1 node not available for new tasks"),
        (task(reserving(cpus=4)), a_node(), [], ""),
        (task(reserving(cpus=4.1)), a_node(), [], "insufficient resources on 1 node"),
        (task(reserving(memory=2 * GIB)), a_node(), [], "insufficient resources on 1 node"),
        (task(reserving(cpus=3)), a_node(), [a_task(spec=reserving(cpus=2))], "insufficient resources on 1 node"),
        # A task that is on its way out holds what it has until it has stopped.
        (
            task(reserving(cpus=3)),
            a_node(),
            [a_task(spec=reserving(cpus=2), desired_state=TaskState.SHUTDOWN)],
            "insufficient resources on 1 node",
        ),
        (task(reserving(cpus=3)), a_node(), [a_task(spec=reserving(cpus=2), state=TaskState.FAILED)], ""),
        (task(reserving(generic=GPU)), a_node(), [], "insufficient resources on 1 node"),
        (
            task(reserving(generic=GPU)),
            a_node(resources={"GenericResources": [{"NamedResourceSpec": {"Kind": "gpu", "Value": "GPU-1"}}]}),
            [],
            "",
        ),
        (task({"LogDriver": {"Name": "none"}}), a_node(), [], ""),
        (task({"LogDriver": {"Name": "fluentd"}}), a_node(), [], ""),  # an engine that lists none
        (
            task({"LogDriver": {"Name": "fluentd"}}),
            a_node(plugins=[{"Type": "Log", "Name": "json-file"}]),
            [],
            "missing plugin on 1 node",
        ),
        (
            task(
                {
                    "ContainerSpec": {
                        "Mounts": [{"Type": "volume", "VolumeOptions": {"DriverConfig": {"Name": "rexray"}}}]
                    }
                }
            ),
            a_node(),
            [],
            "missing plugin on 1 node",
        ),
        (task(placed(Constraints=["node.labels.zone == east"])), a_node(labels={"zone": "east"}), [], ""),
        (
            task(placed(Constraints=["node.labels.zone == east"])),
            a_node(),
            [],
            "scheduling constraints not satisfied on 1 node",
        ),
        (task(placed(Platforms=[{"Architecture": "amd64", "OS": "linux"}])), a_node(), [], ""),
        (task(placed(Platforms=[{"OS": "linux"}])), a_node(), [], ""),
        (task(placed(Platforms=[{"Architecture": "aarch64"}])), a_node(platform={"Architecture": "arm64"}), [], ""),
        (
            task(placed(Platforms=[{"Architecture": "arm64", "OS": "linux"}])),
            a_node(),
            [],
            "unsupported platform on 1 node",
        ),
        (task(endpoint=HOST_PORT), a_node(), [], ""),
        (task(endpoint=HOST_PORT), a_node(), [a_task(endpoint=HOST_PORT)], "host-mode port already in use on 1 node"),
        (task(placed(MaxReplicas=1)), a_node(), [], ""),
        (task(placed(MaxReplicas=1)), a_node(), [a_task()], "max replicas per node limit exceed"),
        (task(placed(MaxReplicas=1)), a_node(), [a_task(service_id="other")], ""),
    ],
)
def test_filters(a: Task, node: Node, there: list[Task], words: str) -> None:
    info = NodeInfo.of(node, there)
    pipeline = Pipeline(a)
    assert pipeline.explain([info]) == words
    assert pipeline.allows(info) is (words == "")


def test_an_explanation_starts_with_the_commonest_reason() -> None:
    nodes = [NodeInfo.of(a_node(str(n), state="down")) for n in range(2)]
    nodes += [NodeInfo.of(a_node(str(n))) for n in range(2, 5)]
    assert Pipeline(task(reserving(cpus=9))).explain(nodes) == (
        "insufficient resources on 3 nodes; 2 nodes not available for new tasks"
    )


def test_resources_add_and_subtract() -> None:
    a, b = Resources(4, 10, {"gpu": 2}), Resources(1, 20, {"ssd": 1})
    assert a - b == Resources(3, -10, {"gpu": 2, "ssd": -1})
    assert (a - b) + b == Resources(4, 10, {"gpu": 2, "ssd": 0})


def spread(count: int, nodes: list[NodeInfo], failures: Failures | None = None, **changes: Any) -> Counter[str]:
    tasks = [task(id=f"t{n}", **changes) for n in range(count)]
    return Counter(place(tasks, nodes, failures or Failures(), 1000.0).values())


def infos(count: int, **changes: Any) -> list[NodeInfo]:
    return [NodeInfo.of(a_node(f"n{n}", **changes)) for n in range(count)]


def test_tasks_are_spread_by_those_of_the_service_and_then_by_all() -> None:
    assert spread(5, infos(5)) == {f"n{n}": 1 for n in range(5)}
    nodes = infos(3)
    nodes[0].add(a_task())
    nodes[1].add(a_task(service_id="other"))
    assert spread(1, nodes) == {"n2": 1}
    assert spread(1, nodes) == {"n1": 1}
    assert spread(3, nodes) == {"n0": 1, "n1": 1, "n2": 1}


def test_a_full_node_gets_no_more() -> None:
    nodes = infos(2)
    nodes[0].add(a_task(spec=reserving(cpus=3), service_id="other"))
    assert spread(7, nodes, spec=reserving(cpus=1)) == {"n0": 1, "n1": 4}


def test_five_failures_in_five_minutes_make_a_node_the_last_choice() -> None:
    failures = Failures()
    for at in (100.0, 800.0, 810.0, 820.0, 830.0):
        failures.record(a_task(node_id="n0"), at)
    assert spread(4, infos(2), failures) == {"n0": 2, "n1": 2}  # the first is too long ago
    failures.record(a_task(node_id="n0"), 999.0)
    assert spread(4, infos(2), failures) == {"n1": 4}
    assert spread(4, infos(2), failures, spec_version=7) == {"n0": 2, "n1": 2}  # counted by spec
    assert spread(4, infos(1), failures) == {"n0": 4}


def test_preferences_share_out_by_branch() -> None:
    prefer = placed(Preferences=[{"Spread": {"SpreadDescriptor": "node.labels.zone"}}])
    nodes = [NodeInfo.of(a_node(f"n{n}", labels={"zone": "east" if n == 0 else "west"})) for n in range(4)]
    assert spread(6, nodes, spec=prefer) == {"n0": 3, "n1": 1, "n2": 1, "n3": 1}
    prefer["Resources"] = reserving(cpus=2)["Resources"]
    nodes = [NodeInfo.of(a_node(f"n{n}", labels={"zone": "east" if n == 0 else "west"})) for n in range(4)]
    assert spread(8, nodes, spec=prefer) == {"n0": 2, "n1": 2, "n2": 2, "n3": 2}  # east is full after two
    assert spread(1, nodes, spec=prefer) == {}


def test_preferences_nest_and_unknown_ones_are_passed_over() -> None:
    prefer = placed(
        Preferences=[
            {"Spread": {"SpreadDescriptor": "node.labels.dc"}},
            {"Spread": {"SpreadDescriptor": "node.id"}},
            {"Spread": {"SpreadDescriptor": "engine.labels.rack"}},
        ]
    )
    racks = [("a", "1"), ("a", "2"), ("a", "2"), ("b", "1")]
    nodes = [
        NodeInfo.of(a_node(f"n{n}", labels={"dc": dc}, engine_labels={"rack": rack}))
        for n, (dc, rack) in enumerate(racks)
    ]
    assert spread(8, nodes, spec=prefer) == {"n0": 2, "n1": 1, "n2": 1, "n3": 4}


async def test_a_task_without_a_place_waits_and_says_why() -> None:
    async with fake_swarm(4) as swarm:
        service = await swarm.create("web", 2, Placement={"Constraints": ["node.labels.zone == east"]})
        await swarm.settle()
        for waiting in swarm.tasks(service):
            assert waiting.status.state == TaskState.PENDING
            assert waiting.status.message == "pending task scheduling"
            assert waiting.status.err == "no suitable node (scheduling constraints not satisfied on 5 nodes)"
            assert waiting.node_id == ""
        versions = [waiting.version for waiting in swarm.tasks(service)]
        await swarm.settle(30)
        assert [waiting.version for waiting in swarm.tasks(service)] == versions  # nothing to write again
        await swarm.set_node("worker-1", Availability="drain")
        await swarm.settle()
        assert swarm.tasks(service)[0].status.err == (
            "no suitable node (scheduling constraints not satisfied on 4 nodes; 1 node not available for new tasks)"
        )
        await swarm.set_node("worker-2", Labels={"zone": "east"})
        await swarm.settle()
        assert len(swarm.on("worker-2")) == 2
        assert {waiting.status.err for waiting in swarm.tasks(service)} == {""}


async def test_room_that_gets_free_is_used() -> None:
    async with fake_swarm(1) as swarm:
        big = await swarm.create("big", 2, Resources=reserving(cpus=3)["Resources"])
        more = await swarm.create("more", 1, Resources=reserving(cpus=2)["Resources"])
        await swarm.settle()
        assert len(swarm.tasks(big, running=True)) == 2
        assert swarm.tasks(more)[0].status.err == "no suitable node (insufficient resources on 2 nodes)"
        await swarm.update(big, replicas=1)
        await swarm.settle(2)
        assert len(swarm.tasks(more, running=True)) == 1


async def test_a_node_on_which_a_service_keeps_failing_is_avoided() -> None:
    async with fake_swarm(1) as swarm:
        service = await swarm.create("web", 1, RestartPolicy={"Condition": "any", "Delay": SECOND})
        await swarm.settle()
        bad = swarm.tasks(service, running=True)[0].node_id.removeprefix("node-")
        other = next(name for name in swarm.hosts if name != bad)
        failures = 0
        while failures < 5:
            (running,) = swarm.tasks(service, running=True)
            if running.node_id == f"node-{bad}":
                failures += 1
            else:  # only failures on the one node are wanted here
                await swarm.set_node(other, Availability="drain")
                await swarm.settle(5)
                await swarm.set_node(other, Availability="active")
                continue
            swarm.hosts[bad].kill(running.id)
            await swarm.settle(3)
        assert len(swarm.on(other)) == 1

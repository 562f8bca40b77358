"""Nodes that are silent: conditions, taints, the zone rule, and what becomes of their pods."""

from __future__ import annotations

from itertools import pairwise

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.nodelifecycle import NodeLifecycleController, TaintEvictionController
from labkit.embedded.kubernetes.controllers.nodelifecycle.taints import stay, tolerates
from labkit.embedded.kubernetes.controllers.nodelifecycle.zones import Limiter, State, Zones, rate_of, state_of
from labkit.embedded.kubernetes.objects import Json, condition_of, is_pod_ready

from .clusterstage import Stage

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
NINE = {"key": "out", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}


async def beats(stage: Stage, names: list[str], seconds: float, ready: str = "True") -> None:
    """These nodes' kubelets live on for so long."""
    for _ in range(int(seconds // 10)):
        for name in names:
            stage.beat(name, ready)
        await stage.settle(10)


def taints(stage: Stage, name: str) -> set[tuple[str, str]]:
    node = stage.get(kinds.NODES, name)
    assert node is not None
    return {(taint["key"], taint["effect"]) for taint in node["spec"].get("taints") or ()}


def ready(stage: Stage, name: str) -> Json:
    node = stage.get(kinds.NODES, name)
    assert node is not None
    condition = condition_of(node, "Ready")
    assert condition is not None
    return condition


async def test_a_silent_node_becomes_unknown_is_tainted_and_loses_its_pods() -> None:
    async with Stage(NodeLifecycleController, TaintEvictionController) as stage:
        alive = ["a", "b"]
        for name in ("a", "b", "c"):
            stage.node(name)
        wait = {"key": UNREACHABLE, "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 20}
        stage.pod("patient", node="c", ready=True, tolerations=[wait])
        stage.pod("usual", node="c", ready=True)
        await beats(stage, ["a", "b", "c"], 20)
        assert [event[2] for event in stage.events("RegisteredNode")] == [
            f"Node {name} event: Registered Node {name} in Controller" for name in ("a", "b", "c")
        ]
        await beats(stage, alive, 40)
        assert ready(stage, "c")["status"] == "True"  # 50 s since it was heard of last
        await beats(stage, alive, 20)
        assert ready(stage, "c")["status"] == "Unknown"
        assert ready(stage, "c")["reason"] == "NodeStatusUnknown"
        assert ready(stage, "c")["message"] == "Kubelet stopped posting node status."
        assert taints(stage, "c") == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        assert taints(stage, "a") == set()
        assert stage.events("NodeNotReady") == [
            ("Normal", "NodeNotReady", "Node c status is now: NodeNotReady"),
            ("Warning", "NodeNotReady", "Node is not ready"),
            ("Warning", "NodeNotReady", "Node is not ready"),
        ]
        for name in ("patient", "usual"):
            pod = stage.get(kinds.PODS, name)
            assert pod is not None
            assert not is_pod_ready(pod)
            assert "deletionTimestamp" not in pod["metadata"]
        await beats(stage, alive, 30)
        patient, usual = stage.get(kinds.PODS, "patient"), stage.get(kinds.PODS, "usual")
        assert patient is not None
        assert usual is not None
        assert "deletionTimestamp" in patient["metadata"]  # and there it stays, as no kubelet confirms
        target = condition_of(patient, "DisruptionTarget")
        assert target is not None
        assert (target["status"], target["reason"]) == ("True", "DeletionByTaintManager")
        assert "deletionTimestamp" not in usual["metadata"]  # every pod bears it for 300 s unless it says otherwise
        assert stage.events("TaintManagerEviction") == [
            ("Normal", "TaintManagerEviction", "Marking for deletion Pod default/patient")
        ]
        await beats(stage, alive, 280)
        usual = stage.get(kinds.PODS, "usual")
        assert usual is not None
        assert "deletionTimestamp" in usual["metadata"]


async def test_the_lease_is_enough_of_a_heartbeat() -> None:
    async with Stage(NodeLifecycleController) as stage:
        for name in ("a", "b"):
            stage.node(name)
        for _ in range(30):
            for name in ("a", "b"):
                stage.renew(name)
            await stage.settle(10)
        assert ready(stage, "a")["status"] == ready(stage, "b")["status"] == "True"
        for _ in range(7):
            stage.renew("a")
            await stage.settle(10)
        assert (ready(stage, "a")["status"], ready(stage, "b")["status"]) == ("True", "Unknown")


async def test_a_node_that_comes_back_keeps_its_pods() -> None:
    async with Stage(NodeLifecycleController, TaintEvictionController) as stage:
        for name in ("a", "b", "c"):
            stage.node(name)
        stage.pod("p", node="c", ready=True)
        await beats(stage, ["a", "b"], 80)
        assert taints(stage, "c") == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        await beats(stage, ["a", "b", "c"], 20)
        assert taints(stage, "c") == set()
        assert stage.events("TaintManagerEviction") == [
            ("Normal", "TaintManagerEviction", "Cancelling deletion of Pod default/p")
        ]
        await beats(stage, ["a", "b", "c"], 400)
        pod = stage.get(kinds.PODS, "p")
        assert pod is not None
        assert "deletionTimestamp" not in pod["metadata"]


async def test_a_kubelet_that_says_not_ready_is_tainted_as_such() -> None:
    async with Stage(NodeLifecycleController) as stage:
        for name in ("a", "b", "c"):
            stage.node(name)
        await beats(stage, ["a", "b", "c"], 10)
        stage.beat("c", "False")
        await stage.settle()
        assert taints(stage, "c") == {(NOT_READY, "NoSchedule")}  # at once
        for _ in range(3):
            stage.beat("c", "False")
            await beats(stage, ["a", "b"], 10)
        assert taints(stage, "c") == {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}
        await beats(stage, ["a", "b"], 80)  # and now it is silent
        assert taints(stage, "c") == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}


async def test_with_all_nodes_silent_nothing_is_evicted() -> None:
    async with Stage(NodeLifecycleController, TaintEvictionController) as stage:
        for name in ("a", "b"):
            stage.node(name)
        stage.pod("p", node="a", ready=True)
        await beats(stage, ["a", "b"], 20)
        await stage.settle(1000)
        for name in ("a", "b"):
            assert ready(stage, name)["status"] == "Unknown"
            assert taints(stage, name) == {(UNREACHABLE, "NoSchedule")}
        pod = stage.get(kinds.PODS, "p")
        assert pod is not None
        assert "deletionTimestamp" not in pod["metadata"]
        assert not is_pod_ready(pod)


async def test_nodes_are_given_up_one_every_ten_seconds() -> None:
    async with Stage(NodeLifecycleController) as stage:
        names = [f"n{number}" for number in range(10)]
        for name in names:
            stage.node(name)
        await beats(stage, names, 20)
        alive, silent = names[:5], names[5:]

        def given_up() -> int:
            return sum((UNREACHABLE, "NoExecute") in taints(stage, name) for name in silent)

        await beats(stage, alive, 50)
        seen = []
        for _ in range(60):
            await stage.settle(1)
            if stage.clock.time() % 10 < 1:
                for name in alive:
                    stage.beat(name)
            seen.append(given_up())
        rises = [second for second in range(1, 60) if seen[second] > seen[second - 1]]
        assert seen[-1] == 5
        assert all(8 <= later - earlier <= 12 for earlier, later in pairwise(rises))


async def test_most_of_a_small_zone_silent_stops_evictions_there() -> None:
    async with Stage(NodeLifecycleController) as stage:
        names = [f"n{number}" for number in range(5)]
        for name in names:
            stage.node(name)
        await beats(stage, names, 20)
        await beats(stage, names[:2], 400)
        assert [taints(stage, name) for name in names[2:]] == [{(UNREACHABLE, "NoSchedule")}] * 3


async def test_conditions_and_cordon_are_taints() -> None:
    async with Stage(NodeLifecycleController) as stage:
        stage.node("a")
        stage.beat("a", MemoryPressure="True", DiskPressure="True", PIDPressure="True", NetworkUnavailable="True")
        stage.registry.modify(
            kinds.NODES,
            "",
            "a",
            lambda n: {
                **n,
                "spec": {
                    **n.get("spec", {}),
                    "unschedulable": True,
                    "taints": [{"key": "mine", "value": "x", "effect": "NoSchedule"}],
                },
            },
        )
        await stage.settle(1)
        assert taints(stage, "a") == {
            ("mine", "NoSchedule"),
            ("node.kubernetes.io/memory-pressure", "NoSchedule"),
            ("node.kubernetes.io/disk-pressure", "NoSchedule"),
            ("node.kubernetes.io/pid-pressure", "NoSchedule"),
            ("node.kubernetes.io/network-unavailable", "NoSchedule"),
            ("node.kubernetes.io/unschedulable", "NoSchedule"),
        }
        stage.beat("a")
        stage.registry.modify(kinds.NODES, "", "a", lambda n: {**n, "spec": {**n["spec"], "unschedulable": False}})
        await stage.settle(1)
        assert taints(stage, "a") == {("mine", "NoSchedule")}


async def test_a_restarted_controller_grants_every_node_a_full_grace_period() -> None:
    async with Stage(NodeLifecycleController) as stage:
        for name in ("a", "b"):
            stage.node(name)
        await beats(stage, ["a", "b"], 20)
        await stage.manager.stop()
        await stage.settle(1000)
        assert ready(stage, "a")["status"] == "True"  # nobody looks
        stage.manager.start()
        await stage.settle(45)
        assert ready(stage, "a")["status"] == "True"
        await stage.settle(15)
        assert ready(stage, "a")["status"] == "Unknown"


async def test_a_taint_by_hand_evicts_who_does_not_bear_it() -> None:
    async with Stage(TaintEvictionController) as stage:
        stage.node("a")
        stage.pod("goes", node="a", ready=True)
        stage.pod("stays", node="a", ready=True, tolerations=[{"operator": "Exists"}])
        stage.pod("later", node="a", ready=True, tolerations=[NINE])
        await stage.settle(1)
        out = [{"key": "out", "effect": "NoExecute"}]
        stage.registry.modify(kinds.NODES, "", "a", lambda n: {**n, "spec": {**n.get("spec", {}), "taints": out}})

        def going() -> set[str]:
            return {p["metadata"]["name"] for p in stage.all(kinds.PODS) if "deletionTimestamp" in p["metadata"]}

        await stage.settle(1)
        assert going() == {"goes"}
        await stage.settle(10)
        assert going() == {"goes", "later"}
        stage.pod("new", node="a", ready=True)
        await stage.settle(1)
        assert going() == {"goes", "later", "new"}


# -- the decisions


@pytest.mark.parametrize(
    ("ok", "bad", "state", "rate"),
    [
        (1, 0, State.NORMAL, 0.1),
        (0, 1, State.FULL, 0.1),
        (0, 9, State.FULL, 0.1),
        (1, 1, State.NORMAL, 0.1),
        (1, 2, State.NORMAL, 0.1),  # two are too few to tell
        (2, 3, State.PARTIAL, 0.0),
        (3, 3, State.NORMAL, 0.1),
        (45, 55, State.PARTIAL, 0.01),
        (46, 54, State.NORMAL, 0.1),
    ],
)
def test_zone_states(ok: int, bad: int, state: State, rate: float) -> None:
    assert state_of([True] * ok + [False] * bad) is state
    assert rate_of(state, ok + bad) == rate


def test_zones_enter_and_leave_full_disruption_together() -> None:
    zones = Zones()
    assert zones.observe({"x": [True], "y": [False]}, 0.0) == ""
    assert zones.observe({"x": [False], "y": [False]}, 5.0) == "enter"
    assert not zones.limiter("x", 10.0).take(10.0)
    assert zones.observe({"x": [False], "y": [False]}, 10.0) == ""
    assert zones.observe({"x": [True], "y": [False]}, 15.0) == "leave"
    assert not zones.limiter("y", 15.0).take(15.0)  # who had to wait goes on waiting
    assert zones.limiter("y", 25.0).take(25.0)


def test_the_limiter_holds_one_token() -> None:
    limiter = Limiter(0.1, 0.0)
    assert [second for second in range(35) if limiter.take(float(second))] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "j", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration: Json, expected: bool) -> None:
    assert tolerates(toleration, {"key": "k", "value": "v", "effect": "NoExecute"}) is expected


def test_how_long_a_pod_stays() -> None:
    one, two = {"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoExecute"}

    def pod(*tolerations: Json) -> Json:
        return {"metadata": {}, "spec": {"tolerations": list(tolerations)}}

    for_ever = {"operator": "Exists"}
    assert stay(pod(), [one]) == 0.0
    assert stay(pod(for_ever), [one, two]) is None
    assert stay(pod({"key": "a", "operator": "Exists", "tolerationSeconds": 30}, for_ever), [one, two]) == 30.0
    assert stay(pod({"key": "a", "operator": "Exists", "tolerationSeconds": -1}), [one]) == 0.0

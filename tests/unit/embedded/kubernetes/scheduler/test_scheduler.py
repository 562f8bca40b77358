"""The scheduler at work on a real registry: what it binds, writes and says, and when it tries again."""

from __future__ import annotations

import asyncio
import json

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json, edited

from .conftest import Stage
from .making import a_pod, apart, near, spread, term

CPU = "0/1 nodes are available: 1 Insufficient cpu. "
NO_VICTIMS = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
NOT_HELPFUL = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


async def test_a_pod_is_bound_and_it_is_said(stage: Stage) -> None:
    stage.add_nodes("worker-1")
    stage.add_pod(a_pod("web", cpu="1"))
    await stage.clock.settle()
    assert stage.node_of("web") == "worker-1"
    (record,) = stage.registry.list(kinds.EVENTS, "default").records
    event = record.obj
    assert event["message"] == "Successfully assigned default/web to worker-1"
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "Scheduled", "Binding")
    assert (event["reportingComponent"], event["source"]) == ("default-scheduler", {})
    assert stage.condition("web")["status"] == "True"


async def test_without_nodes(stage: Stage) -> None:
    stage.add_pod(a_pod("web"))
    await stage.clock.settle()
    assert stage.condition("web")["message"] == "no nodes available to schedule pods"
    stage.add_nodes("a")
    await stage.clock.advance(2)
    assert stage.node_of("web") == "a"


async def test_a_pod_that_fits_nowhere_says_why(stage: Stage) -> None:
    stage.add_nodes("a", taints=["node-role.kubernetes.io/control-plane:NoSchedule"])
    stage.add_nodes("b", "c")
    stage.add_pod(a_pod("big", cpu="5"))
    await stage.clock.settle()
    words = (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )
    condition = stage.condition("big")
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", words)
    assert condition["lastProbeTime"] is None
    assert stage.events("big", "FailedScheduling") == [words]
    managers = [field["manager"] for field in stage.pod("big")["metadata"]["managedFields"]]
    assert "kube-scheduler" in managers


async def test_pods_of_other_schedulers_are_left_alone(stage: Stage) -> None:
    stage.add_nodes("a")
    stage.add_pod(a_pod("mine", schedulerName="somebody-else"))
    await stage.clock.settle()
    assert stage.node_of("mine") == ""
    assert stage.condition("mine") == {}
    assert stage.scheduler.explain("default", "mine") is None


async def test_gates(stage: Stage) -> None:
    stage.add_nodes("a")
    stage.add_pod(a_pod("web", schedulingGates=[{"name": "example.com/wait"}]))
    await stage.clock.settle()
    assert stage.condition("web")["reason"] == "SchedulingGated"
    assert stage.events("web") == []
    assert stage.scheduler.status()["queue"]["gated"] == 1
    explained = stage.scheduler.explain("default", "web")
    assert explained is not None
    assert explained["state"] == "Gated"

    def open_gates(obj: Json) -> Json:
        obj = edited(obj)
        del obj["spec"]["schedulingGates"]
        return obj

    stage.change(kinds.PODS, "web", open_gates)
    await stage.clock.settle()
    assert stage.node_of("web") == "a"


class TestTryingAgain:
    async def test_when_a_taint_goes(self, stage: Stage) -> None:
        stage.add_nodes("a", taints=["x:NoSchedule"])
        stage.add_pod(a_pod("web"))
        await stage.clock.settle()
        stage.untaint("a")
        await stage.clock.settle()
        assert stage.node_of("web") == "a"

    async def test_when_a_node_gets_the_label(self, stage: Stage) -> None:
        stage.add_nodes("a")
        stage.add_pod(a_pod("web", nodeSelector={"disk": "ssd"}))
        await stage.clock.settle()
        assert stage.condition("web")["message"].startswith(
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. " + NOT_HELPFUL
        )

        def label(obj: Json) -> Json:
            obj = edited(obj)
            obj["metadata"]["labels"] = {**obj["metadata"]["labels"], "disk": "ssd"}
            return obj

        stage.change(kinds.NODES, "a", label)
        await stage.clock.settle()
        assert stage.node_of("web") == "a"

    async def test_when_another_pod_goes(self, stage: Stage) -> None:
        stage.add_nodes("a", cpu="1")
        stage.add_pod(a_pod("first", cpu="1"))
        await stage.clock.settle()
        stage.add_pod(a_pod("second", cpu="1"))
        await stage.clock.settle()
        assert stage.condition("second")["message"] == CPU + NO_VICTIMS
        stage.delete("first")
        await stage.clock.settle()
        assert stage.node_of("second") == "a"

    async def test_when_another_pod_has_finished(self, stage: Stage) -> None:
        stage.add_nodes("a", cpu="1")
        stage.add_pod(a_pod("first", cpu="1"))
        await stage.clock.settle()
        stage.add_pod(a_pod("second", cpu="1"))
        await stage.clock.settle()
        stage.change(
            kinds.PODS, "first", lambda obj: {**obj, "status": {**obj["status"], "phase": "Succeeded"}}, "status"
        )
        await stage.clock.settle()
        assert stage.node_of("second") == "a"

    async def test_when_somebody_comes_that_it_wants_to_be_with(self, stage: Stage) -> None:
        stage.add_nodes("a", "b")
        stage.add_pod(a_pod("web", affinity=near(term(app="db"))))
        await stage.clock.settle()
        assert "didn't match pod affinity rules" in stage.condition("web")["message"]
        stage.add_pod(a_pod("db", labels={"app": "db"}))
        await stage.clock.settle()
        assert stage.node_of("web") == stage.node_of("db") != ""

    async def test_not_when_it_is_of_no_use(self, stage: Stage) -> None:
        stage.add_nodes("a", taints=["x:NoSchedule"])
        stage.add_pod(a_pod("web"))
        stage.add_nodes("b", taints=["x:NoSchedule"])
        await stage.clock.settle()
        queued = stage.scheduler.queue.get(("default", "web"))
        assert queued is not None
        assert queued.attempts == 1

    async def test_after_five_minutes_in_any_case(self, stage: Stage) -> None:
        stage.add_nodes("a", cpu="1")
        stage.add_pod(a_pod("big", cpu="2"))
        await stage.clock.settle()
        await stage.clock.advance(299)
        queued = stage.scheduler.queue.get(("default", "big"))
        assert queued is not None
        assert queued.attempts == 1
        await stage.clock.advance(2)
        assert queued.attempts == 2


class TestTheApiServerAway:
    async def test_it_waits_and_goes_on(self, stage: Stage) -> None:
        stage.add_nodes("a")
        await stage.clock.settle()
        stage.refuse_calls()
        stage.add_pod(a_pod("web"))
        await stage.clock.advance(5)
        assert stage.node_of("web") == ""
        assert not stage.scheduler.cluster.pods
        stage.answer_calls()
        await stage.clock.advance(60)
        assert stage.node_of("web") == "a"

    async def test_a_failed_binding_waits_out_its_back_off(self, stage: Stage) -> None:
        stage.add_nodes("a")
        await stage.clock.settle()
        bind, calls = stage.registry.bind, []

        def refuse(namespace: str, pod: str, node: str, **_: bool) -> Json:
            calls.append(stage.clock.time())
            if len(calls) < 4:
                raise RuntimeError("not now")
            return bind(namespace, pod, node)

        stage.registry.bind = refuse  # type: ignore[method-assign]
        stage.add_pod(a_pod("web"))
        await stage.clock.settle()
        assert stage.condition("web")["reason"] == "SchedulerError"
        assert stage.events("web") == ['running Bind plugin "DefaultBinder": not now']
        await stage.clock.advance(30)
        assert stage.node_of("web") == "a"
        assert [round(later - calls[0]) for later in calls] == [0, 1, 3, 7]

    async def test_a_pod_that_goes_while_it_is_bound(self, stage: Stage) -> None:
        stage.add_nodes("a")
        await stage.clock.settle()
        stage.add_pod(a_pod("web"))
        stage.delete("web")
        await stage.clock.settle()
        assert len(stage.scheduler.queue) == 0
        assert not stage.scheduler.cluster.pods


class TestPreemption:
    @pytest.fixture
    async def full(self, stage: Stage) -> Stage:
        stage.add_priority("high", 1000)
        stage.add_nodes("a", cpu="2")
        stage.add_pod(a_pod("low", cpu="1500m"))
        await stage.clock.settle()
        stage.started("low")
        await stage.clock.settle()
        return stage

    async def test_the_lower_one_is_asked_to_leave(self, full: Stage) -> None:
        full.add_pod(a_pod("vip", cpu="1", priorityClassName="high"))
        await full.clock.settle()
        vip = full.pod("vip")
        assert vip["status"]["nominatedNodeName"] == "a"
        assert full.condition("vip")["message"] == CPU.strip()
        low = full.pod("low")
        assert low["metadata"]["deletionGracePeriodSeconds"] == 30
        target = full.condition("low", "DisruptionTarget")
        assert (target["status"], target["reason"]) == ("True", "PreemptionByScheduler")
        assert target["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
        assert full.events("low", "Preempted") == [f"Preempted by pod {vip['metadata']['uid']} on node a"]
        assert full.node_of("vip") == ""
        full.delete("low")  # the kubelet is through
        await full.clock.settle()
        assert full.node_of("vip") == "a"
        assert not full.scheduler.cluster.nominated

    async def test_the_room_is_kept_for_it(self, full: Stage) -> None:
        full.add_pod(a_pod("vip", cpu="1500m", priorityClassName="high"))
        await full.clock.settle()
        full.add_pod(a_pod("late", cpu="500m"))
        await full.clock.settle()
        assert full.node_of("late") == ""  # it would fit beside the one that leaves, or the one that comes; not both
        full.delete("low")
        await full.clock.settle()
        assert (full.node_of("vip"), full.node_of("late")) == ("a", "a")

    async def test_it_does_not_push_more_aside_while_they_leave(self, full: Stage) -> None:
        full.add_pod(a_pod("vip", cpu="1", priorityClassName="high"))
        await full.clock.settle()
        full.scheduler.queue.activate(("default", "vip"))
        await full.clock.advance(300)
        assert full.condition("vip")["message"] == (
            CPU + "preemption: not eligible due to a terminating pod on the nominated node."
        )

    async def test_never(self, full: Stage) -> None:
        full.add_priority("polite", 1000, preemptionPolicy="Never")
        full.add_pod(a_pod("vip", cpu="1", priorityClassName="polite"))
        await full.clock.settle()
        assert full.condition("vip")["message"] == CPU + "preemption: not eligible due to preemptionPolicy=Never."
        assert "deletionTimestamp" not in full.pod("low")["metadata"]

    async def test_a_nominated_pod_that_goes_leaves_its_room_to_others(self, full: Stage) -> None:
        full.add_pod(a_pod("vip", cpu="1500m", priorityClassName="high"))
        await full.clock.settle()
        full.delete("low")
        full.delete("vip")
        full.add_pod(a_pod("other", cpu="1500m"))
        await full.clock.settle()
        assert full.node_of("other") == "a"

    async def test_a_more_important_one_takes_the_nomination(self, full: Stage) -> None:
        full.add_priority("higher", 2000)
        full.add_pod(a_pod("vip", cpu="1500m", priorityClassName="high"))
        await full.clock.settle()
        full.add_pod(a_pod("star", cpu="1500m", priorityClassName="higher"))
        await full.clock.settle()
        full.delete("low")
        await full.clock.advance(11)
        assert full.node_of("star") == "a"
        assert full.node_of("vip") == ""


class TestStopAndStart:
    async def test_it_begins_again_from_what_there_is(self, stage: Stage) -> None:
        stage.add_nodes("a", cpu="2")
        stage.add_pod(a_pod("one", cpu="1"))
        await stage.clock.settle()
        tasks = len(asyncio.all_tasks())
        await stage.scheduler.stop()
        assert len(asyncio.all_tasks()) == 1 < tasks
        stage.add_pod(a_pod("two", cpu="1"))
        stage.add_pod(a_pod("three", cpu="1"))
        await stage.clock.settle()
        assert stage.node_of("two") == ""
        stage.scheduler.start()
        await stage.clock.settle()
        assert sorted([stage.node_of("two"), stage.node_of("three")]) == ["", "a"]

    async def test_a_nomination_survives(self, stage: Stage) -> None:
        stage.add_priority("high", 1000)
        stage.add_nodes("a", cpu="1")
        stage.add_pod(a_pod("low", cpu="1"))
        await stage.clock.settle()
        stage.started("low")
        stage.add_pod(a_pod("vip", cpu="1", priorityClassName="high"))
        await stage.clock.settle()
        await stage.scheduler.stop()
        stage.delete("low")
        stage.add_pod(a_pod("other", cpu="1"))
        stage.scheduler.start()
        await stage.clock.settle()
        assert stage.node_of("vip") == "a"
        assert stage.node_of("other") == ""


class TestExplain:
    async def test_why_here(self, stage: Stage) -> None:
        stage.add_nodes("a", "b")
        stage.add_nodes("c", taints=["x:NoSchedule"])
        stage.add_pod(a_pod("web", cpu="1"))
        await stage.clock.settle()
        found = stage.scheduler.explain("default", "web")
        assert found is not None
        json.dumps(found)
        assert (found["state"], found["node"], found["asOf"]) == ("Placed", stage.node_of("web"), "decision")
        a, b, c = found["nodes"]
        assert [a["name"], b["name"], c["name"]] == ["a", "b", "c"]
        assert [a["feasible"], b["feasible"], c["feasible"]] == [True, True, False]
        assert a["total"] == b["total"] == sum(score["weighted"] for score in a["scores"])
        fit = next(score for score in a["scores"] if score["plugin"] == "NodeResourcesFit")
        # 1 of 4 CPUs asked for, 200 MB of 8 GB counted: (75 + 97) / 2
        assert fit == {"plugin": "NodeResourcesFit", "raw": 86, "normalized": 86, "weighted": 86}
        asked = {verdict["plugin"]: (verdict["passed"], verdict["message"]) for verdict in c["filters"]}
        assert asked["NodeUnschedulable"] == (True, "")
        assert asked["TaintToleration"] == (False, "node(s) had untolerated taint(s)")
        assert asked["NodeAffinity"] == (None, "")

    async def test_why_pending(self, stage: Stage) -> None:
        stage.add_nodes("a", cpu="1")
        stage.add_pod(a_pod("big", cpu="2"))
        await stage.clock.settle()
        found = stage.scheduler.explain("default", "big")
        assert found is not None
        assert (found["state"], found["node"], found["attempts"]) == ("Pending", None, 1)
        assert found["refusedBy"] == ["NodeResourcesFit"]
        assert found["message"] == CPU + NOT_HELPFUL

    async def test_what_is_not_remembered_is_worked_out_anew(self, stage: Stage) -> None:
        stage.add_nodes("a", "b", cpu="2")
        stage.add_pod(a_pod("web", cpu="2"))
        await stage.clock.settle()
        stage.scheduler._explanations.forget(("default", "web"))
        found = stage.scheduler.explain("default", "web")
        assert found is not None
        assert (found["asOf"], found["node"]) == ("now", stage.node_of("web"))
        assert all(node["feasible"] for node in found["nodes"])  # it does not stand in its own way
        assert stage.scheduler.cluster.nodes[stage.node_of("web")].used["cpu"] == 2000

    async def test_nobody(self, stage: Stage) -> None:
        assert stage.scheduler.explain("default", "nobody") is None


async def test_many_alike_pods_spread_by_themselves(stage: Stage) -> None:
    stage.add_nodes(*(f"n{number}" for number in range(10)))
    stage.registry.create(
        kinds.SERVICES,
        "default",
        {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
    )
    await stage.clock.settle()
    for number in range(200):
        stage.add_pod(a_pod(f"web-{number}", cpu="10m", labels={"app": "web"}))
    await stage.clock.settle()
    assert [len(node.pods) for node in stage.scheduler.cluster.nodes.values()] == [20] * 10


async def test_hard_rules_hold_for_many(stage: Stage) -> None:
    stage.add_nodes(*(f"n{number}" for number in range(10)), pods=12)
    await stage.clock.settle()
    labels = {"app": "web"}
    for number in range(110):
        stage.add_pod(a_pod(f"web-{number}", labels=labels, topologySpreadConstraints=[spread()]))
    for number in range(12):
        stage.add_pod(a_pod(f"db-{number}", labels={"app": "db"}, affinity=apart(term(app="db"))))
    await stage.clock.settle()
    assert [len(node.pods) for node in stage.scheduler.cluster.nodes.values()] == [12] * 10
    assert stage.scheduler.status()["queue"]["pool"] == 2

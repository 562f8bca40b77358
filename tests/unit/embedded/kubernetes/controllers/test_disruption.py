"""Budgets: what their status says, and what may be evicted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.disruption.budget import CannotReckon, Expected, expected, reckon
from labkit.embedded.kubernetes.controllers.disruption.controller import DisruptionController
from labkit.embedded.kubernetes.controllers.disruption.eviction import decide
from labkit.embedded.kubernetes.objects import Json, condition_of, name_of
from labkit.embedded.kubernetes.times import rfc3339

from .clusterstage import Stage, reference

NOW = 1_750_000_000.0


def pod(name: str, ready: bool = True, phase: str = "Running", **metadata: Any) -> Json:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"u-{name}", "labels": {"app": "web"}, **metadata},
        "spec": {},
        "status": {"phase": phase, "conditions": [condition]},
    }


def budget(name: str = "web", spec: Json | None = None, **status: Any) -> Json:
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}} if spec is None else spec
    status = {"observedGeneration": 1, **status}
    return {"metadata": {"name": name, "namespace": "default", "generation": 1}, "spec": spec, "status": status}


# -- the decision


def test_a_budget_that_has_none_to_spare_says_what_it_has() -> None:
    decision = decide(pod("a"), [budget(currentHealthy=2, desiredHealthy=2, disruptionsAllowed=0)], NOW)
    assert decision.refusal is not None
    assert decision.refusal.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "reason": "TooManyRequests",
        "details": {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
                }
            ]
        },
        "code": 429,
    }


def test_a_budget_pays_with_its_status() -> None:
    before = budget(currentHealthy=3, desiredHealthy=2, disruptionsAllowed=1, expectedPods=3)
    decision = decide(pod("a"), [before], NOW)
    assert decision.allowed
    assert decision.budget is not None
    status = decision.budget["status"]
    assert status["disruptionsAllowed"] == 0
    assert status["disruptedPods"] == {"a": rfc3339(NOW)}
    assert status["conditions"][0]["reason"] == "InsufficientPods"
    assert before["status"]["disruptionsAllowed"] == 1  # what the store has is not touched


def test_two_budgets_are_one_too_many() -> None:
    decision = decide(pod("a"), [budget(), budget("other", spec={"maxUnavailable": 1, "selector": {}})], NOW)
    assert decision.refusal is not None
    status = decision.refusal.status()
    assert (status["code"], "reason" in status) == (500, False)
    assert status["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


def test_a_budget_that_was_just_edited_is_waited_for() -> None:
    stale = budget(currentHealthy=3, desiredHealthy=2, disruptionsAllowed=1)
    stale["metadata"]["generation"] = 2
    decision = decide(pod("a"), [stale], NOW)
    assert decision.refusal is not None
    details = decision.refusal.status()["details"]
    assert details["retryAfterSeconds"] == 10
    assert details["causes"][0]["message"] == "The disruption budget web is still being processed by the server."


NONE_LEFT = {"currentHealthy": 2, "desiredHealthy": 2, "disruptionsAllowed": 0}
TOO_FEW = {"currentHealthy": 1, "desiredHealthy": 2, "disruptionsAllowed": 0}
ALWAYS = {
    "minAvailable": 2,
    "selector": {"matchLabels": {"app": "web"}},
    "unhealthyPodEvictionPolicy": "AlwaysAllow",
}


@pytest.mark.parametrize(
    ("who", "budgets", "allowed", "guarded"),
    [
        (pod("a"), [], True, False),
        (pod("a", phase="Succeeded"), [budget(**NONE_LEFT)], True, False),
        (pod("a", phase="Failed", ready=False), [budget(**NONE_LEFT)], True, False),
        (pod("a", deletionTimestamp="…"), [budget(**NONE_LEFT)], True, False),
        (pod("a", phase="Pending", ready=False), [budget(**NONE_LEFT)], True, True),
        (pod("a", ready=False), [budget(**NONE_LEFT)], True, True),  # it is not one of the healthy ones
        (pod("a", ready=False), [budget(**TOO_FEW)], False, False),
        (pod("a", ready=False), [budget(spec=ALWAYS, **TOO_FEW)], True, True),
        (pod("a"), [budget(spec=ALWAYS, **TOO_FEW)], False, False),
        (pod("a"), [budget(spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}})], True, False),
        (pod("a"), [budget(spec={"minAvailable": 1})], True, False),  # no selector selects nothing
        (pod("a"), [budget(spec={"minAvailable": 1, "selector": {}}, **NONE_LEFT)], False, False),
        (pod("a"), [budget(disruptionsAllowed=-1)], False, False),
    ],
)
def test_who_may_go(who: Json, budgets: list[Json], allowed: bool, guarded: bool) -> None:
    decision = decide(who, budgets, NOW)
    assert (decision.allowed, decision.guarded) == (allowed, guarded)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6), st.integers(0, 6), st.lists(st.sampled_from(["evict", "sync", "ready", "end"]), max_size=40))
def test_evictions_never_take_more_than_the_budget_has(count: int, least: int, steps: list[str]) -> None:
    """However late the controller looks: of the pods that stay as they are, enough stay."""
    pods = {f"p{n}": pod(f"p{n}") for n in range(count)}
    guard = budget(spec={"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}}, observedGeneration=0)
    evicted: set[str] = set()
    now = NOW
    made = count
    for number, step in enumerate(steps):
        now += 1
        healthy = len(pods.keys() - evicted)
        if step == "sync":
            found = reckon(guard, list(pods.values()), Expected(len(pods), least), now)
            guard = guard if found.status is None else {**guard, "status": found.status}
            assert guard["status"]["disruptionsAllowed"] <= max(0, healthy - least)
        elif step == "ready":  # a replacement
            pods[f"p{made}"] = pod(f"p{made}")
            made += 1
        elif step == "end" and evicted:  # a kubelet confirms
            pods.pop(evicted.pop())
        elif step == "evict" and pods.keys() - evicted:
            name = sorted(pods.keys() - evicted)[number % healthy]
            decision = decide(pods[name], [guard], now)
            if decision.allowed:
                assert healthy - 1 >= least
                assert decision.budget is not None
                guard = decision.budget
                evicted.add(name)
                pods[name] = pod(name, deletionTimestamp="…")


# -- the reckoning


def test_percentages_round_up() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": True}
    pods = [pod(f"p{n}", ownerReferences=[owner]) for n in range(3)]

    def wanted(**spec: Any) -> tuple[int, int]:
        found = expected(budget(spec=spec), pods, lambda _: ("rs", 7))
        return found.pods, found.healthy

    assert wanted(minAvailable="50%") == (7, 4)
    assert wanted(maxUnavailable="30%") == (7, 4)
    assert wanted(maxUnavailable=1) == (7, 6)
    assert wanted(maxUnavailable="100%") == (7, 0)
    assert wanted(minAvailable=2) == (3, 2)  # a number is not about what there should be
    with pytest.raises(CannotReckon, match='found no controllers for pod "p0"'):
        expected(budget(spec={"maxUnavailable": 1}), pods, lambda _: None)


def test_an_evicted_pod_that_stays_counts_again_after_two_minutes() -> None:
    guard = budget(disruptedPods={"a": rfc3339(NOW)})
    found = reckon(guard, [pod("a"), pod("b")], Expected(2, 1), NOW + 60)
    assert found.status is not None
    assert (found.status["currentHealthy"], found.status["disruptedPods"]) == (1, {"a": rfc3339(NOW)})
    assert found.recheck == 60
    found = reckon({**guard, "status": found.status}, [pod("a"), pod("b")], Expected(2, 1), NOW + 121)
    assert found.status is not None
    assert found.status["currentHealthy"] == 2
    assert "disruptedPods" not in found.status
    assert [name_of(late) for late in found.not_deleted] == ["a"]


# -- the controller


async def a_web(stage: Stage, replicas: int = 3) -> Json:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    owner = stage.create(kinds.REPLICA_SETS, {"metadata": {"name": "web"}, "spec": spec})
    for number in range(replicas):
        stage.pod(f"web-{number}", {"app": "web"}, owner=owner, ready=True)
    return owner


def status(stage: Stage, name: str = "web") -> Json:
    found = stage.get(kinds.POD_DISRUPTION_BUDGETS, name)
    assert found is not None
    return dict(found["status"])


def guard(stage: Stage, name: str = "web", **spec: Any) -> Json:
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    return stage.create(kinds.POD_DISRUPTION_BUDGETS, {"metadata": {"name": name}, "spec": spec})


async def test_the_status_follows_the_pods() -> None:
    async with Stage(DisruptionController) as stage:
        await a_web(stage)
        guard(stage, minAvailable="60%")
        await stage.settle(1)
        now = status(stage)
        (condition,) = now.pop("conditions")
        assert now == {
            "currentHealthy": 3,
            "desiredHealthy": 2,
            "disruptionsAllowed": 1,
            "expectedPods": 3,
            "observedGeneration": 1,
        }
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "DisruptionAllowed",
            "True",
            "SufficientPods",
        )
        stage.runs("web-0", False)
        await stage.settle(1)
        now = status(stage)
        assert (now["currentHealthy"], now["disruptionsAllowed"]) == (2, 0)
        assert now["conditions"][0]["reason"] == "InsufficientPods"


async def test_an_eviction_through_the_api_is_paid_for_and_refused_when_nothing_is_left() -> None:
    async with Stage(DisruptionController) as stage:
        stage.node("n")
        await a_web(stage)
        guard(stage, minAvailable=2)
        await stage.settle(1)
        budgets = stage.all(kinds.POD_DISRUPTION_BUDGETS)
        victim = stage.get(kinds.PODS, "web-0")
        assert victim is not None
        decision = decide(victim, budgets, stage.clock.time())
        assert decision.budget is not None
        stage.registry.update(kinds.POD_DISRUPTION_BUDGETS, "default", "web", decision.budget, subresource="status")
        await stage.settle(1)
        assert status(stage)["disruptedPods"].keys() == {"web-0"}
        stage.delete(kinds.PODS, "web-0", grace_period_seconds=0)
        await stage.settle(1)
        now = status(stage)
        assert (now["currentHealthy"], now["disruptionsAllowed"], "disruptedPods" in now) == (2, 0, False)


async def test_the_deployment_behind_the_replica_set_counts() -> None:
    async with Stage(DisruptionController) as stage:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
        spec = {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        deployment = stage.create(kinds.DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
        owner = await a_web(stage, 3)
        stage.change(kinds.REPLICA_SETS, "web", ownerReferences=[reference(deployment)])
        guard(stage, maxUnavailable=1)
        await stage.settle(1)
        assert name_of(owner) == "web"
        assert (status(stage)["expectedPods"], status(stage)["desiredHealthy"]) == (5, 4)
        assert status(stage)["disruptionsAllowed"] == 0


async def test_pods_of_nobody_are_told_of() -> None:
    async with Stage(DisruptionController) as stage:
        stage.pod("lonely", {"app": "web"}, ready=True)
        guard(stage, maxUnavailable=1)
        await stage.settle(1)
        ((type, _, message),) = stage.events("UnmanagedPods")
        assert type == "Warning"
        assert message.startswith(
            "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{"
            "MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}) were found"
        )
        assert status(stage)["disruptionsAllowed"] == 0


async def test_a_pod_whose_controller_cannot_be_found_fails_the_budget() -> None:
    async with Stage(DisruptionController) as stage:
        ghost = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "x", "uid": "y"}}
        stage.pod("p", {"app": "web"}, owner=ghost, ready=True)
        guard(stage, maxUnavailable=1)
        await stage.settle(1)
        condition = status(stage)["conditions"][0]
        assert (condition["reason"], condition["message"]) == ("SyncFailed", 'found no controllers for pod "p"')
        refusal = decide(pod("p"), stage.all(kinds.POD_DISRUPTION_BUDGETS), NOW).refusal
        assert refusal is not None


async def test_a_target_that_nobody_deleted_is_none_any_more() -> None:
    async with Stage(DisruptionController) as stage:
        stage.pod("p", ready=True)
        target = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": rfc3339(stage.clock.time())}
        stage.status(kinds.PODS, "p", conditions=[target])

        def said() -> str:
            found = stage.get(kinds.PODS, "p")
            assert found is not None
            condition = condition_of(found, "DisruptionTarget")
            assert condition is not None
            return str(condition["status"])

        await stage.settle(100)
        assert said() == "True"
        await stage.settle(30)
        assert said() == "False"

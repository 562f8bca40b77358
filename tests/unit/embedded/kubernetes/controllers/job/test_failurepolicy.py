"""The rules of a ``podFailurePolicy``, and what the controller makes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes.controllers.job import JobController
from labkit.embedded.kubernetes.controllers.job.failurepolicy import Match, counts, match
from labkit.embedded.kubernetes.objects import Json, name_of
from tests.unit.embedded.kubernetes.controllers.job.jobstage import (
    DISRUPTED,
    JOBS,
    PODS,
    active,
    conditions,
    end,
    ended,
    job,
    message,
    on_condition,
    on_exit_codes,
    status,
    tell_late_of_pods,
)


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(JobController) as kube:
        yield kube


def failed(*containers: Json, init: Sequence[Json] = (), told: Sequence[Json] = ()) -> Json:
    found = {"containerStatuses": list(containers), "initContainerStatuses": list(init), "conditions": list(told)}
    return {"metadata": {"name": "p", "namespace": "ns"}, "status": {"phase": "Failed", **found}}


RUNNING = {"name": "c", "state": {"running": {}}}
C = "Container c for pod ns/p failed with exit code"
DISRUPTION = "Pod ns/p has condition DisruptionTarget"

MATCHES: list[tuple[str, list[Json], Json, tuple[str, str] | None]] = [
    ("in", [on_exit_codes("FailJob", 2, 42)], failed(ended("c", 42)),
     ("FailJob", f"{C} 42 matching FailJob rule at index 0")),
    ("not in the list", [on_exit_codes("FailJob", 2, 42)], failed(ended("c", 3)), None),
    ("not in", [on_exit_codes("Count", 0, 42, operator="NotIn")], failed(ended("c", 3)),
     ("Count", f"{C} 3 matching Count rule at index 0")),
    ("in what is not to be in", [on_exit_codes("Count", 3, operator="NotIn")], failed(ended("c", 3)), None),
    ("a container that ended well fits no rule", [on_exit_codes("FailJob", 1, operator="NotIn")],
     failed(ended("c", 0)), None),
    ("nor one that still runs", [on_exit_codes("FailJob", 1, operator="NotIn")], failed(RUNNING), None),
    ("of that container", [on_exit_codes("FailJob", 1, containerName="c")], failed(ended("b", 1), ended("c", 1)),
     ("FailJob", f"{C} 1 matching FailJob rule at index 0")),
    ("of another container", [on_exit_codes("FailJob", 1, containerName="b")], failed(ended("c", 1)), None),
    ("an init container, too", [on_exit_codes("FailJob", 1)], failed(init=[ended("i", 1)]),
     ("FailJob", "Container i for pod ns/p failed with exit code 1 matching FailJob rule at index 0")),
    ("a condition", [on_condition("Ignore")], failed(ended("c", 137), told=[DISRUPTED]),
     ("Ignore", f"{DISRUPTION} matching Ignore rule at index 0")),
    ("a condition with another status", [on_condition("Ignore", status="False")], failed(told=[DISRUPTED]), None),
    ("the first rule that fits", [on_exit_codes("Ignore", 1), on_condition("FailIndex"), on_exit_codes("FailJob", 2)],
     failed(ended("c", 2), told=[DISRUPTED]), ("FailIndex", f"{DISRUPTION} matching FailIndex rule at index 1")),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "pod", "found"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES])
def test_rules(rules: list[Json], pod: Json, found: tuple[str, str] | None) -> None:
    assert match({"rules": rules}, pod) == (None if found is None else Match(*found))


def test_only_what_is_ignored_does_not_count() -> None:
    pod = failed(ended("c", 1))
    assert counts(None, pod)
    assert counts({"rules": [on_exit_codes("FailIndex", 1), on_exit_codes("Ignore", 1)]}, pod)
    assert not counts({"rules": [on_exit_codes("Ignore", 1)]}, pod)


def with_rules(*rules: Json, **spec: object) -> Json:
    return job(podFailurePolicy={"rules": list(rules)}, **spec)


async def test_fail_job_ends_it_at_once(kube: Kube) -> None:
    kube.kubelet.grace = 30
    await kube.create(JOBS, with_rules(on_exit_codes("FailJob", 42, containerName="c"), parallelism=3, completions=3))
    bad, *others = active(kube)
    await end(kube, bad, 42)
    why = f"Container c for pod default/{name_of(bad)} failed with exit code 42 matching FailJob rule at index 0"
    assert conditions(kube) == [("FailureTarget", "PodFailurePolicy")]
    assert message(kube) == why
    assert (status(kube)["terminating"], active(kube)) == (len(others), [])
    assert kube.events("PodFailurePolicy") == []  # it has not failed before they are gone
    await kube.advance(31)
    assert conditions(kube) == [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]
    assert message(kube) == why
    assert (status(kube)["failed"], status(kube)["terminating"]) == (3, 0)
    assert kube.events("PodFailurePolicy") == [why]


async def test_what_is_ignored_is_tried_again_and_counts_nowhere(kube: Kube) -> None:
    await kube.create(JOBS, with_rules(on_condition("Ignore"), backoffLimit=0))
    for pause in (10, 20, 40):
        (pod,) = active(kube)
        await end(kube, pod, 137, told=[DISRUPTED])
        assert "failed" not in status(kube)
        assert "finalizers" not in kube.get(PODS, name_of(pod))["metadata"]
        assert active(kube) == []
        await kube.advance(pause - 1)  # it waits as after any failure
        assert active(kube) == []
        await kube.advance(2)
    assert len(active(kube)) == 1
    await end(kube, active(kube)[0], 1)  # and this one is no disruption
    assert conditions(kube)[-1] == ("Failed", "BackoffLimitExceeded")
    assert status(kube)["failed"] == 1


async def test_what_is_ignored_is_seen_once_though_the_news_of_pods_comes_late(kube: Kube) -> None:
    await kube.create(JOBS, with_rules(on_condition("Ignore"), backoffLimit=0))
    tell_late_of_pods(kube, 3)
    await end(kube, active(kube)[0], 137, told=[DISRUPTED])
    await kube.advance(9)
    assert active(kube) == []
    await kube.advance(2)
    assert len(active(kube)) == 1  # after ten seconds: it was one failure, not two


async def test_pods_that_nobody_has_heard_of_yet_are_not_forgotten(kube: Kube) -> None:
    await kube.create(JOBS, with_rules(on_exit_codes("FailJob", 42), completions=3, parallelism=1))
    (pod,) = active(kube)
    tell_late_of_pods(kube, 3)
    await end(kube, pod, 42)
    await kube.advance(2)
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(parallelism=3))
    assert len(active(kube)) == 2
    await kube.advance(1.5)  # it hears that the first has failed, and nothing of the others
    assert conditions(kube) == []
    await kube.advance(10)
    assert active(kube) == []
    assert conditions(kube)[-1] == ("Failed", "PodFailurePolicy")
    assert status(kube)["failed"] == 3


async def test_count_goes_on_as_without_a_rule(kube: Kube) -> None:
    await kube.create(JOBS, with_rules(on_exit_codes("Count", 3), on_exit_codes("FailJob", 3), backoffLimit=1))
    await end(kube, active(kube)[0], 3)
    assert (status(kube)["failed"], conditions(kube)) == (1, [])
    await kube.advance(11)
    await end(kube, active(kube)[0], 3)
    assert conditions(kube)[-1] == ("Failed", "BackoffLimitExceeded")


async def test_rules_judge_a_pod_when_it_has_ended_not_when_it_is_deleted(kube: Kube) -> None:
    made = await kube.create(JOBS, with_rules(on_exit_codes("FailJob", 143)))
    assert made["spec"]["podReplacementPolicy"] == "Failed"
    kube.kubelet.grace = 30
    pod = active(kube)[0]
    await kube.delete(PODS, name_of(pod))
    assert (status(kube)["terminating"], active(kube), conditions(kube)) == (1, [], [])
    assert "failed" not in status(kube)
    await end(kube, pod, 143)
    assert conditions(kube)[-1] == ("Failed", "PodFailurePolicy")


async def test_who_manages_the_controller_can_be_another(kube: Kube) -> None:
    await kube.create(JOBS, job(managedBy="example.com/mine"))
    assert kube.pods() == []
    assert "status" not in kube.get(JOBS, "pi") or status(kube) == {}

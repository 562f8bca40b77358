"""Indexes that fail for themselves (``backoffLimitPerIndex``)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.job import JobController, perindex
from labkit.embedded.kubernetes.controllers.job.indexes import INDEX
from labkit.embedded.kubernetes.controllers.job.perindex import FAILURES, IGNORED
from labkit.embedded.kubernetes.controllers.job.spec import is_tracked
from labkit.embedded.kubernetes.objects import Json, annotations_of, name_of
from tests.unit.embedded.kubernetes.controllers.job.jobstage import (
    DISRUPTED,
    JOBS,
    PODS,
    at_work,
    conditions,
    end,
    ended,
    indexed,
    message,
    of_index,
    on_condition,
    on_exit_codes,
    status,
)

NOW = 1_750_000_000.0


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(JobController) as kube:
        yield kube


def failed(index: int = 0, failures: str = "0", ignored: str = "", *, ago: float = 0.0, code: int = 1) -> Json:
    container = ended("c", code)
    container["state"]["terminated"]["finishedAt"] = times.rfc3339(NOW - ago)
    annotations = {INDEX: str(index), FAILURES: failures, **({IGNORED: ignored} if ignored else {})}
    found = {"phase": "Failed", "containerStatuses": [container]}
    return {"metadata": {"name": f"p-{index}", "namespace": "ns", "annotations": annotations}, "status": found}


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("", 0), ("-1", 0), ("x", 0), ("2147483648", 0)])
def test_numbers_that_somebody_has_changed_by_hand_are_none(text: str, number: int) -> None:
    assert perindex.failures_before(failed(failures=text)) == number


@pytest.mark.parametrize(
    ("before", "action", "is_used_up"),
    [("0", "", False), ("1", "", True), ("1", "Count", True), ("9", "Ignore", False), ("0", "FailIndex", True)],
)
def test_when_an_index_is_given_up(before: str, action: str, is_used_up: bool) -> None:
    policy = {"rules": [on_exit_codes(action, 1)]} if action else None
    assert perindex.is_used_up(failed(failures=before), 1, policy) == is_used_up


def test_a_successor_carries_the_numbers_on() -> None:
    policy = {"rules": [on_exit_codes("Ignore", 7)]}
    assert perindex.numbers(None, policy) == {FAILURES: "0"}
    assert perindex.numbers(failed(failures="2"), policy) == {FAILURES: "3"}
    assert perindex.numbers(failed(failures="2", code=7), policy) == {FAILURES: "2", IGNORED: "1"}
    assert perindex.numbers(failed(failures="2", ignored="4"), None) == {FAILURES: "3", IGNORED: "4"}


def test_the_pause_grows_with_each_attempt() -> None:
    assert perindex.remaining(None, NOW) == 0
    assert [perindex.remaining(failed(failures=str(number)), NOW) for number in range(8)] == [
        10, 20, 40, 80, 160, 320, 600, 600,
    ]  # fmt: skip
    assert perindex.remaining(failed(failures="1", ignored="1", ago=15), NOW) == 25


def test_the_last_of_several_is_waited_for() -> None:
    first, second, other = failed(0, "0", ago=20), failed(0, "1", ago=5), failed(3, "0")
    for pods in ([first, second, other], [other, second, first]):
        assert perindex.awaiting(pods, {3}, NOW) == {0: second}


async def test_each_index_has_its_own_pause_and_its_own_limit(kube: Kube) -> None:
    await kube.create(JOBS, indexed(3, backoffLimitPerIndex=1))
    assert status(kube)["failedIndexes"] == ""
    assert [annotations_of(of_index(kube, index))[FAILURES] for index in range(3)] == ["0", "0", "0"]
    first = of_index(kube, 1)
    await end(kube, first, 1)
    assert is_tracked(kube.get(PODS, name_of(first)))  # until its successor knows
    assert "failed" not in status(kube)
    await kube.advance(5)
    await end(kube, of_index(kube, 2), 1)
    await kube.advance(4)
    assert at_work(kube) == [0]
    await kube.advance(2)
    assert at_work(kube) == [0, 1]  # ten seconds after its failure; the other one waits still
    assert annotations_of(of_index(kube, 1))[FAILURES] == "1"
    assert not is_tracked(kube.get(PODS, name_of(first)))
    assert status(kube)["failed"] == 1
    await kube.advance(5)
    assert at_work(kube) == [0, 1, 2]
    await end(kube, of_index(kube, 1), 1)
    assert status(kube)["failedIndexes"] == "1"
    await kube.advance(600)
    assert at_work(kube) == [0, 2]
    await end(kube, of_index(kube, 0))
    await end(kube, of_index(kube, 2))
    assert conditions(kube) == [("FailureTarget", "FailedIndexes"), ("Failed", "FailedIndexes")]
    assert message(kube) == "Job has failed indexes"
    assert (status(kube)["completedIndexes"], status(kube)["failedIndexes"]) == ("0,2", "1")
    assert (status(kube)["succeeded"], status(kube)["failed"]) == (2, 3)
    assert kube.events("FailedIndexes") == ["Job has failed indexes"]
    assert not any(is_tracked(pod) for pod in kube.pods())


async def test_too_many_failed_indexes(kube: Kube) -> None:
    await kube.create(JOBS, indexed(5, backoffLimitPerIndex=0, maxFailedIndexes=1))
    await end(kube, of_index(kube, 3), 1)
    assert (conditions(kube), at_work(kube)) == ([], [0, 1, 2, 4])
    await end(kube, of_index(kube, 0), 1)
    assert conditions(kube)[-1] == ("Failed", "MaxFailedIndexesExceeded")
    assert message(kube) == "Job has exceeded the specified maximal number of failed indexes"
    assert status(kube)["failedIndexes"] == "0,3"
    assert at_work(kube) == []


async def test_fail_index_spares_the_attempts(kube: Kube) -> None:
    policy = {"rules": [on_condition("Ignore"), on_exit_codes("FailIndex", 42)]}
    await kube.create(JOBS, indexed(2, backoffLimitPerIndex=3, podFailurePolicy=policy))
    await end(kube, of_index(kube, 0), 42)
    assert (status(kube)["failedIndexes"], status(kube)["failed"]) == ("0", 1)
    await end(kube, of_index(kube, 1), 137, told=[DISRUPTED])
    await kube.advance(11)
    assert at_work(kube) == [1]
    after = annotations_of(of_index(kube, 1))
    assert (after[FAILURES], after[IGNORED]) == ("0", "1")
    assert status(kube)["failed"] == 1
    await end(kube, of_index(kube, 1), 1)
    await kube.advance(19)
    assert at_work(kube) == []  # the second attempt that failed, whether it counts or not
    await kube.advance(2)
    after = annotations_of(of_index(kube, 1))
    assert (after[FAILURES], after[IGNORED]) == ("1", "1")


async def test_a_restarted_controller_knows_what_was(kube: Kube) -> None:
    await kube.create(JOBS, indexed(2, backoffLimitPerIndex=2))
    await end(kube, of_index(kube, 1), 1)
    await kube.manager.stop()
    kube.manager.start()
    await kube.advance(9)
    assert at_work(kube) == [0]
    await kube.advance(2)
    assert annotations_of(of_index(kube, 1))[FAILURES] == "1"


async def test_a_job_that_is_deleted_waits_for_no_successor(kube: Kube) -> None:
    await kube.create(JOBS, indexed(1, backoffLimitPerIndex=2))
    pod = of_index(kube, 0)
    await end(kube, pod, 1)
    assert is_tracked(kube.get(PODS, name_of(pod)))
    await kube.delete(JOBS, "pi", propagation="Foreground")
    await kube.settle()
    assert not is_tracked(kube.get(PODS, name_of(pod)))


async def test_a_suspended_job_keeps_the_numbers(kube: Kube) -> None:
    await kube.create(JOBS, indexed(2, backoffLimitPerIndex=2))
    await end(kube, of_index(kube, 1), 1)
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(suspend=True))
    await kube.advance(60)
    assert at_work(kube) == []
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(suspend=False))
    await kube.advance(1)
    assert [annotations_of(of_index(kube, index))[FAILURES] for index in range(2)] == ["0", "1"]


async def test_only_what_has_ended_is_replaced(kube: Kube) -> None:
    await kube.create(JOBS, indexed(3, 2, podReplacementPolicy="Failed"))
    kube.kubelet.grace = 30
    await kube.delete(PODS, name_of(of_index(kube, 0)))
    assert at_work(kube) == [1]
    await kube.edit(JOBS, "pi", lambda obj: obj["spec"].update(parallelism=3))
    assert at_work(kube) == [1, 2]  # index 0 is not free yet
    await kube.advance(50)
    assert at_work(kube) == [0, 1, 2]

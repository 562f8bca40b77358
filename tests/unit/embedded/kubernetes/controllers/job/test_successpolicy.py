"""Jobs that have succeeded before all their indexes have (``successPolicy``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.kube import Kube

from labkit.embedded.kubernetes.controllers.job import JobController, successpolicy
from labkit.embedded.kubernetes.controllers.job.spec import is_tracked
from labkit.embedded.kubernetes.objects import Json
from tests.unit.embedded.kubernetes.controllers.job.jobstage import (
    JOBS,
    active,
    conditions,
    end,
    indexed,
    message,
    of_index,
    status,
)


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with Kube(JobController) as kube:
        yield kube


def rule(indexes: str | None = None, count: int | None = None) -> Json:
    return {
        **({} if indexes is None else {"succeededIndexes": indexes}),
        **({} if count is None else {"succeededCount": count}),
    }


def policy(*rules: Json) -> Any:
    return {"rules": list(rules)}


@pytest.mark.parametrize(
    ("rules", "done", "met"),
    [
        ([rule("0,2-3")], {0, 2, 3, 7}, 0),
        ([rule("0,2-3")], {0, 2, 7}, None),
        ([rule(count=2)], {4, 5}, 0),
        ([rule(count=3)], {4, 5}, None),
        ([rule("0,2-3", 2)], {2, 3}, 0),
        ([rule("0,2-3", 2)], {3, 4, 5}, None),
        ([rule("1"), rule(count=1)], {0}, 1),
        ([rule("20")], {0}, None),  # beyond the end
        ([rule(count=0)], set(), None),  # nothing is no success
        ([rule(count=0)], {1}, 0),
    ],
)
def test_rules(rules: list[Json], done: set[int], met: int | None) -> None:
    found = successpolicy.met(indexed(10, successPolicy=policy(*rules)), done)
    assert found == (None if met is None else f"Matched rules at index {met}")


def test_without_a_policy_nothing_is_met() -> None:
    assert successpolicy.met(indexed(3), {0, 1, 2}) is None


async def test_the_leader_has_succeeded_and_the_others_are_ended(kube: Kube) -> None:
    kube.kubelet.grace = 30
    await kube.create(JOBS, indexed(4, 3, successPolicy=policy(rule("0"), rule(count=3))))
    await end(kube, of_index(kube, 1))
    assert conditions(kube) == []
    assert len(active(kube)) == 3
    await end(kube, of_index(kube, 0))
    assert conditions(kube) == [("SuccessCriteriaMet", "SuccessPolicy")]
    assert (status(kube)["terminating"], active(kube)) == (2, [])
    assert "completionTime" not in status(kube)
    await kube.advance(31)
    assert conditions(kube) == [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]
    assert message(kube) == "Matched rules at index 0"
    assert (status(kube)["completedIndexes"], status(kube)["succeeded"], status(kube)["terminating"]) == ("0,1", 2, 0)
    assert "failed" not in status(kube)  # who was ended has not failed
    assert status(kube)["completionTime"]
    assert kube.events("Completed") == ["Job completed"]
    assert not any(is_tracked(pod) for pod in kube.pods())


async def test_what_failed_before_has_failed(kube: Kube) -> None:
    await kube.create(JOBS, indexed(3, successPolicy=policy(rule(count=1))))
    await end(kube, of_index(kube, 2), 1)
    await end(kube, of_index(kube, 1))
    assert conditions(kube)[-1] == ("Complete", "SuccessPolicy")
    assert (status(kube)["succeeded"], status(kube)["failed"]) == (1, 1)


async def test_a_job_that_fails_first_has_failed(kube: Kube) -> None:
    kube.kubelet.grace = 30
    await kube.create(JOBS, indexed(2, backoffLimit=0, successPolicy=policy(rule("0"))))
    await end(kube, of_index(kube, 1), 1)
    assert conditions(kube) == [("FailureTarget", "BackoffLimitExceeded")]
    await kube.advance(31)
    assert conditions(kube)[-1] == ("Failed", "BackoffLimitExceeded")

"""Which pods count, which are let go, and what the status says of it."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes.controllers.job import tracking
from labkit.embedded.kubernetes.controllers.job.counting import Tally, close, tally
from labkit.embedded.kubernetes.controllers.job.failurepolicy import fatal
from labkit.embedded.kubernetes.controllers.job.indexes import INDEX
from labkit.embedded.kubernetes.controllers.job.perindex import FAILURES
from labkit.embedded.kubernetes.controllers.job.spec import FINALIZER
from labkit.embedded.kubernetes.objects import Json, uid_of
from tests.unit.embedded.kubernetes.controllers.job.jobstage import ended, on_exit_codes

NOW = 1_750_000_000.0
IGNORES_7 = {"rules": [on_exit_codes("Ignore", 7), on_exit_codes("FailJob", 9)]}


def pod(name: str, phase: str = "Running", *, index: int | None = None, code: int = 0, going: bool = False) -> Json:
    metadata: Json = {"name": name, "namespace": "ns", "uid": name, "finalizers": [FINALIZER]}
    if index is not None:
        metadata["annotations"] = {INDEX: str(index), FAILURES: "0"}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": [ended("c", code)] if code else []}}


def job(status: Json | None = None, **spec: Any) -> Json:
    return {
        "metadata": {"name": "pi"},
        "spec": {"podReplacementPolicy": "TerminatingOrFailed", **spec},
        "status": status or {},
    }


def per_index(**spec: Any) -> Json:
    return job(completionMode="Indexed", completions=3, backoffLimitPerIndex=1, **spec)


def names(pods: list[Json]) -> str:
    return "".join(uid_of(one) for one in pods)


def counted(found: Tally) -> tuple[str, str, str]:
    """Who counts now, who is let go, whom a successor is to follow."""
    return names(found.to_count), names(found.settled), names(list(found.awaiting.values()))


def test_whoever_ended_counts_and_goes() -> None:
    found = tally(job(), [pod("a"), pod("b", "Succeeded"), pod("c", "Failed"), pod("d", going=True)], NOW)
    assert counted(found) == ("cd", "bcd", "")
    assert (found.succeeded, found.failed, found.terminating, names(found.active)) == (1, 2, 1, "a")


def test_who_is_only_going_has_not_failed_when_that_is_what_the_job_says() -> None:
    found = tally(job(podReplacementPolicy="Failed"), [pod("c", "Failed", going=True), pod("d", going=True)], NOW)
    assert counted(found) == ("c", "c", "")
    assert (found.failed, found.terminating) == (1, 1)


def test_what_is_ignored_goes_and_does_not_count() -> None:
    found = tally(job(podFailurePolicy=IGNORES_7), [pod("a", "Failed", code=7), pod("b", "Failed", code=1)], NOW)
    assert counted(found) == ("b", "ab", "")
    assert (found.failed, names(found.new_failed)) == (1, "ab")


def test_who_stands_in_the_status_is_not_counted_again() -> None:
    status = {"succeeded": 2, "failed": 3, "uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["b", "c"]}}
    pods = [pod("a", "Succeeded"), pod("b", "Failed"), pod("c", "Succeeded", going=True)]
    found = tally(job(status), pods, NOW)
    assert counted(found) == ("", "abc", "")
    assert (found.succeeded, found.failed, found.new_succeeded) == (3, 5, [])


def test_an_index_that_is_tried_again_holds_its_pod_back() -> None:
    pods = [pod("a", "Failed", index=0), pod("b", "Failed", index=1), pod("c", index=1), pod("d", "Succeeded", index=2)]
    found = tally(per_index(), pods, NOW)
    assert counted(found) == ("b", "bd", "a")
    assert (found.failed, found.done, found.failed_indexes) == (2, {2}, set())


def test_pods_of_no_index_go_and_count_for_nobody() -> None:
    pods = [pod("a", "Failed"), pod("b", "Failed", index=3), pod("c", "Succeeded", index=3)]
    found = tally(per_index(), pods, NOW)
    assert counted(found) == ("", "abc", "")
    assert (found.succeeded, found.failed) == (0, 0)
    close(per_index(), found, pods, well=False)
    assert counted(found)[:2] == ("", "abc")


@pytest.mark.parametrize(("well", "to_count"), [(True, "a"), (False, "ac")])
def test_at_the_end_all_go_and_only_a_job_that_failed_counts_those_it_ended(well: bool, to_count: str) -> None:
    status = {"uncountedTerminatedPods": {"failed": ["e"]}}
    pods = [
        pod("a", "Failed", index=0),
        pod("b", "Succeeded", index=1),
        pod("c", index=2),
        pod("d", "Failed", index=2, code=7),
        pod("e", "Failed", index=2),
    ]
    obj = {**per_index(podFailurePolicy=IGNORES_7), "status": status}
    found = tally(obj, pods, NOW)
    assert counted(found)[2] == "a"
    close(obj, found, pods, well=well)
    assert counted(found)[:2] == (to_count, "abcde")


def test_only_who_has_failed_fails_the_job() -> None:
    obj = job(podFailurePolicy=IGNORES_7, podReplacementPolicy="Failed")
    assert fatal(obj, [pod("a", code=9), pod("b", code=9, going=True)]) is None  # another container may still run
    assert fatal(obj, [pod("a", "Failed", code=7)]) is None
    assert fatal(obj, [pod("a"), pod("b", "Failed", code=9)]) == (
        "Container c for pod ns/b failed with exit code 9 matching FailJob rule at index 1"
    )


def test_an_indexed_job_that_shrinks_forgets_what_is_beyond_its_end() -> None:
    status = {"succeeded": 1, "completedIndexes": "4", "failedIndexes": "5"}
    found = tally({**per_index(), "status": status}, [], NOW)
    assert tracking.noted(status, found, indexed=True) == {"failedIndexes": "", "uncountedTerminatedPods": {}}

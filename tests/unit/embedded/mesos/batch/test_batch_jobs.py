"""Jobs: stages, attempts, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.mesos.batch.jobs import MAX_ATTEMPTS, Attempt, Job, JobError, parse


def take(job: Job) -> Attempt:
    attempt = job.waiting.popleft()
    job.launched(attempt, "S0")
    return attempt


def test_reduces_wait_for_all_maps() -> None:
    job = Job.new(1, parse({"maps": 2, "reduces": 1}), 0.0)
    first, second = take(job), take(job)
    assert (first.task_id, second.task_id) == ("attempt_0001_m_000000_0", "attempt_0001_m_000001_0")
    assert job.ended(first, True, 1.0)
    assert not job.waiting
    assert job.ended(second, True, 2.0)
    assert not job.ended(second, True, 2.0)  # an update that comes twice
    reduce = take(job)
    assert reduce.task_id == "attempt_0001_r_000000_0"
    job.ended(reduce, True, 3.0)
    assert (job.state, job.finished) == ("SUCCEEDED", 3.0)


def test_a_task_is_tried_again_and_then_its_job_has_failed() -> None:
    job = Job.new(1, parse({"maps": 1}), 0.0)
    for number in range(MAX_ATTEMPTS):
        attempt = take(job)
        assert attempt.attempt == number
        job.ended(attempt, False, 1.0)
    assert (job.state, job.failures) == ("FAILED", MAX_ATTEMPTS)


def test_a_lost_task_is_no_failure() -> None:
    job = Job.new(1, parse({"maps": 1}), 0.0)
    job.lost(take(job))
    assert (job.failures, take(job).attempt) == (0, 1)


def test_it_comes_back_as_it_was_written() -> None:
    job = Job.new(7, parse({"maps": 3, "name": "count"}), 5.0)
    take(job)
    again = Job.of(job.row())
    assert again.shown() == job.shown()
    assert again.waiting == job.waiting


@pytest.mark.parametrize(
    "body", [[], {"maps": 0}, {"maps": "3"}, {"maps": True}, {"colour": 1}, {"name": ""}, {"cpus": -1}, {"maps": 1.5}]
)
def test_what_is_no_job(body: Any) -> None:
    with pytest.raises(JobError):
        parse(body)


def test_tasks_may_take_different_times() -> None:
    steady, uneven = parse({"seconds": 12}), parse({"seconds": 12, "spread": 0.5})
    attempts = [Attempt(1, "map", number) for number in range(100)]
    assert {steady.seconds_of(each) for each in attempts} == {12}
    times = [uneven.seconds_of(each) for each in attempts]
    assert 6 <= min(times) < 6.2
    assert 17.8 < max(times) <= 18
    assert sum(times) / len(times) == pytest.approx(12, rel=0.02)
    assert uneven.seconds_of(Attempt(1, "map", 7, 2)) == times[7]


def test_only_its_own_tasks() -> None:
    assert Attempt.of("web.1234") is None
    assert Attempt.of("attempt_x_m_1_0") is None
    assert Attempt.of("attempt_0012_r_000003_1") == Attempt(12, "reduce", 3, 1)

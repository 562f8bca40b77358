"""What a Job needs next. Pure; ``syncJob`` and ``manageJob`` in ``job_controller.go``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.job import indexes
from labkit.embedded.kubernetes.controllers.replicaset.ordering import to_delete
from labkit.embedded.kubernetes.objects import (
    Json,
    condition_of,
    is_pod_active,
    is_pod_ready,
    is_terminating,
    status_of,
    uid_of,
)

FINALIZER = "batch.kubernetes.io/job-tracking"
BURST = 500

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCESS_CRITERIA_MET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the Job ends: well or not, and why."""

    succeeded: bool
    reason: str
    message: str

    @property
    def interim(self) -> str:
        """The condition that says so while its last pods still run."""
        return SUCCESS_CRITERIA_MET if self.succeeded else FAILURE_TARGET

    @property
    def final(self) -> str:
        return COMPLETE if self.succeeded else FAILED


COMPLETED = Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")
TOO_OFTEN = Verdict(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
TOO_LONG = Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline")


def is_finished(job: Json) -> bool:
    return any(
        one["type"] in (COMPLETE, FAILED) and one["status"] == "True" for one in status_of(job).get("conditions") or ()
    )


def is_suspended(job: Json) -> bool:
    return bool(job["spec"].get("suspend"))


def is_indexed(job: Json) -> bool:
    return job["spec"].get("completionMode") == "Indexed"


def parallelism_of(job: Json) -> int:
    return int(job["spec"].get("parallelism", 1))


def completions_of(job: Json) -> int | None:
    """How many must succeed; None: one is enough, and then no more are started (a work queue)."""
    found = job["spec"].get("completions")
    return None if found is None else int(found)


def is_tracked(pod: Json) -> bool:
    """Whether it has not been counted for good yet."""
    return FINALIZER in pod["metadata"].get("finalizers", ())


@dataclass(slots=True)
class Tally:
    """The pods of a Job and what its status knows already."""

    active: list[Json] = field(default_factory=list)
    ready: int = 0
    terminating: int = 0
    new_succeeded: list[Json] = field(default_factory=list)  # not in the status yet
    new_failed: list[Json] = field(default_factory=list)
    succeeded: int = 0  # all that ever did
    failed: int = 0
    done: set[int] = field(default_factory=set)  # the indexes of an Indexed Job that have succeeded


def tally(job: Json, pods: Iterable[Json]) -> Tally:
    """Count them."""
    result, status = Tally(), status_of(job)
    uncounted = status.get("uncountedTerminatedPods") or {}
    known_good, known_bad = set(uncounted.get("succeeded") or ()), set(uncounted.get("failed") or ())
    only_failed = job["spec"].get("podReplacementPolicy") == "Failed"
    completions = completions_of(job) or 0
    indexed = is_indexed(job)
    if indexed:
        result.done = indexes.parse(status.get("completedIndexes", ""), completions)
    for pod in pods:
        phase, uid = status_of(pod).get("phase"), uid_of(pod)
        if is_pod_active(pod):
            result.active.append(pod)
            result.ready += is_pod_ready(pod)
        elif is_terminating(pod) and phase not in ("Succeeded", "Failed"):
            result.terminating += 1
        if not is_tracked(pod):
            continue
        if phase == "Succeeded":
            if indexed:
                index = indexes.index_of(pod)
                if 0 <= index < completions:
                    result.done.add(index)
                    result.new_succeeded.append(pod)
            elif uid not in known_good:
                result.new_succeeded.append(pod)
        # One that somebody deleted counts as failed at once: it may never get to say so.
        elif (phase == "Failed" or (is_terminating(pod) and not only_failed)) and uid not in known_bad:
            result.new_failed.append(pod)
    result.failed = status.get("failed", 0) + len(known_bad) + len(result.new_failed)
    if indexed:
        result.succeeded = len(result.done)
    else:
        result.succeeded = status.get("succeeded", 0) + len(known_good) + len(result.new_succeeded)
    return result


def verdict(job: Json, counted: Tally, restarted_too_often: bool, now: float) -> Verdict | None:
    """Whether it is over, though perhaps not all its pods are."""
    for kind, succeeded in ((FAILURE_TARGET, False), (SUCCESS_CRITERIA_MET, True)):
        found = condition_of(job, kind)
        if found is not None and found["status"] == "True":
            return Verdict(succeeded, found.get("reason", ""), found.get("message", ""))
    if counted.failed > job["spec"].get("backoffLimit", 6) or restarted_too_often:
        return TOO_OFTEN
    left = deadline_in(job, now)
    if left is not None and left <= 0:
        return TOO_LONG
    return None


def deadline_in(job: Json, now: float) -> float | None:
    """Seconds until ``activeDeadlineSeconds`` are over; None when nothing runs out."""
    limit, start = job["spec"].get("activeDeadlineSeconds"), status_of(job).get("startTime")
    if limit is None or start is None or is_suspended(job):
        return None
    return float(times.parse(start) + limit - now)


def is_complete(job: Json, counted: Tally, active: int) -> bool:
    """Whether enough have succeeded and nobody works any more."""
    if active:
        return False
    completions = completions_of(job)
    return counted.succeeded > 0 if completions is None else counted.succeeded >= completions


@dataclass(slots=True)
class Step:
    """Which pods go, how many come, and for which indexes."""

    delete: list[Json] = field(default_factory=list)
    create: int = 0
    indexes: list[int] = field(default_factory=list)


def step(job: Json, counted: Tally, now: float) -> Step:
    """What is missing, and what is too much."""
    active = counted.active
    if is_suspended(job):
        return Step(delete=active[:BURST])
    completions, parallelism = completions_of(job), parallelism_of(job)
    if completions is None:  # after the first success nobody is started any more
        wanted = len(active) if counted.succeeded else parallelism
    else:
        wanted = max(0, min(completions - counted.succeeded, parallelism))
    doomed = _doomed(job, counted, len(active) - wanted, now)[:BURST]
    if len(active) > wanted:
        return Step(delete=doomed)
    going = counted.terminating if job["spec"].get("podReplacementPolicy") == "Failed" else 0
    missing = min(BURST, wanted - going - (len(active) - len(doomed)))
    result = Step(delete=doomed, create=max(0, missing))
    if is_indexed(job) and completions is not None:
        gone = {uid_of(pod) for pod in doomed}
        taken = counted.done | {indexes.index_of(pod) for pod in active if uid_of(pod) not in gone}
        result.indexes = indexes.first_pending(result.create, completions, taken)
        result.create = len(result.indexes)
    return result


def _doomed(job: Json, counted: Tally, at_least: int, now: float) -> list[Json]:
    wrong: list[Json] = []
    right: Sequence[Json] = counted.active
    if is_indexed(job):
        wrong, right = indexes.doubled(counted.active, completions_of(job) or 0, counted.done)
    more = at_least - len(wrong)
    return [*wrong, *to_delete(list(right), more, (), now)] if more > 0 else wrong


def condition(kind: str, status: str, reason: str, message: str, now: float) -> Json:
    at = times.rfc3339(now)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }


def with_suspension(conditions: Sequence[Json], suspended: bool, now: float) -> list[Json] | None:
    """The conditions after it was suspended or resumed; None when there is nothing to say."""
    for index, one in enumerate(conditions):
        if one["type"] == SUSPENDED:
            if (one["status"] == "True") == suspended:
                return None
            changed = list(conditions)
            changed[index] = _suspension(suspended, now)
            return changed
    return [*conditions, _suspension(True, now)] if suspended else None


def _suspension(suspended: bool, now: float) -> Json:
    if suspended:
        return condition(SUSPENDED, "True", "JobSuspended", "Job suspended", now)
    return condition(SUSPENDED, "False", "JobResumed", "Job resumed", now)


def numbers(status: Mapping[str, Any], counted: Tally, active: int) -> Json:
    """The status with the numbers of pods that are there."""
    result = dict(status)
    result.pop("active", None)
    if active:
        result["active"] = active
    result["ready"] = counted.ready
    result["terminating"] = counted.terminating
    return result

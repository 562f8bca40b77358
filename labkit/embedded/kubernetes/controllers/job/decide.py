"""What a Job needs next. Pure; ``syncJob`` and ``manageJob`` in ``job_controller.go``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.job import failurepolicy, indexes, perindex, successpolicy
from labkit.embedded.kubernetes.controllers.job.counting import Tally
from labkit.embedded.kubernetes.controllers.job.spec import (
    COMPLETE,
    FAILED,
    FAILURE_TARGET,
    SUCCESS_CRITERIA_MET,
    SUSPENDED,
    completions_of,
    is_indexed,
    is_suspended,
    parallelism_of,
    replaces_only_ended,
)
from labkit.embedded.kubernetes.controllers.replicaset.ordering import to_delete
from labkit.embedded.kubernetes.objects import Json, condition_of, status_of, uid_of

BURST = 500


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
TOO_MANY_INDEXES = Verdict(
    False, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
)
INDEXES_FAILED = Verdict(False, "FailedIndexes", "Job has failed indexes")


def verdict(job: Json, pods: Iterable[Json], counted: Tally, restarted_too_often: bool, now: float) -> Verdict | None:
    """Whether it is over, though perhaps not all its pods are."""
    for kind, succeeded in ((SUCCESS_CRITERIA_MET, True), (FAILURE_TARGET, False)):
        found = condition_of(job, kind)
        if found is not None and found["status"] == "True":
            return Verdict(succeeded, found.get("reason", ""), found.get("message", ""))
    if (message := failurepolicy.fatal(job, pods)) is not None:
        return Verdict(False, "PodFailurePolicy", message)
    if counted.failed > job["spec"].get("backoffLimit", 6) or restarted_too_often:
        return TOO_OFTEN
    left = deadline_in(job, now)
    if left is not None and left <= 0:
        return TOO_LONG
    if counted.failed_indexes:
        most = job["spec"].get("maxFailedIndexes")
        if most is not None and len(counted.failed_indexes) > most:
            return TOO_MANY_INDEXES
        if len(counted.failed_indexes) + len(counted.done) >= (completions_of(job) or 0):
            return INDEXES_FAILED
    if (message := successpolicy.met(job, counted.done)) is not None:
        return Verdict(True, "SuccessPolicy", message)
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
    pause: float = 0.0  # seconds until any of the indexes that are missing may be tried again


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
    only_ended = replaces_only_ended(job)
    going = counted.terminating if only_ended else 0
    missing = min(BURST, wanted - going - (len(active) - len(doomed)))
    result = Step(delete=doomed, create=max(0, missing))
    if is_indexed(job) and completions is not None:
        gone = {uid_of(pod) for pod in doomed}
        taken = counted.done | {indexes.index_of(pod) for pod in active if uid_of(pod) not in gone}
        taken |= counted.failed_indexes or set()
        if only_ended:
            taken |= counted.leaving
        result.indexes = indexes.first_pending(result.create, completions, taken)
        if counted.awaiting:
            pauses = {index: perindex.remaining(counted.awaiting.get(index), now) for index in result.indexes}
            result.indexes = [index for index, pause in pauses.items() if not pause]
            result.pause = 0.0 if result.indexes else min(pauses.values(), default=0.0)
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

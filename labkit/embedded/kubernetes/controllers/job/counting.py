"""The pods of a Job, counted: who works, who has ended how, and what of that its status knows already. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.controllers.job import failurepolicy, indexes, perindex
from labkit.embedded.kubernetes.controllers.job.spec import (
    completions_of,
    failure_policy,
    has_failed,
    is_indexed,
    is_tracked,
    limit_per_index,
    replaces_only_ended,
)
from labkit.embedded.kubernetes.objects import Json, is_pod_active, is_pod_ready, is_terminating, status_of, uid_of


@dataclass(slots=True)
class Tally:
    """The pods of a Job and what its status knows already."""

    active: list[Json] = field(default_factory=list)
    ready: int = 0
    terminating: int = 0
    leaving: set[int] = field(default_factory=set)  # the indexes of those that are terminating

    new_succeeded: list[Json] = field(default_factory=list)  # not in the status yet
    new_failed: list[Json] = field(default_factory=list)  # those, too, that a policy ignores
    to_count: list[Json] = field(default_factory=list)  # which of them go into the status now
    settled: list[Json] = field(default_factory=list)  # their finalizer may go as soon as the status is stored

    succeeded: int = 0  # all that ever did
    failed: int = 0  # all that ever did, and count
    done: set[int] = field(default_factory=set)  # the indexes of an Indexed Job that have succeeded
    failed_indexes: set[int] | None = None  # those that are given up; None: no index has a limit of its own
    awaiting: dict[int, Json] = field(default_factory=dict)  # the failed pods whose numbers a successor takes over


def tally(job: Json, pods: Iterable[Json], now: float) -> Tally:
    """Count them."""
    result, status = Tally(), status_of(job)
    uncounted = status.get("uncountedTerminatedPods") or {}
    known_good, known_bad = set(uncounted.get("succeeded") or ()), set(uncounted.get("failed") or ())
    only_ended, indexed = replaces_only_ended(job), is_indexed(job)
    completions = completions_of(job) or 0
    failed: list[Json] = []

    def counts(pod: Json) -> bool:
        """A pod of no index, or of one that there is no more, counts for nobody."""
        return not indexed or 0 <= indexes.index_of(pod) < completions

    if indexed:
        result.done = indexes.parse(status.get("completedIndexes", ""), completions)
    for pod in pods:
        phase, uid = status_of(pod).get("phase"), uid_of(pod)
        if is_pod_active(pod):
            result.active.append(pod)
            result.ready += is_pod_ready(pod)
        elif is_terminating(pod) and phase not in ("Succeeded", "Failed"):
            result.terminating += 1
            if indexed:
                result.leaving.add(indexes.index_of(pod))
        if not is_tracked(pod):
            continue
        if phase == "Succeeded":
            result.settled.append(pod)
            if counts(pod):
                if indexed:
                    result.done.add(indexes.index_of(pod))
                if uid not in known_good and uid not in known_bad:
                    result.new_succeeded.append(pod)
        elif has_failed(pod, only_ended):
            result.settled.append(pod)
            if counts(pod):
                failed.append(pod)
    _judge(job, result, failed, known_bad, now)
    if indexed:
        result.succeeded = len(result.done)
    else:
        result.succeeded = status.get("succeeded", 0) + len(known_good) + len(result.new_succeeded)
    return result


def _judge(job: Json, result: Tally, failed: list[Json], known: set[str], now: float) -> None:
    """What the failures mean: which count, which end an index, which are waited for by a successor."""
    policy, limit = failure_policy(job), limit_per_index(job)
    result.new_failed = [pod for pod in failed if uid_of(pod) not in known]
    held: set[str] = set()
    if limit is not None:
        given_up = indexes.parse(status_of(job).get("failedIndexes") or "", completions_of(job) or 0)
        given_up |= {indexes.index_of(pod) for pod in failed if perindex.is_used_up(pod, limit, policy)}
        result.failed_indexes = given_up
        at_work = {indexes.index_of(pod) for pod in result.active}
        result.awaiting = perindex.awaiting(failed, result.done | given_up | at_work, now)
        held = {uid_of(pod) for pod in result.awaiting.values()}
        result.settled = [pod for pod in result.settled if uid_of(pod) not in held]
    counting = [pod for pod in result.new_failed if failurepolicy.counts(policy, pod)]
    result.failed = status_of(job).get("failed", 0) + len(known) + len(counting)
    result.to_count = [pod for pod in counting if uid_of(pod) not in held] if held else counting


def close(job: Json, counted: Tally, pods: Iterable[Json], *, well: bool) -> None:
    """The Job is over: nobody waits for a successor, and if it has failed whoever has not succeeded has failed, too."""
    policy, only_ended, indexed = failure_policy(job), replaces_only_ended(job), is_indexed(job)
    completions = completions_of(job) or 0
    known = (status_of(job).get("uncountedTerminatedPods") or {}).get("failed") or ()
    counted.settled = [pod for pod in pods if is_tracked(pod)]
    counted.to_count = [
        pod
        for pod in counted.settled
        if status_of(pod).get("phase") != "Succeeded"
        and (not well or has_failed(pod, only_ended))
        and uid_of(pod) not in known
        and (not indexed or 0 <= indexes.index_of(pod) < completions)
        and failurepolicy.counts(policy, pod)
    ]

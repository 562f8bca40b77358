"""Each index of a Job with its own back-off limit (``backoffLimitPerIndex``). Pure; ``indexed_job_utils.go``.

How often an index has failed stands on its pods: each carries what was before it. So a failed pod is kept, by its
finalizer, until its successor is there and has taken the number over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from labkit.embedded.kubernetes.controllers.job import failurepolicy
from labkit.embedded.kubernetes.controllers.job.backoff import Backoff, ended_at
from labkit.embedded.kubernetes.controllers.job.indexes import index_of
from labkit.embedded.kubernetes.objects import Json, annotations_of

FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
_MOST = 2**31 - 1


def failures_before(pod: Json) -> int:
    """How many failures of its index counted before it."""
    return _number(pod, FAILURES)


def attempts_before(pod: Json) -> int:
    """How many pods of its index failed before it, those that did not count, too."""
    return _number(pod, FAILURES) + _number(pod, IGNORED)


def _number(pod: Json, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    found = int(text) if text.isascii() and text.isdigit() else 0
    return found if found <= _MOST else 0


def is_used_up(pod: Json, limit: int, policy: Json | None) -> bool:
    """Whether the failure of this pod was the last that its index might have."""
    found = failurepolicy.match(policy, pod)
    if found is not None and found.action == failurepolicy.FAIL_INDEX:
        return True
    return (found is None or found.action != failurepolicy.IGNORE) and failures_before(pod) >= limit


def awaiting(failed: Iterable[Json], settled: Collection[int], now: float) -> dict[int, Json]:
    """The last failed pod of each index that is to be tried again: ``settled`` ones are not, or are already."""
    last: dict[int, Json] = {}
    for pod in failed:
        index = index_of(pod)
        if index in settled:
            continue
        known = last.get(index)
        if known is None or (
            attempts_before(known) <= attempts_before(pod) and ended_at(known, now) <= ended_at(pod, now)
        ):
            last[index] = pod
    return last


def remaining(before: Json | None, now: float) -> float:
    """Seconds until the index may be tried again after that pod: 10, 20, 40, … 600 after its end."""
    if before is None:
        return 0.0
    return Backoff(attempts_before(before) + 1, ended_at(before, now)).remaining(now)


def numbers(before: Json | None, policy: Json | None) -> Mapping[str, str]:
    """The annotations of the pod that comes after that one."""
    if before is None:
        return {FAILURES: "0"}
    counted, ignored = failures_before(before), _number(before, IGNORED)
    if failurepolicy.counts(policy, before):
        counted += 1
    else:
        ignored += 1
    return {FAILURES: str(counted), **({IGNORED: str(ignored)} if ignored else {})}

"""Counting each pod of a Job once, whatever dies in between (``trackJobStatusAndRemoveFinalizers``).

A pod that has ended keeps the finalizer ``batch.kubernetes.io/job-tracking`` until its uid stands in the status, under
``uncountedTerminatedPods``; when the finalizer is gone the uid goes and the number grows. For an Indexed Job the index
in ``completedIndexes`` is proof enough for a success. These are the steps; writing them is the controller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.embedded.kubernetes.controllers.job import indexes
from labkit.embedded.kubernetes.controllers.job.counting import Tally
from labkit.embedded.kubernetes.controllers.job.spec import FINALIZER, is_tracked
from labkit.embedded.kubernetes.objects import Json, edited, uid_of


def noted(status: Mapping[str, Any], counted: Tally, *, indexed: bool) -> Json:
    """The status with all pods that ended written down."""
    result = dict(status)
    uncounted = status.get("uncountedTerminatedPods") or {}
    good, bad = list(uncounted.get("succeeded") or ()), list(uncounted.get("failed") or ())
    if indexed:
        result.pop("completedIndexes", None)
        result.pop("succeeded", None)
        if counted.done:
            result["completedIndexes"] = indexes.format(counted.done)
            result["succeeded"] = len(counted.done)
        if counted.failed_indexes is not None:
            result["failedIndexes"] = indexes.format(counted.failed_indexes)
    else:
        good += [uid_of(pod) for pod in counted.new_succeeded]
    bad += [uid_of(pod) for pod in counted.to_count]
    result["uncountedTerminatedPods"] = _uncounted(good, bad)
    return result


def _uncounted(good: list[str], bad: list[str]) -> Json:
    result: Json = {}
    if good:
        result["succeeded"] = good
    if bad:
        result["failed"] = bad
    return result


def released(pod: Json) -> Json | None:
    """The pod without the finalizer; None when it has none."""
    if not is_tracked(pod):
        return None
    copy = edited(pod)
    kept = [one for one in pod["metadata"]["finalizers"] if one != FINALIZER]
    if kept:
        copy["metadata"]["finalizers"] = kept
    else:
        copy["metadata"].pop("finalizers")
    return copy


def settled(status: Mapping[str, Any], tracked: Iterable[str]) -> Json:
    """The status with those counted for good whose finalizer is gone; ``tracked`` are the uids of those who have it."""
    uncounted = status.get("uncountedTerminatedPods") or {}
    still = set(tracked)
    good, bad = list(uncounted.get("succeeded") or ()), list(uncounted.get("failed") or ())
    kept_good, kept_bad = [uid for uid in good if uid in still], [uid for uid in bad if uid in still]
    result = dict(status)
    if more := len(good) - len(kept_good):
        result["succeeded"] = status.get("succeeded", 0) + more
    if more := len(bad) - len(kept_bad):
        result["failed"] = status.get("failed", 0) + more
    result["uncountedTerminatedPods"] = _uncounted(kept_good, kept_bad)
    return result

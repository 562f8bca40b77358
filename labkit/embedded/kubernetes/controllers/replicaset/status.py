"""The status of ReplicaSets and ReplicationControllers (``replica_set_utils.go``). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.pods import available_at, has_labels
from labkit.embedded.kubernetes.objects import Json, is_pod_finished, is_terminating, status_of

REPLICA_FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with the last step."""

    reason: str  # FailedCreate or FailedDelete
    message: str


@dataclass(slots=True)
class Count:
    """The pods, counted."""

    replicas: int = 0
    fully_labeled: int = 0
    ready: int = 0
    available: int = 0
    terminating: int = 0
    next_available: float | None = None  # when the next ready one becomes available


def count(owner: Json, pods: Iterable[Json], now: float) -> Count:
    """Count its pods: active ones by what they are, the terminating ones apart."""
    labels = (owner["spec"].get("template", {}).get("metadata") or {}).get("labels") or {}
    min_ready = owner["spec"].get("minReadySeconds", 0)
    result = Count()
    fits: Json | None = None  # labels that are known to be full: what one template made shares them
    for pod in pods:
        if is_pod_finished(pod):
            continue
        if is_terminating(pod):
            result.terminating += 1
            continue
        result.replicas += 1
        its_labels = pod["metadata"].get("labels")
        if (its_labels is fits and fits is not None) or has_labels(pod, labels):
            fits = its_labels
            result.fully_labeled += 1
        at = available_at(pod, min_ready)
        if at is None:
            continue
        result.ready += 1
        if at <= now:
            result.available += 1
        elif result.next_available is None or at < result.next_available:
            result.next_available = at
    return result


def status(owner: Json, counted: Count, failure: Failure | None, now: float, *, terminating: bool) -> Json:
    """The status it shall have. ``terminating``: its kind has ``terminatingReplicas``."""
    result: Json = {"replicas": counted.replicas}
    if counted.fully_labeled:
        result["fullyLabeledReplicas"] = counted.fully_labeled
    if counted.ready:
        result["readyReplicas"] = counted.ready
    if counted.available:
        result["availableReplicas"] = counted.available
    if terminating:
        result["terminatingReplicas"] = counted.terminating
    result["observedGeneration"] = owner["metadata"].get("generation", 0)
    conditions = _conditions(status_of(owner).get("conditions") or [], failure, now)
    if conditions:
        result["conditions"] = conditions
    return result


def _conditions(conditions: list[Json], failure: Failure | None, now: float) -> list[Json]:
    """A failure is told when it begins and taken away when it is over; a second one in between changes nothing."""
    there = any(one["type"] == REPLICA_FAILURE for one in conditions)
    if failure is None:
        return [one for one in conditions if one["type"] != REPLICA_FAILURE] if there else conditions
    if there:
        return conditions
    told = {
        "type": REPLICA_FAILURE,
        "status": "True",
        "lastTransitionTime": times.rfc3339(now),
        "reason": failure.reason,
        "message": failure.message,
    }
    return [*conditions, told]

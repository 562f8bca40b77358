"""The conditions of a Deployment, which ``kubectl rollout status`` and ``describe`` read. Pure.

``util/deployment_util.go`` and ``progress.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.objects import Json

AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"

NEW_CREATED = "NewReplicaSetCreated"
NEW_FOUND = "FoundNewReplicaSet"
NEW_AVAILABLE = "NewReplicaSetAvailable"
UPDATED = "ReplicaSetUpdated"
CREATE_ERROR = "ReplicaSetCreateError"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


def find(conditions: Iterable[Json], kind: str) -> Json | None:
    return next((one for one in conditions if one["type"] == kind), None)


def condition(kind: str, status: str, reason: str, message: str, now: float) -> Json:
    at = times.rfc3339(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }


def with_set(conditions: Sequence[Json], wanted: Json) -> list[Json]:
    """The conditions with ``wanted`` at the end; unchanged when status and reason are as they were."""
    current = find(conditions, wanted["type"])
    if current is not None:
        if current["status"] == wanted["status"] and current.get("reason") == wanted["reason"]:
            return list(conditions)
        if current["status"] == wanted["status"]:
            wanted = {**wanted, "lastTransitionTime": current.get("lastTransitionTime", wanted["lastTransitionTime"])}
    return [*without(conditions, wanted["type"]), wanted]


def without(conditions: Iterable[Json], kind: str) -> list[Json]:
    return [one for one in conditions if one["type"] != kind]


def of_pause(conditions: Sequence[Json], paused: bool, now: float) -> list[Json] | None:
    """The conditions after the Deployment was paused or resumed; None when nothing changes.

    A rollout that has timed out stays so. The clock of one that was paused begins anew when it is resumed.
    """
    current = find(conditions, PROGRESSING)
    reason = current.get("reason") if current is not None else None
    if reason == TIMED_OUT:
        return None
    if paused and reason != PAUSED:
        return with_set(conditions, condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now))
    if not paused and reason == PAUSED:
        return with_set(conditions, condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now))
    return None


def availability(conditions: Sequence[Json], enough: bool, now: float) -> list[Json]:
    """The conditions with Available as it is."""
    if enough:
        told = condition(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    else:
        message = "Deployment does not have minimum availability."
        told = condition(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)
    return with_set(conditions, told)


def failure(new: Json | None, others: Iterable[Json]) -> Json | None:
    """The ReplicaFailure of the newest ReplicaSet, else of any, as the Deployment's."""
    for one in [*([new] if new is not None else []), *others]:
        for found in (one.get("status") or {}).get("conditions") or ():
            if found["type"] == REPLICA_FAILURE:
                at = found.get("lastTransitionTime")
                return {
                    "type": REPLICA_FAILURE,
                    "status": found["status"],
                    "lastUpdateTime": at,
                    "lastTransitionTime": at,
                    "reason": found.get("reason", ""),
                    "message": found.get("message", ""),
                }
    return None

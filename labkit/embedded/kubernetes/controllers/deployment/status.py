"""The status of a Deployment: its numbers, and whether its rollout goes on. Pure.

``calculateStatus`` in ``sync.go``, ``syncRolloutStatus`` in ``progress.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.deployment import conditions as cond
from labkit.embedded.kubernetes.controllers.deployment.rolling import Limits, limits, most_unavailable
from labkit.embedded.kubernetes.objects import Json, name_of, status_of

# The API's "no deadline": spec.progressDeadlineSeconds of MaxInt32.
NO_DEADLINE = 2**31 - 1


def is_rolling(deployment: Json) -> bool:
    return (deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def limits_of(deployment: Json) -> Limits:
    """Its surge and unavailable as numbers; both 0 when it recreates."""
    if not is_rolling(deployment):
        return Limits(0, 0)
    fields = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    return limits(fields.get("maxSurge", "25%"), fields.get("maxUnavailable", "25%"), desired_of(deployment))


def desired_of(obj: Json) -> int:
    """Its spec.replicas."""
    return int(obj["spec"].get("replicas", 1))


def deadline_of(deployment: Json) -> int | None:
    """Seconds that a rollout may stand still; None for ever."""
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    return None if seconds is None or seconds == NO_DEADLINE else int(seconds)


def total(sets: Iterable[Json], field: str) -> int:
    return sum(status_of(one).get(field, 0) for one in sets)


def calculated(deployment: Json, new: Json | None, old: Sequence[Json], now: float) -> Json:
    """The numbers, and Available; the other conditions as they are."""
    sets = [*old, *([new] if new is not None else [])]
    status = status_of(deployment)
    available = total(sets, "availableReplicas")
    numbers = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total(sets, "replicas"),
        "updatedReplicas": 0 if new is None else total([new], "replicas"),
        "readyReplicas": total(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(desired_of(one) for one in sets) - available),
    }
    result: Json = {key: number for key, number in numbers.items() if number}
    result["terminatingReplicas"] = total(sets, "terminatingReplicas")
    if "collisionCount" in status:
        result["collisionCount"] = status["collisionCount"]
    desired = desired_of(deployment)
    missing = most_unavailable(desired, limits_of(deployment))
    result["conditions"] = cond.availability(status.get("conditions") or [], available >= desired - missing, now)
    return result


def is_complete(deployment: Json, status: Mapping[str, Any]) -> bool:
    """Whether all that is wanted is there, new and available, and nothing else."""
    desired = desired_of(deployment)
    return (
        status.get("updatedReplicas", 0) == desired
        and status.get("replicas", 0) == desired
        and status.get("availableReplicas", 0) == desired
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def makes_progress(before: Json, after: Json) -> bool:
    """Whether more is new, less is old, more is ready or more is available than before."""

    def old(status: Json) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    def more(field: str) -> bool:
        return bool(after.get(field, 0) > before.get(field, 0))

    return more("updatedReplicas") or old(after) < old(before) or more("readyReplicas") or more("availableReplicas")


def has_timed_out(deployment: Json, now: float) -> bool:
    """Whether nothing has moved for longer than the deadline."""
    current = cond.find(status_of(deployment).get("conditions") or (), cond.PROGRESSING)
    deadline = deadline_of(deployment)
    if current is None or deadline is None or current.get("reason") == cond.NEW_AVAILABLE:
        return False
    if current.get("reason") == cond.TIMED_OUT:
        return True
    return times.parse(current["lastUpdateTime"]) + deadline < now


def of_rollout(deployment: Json, new: Json | None, old: Sequence[Json], now: float) -> Json:
    """The status while it rolls out: the numbers and all conditions."""
    status = calculated(deployment, new, old, now)
    conditions = status["conditions"]
    before = status_of(deployment)
    current = cond.find(before.get("conditions") or (), cond.PROGRESSING)
    if deadline_of(deployment) is None:
        conditions = cond.without(conditions, cond.PROGRESSING)
    else:
        all_new = status.get("replicas", 0) == status.get("updatedReplicas", 0)
        done_before = all_new and current is not None and current.get("reason") == cond.NEW_AVAILABLE
        if not done_before:
            conditions = _progress(deployment, new, dict(before), {**status}, conditions, now)
    failed = cond.failure(new, old)
    if failed is not None:
        conditions = cond.with_set(conditions, failed)
    else:
        conditions = cond.without(conditions, cond.REPLICA_FAILURE)
    status["conditions"] = conditions
    return status


def _progress(
    deployment: Json, new: Json | None, before: Json, after: Json, conditions: Sequence[Json], now: float
) -> list[Json]:
    what = f'Deployment "{name_of(deployment)}"' if new is None else f'ReplicaSet "{name_of(new)}"'
    if is_complete(deployment, after):
        message = f"{what} has successfully progressed."
        return cond.with_set(conditions, cond.condition(cond.PROGRESSING, "True", cond.NEW_AVAILABLE, message, now))
    if makes_progress(before, after):
        told = cond.condition(cond.PROGRESSING, "True", cond.UPDATED, f"{what} is progressing.", now)
        current = cond.find(conditions, cond.PROGRESSING)
        if current is not None and current["status"] == "True":
            told["lastTransitionTime"] = current["lastTransitionTime"]
        # Not by with_set: the same reason again moves lastUpdateTime, from which the deadline counts.
        return [*cond.without(conditions, cond.PROGRESSING), told]
    if has_timed_out(deployment, now):
        message = f"{what} has timed out progressing."
        return cond.with_set(conditions, cond.condition(cond.PROGRESSING, "False", cond.TIMED_OUT, message, now))
    return list(conditions)


def check_again_in(deployment: Json, status: Json, now: float) -> float | None:
    """Seconds until somebody must look whether the rollout has timed out; None when there is no need."""
    current = cond.find(status_of(deployment).get("conditions") or (), cond.PROGRESSING)
    deadline = deadline_of(deployment)
    if deadline is None or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == cond.TIMED_OUT:
        return None
    # A second more than the deadline: times in objects have no fractions.
    return max(0.0, times.parse(current["lastUpdateTime"]) + deadline - now) + 1.0

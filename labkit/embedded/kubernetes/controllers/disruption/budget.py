"""What a budget's status shall say, from the pods that it selects (``pkg/controller/disruption``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.controllers.disruption.conditions import (
    DISRUPTION_ALLOWED,
    allowed_condition,
    failed_condition,
)
from labkit.embedded.kubernetes.objects import (
    Json,
    condition_of,
    controller_of,
    is_pod_finished,
    is_pod_ready,
    is_terminating,
    name_of,
    spec_of,
    status_of,
    with_condition,
)

DELETION_TIMEOUT = 120.0
"""Seconds for which an evicted pod counts as gone although nobody has deleted it yet."""

STALE_CONDITION_TIMEOUT = 120.0
"""Seconds after which a pod that was to be disrupted, and is not, no longer says so."""

ScaleOf = Callable[[Json], tuple[str, int] | None]
"""From a pod's controller reference to the uid and the wanted replicas of what scales it."""


class CannotReckon(Exception):
    """The number of pods that there should be is unknown. ``str()`` is what the condition says."""


@dataclass(frozen=True, slots=True)
class Expected:
    pods: int
    healthy: int
    unmanaged: tuple[str, ...] = ()  # pods without a controller, where one is needed to know how many there should be


def expected(budget: Json, pods: list[Json], scale_of: ScaleOf) -> Expected:
    """How many pods there should be, and how many of them healthy. Percentages are rounded up."""
    spec = spec_of(budget)
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
    if most is not None:
        count, unmanaged = _scale(pods, scale_of)
        return Expected(count, max(0, count - _portion(most, count)), unmanaged)
    if isinstance(least, str):
        count, unmanaged = _scale(pods, scale_of)
        return Expected(count, _portion(least, count), unmanaged)
    return Expected(len(pods) if least is not None else 0, least or 0)


def _portion(value: int | str, of: int) -> int:
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    if digits == value or not digits.isdigit():
        raise CannotReckon("invalid value for IntOrString: invalid type: string is not a percentage")
    return -(-int(digits) * of // 100)


def _scale(pods: list[Json], scale_of: ScaleOf) -> tuple[int, tuple[str, ...]]:
    """The replicas of all controllers of the pods, each controller counted once."""
    scales: dict[str, int] = {}
    seen: set[str] = set()  # the references that were resolved: 1,000 pods of a ReplicaSet have one
    unmanaged = []
    for pod in pods:
        reference = controller_of(pod)
        if reference is None:
            unmanaged.append(name_of(pod))
            continue
        if reference["uid"] in seen:
            continue
        found = scale_of(reference)
        if found is None:
            raise CannotReckon(f'found no controllers for pod "{name_of(pod)}"')
        seen.add(reference["uid"])
        scales[found[0]] = found[1]
    return sum(scales.values()), tuple(unmanaged)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What is known of a budget. ``status`` is None when what it has already says so."""

    status: Json | None
    recheck: float | None = None  # seconds until an evicted pod that is still there counts again
    not_deleted: tuple[Json, ...] = ()  # pods that were evicted and are still there


def reckon(budget: Json, pods: list[Json], wanted: Expected, now: float) -> Reckoning:
    """The status of the budget at ``now``."""
    old = status_of(budget)
    disrupted, recheck, not_deleted = _disrupted(old.get("disruptedPods") or {}, pods, now)
    healthy = sum(1 for pod in pods if is_pod_ready(pod) and not is_terminating(pod) and name_of(pod) not in disrupted)
    allowed = max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0
    generation = budget["metadata"].get("generation") or 0
    status: Json = {
        "currentHealthy": healthy,
        "desiredHealthy": wanted.healthy,
        "disruptionsAllowed": allowed,
        "expectedPods": wanted.pods,
        "observedGeneration": generation,
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    condition = condition_of(budget, DISRUPTION_ALLOWED)
    wants = allowed_condition(budget, allowed, now)
    same = condition is not None and all(
        condition.get(key) == wants[key] for key in ("status", "reason", "observedGeneration")
    )
    if same and {key: value for key, value in old.items() if key != "conditions" and value != {}} == status:
        return Reckoning(None, recheck, not_deleted)
    status["conditions"] = with_condition(old.get("conditions"), wants)
    return Reckoning(status, recheck, not_deleted)


def failed(budget: Json, problem: str, now: float) -> Json | None:
    """The status of a budget that cannot be reckoned: nothing may go. None: it says so already."""
    old = status_of(budget)
    condition = condition_of(budget, DISRUPTION_ALLOWED) or {}
    wants = failed_condition(budget, problem, now)
    if not old.get("disruptionsAllowed") and all(
        condition.get(key) == wants[key] for key in ("status", "reason", "message")
    ):
        return None
    # The real one fills in what the type has, too, as zeros: they are required fields.
    zeros = {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    return {**zeros, **old, "disruptionsAllowed": 0, "conditions": with_condition(old.get("conditions"), wants)}


def _disrupted(
    evicted: Mapping[str, str], pods: Iterable[Json], now: float
) -> tuple[dict[str, str], float | None, tuple[Json, ...]]:
    """Those evicted pods that are about to be deleted, when to look again, and those that should have been."""
    if not evicted:
        return {}, None, ()
    kept: dict[str, str] = {}
    recheck: float | None = None
    overdue = []
    for pod in pods:
        at = evicted.get(name_of(pod))
        if at is None or is_terminating(pod):
            continue
        left = times.parse(at) + DELETION_TIMEOUT - now
        if left < 0:
            overdue.append(pod)
        else:
            kept[name_of(pod)] = at
            recheck = left if recheck is None else min(recheck, left)
    return kept, recheck, tuple(overdue)


def stale_condition_due(pod: Json, now: float) -> float | None:
    """Seconds until the pod's ``DisruptionTarget`` condition is stale, as nobody deletes it; None: it has none."""
    condition = condition_of(pod, "DisruptionTarget")
    if condition is None or condition["status"] != "True" or is_terminating(pod) or is_pod_finished(pod):
        return None
    if condition.get("reason") == "TerminationByKubelet":  # the kubelet may take its time
        return None
    since = times.parse(condition["lastTransitionTime"]) if condition.get("lastTransitionTime") else 0.0
    return max(0.0, STALE_CONDITION_TIMEOUT - (now - since))

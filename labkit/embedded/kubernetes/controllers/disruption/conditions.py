"""The condition ``DisruptionAllowed`` of a budget (``k8s.io/component-helpers/apps/poddisruptionbudget``)."""

from __future__ import annotations

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.objects import Json

DISRUPTION_ALLOWED = "DisruptionAllowed"
SYNC_FAILED = "SyncFailed"
SUFFICIENT_PODS = "SufficientPods"
INSUFFICIENT_PODS = "InsufficientPods"


def allowed_condition(budget: Json, allowed: int, now: float) -> Json:
    """The condition for so many ``disruptionsAllowed``."""
    return _condition(
        budget, "True" if allowed > 0 else "False", SUFFICIENT_PODS if allowed > 0 else INSUFFICIENT_PODS, "", now
    )


def failed_condition(budget: Json, problem: str, now: float) -> Json:
    """The condition of a budget that could not be reckoned."""
    return _condition(budget, "False", SYNC_FAILED, problem, now)


def _condition(budget: Json, status: str, reason: str, message: str, now: float) -> Json:
    return {
        "type": DISRUPTION_ALLOWED,
        "status": status,
        "observedGeneration": budget["metadata"].get("generation") or 0,
        "lastTransitionTime": times.rfc3339(now),
        "reason": reason,
        "message": message,
    }

"""The condition of an instance, and how Mesos' task states lead to it.

``core/condition/Condition.scala`` and ``core/task/state/TaskConditionMapping.scala`` of Marathon 1.11.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

SCHEDULED = "Scheduled"
PROVISIONED = "Provisioned"
STAGING = "Staging"
STARTING = "Starting"
RUNNING = "Running"
KILLING = "Killing"
FINISHED = "Finished"
FAILED = "Failed"
KILLED = "Killed"
ERROR = "Error"
UNREACHABLE = "Unreachable"
UNREACHABLE_INACTIVE = "UnreachableInactive"
GONE = "Gone"
DROPPED = "Dropped"
UNKNOWN = "Unknown"

FAILURES = frozenset((ERROR, FAILED, GONE, DROPPED, UNKNOWN))
TERMINAL = FAILURES | {FINISHED, KILLED}
ACTIVE = frozenset((PROVISIONED, STAGING, STARTING, RUNNING, KILLING, UNREACHABLE))
LOST = frozenset((GONE, UNREACHABLE, UNREACHABLE_INACTIVE, UNKNOWN, DROPPED))

# Ends of a task that slow the next start down, and signs of life that let the delay begin anew
# (core/task/update/impl/steps/NotifyRateLimiterStepImpl.scala).
WORTH_A_DELAY = frozenset((DROPPED, ERROR, FAILED, GONE, FINISHED))
ADVANCES_DELAY = frozenset((STAGING, STARTING, RUNNING, PROVISIONED))

_OF_STATE = {
    "TASK_STAGING": STAGING,
    "TASK_STARTING": STARTING,
    "TASK_RUNNING": RUNNING,
    "TASK_KILLING": KILLING,
    "TASK_FINISHED": FINISHED,
    "TASK_FAILED": FAILED,
    "TASK_KILLED": KILLED,
    "TASK_ERROR": ERROR,
    "TASK_UNREACHABLE": UNREACHABLE,
    "TASK_GONE": GONE,
    "TASK_GONE_BY_OPERATOR": GONE,
    "TASK_DROPPED": DROPPED,
    "TASK_UNKNOWN": UNKNOWN,
}
_LOST_BUT_MAY_COME_BACK = frozenset(("REASON_RECONCILIATION", "REASON_SLAVE_DISCONNECTED", "REASON_SLAVE_REMOVED"))
_LOST_AND_UNKNOWN = "REASON_TASK_UNKNOWN"

_STATE_OF = {condition: state for state, condition in _OF_STATE.items() if state != "TASK_GONE_BY_OPERATOR"}
_STATE_OF[UNREACHABLE_INACTIVE] = "TASK_UNREACHABLE"


def condition(status: Json) -> str:
    """The condition that a Mesos task status stands for. ``TASK_LOST`` depends on its reason."""
    state = status.get("state", "")
    if state != "TASK_LOST":
        return _OF_STATE.get(state, UNKNOWN)
    reason = status.get("reason", "")
    if reason in _LOST_BUT_MAY_COME_BACK:
        return UNREACHABLE
    return UNKNOWN if reason == _LOST_AND_UNKNOWN else GONE


def task_state(condition: str) -> str:
    """The Mesos state that the API shows for it; what Mesos has not heard of is staging."""
    return _STATE_OF.get(condition, "TASK_STAGING")

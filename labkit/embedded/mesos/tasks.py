"""Task states, and the status of a task as JSON."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

TERMINAL = frozenset(
    {
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_ERROR",
        "TASK_LOST",
        "TASK_DROPPED",
        "TASK_GONE",
        "TASK_GONE_BY_OPERATOR",
    }
)

# In the order of the proto file, which is that of /metrics and of the summaries.
STATES = (
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_FAILED",
    "TASK_KILLED",
    "TASK_ERROR",
    "TASK_LOST",
    "TASK_DROPPED",
    "TASK_UNREACHABLE",
    "TASK_GONE",
    "TASK_GONE_BY_OPERATOR",
    "TASK_UNKNOWN",
)


def is_terminal(state: str) -> bool:
    """Will the task never run again? ``TASK_UNREACHABLE`` may, when its agent comes back."""
    return state in TERMINAL


def status(
    task_id: str,
    state: str,
    *,
    now: float,
    source: str,
    message: str = "",
    reason: str = "",
    agent_id: str = "",
    executor_id: str = "",
    uuid: str = "",
    **more: Any,
) -> Json:
    """A TaskStatus. Without ``uuid`` nobody has to acknowledge it. ``more`` are other fields (``healthy``…)."""
    made: Json = {"task_id": {"value": task_id}, "state": state, "source": source, "timestamp": now}
    if message:
        made["message"] = message
    if reason:
        made["reason"] = reason
    if agent_id:
        made["agent_id"] = {"value": agent_id}
    if executor_id:
        made["executor_id"] = {"value": executor_id}
    if uuid:
        made["uuid"] = uuid
    for key, value in more.items():
        if value is not None:
            made[key] = value
    return made

"""Task statuses and the updates that carry them (``mesos.proto``, v1 names). Pure."""

from __future__ import annotations

import random
import signal
from base64 import b64encode
from typing import Any

Json = dict[str, Any]

AGENT, EXECUTOR = "SOURCE_AGENT", "SOURCE_EXECUTOR"


def new_uuid(rng: random.Random) -> str:
    """The name of an update: 16 bytes, in the form that JSON gives to bytes."""
    return b64encode(rng.randbytes(16)).decode()


def status(
    task_id: str,
    state: str,
    *,
    agent_id: str,
    now: float,
    uuid: str,
    source: str = EXECUTOR,
    reason: str = "",
    message: str = "",
    healthy: bool | None = None,
    check: Json | None = None,
    container: Json | None = None,
    data: str = "",
    labels: Json | None = None,
) -> Json:
    """A TaskStatus. What is not known is left out."""
    made: Json = {
        "task_id": {"value": task_id},
        "state": state,
        "source": source,
        "timestamp": now,
        "agent_id": {"value": agent_id},
        "executor_id": {"value": task_id},
        "uuid": uuid,
    }
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    if healthy is not None:
        made["healthy"] = healthy
    if check is not None:
        made["check_status"] = check
    if container is not None:
        made["container_status"] = container
    if data:
        made["data"] = data
    if labels is not None:
        made["labels"] = labels
    return made


def update(framework_id: str, given: Json) -> Json:
    """The StatusUpdate around a status."""
    return {
        "framework_id": {"value": framework_id},
        "executor_id": given["executor_id"],
        "agent_id": given["agent_id"],
        "status": given,
        "timestamp": given["timestamp"],
        "uuid": given["uuid"],
    }


def remember(statuses: list[Json], given: Json) -> list[Json]:
    """The newest of each state without its ``data``, as ``Task.statuses`` keeps them.

    A new list, since the old one may be on the wire.
    """
    if "data" in given:
        given = {key: value for key, value in given.items() if key != "data"}
    if statuses and statuses[-1]["state"] == given["state"]:
        return [*statuses[:-1], given]
    return [*statuses, given]


def exit_words(code: int) -> str:
    """``exited with status 1``, ``terminated with signal Terminated``; a negative code is a signal's."""
    if code >= 0:
        return f"exited with status {code}"
    return f"terminated with signal {signal.strsignal(-code) or f'Unknown signal {-code}'}"


def outcome(code: int, killed: bool) -> str:
    """The state of a task whose command has ended."""
    if killed:
        return "TASK_KILLED"
    return "TASK_FINISHED" if code == 0 else "TASK_FAILED"

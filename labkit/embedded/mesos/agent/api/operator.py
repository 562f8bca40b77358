"""``POST /api/v1``: the agent's operator calls (``v1/agent/agent.proto``)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.agent.api import files, state
from labkit.embedded.mesos.agent.ledger import task_json
from labkit.embedded.mesos.agent.records import Run
from labkit.embedded.mesos.version import BUILD

if TYPE_CHECKING:
    from labkit.embedded.mesos.agent.agent import Agent

Json = dict[str, Any]


class CallError(Exception):
    """A call that is not answered; ``status`` and ``str()`` are."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def call(agent: Agent, body: Any) -> Json:
    """Answer one call. Raises :class:`CallError` and :class:`.files.FilesError`."""
    if not isinstance(body, dict):
        raise CallError(400, "Failed to parse body into JSON: Expecting a JSON object")
    kind = body.get("type")
    if not isinstance(kind, str) or not kind:
        raise CallError(400, "Failed to validate agent::Call: Expecting 'type' to be present")
    answer = _CALLS.get(kind)
    if answer is None:
        if kind in REFUSED:
            raise CallError(501, f"{kind} is not simulated by the embedded agent")
        raise CallError(400, f"Failed to parse body into Call protobuf: Failed to find enum for '{kind}'")
    given = body.get(kind.lower())
    found = answer(agent, given if isinstance(given, dict) else {})
    return {"type": kind, kind.lower(): found} if found is not None else {"type": kind}


REFUSED = frozenset(
    {
        "LAUNCH_NESTED_CONTAINER",
        "WAIT_NESTED_CONTAINER",
        "KILL_NESTED_CONTAINER",
        "REMOVE_NESTED_CONTAINER",
        "LAUNCH_NESTED_CONTAINER_SESSION",
        "ATTACH_CONTAINER_INPUT",
        "ATTACH_CONTAINER_OUTPUT",
        "LAUNCH_CONTAINER",
        "WAIT_CONTAINER",
        "KILL_CONTAINER",
        "REMOVE_CONTAINER",
        "ADD_RESOURCE_PROVIDER_CONFIG",
        "UPDATE_RESOURCE_PROVIDER_CONFIG",
        "REMOVE_RESOURCE_PROVIDER_CONFIG",
        "MARK_RESOURCE_PROVIDER_GONE",
        "PRUNE_IMAGES",
        "GET_RESOURCE_PROVIDERS",
        "GET_OPERATIONS",
        "SET_LOGGING_LEVEL",
    }
)


def _tasks(agent: Agent) -> Json:
    runs = agent.runs()
    queued = [task_json(run, agent.id) for run in runs if run.state == "TASK_STAGING"]
    launched = [task_json(run, agent.id) for run in runs if run.state != "TASK_STAGING" and not run.ended]
    ended = [task_json(run, agent.id) for run in runs if run.ended]
    return {
        "pending_tasks": [],
        "queued_tasks": queued,
        "launched_tasks": launched,
        "terminated_tasks": ended,
        "completed_tasks": [task_json(run, agent.id) for run in _completed(agent)],
    }


def _completed(agent: Agent) -> list[Run]:
    return [run for one in (*agent.frameworks.values(), *agent.completed.values()) for run in one.completed]


def _executors(agent: Agent) -> Json:
    def info(run: Run) -> Json:
        return {
            "executor_info": {
                "executor_id": {"value": run.task_id},
                "framework_id": {"value": run.framework_id},
                "name": state.executor(agent, run)["name"],
                "command": run.task.get("command") or {},
                "container": run.task.get("container") or {},
            }
        }

    return {
        "executors": [info(run) for run in agent.runs()],
        "completed_executors": [info(run) for run in _completed(agent)],
    }


def _frameworks(agent: Agent) -> Json:
    return {
        "frameworks": [{"framework_info": one.info} for one in agent.frameworks.values()],
        "completed_frameworks": [{"framework_info": one.info} for one in agent.completed.values()],
    }


def _containers(agent: Agent) -> Json:
    return {
        "containers": [
            {
                "framework_id": {"value": one["framework_id"]},
                "executor_id": {"value": one["executor_id"]},
                "executor_name": one["executor_name"],
                "container_id": {"value": one["container_id"]},
                "container_status": one["status"],
                "resource_statistics": one["statistics"],
            }
            for one in state.containers(agent)
        ]
    }


def _agent(agent: Agent) -> Json:
    return {"agent_info": agent.info()}


def _list_files(agent: Agent, given: Json) -> Json:
    path = _path(given, "list_files")
    infos = []
    for one in files.browse(agent, path):
        infos.append(
            {
                "path": one["path"],
                "nlink": one["nlink"],
                "size": one["size"],
                "mtime": {"nanoseconds": int(one["mtime"] * 1e9)},
                "mode": _mode(one["mode"]),
                "uid": one["uid"],
                "gid": one["gid"],
            }
        )
    return {"file_infos": infos}


def _mode(words: str) -> int:
    """``-rw-r--r--`` as a number."""
    kinds = {"d": 0o040000, "l": 0o120000, "p": 0o010000, "s": 0o140000}
    bits = 0
    for letter in words[1:]:
        bits = bits << 1 | (letter not in "-ST")
    return kinds.get(words[0], 0o100000) | bits


def _read_file(agent: Agent, given: Json) -> Json:
    path = _path(given, "read_file")
    try:
        offset, length = int(given.get("offset", 0)), given.get("length")
        limit = None if length is None else int(length)
    except (TypeError, ValueError):
        raise CallError(400, "Failed to parse body into Call protobuf: Not expecting a JSON string") from None
    data, _, size = files.read(agent, path, offset, limit)
    return {"size": size, "data": b64encode(data).decode()}


def _path(given: Json, name: str) -> str:
    path = given.get("path")
    if not isinstance(path, str) or not path:
        raise CallError(400, f"Failed to validate agent::Call: Expecting '{name}' to be present")
    return path


def _state(agent: Agent) -> Json:
    return {"get_tasks": _tasks(agent), "get_executors": _executors(agent), "get_frameworks": _frameworks(agent)}


def _flags(agent: Agent) -> Json:
    return {"flags": [{"name": name, "value": value} for name, value in state.flags(agent).items()]}


def _metrics(agent: Agent) -> Json:
    return {"metrics": [{"name": name, "value": value} for name, value in state.metrics(agent).items()]}


_CALLS: dict[str, Callable[[Agent, Json], Json | None]] = {
    "GET_HEALTH": lambda agent, given: {"healthy": True},
    "GET_FLAGS": lambda agent, given: _flags(agent),
    "GET_VERSION": lambda agent, given: {"version_info": dict(BUILD)},
    "GET_METRICS": lambda agent, given: _metrics(agent),
    "GET_LOGGING_LEVEL": lambda agent, given: {"level": 0},
    "GET_STATE": lambda agent, given: _state(agent),
    "GET_TASKS": lambda agent, given: _tasks(agent),
    "GET_EXECUTORS": lambda agent, given: _executors(agent),
    "GET_FRAMEWORKS": lambda agent, given: _frameworks(agent),
    "GET_CONTAINERS": lambda agent, given: _containers(agent),
    "GET_AGENT": lambda agent, given: _agent(agent),
    "LIST_FILES": _list_files,
    "READ_FILE": _read_file,
}

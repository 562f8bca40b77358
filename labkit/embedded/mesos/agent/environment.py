"""The environment of a task: its own variables and those of Mesos (``executorEnvironment`` in ``slave.cpp``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

# What a task inherits of whoever runs labkit. Not the rest: credentials of sandboxes may be among it.
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYENV_ROOT")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONTAINER_SANDBOX = "/mnt/mesos/sandbox"  # --sandbox_directory


def own(command: Json) -> dict[str, str]:
    """The variables of a CommandInfo; secrets cannot be resolved and are left out."""
    variables = (command.get("environment") or {}).get("variables") or ()
    return {str(one["name"]): str(one.get("value", "")) for one in variables if one.get("type", "VALUE") == "VALUE"}


def of_command(
    task: Json,
    framework_id: str,
    *,
    directory: str,
    agent_id: str,
    agent_pid: str,
    ip: str,
    port: int,
    container_id: str,
    checkpoint: bool,
    inherited: Mapping[str, str],
    grace: float,
) -> dict[str, str]:
    """For a process on the machine itself."""
    task_id = task["task_id"]["value"]
    role = next(
        (one["allocation_info"].get("role", "*") for one in task.get("resources") or () if "allocation_info" in one),
        "*",
    )
    env = {"PATH": DEFAULT_PATH}
    env.update((name, inherited[name]) for name in INHERITED if inherited.get(name))
    env.update(
        LIBPROCESS_IP=ip,
        LIBPROCESS_PORT="0",
        MESOS_AGENT_ENDPOINT=f"{ip}:{port}",
        MESOS_ALLOCATION_ROLE=role,
        MESOS_CHECKPOINT="1" if checkpoint else "0",
        MESOS_CONTAINER_ID=container_id,
        MESOS_DIRECTORY=directory,
        MESOS_EXECUTOR_ID=task_id,
        MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=f"{grace:g}secs",
        MESOS_FRAMEWORK_ID=framework_id,
        MESOS_HTTP_COMMAND_EXECUTOR="0",
        MESOS_SANDBOX=directory,
        MESOS_SLAVE_ID=agent_id,
        MESOS_SLAVE_PID=agent_pid,
        MESOS_TASK_ID=task_id,
    )
    env.update(own(task.get("command") or {}))
    return env


def of_container(task: Json, container_id: str) -> dict[str, str]:
    """For a container: what the Docker executor hands on."""
    return {
        "MESOS_SANDBOX": CONTAINER_SANDBOX,
        "MESOS_CONTAINER_NAME": f"mesos-{container_id}",
        "MESOS_TASK_ID": str(task["task_id"]["value"]),
        **own(task.get("command") or {}),
    }

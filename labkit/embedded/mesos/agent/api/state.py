"""``/state`` and its relatives: what an agent shows of itself (``src/slave/http.cpp``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos import attributes as attribute_words
from labkit.embedded.mesos.agent.records import Framework, Run
from labkit.embedded.mesos.resources import Resources
from labkit.embedded.mesos.shown import extras, status
from labkit.embedded.mesos.version import BUILD

if TYPE_CHECKING:
    from labkit.embedded.mesos.agent.agent import Agent

Json = dict[str, Any]


def flags(agent: Agent) -> dict[str, str]:
    """The flags it runs with; every value is text."""
    options = agent.options
    return {
        "attributes": ";".join(f"{one['name']}:{attribute_words.text_of(one)}" for one in options.attributes),
        "authenticate_http_readonly": "true",
        "authenticate_http_readwrite": "true",
        "containerizers": "docker,mesos",
        "docker": "docker",
        "docker_socket": "/var/run/docker.sock",
        "executor_shutdown_grace_period": f"{options.executor_shutdown_grace:g}secs",
        "hostname": agent.hostname,
        "image_providers": "docker",
        "ip": agent.pid.address,
        "isolation": "posix/cpu,posix/mem",
        "launcher": "posix",
        "port": str(options.port),
        "recover": "reconnect",
        "recovery_timeout": f"{options.recovery_timeout / 60:g}mins",
        "registration_backoff_factor": f"{options.registration_backoff:g}secs",
        "resources": str(options.resources).replace("; ", ";"),
        "sandbox_directory": "/mnt/mesos/sandbox",
        "strict": "true",
        "switch_user": "false",
        "work_dir": str(options.work_dir),
    }


def state(agent: Agent) -> Json:
    """``GET /state``."""
    options, used = agent.options, agent.used()
    total = options.resources
    shown: Json = {
        **BUILD,
        "id": agent.id,
        "pid": str(agent.pid),
        "hostname": agent.hostname,
        "capabilities": list(_capabilities()),
        "start_time": agent.started_at,
        "resources": total.summary(),
        "unreserved_resources": total.unreserved().summary(),
        "reserved_resources": {role: total.reserved(role).summary() for role in sorted(total.roles)},
        "reserved_resources_allocated": {},
        "unreserved_resources_allocated": used.unreserved().summary(),
        "attributes": attribute_words.summary(options.attributes),
        "flags": flags(agent),
        "frameworks": [framework(agent, one, False) for one in agent.frameworks.values()],
        "completed_frameworks": [framework(agent, one, True) for one in agent.completed.values()],
    }
    if agent.registration.info is not None:
        shown["master_hostname"] = agent.registration.info.get("hostname", "")
    return shown


def _capabilities() -> tuple[str, ...]:
    from labkit.embedded.mesos.agent.agent import CAPABILITIES

    return CAPABILITIES


def framework(agent: Agent, one: Framework, over: bool) -> Json:
    """A framework, with the executors it has and had."""
    info = one.info
    live = list(one.runs.values())
    return {
        "id": one.id,
        "name": info.get("name", ""),
        "user": info.get("user", ""),
        "failover_timeout": float(info.get("failover_timeout", 0.0)),
        "checkpoint": one.checkpoint,
        "hostname": info.get("hostname", ""),
        "roles": list(info.get("roles") or [info.get("role", "*")]),
        "executors": [executor(agent, run) for run in live],
        "completed_executors": [executor(agent, run) for run in one.completed],
    }


def executor(agent: Agent, run: Run) -> Json:
    """The command executor of a task; its id is the task's."""
    task = task_json(agent, run)
    over = run.ended
    name = f"Command Executor (Task: {run.task_id}) (Command: {_command_words(run)})"
    return {
        "id": run.task_id,
        "name": name,
        "source": run.task_id,
        "container": run.container_id,
        "directory": run.directory,
        "type": "COMMAND",
        "resources": Resources.of(run.task.get("resources") or ()).summary(),
        "role": _role(run),
        "tasks": [] if over else [task],
        "queued_tasks": [],
        "completed_tasks": [task] if over else [],
    }


def task_json(agent: Agent, run: Run) -> Json:
    """A task in the old form."""
    info = run.task
    made: Json = {
        "id": run.task_id,
        "name": info.get("name", ""),
        "framework_id": run.framework_id,
        "executor_id": "",
        "slave_id": agent.id,
        "state": run.state,
        "resources": Resources.of(info.get("resources") or ()).summary(),
        "role": _role(run),
        "statuses": [status(one) for one in run.statuses],
    }
    return made | extras(info)


def _command_words(run: Run) -> str:
    command = run.task.get("command") or {}
    if command.get("shell", True) and command.get("value"):
        return f"sh -c '{command['value']}'"
    if not command.get("value"):
        return "NO EXECUTABLE"
    return f"{command['value']} {' '.join(map(str, command.get('arguments') or ()))}".rstrip()


def _role(run: Run) -> str:
    items = run.task.get("resources") or ()
    return next((str(one["allocation_info"].get("role", "*")) for one in items if "allocation_info" in one), "*")


def containers(agent: Agent) -> list[Json]:
    """``GET /containers``."""
    return [
        {
            "container_id": run.container_id,
            "executor_id": run.task_id,
            "executor_name": f"Command Executor (Task: {run.task_id}) (Command: {_command_words(run)})",
            "framework_id": run.framework_id,
            "source": run.task_id,
            "statistics": statistics(agent, run),
            "status": run.statuses[-1].get("container_status", {}) if run.statuses else {},
        }
        for run in _alive(agent)
    ]


def monitor(agent: Agent) -> list[Json]:
    """``GET /monitor/statistics``."""
    return [{key: one[key] for key in _MONITORED} for one in containers(agent)]


_MONITORED = ("executor_id", "executor_name", "framework_id", "source", "statistics")


def statistics(agent: Agent, run: Run) -> Json:
    """ResourceStatistics: what it may use, and for images what they say they use."""
    resources = Resources.of(run.task.get("resources") or ())
    made: Json = {
        "timestamp": agent.clock.time(),
        "cpus_limit": resources.cpus,
        "mem_limit_bytes": int(resources.mem * 1024 * 1024),
    }
    process = getattr(run.executor.work, "process", None) if run.executor is not None else None
    if process is not None:
        made["cpus_user_time_secs"] = round(process.cpu_seconds, 6)
        made["cpus_system_time_secs"] = 0.0
        made["mem_rss_bytes"] = process.ns.memory
    return made


def _alive(agent: Agent) -> Iterable[Run]:
    return (run for run in agent.runs() if not run.ended)


_ENDED = ("failed", "finished", "gone", "killed", "lost")


def metrics(agent: Agent) -> dict[str, float]:
    """``GET /metrics/snapshot``."""
    options, used, runs = agent.options, agent.used(), agent.runs()
    made: dict[str, float] = {
        "slave/registered": float(agent.registered),
        "slave/uptime_secs": agent.clock.time() - agent.started_at,
        "slave/frameworks_active": float(len(agent.frameworks)),
        "slave/executors_running": float(sum(not run.ended for run in runs)),
        "slave/executors_terminated": float(sum(agent.tally.ended.values())),
        "slave/valid_status_updates": float(agent.tally.updates),
        "slave/invalid_status_updates": 0.0,
        "slave/recovery_errors": 0.0,
        "containerizer/mesos/container_destroy_errors": 0.0,
        "system/cpus_total": float(agent.host.machine.cpus),
        "system/mem_total_bytes": float(agent.host.machine.memory),
    }
    for name in ("staging", "starting", "running", "killing"):
        made[f"slave/tasks_{name}"] = float(sum(run.state == f"TASK_{name.upper()}" for run in runs))
    for name in _ENDED:
        made[f"slave/tasks_{name}"] = float(agent.tally.ended[f"TASK_{name.upper()}"])
    for name in ("cpus", "mem", "disk", "gpus"):
        whole, taken = options.resources.scalar(name), used.scalar(name)
        made[f"slave/{name}_total"] = whole
        made[f"slave/{name}_used"] = taken
        made[f"slave/{name}_percent"] = taken / whole if whole else 0.0
    return dict(sorted(made.items()))

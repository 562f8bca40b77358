"""The task of an instance: ``TaskInfo`` in v1 JSON (``mesos/TaskBuilder.scala``).

What is the same for all tasks of one version is made once (``_Blueprint``) and shared: nobody may change a task's JSON.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from labkit.embedded.marathon.constraints import Agent
from labkit.embedded.marathon.matching import checks, containers, environment
from labkit.embedded.marathon.matching.context import Context
from labkit.embedded.marathon.matching.discovery import discovery, labels_json
from labkit.embedded.marathon.matching.portassignments import port_assignments
from labkit.embedded.marathon.specs.app import App

Json = dict[str, Any]

COMMAND_EXECUTOR = ("", "//cmd")


class _Blueprint:
    """The parts of a version's tasks that are all alike."""

    def __init__(self, app: App, context: Context) -> None:
        self.app = app
        self.context = context
        of_app = environment.of_app(app)
        own = {key: value for key, value in (app.body.get("env") or {}).items() if isinstance(value, str)}
        self.own_names = frozenset(own)
        # What the app says itself holds over everything that Marathon says.
        self.before = [_variable(name, value) for name, value in of_app.items() if name not in own]
        self.after = [_variable(name, value) for name, value in own.items()]
        self.command = _command(app)
        self.labels = labels_json(app.labels) if app.labels else None
        grace = app.kill_grace_period
        self.kill_policy = None if grace is None else {"grace_period": {"nanoseconds": int(grace * 1e9)}}
        self.limits = _limits(app.body.get("resourceLimits") or {})
        self.has_checks = bool(app.body.get("check")) or any(checks.is_by_mesos(each) for each in app.health_checks)
        self.executor = app.body.get("executor") or context.executor
        self.prefix = context.env_vars_prefix
        self.discovery = None if app.ports else discovery(app, [])

    def environment(
        self, host: str, host_ports: Sequence[int | None], task_id: str, enforce_role: bool, rng: random.Random
    ) -> Json:
        found = {"MESOS_TASK_ID": task_id, "MARATHON_APP_ENFORCE_GROUP_ROLE": str(enforce_role).upper()}
        prefix = self.prefix
        for name, value in environment.of_ports(self.app.ports, host_ports, rng).items():
            found[prefix + name] = value
        found[prefix + "HOST"] = host
        mine = self.own_names
        variables = [
            *self.before,
            *[{"name": name, "value": value} for name, value in found.items() if name not in mine],
            *self.after,
        ]
        return {"variables": variables}


def _variable(name: str, value: str) -> Json:
    return {"name": name, "value": value}


def _command(app: App) -> Json:
    found: Json = {"shell": True, "value": app.cmd} if app.cmd else {"shell": False}
    if app.args:
        found["shell"] = False
        found["arguments"] = list(app.args)
        if app.container is None:
            # Mesos' command executor wants the program apart from its arguments (of which it is the first, too).
            found["value"] = app.args[0]
    uris = [
        {
            "value": each["uri"],
            "executable": each["executable"],
            "extract": each["extract"],
            "cache": each["cache"],
            **({"output_file": each["destPath"]} if "destPath" in each else {}),
        }
        for each in app.body.get("fetch") or ()
    ]
    if uris:
        found["uris"] = uris
    if app.body.get("user"):
        found["user"] = app.body["user"]
    return found


def _limits(limits: Json) -> Json | None:
    """Without limit is infinity, which JSON only knows as a word."""
    return {
        name: {"value": "Infinity" if value == "unlimited" else float(value)} for name, value in limits.items()
    } or None


def _blueprint(app: App, context: Context) -> _Blueprint:
    found: _Blueprint | None = app.compiled.get(context)
    if found is None:
        found = app.compiled[context] = _Blueprint(app, context)
    return found


def build_task(
    app: App,
    agent: Agent,
    resources: list[Json],
    host_ports: Sequence[int | None],
    task_id: str,
    context: Context,
    rng: random.Random,
    *,
    enforce_role: bool = False,
) -> Json:
    """``host_ports``: one for each of the app's ports; None where no port of the agent is wanted."""
    blueprint = _blueprint(app, context)
    command = {
        **blueprint.command,
        "environment": blueprint.environment(agent.host, host_ports, task_id, enforce_role, rng),
    }
    found: Json = {
        "name": app.hostname,
        "task_id": {"value": task_id},
        "agent_id": {"value": agent.agent_id},
        "resources": resources,
        "discovery": blueprint.discovery or discovery(app, host_ports),
    }
    container = containers.container(app, host_ports, task_id, context.mesos_bridge_name)
    if blueprint.executor in COMMAND_EXECUTOR:
        found["command"] = command
        if container is not None:
            found["container"] = container
    else:
        found["executor"] = _executor(app, blueprint.executor, task_id, command, container)
    if blueprint.labels is not None:
        found["labels"] = blueprint.labels
    if blueprint.kill_policy is not None:
        found["kill_policy"] = blueprint.kill_policy
    if blueprint.limits is not None:
        found["limits"] = blueprint.limits
    if blueprint.has_checks:
        assignments = port_assignments(app, agent.host, [port for port in host_ports if port is not None])
        if (health_check := checks.health_check(app, assignments)) is not None:
            found["health_check"] = health_check
        if (check := checks.check(app, assignments)) is not None:
            found["check"] = check
    return found


def _executor(app: App, path: str, task_id: str, command: Json, container: Json | None) -> Json:
    """A program of the agent that runs the task, with the app's command as its arguments."""
    rest = app.cmd or " ".join(app.args)
    quoted = f"'{path}'"
    found: Json = {
        "type": "CUSTOM",
        "executor_id": {"value": f"marathon-{task_id}"},
        "command": {**command, "value": f"chmod ug+rx {quoted} && exec {quoted} {rest}"},
    }
    if container is not None:
        found["container"] = container
    needs = app.body.get("executorResources")
    if needs:
        found["resources"] = [
            {"name": name, "type": "SCALAR", "scalar": {"value": float(needs[name])}}
            for name in ("cpus", "mem", "disk")
        ]
    return found

"""Health checks and checks that Mesos runs, not Marathon (``HealthCheck.scala`` and ``Check.scala`` of its core)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from labkit.embedded.marathon.matching.portassignments import PortAssignment
from labkit.embedded.marathon.specs.app import App

Json = dict[str, Any]

BY_MESOS = frozenset({"COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"})
BY_MARATHON = frozenset({"HTTP", "HTTPS", "TCP"})


def is_by_mesos(check: Json) -> bool:
    """Whether the task's executor runs it. All others Marathon runs itself, from where it is."""
    return check.get("protocol", "HTTP") in BY_MESOS


def _port(check: Json, assignments: Sequence[PortAssignment]) -> int | None:
    """The check is made from inside the container: its own port counts first."""
    port: int | None = check.get("port")
    index = check.get("portIndex")
    if port is None and index is not None and index < len(assignments):
        port = assignments[index].container_port or assignments[index].host_port
    return port


def _timing(check: Json) -> Json:
    return {
        "interval_seconds": float(check["intervalSeconds"]),
        "timeout_seconds": float(check["timeoutSeconds"]),
        "delay_seconds": float(check["delaySeconds"]),
    }


def _health_command(check: Json, port: int | None) -> Json | None:
    return {"type": "COMMAND", "command": {"shell": True, "value": check["command"]["value"]}}


def _health_http(check: Json, port: int | None) -> Json | None:
    if port is None:
        return None
    scheme = "http" if check["protocol"] == "MESOS_HTTP" else "https"
    http: Json = {"protocol": check["ipProtocol"], "scheme": scheme, "port": port}
    if "path" in check:
        http["path"] = check["path"]
    return {"type": "HTTP", "http": http}


def _health_tcp(check: Json, port: int | None) -> Json | None:
    return None if port is None else {"type": "TCP", "tcp": {"protocol": check["ipProtocol"], "port": port}}


_HEALTH: dict[str, Callable[[Json, int | None], Json | None]] = {
    "COMMAND": _health_command,
    "MESOS_HTTP": _health_http,
    "MESOS_HTTPS": _health_http,
    "MESOS_TCP": _health_tcp,
}


def health_check(app: App, assignments: Sequence[PortAssignment]) -> Json | None:
    """``HealthCheck`` of the task: Mesos takes one, the first."""
    for check in app.health_checks:
        if is_by_mesos(check):
            found = _HEALTH[check["protocol"]](check, _port(check, assignments))
            if found is not None:
                return {
                    **found,
                    **_timing(check),
                    "consecutive_failures": check["maxConsecutiveFailures"],
                    "grace_period_seconds": float(check["gracePeriodSeconds"]),
                }
    return None


def check(app: App, assignments: Sequence[PortAssignment]) -> Json | None:
    """``CheckInfo`` of the task: only looked at, it ends nothing."""
    spec = app.body.get("check")
    if spec is None:
        return None
    if "exec" in spec:
        command = spec["exec"]["command"]
        value: Json = (
            {"shell": True, "value": command["shell"]}
            if "shell" in command
            else {"shell": False, "value": command["argv"][0], "arguments": command["argv"]}
        )
        return {"type": "COMMAND", "command": {"command": value}, **_timing(spec)}
    kind = "http" if "http" in spec else "tcp"
    port = _port(spec[kind], assignments)
    if port is None:
        return None
    found: Json = {"port": port}
    if kind == "http" and "path" in spec["http"]:
        found["path"] = spec["http"]["path"]
    return {"type": kind.upper(), kind: found, **_timing(spec)}

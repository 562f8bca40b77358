"""Real Mesos and Marathon: a Compose project on this computer's own Docker engine.

The work is done by ``infra/marathon/up``, ``down`` and ``status`` (:mod:`labkit.engines.scripted`). A machine is a
container that has the address; what runs on it shares its network. So a plug that is pulled is pulled for all of them,
and a component is stopped by ending its container.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labkit.engines.base import COMPONENT_VERBS, ComponentInfo, Record, Request
from labkit.engines.hosts import docker
from labkit.engines.plugs import LabelledPlug
from labkit.engines.scripted import Report, ScriptedEngine
from labkit.errors import EngineFailed, NotFound, UsageError

_DOCKER_TIMEOUT = 60.0  # seconds for one docker command: a machine is several containers
_MACHINE_TIMEOUT = 60.0  # seconds in which a machine that was healed has to come up
_LOOK = 0.3  # seconds between two looks at a machine that starts


class MachinePlug(LabelledPlug):
    """A machine's plug: of the container that has its address, and of all that share its network."""

    inside = ("--privileged", "-u", "root")  # of what runs on a machine, nothing else may touch its network
    patience = _DOCKER_TIMEOUT

    def container_of(self, machine: str) -> str:
        return f"labkit-{self.record.name}-{machine}-1"

    def containers(self) -> list[tuple[str, str]]:
        """Everything of this machine, the machine itself last."""
        sandbox, machine = f"label=labkit.sandbox={self.record.name}", f"label=labkit.machine={self.machine}"
        listed = self.docker("ps", "-a", "--filter", sandbox, "--filter", machine, "--format", "{{.Names}} {{.State}}")
        states = {"running": "up", "paused": "paused"}
        found = [(name, states.get(state, "down")) for name, state in map(str.split, listed.splitlines())]
        return sorted(found, key=lambda one: one[0] == self.container)

    def started(self) -> None:
        """The machine has to run before the others can share its network; the agent wants its dockerd, too.

        So this waits until its health check is content; a master's machine has none.
        """
        form = "{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}"
        deadline = time.monotonic() + _MACHINE_TIMEOUT
        while self.docker("inspect", "-f", form, self.container).strip() != "healthy":
            if time.monotonic() > deadline:
                raise EngineFailed(f"{self.machine} did not come up again: see `docker logs {self.container}`")
            time.sleep(_LOOK)


class ComposeEngine(ScriptedEngine):
    """Creates real Mesos clusters, or starts what has stopped; takes a minute or two, more when it pulls images first.

    Options: ``images`` (loaded into every agent), and an image for each component (``marathon``, …).
    """

    folder = "marathon"
    variables = MappingProxyType(
        {
            "zookeeper": "ZOOKEEPER_IMAGE",
            "mesos_master": "MESOS_MASTER_IMAGE",
            "mesos_agent": "MESOS_AGENT_IMAGE",
            "marathon": "MARATHON_IMAGE",
            "mesos_dns": "MESOS_DNS_IMAGE",
            "marathon_lb": "MARATHON_LB_IMAGE",
            "agent_docker": "AGENT_DOCKER_IMAGE",
            "images": "LABKIT_MARATHON_IMAGES",
        }
    )
    plugs = MachinePlug

    def arguments_for(self, request: Request) -> list[str]:
        return ["--masters", str(request.sizes["masters"]), "--agents", str(request.sizes["agents"])]

    def environments(self, report: Report) -> dict[str, dict[str, str]]:
        shared = _environment(report, None)
        return {machine["name"]: {**shared, **_environment(report, machine)} for machine in report["machines"]}

    def endpoints(self, report: Report) -> dict[str, str]:
        return _endpoints(report)

    def components(self, record: Record) -> list[ComponentInfo]:
        try:
            report = self.report(record)
        except EngineFailed:
            return []
        return [ComponentInfo(one["name"], one["machine"], one["state"]) for one in report["components"]]

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        """Kills the component's container, or starts it. One that was killed is not restarted by Docker."""
        record.machine(machine)
        if verb not in COMPONENT_VERBS:
            raise UsageError(f"a component has no {verb!r}; there are {' and '.join(COMPONENT_VERBS)}")
        found = [one for one in self.report(record)["components"] if (one["machine"], one["name"]) == (machine, name)]
        if not found:
            raise NotFound(f"{machine} has no component {name!r}")
        running = found[0]["state"] == "running"
        if running == (verb == "stop"):
            docker(record, "kill" if running else "start", found[0]["container"], timeout=_DOCKER_TIMEOUT)


# What answers on which port of a machine, and how its URL begins.
_SERVICES = {"marathon": "8080/tcp", "mesos": "5050/tcp", "mesos-dns": "8123/tcp", "lb": "9090/tcp"}
_URLS = {
    "MARATHON_URL": "8080/tcp",
    "MESOS_URL": "5050/tcp",
    "MARATHON_LB_URL": "9090/tcp",
    "MESOS_DNS_URL": "8123/tcp",
}
_OPEN = frozenset({"MARATHON_LB_URL", "MESOS_DNS_URL"})  # neither starts anything, and neither knows of passwords


def _environment(report: Mapping[str, Any], machine: Mapping[str, Any] | None) -> dict[str, str]:
    """What points a client at that machine; without one, at the first that has what is asked for."""
    machines = [machine] if machine is not None else report["machines"]
    user = _credentials(Path(report["credentials"]))
    env = {}
    for variable, port in _URLS.items():
        where = next((one["ports"][port] for one in machines if port in one["ports"]), None)
        if where is not None:
            env[variable] = f"http://{where}" if variable in _OPEN else f"http://{user}{where}"
    if machine is None:
        env["ZOOKEEPER"] = _zookeeper(report)
    return env


def _zookeeper(report: Mapping[str, Any]) -> str:
    return ",".join(one["ports"]["2181/tcp"] for one in report["machines"] if "2181/tcp" in one["ports"])


def _endpoints(report: Mapping[str, Any]) -> dict[str, str]:
    """By what answers there; of several that are equals all, with commas between them."""
    found = {}
    for what, port in _SERVICES.items():
        found[what] = ",".join(f"http://{one['ports'][port]}" for one in report["machines"] if port in one["ports"])
    found["zookeeper"] = _zookeeper(report)
    for machine in report["machines"]:
        for port, where in machine["ports"].items():
            if port not in (*_SERVICES.values(), "2181/tcp", "5051/tcp"):  # HAProxy's service ports
                found[f"{machine['name']}:{port}"] = where
    return found


def _credentials(path: Path) -> str:
    """``labkit:…@`` for a URL; nothing when the file is gone."""
    try:
        found = json.loads(path.read_text("ascii"))["credentials"][0]
    except (OSError, ValueError, KeyError, IndexError):
        return ""
    return f"{found['principal']}:{found['secret']}@"

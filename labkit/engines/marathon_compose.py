"""Real Mesos and Marathon: a Compose project on this computer's own Docker engine.

The work is done by ``infra/marathon/up``, ``down`` and ``status``, which people can run by hand as well; this module
runs them, passes their words on, pulls plugs, and stops and starts components. A machine is a container that has the
address; what runs on it shares its network. So a plug that is pulled is pulled for all of them, and a component is
stopped by ending its container.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labkit.engines.base import COMPONENT_VERBS, ComponentInfo, MachineInfo, Progress, Record, Request, check_verb
from labkit.engines.hosts import host_engine, infra, last_words, reachable, run, run_up
from labkit.errors import EngineFailed, NotFound, UsageError

# Options of `labkit.up(…, engine="docker")` and the variables of infra/marathon/.env that they set.
_VARIABLES = {
    "zookeeper": "ZOOKEEPER_IMAGE",
    "mesos_master": "MESOS_MASTER_IMAGE",
    "mesos_agent": "MESOS_AGENT_IMAGE",
    "marathon": "MARATHON_IMAGE",
    "mesos_dns": "MESOS_DNS_IMAGE",
    "marathon_lb": "MARATHON_LB_IMAGE",
    "agent_docker": "AGENT_DOCKER_IMAGE",
    "images": "LABKIT_MARATHON_IMAGES",
}

# What the record keeps beside them; a sandbox that is brought back is asked for with all of it.
_RECORDED = frozenset({"masters", "agents", "speed", "client", "notes", "network"})

_START_TIMEOUT = 60.0
_MACHINE_TIMEOUT = 60.0  # seconds in which a machine that was healed has to come up
_LOOK = 0.3  # seconds between two looks at a machine that starts


class ComposeEngine:
    """Starts real Mesos clusters with the scripts of ``infra/marathon``."""

    name = "docker"

    def up(self, request: Request, progress: Progress) -> Record:
        """Creates the project, or starts what has stopped; takes a minute or two, more when images are pulled first.

        Options: ``images`` (loaded into every agent), and an image for each component (``marathon``, …).
        """
        client = request.options.get("client") or host_engine(os.environ)
        variables = _variables(request.options)
        sizes = ["--masters", str(request.sizes["masters"]), "--agents", str(request.sizes["agents"])]
        report = run_up(
            [*_script("up", request.name, request.state), *sizes],
            {**client, **variables},
            request.timeout,
            progress,
        )
        machines = _machines(report, request.state, reachable(client))
        return Record(
            name=request.name,
            orchestrator=request.orchestrator,
            engine=self.name,
            created=time.time(),
            state=str(request.state),
            run=str(request.run),
            env=machines[0].env,
            endpoints=_endpoints(report),
            machines=tuple(machines),
            options={
                **request.options,
                **request.sizes,
                "client": client,
                "notes": report["notes"],
                "network": report["network"],
            },
        )

    def down(self, record: Record) -> None:
        """Removes the containers, volumes and networks that carry the sandbox's label, and the password."""
        done = run(_script("down", record.name, Path(record.state)), _client(record), timeout=120)
        if done.returncode:
            raise EngineFailed(last_words(done.stderr.splitlines()))

    def alive(self, record: Record) -> bool:
        """Whether any of its machines runs: failing some of them is what a sandbox is for."""
        label = f"label=labkit.sandbox={record.name}"
        try:
            found = run(
                ["docker", "ps", "-q", "--filter", label, "--filter", "label=labkit.machine"], _client(record), 5
            )
        except EngineFailed:
            return False
        return found.returncode == 0 and bool(found.stdout.strip())

    def machines(self, record: Record) -> list[MachineInfo]:
        try:
            report = self._report(record)
        except EngineFailed:
            return [_with_state(machine, "unknown") for machine in record.machines]
        return _machines(report, Path(record.state), any(machine.address for machine in record.machines))

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        """Ends, freezes or unplugs all containers of a machine. ``heal`` returns before its components answer again."""
        check_verb(record, machine, verb)
        _Plug(record, machine).act(verb, **options)

    def components(self, record: Record) -> list[ComponentInfo]:
        try:
            report = self._report(record)
        except EngineFailed:
            return []
        return [ComponentInfo(one["name"], one["machine"], one["state"]) for one in report["components"]]

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        """Kills the component's container, or starts it. One that was killed is not restarted by Docker."""
        record.machine(machine)
        if verb not in COMPONENT_VERBS:
            raise UsageError(f"a component has no {verb!r}; there are {' and '.join(COMPONENT_VERBS)}")
        found = [one for one in self._report(record)["components"] if (one["machine"], one["name"]) == (machine, name)]
        if not found:
            raise NotFound(f"{machine} has no component {name!r}")
        running = found[0]["state"] == "running"
        if running == (verb == "stop"):
            _docker(record, "kill" if running else "start", found[0]["container"])

    def describe(self, record: Record) -> dict[str, Any]:
        return {"notes": list(record.options.get("notes", ())), "speed": 1.0}

    def _report(self, record: Record) -> dict[str, Any]:
        done = run(_script("status", record.name, Path(record.state)), _client(record))
        if done.returncode:
            raise EngineFailed(last_words(done.stderr.splitlines()))
        report: dict[str, Any] = json.loads(done.stdout)
        return report


class _Plug:
    """One machine's plug. What docker cannot tell afterwards (slow, cut from some only) is noted in a file."""

    def __init__(self, record: Record, machine: str) -> None:
        self.record = record
        self.machine = machine
        self.container = f"labkit-{record.name}-{machine}-1"
        self.network = str(record.options.get("network", f"labkit-{record.name}-nodes"))
        self.mark = _mark(Path(record.state), machine)

    def act(self, verb: str, **options: Any) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "fail": self.fail,
            "heal": self.heal,
            "pause": self.pause,
            "partition": self.partition,
            "slow": self.slow,
        }
        verbs[verb](**options)

    def fail(self) -> None:
        for name, state in self._containers():
            if state == "paused":  # a frozen process does not even die
                self._docker("unpause", name)
            if state != "exited":
                self._docker("kill", name)

    def pause(self) -> None:
        if self._state() == "exited":
            raise UsageError(f"{self.machine} is down; heal it first")
        for name, state in self._containers():
            if state == "running":
                self._docker("pause", name)

    def partition(self, others: list[str] | None = None) -> None:
        """``others`` are the machines on the same side of the cut; alone, its network is simply unplugged."""
        if not others:
            if self._on_network():
                self._docker("network", "disconnect", self.network, self.container)
            return
        together = [self.machine, *others]
        away = [machine.name for machine in self.record.machines if machine.name not in together]
        if not away:
            raise UsageError("a partition has two sides: name some of the machines, not all")
        for machine in together:
            plug = _Plug(self.record, machine)
            for other in away:
                address = _Plug(self.record, other).address()
                plug._inside("ip", "route", "replace", "blackhole", address, hint="cannot cut single machines off here")
            plug._note("partitioned " + " ".join(away))

    def slow(self, seconds: float = 0.5) -> None:
        if self._state() != "running":
            raise UsageError(f"{self.machine} is not up; heal it first")
        self._inside(
            *("tc", "qdisc", "replace", "dev", "eth1", "root", "netem", "delay", f"{int(seconds * 1000)}ms"),
            hint="slowing a real machine needs tc in its image and sch_netem in the kernel; embedded machines do it",
        )
        self._note(f"slow {seconds}")

    def heal(self) -> None:
        states = self._containers()
        for name, state in states:
            if state == "paused":
                self._docker("unpause", name)
        if self.mark.exists():
            if self._state() == "running":
                self._undo_mark()
            self.mark.unlink()
        if not self._on_network():
            # The address is part of the machine: all of Mesos knows it by that.
            self._docker("network", "connect", "--ip", self.address(), self.network, self.container)
        if dict(states).get(self.container) == "exited":
            # The machine comes first, and has to run before the others can share its network; the agent wants its
            # dockerd, too. A component that a person had stopped comes as well.
            self._docker("start", self.container)
            self._wait_for_machine()
            for name, _ in states:
                if name != self.container:
                    self._docker("start", name)

    def _wait_for_machine(self) -> None:
        """Until its health check is content; a master's machine has none."""
        form = "{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}"
        deadline = time.monotonic() + _MACHINE_TIMEOUT
        while self._docker("inspect", "-f", form, self.container).strip() != "healthy":
            if time.monotonic() > deadline:
                raise EngineFailed(f"{self.machine} did not come up again: see `docker logs {self.container}`")
            time.sleep(_LOOK)

    def _undo_mark(self) -> None:
        what, *others = self.mark.read_text().split()
        if what == "slow":
            self._inside("tc", "qdisc", "del", "dev", "eth1", "root", hint="the delay could not be taken away")
        for other in others if what == "partitioned" else ():
            address = _Plug(self.record, other).address()
            self._inside("ip", "route", "del", "blackhole", address, hint=f"{other} could not be connected again")

    def _note(self, words: str) -> None:
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        self.mark.write_text(words)

    def _containers(self) -> list[tuple[str, str]]:
        """Everything of this machine: (container, "running" | "paused" | "exited"), the machine itself last."""
        sandbox, machine = f"label=labkit.sandbox={self.record.name}", f"label=labkit.machine={self.machine}"
        listed = self._docker("ps", "-a", "--filter", sandbox, "--filter", machine, "--format", "{{.Names}} {{.State}}")
        found = [(name, state) for name, state in map(str.split, listed.splitlines())]
        return sorted(
            ((name, state if state in ("running", "paused") else "exited") for name, state in found),
            key=lambda one: one[0] == self.container,
        )

    def _state(self) -> str:
        return dict(self._containers()).get(self.container, "exited")

    def _on_network(self) -> bool:
        form = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
        return self.network in self._docker("inspect", "-f", form, self.container).split()

    def address(self) -> str:
        return self._docker("inspect", "-f", '{{index .Config.Labels "labkit.address"}}', self.container).strip()

    def _inside(self, *command: str, hint: str) -> str:
        try:
            return self._docker("exec", "-u", "root", self.container, *command)
        except EngineFailed as error:
            raise EngineFailed(f"{hint} ({error})") from error

    def _docker(self, *arguments: str) -> str:
        return _docker(self.record, *arguments)


def _docker(record: Record, *arguments: str) -> str:
    done = run(["docker", *arguments], _client(record), timeout=_START_TIMEOUT)
    if done.returncode:
        raise EngineFailed(last_words(done.stderr.splitlines()))
    return done.stdout


def _variables(options: Mapping[str, Any]) -> dict[str, str]:
    """The scripts' variables; an option that there is not is said by name."""
    variables: dict[str, str] = {}
    for key, value in options.items():
        if key in _VARIABLES:
            variables[_VARIABLES[key]] = value if isinstance(value, str) else " ".join(value)
        elif key not in _RECORDED:
            raise UsageError(f"the docker engine of Marathon has no option {key!r}; it has {', '.join(_VARIABLES)}")
    return variables


def _script(verb: str, name: str, state: Path) -> list[str]:
    # Through bash: a wheel does not keep the executable bit.
    return ["bash", str(infra("marathon") / verb), "--name", name, "--state", str(state)]


def _client(record: Record) -> dict[str, str]:
    """The engine that the sandbox was started on, whatever this process's own variables say now."""
    client = record.options.get("client")
    return dict(client) if client is not None else host_engine(os.environ)


def _mark(state: Path, machine: str) -> Path:
    return state / "plugs" / machine


def _machines(report: Mapping[str, Any], state: Path, reachable: bool) -> list[MachineInfo]:
    found = []
    shared = _environment(report, None)
    for machine in report["machines"]:
        condition = machine["state"]
        mark = _mark(state, machine["name"])
        if condition == "up" and mark.exists():
            condition = mark.read_text().split()[0]
        env = {**shared, **_environment(report, machine)}
        address = machine["address"] if reachable else ""
        found.append(MachineInfo(machine["name"], machine["role"], condition, address, env))
    return found


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


def _with_state(machine: MachineInfo, state: str) -> MachineInfo:
    return MachineInfo(machine.name, machine.role, state, machine.address, machine.env)

"""The real thing: every machine is a dockerd in a privileged container on this computer's own Docker engine.

The work is done by ``infra/swarm/up``, ``down`` and ``status``, which people can run by hand as well; this module runs
them, passes their words on, and pulls plugs. The Docker engine is the only record: a machine's container is found by
its label, so a kernel that knows nothing but the sandbox's name can end it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labkit.engines.base import MachineInfo, NoComponents, Progress, Record, Request, check_verb
from labkit.engines.hosts import host_engine, infra, last_words, reachable, run, run_up
from labkit.errors import EngineFailed, UsageError

# Options of `labkit.up(…, engine="docker", image=…)` and the variables of infra/swarm/up that they set.
_VARIABLES = {"image": "LABKIT_SWARM_NODE_IMAGE", "images": "LABKIT_SWARM_IMAGES", "mirror": "LABKIT_SWARM_MIRROR"}

# What the record keeps beside them; a sandbox that is brought back is asked for with all of it.
_RECORDED = frozenset({"managers", "workers", "plain", "speed", "client", "notes", "network"})


class DockerEngine(NoComponents):
    """Starts real swarms with the scripts of ``infra/swarm``."""

    name = "docker"

    def up(self, request: Request, progress: Progress) -> Record:
        """Starts the nodes, or those that stopped; takes 10 to 60 s, more when images are pulled first.

        Options: ``image`` (the node's), ``images`` (loaded into every node), ``mirror`` (the registry's image or
        ``"none"``), ``ports`` (published on loopback too).
        """
        client = request.options.get("client") or host_engine(os.environ)
        variables, arguments = _settings(request)
        report = run_up(
            [*_script("up", request.name, request.state), *arguments],
            {**client, **variables},
            request.timeout,
            progress,
        )
        machines = _machines(report, request.state, reachable(client))
        first = machines[0]
        # Only a plain value survives in the record; notes are for `describe`.
        options = {
            **request.options,
            **request.sizes,
            "client": client,
            "notes": report["notes"],
            "network": report["network"],
        }
        endpoints = {"docker": first.docker_host}
        for machine in report["machines"]:
            for port, where in machine["ports"].items():
                endpoints[f"{machine['name']}:{port}"] = where
        return Record(
            name=request.name,
            orchestrator=request.orchestrator,
            engine=self.name,
            created=time.time(),
            state=str(request.state),
            run=str(request.run),
            env=first.env,
            endpoints=endpoints,
            machines=tuple(machines),
            options=options,
        )

    def down(self, record: Record) -> None:
        """Removes the containers, volumes and networks that carry the sandbox's label, and the certificates."""
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
        done = run(_script("status", record.name, Path(record.state)), _client(record))
        if done.returncode:
            return [_with_state(machine, "unknown") for machine in record.machines]
        reachable = any(machine.address for machine in record.machines)
        return _machines(json.loads(done.stdout), Path(record.state), reachable)

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        """Stops, freezes or unplugs the node's container. ``heal`` returns before its dockerd answers again."""
        check_verb(record, machine, verb)
        _Plug(record, machine).act(verb, **options)

    def describe(self, record: Record) -> dict[str, Any]:
        return {"notes": list(record.options.get("notes", ())), "speed": 1.0}


class _Plug:
    """One machine's plug. What docker cannot tell afterwards (slow, cut from some only) is noted in a file."""

    def __init__(self, record: Record, machine: str) -> None:
        self.record = record
        self.machine = machine
        self.container = f"labkit-{record.name}-{machine}"
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
        state = self._state()
        if state == "paused":  # a frozen process does not even die
            self._docker("unpause", self.container)
        if state != "down":
            self._docker("kill", self.container)

    def pause(self) -> None:
        state = self._state()
        if state == "down":
            raise UsageError(f"{self.machine} is down; heal it first")
        if state != "paused":
            self._docker("pause", self.container)

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
                address = self._address(f"labkit-{self.record.name}-{other}")
                plug._inside("ip", "route", "replace", "blackhole", address, hint="cannot cut single machines off here")
            plug._note("partitioned " + " ".join(away))

    def slow(self, seconds: float = 0.5) -> None:
        if self._state() != "up":
            raise UsageError(f"{self.machine} is not up; heal it first")
        self._inside(
            *("tc", "qdisc", "replace", "dev", self._device(), "root", "netem", "delay", f"{int(seconds * 1000)}ms"),
            hint="slowing a real machine needs tc in its image and sch_netem in the kernel; embedded machines do it",
        )
        self._note(f"slow {seconds}")

    def heal(self) -> None:
        state = self._state()
        if state == "paused":
            self._docker("unpause", self.container)
        if self.mark.exists():
            if state != "down":
                self._undo_mark()
            self.mark.unlink()
        if not self._on_network():
            # The address is part of the machine: managers know each other by it.
            self._docker("network", "connect", "--ip", self._address(self.container), self.network, self.container)
        if state == "down":
            self._docker("start", self.container)

    def _undo_mark(self) -> None:
        what, *others = self.mark.read_text().split()
        if what == "slow":
            self._inside("tc", "qdisc", "del", "dev", self._device(), "root", hint="the delay could not be taken away")
        for other in others if what == "partitioned" else ():
            address = self._address(f"labkit-{self.record.name}-{other}")
            self._inside("ip", "route", "del", "blackhole", address, hint=f"{other} could not be connected again")

    def _note(self, words: str) -> None:
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        self.mark.write_text(words)

    def _device(self) -> str:
        address = self._address(self.container)
        for line in self._inside("ip", "-o", "-4", "addr", hint="the node image has no ip command").splitlines():
            if f" {address}/" in line:
                return line.split()[1]
        raise EngineFailed(f"{self.machine} is not on its network")

    def _state(self) -> str:
        form = "{{if .State.Paused}}paused{{else if .State.Running}}up{{else}}down{{end}}"
        return self._docker("inspect", "-f", form, self.container).strip()

    def _on_network(self) -> bool:
        form = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
        return self.network in self._docker("inspect", "-f", form, self.container).split()

    def _address(self, container: str) -> str:
        return self._docker("inspect", "-f", '{{index .Config.Labels "labkit.address"}}', container).strip()

    def _inside(self, *command: str, hint: str) -> str:
        try:
            return self._docker("exec", self.container, *command)
        except EngineFailed as error:
            raise EngineFailed(f"{hint} ({error})") from error

    def _docker(self, *arguments: str) -> str:
        done = run(["docker", *arguments], _client(self.record))
        if done.returncode:
            raise EngineFailed(last_words(done.stderr.splitlines()))
        return done.stdout


def _settings(request: Request) -> tuple[dict[str, str], list[str]]:
    """The script's variables and arguments for a request; an option that it does not have is said by name."""
    variables: dict[str, str] = {}
    arguments = ["--managers", str(request.sizes["managers"]), "--workers", str(request.sizes["workers"])]
    if request.sizes["plain"]:
        arguments.append("--plain")
    for key, value in request.options.items():
        if key in _VARIABLES:
            variables[_VARIABLES[key]] = value if isinstance(value, str) else " ".join(value)
        elif key == "ports":
            for port in value:
                arguments += ["--port", str(port)]
        elif key not in _RECORDED:
            known = ", ".join([*_VARIABLES, "ports"])
            raise UsageError(f"the docker engine has no option {key!r}; it has {known}")
    return variables, arguments


def _script(verb: str, name: str, state: Path) -> list[str]:
    # Through bash: a wheel does not keep the executable bit.
    return ["bash", str(infra("swarm") / verb), "--name", name, "--state", str(state)]


def _client(record: Record) -> dict[str, str]:
    """The engine that the sandbox was started on, whatever this process's own variables say now."""
    client = record.options.get("client")
    return dict(client) if client is not None else host_engine(os.environ)


def _mark(state: Path, machine: str) -> Path:
    return state / "plugs" / machine


def _machines(report: Mapping[str, Any], state: Path, reachable: bool) -> list[MachineInfo]:
    found = []
    for machine in report["machines"]:
        condition = machine["state"]
        mark = _mark(state, machine["name"])
        if condition == "up" and mark.exists():
            condition = mark.read_text().split()[0]
        env = {
            "DOCKER_HOST": machine["docker_host"],
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": machine["cert_path"],
        }
        address = machine["address"] if reachable else ""
        found.append(MachineInfo(machine["name"], machine["role"], condition, address, env))
    return found


def _with_state(machine: MachineInfo, state: str) -> MachineInfo:
    return MachineInfo(machine.name, machine.role, state, machine.address, machine.env)

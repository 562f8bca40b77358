"""The real thing: every machine is a dockerd in a privileged container on this computer's own Docker engine.

The work is done by ``infra/swarm/up``, ``down`` and ``status``, which people can run by hand as well; this module runs
them, passes their words on, and pulls plugs. The Docker engine is the only record: a machine's container is found by
its label, so a kernel that knows nothing but the sandbox's name can end it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labkit.engines.base import MachineInfo, Progress, Record, Request, check_verb
from labkit.errors import EngineFailed, UsageError
from labkit.registry import Registry

# What tells the docker CLI which engine to talk to.
_CLIENT_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT", "DOCKER_CONFIG")
_QUICK = 20.0  # seconds for a single docker command

# Options of `labkit.up(…, engine="docker", image=…)` and the variables of infra/swarm/up that they set.
_VARIABLES = {"image": "LABKIT_SWARM_NODE_IMAGE", "images": "LABKIT_SWARM_IMAGES", "mirror": "LABKIT_SWARM_MIRROR"}

# What the record keeps beside them; a sandbox that is brought back is asked for with all of it.
_RECORDED = frozenset({"managers", "workers", "plain", "speed", "client", "notes", "network"})


def infra(name: str) -> Path:
    """The folder ``infra/<name>``: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "infra" / name, package / "_infra" / name):
        if (folder / "up").is_file():
            return folder
    raise EngineFailed(f"infra/{name} is missing from this installation of labkit")


def host_engine(environ: Mapping[str, str], registry: Registry | None = None) -> dict[str, str]:
    """The variables that lead to the computer's own engine.

    A kernel that holds a sandbox has ``DOCKER_HOST`` set to it, and machines must not be started inside a machine.
    """
    found = {key: environ[key] for key in _CLIENT_VARIABLES if environ.get(key)}
    host = found.get("DOCKER_HOST", "")
    registry = registry or Registry()
    ours = {machine.docker_host for record in registry.all() for machine in record.machines}
    # The folders tell it even of a sandbox that somebody else has ended meanwhile.
    folders = (f"unix://{registry.paths.runtime}/", f"{registry.paths.state}/")
    if host in ours or f"{host}/".startswith(folders) or found.get("DOCKER_CERT_PATH", "").startswith(folders):
        for key in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
            found.pop(key, None)
    return found


class DockerEngine:
    """Starts real swarms with the scripts of ``infra/swarm``."""

    name = "docker"

    def up(self, request: Request, progress: Progress) -> Record:
        """Starts the nodes, or those that stopped; takes 10 to 60 s, more when images are pulled first.

        Options: ``image`` (the node's), ``images`` (loaded into every node), ``mirror`` (the registry's image or
        ``"none"``), ``ports`` (published on loopback too).
        """
        if request.orchestrator != "swarm":
            raise UsageError(f"the docker engine cannot run {request.orchestrator!r} yet; it runs 'swarm'")
        client = request.options.get("client") or host_engine(os.environ)
        variables, arguments = _settings(request)
        report = _run_up(
            [*_script("up", request.name, request.state), *arguments],
            {**client, **variables},
            request.timeout,
            progress,
        )
        machines = _machines(report, request.state, _reachable(client))
        first = machines[0]
        # Only a plain value survives in the record; notes are for `describe`.
        options = {
            **request.options,
            "managers": request.managers,
            "workers": request.workers,
            "plain": request.plain,
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
        done = _run(_script("down", record.name, Path(record.state)), _client(record), timeout=120)
        if done.returncode:
            raise EngineFailed(_last_words(done.stderr.splitlines()))

    def alive(self, record: Record) -> bool:
        """Whether any of its machines runs: failing some of them is what a sandbox is for."""
        label = f"label=labkit.sandbox={record.name}"
        try:
            found = _run(
                ["docker", "ps", "-q", "--filter", label, "--filter", "label=labkit.machine"], _client(record), 5
            )
        except EngineFailed:
            return False
        return found.returncode == 0 and bool(found.stdout.strip())

    def machines(self, record: Record) -> list[MachineInfo]:
        done = _run(_script("status", record.name, Path(record.state)), _client(record))
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
        if others is None:
            if self._on_network():
                self._docker("network", "disconnect", self.network, self.container)
            return
        for other in others:
            address = self._address(f"labkit-{self.record.name}-{self.record.machine(other).name}")
            self._inside("ip", "route", "replace", "blackhole", address, hint="cannot cut single machines off here")
        self._note("partitioned " + " ".join(others))

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
        done = _run(["docker", *arguments], _client(self.record))
        if done.returncode:
            raise EngineFailed(_last_words(done.stderr.splitlines()))
        return done.stdout


def _settings(request: Request) -> tuple[dict[str, str], list[str]]:
    """The script's variables and arguments for a request; an option that it does not have is said by name."""
    variables: dict[str, str] = {}
    arguments = ["--managers", str(request.managers), "--workers", str(request.workers)]
    if request.plain:
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


def client_environment(client: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the docker CLI pointed at an engine; without one, at the computer's own."""
    client = host_engine(os.environ) if client is None else client
    return {key: value for key, value in os.environ.items() if key not in _CLIENT_VARIABLES} | dict(client)


def _run(command: list[str], client: Mapping[str, str], timeout: float = _QUICK) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=client_environment(client),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise EngineFailed(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EngineFailed(f"the Docker engine did not answer in {timeout:.0f} s ({' '.join(command[:2])})") from error


def _run_up(command: list[str], variables: Mapping[str, str], timeout: float, progress: Progress) -> dict[str, Any]:
    """Runs the script, hands its words on line by line, and returns its report.

    It has its own process group, so that when the time is over (or on Ctrl-C) one signal reaches it and its docker
    commands, and it takes down what it made.
    """
    process = subprocess.Popen(
        command,
        env=client_environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: deque[str] = deque(maxlen=20)
    output: list[str] = []
    reader = threading.Thread(target=lambda out=process.stdout: output.append(out.read()), daemon=True)
    reader.start()
    out_of_time = threading.Event()

    def stop() -> None:
        out_of_time.set()
        os.killpg(process.pid, signal.SIGTERM)

    timer = threading.Timer(timeout, stop)
    timer.start()
    try:
        for line in process.stderr:
            said.append(line.rstrip())
            progress(line.rstrip())
        process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    finally:
        timer.cancel()
        reader.join()
        process.stderr.close()
        process.stdout.close()
    if out_of_time.is_set():
        raise EngineFailed(f"the swarm was not ready in {timeout:.0f} s; the last step was: {_last_step(said)}")
    if process.returncode:
        raise EngineFailed(_last_words(said))
    report: dict[str, Any] = json.loads(output[0].splitlines()[-1])
    return report


def _last_words(lines: deque[str] | list[str]) -> str:
    """Why a script failed, in one line: its own `error:`, with the words of Docker before it when there are any."""
    for index, line in enumerate(lines):
        if line.startswith("error: "):
            before = [earlier for earlier in list(lines)[:index] if earlier.startswith("Error response from daemon")]
            return line.removeprefix("error: ") + (f" ({before[-1]})" if before else "")
    return next((line for line in reversed(lines) if line.strip()), "docker failed without a word")


def _last_step(lines: deque[str]) -> str:
    cleaning = {"taking down what was made"}
    return next((line for line in reversed(lines) if line not in cleaning and not line.startswith("removing ")), "none")


def _reachable(client: Mapping[str, str]) -> bool:
    """Whether a container's own address answers from here: on Linux yes, through Docker Desktop's machine no."""
    if not sys.platform.startswith("linux"):
        return False
    system = _run(["docker", "info", "--format", "{{.OperatingSystem}}"], client)
    return "Docker Desktop" not in system.stdout


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

"""labkit's own servers: one background process a sandbox, no Docker, ready within a second."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from labkit.engines.base import ComponentInfo, MachineInfo, Progress, Record, Request, check_verb
from labkit.engines.control import call
from labkit.errors import EngineFailed, UsageError
from labkit.registry import process_runs, start_time

_GRACE = 5.0  # seconds that a shutdown may take before it is asked again, harder
_TERM_GRACE = 3.0
_LOG_TAIL = 12  # lines of the engine's log that a failed start shows

# Engines that this process started. They outlive it, but while it lives it is their parent and has to collect them.
_children: dict[int, subprocess.Popen[bytes]] = {}


class EmbeddedEngine:
    """Starts, finds and ends ``python -m labkit.embedded``."""

    name = "embedded"

    def up(self, request: Request, progress: Progress) -> Record:
        for pid in _processes_of(request.state):  # of an `up` that was killed before it could write its record
            _end(pid, start_time(pid), gently=True)
        shutil.rmtree(request.run, ignore_errors=True)  # sockets that a `kill -9` left behind
        request.run.mkdir(mode=0o700, parents=True)
        request.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        started = time.monotonic()
        process, ready = _spawn(request)
        try:
            status = _await_ready(process, ready, request, progress)
        except BaseException:
            _end(process.pid, start_time(process.pid), gently=False)
            shutil.rmtree(request.run, ignore_errors=True)
            raise
        finally:
            os.close(ready)
        progress(f"Ready in {time.monotonic() - started:.2f} s: {len(status['machines'])} machines, one process.")
        for note in status.get("notes", ()):
            progress(f"Note: {note}")
        machines = _machines(status)
        env = _environment(status)
        return Record(
            name=request.name,
            orchestrator=request.orchestrator,
            engine=self.name,
            created=time.time(),
            state=str(request.state),
            run=str(request.run),
            pid=process.pid,
            pid_started=start_time(process.pid),
            env=env,
            endpoints={**_endpoints(status), "control": f"unix://{_control_socket(request.run)}"},
            machines=tuple(machines),
            options={**request.sizes, "speed": request.speed},
        )

    def down(self, record: Record) -> None:
        if process_runs(record.pid, record.pid_started):
            with contextlib.suppress(OSError, EngineFailed):
                call(_control(record), "POST", "/shutdown", timeout=_GRACE)
            _end(record.pid, record.pid_started, gently=True)
        for pid in _processes_of(Path(record.state)):
            _end(pid, start_time(pid), gently=True)
        shutil.rmtree(record.run, ignore_errors=True)
        shutil.rmtree(record.state, ignore_errors=True)

    def alive(self, record: Record) -> bool:
        return process_runs(record.pid, record.pid_started)

    def machines(self, record: Record) -> list[MachineInfo]:
        try:
            return _machines(call(_control(record), "GET", "/status", timeout=2.0))
        except (OSError, EngineFailed):
            return [replace(machine, state="unknown") for machine in record.machines]

    def plug(self, record: Record, machine: str, verb: str, **options: Any) -> None:
        check_verb(record, machine, verb)
        body: dict[str, Any] = {}
        if verb == "slow":
            body["seconds"] = options.get("seconds", 0.5)
        if verb == "partition":
            # The engine wants to hear whom it is cut off from; whoever is not named stays with it.
            together = {machine, *options.get("others", ())}
            body["from"] = [m.name for m in record.machines if m.name not in together]
            if not body["from"]:
                raise UsageError("a partition has two sides: name some of the machines, not all")
        self._ask(record, f"/machines/{machine}/{verb}", body)

    def set_speed(self, record: Record, factor: float) -> None:
        self._ask(record, "/clock", {"speed": factor})

    def components(self, record: Record) -> list[ComponentInfo]:
        try:
            status = call(_control(record), "GET", "/status", timeout=2.0)
        except (OSError, EngineFailed):
            return []
        return [ComponentInfo(**component) for component in status.get("components", ())]

    def component(self, record: Record, machine: str, name: str, verb: str) -> None:
        self._ask(record, f"/components/{machine}/{name}/{verb}", {})

    def explain(self, record: Record, namespace: str, pod: str) -> dict[str, Any] | None:
        """The scheduler's own table about a pod, node by node; None when it has nothing to say of it.

        No real engine has the like: a kube-scheduler forgets how it decided.
        """
        url = f"/explain/{quote(namespace, safe='')}/{quote(pod, safe='')}"
        try:
            told: dict[str, Any] = call(_control(record), "GET", url, timeout=2.0)
        except (OSError, EngineFailed):
            return None
        return told

    def describe(self, record: Record) -> dict[str, Any]:
        try:
            status = call(_control(record), "GET", "/status", timeout=2.0)
        except (OSError, EngineFailed) as error:
            return {"notes": [f"the engine does not answer: {error}"], "log": str(_log(Path(record.state)))}
        told = {key: status[key] for key in ("speed", "block", "notes", "elsewhere", "components") if key in status}
        return {**told, "log": str(_log(Path(record.state)))}

    def _ask(self, record: Record, url: str, body: Mapping[str, Any]) -> None:
        if not self.alive(record):
            raise EngineFailed(f"“{record.name}” has stopped; `labkit up {record.orchestrator}` brings it back")
        try:
            call(_control(record), "POST", url, body)
        except OSError as error:
            raise EngineFailed(f"the engine of “{record.name}” (pid {record.pid}) does not answer: {error}") from error


def _control(record: Record) -> Path:
    return _control_socket(Path(record.run))


def _control_socket(run: Path) -> Path:
    return run / "control.sock"


def _machines(status: Mapping[str, Any]) -> list[MachineInfo]:
    return [
        MachineInfo(
            name=machine["name"],
            role=machine.get("role") or "",
            state=machine["state"],
            address=machine["address"],
            env=_environment({**status, **machine, "machines": [machine]}),
        )
        for machine in status["machines"]
    ]


def _environment(status: Mapping[str, Any]) -> dict[str, str]:
    """What points a client at the sandbox: its own words, its API server, or its first Docker host."""
    if "env" in status:
        return dict(status["env"])
    if "kubeconfig" in status:
        return {"KUBECONFIG": status["kubeconfig"]}
    return {"DOCKER_HOST": status["machines"][0]["docker_host"]}


def _endpoints(status: Mapping[str, Any]) -> dict[str, str]:
    if "endpoints" in status:  # of several that are equals: all, the first one first
        return {
            what: where if isinstance(where, str) else ",".join(where) for what, where in status["endpoints"].items()
        }
    if "kubeconfig" in status:
        return {"kubernetes": status["server"]}
    return {"docker": status["machines"][0]["docker_host"]}


def _command(request: Request, ready: int) -> list[str]:
    command = [sys.executable, "-m", "labkit.embedded", request.orchestrator]
    command += ["--name", request.name, "--state", str(request.state), "--run", str(request.run)]
    command += ["--speed", f"{request.speed:g}", "--ready-fd", str(ready)]
    for size, value in request.sizes.items():
        if value is True:
            command.append(f"--{size}")
        elif value is not False:
            command += [f"--{size}", str(value)]
    return command


def _log(state: Path) -> Path:
    """The file that the engine's own words go to."""
    return state / "engine.log"


def _spawn(request: Request) -> tuple[subprocess.Popen[bytes], int]:
    """The engine's process, and the end of a pipe on which it will say that it is ready."""
    log = _log(request.state)
    with contextlib.suppress(OSError):
        log.replace(log.with_suffix(".log.1"))  # the last words of the one before
    reading, writing = os.pipe()
    try:
        with open(log, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            process = subprocess.Popen(
                _command(request, writing),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                start_new_session=True,  # neither Ctrl-C nor the end of a kernel reaches it
                cwd="/",  # so that it holds nobody's folder or mount
            )
    except OSError as error:
        os.close(reading)
        raise EngineFailed(f"cannot start {sys.executable}: {error.strerror}") from error
    finally:
        os.close(writing)
    _children[process.pid] = process
    return process, reading


def _await_ready(process: subprocess.Popen[bytes], ready: int, request: Request, progress: Progress) -> dict[str, Any]:
    """The status that the engine announces; EngineFailed with its last words if it announces none."""
    deadline = time.monotonic() + request.timeout
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([ready], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            problem = f"was not ready within {request.timeout:g} s"
            break
        chunk = os.read(ready, 65536)
        if not chunk:
            problem = f"ended with status {_collect(process)}"
            break
        line += chunk
    else:
        answer: dict[str, Any] = json.loads(line)
        if "error" not in answer:
            return answer
        problem = f"could not start: {answer['error']}"
    tail = _tail(_log(request.state))
    for text in tail:
        progress(f"  engine: {text}")
    last = f" ({tail[-1]})" if tail and "could not start" not in problem else ""
    raise EngineFailed(f"the engine of “{request.name}” {problem}{last}")


def _collect(process: subprocess.Popen[bytes]) -> str:
    try:
        return str(process.wait(timeout=2.0))
    except subprocess.TimeoutExpired:
        return "unknown"


def _tail(log: Path) -> list[str]:
    try:
        text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-_LOG_TAIL:]


def _processes_of(state: Path) -> list[int]:
    """Engines that use this state folder, by their own arguments: a killed `up` leaves no record of them."""
    if not state.exists():
        return []
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        arguments = process.info["cmdline"] or []
        ours = "labkit.embedded" in arguments and "--state" in arguments and str(state) in arguments
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def _end(pid: int, started: float, *, gently: bool) -> None:
    """Sees to it that the process is gone: waits, asks (SIGTERM), then insists (SIGKILL)."""
    steps = [(None, _GRACE), (signal.SIGTERM, _TERM_GRACE)] if gently else []
    for number, patience in [*steps, (signal.SIGKILL, 5.0)]:
        if number is not None and process_runs(pid, started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while process_runs(pid, started) and time.monotonic() < deadline:
            time.sleep(0.01)
    child = _children.pop(pid, None)
    if child is not None:
        child.wait(timeout=5.0)
    if process_runs(pid, started):
        raise EngineFailed(f"process {pid} does not end")

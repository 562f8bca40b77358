"""This computer's own Docker engine, and the scripts of ``infra/`` that stand real clusters up on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.engines.base import Progress, Record
from labkit.errors import EngineFailed
from labkit.registry import Registry

# What tells the docker CLI which engine to talk to.
_CLIENT_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT", "DOCKER_CONFIG")
QUICK = 20.0  # seconds for a single docker command


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
    ours = {machine.docker_host for record in registry.all() for machine in record.machines if machine.docker_host}
    # The folders tell it even of a sandbox that somebody else has ended meanwhile.
    folders = (f"unix://{registry.paths.runtime}/", f"{registry.paths.state}/")
    if host in ours or f"{host}/".startswith(folders) or found.get("DOCKER_CERT_PATH", "").startswith(folders):
        for key in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
            found.pop(key, None)
    return found


def client_environment(client: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the docker CLI pointed at an engine; without one, at the computer's own."""
    client = host_engine(os.environ) if client is None else client
    return {key: value for key, value in os.environ.items() if key not in _CLIENT_VARIABLES} | dict(client)


def run(command: list[str], client: Mapping[str, str], timeout: float = QUICK) -> subprocess.CompletedProcess[str]:
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


def script(folder: str, verb: str, name: str, state: Path) -> list[str]:
    """The command that runs a script of ``infra/<folder>`` for a sandbox."""
    # Through bash: a wheel does not keep the executable bit.
    return ["bash", str(infra(folder) / verb), "--name", name, "--state", str(state)]


def client_of(record: Record) -> dict[str, str]:
    """The engine that the sandbox was started on, whatever this process's own variables say now."""
    client = record.options.get("client")
    return dict(client) if client is not None else host_engine(os.environ)


def docker(record: Record, *arguments: str, timeout: float = QUICK) -> str:
    """What a docker command says, asked of the engine that the sandbox was started on; EngineFailed with its words."""
    done = run(["docker", *arguments], client_of(record), timeout)
    if done.returncode:
        raise EngineFailed(last_words(done.stderr.splitlines()))
    return done.stdout


def run_up(command: list[str], variables: Mapping[str, str], timeout: float, progress: Progress) -> dict[str, Any]:
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
        raise EngineFailed(f"the cluster was not ready in {timeout:.0f} s; the last step was: {_last_step(said)}")
    if process.returncode:
        raise EngineFailed(last_words(said))
    report: dict[str, Any] = json.loads(output[0].splitlines()[-1])
    return report


def last_words(lines: deque[str] | list[str]) -> str:
    """Why a script failed, in one line: its own `error:`, with the words of Docker before it when there are any."""
    for index, line in enumerate(lines):
        if line.startswith("error: "):
            before = [earlier for earlier in list(lines)[:index] if earlier.startswith("Error response from daemon")]
            return line.removeprefix("error: ") + (f" ({before[-1]})" if before else "")
    return next((line for line in reversed(lines) if line.strip()), "docker failed without a word")


def _last_step(lines: deque[str]) -> str:
    cleaning = {"taking down what was made"}
    return next((line for line in reversed(lines) if line not in cleaning and not line.startswith("removing ")), "none")


def reachable(client: Mapping[str, str]) -> bool:
    """Whether a container's own address answers from here: on Linux yes, through Docker Desktop's machine no."""
    if not sys.platform.startswith("linux"):
        return False
    system = run(["docker", "info", "--format", "{{.OperatingSystem}}"], client)
    return "Docker Desktop" not in system.stdout

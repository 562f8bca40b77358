"""``docker exec``: processes that join a running container."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.streams import Pipe
from labkit.embedded.runtime.users import UnknownUser
from labkit.embedded.swarm.errors import BadRequest, Conflict, NotFound
from labkit.embedded.swarm.objects import Json

from .container import Container

if TYPE_CHECKING:
    from .host import Host

KEPT = 300.0  # seconds for which an exec that has ended can still be inspected (moby's clean-up runs every 5 minutes)


@dataclass(slots=True, eq=False)
class Exec:
    """One ``exec``, from its creation on."""

    id: str
    container: Container
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    tty: bool = False
    stdin_open: bool = False
    stdout_open: bool = True
    stderr_open: bool = True
    user: str = ""
    workdir: str = ""
    privileged: bool = False
    detach_keys: str = ""
    health: bool = False
    log: Log | None = None
    stdin: Pipe | None = None
    process: Process | None = None
    running: bool = False
    exit_code: int | None = None

    def output(self) -> bytes:
        """All that it has written."""
        return b"".join(line.data for line in self.log.lines()) if self.log is not None else b""

    def json(self) -> Json:
        """``GET /exec/{id}/json``."""
        config: Json = {
            "tty": self.tty,
            "entrypoint": self.command[0],
            "arguments": self.command[1:],
            "privileged": self.privileged,
        }
        if self.user:
            config["user"] = self.user
        return {
            "ID": self.id,
            "Running": self.running,
            "ExitCode": self.exit_code,
            "ProcessConfig": config,
            "OpenStdin": self.stdin_open,
            "OpenStderr": self.stderr_open,
            "OpenStdout": self.stdout_open,
            "CanRemove": self.exit_code is not None,
            "ContainerID": self.container.id,
            "DetachKeys": self.detach_keys,
            "Pid": self.process.pid if self.process is not None else 0,
        }


class Execs:
    """The execs of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._execs: dict[str, Exec] = {}
        self._reapers: set[asyncio.Task[None]] = set()

    def create(self, container: Container, request: Json) -> Exec:
        """``POST /containers/{id}/exec``. Raises :class:`BadRequest` without a command, 409 when it does not run."""
        command = request.get("Cmd")
        if isinstance(command, str):
            command = [command]
        if not command:
            raise BadRequest("No exec command specified")
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise BadRequest(
                "invalid JSON: json: cannot unmarshal number into Go struct field ExecOptions.Cmd of type string"
            )
        self.check(container)
        env = dict(entry.partition("=")[::2] for entry in request.get("Env") or ())
        return self.make(
            container,
            command,
            env=env,
            tty=bool(request.get("Tty")),
            stdin_open=bool(request.get("AttachStdin")),
            stdout_open=bool(request.get("AttachStdout")),
            stderr_open=bool(request.get("AttachStderr")),
            user=request.get("User") or "",
            workdir=request.get("WorkingDir") or "",
            privileged=bool(request.get("Privileged")),
            detach_keys=request.get("DetachKeys") or "",
        )

    def make(self, container: Container, command: list[str], **given: object) -> Exec:
        """Register an exec that nobody has started yet."""
        made = Exec(self._host.world.ids.hex_id(), container, command, **given)  # type: ignore[arg-type]
        self._execs[made.id] = made
        if container.execs is None:
            container.execs = []
        container.execs.append(made.id)
        self._log(made, f"exec_create: {' '.join(command)}" if command[1:] else f"exec_create: {command[0]} ")
        return made

    def check(self, container: Container) -> None:
        """Raise 409 unless something can be executed in the container now."""
        if not container.running:
            raise Conflict(f"container {container.id} is not running")
        if container.paused:
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        if container.restarting:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")

    def get(self, identifier: str) -> Exec:
        """Raises :class:`NotFound` ``No such exec instance: x``."""
        if identifier not in self._execs:
            raise NotFound(f"No such exec instance: {identifier}")
        return self._execs[identifier]

    def begin(self, execution: Exec) -> None:
        """Mark it as started. Raises 409 when it has been before, or its container cannot run it any more."""
        self.check(execution.container)
        if execution.exit_code is not None:
            raise Conflict(f"exec command {execution.id} has already run")
        if execution.running:
            raise Conflict(f"exec command {execution.id} is already running")
        execution.running = True

    async def launch(self, execution: Exec, stdin: Pipe | None = None) -> Process:
        """Run it. Raises :class:`ExecutableNotFound`; the exit code is then set as Docker sets it."""
        execution.running = True
        self._log(execution, f"exec_start: {' '.join(execution.command)}")
        main = execution.container.process
        if main is None or not main.running:
            execution.running, execution.exit_code = False, 126
            raise Conflict(f"container {execution.container.id} is not running")
        if execution.log is None:
            execution.log = Log(self._host.world.clock)
        env = {"TERM": "xterm", **execution.env} if execution.tty else execution.env
        try:
            process = await main.exec(
                execution.command,
                env,
                stdin,
                log=execution.log,
                tty=execution.tty,
                workdir=execution.workdir,
                user=execution.user,
            )
        except (ExecutableNotFound, UnknownUser) as error:
            execution.running, execution.exit_code = False, getattr(error, "exit_code", 126)
            self._retire(execution)
            raise
        execution.process, execution.stdin = process, stdin
        if not execution.health:
            self._reap(execution)
        return process

    def _reap(self, execution: Exec) -> None:
        async def reap() -> None:
            assert execution.process is not None
            execution.exit_code = await execution.process.wait()
            execution.running = False
            self._log(execution, "exec_die", exitCode=str(execution.exit_code))
            self._retire(execution)

        task = asyncio.create_task(reap())
        self._reapers.add(task)
        task.add_done_callback(self._reapers.discard)

    def _retire(self, execution: Exec) -> None:
        """It shows in the container no more, and is forgotten after a while."""
        if execution.container.execs and execution.id in execution.container.execs:
            execution.container.execs.remove(execution.id)
        self._host.world.clock.call_later(KEPT, self._execs.pop, execution.id, None)

    def forget(self, execution: Exec) -> None:
        """A probe of a health check: of no interest once it has ended."""
        code = execution.process.exit_code if execution.process is not None else execution.exit_code
        if execution.process is not None:
            self._log(execution, "exec_die", exitCode=str(code))
        if execution.container.execs and execution.id in execution.container.execs:
            execution.container.execs.remove(execution.id)
        self._execs.pop(execution.id, None)

    def _log(self, execution: Exec, action: str, **attributes: str) -> None:
        self._host.containers.log(execution.container, action, {"execID": execution.id, **attributes})

"""The command executor's task: a real process, in its own folder, as the user who runs labkit."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from labkit.embedded.mesos.agent import environment, fetcher, sandbox, statuses
from labkit.embedded.mesos.agent.host import Host
from labkit.embedded.mesos.agent.records import Run
from labkit.embedded.mesos.agent.spawn import Child, spawn
from labkit.embedded.mesos.agent.watcher import TOKEN
from labkit.embedded.mesos.agent.work import Connection, LaunchError

Json = dict[str, Any]


class Command:
    """A CommandInfo that runs on this computer."""

    __slots__ = ("_agent_id", "_agent_pid", "_checks", "_child", "_host", "_run", "_status")

    def __init__(self, host: Host, run: Run, agent_id: str, agent_pid: str) -> None:
        self._host = host
        self._run = run
        self._agent_id = agent_id
        self._agent_pid = agent_pid
        self._child: Child | None = None
        self._checks: set[Child] = set()
        self._status: Json | None = None

    @property
    def noun(self) -> str:
        return "Command"

    async def prepare(self) -> None:
        run = self._run
        command = run.task.get("command") or {}
        try:
            sandbox.make(run.directory)
        except OSError as error:
            raise LaunchError(f"Failed to launch container: Failed to create the sandbox: {error}") from None
        uris = list(command.get("uris") or ())
        if uris:
            await fetch_into(uris, run.directory, run.container_id)

    def _environment(self) -> dict[str, str]:
        """Made when it is needed: a task would keep a copy of this computer's for as long as it is shown."""
        run, options = self._run, self._host.options
        made = environment.of_command(
            run.task,
            run.framework_id,
            directory=run.directory,
            agent_id=self._agent_id,
            agent_pid=self._agent_pid,
            ip=self._host.address,
            port=options.port,
            container_id=run.container_id,
            checkpoint=run.checkpoint,
            inherited=os.environ,
            grace=options.executor_shutdown_grace,
        )
        made[TOKEN] = self._host.watcher.token
        return made

    async def start(self, ended: Callable[[int], object]) -> None:
        run = self._run

        def over(code: int) -> None:
            for check in tuple(self._checks):
                check.abandon()
            ended(code)

        try:
            child = self._spawn(over)
        except (OSError, ValueError) as error:  # ValueError: a variable with = in its name, a zero byte
            raise LaunchError(f"Failed to launch container: {error}") from None
        self._child = child
        run.group, run.started = child.pid, child.started
        child.go()

    def _spawn(self, over: Callable[[int], object]) -> Child:
        run = self._run
        with open(f"{run.directory}/stdout", "ab") as out, open(f"{run.directory}/stderr", "ab") as err:
            return spawn(
                self._host.watcher,
                argv(run.task.get("command") or {}),
                directory=run.directory,
                env=self._environment(),
                stdout=out,
                stderr=err,
                ended=over,
            )

    # while it runs ---------------------------------------------------------------------------------------------

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        if self._child is not None:
            self._child.signal(number)

    def freeze(self) -> None:
        for child in self._children():
            child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for child in self._children():
            child.signal(signal.SIGCONT)

    def discard(self) -> None:
        for child in self._children():
            child.abandon()

    def _children(self) -> list[Child]:
        return [*self._checks, *([self._child] if self._child is not None else [])]

    def container_status(self) -> Json:
        if self._status is None:
            self._status = {
                "container_id": {"value": self._run.container_id},
                "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": self._host.address}]}],
            }
            if self._child is not None:
                self._status["executor_pid"] = self._child.pid
        return self._status

    def describe(self) -> tuple[str, Json | None]:
        return "", None

    def end_words(self, code: int) -> tuple[str, str]:
        return "", f"{self.noun} {statuses.exit_words(code)}"

    async def execute(self, command: Json) -> int:
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        child = spawn(
            self._host.watcher,
            argv(command),
            directory=self._run.directory,
            env={**self._environment(), **environment.own(command)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            ended=lambda code: None if over.done() else over.set_result(code),
        )
        self._checks.add(child)
        child.go()
        try:
            return await over
        finally:
            self._checks.discard(child)
            child.abandon()

    async def connect(self, port: int) -> Connection:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:  # it may listen on the agent's address only, which Marathon names in $HOST
            return await asyncio.open_connection(self._host.address, port)

    def output(self, stream: str) -> bytes | None:
        return None


def argv(command: Json) -> list[str]:
    """What is executed. With ``shell: false`` the first argument is the name that the program is to see of itself."""
    value = str(command.get("value", ""))
    if command.get("shell", True):
        return ["sh", "-c", value]
    return [value, *(str(one) for one in (command.get("arguments") or ())[1:])]


async def fetch_into(uris: list[Json], directory: str, container_id: str) -> None:
    """Fetch, and write what was done into the sandbox's ``stderr``. Raises :class:`LaunchError`."""
    failed = False
    try:
        lines = await asyncio.to_thread(fetcher.fetch_all, uris, directory)
    except fetcher.FetchError as error:
        lines, failed = [str(error)], True
    _note(directory, lines)
    if failed:
        raise LaunchError(
            "Failed to launch container: Failed to fetch all URIs for container "
            f"'{container_id}': exited with status 1; {lines[-1]}"
        )


def _note(directory: str, lines: list[str]) -> None:
    with open(f"{directory}/stderr", "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)

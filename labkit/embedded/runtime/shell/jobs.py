"""Commands beside each other: pipelines, and jobs in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.namespaces import Entry
from labkit.embedded.runtime.shell import children
from labkit.embedded.runtime.shell.jumps import ShellError
from labkit.embedded.runtime.shell.redirections import Streams
from labkit.embedded.runtime.shell.syntax import AndOr, Command, Pipeline, Sequence
from labkit.embedded.runtime.streams import Bytes, Pipe, Source

if TYPE_CHECKING:
    from labkit.embedded.runtime.shell.interpreter import Shell


@dataclass(slots=True, eq=False)
class Job:
    """Something in the background."""

    entry: Entry
    task: asyncio.Task[int]
    text: str


async def pipeline(shell: Shell, commands: list[Command]) -> int:
    """Run commands side by side, each in a subshell, what one writes being what the next one reads."""
    ns, count = shell.process.ns, len(commands)
    try:
        ns.spare(count)
    except BlockingIOError as error:
        raise ShellError(f"can't fork: {error}") from None
    pipes = [Pipe() for _ in commands[1:]]
    stages: list[Coroutine[Any, Any, int]] = []
    for index, command in enumerate(commands):
        streams = dict(shell.streams)
        if index:
            streams[0] = pipes[index - 1]
        if index < len(pipes):
            streams[1] = pipes[index]
        stages.append(_stage(shell, shell.fork(streams), command, streams))
    ns.forks += count
    try:
        statuses = await children.together(shell.process, stages)
    finally:
        ns.forks -= count
    if shell.state.pipefail:
        return next((status for status in reversed(statuses) if status), 0)
    return statuses[-1]


async def _stage(parent: Shell, copy: Shell, command: Command, streams: Streams) -> int:
    body = Sequence([(AndOr(Pipeline([command]), []), False)])
    try:
        return await copy.run_subshell(body)
    except BrokenPipeError:
        return 128 + signals.SIGPIPE
    finally:
        if isinstance(streams[0], Pipe) and streams[0] is not parent.streams[0]:
            streams[0].close_reading()
        if isinstance(streams[1], Pipe) and streams[1] is not parent.streams[1]:
            streams[1].feed_eof()


def background(shell: Shell, node: AndOr) -> None:
    """Run a command beside the shell, as a job of it."""
    parent = shell.entry
    try:
        entry = shell.process.ns.enter(
            list(parent.args) if parent else ["sh"], lambda signal: None, parent.pid if parent else 0
        )
    except BlockingIOError as error:
        raise ShellError(f"can't fork: {error}") from None
    stdin: Source = shell.streams[0] if shell.interactive else Bytes()
    copy = shell.fork({**shell.streams, 0: stdin}, entry)
    job = children.start_job(shell.process, entry, copy.run_subshell(Sequence([(node, False)])))
    shell.jobs[entry.pid] = Job(entry, job, "")
    shell.state.background = entry.pid

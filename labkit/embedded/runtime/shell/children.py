"""Child processes of a shell: tools that run inside it, programs of the image, background jobs, pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.exits import Exit
from labkit.embedded.runtime.files import normal
from labkit.embedded.runtime.namespaces import Entry
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.applets import APPLETS
from labkit.embedded.runtime.shell.context import Context, Failure
from labkit.embedded.runtime.streams import Pipe, Sink, TooMuch

MAX_UNREAD = 1024 * 1024  # bytes that a program may have written to a pipe that nobody reads


async def run(context: Context, args: list[str]) -> int:
    """Run ``args`` as a child with the streams of ``context``. Raises ExecutableNotFound, BlockingIOError."""
    process = context.process
    named = [normal(args[0], context.cwd), *args[1:]] if "/" in args[0] else args  # ./script is where the shell is
    program = process.image.program(named, process)
    applet = getattr(program, "applet", None)
    if applet is None:
        return await _program(context, args)
    parent = context.shell.entry.pid if context.shell is not None and context.shell.entry else 0
    fate = _Fate()
    entry = process.ns.enter(args, fate.kill, parent)
    try:
        work = tool(applet, replace(context, name=args[0].rpartition("/")[2], args=args[1:], title="", entry=entry))
        status = await fate.survive(work)
        if status == 128 + fate.signal and fate.signal in _SPOKEN and context.shell is not None:
            await context.err(_SPOKEN[fate.signal])
        return status
    finally:
        process.ns.leave(entry)


async def tool(applet: str, context: Context) -> int:
    """Run one tool; what it cannot do becomes its words and exit code."""
    try:
        code = await APPLETS[applet](context)
        return code if code is not None else int(context.failed)
    except Failure as failure:
        await context.say(failure.words)
        return failure.code
    except TooMuch:
        await context.say("out of memory")
        return 1
    except BrokenPipeError:
        return 128 + signals.SIGPIPE
    except OSError as error:
        await context.say(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
        return 1


# What a shell says when a signal has ended a child; of SIGINT and SIGPIPE nobody needs to be told.
_SPOKEN = {
    signals.SIGTERM: "Terminated\n",
    signals.SIGKILL: "Killed\n",
    signals.NUMBERS["SEGV"]: "Segmentation fault\n",
}


class _Fate:
    """Lets a signal end what runs inside a shell, without ending the shell: as asyncio.timeout does it."""

    __slots__ = ("_task", "signal")

    def __init__(self) -> None:
        self.signal = 0
        self._task = asyncio.current_task()

    def kill(self, signal: int) -> None:
        if not self.signal and self._task is not None and signal not in signals.IGNORED | signals.STOPPING:
            self.signal = signal
            self._task.cancel()

    async def survive(self, work: Coroutine[Any, Any, int]) -> int:
        try:
            return await work
        except asyncio.CancelledError:
            if self.signal and self._task is not None and self._task.uncancel() == 0:
                return 128 + self.signal
            raise
        finally:
            self._task = None


class _Output:
    """The output of a program that has a Process of its own, led to the streams of the shell it was started from."""

    def __init__(self, stdout: Sink, stderr: Sink) -> None:
        self._sinks = {"stdout": stdout, "stderr": stderr}
        self.broken = False

    def write(self, stream: str, data: bytes) -> None:
        sink = self._sinks[stream]
        try:
            if isinstance(sink, Pipe):
                if sink.unread < MAX_UNREAD:
                    sink.feed(data)
            else:
                # Every other sink takes what it gets without waiting; it only lets others run now and then.
                step = sink.write(data)
                try:
                    step.send(None)
                except StopIteration:
                    pass
                finally:
                    step.close()
        except BrokenPipeError:
            self.broken = True

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass


async def _program(context: Context, args: list[str]) -> int:
    parent = context.process
    child = Process(
        parent.image,
        args=args,
        env=context.env,
        log=_Output(context.stdout, context.stderr),  # type: ignore[arg-type]
        stdin=context.stdin,
        workdir=context.cwd,
        user=parent.user,
        ns=parent.ns,
    )
    await child.start()
    if child.entry is not None and context.shell is not None and context.shell.entry is not None:
        child.entry.ppid = context.shell.entry.pid
    try:
        return await child.wait()
    finally:
        child.kill(signals.SIGKILL)


def start_job(process: Process, entry: Entry, work: Coroutine[Any, Any, int]) -> asyncio.Task[int]:
    """Run a background job; ``kill`` of its process id ends it."""
    ended: list[int] = []

    async def guarded() -> int:
        try:
            return await work
        except asyncio.CancelledError:
            if ended:
                return 128 + ended[0]
            raise
        except BrokenPipeError:
            return 128 + signals.SIGPIPE
        except Exit as gone:
            return gone.code
        finally:
            process.ns.leave(entry)

    task: asyncio.Task[int] = process.spawn(guarded())
    task.add_done_callback(lambda _: work.close())

    def kill(signal: int) -> None:
        if signal not in signals.IGNORED | signals.STOPPING and not ended:
            ended.append(signal)
            task.cancel()

    entry.kill = kill
    return task


async def together(process: Process, works: Sequence[Coroutine[Any, Any, int]]) -> list[int]:
    """Run the stages of a pipeline side by side; the exit code of each."""
    failures: list[BaseException] = []

    async def guarded(work: Coroutine[Any, Any, int]) -> int:
        try:
            return await work
        except (Exception, Exit) as error:  # raised again below, where the shell can handle it
            failures.append(error)
            return 1

    tasks = [process.spawn(guarded(work)) for work in works]
    try:
        statuses = [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
    if failures:
        raise failures[0]
    return statuses

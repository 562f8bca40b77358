"""Commands that are part of the shell because they change it: ``async (shell, args without the name) -> code``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.files import normal
from labkit.embedded.runtime.shell.declaring import export, getopts, let, local, read, readonly, set_, unset
from labkit.embedded.runtime.shell.interpreter import MAX_DEPTH, Shell
from labkit.embedded.runtime.shell.jumps import Break, Continue, ExitShell, Return, ShellError

Builtin = Callable[[Shell, list[str]], Coroutine[Any, Any, int]]

# Those that POSIX calls special: functions do not hide them, assignments before them stay.
SPECIAL = frozenset((":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set"))
SPECIAL |= {"shift", "times", "trap", "unset"}


async def nothing(shell: Shell, args: list[str]) -> int:
    return 0


async def false(shell: Shell, args: list[str]) -> int:
    return 1


def _number(text: str, name: str) -> int:
    if not text.lstrip("-").isdigit():
        raise ShellError(f"{name}: Illegal number: {text}")
    return int(text)


async def exit_(shell: Shell, args: list[str]) -> int:
    raise ExitShell((_number(args[0], "exit") if args else shell.state.status) & 0xFF)


async def return_(shell: Shell, args: list[str]) -> int:
    raise Return((_number(args[0], "return") if args else shell.state.status) & 0xFF)


async def break_(shell: Shell, args: list[str]) -> int:
    if shell.state.loops:
        raise Break(max(1, _number(args[0], "break")) if args else 1)
    return 0


async def continue_(shell: Shell, args: list[str]) -> int:
    if shell.state.loops:
        raise Continue(max(1, _number(args[0], "continue")) if args else 1)
    return 0


async def cd(shell: Shell, args: list[str]) -> int:
    state = shell.state
    target = next((arg for arg in args if arg not in ("-L", "-P")), state.get("HOME") or "/root")
    if target == "-":
        target = state.get("OLDPWD") or state.cwd
        await shell.streams[1].write(f"{target}\n".encode())
    path = normal(target, state.cwd)
    files = shell.process.files
    reason = "" if files.isdir(path) else "Not a directory" if files.isfile(path) else "No such file or directory"
    try:
        files.enter(path)
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        await shell.complain(f"cd: line 0: can't cd to {target}: {reason}")
        return 2
    if "-P" in args:
        path = files.real(path)
    state.put("OLDPWD", state.cwd)
    state.cwd = path
    state.put("PWD", path)
    return 0


async def pwd(shell: Shell, args: list[str]) -> int:
    path = shell.process.files.real(shell.state.cwd) if "-P" in args else shell.state.cwd
    await shell.streams[1].write(f"{path}\n".encode())
    return 0


async def shift(shell: Shell, args: list[str]) -> int:
    count = _number(args[0], "shift") if args else 1
    if not 0 <= count <= len(shell.state.positional):
        await shell.complain("shift: can't shift that many")
        return 1
    shell.state.positional = shell.state.positional[count:]
    return 0


async def eval_(shell: Shell, args: list[str]) -> int:
    return await _deeper(shell, " ".join(args)) if args else 0


async def source(shell: Shell, args: list[str]) -> int:
    if not args:
        raise ShellError(".: filename argument required")
    path = normal(args[0], shell.state.cwd)
    try:
        text = shell.process.files.read(path).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ShellError(f".: line 0: can't open '{args[0]}': {error.strerror}") from None
    try:
        return await _deeper(shell, text)
    except Return as returned:
        return returned.code


async def _deeper(shell: Shell, text: str) -> int:
    if shell.state.depth >= MAX_DEPTH:
        raise ShellError("eval: nested too deeply")
    shell.state.depth += 1
    shell.state.status = 0
    try:
        return await shell.run_text(text)
    finally:
        shell.state.depth -= 1


async def exec_(shell: Shell, args: list[str]) -> int:
    return await shell.exec(args) if args else 0


async def trap(shell: Shell, args: list[str]) -> int:
    args = args[1:] if args[:1] == ["--"] else args
    if not args:
        for name, action in shell.traps.commands.items():
            await shell.streams[1].write(f"trap -- '{action}' {name}\n".encode())
        return 0
    resets = len(args) == 1 or args[0] == "-"  # `trap TERM` and `trap - TERM` go back to the default
    names = args if resets and args[0] != "-" else args[1:]
    for given in names:
        if given in ("EXIT", "0"):
            shell.traps.set("EXIT", None if resets else args[0])
            continue
        try:
            shell.traps.set(signals.NAMES[signals.number(given)], None if resets else args[0])
        except (signals.InvalidSignal, KeyError):
            await shell.complain(f"trap: {given}: invalid signal specification")
            return 1
    return 0


async def wait(shell: Shell, args: list[str]) -> int:
    """Wait for background jobs; a signal with a trap ends the waiting, which is why scripts use it."""
    if args:
        wanted = []
        for arg in args:
            pid = _job_pid(shell, arg)
            if pid not in shell.jobs:
                return 127
            wanted.append(shell.jobs[pid])
    else:
        wanted = list(shell.jobs.values())
    status = 0
    for job in wanted:
        signalled = asyncio.ensure_future(shell.traps.signalled.wait())
        try:
            await asyncio.wait({job.task, signalled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            signalled.cancel()
        shell.pace.rested()
        if not job.task.done():
            return 128 + shell.traps.pending[0] if shell.traps.pending else 129
        status = 143 if job.task.cancelled() else job.task.result() or 0
        shell.jobs.pop(job.entry.pid, None)
    return status if args else 0


def _job_pid(shell: Shell, text: str) -> int:
    if text in ("%%", "%+"):
        return shell.state.background
    if text.startswith("%") and text[1:].isdigit():
        pids = list(shell.jobs)
        number = int(text[1:])
        return pids[number - 1] if 1 <= number <= len(pids) else -1
    return _number(text, "wait")


async def jobs(shell: Shell, args: list[str]) -> int:
    for number, (pid, job) in enumerate(list(shell.jobs.items()), start=1):
        state = "Done" if job.task.done() else "Running"
        text = str(pid) if "-p" in args else f"[{number}]  {state:<26} {job.text}"
        await shell.streams[1].write(f"{text}\n".encode())
        if job.task.done():
            shell.jobs.pop(pid)
    return 0


async def kill(shell: Shell, args: list[str]) -> int:
    translated = [str(_job_pid(shell, arg)) if arg.startswith("%") else arg for arg in args]
    return await _applet("kill")(shell, translated)


async def type_(shell: Shell, args: list[str]) -> int:
    status = 0
    for name in args:
        if name in shell.state.functions:
            words = "is a function"
        elif name in BUILTINS:
            words = "is a special shell builtin" if name in SPECIAL else "is a shell builtin"
        elif path := shell.process.image.path_of(name):
            words = f"is {path}"
        else:
            words, status = "not found", 127
        await shell.streams[1].write(f"{name}{':' if status else ''} {words}\n".encode())
    return status


async def command(shell: Shell, args: list[str]) -> int:
    if args[:1] in (["-v"], ["-V"]):
        if args[0] == "-V":
            return await type_(shell, args[1:])
        for name in args[1:]:
            found = name if name in shell.state.functions or name in BUILTINS else shell.process.image.path_of(name)
            if not found:
                return 127
            await shell.streams[1].write(f"{found}\n".encode())
        return 0
    args = [arg for index, arg in enumerate(args) if arg != "-p" or index]
    if not args:
        return 0
    if args[0] in BUILTINS:
        return await BUILTINS[args[0]](shell, args[1:])
    return await shell.external(args, shell.state.environment())


async def umask(shell: Shell, args: list[str]) -> int:
    if not args:
        await shell.streams[1].write(b"0022\n")
    return 0


async def ulimit(shell: Shell, args: list[str]) -> int:
    await shell.streams[1].write(b"1048576\n" if "-n" in args else b"unlimited\n")
    return 0


async def times(shell: Shell, args: list[str]) -> int:
    await shell.streams[1].write(b"0m0.000s 0m0.000s\n0m0.000s 0m0.000s\n")
    return 0


def _applet(name: str) -> Builtin:
    """A tool that the shell has inside, so that it costs no process."""

    async def builtin(shell: Shell, args: list[str]) -> int:
        from labkit.embedded.runtime.shell.children import tool

        context = shell.context([name, *args])
        context.title = shell.state.name
        return await tool(name, context)

    return builtin


BUILTINS: dict[str, Builtin] = {
    ":": nothing,
    "true": nothing,
    "false": false,
    ".": source,
    "source": source,
    "alias": nothing,
    "bg": nothing,
    "break": break_,
    "cd": cd,
    "chdir": cd,
    "command": command,
    "continue": continue_,
    "eval": eval_,
    "exec": exec_,
    "exit": exit_,
    "export": export,
    "fg": wait,
    "getopts": getopts,
    "hash": nothing,
    "jobs": jobs,
    "kill": kill,
    "let": let,
    "local": local,
    "pwd": pwd,
    "read": read,
    "readonly": readonly,
    "return": return_,
    "set": set_,
    "shift": shift,
    "times": times,
    "trap": trap,
    "type": type_,
    "ulimit": ulimit,
    "umask": umask,
    "unalias": nothing,
    "unset": unset,
    "wait": wait,
    **{name: _applet(name) for name in ("echo", "printf", "test", "[", "[[")},
}

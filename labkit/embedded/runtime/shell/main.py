"""``sh`` as a program: its arguments, scripts, and the prompt."""

from __future__ import annotations

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.files import normal
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.context import Context, Failure
from labkit.embedded.runtime.shell.interpreter import MAX_DEPTH, Shell
from labkit.embedded.runtime.shell.jumps import ExitShell, Return
from labkit.embedded.runtime.shell.parser import Parser
from labkit.embedded.runtime.shell.redirections import Streams, own_streams
from labkit.embedded.runtime.shell.syntax import ShellSyntaxError
from labkit.embedded.runtime.shell.variables import State
from labkit.embedded.runtime.terminal import Terminal
from labkit.embedded.runtime.users import user_name

MAX_SCRIPT = 1024 * 1024


async def shell(process: Process) -> int:
    """The program ``sh`` of an image: runs as the process it is started as, first process of a container or not."""
    state = _state(process.env, process.cwd)
    return await run(process, process.args, state, dict(own_streams(process)))


async def shell_tool(context: Context) -> int:
    """``sh`` inside of another shell: ``sh -c '…'``, ``cat script | sh``."""
    state = _state(context.env, context.cwd)
    if context.shell is not None:
        state.depth = context.shell.state.depth + 1
    streams: Streams = {0: context.stdin, 1: context.stdout, 2: context.stderr}
    return await run(context.process, [context.name, *context.args], state, streams, context)


def _state(env: dict[str, str], cwd: str) -> State:
    state = State(variables=dict(env), exported=set(env), cwd=cwd)
    state.variables["PWD"] = cwd
    state.variables.setdefault("IFS", " \t\n")
    return state


async def run(process: Process, args: list[str], state: State, streams: Streams, inside: Context | None = None) -> int:
    """Run a shell with its command line; returns its exit code. ``inside`` is given when another shell started it."""
    if state.depth > MAX_DEPTH:
        raise Failure("can't fork: too many shells in each other", 2)
    sh = Shell(process, state, streams, entry=inside.entry if inside is not None else None)
    state.pid = sh.entry.pid if sh.entry is not None else 1
    if inside is not None:
        sh.subshell, sh.pace = True, inside.pace
    try:
        await _run(sh, args)
        code = state.status
    except (ExitShell, Return) as ended:
        code = ended.code
    return await sh.run_exit_trap(code)


async def _run(sh: Shell, args: list[str]) -> int:
    from labkit.embedded.runtime.shell.declaring import set_

    state, rest = sh.state, args[1:]
    state.name = args[0].rpartition("/")[2].lstrip("-") or "sh"
    if state.name in ("ash", "busybox"):
        state.name = "sh"
    command, interactive = False, False
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option in ("--", "--login"):
            if option == "--":
                break
            continue
        if option in ("-o", "+o") and rest:
            await set_(sh, [option, rest.pop(0)])
            continue
        for letter in option[1:]:
            if letter == "c":
                command = True
            elif letter == "i":
                interactive = True
            elif letter not in "ls":
                await set_(sh, [option[0] + letter])
    if command:
        if not rest:
            raise await _refuse(sh, "-c requires an argument")
        text = rest[0]
        state.options.add("c")
        if len(rest) > 1:
            state.name = rest[1]
        state.positional = rest[2:]
        return await sh.run_text(text)
    if rest:
        path = normal(rest[0], state.cwd)
        try:
            text = sh.process.files.read(path).decode("utf-8", "surrogateescape")
        except OSError as error:
            await sh.complain(f"can't open '{rest[0]}': {error.strerror}")
            raise ExitShell(2) from None
        state.name, state.positional = rest[0], rest[1:]
        return await sh.run_text(text)
    sh.interactive = interactive or isinstance(sh.streams[0], Terminal)
    return await _lines(sh)


async def _refuse(sh: Shell, words: str) -> ExitShell:
    await sh.complain(words)
    return ExitShell(2)


async def _lines(sh: Shell) -> int:
    """Commands from standard input, each run as soon as it is complete; with a prompt when somebody types them."""
    source, text = sh.streams[0], ""
    terminal = source if isinstance(source, Terminal) else None
    if terminal is not None:
        sh.process.on_signal(signals.SIGINT, lambda: _interrupt(sh, terminal))
    while True:
        if sh.traps.pending:
            await sh.run_traps()
        if sh.interactive:
            await sh.streams[2].write(_prompt(sh, bool(text)).encode())
        line = await source.readline()
        sh.pace.rested()
        if terminal is not None and terminal.interrupted:
            terminal.interrupted = False
            text, sh.state.status = "", 130
            continue
        if not line:
            if text:  # an unfinished command at the end: now it is an error
                await sh.run_text(text)
            if sh.interactive and terminal is not None:
                await sh.streams[2].write(b"\n")
            return sh.state.status
        text += line.decode("utf-8", "surrogateescape")
        if len(text) > MAX_SCRIPT:
            raise await _refuse(sh, "out of memory")
        if _incomplete(text):
            continue
        command, text = text, ""
        await sh.run_text(command)


def _interrupt(sh: Shell, terminal: Terminal) -> None:
    """Ctrl-C: ends what runs in the foreground, or else drops the line that is being typed."""
    own = sh.entry.pid if sh.entry is not None else 1
    running = [entry for entry in sh.process.ns.table.values() if entry.ppid == own and entry.pid not in sh.jobs]
    for entry in running:
        entry.kill(signals.SIGINT)
    if not running:
        terminal.interrupt()


def _incomplete(text: str) -> bool:
    parser = Parser(text)
    try:
        while parser.next_command() is not None:
            pass
    except ShellSyntaxError as error:
        return error.incomplete
    return text.endswith("\\\n")


def _prompt(sh: Shell, more: bool) -> str:
    if more:
        return sh.state.get("PS2") or "> "
    home, cwd = sh.state.get("HOME") or "", sh.state.cwd
    shown = "~" if cwd == home and home != "/" else cwd
    sign = "#" if sh.process.identity.uid == 0 else "$"
    given = sh.state.get("PS1")
    if given is None and sh.state.name == "bash":
        who = user_name(sh.process.identity.uid, sh.process.files) or "I have no name!"
        return f"{who}@{sh.process.hostname[:12]}:{shown}{sign} "
    if given is None:
        return f"{shown} {sign} "
    for escape, value in (("\\w", shown), ("\\h", sh.process.hostname), ("\\u", "root"), ("\\$", sign)):
        given = given.replace(escape, value)
    return given

"""Builtins of the shell that set variables and options: export, set, local, read, getopts and their like."""

from __future__ import annotations

import re

from labkit.embedded.runtime.shell.arithmetic import evaluate
from labkit.embedded.runtime.shell.expand import cut_fields
from labkit.embedded.runtime.shell.interpreter import Shell
from labkit.embedded.runtime.shell.jumps import ShellError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def export(shell: Shell, args: list[str]) -> int:
    if not args or args == ["-p"]:
        for name, value in sorted(shell.state.environment().items()):
            await shell.streams[1].write(f"export {name}='{value}'\n".encode("utf-8", "surrogateescape"))
        return 0
    for arg in args:
        name = _declare(shell, arg, "export")
        shell.state.exported.add(name)
    return 0


async def readonly(shell: Shell, args: list[str]) -> int:
    for arg in args:
        name = _declare(shell, arg, "readonly")
        shell.state.readonly.add(name)
    return 0


def _declare(shell: Shell, arg: str, command: str) -> str:
    name, equals, value = arg.partition("=")
    if not _NAME.fullmatch(name):
        raise ShellError(f"{command}: {arg}: bad variable name")
    if equals:
        shell.state.put(name, value)
    return name


async def local(shell: Shell, args: list[str]) -> int:
    if not shell.local_frames:
        raise ShellError("local: line 0: not in a function")
    for arg in args:
        name = arg.partition("=")[0]
        shell.local_frames[-1].setdefault(name, shell.state.get(name))
        _declare(shell, arg, "local")
    return 0


async def unset(shell: Shell, args: list[str]) -> int:
    functions = args[:1] == ["-f"]
    for name in [arg for arg in args if arg not in ("-f", "-v")]:
        if functions:
            shell.state.functions.pop(name, None)
        else:
            shell.state.unset(name)
    return 0


async def set_(shell: Shell, args: list[str]) -> int:
    state = shell.state
    if not args:
        for name, value in sorted(state.variables.items()):
            await shell.streams[1].write(f"{name}='{value}'\n".encode("utf-8", "surrogateescape"))
        return 0
    index = 0
    while index < len(args):
        arg = args[index]
        if arg == "--":
            state.positional = args[index + 1 :]
            return 0
        if arg[:1] not in ("-", "+") or len(arg) < 2:
            break
        on = arg[0] == "-"
        if arg[1:] == "o":
            index += 1
            _option(shell, args[index] if index < len(args) else "", on)
        else:
            for letter in arg[1:]:
                _option(shell, letter, on)
        index += 1
    if index < len(args):
        state.positional = args[index:]
    return 0


_OPTIONS = {
    "errexit": "e",
    "nounset": "u",
    "xtrace": "x",
    "noglob": "f",
    "noexec": "n",
    "verbose": "v",
    "allexport": "a",
    "monitor": "m",
    "interactive": "i",
    "stdin": "s",
}


def _option(shell: Shell, name: str, on: bool) -> None:
    if name == "pipefail":
        shell.state.pipefail = on
        return
    letter = _OPTIONS.get(name, name)
    if letter not in _OPTIONS.values():
        raise ShellError(f"set: illegal option {'-' if on else '+'}{name}")
    if on:
        shell.state.options.add(letter)
    else:
        shell.state.options.discard(letter)


async def read(shell: Shell, args: list[str]) -> int:
    raw, prompt, seconds, names = False, "", None, []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "-r":
            raw = True
        elif arg in ("-p", "-t", "-n") and rest:
            value = rest.pop(0)
            prompt = value if arg == "-p" else prompt
            seconds = float(value) if arg == "-t" else seconds
        elif not arg.startswith("-"):
            names.append(arg)
    if prompt:
        await shell.streams[2].write(prompt.encode())
    try:
        async with shell.process.clock.timeout(seconds):
            line, complete = await _logical_line(shell, raw)
    except TimeoutError:
        return 1
    shell.pace.rested()
    names = names or ["REPLY"]
    ifs = shell.state.get("IFS")
    ifs = " \t\n" if ifs is None else ifs
    line = line.strip("".join(char for char in ifs if char in " \t\n"))
    fields = cut_fields(line, ifs)[1]
    for index, name in enumerate(names):
        if index == len(names) - 1 and len(fields) > len(names):
            value = _after(line, fields[:index], ifs)
        else:
            value = fields[index] if index < len(fields) else ""
        shell.state.put(name, value)
    return 0 if complete else 1


async def _logical_line(shell: Shell, raw: bool) -> tuple[str, bool]:
    line = ""
    while True:
        data = await shell.streams[0].readline()
        line += data.decode("utf-8", "surrogateescape")
        if not data.endswith(b"\n"):
            return line, False
        line = line[:-1]
        if raw or not line.endswith("\\"):
            return line if raw else re.sub(r"\\(.)", r"\1", line), True
        line = line[:-1]


def _after(line: str, taken: list[str], ifs: str) -> str:
    """What is left of a line after its first fields, separators inside it kept."""
    for field in taken:
        line = line[line.index(field) + len(field) :].lstrip(ifs) if field else line[1:]
    return line


async def let(shell: Shell, args: list[str]) -> int:
    value = 0
    for expression in args:
        value = evaluate(expression, lambda name: shell.state.get(name) or "", shell.state.put)
    return int(value == 0)


async def getopts(shell: Shell, args: list[str]) -> int:
    """``getopts spec name [args]``: OPTIND counts arguments; inside a group of letters the place is kept beside."""
    if len(args) < 2:
        raise ShellError("getopts: usage: getopts optstring var [arg]")
    spec, name, given = args[0], args[1], args[2:] or shell.state.positional
    index = int(shell.state.get("OPTIND") or 1)
    offset = int(shell.state.get("_OPTOFF") or 1)
    if index > len(given) or not given[index - 1].startswith("-") or given[index - 1] in ("-", "--"):
        shell.state.put(name, "?")
        return 1
    group = given[index - 1]
    letter = group[offset]
    offset += 1
    shell.state.variables.pop("OPTARG", None)
    found = spec.find(letter) if letter != ":" else -1
    if found >= 0 and spec[found + 1 : found + 2] == ":":
        if offset < len(group):
            shell.state.put("OPTARG", group[offset:])
        elif index < len(given):
            index += 1
            shell.state.put("OPTARG", given[index - 1])
        else:
            await shell.complain(f"option requires an argument -- {letter}")
            letter = "?"
        offset = len(group)
    elif found < 0:
        await shell.complain(f"illegal option -- {letter}")
        letter = "?"
    if offset >= len(group):
        index, offset = index + 1, 1
    shell.state.put("OPTIND", str(index))
    shell.state.put("_OPTOFF", str(offset))
    shell.state.put(name, letter)
    return 0

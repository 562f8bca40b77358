"""Tools that run other programs: xargs, timeout."""

from __future__ import annotations

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.shell.applets.options import duration, number, parse
from labkit.embedded.runtime.shell.applets.text import text_of
from labkit.embedded.runtime.shell.context import Applet, Context, Failure


async def xargs(ctx: Context) -> int:
    given, command = parse(ctx.args, "n:I:rt0P:", stop=True)
    command = command or ["echo"]
    data = text_of(await ctx.read_all(ctx.stdin))
    words = data.split("\0") if "0" in given else data.split("\n") if "I" in given else data.split()
    words = [word for word in words if word.strip()]
    if "I" in given:
        runs = [[part.replace(given["I"], word) for part in command] for word in words]
    else:
        size = number(given["n"]) if "n" in given else max(1, len(words))
        runs = [[*command, *words[start : start + size]] for start in range(0, len(words), max(1, size))]
        runs = runs or ([] if "r" in given else [list(command)])
    status = 0
    for run in runs:
        await ctx.pace.step()
        code = await run_child(ctx, run)
        if code in (126, 127):
            return code  # what cannot be run cannot be run for the rest either
        status = 123 if code else status
    return status


async def run_child(ctx: Context, args: list[str]) -> int:
    """Run another program for a tool, and complain in its name when there is none."""
    try:
        return await ctx.run(ctx, args)
    except ExecutableNotFound as error:
        words = "Permission denied" if error.exit_code == 126 else "No such file or directory"
        await ctx.say(f"{args[0]}: {words}")
        return error.exit_code
    except BlockingIOError as error:
        raise Failure(f"can't fork: {error}") from None


async def timeout(ctx: Context) -> int:
    given, command = parse(ctx.args, "s:k:", stop=True)
    if len(command) < 2:
        raise Failure("usage: timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS", 1)
    try:
        async with ctx.process.clock.timeout(duration(command[0])):
            return await run_child(ctx, command[1:])
    except TimeoutError:
        return 137 if given.get("s", "").upper().removeprefix("SIG") in ("KILL", "9") else 143


TABLE: dict[str, Applet] = {"timeout": timeout, "xargs": xargs}

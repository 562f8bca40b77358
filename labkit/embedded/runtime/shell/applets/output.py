"""Tools that write what they are told: echo, printf, seq, yes."""

from __future__ import annotations

import re

from labkit.embedded.runtime.shell.applets.options import parse
from labkit.embedded.runtime.shell.context import Applet, Context, Failure
from labkit.embedded.runtime.streams import Sink

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "e": "\x1b"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|0?[0-7]{1,3}|[abcfnrtve\\])")
_FORMAT = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?([a-zA-Z%])")
MAX_WIDTH = 4096


class _Stop(Exception):
    """``\\c``: no more output."""


def unescape(text: str) -> tuple[str, bool]:
    """Backslashes as echo -e reads them, and whether ``\\c`` ended it."""

    def one(found: re.Match[str]) -> str:
        code = found.group(1)
        if code == "c":
            raise _Stop(found.start())
        if code[0] == "x":
            return chr(int(code[1:], 16))
        return chr(int(code, 8) & 0xFF) if code[0].isdigit() else _ESCAPES[code]

    try:
        return _ESCAPE.sub(one, text), False
    except _Stop as stop:
        return unescape(text[: stop.args[0]])[0], True


async def echo(ctx: Context) -> int:
    args, newline, escapes = list(ctx.args), True, False
    while args and re.fullmatch(r"-[neE]+", args[0]):
        option = args.pop(0)
        newline = newline and "n" not in option
        escapes = "e" in option or (escapes and "E" not in option)
    text = " ".join(args)
    if escapes:
        text, stopped = unescape(text)
        newline = newline and not stopped
    await ctx.out(text + ("\n" if newline else ""))
    return 0


async def printf(ctx: Context) -> int:
    args = ctx.args[1:] if ctx.args[:1] == ["--"] else list(ctx.args)
    if not args:
        raise Failure("usage: printf FORMAT [ARG]...", 1)
    # Only the format's own backslashes mean something; \c is for %b.
    form = _ESCAPE.sub(lambda f: unescape(f.group())[0] if f.group(1) != "c" else f.group(), args.pop(0))
    ctx.failed = False
    while True:
        before = len(args)
        text, stopped = await _formatted(ctx, form, args)
        await ctx.out(text)
        if stopped or not args or len(args) == before:
            return int(ctx.failed)
        await ctx.pace.step()


async def _formatted(ctx: Context, form: str, args: list[str]) -> tuple[str, bool]:
    out: list[str] = []
    position = 0
    for found in _FORMAT.finditer(form):
        out.append(form[position : found.start()])
        position = found.end()
        flags, width, precision, kind = found.groups()
        if kind == "%":
            out.append("%")
            continue
        width = await _size(ctx, width, args)
        precision = await _size(ctx, precision, args)
        value = args.pop(0) if args else None
        spec = f"%{flags}{width}" + (f".{precision}" if precision else "")
        if kind in "di":
            out.append(f"{spec}d" % await _integer(ctx, value))
        elif kind in "uxXo":
            out.append(f"{spec}{'d' if kind == 'u' else kind}" % (await _integer(ctx, value) % (1 << 64)))
        elif kind in "feEgG":
            out.append(f"{spec}{kind}" % await _float(ctx, value))
        elif kind == "c":
            out.append(f"%{flags}{width}s" % (value or "")[:1])
        elif kind == "b":
            text, stopped = unescape(value or "")
            out.append(f"{spec}s" % text)
            if stopped:
                return "".join(out), True
        elif kind == "s":
            out.append(f"{spec}s" % (value or ""))
        else:
            raise Failure(f"{found.group()}: invalid format")
    out.append(form[position:])
    return "".join(out), False


async def _size(ctx: Context, given: str | None, args: list[str]) -> str:
    if given == "*":
        given = str(await _integer(ctx, args.pop(0) if args else None))
    if given and int(given) > MAX_WIDTH:
        raise Failure("out of memory")
    return given or ""


async def _integer(ctx: Context, value: str | None) -> int:
    if not value:
        return 0
    if value[0] in "'\"":
        return ord(value[1]) if len(value) > 1 else 0
    try:
        text = value.strip()
        return int(text, 8) if re.fullmatch(r"[-+]?0[0-7]+", text) else int(text, 0)
    except ValueError:
        await ctx.say(f"invalid number '{value}'")
        ctx.failed = True
        return 0


async def _float(ctx: Context, value: str | None) -> float:
    try:
        return float(value or 0)
    except ValueError:
        await ctx.say(f"invalid number '{value}'")
        ctx.failed = True
        return 0.0


async def seq(ctx: Context) -> int:
    args, separator, pad = list(ctx.args), "\n", False
    while args and re.match(r"-[sw]", args[0]):
        option = args.pop(0)
        if option.startswith("-s"):
            separator = option[2:] or (args.pop(0) if args else "")
        else:
            pad = True
    if not 1 <= len(args) <= 3:
        raise Failure("usage: seq [-w] [-s SEP] [FIRST [INC]] LAST")
    try:
        values = [float(arg) for arg in args]
    except ValueError:
        raise Failure(f"invalid number '{next(a for a in args if not _is_number(a))}'") from None
    first = values[0] if len(values) > 1 else 1.0
    step = values[1] if len(values) > 2 else 1.0
    last = values[-1]
    if not step:
        raise Failure("invalid number '0'")
    digits = max(len(arg.partition(".")[2]) for arg in args)
    width = max(len(f"{first:.{digits}f}"), len(f"{last:.{digits}f}")) if pad else 0
    count, index = int((last - first) / step + 1e-9) + 1, 0
    block: list[str] = []
    while index < count:
        block.append(f"{first + index * step:0{width}.{digits}f}")
        index += 1
        if len(block) == 256 or index == count:
            await ctx.out(separator.join(block) + ("\n" if index == count else separator))
            block.clear()
            await ctx.pace.step()
    return 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


async def yes(ctx: Context) -> int:
    line = (" ".join(ctx.args) or "y").encode() + b"\n"
    while True:
        await ctx.stdout.write(line)
        await ctx.pace.step()


async def tee(ctx: Context) -> int:
    from labkit.embedded.runtime.shell.context import FileSink

    given, names = parse(ctx.args, "ai")
    sinks: list[Sink] = [ctx.stdout]
    for name in names:
        try:
            sinks.append(FileSink(ctx.files, ctx.path(name), "a" in given))
        except OSError as error:
            await ctx.say(f"{name}: {error.strerror}")
            ctx.failed = True
    while data := await ctx.stdin.read():
        await ctx.pace.step()
        for sink in sinks:
            await sink.write(data)
    return int(ctx.failed)


TABLE: dict[str, Applet] = {"echo": echo, "printf": printf, "seq": seq, "tee": tee, "yes": yes}

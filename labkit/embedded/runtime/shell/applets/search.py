"""``grep``."""

from __future__ import annotations

import re

from labkit.embedded.runtime.shell.applets.options import parse
from labkit.embedded.runtime.shell.applets.patterns import Pattern
from labkit.embedded.runtime.shell.applets.text import text_of
from labkit.embedded.runtime.shell.context import Applet, Context, Failure
from labkit.embedded.runtime.streams import Source


async def grep(ctx: Context) -> int:
    given, operands = parse(
        [*(["-E"] if ctx.name == "egrep" else ["-F"] if ctx.name == "fgrep" else []), *_joined_patterns(ctx.args)],
        "EFGivncqolLwxrRsHhe:f:m:A:B:C:",
        {"color": "s", "ignore-case": "i", "invert-match": "v", "count": "c", "quiet": "q", "line-number": "n"},
    )
    if "e" in given:
        expressions = given["e"].split("\n")
    elif "f" in given:
        expressions = text_of(await ctx.read_all(ctx.open(given["f"]))).splitlines()
    elif operands:
        expressions = operands.pop(0).split("\n")
    else:
        raise Failure("usage: grep [-HhnlLoqvsriwFE] [-m N] PATTERN [FILE]...", 2)
    flags = re.IGNORECASE if "i" in given else re.NOFLAG
    patterns = [Pattern(text, extended="E" in given, fixed="F" in given, flags=flags) for text in expressions]
    if "w" in given or "x" in given:
        ends = (r"(?<!\w)", r"(?!\w)") if "w" in given else ("^", "$")
        patterns = [pattern.wrap(*ends) for pattern in patterns]
    names = operands or ["-"]
    if "r" in given or "R" in given:
        names = [path for name in operands or ["."] for path in _files_below(ctx, name)]
    titled = ("H" in given or len(names) > 1 or "r" in given) and "h" not in given
    matched = False
    async for name, source in ctx.inputs(names):
        shown = "(standard input)" if name == "-" else name
        count = await _grep_one(ctx, given, patterns, source, f"{shown}:" if titled else "")
        matched = matched or count > 0
        if "q" in given and matched:
            return 0
        if "c" in given:
            await ctx.out(f"{shown + ':' if titled else ''}{count}\n")
        elif ("l" in given and count) or ("L" in given and not count):
            await ctx.out(f"{shown}\n")
    return 2 if ctx.failed else int(not matched)


def _joined_patterns(args: list[str]) -> list[str]:
    """Several -e become one of several lines, which mean the same."""
    patterns: list[str] = []
    rest: list[str] = []
    left = list(args)
    while left:
        arg = left.pop(0)
        if arg == "-e" and left:
            patterns.append(left.pop(0))
        else:
            rest.append(arg)
    return [*rest, *(["-e", "\n".join(patterns)] if patterns else [])]


def _files_below(ctx: Context, name: str) -> list[str]:
    """Files, and links to files; a link that leads nowhere is complained of when it is opened."""
    root = ctx.files.real(ctx.path(name))
    return [
        name.rstrip("/") + path[len(root) :]
        for path in ctx.files.tree(root)
        if ctx.files.lexists(path) and not ctx.files.isdir(path)
    ]


async def _grep_one(ctx: Context, given: dict[str, str], patterns: list[Pattern], source: Source, title: str) -> int:
    silent = any(letter in given for letter in "qclL")
    limit = int(given.get("m", 0))
    after = int(given.get("A", given.get("C", 0)))
    before = int(given.get("B", given.get("C", 0)))
    count = position = owed = 0
    earlier: list[str] = []
    async for data in ctx.lines(source):
        line = text_of(data).rstrip("\n")
        position += 1
        place = f"{position}:" if "n" in given else ""
        found = next((hit for pattern in patterns if (hit := pattern.search(line)) is not None), None)
        if (found is not None) == ("v" in given):
            if owed:
                owed -= 1
                await ctx.out(f"{title}{place.replace(':', '-')}{line}\n")
            elif before:
                earlier = [*earlier, f"{title}{place.replace(':', '-')}{line}\n"][-before:]
            continue
        count += 1
        if not silent and "o" in given and found is not None:
            for pattern in patterns:
                for hit in pattern.regex.finditer(line):
                    if hit.group():
                        await ctx.out(f"{title}{place}{hit.group()}\n")
        elif not silent:
            await ctx.out("".join(earlier) + f"{title}{place}{line}\n")
            earlier, owed = [], after
        if "q" in given or count == limit:
            break
    return count


TABLE: dict[str, Applet] = {"egrep": grep, "fgrep": grep, "grep": grep}

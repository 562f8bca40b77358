"""Tools that read lines and write lines."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from functools import partial

from labkit.embedded.runtime.shell.applets.options import number, parse
from labkit.embedded.runtime.shell.applets.output import unescape
from labkit.embedded.runtime.shell.context import Applet, Context, Failure


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


async def cat(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "unAvbet")
    count = 0
    async for _, source in ctx.inputs(names, "can't open '{}'"):
        if "n" in given or "b" in given:
            async for line in ctx.lines(source):
                count += 1
                await ctx.out(f"{count:6}\t".encode() + line)
            continue
        while data := await source.read():
            await ctx.stdout.write(data)
            await ctx.pace.step()
    return None


async def head(ctx: Context) -> int | None:
    args = [f"-n{arg[1:]}" if re.fullmatch(r"-\d+", arg) else arg for arg in ctx.args]
    given, names = parse(args, "n:c:qv")
    titles = ("v" in given or len(names) > 1) and "q" not in given
    first = True
    async for name, source in ctx.inputs(names):
        if titles:
            await ctx.out(f"{'' if first else chr(10)}==> {'standard input' if name == '-' else name} <==\n")
        first = False
        if "c" in given:
            left = number(given["c"])
            while left > 0 and (data := await source.read(left)):
                left -= len(data)
                await ctx.out(data)
            continue
        limit = number(given.get("n", "10"))
        if limit < 0:
            lines = (await ctx.read_all(source)).splitlines(keepends=True)
            await ctx.out(b"".join(lines[:limit]))
            continue
        while limit > 0 and (line := await source.readline()):
            limit -= 1
            await ctx.out(line)
            await ctx.pace.step()
    return None


async def tail(ctx: Context) -> int | None:
    args = [f"-n{arg[1:]}" if re.fullmatch(r"-\d+", arg) else arg for arg in ctx.args]
    given, names = parse(args, "n:c:fFqvs:")
    titles = ("v" in given or len(names) > 1) and "q" not in given
    first = True
    follow = "f" in given or "F" in given
    async for name, source in ctx.inputs(names):
        if titles:
            await ctx.out(f"{'' if first else chr(10)}==> {'standard input' if name == '-' else name} <==\n")
        first = False
        if name != "-" and follow and ctx.path(name) == "/dev/null":
            continue
        data = await ctx.read_all(source)
        if "c" in given:
            count = given["c"]
            await ctx.out(data[number(count) - 1 :] if count[0] == "+" else data[max(0, len(data) - number(count)) :])
            continue
        count = given.get("n", "10")
        lines = data.splitlines(keepends=True)
        await ctx.out(
            b"".join(lines[number(count) - 1 :] if count[0] == "+" else lines[max(0, len(lines) - number(count)) :])
        )
    if follow:
        await _follow(ctx, [ctx.path(name) for name in names if name != "-"])
    return None


async def _follow(ctx: Context, paths: list[str]) -> None:
    """Look again every second, as tail does: `tail -f /dev/null` is how people keep a container alive."""
    if all(path == "/dev/null" for path in paths):
        await asyncio.get_running_loop().create_future()
    seen = {path: len(ctx.files.read(path)) if ctx.files.isfile(path) else 0 for path in paths}
    while True:
        await ctx.sleep(1)
        for path in paths:
            data = ctx.files.read(path) if ctx.files.isfile(path) else b""
            if len(data) != seen[path]:
                await ctx.out(data[seen[path] :] if len(data) > seen[path] else data)
                seen[path] = len(data)


async def wc(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "clwmL")
    letters = [letter for letter in "lwc" if letter in given] or ([] if "m" in given else list("lwc"))
    letters += ["m"] if "m" in given else []
    totals = dict.fromkeys("lwcm", 0)
    count = 0
    async for name, source in ctx.inputs(names):
        counts, in_word = dict.fromkeys("lwcm", 0), False
        while data := await source.read():
            await ctx.pace.step()
            counts["c"] += len(data)
            counts["m"] += sum(1 for byte in data if byte & 0xC0 != 0x80)
            counts["l"] += data.count(b"\n")
            words = len(data.split())
            counts["w"] += words - (1 if words and in_word and not data[:1].isspace() else 0)
            in_word = not data[-1:].isspace()
        count += 1
        for letter in totals:
            totals[letter] += counts[letter]
        await ctx.out(_wc_line(letters, counts, name, bool(names)))
    if count > 1:
        await ctx.out(_wc_line(letters, totals, "total", True))
    return None


def _wc_line(letters: list[str], counts: dict[str, int], name: str, named: bool) -> str:
    if len(letters) == 1:
        return f"{counts[letters[0]]}{' ' + name if named else ''}\n"
    return " ".join(f"{counts[letter]:9}" for letter in letters) + (f" {name}" if named else "") + "\n"


async def sort(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "nrufk:t:hbdiso:")
    lines: list[str] = []
    async for _, source in ctx.inputs(names):
        lines += text_of(await ctx.read_all(source)).splitlines()
    key = _sort_key(given)
    lines.sort(key=lambda line: (key(line), line) if "s" not in given else (key(line), ""), reverse="r" in given)
    if "u" in given:
        kept: dict[object, str] = {}
        for line in lines:
            kept.setdefault(key(line), line)
        lines = list(kept.values())
    data = "".join(f"{line}\n" for line in lines)
    if "o" in given:
        ctx.files.write(ctx.path(given["o"]), data.encode("utf-8", "surrogateescape"))
    else:
        await ctx.out(data)
    return None


def _sort_key(given: dict[str, str]) -> Callable[[str], object]:
    spec = re.fullmatch(r"(\d+)[.\d]*([a-z]*)(?:,(\d+)[.\d]*([a-z]*))?", given.get("k", "")) if "k" in given else None
    if "k" in given and spec is None:
        raise Failure(f"bad field specification: {given['k']}", 2)
    letters = set(given) | set((spec.group(2) + (spec.group(4) or "")) if spec else "")

    def key(line: str) -> object:
        if spec is not None:
            fields = line.split(given.get("t")) if "t" in given else line.split()
            last = int(spec.group(3)) if spec.group(3) else len(fields)
            line = " ".join(fields[int(spec.group(1)) - 1 : last])
        if "n" in letters or "h" in letters:
            found = re.match(r"\s*(-?\d*\.?\d+)([kKMGT]?)", line)
            unit = 1024.0 ** " KMGT".index(found.group(2).upper() or " ") if found and "h" in letters else 1.0
            return float(found.group(1)) * unit if found else 0.0
        return line.lower() if "f" in letters else line

    return key


async def uniq(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "cduif:s:")
    last, count = "", 0

    async def flush() -> None:
        if count and not ("d" in given and count < 2) and not ("u" in given and count > 1):
            await ctx.out(f"{count:7} {last}\n" if "c" in given else f"{last}\n")

    async for _, source in ctx.inputs(names[:1]):
        async for data in ctx.lines(source):
            line = text_of(data).rstrip("\n")
            if count and (line.lower() == last.lower() if "i" in given else line == last):
                count += 1
                continue
            await flush()
            last, count = line, 1
    await flush()
    return None


async def cut(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "b:c:f:d:sn")
    letter = next((letter for letter in "fcb" if letter in given), "")
    if not letter:
        raise Failure("expected a list of bytes, characters, or fields")
    ranges = [_range(part) for part in given[letter].split(",")]
    delimiter = given.get("d", "\t")
    async for _, source in ctx.inputs(names):
        async for data in ctx.lines(source):
            line = text_of(data).rstrip("\n")
            if letter == "f" and delimiter not in line:
                if "s" not in given:
                    await ctx.out(f"{line}\n")
                continue
            parts: list[str] = line.split(delimiter) if letter == "f" else list(line)
            chosen = [part for place, part in enumerate(parts, 1) if any(low <= place <= high for low, high in ranges)]
            await ctx.out((delimiter if letter == "f" else "").join(chosen) + "\n")
    return None


def _range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not (low + high).isdigit():
        raise Failure(f"invalid range {text}")
    return int(low or 1), int(high) if high else (10**9 if dash else int(low))


async def tr(ctx: Context) -> int:
    given, sets = parse(ctx.args, "cdsCt")
    if not sets:
        raise Failure("usage: tr [-cds] STRING1 [STRING2]")
    first = _characters(sets[0])
    second = _characters(sets[1]) if len(sets) > 1 else ""
    if "c" in given or "C" in given:
        first = "".join(chr(code) for code in range(256) if chr(code) not in first)
    table: dict[int, int | None] = {}
    if "d" in given:
        table = {ord(char): None for char in first}
    elif second:
        table = {
            ord(char): ord(second[min(place, len(second) - 1)]) for place, char in reversed(list(enumerate(first)))
        }
    squeeze = (second or first) if "s" in given else ""
    last = ""
    while data := await ctx.stdin.read():
        await ctx.pace.step()
        text = data.decode("latin-1").translate(table)
        if squeeze:
            kept: list[str] = []
            for char in text:
                if char != last or char not in squeeze:
                    kept.append(char)
                last = char
            text = "".join(kept)
        await ctx.out(text.encode("latin-1", "replace"))
    return 0


_SETS = {"lower": "abcdefghijklmnopqrstuvwxyz", "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "digit": "0123456789"}
_SETS |= {"alpha": _SETS["upper"] + _SETS["lower"], "space": "\t\n\v\f\r ", "blank": "\t "}
_SETS |= {"alnum": _SETS["digit"] + _SETS["alpha"], "punct": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}


def _characters(text: str) -> str:
    text = re.sub(r"\[:(\w+):\]", lambda found: _SETS.get(found.group(1), ""), unescape(text)[0])

    def span(found: re.Match[str]) -> str:
        return "".join(map(chr, range(ord(found.group(1)), min(ord(found.group(2)), 0x10FF) + 1)))

    return re.sub(r"(.)-(.)", span, text, flags=re.DOTALL)


async def rev(ctx: Context) -> int | None:
    async for _, source in ctx.inputs(ctx.args):
        async for line in ctx.lines(source):
            await ctx.out(text_of(line).rstrip("\n")[::-1] + "\n")
    return None


async def tac(ctx: Context) -> int | None:
    async for _, source in ctx.inputs(ctx.args):
        lines = (await ctx.read_all(source)).splitlines(keepends=True)
        await ctx.out(b"".join(reversed(lines)))
    return None


async def nl(ctx: Context) -> int | None:
    count = 0
    async for _, source in ctx.inputs([arg for arg in ctx.args if not arg.startswith("-")]):
        async for line in ctx.lines(source):
            count += 1
            await ctx.out(f"{count:6}\t".encode() + line)
    return None


async def _digest(algorithm: str, ctx: Context) -> int | None:
    _, names = parse(ctx.args, "bt")
    async for name, source in ctx.inputs(names):
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while data := await source.read():
            digest.update(data)
            await ctx.pace.step()
        await ctx.out(f"{digest.hexdigest()}  {name}\n")
    return None


async def base64_(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "dw:")
    async for _, source in ctx.inputs(names[:1]):
        data = await ctx.read_all(source)
        if "d" in given:
            try:
                await ctx.out(base64.b64decode(data))
            except ValueError:
                raise Failure("truncated base64 input") from None
            continue
        encoded, width = base64.b64encode(data).decode(), int(given.get("w", 76)) or len(data) * 2 + 4
        lines = [encoded[start : start + width] for start in range(0, len(encoded), width)]
        await ctx.out("".join(f"{line}\n" for line in lines))
    return None


TABLE: dict[str, Applet] = {
    "base64": base64_,
    "cat": cat,
    "cut": cut,
    "head": head,
    "md5sum": partial(_digest, "md5"),
    "nl": nl,
    "rev": rev,
    "sha1sum": partial(_digest, "sha1"),
    "sha256sum": partial(_digest, "sha256"),
    "sha512sum": partial(_digest, "sha512"),
    "sort": sort,
    "tac": tac,
    "tail": tail,
    "tr": tr,
    "uniq": uniq,
    "wc": wc,
}

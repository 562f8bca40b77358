"""``find``."""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass

from labkit.embedded.runtime.nodes import Status
from labkit.embedded.runtime.shell.applets.options import number
from labkit.embedded.runtime.shell.context import Applet, Context, Failure
from labkit.embedded.runtime.users import group_name, user_name

_TAKING = ("-name", "-iname", "-type", "-maxdepth", "-mindepth", "-path", "-perm", "-user", "-group")
_ALONE = ("-empty", "-executable")
_LETTERS = {"file": "f", "directory": "d", "link": "l"}


@dataclass(slots=True)
class _Found:
    path: str
    shown: str
    depth: int
    status: Status


async def find(ctx: Context) -> int:
    rest = list(ctx.args)
    follow = ""
    while rest and rest[0] in ("-L", "-H", "-P"):
        follow = rest.pop(0)[1]
    roots: list[str] = []
    while rest and not rest[0].startswith(("-", "!", "(")):
        roots.append(rest.pop(0))
    tests: list[tuple[str, str]] = []
    while rest:
        option = rest.pop(0)
        if option in _TAKING and rest:
            tests.append((option, rest.pop(0)))
        elif option in _ALONE:
            tests.append((option, ""))
        elif option == "-follow":
            follow = "L"
        elif option not in ("-print", "-a"):
            raise Failure(f"unrecognized: {option}")
    deepest = min((number(value) for option, value in tests if option == "-maxdepth"), default=1 << 30)
    for name in roots or ["."]:
        pending = [(ctx.path(name), name, 0, frozenset[str]())]
        while pending:
            path, shown, depth, above = pending.pop()
            await ctx.pace.step()
            try:
                status = _status(ctx, path, follow == "L" or (not depth and (follow == "H" or name.endswith("/"))))
            except OSError as error:
                await ctx.say(f"{shown}: {error.strerror}")
                ctx.failed = True
                continue
            found = _Found(path, shown, depth, status)
            if all(_passes(ctx, found, *test) for test in tests):
                await ctx.out(f"{shown}\n")
            real = ctx.files.real(path) if status.kind == "directory" else ""
            if real and depth < deepest and real not in above:  # a link back up is not followed for ever
                way = above | {real}
                pending += [
                    (posixpath.join(path, entry), posixpath.join(shown, entry), depth + 1, way)
                    for entry in await _inside(ctx, real, shown)
                ]
    return int(ctx.failed)


async def _inside(ctx: Context, path: str, shown: str) -> list[str]:
    """The names in a directory, the last one first."""
    try:
        return ctx.files.listdir(path)[::-1]
    except OSError as error:
        await ctx.say(f"{shown}: {error.strerror}")
        ctx.failed = True
        return []


def _status(ctx: Context, path: str, follow: bool) -> Status:
    """With ``follow`` what a link leads to; the link itself when that is not there."""
    try:
        return ctx.files.status(path, follow=follow)
    except FileNotFoundError:
        return ctx.files.status(path, follow=False)


def _passes(ctx: Context, found: _Found, option: str, value: str) -> bool:
    status, base = found.status, posixpath.basename(found.path)
    if option == "-name":
        return fnmatch.fnmatchcase(base, value)
    if option == "-iname":
        return fnmatch.fnmatchcase(base.lower(), value.lower())
    if option == "-path":
        return fnmatch.fnmatchcase(found.shown, value)
    if option == "-type":
        return value == _LETTERS[status.kind]
    if option == "-perm":
        return _has_mode(status.mode, value)
    if option == "-user":
        return value in (str(status.uid), user_name(status.uid, ctx.files))
    if option == "-group":
        return value in (str(status.gid), group_name(status.gid, ctx.files))
    if option == "-executable":
        return bool(status.mode & 0o111)
    if option == "-empty":
        return not (ctx.files.listdir(found.path) if status.kind == "directory" else status.size)
    return found.depth <= number(value) if option == "-maxdepth" else found.depth >= number(value)


def _has_mode(mode: int, value: str) -> bool:
    """``644`` exactly, ``-644`` all of these bits, ``+644`` or ``/644`` any of them."""
    digits = value.lstrip("-+/")
    if not digits or set(digits) - set("01234567"):
        raise Failure(f"invalid mode '{value}'")
    bits = int(digits, 8)
    if value.startswith("-"):
        return mode & bits == bits
    return bool(mode & bits) if value[0] in "+/" else mode == bits


TABLE: dict[str, Applet] = {"find": find}

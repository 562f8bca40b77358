"""``chmod``, ``chown``, ``chgrp``: modes and owners of files."""

from __future__ import annotations

import re
from collections.abc import Callable

from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.nodes import Status, permissions
from labkit.embedded.runtime.shell.applets.options import parse
from labkit.embedded.runtime.shell.context import Applet, Context, Failure
from labkit.embedded.runtime.users import UnknownUser, identify

UMASK = 0o022
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_WHO = {"u": (6, 0o4000), "g": (3, 0o2000), "o": (0, 0o1000)}  # how far left its bits are, and its special one


def changed(text: str, mode: int, *, directory: bool = False) -> int:
    """A mode after ``u+x,go=`` or ``750``. :class:`Failure` in the words of chmod."""
    if text[:1].isdigit():
        if not re.fullmatch("[0-7]{1,8}", text) or int(text, 8) > 0o7777:
            raise Failure(f"invalid mode '{text}'")
        return int(text, 8)
    for clause in text.split(",") if text else ():
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise Failure(f"invalid mode '{text}'")
        who = found[1].replace("a", "ugo")
        for operator, letters in _ACTION.findall(found[2]):
            mode = _acted(mode, who, operator, letters, directory)
    return mode


def _acted(mode: int, who: str, operator: str, letters: str, directory: bool) -> int:
    bits, whole = 0, 0 if who else 0o1000
    for one in who or "ugo":
        shift, special = _WHO[one]
        whole |= 7 << shift | (special if one != "o" else 0)
        if letters in _WHO and letters:
            bits |= (mode >> _WHO[letters][0] & 7) << shift
            continue
        executable = "x" in letters or ("X" in letters and (directory or bool(mode & 0o111)))
        bits |= (4 * ("r" in letters) + 2 * ("w" in letters) + executable) << shift
        bits |= special if "s" in letters and one != "o" else 0
    bits |= 0o1000 if "t" in letters else 0
    if not who:
        bits &= ~UMASK
    if operator == "+":
        return mode | bits
    return mode & ~bits if operator == "-" else mode & ~whole | bits


async def chmod(ctx: Context) -> int:
    args = list(ctx.args)
    flags = [arg for arg in args if re.fullmatch("-[Rcvf]+|--|--recursive", arg)]
    rest = [arg for arg in args if arg not in flags]  # `-x` is a mode, not an option
    if len(rest) < 2:
        raise Failure("usage: chmod [-Rcvf] MODE[,MODE]... FILE...")
    letters = "".join(flags)
    mode, *names = rest
    changed(mode, 0)  # refused before anything is done

    async def one(name: str, path: str, now: Status) -> None:
        new = changed(mode, now.mode, directory=now.kind == "directory")
        ctx.files.change(path, new)
        if "v" in letters or ("c" in letters and new != now.mode):
            await ctx.out(f"mode of '{name}' changed to {new:04o} ({permissions(new)})\n")

    for name in names:
        for path, shown in _all(ctx, name, recursive="R" in letters or "--recursive" in flags):
            await ctx.pace.step()
            if path != ctx.path(name) and ctx.files.readlink(path) is not None:
                continue  # what links lead to is not part of the tree
            try:
                await one(shown, path, ctx.files.status(path))
            except OSError as error:
                if "f" not in letters:
                    await ctx.say(f"{shown}: {error.strerror}")
                ctx.failed = True
    return int(ctx.failed)


async def chown(ctx: Context) -> int:
    return await _chown(ctx, _owner)


async def chgrp(ctx: Context) -> int:
    return await _chown(ctx, lambda text, files: (None, _group(text, files, f"unknown group {text}")))


async def _chown(ctx: Context, meaning: Callable[[str, Files], tuple[int | None, int | None]]) -> int:
    given, rest = parse(ctx.args, "RhLHPcvf", {"recursive": "R", "no-dereference": "h"})
    if len(rest) < 2:
        raise Failure(f"usage: {ctx.name} [-RhLHPcvf]... {'USER[:[GRP]]' if ctx.name == 'chown' else 'GROUP'} FILE...")
    uid, gid = meaning(rest[0], ctx.files)
    follow = "h" not in given and "R" not in given
    for name in rest[1:]:
        for path, shown in _all(ctx, name, recursive="R" in given):
            await ctx.pace.step()
            try:
                now = ctx.files.status(path, follow=follow)
                ctx.files.change(path, _without_set_id(now), uid, gid, follow=follow)
                if "v" in given or ("c" in given and (now.uid, now.gid) != (uid, gid)):
                    await ctx.out(f"changed ownership of '{shown}' to {uid if uid is not None else ''}:{gid or 0}\n")
            except OSError as error:
                if "f" not in given:
                    await ctx.say(f"{shown}: {error.strerror}")
                ctx.failed = True
    return int(ctx.failed)


def _without_set_id(now: Status) -> int:
    """A program that changes hands does not run as its owner any more."""
    if now.kind != "file":
        return now.mode
    return now.mode & ~(0o6000 if now.mode & 0o010 else 0o4000)


def _all(ctx: Context, name: str, *, recursive: bool) -> list[tuple[str, str]]:
    top = ctx.path(name)
    paths = ctx.files.tree(top) if recursive else [top]
    return [(path, name.rstrip("/") + path[len(top.rstrip("/")) :] if path != top else name) for path in paths]


def _owner(text: str, files: Files) -> tuple[int | None, int | None]:
    """``USER``, ``USER:GROUP``, ``:GROUP``, and ``USER:`` for the user's own group."""
    user, colon, group = text.partition(":" if ":" in text else ".")
    both = f"unknown user/group {text}" if group else f"unknown user {user}"
    uid = login = None
    if user:
        try:
            found = identify(user, files)
        except UnknownUser:
            raise Failure(both) from None
        uid, login = found.uid, found.gid
    return uid, _group(group, files, both) if group else login if colon else None


def _group(text: str, files: Files, complaint: str) -> int:
    try:
        return identify(f"0:{text}", files).gid
    except UnknownUser:
        raise Failure(complaint) from None


TABLE: dict[str, Applet] = {"chgrp": chgrp, "chmod": chmod, "chown": chown}

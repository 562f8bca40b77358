"""``ln``, ``readlink``, ``realpath``: symbolic links. A hard link is a copy here."""

from __future__ import annotations

import errno
import os
import posixpath

from labkit.embedded.runtime.files import normal
from labkit.embedded.runtime.shell.applets.options import Options, parse
from labkit.embedded.runtime.shell.context import Applet, Context, Failure

_USAGE = "usage: ln [-sfnbtv] [-S SUF] TARGET... LINK|DIR"


async def ln(ctx: Context) -> int:
    given, names = parse(ctx.args, "sfnbvTS:", {"symbolic": "s", "force": "f", "no-dereference": "n"})
    if not names:
        raise Failure(_USAGE)
    targets = names[:-1] or names
    last = names[-1] if len(names) > 1 else "."
    if "T" in given and (len(targets) > 1 or len(names) < 2):
        raise Failure(_USAGE)
    for target in targets:
        try:
            await _link(ctx, given, target, last)
        except OSError as error:
            await ctx.say(f"{error.filename}: {error.strerror}")
            ctx.failed = True
    return int(ctx.failed)


async def _link(ctx: Context, given: Options, target: str, last: str) -> None:
    files, shown = ctx.files, last
    directory = files.isdir(ctx.path(last)) and not ("n" in given and files.readlink(ctx.path(last)) is not None)
    if directory and "T" in given:
        raise Failure(f"'{last}' is a directory")
    if directory:
        shown = posixpath.join(last, posixpath.basename(target.rstrip("/")))
    path = ctx.path(shown)
    if files.lexists(path):
        if "f" not in given or (files.isdir(path) and files.readlink(path) is None):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), shown)
        files.remove(path)
    if "s" in given:
        try:
            files.symlink(target, path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, shown) from None
    else:
        _copy(ctx, target, path, shown)
    if "v" in given:
        await ctx.out(f"'{shown}' -> '{target}'\n")


def _copy(ctx: Context, target: str, path: str, shown: str) -> None:
    """A second name for a file. Here it is a copy, so that a change of one is not seen in the other."""
    source = ctx.path(target)
    found = ctx.files.readlink(source)
    if found is not None:
        ctx.files.symlink(found, path)
    elif ctx.files.isdir(source):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), shown)
    else:
        try:
            ctx.files.write(path, ctx.files.read(source))
        except OSError as error:
            raise OSError(error.errno, error.strerror, shown if ctx.files.isfile(source) else target) from None
        now = ctx.files.status(source)
        ctx.files.change(path, now.mode, now.uid, now.gid)


async def readlink(ctx: Context) -> int:
    given, names = parse(ctx.args, "fnveq", {"canonicalize": "f"})
    if len(names) != 1:
        raise Failure("usage: readlink [-fnv] FILE")
    path = ctx.path(names[0])
    found = _real(ctx, path) if "f" in given else ctx.files.readlink(path)
    if found is None:
        if "v" in given:
            raise Failure(f"{names[0]}: Invalid argument")
        return 1
    await ctx.out(found + ("" if "n" in given else "\n"))
    return 0


def _real(ctx: Context, path: str) -> str | None:
    """Where a path leads, if its directory is there."""
    try:
        real = ctx.files.real(path)
    except OSError:
        return None
    return real if ctx.files.isdir(posixpath.dirname(real)) else None


async def realpath(ctx: Context) -> int:
    for name in [arg for arg in ctx.args if not arg.startswith("-")] or ["."]:
        try:
            real = ctx.files.real(normal(name, ctx.cwd))
        except OSError as error:
            await ctx.say(f"{name}: {error.strerror}")
            ctx.failed = True
            continue
        if ctx.files.exists(real):
            await ctx.out(f"{real}\n")
        else:
            await ctx.say(f"{name}: No such file or directory")
            ctx.failed = True
    return int(ctx.failed)


TABLE: dict[str, Applet] = {"ln": ln, "readlink": readlink, "realpath": realpath}

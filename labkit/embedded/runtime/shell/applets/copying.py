"""``cp`` and ``mv``."""

from __future__ import annotations

import errno
import os
import posixpath

from labkit.embedded.runtime.nodes import Status
from labkit.embedded.runtime.shell.applets.options import Options, parse
from labkit.embedded.runtime.shell.applets.owning import UMASK
from labkit.embedded.runtime.shell.context import Applet, Context, Failure


async def cp(ctx: Context) -> int:
    given, names = parse(ctx.args, "rRafpdiPLHuvT", {"recursive": "r", "archive": "a"})
    return await _transfer(ctx, given, names, remove=False)


async def mv(ctx: Context) -> int:
    given, names = parse(ctx.args, "finvT")
    return await _transfer(ctx, {**given, "a": ""}, names, remove=True)


async def _transfer(ctx: Context, given: Options, names: list[str], *, remove: bool) -> int:
    if len(names) < 2:
        raise Failure(f"usage: {ctx.name} SOURCE... DEST")
    *sources, last = names
    target = ctx.path(last)
    into = ctx.files.isdir(target) and "T" not in given
    if len(sources) > 1 and not into:
        raise Failure(f"target '{last}' is not a directory")
    for name in sources:
        source = ctx.path(name)
        shown = posixpath.join(last, posixpath.basename(source)) if into else last
        to = posixpath.join(target, posixpath.basename(source)) if into else target
        try:
            status = ctx.files.status(source, follow=_follows(given, top=True))
            if remove:
                ctx.files.check_removal(source)
        except OSError as error:
            await ctx.say(f"can't {'rename' if remove else 'stat'} '{name}': {error.strerror}")
            ctx.failed = True
            continue
        if status.kind == "directory" and not set("rRa") & set(given):
            await ctx.say(f"omitting directory '{name}'")
            ctx.failed = True
        elif to == source:
            await ctx.say(f"'{name}' and '{last}' are the same file")
            ctx.failed = True
        elif status.kind == "directory" and to.startswith(source + "/"):
            raise Failure(f"recursion detected, omitting directory '{name}'")
        else:
            whole = await _Copy(ctx, given, name, shown, remove).copy(source, to, status)
            if remove and whole:
                await _remove(ctx, name, source)
    return int(ctx.failed)


async def _remove(ctx: Context, name: str, source: str) -> None:
    try:
        ctx.files.remove(source)
    except OSError as error:
        await ctx.say(f"can't remove '{name}': {error.strerror}")
        ctx.failed = True


def _follows(given: Options, *, top: bool) -> bool:
    """Are links followed? Not where trees are copied, unless one asks for it."""
    if "L" in given or (top and "H" in given):
        return True
    return not set("rRadP") & set(given)


# From, to, what it is, its path below the source that was named, and the directories on the way.
_Step = tuple[str, str, Status, str, frozenset[str]]


class _Copy:
    """One source on its way; complaints name files as they were given."""

    def __init__(self, ctx: Context, given: Options, name: str, shown: str, replace: bool) -> None:
        self._ctx = ctx
        self._given = given
        self._from = name
        self._to = shown
        self._replace = replace  # what is in the way goes, and is not written through

    async def copy(self, source: str, to: str, status: Status) -> bool:
        """The source, and what is in it. True if all of it could be copied."""
        whole = True
        pending: list[_Step] = [(source, to, status, "", frozenset())]
        while pending:
            step = pending.pop()
            done = await self._one(*step[:4])
            inside = await self._inside(step) if done and step[2].kind == "directory" else []
            pending += [one for one in reversed(inside) if one is not None]
            whole = whole and done and None not in inside
        return whole

    async def _one(self, source: str, to: str, status: Status, below: str) -> bool:
        ctx, files = self._ctx, self._ctx.files
        await ctx.pace.step()
        try:
            new = not files.exists(to)
            if status.kind == "link":
                if files.lexists(to):
                    files.remove(to)
                files.symlink(status.target, to)
            elif status.kind == "directory":
                files.mkdir(to, parents=True)
            else:
                if self._replace and files.lexists(to):
                    files.remove(to)
                    new = True
                files.write(to, self._read(source, below))
            self._mark(to, status, new)
        except Failure as failure:
            await ctx.say(failure.words)
            ctx.failed = True
            return False
        except OSError as error:
            what = "directory " if status.kind == "directory" else ""
            renamed = self._replace and error.errno == errno.EACCES  # what moves within a file system is not copied
            words = f"rename '{self._from}{below}'" if renamed else f"create {what}'{self._to}{below}'"
            await ctx.say(f"can't {words}: {error.strerror}")
            ctx.failed = True
            return False
        if "v" in self._given:
            await ctx.out(f"'{self._from}{below}' -> '{self._to}{below}'\n")
        return True

    def _read(self, source: str, below: str) -> bytes:
        try:
            return self._ctx.files.read(source)
        except OSError as error:
            raise Failure(f"can't open '{self._from}{below}': {error.strerror}") from None

    async def _inside(self, step: _Step) -> list[_Step | None]:
        """What is in a directory, None in the place of what cannot be copied."""
        source, to, _, below, above = step
        ctx, found = self._ctx, []
        real = ctx.files.real(source)
        way = above | {real}
        for name in ctx.files.listdir(real):
            entry = posixpath.join(source, name)
            one: _Step | None = None
            try:
                status = ctx.files.status(entry, follow=_follows(self._given, top=False))
                if ctx.files.real(entry, last=status.kind != "link") in way:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))  # a link that leads back up
                one = entry, posixpath.join(to, name), status, f"{below}/{name}", way
            except OSError as error:
                await ctx.say(f"can't stat '{self._from}{below}/{name}': {error.strerror}")
                ctx.failed = True
            found.append(one)
        return found

    def _mark(self, to: str, status: Status, new: bool) -> None:
        """Mode and owner: as they were with ``-p`` and ``-a``; else a new file has the mode that umask leaves of it."""
        files = self._ctx.files
        if set("pa") & set(self._given):
            now = files.status(to, follow=False)
            # Only root can give files away; anybody else's copies are their own.
            uid, gid = (now.uid, now.gid) if self._ctx.process.identity.uid else (status.uid, status.gid)
            if (status.mode, uid, gid) != (now.mode, now.uid, now.gid):
                files.change(to, status.mode, uid, gid, follow=False)
        elif new and status.kind != "link" and files.status(to).mode != status.mode & ~UMASK:
            files.change(to, status.mode & ~UMASK & 0o777)


TABLE: dict[str, Applet] = {"cp": cp, "mv": mv}

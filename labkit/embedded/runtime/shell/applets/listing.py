"""``ls`` and ``stat``: what there is to see of files without opening them.

``ls`` sets its columns as the image's would, busybox's or GNU's: it is what people look at most.
"""

from __future__ import annotations

import posixpath
import time
import zlib

from labkit.embedded.runtime.nodes import Status
from labkit.embedded.runtime.shell.applets.options import Options, parse
from labkit.embedded.runtime.shell.context import Applet, Context
from labkit.embedded.runtime.users import group_name, user_name


async def ls(ctx: Context) -> int:
    given, names = parse(ctx.args, "laA1hFpRdrtSniosLH", {"all": "a", "almost-all": "A", "color": "C", "classify": "F"})
    listed = names or ["."]
    gnu = ctx.process.image.gnu
    follows = not set("liosFd" if gnu else "liosF") & set(given) or bool({"L", "H"} & set(given))
    plain: list[tuple[str, str]] = []
    folders: list[str] = []
    for name in listed:
        status = await _look(
            ctx, name, ctx.path(name), follow=follows or name.endswith("/"), lost=gnu and "L" not in given
        )
        if status is None:
            continue
        if status.kind == "directory" and "d" not in given:
            folders.append(name)
        else:
            plain.append((name, ctx.path(name)))
    await _list(ctx, given, sorted(plain))
    for index, name in enumerate(sorted(folders)):
        await _folder(ctx, given, name, len(listed) > 1 or "R" in given, index > 0 or bool(plain))
    return (2 if gnu else 1) * ctx.failed


async def _look(ctx: Context, name: str, path: str, *, follow: bool, lost: bool = False) -> Status | None:
    """With ``lost``, a link that leads nowhere is looked at itself."""
    try:
        if lost and ctx.files.readlink(path) is not None and ctx.files.real(path) and not ctx.files.exists(path):
            follow = False
        return ctx.files.status(path, follow=follow)
    except OSError as error:
        shown = f"cannot access '{name}'" if ctx.process.image.gnu else name
        await ctx.say(f"{shown}: {error.strerror}")
        ctx.failed = True
        return None


async def _folder(ctx: Context, given: Options, name: str, titled: bool, gap: bool) -> None:
    await ctx.pace.step()
    path = ctx.files.real(ctx.path(name))
    try:
        names = ctx.files.listdir(path)
    except OSError as error:
        what = "cannot open directory" if ctx.process.image.gnu else "can't open"
        await ctx.say(f"{what} '{name}': {error.strerror}")
        ctx.failed = True
        names = []
    entries = [entry for entry in names if "a" in given or "A" in given or not entry.startswith(".")]
    if "a" in given:
        entries = [".", "..", *entries]
    if titled:
        await ctx.out(f"{chr(10) if gap else ''}{name}:\n")
    await _list(ctx, given, [(entry, posixpath.join(path, entry)) for entry in entries], total=True)
    if "R" in given:
        for entry in entries:
            below = posixpath.join(path, entry)
            if entry not in (".", "..") and ctx.files.isdir(below) and ctx.files.readlink(below) is None:
                await _folder(ctx, given, posixpath.join(name, entry), True, True)


async def _list(ctx: Context, given: Options, entries: list[tuple[str, str]], *, total: bool = False) -> None:
    rows = []
    for name, path in entries:
        status = await _look(ctx, name, path, follow="L" in given or name.endswith("/"))
        if status is not None:
            rows.append((name, path, status))
    if "r" in given:
        rows.reverse()
    if "l" not in given and "n" not in given:
        # Names in columns are for a terminal; one a line reads the same and is what a pipe gets.
        await ctx.out("".join(f"{name}{_mark(given, status)}\n" for name, _, status in rows))
        return
    if total:
        blocks = sum(status.blocks for *_, status in rows)
        await ctx.out(f"total {human(1024 * blocks) if 'h' in given else blocks}\n")
    owners = _Owners(ctx, numbers="n" in given)
    cells = []
    for name, path, status in rows:
        shown = name + _mark(given, status)
        if status.kind == "link":
            shown = f"{name} -> {status.target}" + (_mark(given, _behind(ctx, path)) if "F" in given else "")
        size = human(status.size) if "h" in given else str(status.size)
        links = str(_links(ctx, path, status))
        cells.append((status.text, links, owners.user(status.uid), owners.group(status.gid), size, shown))
    date = time.strftime("%b %e %H:%M", time.gmtime(_when(ctx)))
    await ctx.out("".join(_gnu(cells, date) if ctx.process.image.gnu else _busybox(cells, date)))


_Cells = list[tuple[str, str, str, str, str, str]]  # mode, links, user, group, size, name


def _busybox(cells: _Cells, date: str) -> list[str]:
    return [
        f"{mode} {links:>4} {user:8.8} {group:8.8} {size:>9} {date} {name}\n"
        for mode, links, user, group, size, name in cells
    ]


def _gnu(cells: _Cells, date: str) -> list[str]:
    """Each column as wide as it has to be; numbers that stand for names are set as numbers."""
    a, b, c, d = (max((len(row[column]) for row in cells), default=0) for column in (1, 2, 3, 4))

    def owner(text: str, width: int) -> str:
        return text.rjust(width) if text.isdigit() else text.ljust(width)

    return [
        f"{mode} {links:>{a}} {owner(user, b)} {owner(group, c)} {size:>{d}} {date} {name}\n"
        for mode, links, user, group, size, name in cells
    ]


def _mark(given: Options, status: Status | None) -> str:
    """What ``-F`` and ``-p`` put behind a name."""
    if status is None or not ("F" in given or "p" in given):
        return ""
    if status.kind == "directory":
        return "/"
    if "F" not in given:
        return ""
    return "@" if status.kind == "link" else "*" if status.mode & 0o111 else ""


def _behind(ctx: Context, path: str) -> Status | None:
    """What a link leads to, if there is something."""
    try:
        return ctx.files.status(path)
    except OSError:
        return None


def _links(ctx: Context, path: str, status: Status) -> int:
    """How many names it has: a directory has its own, its ``.``, and the ``..`` of each that is in it."""
    return 2 + ctx.files.folders(path) if status.kind == "directory" else 1


def _when(ctx: Context) -> float:
    """Files have no times here; they look as old as the container."""
    return ctx.ns.main.started_at if ctx.ns.main else ctx.process.clock.time()


class _Owners:
    """The names of users and groups, each looked up once."""

    def __init__(self, ctx: Context, *, numbers: bool = False) -> None:
        self._ctx = ctx
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}
        self._numbers = numbers

    def user(self, uid: int) -> str:
        if uid not in self._users:
            self._users[uid] = "" if self._numbers else user_name(uid, self._ctx.files)
        return self._users[uid] or str(uid)

    def group(self, gid: int) -> str:
        if gid not in self._groups:
            self._groups[gid] = "" if self._numbers else group_name(gid, self._ctx.files)
        return self._groups[gid] or str(gid)


def human(size: float) -> str:
    """A size for people: 1.5K."""
    for unit in ("", "K", "M", "G"):
        if size < 1024 or unit == "G":
            return f"{size:.1f}{unit}" if unit and size < 10 else f"{size:.0f}{unit}"
        size /= 1024
    return ""


_KINDS = {"file": "regular file", "directory": "directory", "link": "symbolic link"}


async def stat(ctx: Context) -> int:
    given, names = parse(ctx.args, "c:Lft", {"format": "c", "dereference": "L"})
    for name in names:
        path = ctx.path(name)
        try:
            status = ctx.files.status(path, follow="L" in given or name.endswith("/"))
        except OSError as error:
            await ctx.say(f"can't stat '{name}': {error.strerror}")
            ctx.failed = True
            continue
        values = _values(ctx, name, path, status)
        await ctx.out(_filled(given["c"], values) + "\n" if "c" in given else _report(values, status))
    return int(ctx.failed)


def _values(ctx: Context, name: str, path: str, status: Status) -> dict[str, str]:
    """What ``-c`` can ask for, by its letter."""
    owners, moment = _Owners(ctx), _when(ctx)
    kind = "regular empty file" if status.kind == "file" and not status.size else _KINDS[status.kind]
    times = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1e9):09} +0000"
    return {
        "%": "%",
        "a": f"{status.mode:o}",
        "A": status.text,
        "b": str(2 * status.blocks),
        "B": "512",
        "d": "64769",
        "F": kind,
        "g": str(status.gid),
        "G": owners.group(status.gid),
        "h": str(_links(ctx, path, status)),
        "i": str(zlib.crc32(path.encode("utf-8", "replace")) & 0xFFFFFF),
        "n": name,
        "N": f"'{name}' -> '{status.target}'" if status.kind == "link" else name,
        "o": "4096",
        "s": str(status.size),
        "u": str(status.uid),
        "U": owners.user(status.uid),
        **dict.fromkeys("xyz", times),
        **dict.fromkeys("XYZ", str(int(moment))),
    }


def _filled(form: str, values: dict[str, str]) -> str:
    shown, rest = "", form
    while rest:
        before, percent, rest = rest.partition("%")
        shown += before
        if percent and rest:
            shown, rest = shown + values.get(rest[0], "?"), rest[1:]
    return shown


def _report(v: dict[str, str], status: Status) -> str:
    return (
        f"  File: {v['N']}\n"
        f"  Size: {v['s']:<10}\tBlocks: {v['b']:<10} IO Block: 4096   {v['F']}\n"
        f"Device: fd01h/64769d\tInode: {v['i']:<10}  Links: {v['h']}\n"
        f"Access: ({status.mode:04o}/{v['A']})  Uid: ({v['u']:>5}/{v['U']:>8})   Gid: ({v['g']:>5}/{v['G']:>8})\n"
        f"Access: {v['x']}\nModify: {v['y']}\nChange: {v['z']}\n"
    )


TABLE: dict[str, Applet] = {"ls": ls, "stat": stat}

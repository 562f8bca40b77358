"""``tar``, which ``kubectl cp`` and ``docker cp`` by hand need in the container: archives of the container's files."""

from __future__ import annotations

import io
import posixpath
from typing import TYPE_CHECKING

from labkit.embedded.runtime.files import MAX_BYTES
from labkit.embedded.runtime.shell.applets.options import Options, parse
from labkit.embedded.runtime.shell.applets.owning import UMASK
from labkit.embedded.runtime.shell.context import Applet, Context, Failure, FileSink
from labkit.embedded.runtime.users import group_name, user_name

if TYPE_CHECKING:
    import tarfile

# Times are taken and forgotten: the files here have none.
_BLOCK = 512  # bytes of a member's header
_LETTERS = "cxtf:C:zvOkhmopP"
_LONG = {"create": "c", "extract": "x", "list": "t", "file": "f", "directory": "C", "gzip": "z", "verbose": "v"}


async def tar(ctx: Context) -> int:
    args = list(ctx.args)
    if args and not args[0].startswith("-"):
        args[0] = f"-{args[0]}"  # `tar cf` is as good as `tar -cf`
    given, names = parse(args, _LETTERS, _LONG)
    if len(given.keys() & set("cxt")) != 1:
        raise Failure(
            "need at least one option of c, x and t: tar c|x|t [-ZzJjahmvokO] [-f TARFILE] [-C DIR] [FILE]..."
        )
    folder = ctx.path(given.get("C", "."))
    if not ctx.files.isdir(folder):
        raise Failure(f"can't change directory to '{given['C']}': No such file or directory")
    if "c" in given:
        return await _create(ctx, given, folder, names)
    return await _read(ctx, given, folder, names)


async def _create(ctx: Context, given: Options, folder: str, names: list[str]) -> int:
    import tarfile

    if not names:
        raise Failure("empty archive")
    archive = io.BytesIO()
    said: set[str] = set()
    with tarfile.open(fileobj=archive, mode="w:gz" if "z" in given else "w", format=tarfile.GNU_FORMAT) as made:
        for name in names:
            top = posixpath.normpath(posixpath.join(folder, name))
            if not ctx.files.lexists(top):
                await ctx.say(f"{name}: No such file or directory")
                ctx.failed = True
                continue
            for path in ctx.files.tree(top):
                await ctx.pace.step()
                shown = name.rstrip("/") + path[len(top) :] if path != top else name
                await _add(ctx, given, made, path, shown, said)
    file = given.get("f", "-")
    if file == "-":
        await ctx.out(archive.getvalue())
    else:
        await _written(ctx, ctx.path(file), file, archive.getvalue())
    if ctx.failed:
        await ctx.say("error exit delayed from previous errors")
    return int(ctx.failed)


async def _add(ctx: Context, given: Options, archive: tarfile.TarFile, path: str, name: str, said: set[str]) -> None:
    """One file or directory of the container. What may not stand before a member's name is told of once."""
    import tarfile

    member = name.lstrip("/")
    while member.startswith("../"):
        member = member[3:].lstrip("/")
    prefix = name[: len(name) - len(member)]
    if prefix and prefix not in said:
        said.add(prefix)
        await ctx.say(f"removing leading '{prefix}' from member names")
    if not member:
        return
    info = tarfile.TarInfo(member)
    status = ctx.files.status(path, follow=False)
    info.mode, info.uid, info.gid = status.mode, status.uid, status.gid
    info.uname, info.gname = user_name(status.uid, ctx.files), group_name(status.gid, ctx.files)
    info.mtime = int(ctx.process.clock.time())
    if status.kind == "directory":
        info.type = tarfile.DIRTYPE
    elif status.kind == "link":
        info.type, info.linkname = tarfile.SYMTYPE, status.target
    if "v" in given:  # beside an archive that goes to standard output, names may not go there too
        await (ctx.err if given.get("f", "-") == "-" else ctx.out)(f"{info.name}{'/' * info.isdir()}\n")
    if not info.isfile():
        archive.addfile(info)
    else:
        data = ctx.files.read(path)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


async def _read(ctx: Context, given: Options, folder: str, names: list[str]) -> int:
    """``x`` and ``t``: all members, or those that are named (a directory's name takes what is in it)."""
    import tarfile

    file = given.get("f", "-")
    try:
        source = ctx.open(file)
    except Failure as failure:
        raise Failure(f"can't open '{file}': {failure.words.removeprefix(f'{file}: ')}") from None
    data = await ctx.read_all(source, 2 * MAX_BYTES)
    if len(data) < _BLOCK and "z" not in given:
        raise Failure("short read")
    missing = set(names)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            for info in archive:
                await ctx.pace.step()
                wanted = {name for name in names if info.name == name or info.name.startswith(f"{name}/")}
                if names and not wanted:
                    continue
                missing -= wanted
                await _member(ctx, given, folder, archive, info)
    except (tarfile.TarError, EOFError, OSError):
        raise Failure("invalid tar magic") from None
    for name in sorted(missing):
        await ctx.say(f"{name}: not found in archive")
    return int(bool(missing))


async def _member(ctx: Context, given: Options, folder: str, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
    if ".." in info.name.split("/"):
        raise Failure(f"name with '..' skipped: '{info.name}'")
    if "t" in given or "v" in given:
        await ctx.out(f"{info.name}/\n" if info.isdir() else f"{info.name}\n")
    if "t" in given:
        return
    content = archive.extractfile(info) if info.isfile() else None
    data = content.read() if content else b""
    if "O" in given:
        await ctx.out(data)
        return
    path = posixpath.normpath(posixpath.join(folder, info.name.lstrip("/")))
    try:
        ctx.files.mkdir(path if info.isdir() else posixpath.dirname(path), parents=True)
    except OSError as error:
        raise Failure(f"can't make dir {info.name}: {error.strerror}") from None
    if info.isfile():
        await _written(ctx, path, info.name, data)
    elif info.issym():
        _linked(ctx, path, info)
    mode = info.mode & 0o777 & ~UMASK
    if (info.isfile() or info.isdir()) and mode != ctx.files.status(path).mode & 0o777:
        ctx.files.change(path, mode)


def _linked(ctx: Context, path: str, info: tarfile.TarInfo) -> None:
    try:
        if ctx.files.lexists(path):
            ctx.files.remove(path)
        ctx.files.symlink(info.linkname, path)
    except OSError as error:
        raise Failure(f"can't create symlink '{info.name}' to '{info.linkname}': {error.strerror}") from None


async def _written(ctx: Context, path: str, name: str, data: bytes) -> None:
    try:
        await FileSink(ctx.files, path, append=False).write(data)
    except OSError as error:
        raise Failure(f"can't open '{name}': {error.strerror}") from None


TABLE: dict[str, Applet] = {"tar": tar}

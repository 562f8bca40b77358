"""Tools that look at and change files: all of them in the container's own memory."""

from __future__ import annotations

import posixpath

from labkit.embedded.runtime.files import MAX_BYTES
from labkit.embedded.runtime.shell.applets.listing import human
from labkit.embedded.runtime.shell.applets.options import Options, number, parse
from labkit.embedded.runtime.shell.applets.owning import changed
from labkit.embedded.runtime.shell.context import Applet, Context, Failure


async def mkdir(ctx: Context) -> int:
    given, names = parse(ctx.args, "pm:")
    if not names:
        raise Failure("usage: mkdir [-m MODE] [-p] DIRECTORY...")
    mode = changed(given["m"], 0o777, directory=True) if "m" in given else None
    for name in names:
        try:
            ctx.files.mkdir(ctx.path(name), parents="p" in given)
            if mode is not None:
                ctx.files.change(ctx.path(name), mode)
        except OSError as error:
            await ctx.say(f"can't create directory '{name}': {error.strerror}")
            ctx.failed = True
    return int(ctx.failed)


async def rmdir(ctx: Context) -> int:
    _, names = parse(ctx.args, "p")
    for name in names:
        path = ctx.path(name)
        try:
            if ctx.files.status(path, follow=False).kind != "directory":
                raise NotADirectoryError(20, "Not a directory")
            if ctx.files.listdir(path):
                raise OSError(39, "Directory not empty")
            ctx.files.remove(path)
        except OSError as error:
            await ctx.say(f"'{name}': {error.strerror}")
            ctx.failed = True
    return int(ctx.failed)


async def rm(ctx: Context) -> int:
    given, names = parse(ctx.args, "rRfiv", {"recursive": "r", "force": "f"})
    for name in names:
        path = ctx.path(name)
        link = ctx.files.readlink(path) is not None
        if not ctx.files.lexists(path):
            if "f" not in given:
                await ctx.say(f"can't remove '{name}': No such file or directory")
                ctx.failed = True
        elif not link and ctx.files.isdir(path) and not ("r" in given or "R" in given):
            await ctx.say(f"'{name}' is a directory")
            ctx.failed = True
        else:
            await _remove(ctx, given, name, path)
    return int(ctx.failed)


async def _remove(ctx: Context, given: Options, name: str, path: str) -> None:
    try:
        ctx.files.remove(path)
    except OSError:
        # Something in it cannot go: each that stays is named, from the bottom up.
        for entry in reversed(ctx.files.tree(path)):
            await ctx.pace.step()
            try:
                ctx.files.remove(entry)
            except OSError as error:
                await ctx.say(f"can't remove '{name}{entry[len(path) :]}': {error.strerror}")
                ctx.failed = True
    else:
        if "v" in given:
            await ctx.out(f"removed '{name}'\n")


async def touch(ctx: Context) -> int:
    given, names = parse(ctx.args, "cd:t:r:hma")
    for name in names:
        path = ctx.path(name)
        try:
            if not ctx.files.exists(path):
                if "c" not in given:
                    ctx.files.write(path, b"")
            else:
                ctx.files.check_write(path)
        except OSError as error:
            await ctx.say(f"{name}: {error.strerror}")
            ctx.failed = True
    return int(ctx.failed)


async def sync(ctx: Context) -> int:
    return 0


async def du(ctx: Context) -> int:
    given, names = parse(ctx.args, "shakmd:")
    for name in names or ["."]:
        try:
            tree = [ctx.files.status(path, follow=False) for path in ctx.files.tree(ctx.path(name))]
        except OSError as error:
            await ctx.say(f"can't open '{name}': {error.strerror}")
            ctx.failed = True
            continue
        size = sum(status.size for status in tree if status.kind == "file")
        await ctx.out(f"{human(size) if 'h' in given else -(-size // 1024)}\t{name}\n")
    return int(ctx.failed)


async def df(ctx: Context) -> int:
    given, _ = parse(ctx.args, "hkmPT")
    used = sum(len(data) for data in ctx.files.layer.values() if data)
    sizes = (MAX_BYTES, used, MAX_BYTES - used)
    shown = [human(size) if "h" in given else str(size // 1024) for size in sizes]
    await ctx.out(
        f"Filesystem           {'Size' if 'h' in given else '1K-blocks':>9}      Used Available Use% Mounted on\n"
    )
    await ctx.out(f"overlay              {shown[0]:>9} {shown[1]:>9} {shown[2]:>9} {100 * used // MAX_BYTES:>3}% /\n")
    return 0


async def dd(ctx: Context) -> int:
    given = dict(arg.split("=", 1) for arg in ctx.args if "=" in arg)
    size, count = number(given.get("bs", "512")), number(given["count"]) if "count" in given else -1
    if not 0 < size <= MAX_BYTES:
        raise Failure(f"invalid number '{given.get('bs')}'")
    source = ctx.open(given["if"]) if "if" in given else ctx.stdin
    total = blocks = 0
    target = given.get("of", "")
    if target and target != "/dev/null":
        ctx.files.write(ctx.path(target), b"")
    while count < 0 or blocks < count:
        block = b""
        while len(block) < size and (data := await source.read(size - len(block))):
            block += data
            await ctx.pace.step()
        if not block:
            break
        blocks, total = blocks + 1, total + len(block)
        if not target:
            await ctx.stdout.write(block)
        elif target != "/dev/null":
            ctx.files.write(ctx.path(target), block, append=True)
    await ctx.err(
        f"{total // size}+{int(total % size > 0)} records in\n{total // size}+{int(total % size > 0)} records out\n"
    )
    return 0


async def basename(ctx: Context) -> int:
    if not ctx.args:
        raise Failure("usage: basename FILE [SUFFIX]")
    name = ctx.args[0].rstrip("/").rpartition("/")[2] or "/"
    suffix = ctx.args[1] if len(ctx.args) > 1 else ""
    await ctx.out((name.removesuffix(suffix) if name != suffix else name) + "\n")
    return 0


async def dirname(ctx: Context) -> int:
    if not ctx.args:
        raise Failure("usage: dirname FILENAME")
    await ctx.out((posixpath.dirname(ctx.args[0].rstrip("/")) or ("/" if ctx.args[0][:1] == "/" else ".")) + "\n")
    return 0


async def mktemp(ctx: Context) -> int:
    given, names = parse(ctx.args, "dqtup:")
    letters = "".join(ctx.process.rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=6))
    path = names[0].replace("XXXXXX", letters) if names else f"/tmp/tmp.{letters}"
    if "d" in given:
        ctx.files.mkdir(ctx.path(path))
    else:
        ctx.files.write(ctx.path(path), b"")
    await ctx.out(f"{path}\n")
    return 0


async def pwd(ctx: Context) -> int:
    """For who runs it without a shell (``kubectl exec POD -- pwd``); within one it is built in."""
    await ctx.out(f"{ctx.cwd}\n")
    return 0


async def mount(ctx: Context) -> int:
    await ctx.out(
        "overlay on / type overlay (rw,relatime)\nproc on /proc type proc (rw,nosuid,nodev,noexec,relatime)\n"
    )
    for point, layer in ctx.files.mounts.items():
        kind = "tmpfs on {} type tmpfs" if getattr(layer, "tmpfs", False) else "/dev/vda1 on {} type ext4"
        await ctx.out(f"{kind.format(point)} ({'ro' if getattr(layer, 'readonly', False) else 'rw'},relatime)\n")
    return 0


TABLE: dict[str, Applet] = {
    "basename": basename,
    "dd": dd,
    "df": df,
    "dirname": dirname,
    "du": du,
    "mkdir": mkdir,
    "mktemp": mktemp,
    "mount": mount,
    "pwd": pwd,
    "rm": rm,
    "rmdir": rmdir,
    "sync": sync,
    "touch": touch,
}

"""Tools that look at and change files: all of them in the container's own memory."""

from __future__ import annotations

import fnmatch
import posixpath
import time

from labkit.embedded.runtime.files import MAX_BYTES
from labkit.embedded.runtime.shell.applets.options import number, parse
from labkit.embedded.runtime.shell.context import Applet, Context, Failure


async def ls(ctx: Context) -> int | None:
    given, names = parse(ctx.args, "laA1hFRdrtSnio", {"all": "a", "color": "F"})
    listed = names or ["."]
    failed = False
    plain: list[str] = []
    folders: list[str] = []
    for name in listed:
        path = ctx.path(name)
        if not ctx.files.exists(path):
            await ctx.say(f"{name}: No such file or directory")
            failed = True
        elif ctx.files.isdir(path) and "d" not in given:
            folders.append(name)
        else:
            plain.append(name)
    await _list(ctx, given, [(name, ctx.path(name)) for name in plain])
    for index, name in enumerate(folders):
        await _folder(ctx, given, name, len(listed) > 1 or "R" in given, index > 0 or bool(plain))
    return int(failed)


async def _folder(ctx: Context, given: dict[str, str], name: str, titled: bool, gap: bool) -> None:
    await ctx.pace.step()
    path = ctx.path(name)
    entries = [entry for entry in ctx.files.listdir(path) if "a" in given or "A" in given or not entry.startswith(".")]
    if "a" in given:
        entries = [".", "..", *entries]
    if titled:
        await ctx.out(f"{chr(10) if gap else ''}{name}:\n")
    if "l" in given:
        await ctx.out(f"total {4 * len(entries)}\n")
    await _list(ctx, given, [(entry, posixpath.join(path, entry)) for entry in entries])
    if "R" in given:
        for entry in entries:
            if entry not in (".", "..") and ctx.files.isdir(posixpath.join(path, entry)):
                await _folder(ctx, given, posixpath.join(name, entry), True, True)


async def _list(ctx: Context, given: dict[str, str], entries: list[tuple[str, str]]) -> None:
    if "r" in given:
        entries = entries[::-1]
    if "l" not in given:
        # Names in columns are for a terminal; one a line reads the same and is what a pipe gets.
        await ctx.out("".join(f"{name}\n" for name, _ in entries))
        return
    started = ctx.ns.main.started_at if ctx.ns.main else ctx.process.clock.time()
    date = time.strftime("%b %e %H:%M", time.gmtime(started))
    for name, path in entries:
        folder = ctx.files.isdir(path)
        size = 4096 if folder else len(ctx.files.read(path))
        mode = "drwxr-xr-x" if folder else "-rwxr-xr-x" if ctx.process.image.lookup(path) else "-rw-r--r--"
        shown = _human(size) if "h" in given else str(size)
        await ctx.out(f"{mode} {2 if folder else 1:4} root     root     {shown:>9} {date} {name}\n")


def _human(size: float) -> str:
    for unit in ("", "K", "M", "G"):
        if size < 1024 or unit == "G":
            return f"{size:.1f}{unit}" if unit and size < 10 else f"{size:.0f}{unit}"
        size /= 1024
    return ""


async def mkdir(ctx: Context) -> int:
    given, names = parse(ctx.args, "pm:")
    if not names:
        raise Failure("usage: mkdir [-m MODE] [-p] DIRECTORY...")
    for name in names:
        try:
            ctx.files.mkdir(ctx.path(name), parents="p" in given)
        except OSError as error:
            await ctx.say(f"can't create directory '{name}': {error.strerror}")
            ctx.failed = True
    return int(ctx.failed)


async def rmdir(ctx: Context) -> int:
    _, names = parse(ctx.args, "p")
    for name in names:
        path = ctx.path(name)
        if not ctx.files.isdir(path):
            await ctx.say(f"'{name}': {'Not a directory' if ctx.files.isfile(path) else 'No such file or directory'}")
            ctx.failed = True
        elif ctx.files.listdir(path):
            await ctx.say(f"'{name}': Directory not empty")
            ctx.failed = True
        else:
            ctx.files.remove(path)
    return int(ctx.failed)


async def rm(ctx: Context) -> int:
    given, names = parse(ctx.args, "rRfi")
    for name in names:
        path = ctx.path(name)
        if not ctx.files.exists(path):
            if "f" not in given:
                await ctx.say(f"can't remove '{name}': No such file or directory")
                ctx.failed = True
        elif ctx.files.isdir(path) and not ("r" in given or "R" in given):
            await ctx.say(f"'{name}' is a directory")
            ctx.failed = True
        else:
            try:
                ctx.files.remove(path)
            except OSError as error:
                await ctx.say(f"can't remove '{name}': {error.strerror}")
                ctx.failed = True
    return int(ctx.failed)


async def touch(ctx: Context) -> int:
    given, names = parse(ctx.args, "cd:t:r:hma")
    for name in names:
        if not ctx.files.exists(ctx.path(name)) and "c" not in given:
            try:
                ctx.files.write(ctx.path(name), b"")
            except OSError as error:
                await ctx.say(f"{name}: {error.strerror}")
                ctx.failed = True
    return int(ctx.failed)


async def cp(ctx: Context) -> int:
    return await _transfer(ctx, "rRafpdiPLHu", remove=False)


async def mv(ctx: Context) -> int:
    return await _transfer(ctx, "fin", remove=True)


async def _transfer(ctx: Context, letters: str, *, remove: bool) -> int:
    given, names = parse(ctx.args, letters)
    if len(names) < 2:
        raise Failure(f"usage: {ctx.name} SOURCE... DEST")
    *sources, last = names
    target = ctx.path(last)
    if len(sources) > 1 and not ctx.files.isdir(target):
        raise Failure(f"target '{last}' is not a directory")
    for name in sources:
        source = ctx.path(name)
        to = posixpath.join(target, posixpath.basename(source)) if ctx.files.isdir(target) else target
        if not ctx.files.exists(source):
            await ctx.say(
                f"can't rename '{name}': No such file or directory"
                if remove
                else f"can't stat '{name}': No such file or directory"
            )
            ctx.failed = True
        elif ctx.files.isdir(source) and not remove and not set("rRa") & set(given):
            await ctx.say(f"omitting directory '{name}'")
            ctx.failed = True
        elif to == source:
            await ctx.say(f"'{name}' and '{last}' are the same file")
            ctx.failed = True
        elif to.startswith(source + "/"):
            raise Failure(f"recursion detected, omitting directory '{name}'")
        else:
            for path in ctx.files.tree(source):
                await ctx.pace.step()
                if ctx.files.isdir(path):
                    ctx.files.mkdir(to + path[len(source) :], parents=True)
                else:
                    ctx.files.write(to + path[len(source) :], ctx.files.read(path))
            if remove:
                ctx.files.remove(source)
    return int(ctx.failed)


async def ln(ctx: Context) -> int:
    """Links are copies here: enough for scripts that lead a log file to /dev/stdout."""
    _, names = parse(ctx.args, "sfnT")
    if len(names) != 2:
        raise Failure("usage: ln [-sfn] TARGET LINK")
    if ctx.files.isfile(ctx.path(names[0])):
        ctx.files.write(ctx.path(names[1]), ctx.files.read(ctx.path(names[0])))
    return 0


async def nothing(ctx: Context) -> int:
    """chmod, chown, sync: there are no owners and modes to change; the files must be there all the same."""
    _, names = (
        parse(ctx.args, "Rfcvh") if not any(a[:1] == "-" and a[1:2] in "rwx" for a in ctx.args) else ({}, ctx.args)
    )
    for name in names[1:]:
        if not ctx.files.exists(ctx.path(name)):
            await ctx.say(f"{name}: No such file or directory")
            ctx.failed = True
    return int(ctx.failed)


async def sync(ctx: Context) -> int:
    return 0


async def find(ctx: Context) -> int:
    roots: list[str] = []
    rest = list(ctx.args)
    while rest and not rest[0].startswith(("-", "!", "(")):
        roots.append(rest.pop(0))
    tests: list[tuple[str, str]] = []
    while rest:
        option = rest.pop(0)
        if option in ("-name", "-iname", "-type", "-maxdepth", "-mindepth", "-path") and rest:
            tests.append((option, rest.pop(0)))
        elif option not in ("-print", "-a"):
            raise Failure(f"unrecognized: {option}")
    for name in roots or ["."]:
        root = ctx.path(name)
        if not ctx.files.exists(root):
            await ctx.say(f"{name}: No such file or directory")
            ctx.failed = True
            continue
        for path in ctx.files.tree(root):
            await ctx.pace.step()
            shown = name.rstrip("/") + path[len(root.rstrip("/")) :] if path != root else name
            if all(_found(ctx, path, shown, path[len(root) :].count("/"), *test) for test in tests):
                await ctx.out(f"{shown}\n")
    return int(ctx.failed)


def _found(ctx: Context, path: str, shown: str, depth: int, option: str, value: str) -> bool:
    base = posixpath.basename(path)
    if option == "-name":
        return fnmatch.fnmatchcase(base, value)
    if option == "-iname":
        return fnmatch.fnmatchcase(base.lower(), value.lower())
    if option == "-path":
        return fnmatch.fnmatchcase(shown, value)
    if option == "-type":
        return value == ("d" if ctx.files.isdir(path) else "f")
    return depth <= number(value) if option == "-maxdepth" else depth >= number(value)


async def du(ctx: Context) -> int:
    given, names = parse(ctx.args, "shakmd:")
    for name in names or ["."]:
        size = sum(len(ctx.files.read(path)) for path in ctx.files.tree(ctx.path(name)) if ctx.files.isfile(path))
        await ctx.out(f"{_human(size) if 'h' in given else -(-size // 1024)}\t{name}\n")
    return 0


async def df(ctx: Context) -> int:
    given, _ = parse(ctx.args, "hkmPT")
    used = sum(len(data) for data in ctx.files.layer.values() if data)
    sizes = (MAX_BYTES, used, MAX_BYTES - used)
    shown = [_human(size) if "h" in given else str(size // 1024) for size in sizes]
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


async def realpath(ctx: Context) -> int:
    for name in [arg for arg in ctx.args if not arg.startswith("-")]:
        await ctx.out(ctx.path(name) + "\n")
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


async def stat(ctx: Context) -> int:
    _, names = parse(ctx.args, "c:Lft")
    for name in names:
        path = ctx.path(name)
        if not ctx.files.exists(path):
            await ctx.say(f"can't stat '{name}': No such file or directory")
            ctx.failed = True
            continue
        folder = ctx.files.isdir(path)
        size, kind = (4096, "directory") if folder else (len(ctx.files.read(path)), "regular file")
        await ctx.out(f"  File: {name}\n  Size: {size}\t\tBlocks: {-(-size // 512)}\tIO Block: 4096   {kind}\n")
    return int(ctx.failed)


async def pwd(ctx: Context) -> int:
    """For who runs it without a shell (``kubectl exec POD -- pwd``); within one it is built in."""
    await ctx.out(f"{ctx.cwd}\n")
    return 0


async def mount(ctx: Context) -> int:
    await ctx.out(
        "overlay on / type overlay (rw,relatime)\nproc on /proc type proc (rw,nosuid,nodev,noexec,relatime)\n"
    )
    for point in ctx.files.mounts:
        await ctx.out(f"/dev/vda1 on {point} type ext4 (rw,relatime)\n")
    return 0


TABLE: dict[str, Applet] = {
    "basename": basename,
    "chmod": nothing,
    "chown": nothing,
    "cp": cp,
    "dd": dd,
    "df": df,
    "dirname": dirname,
    "du": du,
    "find": find,
    "ln": ln,
    "ls": ls,
    "mkdir": mkdir,
    "mktemp": mktemp,
    "mount": mount,
    "mv": mv,
    "pwd": pwd,
    "readlink": realpath,
    "realpath": realpath,
    "rm": rm,
    "rmdir": rmdir,
    "stat": stat,
    "sync": sync,
    "touch": touch,
}

"""Tools about the container itself: environment, time, processes, the machine."""

from __future__ import annotations

import asyncio
import time

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.shell.applets.options import duration, parse
from labkit.embedded.runtime.shell.applets.running import run_child
from labkit.embedded.runtime.shell.context import Applet, Context, Failure
from labkit.embedded.runtime.users import group_name, user_name

KERNEL = "6.8.0-labkit"


async def sleep(ctx: Context) -> int:
    if not ctx.args:
        raise Failure("usage: sleep [N]...", 1)
    if "inf" in [arg.lower() for arg in ctx.args] or "infinity" in ctx.args:
        await asyncio.get_running_loop().create_future()
    await ctx.sleep(sum(duration(arg) for arg in ctx.args))
    return 0


async def usleep(ctx: Context) -> int:
    await ctx.sleep(duration(ctx.args[0]) / 1e6 if ctx.args else 0)
    return 0


async def env(ctx: Context) -> int:
    given, rest = parse(ctx.args, "iu:", stop=True)
    variables = {} if "i" in given else dict(ctx.env)
    variables.pop(given.get("u", ""), None)
    while rest and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        variables[name] = value
    if not rest:
        await ctx.out("".join(f"{name}={value}\n" for name, value in variables.items()))
        return 0
    ctx.env = variables
    return await run_child(ctx, rest)


async def printenv(ctx: Context) -> int:
    if not ctx.args:
        return await env(ctx)
    missing = False
    for name in ctx.args:
        if name in ctx.env:
            await ctx.out(f"{ctx.env[name]}\n")
        else:
            missing = True
    return int(missing)


async def date(ctx: Context) -> int:
    given, rest = parse(ctx.args, "ud:RI:s:r:D:")
    now = ctx.process.clock.time()
    if "d" in given:
        now = _moment(given["d"])
    if "s" in given:
        raise Failure("can't set date: Operation not permitted")
    moment = time.gmtime(now)
    if rest and rest[0].startswith("+"):
        form = rest[0][1:].replace("%s", str(int(now))).replace("%N", f"{int(now % 1 * 1e9):09}").replace("%Z", "UTC")
        await ctx.out(time.strftime(form.replace("%z", "+0000"), moment) + "\n" if form else "\n")
    elif "R" in given:
        await ctx.out(time.strftime("%a, %d %b %Y %H:%M:%S +0000\n", moment))
    elif "I" in given:
        seconds = given["I"].startswith("s")
        await ctx.out(time.strftime("%Y-%m-%dT%H:%M:%S+00:00\n" if seconds else "%Y-%m-%d\n", moment))
    else:
        await ctx.out(time.strftime("%a %b %e %H:%M:%S UTC %Y\n", moment))
    return 0


def _moment(text: str) -> float:
    from datetime import UTC, datetime

    try:
        if text.startswith("@"):
            return float(text[1:])
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise Failure(f"invalid date '{text}'") from None


async def hostname(ctx: Context) -> int:
    given, rest = parse(ctx.args, "ifsdF:I", {"ip-address": "i", "fqdn": "f"})
    if rest:
        raise Failure("sethostname: Operation not permitted")
    if "i" in given or "I" in given:
        await ctx.out(" ".join(ctx.ns.addresses or ["127.0.0.1"]) + (" " if "I" in given else "") + "\n")
    else:
        await ctx.out(ctx.process.hostname + "\n")
    return 0


async def id_(ctx: Context) -> int:
    given, _ = parse(ctx.args, "ugGnr")
    who = ctx.process.identity
    user, group = user_name(who.uid, ctx.files), group_name(who.gid, ctx.files)
    groups = {number: group_name(number, ctx.files) for number in (who.gid, *who.groups)}
    if "u" in given or "g" in given:
        number, name = (who.uid, user) if "u" in given else (who.gid, group)
        await ctx.out(f"{name or number if 'n' in given else number}\n")
    elif "G" in given:
        await ctx.out(
            " ".join(name if "n" in given and name else str(number) for number, name in groups.items()) + "\n"
        )
    else:
        named = ",".join(_numbered(number, name) for number, name in groups.items())
        await ctx.out(f"uid={_numbered(who.uid, user)} gid={_numbered(who.gid, group)} groups={named}\n")
    return 0


def _numbered(number: int, name: str) -> str:
    return f"{number}({name})" if name else str(number)


async def whoami(ctx: Context) -> int:
    number = ctx.process.identity.uid
    name = user_name(number, ctx.files)
    if not name:
        raise Failure(f"unknown uid {number}")
    await ctx.out(f"{name}\n")
    return 0


async def uname(ctx: Context) -> int:
    given, _ = parse(ctx.args, "asnrvmpo")
    values = {
        "s": "Linux",
        "n": ctx.process.hostname,
        "r": KERNEL,
        "v": "#1 SMP",
        "m": ctx.process.machine.arch,
        "o": "Linux",
    }
    letters = values if "a" in given else given or {"s": ""}
    await ctx.out(" ".join(values[letter] for letter in values if letter in letters) + "\n")
    return 0


async def ps(ctx: Context) -> int:
    now = ctx.process.clock.time()
    await ctx.out("PID   USER     TIME  COMMAND\n")
    who = ctx.process.identity.uid
    user = user_name(who, ctx.files) or str(who)
    for entry in sorted(ctx.ns.table.values(), key=lambda entry: entry.pid):
        used = entry.process.cpu_seconds if entry.process is not None else 0.0
        minutes, seconds = divmod(int(min(used, now - entry.started)), 60)
        await ctx.out(f"{entry.pid:5} {user:8} {minutes:2}:{seconds:02} {' '.join(entry.args)}\n")
    return 0


async def kill(ctx: Context) -> int:
    args, signal = list(ctx.args), signals.SIGTERM
    if args[:1] == ["-l"]:
        await ctx.out("\n".join(f"{number:2}) {name}" for number, name in signals.NAMES.items()) + "\n")
        return 0
    if args and args[0].startswith("-") and len(args[0]) > 1:
        option = args.pop(0)[1:]
        if option in ("s", "n") and args:
            option = args.pop(0)
        signal = 0 if option == "0" else _signal(option)
    if not args:
        raise Failure("you need to specify whom to kill")
    for text in args:
        entry = ctx.ns.table.get(int(text)) if text.lstrip("-").isdigit() else None
        if not text.lstrip("-").isdigit():
            raise Failure(f"invalid number '{text}'")
        if entry is None:
            await ctx.say(f"can't kill pid {text}: No such process")
            ctx.failed = True
        elif signal and not (entry.pid == 1 and signal == signals.SIGKILL):  # nobody inside can kill the first one so
            entry.kill(signal)
    await ctx.pace.step()
    return int(ctx.failed)


def _signal(text: str) -> int:
    try:
        return signals.number(text)
    except signals.InvalidSignal:
        raise Failure(f"bad signal name '{text}'") from None


async def killall(ctx: Context) -> int:
    args, signal = list(ctx.args), signals.SIGTERM
    if args and args[0].startswith("-"):
        signal = _signal(args.pop(0)[1:])
    for name in args:
        entries = _named(ctx, name)
        if not entries:
            await ctx.say(f"{name}: no process killed")
            ctx.failed = True
        for pid in entries:
            ctx.ns.table[pid].kill(signal)
    return int(ctx.failed)


def _named(ctx: Context, name: str) -> list[int]:
    return [pid for pid, entry in ctx.ns.table.items() if entry.args[0].rpartition("/")[2] == name]


async def pidof(ctx: Context) -> int:
    pids = [pid for name in ctx.args for pid in _named(ctx, name)]
    if pids:
        await ctx.out(" ".join(str(pid) for pid in sorted(pids, reverse=True)) + "\n")
    return int(not pids)


async def uptime(ctx: Context) -> int:
    now = ctx.process.clock.time()
    up = int(now - ctx.ns.main.started_at) if ctx.ns.main else 0
    clock = time.strftime("%H:%M:%S", time.gmtime(now))
    length = f"{up // 60} min" if up < 3600 else f"{up // 3600}:{up % 3600 // 60:02}"
    await ctx.out(f" {clock} up {length},  0 users,  load average: 0.00, 0.00, 0.00\n")
    return 0


async def free(ctx: Context) -> int:
    given, _ = parse(ctx.args, "mkgbh")
    unit = 1024**2 if "m" in given else 1024**3 if "g" in given else 1 if "b" in given else 1024
    total, used = ctx.process.machine.memory, ctx.ns.memory + 300 * 1024**2
    cells = [size // unit for size in (total, used, total - used, 0, 0, total - used)]
    await ctx.out("              total        used        free      shared  buff/cache   available\n")
    await ctx.out(
        "Mem:    " + " ".join(f"{cell:11}" for cell in cells) + "\nSwap:             0           0           0\n"
    )
    return 0


async def nproc(ctx: Context) -> int:
    await ctx.out(f"{max(1, int(ctx.process.machine.cpus))}\n")
    return 0


async def top(ctx: Context) -> int:
    given, _ = parse(ctx.args, "bn:d:H")
    rounds = int(given["n"]) if given.get("n", "").isdigit() else 0
    count = 0
    while not rounds or count < rounds:
        count += 1
        total, used = ctx.process.machine.memory // 1024, ctx.ns.memory // 1024
        await ctx.out(f"Mem: {used}K used, {total - used}K free, 0K shrd, 0K buff, 0K cached\n")
        await ctx.out("CPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\n")
        await ctx.out("  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n")
        for entry in sorted(ctx.ns.table.values(), key=lambda entry: entry.pid):
            size = (entry.process.memory if entry.process else 0) // 1024
            percent = 100 * size // total
            await ctx.out(
                f"{entry.pid:5} {entry.ppid:5} root     S    {size:5} {percent:3}%   0   0% {' '.join(entry.args)}\n"
            )
        if count != rounds:
            await ctx.sleep(duration(given.get("d", "5")))
    return 0


async def which(ctx: Context) -> int:
    for name in [arg for arg in ctx.args if not arg.startswith("-")]:
        path = ctx.process.image.path_of(name)
        if path:
            await ctx.out(f"{path}\n")
        else:
            ctx.failed = True
    return int(ctx.failed)


async def nohup(ctx: Context) -> int:
    if not ctx.args:
        raise Failure("usage: nohup PROG ARGS")
    return await run_child(ctx, list(ctx.args))


async def time_(ctx: Context) -> int:
    if not ctx.args:
        raise Failure("usage: time PROG ARGS")
    before = ctx.process.clock.time()
    status = await run_child(ctx, list(ctx.args))
    minutes, seconds = divmod(ctx.process.clock.time() - before, 60)
    await ctx.err(f"real\t{int(minutes)}m {seconds:.2f}s\nuser\t0m 0.00s\nsys\t0m 0.00s\n")
    return status


async def clear(ctx: Context) -> int:
    await ctx.out("\x1b[H\x1b[J")
    return 0


async def tty(ctx: Context) -> int:
    await ctx.out("/dev/pts/0\n" if ctx.process.tty else "not a tty\n")
    return int(not ctx.process.tty)


async def busybox(ctx: Context) -> int:
    """``busybox ls``; without a name it says what it has."""
    if ctx.args:
        return await run_child(ctx, list(ctx.args))
    from labkit.embedded.runtime.shell.applets import APPLETS

    version = ctx.process.image.version
    shown = version if version[:2] == "1." else "1.37.0"
    await ctx.out(f"BusyBox v{shown} multi-call binary.\n\nCurrently defined functions:\n\t")
    await ctx.out(", ".join(sorted(APPLETS)) + "\n")
    return 0


TABLE: dict[str, Applet] = {
    "arch": lambda ctx: uname(_machine(ctx)),
    "busybox": busybox,
    "clear": clear,
    "date": date,
    "env": env,
    "free": free,
    "hostname": hostname,
    "id": id_,
    "kill": kill,
    "killall": killall,
    "nohup": nohup,
    "nproc": nproc,
    "pidof": pidof,
    "printenv": printenv,
    "ps": ps,
    "sleep": sleep,
    "time": time_,
    "top": top,
    "tty": tty,
    "uname": uname,
    "uptime": uptime,
    "usleep": usleep,
    "which": which,
    "whoami": whoami,
}


def _machine(ctx: Context) -> Context:
    ctx.args = ["-m"]
    return ctx

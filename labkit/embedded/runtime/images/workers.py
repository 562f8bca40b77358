"""Images that work hard, as the tasks of kubernetes.io use them: perl computes pi, stress takes memory and CPU."""

from __future__ import annotations

import re
from typing import ClassVar

from labkit.embedded.runtime.images.base import MIB, Image, Program
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGINT, SIGTERM


class Perl(WithShell):
    """Knows one program: ``perl -Mbignum=bpi -wle 'print bpi(2000)'``, which the Job's page runs."""

    name = "perl"
    versions: ClassVar = releases("5.30.3 5.32.1 5.34.0-3 5.36.3 5.38.4 5.40.2", variants=("", "-slim"))
    debian = True
    megabytes = 336.0
    memory = 12 * MIB
    cmd = ("perl", "-de0")

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "perl": perl}


PI_SECONDS = 3.0  # that perl's bignum takes for 2000 digits, about
MAX_DIGITS = 20_000


async def perl(process: Process) -> int:
    process.on_signal(SIGTERM, lambda: process.exit(143))
    found = re.search(r"bpi\((\d+)\)", " ".join(process.args))
    if found is None:
        process.err("perl: this stand-in knows bpi(digits) only\n")
        return 2
    digits = min(int(found.group(1)), MAX_DIGITS)
    await process.sleep(PI_SECONDS * digits / 2000)
    process.out(f"{pi(digits)}\n")
    return 0


def pi(digits: int) -> str:
    """Pi, rounded to so many digits, by Machin's formula."""
    if digits < 1:
        return ""
    unit = 10 ** (digits + 10)

    def arctangent_of_inverse(x: int) -> int:
        term = total = unit // x
        n, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total

    value = 4 * (4 * arctangent_of_inverse(5) - arctangent_of_inverse(239))
    scaled = (value + 5 * 10**10) // 10**11
    text = str(scaled)
    return f"{text[0]}.{text[1:]}" if digits > 1 else text[0]


class Stress(Image):
    """``polinux/stress``: takes the memory (``--vm-bytes``) or the processors that it is told to."""

    name = "polinux/stress"
    versions: ClassVar = {"1.0.4": ("1.0.4", "latest")}
    megabytes = 9.7
    cmd = ("stress", "--verbose")

    def programs(self) -> dict[str, Program]:
        return {"stress": stress}


async def stress(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT, code=143)
    options = _options(process.args[1:])
    workers, size = _count(options.get("vm", "0")), _bytes(options.get("vm-bytes", "256M"))
    cpus = _count(options.get("cpu", "0"))
    process.out(f"stress: info: [1] dispatching hogs: {cpus} cpu, 0 io, {workers} vm, 0 hdd\n")
    await process.sleep(0.2)
    process.allocate(workers * size)  # beyond the limit the OOM killer ends it all
    started, limit = process.clock.time(), process.ns.limits.cpus or process.machine.cpus
    timeout = _count(options.get("timeout", "0").rstrip("s"))
    while not timeout or process.clock.time() - started < timeout:
        process.busy(min(cpus + workers, limit))
        await process.sleep(1.0)
    process.out(f"stress: info: [1] successful run completed in {timeout}s\n")
    return 0


class VishStress(Image):
    """``vish/stress``: ``-cpus 2``, ``-mem-total 100Mi``."""

    name = "vish/stress"
    versions: ClassVar = {"1": ("latest",)}
    megabytes = 1.6
    entrypoint = ("/stress", "-logtostderr")

    def programs(self) -> dict[str, Program]:
        return {"/stress": vish_stress}


async def vish_stress(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT, code=143)
    options = _options(process.args[1:])
    total, cpus = _bytes(options.get("mem-total", "0")), _count(options.get("cpus", "0"))
    process.err(
        f'Allocating "{options.get("mem-total", "0")}" memory, in "4Ki" chunks, with a 1ms sleep between them\n'
    )
    process.err(f"Spawning {cpus} threads to consume CPU\n")
    process.allocate(total)
    limit = process.ns.limits.cpus or process.machine.cpus
    while True:
        process.busy(min(cpus, limit))
        await process.sleep(1.0)


def _options(words: list[str]) -> dict[str, str]:
    """``--vm 1 --vm-bytes=150M`` as a dictionary; short ones by their long names."""
    long = {"c": "cpu", "m": "vm", "t": "timeout", "v": "verbose", "q": "quiet"}
    options: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and left and not left[0].startswith("-"):
            value = left.pop(0)
        options[long.get(name, name)] = value.strip('"')
    return options


def _count(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _bytes(text: str) -> int:
    """``150M``, ``100Mi``: stress counts in powers of two either way."""
    number = text.rstrip("iBbKkMmGg")
    unit = text[len(number) :].lower()[:1]
    return _count(number) * {"": 1, "b": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}.get(unit, 1)

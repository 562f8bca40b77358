"""``labkit/…``: images that misbehave, or change, in ways that lessons need. They exist in sandboxes only."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import MIB, SECOND, Program
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from aiohttp import web

    from labkit.embedded.runtime.shell.http import Url

    HttpProgram = Callable[[web.BaseRequest], Coroutine[Any, Any, web.StreamResponse]]

_WHO = MappingProxyType({"org.opencontainers.image.vendor": "labkit"})
_CHECK = MappingProxyType(
    {
        "Test": ["CMD-SHELL", "wget -q -O- http://localhost:${PORT:-80}/health || exit 1"],
        "Interval": 5 * SECOND,
        "Timeout": 3 * SECOND,
        "Retries": 3,
    }
)


def _seconds(process: Process, name: str, default: float) -> float:
    """A number of seconds from the environment; nonsense is the default."""
    try:
        return min(max(0.0, float(process.env.get(name, default))), 86400.0)
    except ValueError:
        return default


def _port(process: Process, default: int = 80) -> int:
    text = process.env.get("PORT", "")
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else default


def _say(process: Process, words: str) -> None:
    stamp = time.strftime("%H:%M:%S", time.gmtime(process.clock.time()))
    process.out(f"{stamp} {words}\n")


class Crasher(WithShell):
    """Exits with CRASH_CODE (1) after CRASH_AFTER (10) seconds; 2.0 crashes at once."""

    name = "labkit/crasher"
    versions: ClassVar = {"1.0": ("1.0", "latest"), "2.0": ("2.0",)}
    entrypoint = ("/crasher",)
    labels = _WHO

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.env = {**self.env, "CRASH_AFTER": "10" if version == "1.0" else "0", "CRASH_CODE": "1"}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/crasher": crasher}


async def crasher(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT)
    after = _seconds(process, "CRASH_AFTER", 10.0)
    code = process.env.get("CRASH_CODE", "1")
    _say(process, f"crasher {process.image.version}: all is well, for {after:g} seconds")
    await process.sleep(after)
    process.err("panic: something went terribly wrong, on purpose\n")
    return int(code) & 0xFF if code.isdigit() else 1


class SlowStarter(WithShell):
    """Listens START_DELAY (15) seconds after it was started, as an application that warms up."""

    name = "labkit/slow-starter"
    versions: ClassVar = {"1.0": ("1.0", "latest"), "2.0": ("2.0",)}
    entrypoint = ("/slow-starter",)
    ports = ("80/tcp",)
    labels = _WHO
    healthcheck = MappingProxyType({**_CHECK, "StartPeriod": 60 * SECOND})

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.env = {**self.env, "START_DELAY": "15" if version == "1.0" else "5"}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/slow-starter": slow_starter}


async def slow_starter(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT)
    delay = _seconds(process, "START_DELAY", 15.0)
    _say(process, f"warming up for {delay:g} seconds")
    await process.sleep(delay)
    await process.listen_http(_port(process), _pages(process, lambda: 200))
    _say(process, f"ready on port {_port(process)}")
    return await process.forever()


class Unhealthy(WithShell):
    """Works, and says after UNHEALTHY_AFTER (30) seconds that it does not: the process lives on."""

    name = "labkit/unhealthy"
    versions: ClassVar = {"1.0": ("1.0", "latest")}
    entrypoint = ("/unhealthy",)
    ports = ("80/tcp",)
    labels = _WHO
    healthcheck = _CHECK

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.env = {**self.env, "UNHEALTHY_AFTER": "30"}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/unhealthy": unhealthy}


async def unhealthy(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT)
    well = True
    await process.listen_http(_port(process), _pages(process, lambda: 200 if well else 503))
    after = _seconds(process, "UNHEALTHY_AFTER", 30.0)
    _say(process, f"healthy for {after:g} seconds")
    await process.sleep(after)
    well = False
    _say(process, "from now on /health answers 503")
    return await process.forever()


def _pages(process: Process, health: Callable[[], int]) -> HttpProgram:
    from labkit.embedded.runtime.images.web import reply

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/health":
            status = health()
            return reply(status, "ok\n" if status == 200 else "not ok\n")
        return reply(200, f"{process.image.name} {process.image.version} on {process.hostname}\n")

    return answer


class MemoryHog(WithShell):
    """Takes HOG_STEP (16) MiB more every HOG_EVERY (1) seconds, until HOG_LIMIT (0: never) or the OOM killer."""

    name = "labkit/memory-hog"
    versions: ClassVar = {"1.0": ("1.0", "latest")}
    entrypoint = ("/memory-hog",)
    labels = _WHO

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.env = {**self.env, "HOG_STEP": "16", "HOG_EVERY": "1", "HOG_LIMIT": "0"}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/memory-hog": memory_hog}


async def memory_hog(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT)
    step = max(1.0, _seconds(process, "HOG_STEP", 16.0))
    limit = _seconds(process, "HOG_LIMIT", 0.0)
    taken = 0.0
    while not limit or taken + step <= limit:
        taken += step
        process.allocate(int(step * MIB))
        _say(process, f"using {taken:g} MiB")
        await process.sleep(max(0.05, _seconds(process, "HOG_EVERY", 1.0)))
    return await process.forever()


class LoadGenerator(WithShell):
    """Asks for TARGET at RATE (2) requests a second, and sums up every REPORT_EVERY (10) seconds."""

    name = "labkit/load-generator"
    versions: ClassVar = {"1.0": ("1.0", "latest")}
    entrypoint = ("/load-generator",)
    labels = _WHO

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.env = {**self.env, "TARGET": "http://web/", "RATE": "2", "REPORT_EVERY": "10"}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/load-generator": load_generator}


MAX_RATE = 200.0  # requests a second


async def load_generator(process: Process) -> int:
    from labkit.embedded.runtime.shell.http import BadUrl, parse_url

    process.exits_on(SIGTERM, SIGINT)
    try:
        url = parse_url(process.args[1] if len(process.args) > 1 else process.env.get("TARGET", ""))
    except BadUrl as error:
        process.err(f"load-generator: {error}\n")
        return 2
    rate = min(max(0.1, _seconds(process, "RATE", 2.0)), MAX_RATE)
    tally = _Tally(process)
    process.spawn(tally.report(max(1.0, _seconds(process, "REPORT_EVERY", 10.0))))
    _say(process, f"asking for http://{url.netloc}{url.path} {rate:g} times a second")
    while True:
        if tally.open < MAX_RATE:  # no more than a second's worth waits for an answer
            process.spawn(tally.ask(url))
        await process.sleep(1 / rate)


class _Tally:
    """Counts answers by status and by who gave them."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.open = 0
        self._results: dict[str, int] = {}
        self._servers: dict[str, int] = {}

    async def ask(self, url: Url) -> None:
        from labkit.embedded.runtime.shell.http import request

        self.open += 1
        try:
            answer = await request(self._process.ns, url, headers={"User-Agent": "labkit-load/1.0"}, timeout=10.0)
            result = str(answer.status)
            for line in answer.body[:512].decode("utf-8", "replace").splitlines():
                if line.startswith("Hostname:"):
                    name = line.partition(":")[2].strip()
                    self._servers[name] = self._servers.get(name, 0) + 1
        except TimeoutError:
            result = "timed out"
        except NameNotFound as error:
            result = str(error)
        except OSError as error:
            result = (error.strerror or str(error)).lower()
        finally:
            self.open -= 1
        self._results[result] = self._results.get(result, 0) + 1

    async def report(self, every: float) -> None:
        while True:
            await self._process.sleep(every)
            results = ", ".join(f"{result}: {count}" for result, count in sorted(self._results.items())) or "no answers"
            servers = f" from {len(self._servers)} containers" if self._servers else ""
            _say(self._process, f"{sum(self._results.values())} requests{servers}: {results}")
            self._results, self._servers = {}, {}


class Hello(WithShell):
    """A page with a version and a colour, to watch a rolling update by; v3-broken is the update that goes wrong."""

    name = "labkit/hello"
    versions: ClassVar = {"v1": ("v1", "blue"), "v2": ("v2", "green", "latest"), "v3-broken": ("v3-broken", "v3")}
    entrypoint = ("/hello",)
    ports = ("80/tcp",)
    labels = _WHO
    _COLOURS: ClassVar = {"v1": "blue", "v2": "green", "v3-broken": "red"}

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.env = {**self.env, "COLOUR": self._COLOURS[version], "VERSION": version}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/hello": hello}


async def hello(process: Process) -> int:
    from labkit.embedded.runtime.images.web import reply

    process.exits_on(SIGTERM, SIGINT)
    version, colour = process.image.version, process.env.get("COLOUR", "blue")
    broken = version == "v3-broken"

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if broken:
            return reply(500, f"hello {version}: this version is broken, on purpose\n")
        if "text/html" in request.headers.get("Accept", ""):
            page = (
                f"<!DOCTYPE html><title>hello {version}</title><body style='background:{colour};color:white'>"
                f"<h1>hello {version}</h1><p>{colour}, from {process.hostname}</p></body>\n"
            )
            return reply(200, page, "text/html; charset=utf-8")
        return reply(200, f"hello {version} ({colour}) from {process.hostname}\n", "text/plain; charset=utf-8")

    await process.listen_http(_port(process), answer)
    _say(process, f"hello {version} ({colour}) on port {_port(process)}")
    if broken:  # long enough to be seen running, short enough to fail the update's monitor
        await process.sleep(_seconds(process, "BREAK_AFTER", 2.0))
        process.err("hello: configuration of v3 is missing a key: 'database.url'\n")
        return 1
    return await process.forever()

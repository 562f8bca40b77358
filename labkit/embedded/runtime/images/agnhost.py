"""``agnhost``, the Swiss army knife of Kubernetes' own tests, as far as the documentation uses it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import MIB, Program
from labkit.embedded.runtime.images.controlplane import klog
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.curl import curl_program
from labkit.embedded.runtime.shell.dig import dig_program
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

if TYPE_CHECKING:
    from aiohttp import web

_TEXT = "text/plain; charset=utf-8"
_HELP = (
    "Usage:\n  app [command]\n\nAvailable Commands: connect, liveness, netexec, pause, serve-hostname, test-webserver\n"
)


class Agnhost(WithShell):
    name = "registry.k8s.io/e2e-test-images/agnhost"
    versions: ClassVar = {
        v: (v,) for v in ("2.21", "2.36", "2.39", "2.40", "2.43", "2.45", "2.47", "2.52", "2.53", "2.56")
    }
    megabytes = 54.0
    memory = 10 * MIB
    entrypoint: tuple[str, ...] = ("/agnhost",)
    cmd = ("pause",)

    def programs(self) -> dict[str, Program]:
        return {
            **super().programs(),
            **dict.fromkeys(("/agnhost", "agnhost"), agnhost),
            "curl": curl_program,
            "dig": dig_program,
        }


class Liveness(Agnhost):
    """``registry.k8s.io/liveness``, which older pages of the documentation probe."""

    name = "registry.k8s.io/liveness"
    versions: ClassVar = {"1": ("latest",)}
    entrypoint = ()
    cmd = ("/server",)

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/server": liveness}


async def agnhost(process: Process) -> int:
    command = process.args[1] if len(process.args) > 1 else ""
    found = COMMANDS.get(command)
    if found is None:
        process.err(f'Error: unknown command "{command}" for "app"\n' if command else "")
        process.out(_HELP)
        return 1 if command else 0
    return await found(process)


def _flags(process: Process) -> tuple[dict[str, str], list[str]]:
    flags, rest = {}, []
    words = process.args[2:]
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            if not equals and words and not words[0].startswith("-"):
                value = words.pop(0)
            flags[name] = value
        else:
            rest.append(word)
    return flags, rest


def _port(flags: dict[str, str], name: str, default: int) -> int:
    text = flags.get(name, "")
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else default


async def _listen(process: Process, port: int, answer: object) -> int | None:
    """Serve; the exit code if the port cannot be had."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import reply

        assert callable(answer)
        found = answer(request)
        status, body = found if isinstance(found, tuple) else (200, found)
        return reply(status, body, _TEXT)

    try:
        await process.listen_http(port, handle)
    except OSError as error:
        process.err(f"{klog(process, 'F')} listen tcp :{port}: bind: {error.strerror}\n")
        return 255
    return None


async def netexec(process: Process) -> int:
    """An HTTP server that says its host name, echoes, and ends when it is told to."""
    from labkit.embedded.runtime.images.web import peer

    process.exits_on(SIGTERM, SIGINT, code=2)
    flags, _ = _flags(process)
    port = _port(flags, "http-port", 8080)
    ready_at = process.clock.time() + (float(flags["delay"]) if flags.get("delay", "").isdigit() else 0.0)

    def answer(request: web.BaseRequest) -> object:
        process.err(f"{klog(process)} GET {request.path}\n")
        query = {name: value for name, _, value in (part.partition("=") for part in request.query_string.split("&"))}
        if request.path == "/hostname" or request.path.lower() == "/hostname":
            return process.hostname
        if request.path == "/echo":
            code = query.get("code", "200")
            return int(code) if code.isdigit() else 200, query.get("msg", "")
        if request.path == "/clientip":
            return ":".join(str(part) for part in peer(request))
        if request.path == "/healthz":
            return (200, "") if process.clock.time() >= ready_at else (412, "not ready yet")
        if request.path == "/exit":
            code = query.get("code", "0")
            process.exit(int(code) & 255 if code.isdigit() else 0)
        if request.path == "/":
            now = process.clock.time()
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
            return f"NOW: {stamp}.{int(now % 1 * 1e9):09d} +0000 UTC m=+{now - process.started_at:.9f}"
        return 404, "404 page not found\n"

    failed = await _listen(process, port, answer)
    if failed is not None:
        return failed
    process.err(f"{klog(process)} Started HTTP server on port {port}\n")
    process.err(f"{klog(process)} Started UDP server on port  {_port(flags, 'udp-port', 8081)}\n")
    return await process.forever()


async def serve_hostname(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT, code=2)
    flags, _ = _flags(process)
    port = _port(flags, "port", 9376)
    failed = await _listen(process, port, lambda request: process.hostname)
    if failed is not None:
        return failed
    process.err(f"{klog(process)} Serving on port {port}.\n")
    return await process.forever()


async def liveness(process: Process) -> int:
    """Is well for ten seconds, and from then on says that it is not: what the probes' page shows."""
    process.exits_on(SIGTERM, SIGINT, code=2)
    started = process.clock.time()

    def answer(request: web.BaseRequest) -> object:
        age = process.clock.time() - started
        if request.path == "/healthz":
            return (500, f"error: {age:.3f}") if age > 10 else (200, "ok")
        return f"{process.clock.time():.0f}"

    failed = await _listen(process, 8080, answer)
    return failed if failed is not None else await process.forever()


async def pause(process: Process) -> int:
    process.out("Paused\n")
    process.exits_on(SIGTERM, SIGINT)
    return await process.forever()


async def test_webserver(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT, code=2)
    flags, _ = _flags(process)
    failed = await _listen(process, _port(flags, "port", 80), lambda request: "<pre>\n</pre>\n")
    return failed if failed is not None else await process.forever()


async def connect(process: Process) -> int:
    """Try to connect to ``host:port``; says nothing when it works."""
    flags, rest = _flags(process)
    host, _, port = (rest[0] if rest else "").rpartition(":")
    timeout = flags.get("timeout", "5s").rstrip("s")
    try:
        _, writer = await process.connect(host, int(port), float(timeout or 5))
    except TimeoutError:
        process.err("TIMEOUT\n")
        return 1
    except NameNotFound:
        process.err(f"DNS: lookup {host}: no such host\n")
        return 1
    except ConnectionRefusedError:
        process.err("REFUSED\n")
        return 1
    except (OSError, ValueError) as error:
        process.err(f"OTHER: {error}\n")
        return 1
    writer.close()
    return 0


COMMANDS = {
    "netexec": netexec,
    "serve-hostname": serve_hostname,
    "liveness": liveness,
    "pause": pause,
    "test-webserver": test_webserver,
    "connect": connect,
}

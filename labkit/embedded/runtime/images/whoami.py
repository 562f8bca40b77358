"""``traefik/whoami``: a web server that says which container answered. The lessons' favourite."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGHUP, SIGINT, SIGTERM

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

MAX_DATA = 16 * 1024 * 1024  # bytes that /data gives at most
_UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_FLAGS = ("port", "name", "verbose", "cert", "key", "cacert")


class Whoami(Image):
    name = "traefik/whoami"
    versions: ClassVar = {
        "v1.4.0": ("v1.4.0", "v1.4"),
        "v1.5.0": ("v1.5.0", "v1.5"),
        "v1.6.0": ("v1.6.0",),
        "v1.6.1": ("v1.6.1", "v1.6"),
        "v1.7.1": ("v1.7.1", "v1.7"),
        "v1.8.0": ("v1.8.0",),
        "v1.8.7": ("v1.8.7", "v1.8"),
        "v1.9.0": ("v1.9.0", "v1.9"),
        "v1.10.0": ("v1.10.0",),
        "v1.10.1": ("v1.10.1", "v1.10"),
        "v1.11.0": ("v1.11.0", "v1.11", "v1", "latest"),
    }
    megabytes = 6.6
    entrypoint = ("/whoami",)
    ports = ("80/tcp",)
    labels = MappingProxyType(
        {
            "org.opencontainers.image.title": "whoami",
            "org.opencontainers.image.url": "https://github.com/traefik/whoami",
        }
    )

    def programs(self) -> dict[str, Program]:
        return {"/whoami": whoami}


class _Server:
    """One running whoami: its options, and the health that a POST can change."""

    __slots__ = ("health", "name", "process", "verbose")

    def __init__(self, process: Process, options: dict[str, str]) -> None:
        self.process = process
        self.name = options.get("name", process.env.get("WHOAMI_NAME", ""))
        self.verbose = "verbose" in options
        self.health = 200

    def log(self, words: str) -> None:
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(self.process.clock.time()))
        self.process.err(f"{stamp} {words}\n")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import common_log_date, peer, reply

        if self.verbose:
            date = common_log_date(self.process.clock.time())
            self.log(f'{peer(request)[0]} - - [{date}] "{request.method} {request.raw_path} HTTP/1.1" - -')
        match request.path:
            case "/bench":
                return reply(200, "1", headers={"Connection": "keep-alive"})
            case "/health":
                return await self._health(request)
            case "/api":
                return self._api(request)
            case "/data":
                return self._data(request)
            case _:
                return await self._whoami(request)

    async def _whoami(self, request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import first_line, peer, reply

        if wait := _go_duration(request.query.get("wait", "")):
            await self.process.sleep(wait)
        lines = [f"Name: {self.name}"] if self.name else []
        lines.append(f"Hostname: {self.process.hostname}")
        lines += [f"IP: {ip}" for ip in self._addresses()]
        host, port = peer(request)
        lines.append(f"RemoteAddr: {host}:{port}")
        # What follows is the request as Go writes it out again: Host and User-Agent first, the rest in order.
        headers = [first_line(request), f"Host: {request.headers.get('Host', '')}"]
        headers += [f"User-Agent: {request.headers['User-Agent']}"] if "User-Agent" in request.headers else []
        rest = {(name.title(), value) for name, value in request.headers.items()}
        headers += [
            f"{name}: {value}" for name, value in sorted(rest) if name not in ("Host", "User-Agent", "Connection")
        ]
        tail = (
            "\n".join(f"{name}={value}" for name, value in self.process.env.items()) if "env" in request.query else ""
        )
        text = "\n".join(lines) + "\n" + "\r\n".join(headers) + "\r\n\r\n" + tail
        return reply(200, text, "text/plain; charset=utf-8")

    def _addresses(self) -> list[str]:
        return ["127.0.0.1", "::1", *self.process.addresses]

    def _api(self, request: web.BaseRequest) -> web.StreamResponse:
        import orjson

        from labkit.embedded.runtime.images.web import peer, reply

        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            if name.title() != "Host":
                headers.setdefault(name.title(), []).append(value)
        told = {
            "hostname": self.process.hostname,
            "ip": self._addresses(),
            "headers": headers,
            "url": request.raw_path,
            "host": request.headers.get("Host", ""),
            "method": request.method,
            "name": self.name,
            "remoteAddr": "{}:{}".format(*peer(request)),
        }
        body = orjson.dumps({key: value for key, value in told.items() if value}) + b"\n"
        return reply(200, body, "application/json")

    async def _health(self, request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import reply

        if request.method != "POST":
            return reply(self.health)
        text = (await request.read()).decode("latin-1").strip()
        if not text.isdigit() or not 100 <= int(text) <= 599:
            return reply(400, f'strconv.Atoi: parsing "{text}": invalid syntax')
        self.health = int(text)
        self.process.out(f"Update health check status code [{self.health}]\n")
        return reply(200)

    def _data(self, request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import reply

        text = request.query.get("size", "1")
        size = int(text) if text.isdigit() else 1
        size = min(size * _UNITS.get(request.query.get("unit", "").lower(), 1), MAX_DATA)
        letters = b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        body = bytearray((letters * (size // len(letters) + 1))[:size])
        if size:
            body[0] = body[-1] = ord("|")
        headers = {"Content-Disposition": "Attachment"} if request.query.get("attachment") == "true" else None
        return reply(200, bytes(body), "text/plain; charset=utf-8", headers)


async def whoami(process: Process) -> int:
    # A Go program without a handler: Go's runtime catches the signal, raises it again, and, since the kernel does not
    # end a container's first process with it, exits with 2.
    process.exits_on(SIGTERM, SIGINT, SIGHUP, code=2)
    try:
        options = _options(process.args[1:])
    except ValueError as error:
        process.err(f"{error}\nUsage of {process.args[0]}:\n")
        return 2
    port = options.get("port") or process.env.get("WHOAMI_PORT_NUMBER") or "80"
    server = _Server(process, options)
    secure = bool(options.get("cert") and options.get("key"))
    server.log(f"Starting up with TLS on port {port}" if secure else f"Starting up on port {port}")
    try:
        tls = _tls(process, options) if secure else None
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise OSError(f"listen tcp: address {port}: invalid port")
        await process.listen_http(int(port), server.answer, tls=tls)
    except OSError as error:
        server.log(error.strerror or str(error))
        return 1
    return await process.forever()


def _tls(process: Process, options: dict[str, str]) -> ssl.SSLContext:
    """The certificate that it shows, and with ``-cacert`` whose it wants to see. Raises OSError in Go's words."""
    import ssl

    from labkit.embedded.runtime.images.tls import server_context

    found = []
    for name in ("cert", "key", "cacert"):
        path = options.get(name, "")
        try:
            found.append(process.files.read(path) if path else b"")
        except OSError as error:
            raise OSError(f"open {path}: {str(error.strerror).lower()}") from None
    try:
        return server_context(*found)
    except ssl.SSLError as error:
        matches = error.reason != "KEY_VALUES_MISMATCH"
        problem = (
            "failed to find any PEM data in certificate input" if matches else "private key does not match public key"
        )
        raise OSError(f"tls: {problem}") from None


def _options(args: list[str]) -> dict[str, str]:
    """Go's flags: ``-port 80``, ``--port=80``."""
    found: dict[str, str] = {}
    rest = list(args)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if name not in _FLAGS:
            raise ValueError(f"flag provided but not defined: -{name}")
        if name != "verbose" and not equals:
            if not rest:
                raise ValueError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        found[name] = value
    return found


def _go_duration(text: str) -> float:
    """Seconds of ``300ms`` or ``2s``; 0 for anything else."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0)):
        number = text.removesuffix(unit)
        if text.endswith(unit) and number.replace(".", "", 1).isdigit():
            return min(float(number) * factor, 3600.0)
    return 0.0

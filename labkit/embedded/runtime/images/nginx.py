"""``nginx``: serves files, logs as nginx does, and reads the few directives of its configuration that lessons use."""

from __future__ import annotations

import mimetypes
import posixpath
import re
import ssl
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.nginxconf import (
    DEFAULT,
    MAIN,
    MAIN_DEFAULT,
    ConfigError,
    Location,
    Server,
    config_texts,
    read_config,
)
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.images.tls import server_context
from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.curl import curl_program
from labkit.embedded.runtime.signals import SIGINT, SIGQUIT, SIGTERM

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from labkit.embedded.runtime.images.base import Program

MIB = 1024 * 1024
ROOT = "/usr/share/nginx/html"
CONFIG = "/etc/nginx/conf.d/default.conf"

WELCOME = b"""<!DOCTYPE html>
<html>
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page says that the web server runs. It is labkit's stand-in for nginx: see FIDELITY.md.</p>
</body>
</html>
"""

_STARTUP = """\
/docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration
/docker-entrypoint.sh: Looking for shell scripts in /docker-entrypoint.d/
/docker-entrypoint.sh: Launching /docker-entrypoint.d/10-listen-on-ipv6-by-default.sh
10-listen-on-ipv6-by-default.sh: info: Getting the checksum of /etc/nginx/conf.d/default.conf
10-listen-on-ipv6-by-default.sh: info: Enabled listen on IPv6 in /etc/nginx/conf.d/default.conf
/docker-entrypoint.sh: Sourcing /docker-entrypoint.d/15-local-resolvers.envsh
/docker-entrypoint.sh: Launching /docker-entrypoint.d/20-envsubst-on-templates.sh
/docker-entrypoint.sh: Launching /docker-entrypoint.d/30-tune-worker-processes.sh
/docker-entrypoint.sh: Configuration complete; ready for start up
"""
_REASONS = {301: "Moved Permanently", 302: "Found", 403: "Forbidden", 404: "Not Found", 405: "Not Allowed"}
_REASONS |= {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Temporarily Unavailable"}
_REASONS |= {504: "Gateway Time-out"}


class Nginx(WithShell):
    name = "nginx"
    versions: ClassVar = releases(
        "1.7.9 1.9.15 1.10.3 1.11.0-13 1.12.0-2 1.13.0-12 1.14.0-2 1.15.0-12 1.16.0-1 1.17.0-10 1.18.0 1.19.0-10 "
        "1.20.0-2 1.21.0-6 1.22.0-1 1.23.0-4 1.24.0 1.25.0-5 1.26.0-3 1.27.0-5 1.28.0 1.29.0",
        variants=("", "-alpine", "-alpine-slim"),
        also={"": ("-bookworm",)},
        pinned={"stable": "1.28.0", "mainline": "1.29.0"},
    )
    debian = True
    megabytes = 72.0
    memory = 8 * MIB
    entrypoint: tuple[str, ...] = ("/docker-entrypoint.sh",)
    cmd: tuple[str, ...] = ("nginx", "-g", "daemon off;")
    ports: tuple[str, ...] = ("80/tcp",)
    stop_signal = "SIGQUIT"
    own_user = ("nginx", 101)
    labels = MappingProxyType({"maintainer": "NGINX Docker Maintainers <docker-maint@nginx.com>"})

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = version.partition("-")[0]
        self.env = {**self.env, "NGINX_VERSION": self.number, "PKG_RELEASE": "1"}

    def programs(self) -> dict[str, Program]:
        return {
            **super().programs(),
            "nginx": nginx,
            "/docker-entrypoint.sh": entrypoint,
            "curl": curl_program,
        }

    def contents(self) -> dict[str, bytes]:
        return {
            **super().contents(),
            f"{ROOT}/index.html": WELCOME,
            f"{ROOT}/50x.html": b"<html><body><h1>An error occurred.</h1></body></html>\n",
            CONFIG: DEFAULT,
            MAIN: MAIN_DEFAULT,
            "/var/log/nginx/": b"",
        }


async def entrypoint(process: Process) -> int:
    """Prepares, then becomes what follows: nginx keeps the first process id."""
    if process.args[1:2] in (["nginx"], ["nginx-debug"]):
        process.out(_STARTUP)
    process.args = process.args[1:]
    if process.entry is not None:
        process.entry.args = process.args
    return await process.image.program(process.args, process)(process)


async def nginx(process: Process) -> int:
    image = process.image
    number = image.number if isinstance(image, Nginx) else "1.29.0"
    if "-v" in process.args or "-V" in process.args:
        process.err(f"nginx version: nginx/{number}\n")
        return 0
    testing = "-t" in process.args or "-T" in process.args
    try:
        servers = read_config(process.files)
    except ConfigError as error:
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(process.clock.time()))
        process.err(f"{stamp} [emerg] 1#1: {error}\nnginx: [emerg] {error}\n")
        if testing:
            process.err(f"nginx: configuration file {MAIN} test failed\n")
        return 1
    if testing:
        process.err(f"nginx: the configuration file {MAIN} syntax is ok\n")
        process.err(f"nginx: configuration file {MAIN} test is successful\n")
        if "-T" in process.args:
            for path, text in config_texts(process.files).items():
                process.out(f"# configuration file {path}:\n{text}\n")
        return 0
    if "-s" in process.args:
        return _signal_master(process)
    return await _Nginx(process, number, servers).run()


def _signal_master(process: Process) -> int:
    """``nginx -s reload|quit|stop`` from an exec."""
    wanted = process.args[process.args.index("-s") + 1 :][:1]
    signal = {"quit": SIGQUIT, "stop": SIGTERM, "reload": 1, "reopen": 10}.get(wanted[0] if wanted else "")
    main = process.ns.main
    if signal is None or main is None:
        process.err(f'nginx: invalid option: "-s {"".join(wanted)}"\n')
        return 1
    main.kill(signal)
    return 0


class _Nginx:
    """One running nginx."""

    def __init__(self, process: Process, number: str, servers: list[Server]) -> None:
        self.process = process
        self.number = number
        self.servers = servers
        self._requests = 0

    def notice(self, words: str, level: str = "notice", pid: str = "1#1") -> None:
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(self.process.clock.time()))
        self.process.err(f"{stamp} [{level}] {pid}: {words}\n")

    async def run(self) -> int:
        process = self.process
        process.on_signal(SIGQUIT, lambda: self._leave("QUIT", 3, "gracefully shutting down"))
        process.on_signal(SIGTERM, lambda: self._leave("TERM", 15, "exiting"))
        process.on_signal(SIGINT, lambda: self._leave("INT", 2, "exiting"))
        process.on_signal(1, self._reload)
        for port in dict.fromkeys(port for server in self.servers for port in server.ports):
            try:
                await self._listen(port)
            except ConfigError as error:
                self.notice(str(error), "emerg")
                return 1
            except OSError as error:
                self.notice(f"bind() to 0.0.0.0:{port} failed (98: {error.strerror})", "emerg")
                return 1
        for words in (
            'using the "epoll" event method',
            f"nginx/{self.number}",
            "OS: Linux 6.8.0-labkit",
            "getrlimit(RLIMIT_NOFILE): 1048576:1048576",
            "start worker processes",
            "start worker process 29",
        ):
            self.notice(words)
        return await process.forever()

    async def _listen(self, port: int) -> None:
        server = next(server for server in self.servers if port in server.ports)
        tls = self._tls(server) if server.ports[port] else None
        await self.process.listen_http(port, lambda request: self._answer(port, request), tls=tls)

    def _tls(self, server: Server) -> ssl.SSLContext:
        """The context with the server's certificate. Raises ConfigError in nginx's words."""
        files = self.process.files
        for path, kind in ((server.certificate, ""), (server.key, " key")):
            if not files.isfile(path):
                raise ConfigError(
                    f'cannot load certificate{kind} "{path}": BIO_new_file() failed '
                    f"(SSL: error:80000002:system library::No such file or directory:calling fopen({path}, r))"
                )
        try:
            return server_context(files.read(server.certificate), files.read(server.key))
        except ssl.SSLError as error:
            raise ConfigError(f'cannot load certificate "{server.certificate}": (SSL: {error.reason})') from None

    def _leave(self, name: str, number: int, words: str) -> None:
        self.notice(f"signal {number} (SIG{name}) received{', shutting down' if name == 'QUIT' else ', exiting'}")
        self.notice(words, pid="29#29")
        self.notice("worker process 29 exited with code 0")
        self.notice("exit")
        self.process.exit(0)

    async def _reload(self) -> None:
        self.notice("signal 1 (SIGHUP) received from 30, reconfiguring")
        try:
            servers = read_config(self.process.files)
        except ConfigError as error:
            self.notice(str(error), "emerg")
            return
        before = {port for server in self.servers for port in server.ports}
        self.servers = servers
        for port in {port for server in servers for port in server.ports} - before:
            try:
                await self._listen(port)
            except ConfigError as error:
                self.notice(str(error), "emerg")

    # requests -------------------------------------------------------------------------------------------------

    async def _answer(self, port: int, request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import common_log_date, first_line, peer

        self._requests += 1
        server = next(server for server in self.servers if port in server.ports)
        location = server.location(request.path)
        response = await self._respond(server, port, location, request)
        response.headers.setdefault("Server", f"nginx/{self.number}")
        headers = request.headers
        rest = " ".join(f'"{headers.get(name, "-")}"' for name in ("Referer", "User-Agent", "X-Forwarded-For"))
        self.process.out(
            f"{peer(request)[0]} - - [{common_log_date(self.process.clock.time())}] "
            f'"{first_line(request)}" {response.status} {response.content_length or 0} {rest}\n'
        )
        return response

    async def _respond(self, server: Server, port: int, location: Location, request: web.BaseRequest) -> web.Response:
        from labkit.embedded.runtime.images.web import reply

        if location.status:
            if location.status in (301, 302):
                return self._page(location.status, {"Location": location.text})
            if not location.text and location.status >= 300:
                return self._page(location.status)
            text = self._with_variables(location.text, port, request).replace("\\n", "\n")
            return reply(location.status, text, location.content_type)
        if location.proxy:
            return await self._proxy(location.proxy, request)
        return self._file(location.root or server.root, server.index, request)

    def _with_variables(self, text: str, port: int, request: web.BaseRequest) -> str:
        from labkit.embedded.runtime.images.web import common_log_date, peer

        process = self.process
        values: dict[str, Callable[[], str]] = {
            "host": lambda: request.headers.get("Host", "").partition(":")[0],
            "hostname": lambda: process.hostname,
            "nginx_version": lambda: self.number,
            "remote_addr": lambda: peer(request)[0],
            "request_id": lambda: f"{process.rng.getrandbits(128):032x}",
            "request_uri": lambda: request.raw_path,
            "server_addr": lambda: process.addresses[0] if process.addresses else "127.0.0.1",
            "server_port": lambda: str(port),
            "time_local": lambda: common_log_date(process.clock.time()),
        }
        return re.sub(r"\$(\w+)", lambda found: values.get(found[1], found.group)(), text)

    def _page(self, status: int, headers: dict[str, str] | None = None) -> web.Response:
        from labkit.embedded.runtime.images.web import reply

        title = f"{status} {_REASONS.get(status, '')}".strip()
        return reply(
            status,
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            f"<hr><center>nginx/{self.number}</center>\r\n</body>\r\n</html>\r\n",
            "text/html",
            headers,
        )

    def _file(self, root: str, index: str, request: web.BaseRequest) -> web.Response:
        from labkit.embedded.runtime.images.web import file_under, first_line, peer, reply

        if request.method not in ("GET", "HEAD"):
            return self._page(405)
        files, path = self.process.files, file_under(root, request.path)
        if files.isdir(path):
            if not request.path.endswith("/"):
                return self._page(301, {"Location": f"http://{request.headers.get('Host', '')}{request.path}/"})
            path = posixpath.join(path, index)
        if files.isfile(path):
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            return reply(200, files.read(path), kind, {"Accept-Ranges": "bytes"})
        missing = request.path.endswith("/")
        words = f'directory index of "{path.rpartition("/")[0]}/" is forbidden' if missing else (
            f'open() "{path}" failed (2: No such file or directory)'
        )  # fmt: skip
        self.notice(
            f"*{self._requests} {words}, client: {peer(request)[0]}, server: localhost, "
            f'request: "{first_line(request)}", host: "{request.headers.get("Host", "")}"',
            "error",
            "29#29",
        )
        return self._page(403 if missing else 404)

    async def _proxy(self, target: str, request: web.BaseRequest) -> web.Response:
        from labkit.embedded.runtime.images.web import peer, reply
        from labkit.embedded.runtime.shell.http import BadUrl, Url, parse_url
        from labkit.embedded.runtime.shell.http import request as ask

        try:
            url = parse_url(target)
            path = request.raw_path if url.path == "/" and not target.endswith("/") else url.path
            answer = await ask(
                self.process.ns,
                Url(url.host, url.port, path),
                method=request.method,
                headers={"X-Real-IP": peer(request)[0], "User-Agent": request.headers.get("User-Agent", "")},
                body=await request.read(),
                timeout=60.0,
            )
        except (NameNotFound, BadUrl):
            return self._page(502)
        except TimeoutError:
            return self._page(504)
        except OSError as error:
            self.notice(
                f'connect() failed ({error.strerror}) while connecting to upstream "{target}"', "error", "29#29"
            )
            return self._page(502)
        return reply(answer.status, answer.body, answer.header("Content-Type") or "text/plain")

"""``httpd``: the Apache web server."""

from __future__ import annotations

import mimetypes
import posixpath
import time
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGTERM, SIGWINCH

if TYPE_CHECKING:
    from aiohttp import web

    from labkit.embedded.runtime.images.base import Program

ROOT = "/usr/local/apache2/htdocs"


class Httpd(WithShell):
    name = "httpd"
    versions: ClassVar = releases(
        "2.2.34 2.4.38 2.4.41 2.4.43 2.4.46 2.4.48 2.4.52-64", variants=("", "-alpine"), also={"": ("-bookworm",)}
    )
    debian = True
    megabytes = 58.0
    memory = 10 * 1024 * 1024
    cmd = ("httpd-foreground",)
    ports = ("80/tcp",)
    workdir = "/usr/local/apache2"
    stop_signal = "SIGWINCH"

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = version.partition("-")[0]
        path = f"/usr/local/apache2/bin:{self.env['PATH']}"
        self.env = {"PATH": path, "HTTPD_PREFIX": "/usr/local/apache2", "HTTPD_VERSION": self.number}

    def programs(self) -> dict[str, Program]:
        # The name httpd is busybox's server in other images.
        return {**super().programs(), "httpd-foreground": httpd, "httpd": httpd}

    def contents(self) -> dict[str, bytes]:
        page = b"<html><body><h1>It works!</h1></body></html>\n"
        return {**super().contents(), f"{ROOT}/index.html": page}


async def httpd(process: Process) -> int:
    from labkit.embedded.runtime.images.web import common_log_date, file_under, first_line, peer, reply

    image = process.image
    number = image.number if isinstance(image, Httpd) else "2.4.64"
    if "-v" in process.args:
        process.out(f"Server version: Apache/{number} (Unix)\n")
        return 0

    def notice(module: str, words: str) -> None:
        now = process.clock.time()
        stamp = time.strftime("%a %b %d %H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06}"
        year = time.gmtime(now).tm_year
        process.err(f"[{stamp} {year}] [{module}:notice] [pid 1:tid 1] {words}\n")

    def stops(words: str) -> None:
        notice("mpm_event", words)
        process.exit(0)

    process.on_signal(SIGWINCH, lambda: stops("AH00492: caught SIGWINCH, shutting down gracefully"))
    process.on_signal(SIGTERM, lambda: stops("AH00491: caught SIGTERM, shutting down"))
    address = process.addresses[0] if process.addresses else "127.0.0.1"
    process.err(
        "AH00558: httpd: Could not reliably determine the server's fully qualified domain name, "
        f"using {address}. Set the 'ServerName' directive globally to suppress this message\n"
    )
    notice("mpm_event", f"AH00489: Apache/{number} (Unix) configured -- resuming normal operations")
    notice("core", "AH00094: Command line: 'httpd -D FOREGROUND'")

    def respond(request: web.BaseRequest) -> web.Response:
        path = file_under(ROOT, request.path)
        if process.files.isdir(path):
            path = posixpath.join(path, "index.html")
        if request.method not in ("GET", "HEAD"):
            return _page(
                405, "Method Not Allowed", f"The requested method {request.method} is not allowed for this URL."
            )
        if not process.files.isfile(path):
            return _page(404, "Not Found", "The requested URL was not found on this server.")
        kind = mimetypes.guess_type(path)[0] or "text/plain"
        return reply(200, process.files.read(path), kind, {"Accept-Ranges": "bytes"})

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = respond(request)
        response.headers["Server"] = f"Apache/{number} (Unix)"
        date = common_log_date(process.clock.time())
        size = response.content_length or "-"
        process.out(f'{peer(request)[0]} - - [{date}] "{first_line(request)}" {response.status} {size}\n')
        return response

    await process.listen_http(80, answer)
    return await process.forever()


def _page(status: int, title: str, words: str) -> web.Response:
    from labkit.embedded.runtime.images.web import reply

    return reply(
        status,
        f'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>{status} {title}</title>\n'
        f"</head><body>\n<h1>{title}</h1>\n<p>{words}</p>\n</body></html>\n",
        "text/html; charset=iso-8859-1",
    )

"""``python``: the web server that pages start as their first app, and scripts of a few lines (``pythonscript``)."""

from __future__ import annotations

import posixpath
import time
from html import escape
from mimetypes import guess_type
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from labkit.embedded.runtime.images.base import MIB, Program
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.curl import curl_program
from labkit.embedded.runtime.signals import SIGINT

if TYPE_CHECKING:
    from aiohttp import web


class Python(WithShell):
    name = "python"
    versions: ClassVar = releases(
        "2.7.18 3.7.17 3.8.20 3.9.23 3.10.18 3.11.13 3.12.0-11 3.13.0-5", variants=("", "-slim", "-alpine")
    )
    debian = True
    megabytes = 380.0
    memory = 9 * MIB
    cmd = ("python3",)

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = version.partition("-")[0]
        self.env = MappingProxyType({**self.env, "PYTHON_VERSION": self.number, "LANG": "C.UTF-8"})

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "python3": python, "python": python, "curl": curl_program}


async def python(process: Process) -> int:
    image, args = process.image, process.args[1:]
    if args[:1] in (["--version"], ["-V"]):
        process.out(f"Python {image.number if isinstance(image, Python) else '3'}\n")
        return 0
    while args[:1] in (["-u"], ["-B"], ["-I"]):
        args = args[1:]
    if args[:2] == ["-m", "http.server"]:
        return await _serve(process, args[2:])
    if args[:1] == ["-c"] and len(args) > 1:
        from labkit.embedded.runtime.images import pythonscript

        return await pythonscript.run(process, args[1], "<string>", ["-c", *args[2:]])
    if args and not args[0].startswith("-"):
        return await _script(process, args)
    process.err("python: labkit's stand-in has no interpreter, only -c, a file, and -m http.server [PORT]\n")
    return 1


async def _script(process: Process, args: list[str]) -> int:
    from labkit.embedded.runtime.images import pythonscript

    path = posixpath.join(process.cwd, args[0])
    if not process.files.isfile(path):
        process.err(f"python3: can't open file '{path}': [Errno 2] No such file or directory\n")
        return 2
    return await pythonscript.run(process, process.files.read(path).decode("utf-8", "replace"), path, args)


async def _serve(process: Process, args: list[str]) -> int:
    number = next((arg for arg in args if arg.isdigit()), "8000")

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        from labkit.embedded.runtime.images.web import first_line, peer

        response = _response(process, request)
        stamp = time.strftime("%d/%b/%Y %H:%M:%S", time.gmtime(process.clock.time()))
        said = f'{peer(request)[0]} - - [{stamp}] "{first_line(request)}" {response.status} -\n'
        if response.status == 404:
            said = f"{peer(request)[0]} - - [{stamp}] code 404, message File not found\n{said}"
        process.err(said)
        return response

    process.exits_on(SIGINT)  # the first process of a container does not hear SIGTERM unless it listens
    try:
        await process.listen_http(int(number), answer)
    except (OSError, OverflowError) as error:
        process.err(f"OSError: [Errno 98] {getattr(error, 'strerror', None) or error}\n")
        return 1
    return await process.forever()


def _response(process: Process, request: web.BaseRequest) -> web.Response:
    from labkit.embedded.runtime.images.web import file_under, reply

    if request.method not in ("GET", "HEAD"):
        return reply(501, f"Unsupported method ('{request.method}')\n", "text/html;charset=utf-8")
    files, path = process.files, file_under(process.cwd, request.path)
    if files.isdir(path or "/"):
        if not request.path.endswith("/"):
            return reply(301, headers={"Location": f"{request.path}/"})
        index = posixpath.join(path, "index.html")
        if not files.isfile(index):
            return reply(200, _listing(process, path or "/", request.path), "text/html; charset=utf-8")
        path = index
    if files.isfile(path):
        return reply(200, files.read(path), guess_type(path)[0] or "application/octet-stream")
    return reply(404, "<h1>Error response</h1>\n<p>Error code: 404</p>\n", "text/html;charset=utf-8")


def _listing(process: Process, folder: str, shown: str) -> str:
    files = process.files
    names = [
        f"{name}/" if files.isdir(posixpath.join(folder, name)) else name
        for name in sorted(files.listdir(folder), key=str.lower)
    ]
    items = "".join(f'<li><a href="{quote(name)}">{escape(name)}</a></li>\n' for name in names)
    title = f"Directory listing for {escape(shown)}"
    return (
        '<!DOCTYPE HTML>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<hr>\n<ul>\n{items}</ul>\n<hr>\n</body>\n</html>\n"
    )

"""busybox's ``httpd``: serves the files of a directory."""

from __future__ import annotations

import mimetypes
import posixpath
from typing import TYPE_CHECKING

from labkit.embedded.runtime.files import normal
from labkit.embedded.runtime.listeners import AddressInUse
from labkit.embedded.runtime.shell.applets.options import parse
from labkit.embedded.runtime.shell.context import Applet, Context, Failure

if TYPE_CHECKING:
    from aiohttp import web


async def httpd(ctx: Context) -> int:
    from labkit.embedded.runtime.images.web import reply

    given, _ = parse(ctx.args, "fp:h:vic:r:u:")
    home = ctx.path(given.get("h", "."))
    text = given.get("p", "80").rpartition(":")[2]
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Failure(f"invalid port '{text}'")
    if not ctx.files.isdir(home):
        raise Failure(f"can't change directory to '{given.get('h')}': No such file or directory")
    process = ctx.process

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        path = normal("/" + request.path.lstrip("/"))
        file = posixpath.join(home, path.lstrip("/"))
        if process.files.isdir(file):
            file = posixpath.join(file, "index.html")
        if request.method not in ("GET", "HEAD"):
            return reply(501, b"<HTML><HEAD><TITLE>501 Not Implemented</TITLE></HEAD></HTML>\n", "text/html")
        if not process.files.isfile(file):
            return reply(404, _MISSING, "text/html")
        kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
        return reply(200, process.files.read(file), kind)

    try:
        await process.listen_http(int(text), answer)
    except AddressInUse:
        raise Failure("bind: Address already in use") from None
    if "f" not in given:
        return 0  # it goes on in the background
    try:
        return await process.forever()
    finally:
        process.unlisten(int(text))


_MISSING = (
    b"<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\n"
    b"The requested URL was not found\n</BODY></HTML>\n"
)

TABLE: dict[str, Applet] = {"httpd": httpd}

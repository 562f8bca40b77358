"""What the web servers among the images have in common: answers without a trace of the server underneath."""

from __future__ import annotations

import time

from aiohttp import web


class Reply(web.Response):
    """A response with exactly the headers that it was given, beside Date, Content-Length and Connection."""

    async def _prepare_headers(self) -> None:
        named = "Server" in self.headers
        await super()._prepare_headers()
        if not named:  # aiohttp puts its own name there
            del self.headers["Server"]


def reply(
    status: int, body: bytes | str = b"", content_type: str = "text/plain", headers: dict[str, str] | None = None
) -> web.Response:
    """An answer; ``content_type`` is taken as it is."""
    data = body.encode() if isinstance(body, str) else body
    response = Reply(status=status, body=data, headers=headers)
    response.headers["Content-Type"] = content_type
    return response


def peer(request: web.BaseRequest) -> tuple[str, int]:
    """Address and port of who asks."""
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    return (name[0], name[1]) if name else ("0.0.0.0", 0)


def first_line(request: web.BaseRequest) -> str:
    """``GET /path HTTP/1.1``, as access logs show it."""
    return f"{request.method} {request.raw_path} HTTP/{request.version.major}.{request.version.minor}"


def common_log_date(now: float) -> str:
    """``01/May/2025:12:00:00 +0000``."""
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))


def file_under(root: str, path: str) -> str:
    """The file that a URL's path means below ``root``; ``..`` does not lead out."""
    from urllib.parse import unquote

    from labkit.embedded.runtime.files import normal

    return root.rstrip("/") + normal("/" + unquote(path.partition("?")[0]).lstrip("/"))

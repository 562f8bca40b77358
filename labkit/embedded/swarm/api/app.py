"""The HTTP side of every Docker host of a sandbox: one application, one unix socket a host.

Which host a request is for is told by the socket it came through. A path may carry a version (``/v1.44/info``) or
not. What handlers raise becomes the daemon's error body, ``{"message": …}``; what nobody foresaw is logged and
becomes a 500, so that one bad request can never take the sandbox down.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from labkit.embedded.swarm.engine import API_VERSION, MIN_API_VERSION, VERSION
from labkit.embedded.swarm.errors import ApiError

from . import guard
from .request import Answer, Handler, Reply, Request, Route

log = logging.getLogger(__name__)

# Each module exports ROUTES. Order matters only where two patterns fit one path: the first wins.
MODULES = (
    "system",
    "swarm",
    "nodes",
    "services",
    "tasks",
    "servicelogs",
    "secrets",
    "networks",
    "containers",
    "archive",
    "exec",
    "images",
    "volumes",
    "absent",  # last: it must not shadow what there is
)

_VERSIONED = re.compile(r"/v([0-9.]+)(/.*)")
_PARAMETER = re.compile(r"\{(\w+)(?::([^}]+))?\}")


class Table:
    """The routes, found by method and the path's first segment and then by pattern."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: list[Route] = []
        self._by_head: dict[tuple[str, str], list[tuple[re.Pattern[str], Handler]]] = {}
        for method, path, handler in routes:
            self.add(method, path, handler)

    def add(self, method: str, path: str, handler: Handler) -> None:
        self.routes.append((method, path, handler))
        pattern = ""
        position = 0
        for parameter in _PARAMETER.finditer(path):
            pattern += re.escape(path[position : parameter.start()])
            pattern += f"(?P<{parameter[1]}>{parameter[2] or '[^/]+'})"
            position = parameter.end()
        pattern += re.escape(path[position:])
        key = (method, _head(path))
        self._by_head.setdefault(key, []).append((re.compile(pattern), handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        for pattern, handler in self._by_head.get((method, _head(path)), ()):
            match = pattern.fullmatch(path)
            if match:
                return handler, match.groupdict()
        return None


def _head(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


def all_routes() -> list[Route]:
    """The routes of every module of the API."""
    routes: list[Route] = []
    for name in MODULES:
        routes += importlib.import_module(f"{__package__}.{name}").ROUTES
    return routes


class Api:
    """The application. ``hosts`` maps a socket's path to the Docker host behind it."""

    def __init__(self, routes: Iterable[Route] | None = None) -> None:
        self.table = Table(all_routes() if routes is None else routes)
        self.hosts: dict[str, Any] = {}

    def application(self) -> web.Application:
        """A fresh aiohttp application. Bodies are limited by :class:`Request`, not by aiohttp."""
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{tail:.*}", self.handle)
        return app

    async def handle(self, raw: web.Request) -> web.StreamResponse:
        """One request, from the socket to the answer."""
        stranger = guard.refuse(raw.headers)
        if stranger is not None:
            await _drain(raw)
            return _render(stranger)
        path, version_text = raw.path, ""
        versioned = _VERSIONED.fullmatch(path)
        if versioned:
            version_text, path = versioned[1], versioned[2]
        found = self.table.find(raw.method, path)
        if found is None:  # a wrong method is "page not found" as well
            await _drain(raw)
            return _render(Reply(404, {"message": "page not found"}))
        host = self._host(raw)
        if host is None:
            return _render(Reply(404, {"message": "page not found"}))
        headers = {
            "Api-Version": dotted(API_VERSION),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"Docker/{VERSION} (linux)",
        }
        version = _parse_version(version_text) if version_text else API_VERSION
        refusal = _refuse(version, version_text)
        if refusal is not None:
            await _drain(raw)
            return _render(refusal, headers)
        handler, match = found
        # A paused machine takes the connection and the request, and answers when it goes on.
        await host.world.fleet.gate(host.name).wait()
        return await self._answer(handler, host, Request(raw, match, version, headers))

    async def _answer(self, handler: Handler, host: Any, request: Request) -> web.StreamResponse:
        raw = request.raw
        try:
            answer = await handler(host, request)
        except ApiError as error:
            answer = Reply(error.status, {"message": error.message})
        except (asyncio.CancelledError, web.HTTPException):
            raise
        except ConnectionError:  # the client went away in the middle of a stream
            return web.Response()
        except Exception as error:
            log.exception("%s %s on %s failed", raw.method, raw.path_qs, getattr(host, "name", "?"))
            answer = Reply(500, {"message": f"{type(error).__name__}: {error}"})
        if isinstance(answer, web.StreamResponse):
            return answer
        host.keeper.flush()  # what is acknowledged is on disk
        await host.world.fleet.gate(host.name).wait()
        if raw.body_exists and not raw.content.at_eof():
            await _drain(raw)
        return _render(answer, request.answer_headers)

    def _host(self, raw: web.Request) -> Any | None:
        transport = raw.transport
        if transport is None:
            return None
        name = transport.get_extra_info("sockname")
        return self.hosts.get(name if isinstance(name, str) else str(name))


def stream_headers(request: Request, **more: str) -> dict[str, str]:
    """Headers for a handler that prepares its own StreamResponse: the daemon's, and ``more`` (``_`` for ``-``)."""
    return {**request.answer_headers, **{name.replace("_", "-"): value for name, value in more.items()}}


def _render(answer: Answer, headers: dict[str, str] | None = None) -> web.Response:
    reply = answer if isinstance(answer, Reply) else Reply(200, answer)
    merged = {**(headers or {}), **reply.headers}
    body = reply.body
    if body is None:
        return web.Response(status=reply.status, headers=merged)
    if isinstance(body, bytes):
        return web.Response(status=reply.status, body=body, headers=merged)
    if isinstance(answer, Reply) and isinstance(body, str):
        merged.setdefault("Content-Type", "text/plain; charset=utf-8")
        return web.Response(status=reply.status, body=body.encode(), headers=merged)
    merged.setdefault("Content-Type", "application/json")
    return web.Response(status=reply.status, body=dumps(body) + b"\n", headers=merged)


def dumps(value: Any) -> bytes:
    """JSON as the API gives it."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


async def _drain(raw: web.Request) -> None:
    """Read what is left of a body and keep none of it: a client that is still sending gets its answer."""
    async for _ in raw.content.iter_chunked(65536):
        pass


def dotted(version: tuple[int, ...]) -> str:
    """``1.50``."""
    return ".".join(str(part) for part in version)


def _parse_version(text: str) -> tuple[int, int]:
    parts = [int(part) for part in text.split(".") if part] + [0, 0]
    return parts[0], parts[1]


def _refuse(version: tuple[int, int], text: str) -> Reply | None:
    if version < MIN_API_VERSION:
        words = (
            f"client version {text} is too old. Minimum supported API version is {dotted(MIN_API_VERSION)}, "
            "please upgrade your client to a newer version"
        )
        # Clients this old expect plain text.
        return Reply(400, words + "\n", {"X-Content-Type-Options": "nosniff"})
    if version > API_VERSION:
        words = f"client version {text} is too new. Maximum supported API version is {dotted(API_VERSION)}"
        return Reply(400, {"message": words})
    return None

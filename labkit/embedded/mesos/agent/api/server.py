"""The agent's HTTP server: which path is answered by what."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from labkit.embedded.mesos.agent.api import files, operator, state
from labkit.embedded.mesos.version import BUILD
from labkit.embedded.runtime.listeners import Listener

if TYPE_CHECKING:
    from labkit.embedded.mesos.agent.agent import Agent

log = logging.getLogger(__name__)

Json = dict[str, Any]
Answer = Callable[["Agent", web.BaseRequest], Awaitable[web.StreamResponse]]

JSON_TYPE = "application/json"
MAX_BODY = 1024 * 1024


# What needs no credentials, under each of its names.
OPEN = [f"{prefix}/{name}" for prefix in ("", "/slave(1)", "/slave") for name in ("health", "version")]


def _realm(path: str) -> str:
    return "mesos-agent-readwrite" if path.endswith("/api/v1") else "mesos-agent-readonly"


async def serve(agent: Agent) -> Listener:
    """Listen on the agent's address."""
    given = agent.options.guard
    guard = given.varied(realm=_realm, open_paths=OPEN) if given is not None else None

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if guard is not None and (refusal := guard.refuse(request)) is not None:
            return refusal
        return await answer(agent, request)

    return await agent.network.listen_http(agent.machine, agent.pid.address, agent.options.port, handle)


async def answer(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
    """Answer a request that was let in."""
    path = request.path.rstrip("/") or "/"
    for prefix in ("/slave(1)", "/slave"):  # the process' own name, as libprocess has it
        if path.startswith(f"{prefix}/"):
            path = path[len(prefix) :]
            break
    found = _ROUTES.get(path)
    if found is None:
        return web.Response(status=404)
    method, handler = found
    if method is not None and request.method != method and not (method == "GET" and request.method == "HEAD"):
        words = f"405 Method Not Allowed. Expecting one of {{ '{method}' }}, but received '{request.method}'."
        return web.Response(status=405, text=words, headers={"Allow": method})
    try:
        return await handler(agent, request)
    except (files.FilesError, operator.CallError) as error:
        return web.Response(status=error.status, text=str(error))


def reply(request: web.BaseRequest, body: Any) -> web.Response:
    """JSON, in a function call when ``?jsonp=`` asks for one."""
    data, wrapper = orjson.dumps(body), request.query.get("jsonp")
    if wrapper and wrapper.replace("_", "").replace(".", "").isalnum():
        return web.Response(body=wrapper.encode() + b"(" + data + b");", content_type="text/javascript")
    return web.Response(body=data, content_type=JSON_TYPE)


def _shows(make: Callable[[Agent], Any]) -> Answer:
    async def show(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
        return reply(request, make(agent))

    return show


async def _health(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=200)


def _path(request: web.BaseRequest) -> str:
    path = request.query.get("path", "")
    if not path:
        raise files.FilesError(400, "Expecting 'path=value' in query.\n")
    return path


def _number(request: web.BaseRequest, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise files.FilesError(400, f"Failed to parse {name}: Failed to convert '{text}' to number.\n") from None


async def _browse(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
    return reply(request, files.browse(agent, _path(request)))


async def _read(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
    offset = _number(request, "offset")
    data, start, _ = files.read(agent, _path(request), -1 if offset is None else offset, _number(request, "length"))
    return reply(request, {"data": data.decode("utf-8", "replace"), "offset": start})


async def _download(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
    name, content = files.whole(agent, _path(request))
    headers = {"Content-Disposition": f'attachment; filename="{name.replace(chr(34), "")}"'}
    if isinstance(content, bytes):
        return web.Response(body=content, headers=headers, content_type="application/octet-stream")
    return web.FileResponse(content, headers=headers)


async def _call(agent: Agent, request: web.BaseRequest) -> web.StreamResponse:
    kind = request.headers.get("Content-Type")
    if kind is None:
        return web.Response(status=400, text="Expecting 'Content-Type' to be present")
    if kind != JSON_TYPE:
        words = f"Expecting 'Content-Type' of {JSON_TYPE} or application/x-protobuf or application/recordio"
        return web.Response(status=415, text=words)
    data = await _body(request)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return web.Response(status=400, text=f"Failed to parse body into JSON: {error}")
    return web.Response(body=orjson.dumps(operator.call(agent, body)), content_type=JSON_TYPE)


async def _body(request: web.BaseRequest) -> bytes:
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > MAX_BODY:
            raise operator.CallError(413, "The request is too large")
    return bytes(data)


# The method that a path insists on; None: it looks at none.
_ROUTES: dict[str, tuple[str | None, Answer]] = {
    "/state": (None, _shows(state.state)),
    "/state.json": (None, _shows(state.state)),
    "/health": (None, _health),
    "/version": (None, _shows(lambda agent: dict(BUILD))),
    "/flags": ("GET", _shows(lambda agent: {"flags": state.flags(agent)})),
    "/metrics/snapshot": (None, _shows(state.metrics)),
    "/monitor/statistics": ("GET", _shows(state.monitor)),
    "/monitor/statistics.json": ("GET", _shows(state.monitor)),
    "/containers": ("GET", _shows(state.containers)),
    "/files/browse": (None, _browse),
    "/files/browse.json": (None, _browse),
    "/files/read": (None, _read),
    "/files/read.json": (None, _read),
    "/files/download": (None, _download),
    "/files/debug": (None, _shows(files.debug)),
    "/api/v1": ("POST", _call),
}

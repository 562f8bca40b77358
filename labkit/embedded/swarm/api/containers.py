"""``/containers``: everything that ``docker run``, ``ps``, ``stop``, ``rm`` and their like call."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.host import inspect as shown
from labkit.embedded.swarm.host import listing, stats
from labkit.embedded.swarm.host.container import Container
from labkit.embedded.swarm.host.containers import PRUNE_FILTERS
from labkit.embedded.swarm.host.runner import NotModified
from labkit.embedded.swarm.host.signals import SIGKILL, parse_signal
from labkit.embedded.swarm.host.wording import quoted
from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.specs import decode, tables

from . import streams
from .app import dumps, stream_headers
from .request import Answer, Handler, Reply, Request, Route, go_int

_CONDITIONS = ("not-running", "next-exit", "removed")


def container(host: Any, request: Request) -> Container:
    """The container that the path names."""
    found: Container = host.containers.get(request.match["id"])
    return found


def number(request: Request, name: str) -> int | None:
    """A whole number of the query, None if there is none. dockerd answers 500 to what is no number."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ApiError(f"strconv.Atoi: parsing {quoted(text)}: invalid syntax") from None


def written(handler: Handler) -> Handler:
    """What a handler has changed is on disk before the client hears of it."""

    async def answer(host: Any, request: Request) -> Answer:
        try:
            return await handler(host, request)
        finally:
            host.keeper.flush()

    answer.__doc__ = handler.__doc__
    return answer


async def list_containers(host: Any, request: Request) -> list[Json]:
    """``docker ps``."""
    return list(
        host.containers.list(
            request.filters(listing.FILTERS),
            everything=request.flag("all"),
            limit=number(request, "limit") or 0,
            before=request.query.get("before", ""),
            since=request.query.get("since", ""),
            size=request.flag("size"),
        )
    )


async def create(host: Any, request: Request) -> Reply:
    """``docker create``."""
    made, warnings = host.containers.create(
        request.query.get("name", ""), await request.json(), api_version=request.api_version
    )
    return Reply(201, {"Id": made.id, "Warnings": warnings})


async def inspect(host: Any, request: Request) -> Json:
    """``docker inspect``."""
    found = container(host, request)
    return shown.inspect(found, host.containers.image_size(found) if request.flag("size") else None)


async def start(host: Any, request: Request) -> Reply:
    """``docker start``."""
    if request.raw.content_length and request.raw.content_length > 7:
        raise BadRequest(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    try:
        await host.runner.start(container(host, request))
    except NotModified:
        return Reply(304)
    return Reply(204)


async def stop(host: Any, request: Request) -> Reply:
    """``docker stop``."""
    found, timeout = container(host, request), number(request, "t")
    try:
        await host.runner.stop(found, timeout, request.query.get("signal", ""))
    except NotModified:
        return Reply(304)
    except ApiError as error:
        raise ApiError(f"cannot stop container: {request.match['id']}: {error.message}") from None
    return Reply(204)


async def restart(host: Any, request: Request) -> Reply:
    """``docker restart``."""
    found, timeout = container(host, request), number(request, "t")
    try:
        await host.runner.restart(found, timeout, request.query.get("signal", ""))
    except ApiError as error:
        raise type(error)(f"Cannot restart container {request.match['id']}: {error.message}") from None
    return Reply(204)


async def kill(host: Any, request: Request) -> Reply:
    """``docker kill``."""
    text = request.query.get("signal", "")
    reference = request.match["id"]
    try:
        signal = parse_signal(text) if text else SIGKILL
        await host.runner.kill(container(host, request), signal)
    except ApiError as error:
        error.message = f"cannot kill container: {reference}: {error.message}"
        raise
    return Reply(204)


async def pause(host: Any, request: Request) -> Reply:
    """``docker pause``."""
    host.runner.pause(container(host, request))
    return Reply(204)


async def unpause(host: Any, request: Request) -> Reply:
    """``docker unpause``."""
    host.runner.unpause(container(host, request))
    return Reply(204)


async def rename(host: Any, request: Request) -> Reply:
    """``docker rename``."""
    host.containers.rename(request.match["id"], request.query.get("name", ""))
    return Reply(204)


async def update(host: Any, request: Request) -> Json:
    """``docker update``."""
    found, body = container(host, request), await request.json()
    return dict(host.containers.update(found, body))


async def remove(host: Any, request: Request) -> Reply:
    """``docker rm``."""
    found = container(host, request)
    if request.flag("link"):
        raise ApiError("removing a link is not implemented by the embedded engine")
    await host.containers.remove(
        found, reference=request.match["id"], force=request.flag("force"), volumes=request.flag("v")
    )
    return Reply(204)


async def prune(host: Any, request: Request) -> Json:
    """``docker container prune``."""
    return dict(await host.containers.prune(request.filters(PRUNE_FILTERS)))


async def wait(host: Any, request: Request) -> web.StreamResponse:
    """``docker wait``: headers at once, the exit code when there is one."""
    condition = request.query.get("condition", "") or "not-running"
    if condition not in _CONDITIONS:
        raise BadRequest(f"invalid condition: {quoted(condition)}")
    found = container(host, request)
    if condition == "not-running" and not found.running:
        code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        code.set_result(found.exit_code)
    else:
        code = found.wait(removed=condition == "removed")
    response = web.StreamResponse(headers=stream_headers(request, Content_Type="application/json"))
    await response.prepare(request.raw)
    await response.write(dumps({"StatusCode": await code}) + b"\n")
    return response


async def top(host: Any, request: Request) -> Json:
    """``docker top``."""
    return stats.top(host, container(host, request), request.query.get("ps_args", ""))


async def stats_stream(host: Any, request: Request) -> web.StreamResponse | Json:
    """``docker stats``: one sample a second, or only one."""
    found = container(host, request)
    stream, once = request.flag("stream", True), request.flag("one-shot") and request.at_least(1, 41)
    if stream and once:
        raise BadRequest("cannot have stream=true and one-shot=true")
    clock = host.world.clock
    if not found.running and not stream:
        return stats.sample(host, found, None)
    before = stats.sample(host, found, None)
    if not stream:
        if not once:
            await clock.sleep(1.0)
        return stats.sample(host, found, None if once else before)
    response = web.StreamResponse(headers=stream_headers(request, Content_Type="application/json"))
    await response.prepare(request.raw)
    while not found.removing:
        await clock.sleep(1.0)
        now = stats.sample(host, found, before)
        await response.write(dumps(now) + b"\n")
        before = now
    return response


async def changes(host: Any, request: Request) -> Reply:
    """``docker diff``: files added (1), changed (0) and removed (2) since the image."""
    found = container(host, request)
    image = host.images.by_id(found.image_id)
    base = image.files if image is not None else {}
    listed = [
        {"Path": path.rstrip("/"), "Kind": 2 if data is None else 0 if path in base else 1}
        for path, data in sorted((found.files or {}).items())
    ]
    return Reply(200, listed or b"null\n", {"Content-Type": "application/json"})


async def resize(host: Any, request: Request) -> Reply:
    """The size of the client's terminal."""
    height, width = (size(request, name) for name in ("h", "w"))
    found = container(host, request)
    if not found.running:
        raise ApiError(f"container {found.id} is not running")
    found.tty_size = (height, width)
    host.containers.log(found, "resize", {"height": str(height), "width": str(width)})
    return Reply(200)


def size(request: Request, name: str) -> int:
    """``h`` or ``w`` of a terminal."""
    text = request.query.get(name, "")
    word = "height" if name == "h" else "width"
    try:
        return go_int(text, "ParseUint", 0, 2**32 - 1)
    except BadRequest as error:
        raise BadRequest(f"invalid resize {word} {quoted(text)}: {error.message}") from None


async def connect(host: Any, request: Request) -> Reply:
    """``docker network connect``."""
    body = decode(await request.json(), tables.NETWORK_CONNECT)
    found = host.containers.get(body.get("Container") or "")
    await host.plumbing.connect(found, request.match["id"], body.get("EndpointConfig") or {})
    return Reply(200)


async def disconnect(host: Any, request: Request) -> Reply:
    """``docker network disconnect``."""
    body = decode(await request.json(), tables.NETWORK_DISCONNECT)
    found = host.containers.get(body.get("Container") or "")
    host.plumbing.disconnect(found, request.match["id"], force=bool(body.get("Force")))
    return Reply(200)


ROUTES: list[Route] = [
    ("GET", "/containers/json", list_containers),
    ("POST", "/containers/create", written(create)),
    ("POST", "/containers/prune", written(prune)),
    ("GET", "/containers/{id}/json", inspect),
    ("GET", "/containers/{id}/top", top),
    ("GET", "/containers/{id}/stats", stats_stream),
    ("GET", "/containers/{id}/logs", streams.logs),
    ("GET", "/containers/{id}/changes", changes),
    ("POST", "/containers/{id}/start", written(start)),
    ("POST", "/containers/{id}/stop", written(stop)),
    ("POST", "/containers/{id}/restart", written(restart)),
    ("POST", "/containers/{id}/kill", written(kill)),
    ("POST", "/containers/{id}/pause", written(pause)),
    ("POST", "/containers/{id}/unpause", written(unpause)),
    ("POST", "/containers/{id}/rename", written(rename)),
    ("POST", "/containers/{id}/update", written(update)),
    ("POST", "/containers/{id}/wait", wait),
    ("POST", "/containers/{id}/resize", resize),
    ("POST", "/containers/{id}/attach", streams.attach),
    ("DELETE", "/containers/{id}", written(remove)),
    ("POST", "/networks/{id}/connect", written(connect)),
    ("POST", "/networks/{id}/disconnect", written(disconnect)),
]

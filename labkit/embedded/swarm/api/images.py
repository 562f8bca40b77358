"""``/images`` and ``/distribution``: pulling from the catalogue, listing, tagging, removing."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.host.images import FILTERS, PRUNE_FILTERS
from labkit.embedded.swarm.objects import Json

from .absent import NotImplementedHere
from .app import dumps, stream_headers
from .containers import written
from .request import Reply, Request, Route


async def pull(host: Any, request: Request) -> web.StreamResponse:
    """``docker pull``: progress as JSON, one line a step. What is not there is a plain error, before any progress."""
    await request.body()
    source, name, tag = (request.query.get(key, "") for key in ("fromSrc", "fromImage", "tag"))
    if source or not name:
        raise NotImplementedHere("importing an image")
    reference = name
    if tag:
        reference = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"
    lines: asyncio.Queue[Json | None] = asyncio.Queue()
    host.images.look_up(reference)
    work = asyncio.create_task(host.images.pull(reference, lines.put_nowait))
    work.add_done_callback(lambda _task: lines.put_nowait(None))
    response = web.StreamResponse(headers=stream_headers(request, Content_Type="application/json"))
    await response.prepare(request.raw)
    try:
        while (line := await lines.get()) is not None:
            await response.write(dumps(line) + b"\r\n")
        await work
    except ApiError as error:
        await response.write(dumps({"errorDetail": {"message": error.message}, "error": error.message}) + b"\r\n")
    host.keeper.flush()
    return response


async def list_images(host: Any, request: Request) -> list[Json]:
    """``docker images``."""
    return list(host.images.list(request.filters(FILTERS), request.api_version))


async def inspect(host: Any, request: Request) -> Json:
    """``docker image inspect``."""
    return dict(host.images.inspect(request.match["name"], request.api_version))


async def history(host: Any, request: Request) -> list[Json]:
    """``docker history``."""
    return list(host.images.history(request.match["name"]))


async def tag(host: Any, request: Request) -> Reply:
    """``docker tag``."""
    repository = request.query.get("repo", "")
    if not repository:
        raise BadRequest("invalid reference format")
    host.images.tag(request.match["name"], repository, request.query.get("tag", ""))
    return Reply(201)


async def remove(host: Any, request: Request) -> list[Json]:
    """``docker rmi``."""
    return list(host.images.remove(request.match["name"], request.flag("force")))


async def prune(host: Any, request: Request) -> Json:
    """``docker image prune``."""
    return dict(host.images.prune(request.filters(PRUNE_FILTERS)))


async def search(host: Any, request: Request) -> list[Json]:
    """``docker search``: the catalogue's names that hold the term."""
    term = request.query.get("term", "")
    if not term:
        raise BadRequest("invalid reference format")
    names = sorted({name.rpartition(":")[0] for name in host.world.catalogue.names()})
    limit = request.int("limit", 25)
    if not 1 <= limit <= 100:
        raise BadRequest(f"limit {limit} is outside the range of [1, 100]")
    return [
        {
            "star_count": 0,
            "is_official": "/" not in name,
            "name": name,
            "is_automated": False,
            "description": "simulated by labkit",
        }
        for name in names
        if term in name
    ][:limit]


async def distribution(host: Any, request: Request) -> Json:
    """What the registry has under a name: how a service gets its image's digest."""
    return dict(host.images.distribution(request.match["name"]))


ROUTES: list[Route] = [
    ("POST", "/images/create", pull),
    ("GET", "/images/json", list_images),
    ("GET", "/images/search", search),
    ("POST", "/images/prune", written(prune)),
    ("GET", "/images/{name:.+}/json", inspect),
    ("GET", "/images/{name:.+}/history", history),
    ("POST", "/images/{name:.+}/tag", written(tag)),
    ("DELETE", "/images/{name:.+}", written(remove)),
    ("GET", "/distribution/{name:.+}/json", distribution),
]

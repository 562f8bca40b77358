"""``/containers/{id}/archive``: ``docker cp``."""

from __future__ import annotations

import base64
from typing import Any

from labkit.embedded.runtime.files import MAX_BYTES
from labkit.embedded.swarm.errors import BadRequest
from labkit.embedded.swarm.host import archive

from .app import dumps
from .containers import container, written
from .request import Reply, Request, Route


def _path(request: Request) -> str:
    path = request.query.get("path", "")
    if not path:
        raise BadRequest("bad parameter: 'path' cannot be empty")
    return path


def _stat(host: Any, request: Request) -> dict[str, str]:
    told = archive.stat(host, container(host, request), _path(request), request.match["id"])
    return {"X-Docker-Container-Path-Stat": base64.b64encode(dumps(told)).decode()}


async def stat(host: Any, request: Request) -> Reply:
    """What is at a path of the container; told in a header."""
    return Reply(200, None, _stat(host, request))


async def get(host: Any, request: Request) -> Reply:
    """``docker cp CONTAINER:PATH -``."""
    headers = _stat(host, request)
    packed = archive.pack(host, container(host, request), _path(request), request.match["id"])
    return Reply(200, packed, {**headers, "Content-Type": "application/x-tar"})


async def put(host: Any, request: Request) -> Reply:
    """``docker cp - CONTAINER:PATH``."""
    found, path = container(host, request), _path(request)
    # A tar archive of all that fits into a container, and its headers.
    data = await request.body(2 * MAX_BYTES)
    archive.unpack(host, found, path, request.match["id"], data)
    return Reply(200)


ROUTES: list[Route] = [
    ("HEAD", "/containers/{id}/archive", stat),
    ("GET", "/containers/{id}/archive", get),
    ("PUT", "/containers/{id}/archive", written(put)),
]

"""``/volumes``."""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.host.volumes import FILTERS, PRUNE_FILTERS
from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.specs.shapes import STRING, STRING_MAP, Struct, decode

from .containers import written
from .request import Reply, Request, Route

_CREATE = Struct("volume.CreateOptions", Name=STRING, Driver=STRING, DriverOpts=STRING_MAP, Labels=STRING_MAP)


async def list_volumes(host: Any, request: Request) -> Json:
    """``docker volume ls``."""
    volumes = host.volumes.list(request.filters(FILTERS))
    return {"Volumes": [volume.json() for volume in volumes], "Warnings": None}


async def create(host: Any, request: Request) -> Reply:
    """``docker volume create``; one that is there already is given back as it is."""
    body = decode(await request.json(), _CREATE)
    volume = host.volumes.create(
        body.get("Name", ""), body.get("Driver", "local"), body.get("Labels"), body.get("DriverOpts")
    )
    return Reply(201, volume.json())


async def inspect(host: Any, request: Request) -> Json:
    """``docker volume inspect``."""
    return dict(host.volumes.get(request.match["name"]).json())


async def remove(host: Any, request: Request) -> Reply:
    """``docker volume rm``."""
    host.volumes.remove(request.match["name"], request.flag("force"))
    return Reply(204)


async def prune(host: Any, request: Request) -> Json:
    """``docker volume prune``."""
    return dict(host.volumes.prune(request.filters(PRUNE_FILTERS)))


ROUTES: list[Route] = [
    ("GET", "/volumes", list_volumes),
    ("POST", "/volumes/create", written(create)),
    ("POST", "/volumes/prune", written(prune)),
    ("GET", "/volumes/{name}", inspect),
    ("DELETE", "/volumes/{name}", written(remove)),
]

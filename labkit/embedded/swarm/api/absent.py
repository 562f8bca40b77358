"""What the real engine has and this one has not: refused with 501 and its name, instead of ``page not found``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from labkit.embedded.swarm.errors import ApiError, NotFound

from .request import Request, Route


class NotImplementedHere(ApiError):
    """501. The CLI prints it after ``Error response from daemon:``."""

    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not implemented in labkit's embedded engine; the docker engine has it")


# What, as in "… is not implemented": its routes.
TABLE: dict[str, tuple[tuple[str, str], ...]] = {
    "building images": (
        ("POST", "/build"),
        ("POST", "/build/cancel"),
        ("POST", "/session"),
        ("POST", "/grpc"),
        ("POST", "/commit"),
    ),
    "exporting containers": (("GET", "/containers/{name}/export"),),
    "attaching over a web socket": (("GET", "/containers/{name}/attach/ws"),),
    "checkpoints": (
        ("GET", "/containers/{name}/checkpoints"),
        ("POST", "/containers/{name}/checkpoints"),
        ("DELETE", "/containers/{name}/checkpoints/{checkpoint}"),
    ),
    "saving, loading and pushing images": (
        ("GET", "/images/get"),
        ("GET", "/images/{name:.+}/get"),
        ("POST", "/images/load"),
        ("POST", "/images/{name:.+}/push"),
    ),
    "plugins": (
        ("GET", "/plugins/privileges"),
        ("POST", "/plugins/pull"),
        ("POST", "/plugins/create"),
        ("DELETE", "/plugins/{name:.+}"),
        ("POST", "/plugins/{name:.+}/enable"),
        ("POST", "/plugins/{name:.+}/disable"),
        ("POST", "/plugins/{name:.+}/push"),
        ("POST", "/plugins/{name:.+}/upgrade"),
        ("POST", "/plugins/{name:.+}/set"),
    ),
    "cluster volumes": (("PUT", "/volumes/{name:.+}"),),
    "debugging of the daemon": (("GET", "/debug/{path:.*}"),),
}


def _refusing(what: str) -> Callable[[Any, Request], Awaitable[None]]:
    async def refuse(host: Any, request: Request) -> None:
        raise NotImplementedHere(what)

    return refuse


async def no_plugins(host: Any, request: Request) -> list[Any]:
    """``docker plugin ls``: there are none."""
    return []


async def no_such_plugin(host: Any, request: Request) -> None:
    """``docker plugin inspect``, and the last place where ``docker inspect NAME`` looks."""
    raise NotFound(f'plugin "{request.match["name"]}" not found')


async def nothing_built(host: Any, request: Request) -> dict[str, Any]:
    """``docker builder prune``: there is no cache."""
    return {"CachesDeleted": None, "SpaceReclaimed": 0}


ABSENT: list[Route] = [(method, path, _refusing(what)) for what, paths in TABLE.items() for method, path in paths]

ROUTES: list[Route] = [
    ("GET", "/plugins", no_plugins),
    ("GET", "/plugins/{name:.+}/json", no_such_plugin),
    ("POST", "/build/prune", nothing_built),
    *ABSENT,
]

"""``/swarm``: init, join, leave, inspect, update, unlock. What they do is :class:`SwarmNode`'s."""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.specs import decode, tables

from .request import Reply, Request, Route, version_of


async def init(host: Any, request: Request) -> Reply:
    """Start a swarm; answers the node's id as a JSON string."""
    body = decode(await request.spec(), tables.INIT_REQUEST)
    return Reply(200, _json_string(await host.swarm.init(body)), {"Content-Type": "application/json"})


def _json_string(text: str) -> str:
    return f'"{text}"\n'


async def join(host: Any, request: Request) -> None:
    """Join one."""
    await host.swarm.join(decode(await request.spec(), tables.JOIN_REQUEST))


async def leave(host: Any, request: Request) -> None:
    """Leave it."""
    await host.swarm.leave(request.flag("force"))


async def inspect(host: Any, request: Request) -> Json:
    """The cluster with its join tokens."""
    return dict(await host.swarm.inspect())


async def update(host: Any, request: Request) -> None:
    """Change the cluster's spec, rotate tokens or the unlock key."""
    spec = decode(await request.spec(), tables.CLUSTER_SPEC)
    version = version_of(request, "swarm")
    rotate = {
        ours: request.go_bool(theirs, why=False)
        for ours, theirs in (
            ("rotate_worker", "rotateWorkerToken"),
            ("rotate_manager", "rotateManagerToken"),
            ("rotate_unlock", "rotateManagerUnlockKey"),
        )
    }
    await host.swarm.update_cluster(version, spec, **rotate)


async def unlock_key(host: Any, request: Request) -> Json:
    """The key that unlocks managers, empty without autolock."""
    return {"UnlockKey": await host.swarm.unlock_key()}


async def unlock(host: Any, request: Request) -> None:
    """Unlock this manager."""
    body = decode(await request.spec(), tables.UNLOCK_REQUEST)
    await host.swarm.unlock(body.get("UnlockKey", ""))


ROUTES: list[Route] = [
    ("POST", "/swarm/init", init),
    ("POST", "/swarm/join", join),
    ("POST", "/swarm/leave", leave),
    ("GET", "/swarm", inspect),
    ("GET", "/swarm/unlockkey", unlock_key),
    ("POST", "/swarm/update", update),
    ("POST", "/swarm/unlock", unlock),
]

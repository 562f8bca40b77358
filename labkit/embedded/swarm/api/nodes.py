"""``/nodes``."""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.controlapi.find import find
from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.node.clusterspec import tls_info
from labkit.embedded.swarm.objects import Json, Node
from labkit.embedded.swarm.specs import node_spec
from labkit.embedded.swarm.store import Reads

from . import render
from .request import Filters, Request, Route, version_of

FILTERS = ("id", "label", "membership", "name", "node.label", "role")
_ROLES = ("worker", "manager")
_MEMBERSHIPS = ("pending", "accepted")


async def list_nodes(host: Any, request: Request) -> list[Json]:
    """``docker node ls``."""
    filters = request.filters()
    store = await host.swarm.leader_store()
    filters.validate(FILTERS)
    _check(filters, "role", _ROLES)
    _check(filters, "membership", _MEMBERSHIPS)
    managers, tls = _managers(host), _tls(store)
    return [render.node(node, managers, tls) for node in store.all(Node) if _matches(node, filters)]


def _check(filters: Filters, name: str, known: tuple[str, ...]) -> None:
    for value in filters.get(name):
        if value and value.lower() not in known:
            raise ApiError(f"Invalid {name} filter: '{value}'")


def _matches(node: Node, filters: Filters) -> bool:
    roles = [value.lower() for value in filters.get("role") if value]
    memberships = [value.lower() for value in filters.get("membership") if value]
    engine_labels = (node.description.get("Engine") or {}).get("Labels")
    return (
        filters.prefix("name", node.spec.get("Name") or node.hostname)
        and filters.prefix("id", node.id)
        and filters.labels("label", engine_labels)
        and filters.labels("node.label", node.spec.get("Labels"))
        and (not roles or node.role in roles)
        and (not memberships or "accepted" in memberships)
    )


def _managers(host: Any) -> Any:
    """Who tells about managers: the leader, since the call is passed on to it."""
    leader = host.swarm.find_leader()
    return host.swarm if leader is None else leader.node


def _tls(store: Reads) -> Json:
    cluster = store.cluster()
    return {} if cluster is None else tls_info(cluster)


async def inspect(host: Any, request: Request) -> Json:
    """``docker node inspect``; the CLI turns ``self`` into an id before it asks."""
    store = await host.swarm.leader_store()
    return render.node(find(store, Node, request.match["id"]), _managers(host), _tls(store))


async def update(host: Any, request: Request) -> None:
    """``docker node update``, ``promote``, ``demote``."""
    body = await request.spec()
    version = version_of(request, "node")
    store = await host.swarm.leader_store()
    spec = node_spec(body)
    node = find(store, Node, request.match["id"])
    await host.swarm.update_node(node.id, version, spec)


async def remove(host: Any, request: Request) -> None:
    """``docker node rm``."""
    store = await host.swarm.leader_store()
    node = find(store, Node, request.match["id"])
    await host.swarm.remove_node(node.id, request.flag("force"))


ROUTES: list[Route] = [
    ("GET", "/nodes", list_nodes),
    ("GET", "/nodes/{id}", inspect),
    ("DELETE", "/nodes/{id}", remove),
    ("POST", "/nodes/{id}/update", update),
]

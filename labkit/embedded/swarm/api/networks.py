"""``/networks``: the swarm's (on managers) and the host's own, in one list."""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.controlapi import networks as rules
from labkit.embedded.swarm.controlapi.find import find
from labkit.embedded.swarm.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound
from labkit.embedded.swarm.host import networkview
from labkit.embedded.swarm.host.localnetwork import PREDEFINED
from labkit.embedded.swarm.objects import Json, Network, Task, TaskState
from labkit.embedded.swarm.specs import decode, network_spec, tables
from labkit.embedded.swarm.store import Store

from . import render
from .request import Reply, Request, Route


async def list_networks(host: Any, request: Request) -> list[Json]:
    """``docker network ls``. Without a leader, or on a worker, only what the host itself knows."""
    filters = request.filters(networkview.FILTERS)
    store = await _store(host)
    shared = [] if store is None else [render.network(network, store) for network in store.all(Network)]
    known = {network["Id"] for network in shared}
    listed = networkview.wanted(shared, filters)
    return listed + [network for network in host.networks.list(filters) if network["Id"] not in known]


async def _store(host: Any) -> Store | None:
    try:
        store: Store = await host.swarm.leader_store()
        return store
    except ApiError:
        return None


def _with_local(host: Any, network: Network, store: Store) -> Json:
    """As the manager has it, with the endpoints that this host has on it."""
    shown = render.network(network, store)
    mine = next((item for item in host.networks.all() if item.id == network.id), None)
    if mine is not None:
        shown["Containers"] = host.networks.inspect(mine)["Containers"]
        shown["Peers"] = _peers(host, network)
    return shown


def _peers(host: Any, network: Network) -> list[Json]:
    """The hosts that take part in the network and that this one can reach, itself included."""
    world = host.world
    return [
        {"Name": other.engine_id.replace("-", "")[:12], "IP": other.machine.address}
        for other in world.hosts.values()
        if world.fleet.reachable(host.name, other.name) and any(item.id == network.id for item in other.networks.all())
    ]


async def inspect(host: Any, request: Request) -> Json:
    """``docker network inspect``: by id, name, or the beginning of an id, in either scope."""
    term = request.match["id"]
    verbose = request.go_bool("verbose")
    scope = request.query.get("scope", "")
    store = await _store(host)
    candidates: dict[str, Json] = {}
    for item in host.networks.all():
        candidates[item.id] = host.networks.inspect(item)
    if store is not None:
        for network in store.all(Network):
            candidates[network.id] = _with_local(host, network, store)
            if verbose:
                candidates[network.id]["Services"] = _services(store, network)
    listed = [item for item in candidates.values() if not scope or item["Scope"] == scope]
    return _one(term, listed)


def _one(term: str, candidates: list[Json]) -> Json:
    for item in candidates:
        if item["Id"] == term:
            return item
    by_name = [item for item in candidates if item["Name"] == term]
    by_id = [item for item in candidates if item["Id"].startswith(term)]
    for found, how in ((by_name, "name"), (by_id, "ID prefix")):
        if len(found) == 1:
            return found[0]
        if found:
            raise BadRequest(f"{len(found)} matches found based on {how}: network {term} is ambiguous")
    raise NotFound(f"network {term} not found")


def _services(store: Store, network: Network) -> Json:
    """``Services`` of a verbose inspection: which task of which service has which address."""
    shown: Json = {}
    for task in store.all(Task):
        if task.status.state != TaskState.RUNNING:
            continue
        for item in task.networks:
            if rules.network_id(item) != network.id:
                continue
            vips = {vip["NetworkID"]: vip["Addr"] for vip in task.endpoint.get("VirtualIPs") or ()}
            entry = shown.setdefault(
                task.service_name,
                {
                    "VIP": vips.get(network.id, "").partition("/")[0],
                    "Ports": [],
                    "LocalLBIndex": 0,
                    "Tasks": [],
                },
            )
            address = (item.get("Addresses") or [""])[0].partition("/")[0]
            entry["Tasks"].append(
                {"Name": f"{task.name}.{task.id}", "EndpointID": "", "EndpointIP": address, "Info": {}}
            )
    return shown


async def create(host: Any, request: Request) -> Reply:
    """``docker network create``; overlays and whatever has the swarm's scope are made by the leader."""
    body = decode(await request.spec(), tables.NETWORK_CREATE)
    name = body.get("Name", "")
    store = await _store(host)
    if name and store is not None and store.by_name(Network, name) is not None:
        raise Conflict(f"network with name {name} already exists")
    if body.get("Driver") != "overlay" and body.get("Scope") != "swarm":
        made = host.networks.create(body)
        return Reply(201, {"Id": made.id, "Warning": ""})
    if not name.strip():
        raise BadRequest("invalid name: name is empty")
    if name in PREDEFINED:
        raise Forbidden(f"{name} is a pre-defined network and cannot be created")
    shared = await host.swarm.leader_store()
    spec = network_spec(body)
    network = await shared.update(lambda tx: rules.create(tx, spec, host.world.ids.swarm_id()))
    return Reply(201, {"Id": network.id, "Warning": ""})


async def remove(host: Any, request: Request) -> Reply:
    """``docker network rm``."""
    term = request.match["id"]
    store = await _store(host)
    shared = [] if store is None else [render.network(network, store) for network in store.all(Network)]
    own = [host.networks.inspect(item) for item in host.networks.all() if item.scope == "local"]
    found = _one(term, own + shared)
    if found["Scope"] == "swarm":
        leader = await host.swarm.leader_store()
        network = find(leader, Network, found["Id"])
        await leader.update(lambda tx: rules.remove(tx, network.id))
    else:
        host.networks.remove(host.networks.find(found["Id"]))
    return Reply(204)


async def prune(host: Any, request: Request) -> Json:
    """``docker network prune``: local ones only, as a manager's CLI is told too."""
    return dict(host.networks.prune(request.filters(networkview.PRUNE_FILTERS)))


ROUTES: list[Route] = [
    ("GET", "/networks", list_networks),
    ("GET", "/networks/{id}", inspect),
    ("POST", "/networks/create", create),
    ("POST", "/networks/prune", prune),
    ("DELETE", "/networks/{id}", remove),
]

"""``/services``."""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.embedded.swarm.controlapi import services
from labkit.embedded.swarm.controlapi.find import find
from labkit.embedded.swarm.errors import ApiError, BadRequest
from labkit.embedded.swarm.host.names import random_name
from labkit.embedded.swarm.objects import Json, Service
from labkit.embedded.swarm.specs import complete_service, decode_service, with_defaults
from labkit.embedded.swarm.store import Store

from . import render
from .request import Filters, Reply, Request, Route, version_of

FILTERS = ("id", "label", "mode", "name", "runtime")
ALLOCATION_WAIT = 0.25  # seconds of the wall clock
_MODES = {"Replicated": "replicated", "Global": "global", "ReplicatedJob": "replicated-job", "GlobalJob": "global-job"}


async def list_services(host: Any, request: Request) -> list[Json]:
    """``docker service ls``; with ``status=1`` each says how many tasks run."""
    filters = request.filters()
    with_status = request.go_bool("status") and request.at_least(1, 41)
    store = await host.swarm.leader_store()
    filters.validate(FILTERS)
    listed = []
    for service in store.all(Service):
        if not _matches(service, filters):
            continue
        shown = render.service(service)
        if with_status:
            shown["ServiceStatus"] = services.status(store, service)
        listed.append(shown)
    return listed


def _matches(service: Service, filters: Filters) -> bool:
    mode = next((word for key, word in _MODES.items() if key in service.spec["Mode"]), "")
    return (
        filters.prefix("name", service.name)
        and filters.prefix("id", service.id)
        and filters.labels("label", service.spec.get("Labels"))
        and filters.exact("mode", mode)
        and filters.exact("runtime", "container")
    )


async def inspect(host: Any, request: Request) -> Json:
    """``docker service inspect``."""
    defaults = request.go_bool("insertDefaults")
    store = await host.swarm.leader_store()
    service = find(store, Service, request.match["id"])
    return render.service(service, with_defaults(service.spec) if defaults else None)


async def create(host: Any, request: Request) -> Reply:
    """``docker service create``."""
    decoded = decode_service(await request.spec(), request.api_version)
    store = await host.swarm.leader_store()
    world = host.world
    spec = complete_service(decoded, random_name(world.rng))
    spec = services.resolve_networks(store, spec, _local_networks(host))
    spec, warnings = _pin(host, request, spec)
    _refuse_jobs(spec)
    service = await store.update(lambda tx: services.create(tx, spec, world.ids.swarm_id()))
    await _allocated(store, service)
    return Reply(201, {"ID": service.id, **({"Warnings": warnings} if warnings else {})})


async def _allocated(store: Store, service: Service) -> None:
    """Give the allocator a moment to write the service's ports and addresses into it.

    A client that reads the service next and then updates it (docker-py's ``create`` and ``scale``) would else have
    a version that is out of date; with a real swarm it depends on who is quicker.
    """
    task = service.spec["TaskTemplate"]
    if not ((service.spec.get("EndpointSpec") or {}).get("Ports") or task.get("Networks")):
        return
    try:
        async with asyncio.timeout(ALLOCATION_WAIT):
            with store.watch(Service) as changes:
                while (now := store.get(Service, service.id)) is not None and not now.endpoint:
                    await changes.wait()
    except TimeoutError:
        pass


def _refuse_jobs(spec: Json) -> None:
    """Jobs are not built yet: better refused than a service that never does anything (see FIDELITY)."""
    if "ReplicatedJob" in spec["Mode"] or "GlobalJob" in spec["Mode"]:
        raise BadRequest("jobs (replicated-job, global-job) are not implemented in labkit's embedded engine")


def _pin(host: Any, request: Request, spec: Json) -> tuple[Json, list[str]]:
    """Before API 1.30 the daemon, not the client, replaced the tag by the digest that the registry has for it."""
    if request.at_least(1, 30):
        return spec, []
    container = spec["TaskTemplate"]["ContainerSpec"]
    image = container.get("Image", "")
    try:
        _, found = host.images.look_up(image)
    except ApiError:
        return spec, [
            f"image {image} could not be accessed on a registry to record\n"
            f"its digest. Each node will access {image} independently,\n"
            "possibly leading to different nodes running different\n"
            "versions of the image.\n"
        ]
    pinned = image if "@" in image else f"{image}@{found.digest}"
    task = {**spec["TaskTemplate"], "ContainerSpec": {**container, "Image": pinned}}
    return {**spec, "TaskTemplate": task}, []


def _local_networks(host: Any) -> list[str]:
    return [network.name for network in host.networks.all() if network.scope == "local"]


async def update(host: Any, request: Request) -> Json:
    """``docker service update``, ``scale``, ``rollback``."""
    decoded = decode_service(await request.spec(), request.api_version)
    version = version_of(request, "service")
    auth_from = request.query.get("registryAuthFrom", "")
    rollback = request.query.get("rollback", "")
    store = await host.swarm.leader_store()
    spec = complete_service(decoded, random_name(host.world.rng))
    spec = services.resolve_networks(store, spec, _local_networks(host))
    service = find(store, Service, request.match["id"])
    if not request.headers.get("X-Registry-Auth"):
        if auth_from == "previous-spec" and service.previous_spec is None:
            raise ApiError("service does not have a previous spec")
        if auth_from not in ("", "spec", "previous-spec"):
            raise ApiError("unsupported registryAuthFrom value")
    spec, warnings = _pin(host, request, spec)
    if rollback not in ("", "none", "previous"):
        raise ApiError(f"unrecognized rollback option {rollback}")
    _refuse_jobs(spec)
    back = rollback == "previous"
    await store.update(lambda tx: services.update(tx, service.id, version, spec, rollback=back))
    return {"Warnings": warnings or None}


async def remove(host: Any, request: Request) -> None:
    """``docker service rm``."""
    store = await host.swarm.leader_store()
    service = find(store, Service, request.match["id"])
    await store.update(lambda tx: services.remove(tx, service.id))


ROUTES: list[Route] = [
    ("GET", "/services", list_services),
    ("POST", "/services/create", create),
    ("GET", "/services/{id}", inspect),
    ("DELETE", "/services/{id}", remove),
    ("POST", "/services/{id}/update", update),
]

"""``/secrets`` and ``/configs``: the same routes twice, once for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.embedded.swarm.controlapi import secrets
from labkit.embedded.swarm.controlapi.find import find
from labkit.embedded.swarm.controlapi.secrets import CONFIG, SECRET, Kind
from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.specs import config_spec, secret_spec

from . import render
from .request import Filters, Handler, Reply, Request, Route, version_of


def _routes(
    path: str, kind: Kind, decode: Callable[[Any], Json], shown: Callable[[Any], Json], filters: tuple[str, ...]
) -> list[Route]:
    async def list_all(host: Any, request: Request) -> list[Json]:
        asked = request.filters()
        store = await host.swarm.leader_store()
        asked.validate(filters)
        return [shown(item) for item in store.all(kind.cls) if _matches(item, asked)]

    async def inspect(host: Any, request: Request) -> Json:
        store = await host.swarm.leader_store()
        return shown(find(store, kind.cls, request.match["id"]))

    async def create(host: Any, request: Request) -> Reply:
        spec = decode(await request.spec())
        store = await host.swarm.leader_store()
        made = await store.update(lambda tx: secrets.create(tx, kind, spec, host.world.ids.swarm_id()))
        return Reply(201, {"ID": made.id})

    async def update(host: Any, request: Request) -> None:
        spec = decode(await request.spec())
        version = version_of(request, kind.word, words="")
        store = await host.swarm.leader_store()
        found = find(store, kind.cls, request.match["id"])
        await store.update(lambda tx: secrets.update(tx, kind, found.id, version, spec))

    async def remove(host: Any, request: Request) -> Reply:
        store = await host.swarm.leader_store()
        found = find(store, kind.cls, request.match["id"])
        await store.update(lambda tx: secrets.remove(tx, kind, found.id))
        return Reply(204)

    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", path, list_all),
        ("POST", f"{path}/create", create),
        ("GET", f"{path}/{{id}}", inspect),
        ("DELETE", f"{path}/{{id}}", remove),
        ("POST", f"{path}/{{id}}/update", update),
    )
    return list(table)


def _matches(item: Any, filters: Filters) -> bool:
    """Names, name prefixes and id prefixes are alternatives here, unlike everywhere else; labels narrow them down."""
    name = item.spec["Name"]
    alternatives = [
        name in filters.get("names") if "names" in filters else None,
        filters.prefix("name", name) if filters.get("name") else None,
        filters.prefix("id", item.id) if filters.get("id") else None,
    ]
    asked = [answer for answer in alternatives if answer is not None]
    return (not asked or any(asked)) and filters.labels("label", item.spec.get("Labels"))


ROUTES: list[Route] = [
    *_routes("/secrets", SECRET, secret_spec, render.secret, ("id", "label", "name", "names")),
    *_routes("/configs", CONFIG, config_spec, render.config, ("id", "label", "name")),
]

"""A Docker host in name only, with a store that commits at once: enough for every route that reads and writes it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.ids import Ids
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.sockets import HttpSocket, make_runner
from labkit.embedded.swarm.api import app as api_app
from labkit.embedded.swarm.api import networks, nodes, secrets, servicelogs, services, tasks
from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.objects import Network, Node
from labkit.embedded.swarm.store import Store


class FakeSwarm:
    """A manager that leads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.error: ApiError | None = None
        self.updates: list[Any] = []

    async def leader_store(self) -> Store:
        if self.error is not None:
            raise self.error
        return self.store

    def find_leader(self) -> None:
        return None

    def leader_node_id(self) -> str:
        return "n1"

    def reachability(self, node_id: str) -> str:
        return "reachable"

    async def update_node(self, node_id: str, version: int, spec: Any) -> None:
        self.updates.append((node_id, version, spec))

    async def remove_node(self, node_id: str, force: bool) -> None:
        self.updates.append((node_id, force))


class Client:
    """Requests to the fake host; answers are ``(status, JSON)``."""

    def __init__(self, session: aiohttp.ClientSession, host: Any) -> None:
        self.session = session
        self.host = host
        self.store: Store = host.swarm.store

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"http://docker{path}", json=body, **options) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return answer.status, (await answer.json() if is_json and text else text)

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return await self.call("POST", path, body, **options)

    async def delete(self, path: str) -> tuple[int, Any]:
        return await self.call("DELETE", path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def client(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Client]:
    fleet = Fleet(clock)
    machine = fleet.add(Machine(name="manager-1", address="127.0.0.1"))
    store = Store.local(clock)
    rng = random.Random(7)

    def populate(tx: Any) -> None:
        tx.create(Network(id="ingress0", spec={"Name": "ingress", "Driver": "overlay", "Ingress": True, "Labels": {}}))
        for number in (1, 2):
            description = {"Hostname": f"manager-{number}", "Engine": {"Labels": {"disk": "ssd"}}}
            spec = {"Labels": {"zone": "a"}, "Role": "manager", "Availability": "active"}
            tx.create(
                Node(id=f"n{number}", spec=spec, description=description, role="manager", state="ready", raft_id=number)
            )

    await store.update(populate)
    host = SimpleNamespace(
        name="manager-1",
        machine=machine,
        swarm=FakeSwarm(store),
        keeper=SimpleNamespace(flush=lambda: None),
        networks=SimpleNamespace(all=list, list=lambda filters=None: []),
        world=SimpleNamespace(clock=clock, fleet=fleet, ids=Ids(rng), rng=rng),
    )
    routes = [*services.ROUTES, *servicelogs.ROUTES, *nodes.ROUTES, *tasks.ROUTES, *networks.ROUTES, *secrets.ROUTES]

    async def broken(host: Any, request: Any) -> None:
        raise RuntimeError("nobody thought of this")

    async def echo(host: Any, request: Any) -> dict[str, Any]:
        return {"body": await request.json()}

    routes += [("GET", "/broken", broken), ("POST", "/echo", echo)]
    api = api_app.Api(routes)
    runner = await make_runner(api.application())
    socket = HttpSocket(runner, tmp_path / "d.sock")
    api.hosts[str(socket.path)] = host
    await socket.open()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket.path))) as session:
        yield Client(session, host)
    socket.close()
    await runner.cleanup()

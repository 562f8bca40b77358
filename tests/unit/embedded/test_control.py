"""The control API on a world that is nothing but machines and a clock."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from labkit.embedded.control import Control
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.sockets import HttpSocket, SocketError, bind, make_runner, prepare_folder

NAMES = ("manager-1", "manager-2", "worker-1")


class World:
    def __init__(self) -> None:
        self.fleet = Fleet(ManualClock())
        self.speed = 1.0
        self.ended = False
        for number, name in enumerate(NAMES):
            self.fleet.add(Machine(name=name, address=f"127.0.0.{number + 1}"))

    def status(self) -> dict[str, Any]:
        return {"speed": self.speed, "machines": {name: self.fleet.state(name) for name in NAMES}}

    def explain(self, namespace: str, name: str) -> dict[str, Any] | None:
        return {"pod": {"namespace": namespace, "name": name}} if name == "web" else None

    def set_speed(self, speed: float) -> None:
        if speed <= 0:
            raise ValueError("speed must be positive")
        self.speed = speed

    def request_shutdown(self) -> None:
        self.ended = True


class Client:
    def __init__(self, session: aiohttp.ClientSession, world: World) -> None:
        self.session = session
        self.world = world

    async def call(self, method: str, path: str, body: Any = None, data: bytes | None = None) -> tuple[int, Any]:
        async with self.session.request(method, f"http://control{path}", json=body, data=data) as answer:
            return answer.status, await answer.json()

    async def states(self, path: str, body: Any = None) -> list[str]:
        status, answer = await self.call("POST", path, body)
        assert status == 200, answer
        return [answer["machines"][name] for name in NAMES]


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    world = World()
    runner = await make_runner(Control(world).application())
    socket = HttpSocket(runner, tmp_path / "control.sock")
    await socket.open()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket.path))) as session:
        yield Client(session, world)
    socket.close()
    await runner.cleanup()


async def test_plugs_are_pulled_and_put_back(client: Client) -> None:
    assert await client.states("/machines/manager-1/fail") == ["down", "up", "up"]
    assert await client.states("/machines/manager-1/heal") == ["up", "up", "up"]
    assert await client.states("/machines/manager-2/pause") == ["up", "paused", "up"]
    assert await client.states("/machines/manager-2/heal") == ["up", "up", "up"]
    assert await client.states("/machines/worker-1/partition") == ["up", "up", "partitioned"]
    assert await client.states("/machines/worker-1/heal") == ["up", "up", "up"]
    assert await client.states("/machines/worker-1/slow", {"seconds": 0.5}) == ["up", "up", "slow"]
    assert client.world.fleet.delay("manager-1", "worker-1") == 0.5


async def test_a_machine_can_be_cut_off_from_some_only(client: Client) -> None:
    await client.states("/machines/manager-1/partition", {"from": ["manager-2"]})
    fleet = client.world.fleet
    assert not fleet.reachable("manager-1", "manager-2")
    assert fleet.reachable("manager-1", "worker-1")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/machines/nope/fail", None, 404, "no machine is called 'nope'; there are manager-1, manager-2, worker-1"),
        (
            "/machines/worker-1/explode",
            None,
            404,
            "unknown verb 'explode'; there are fail, heal, pause, partition, slow",
        ),
        ("/machines/worker-1/slow", None, 400, '"seconds" must be a number'),
        ("/machines/worker-1/slow", {"seconds": True}, 400, '"seconds" must be a number'),
        ("/machines/worker-1/slow", {"seconds": -1}, 400, "a delay must be between 0 and 3600 seconds, not -1"),
        ("/machines/worker-1/partition", {"from": "x"}, 400, '"from" must be a list of machine names'),
        ("/machines/worker-1/partition", {"from": ["worker-1"]}, 400, "worker-1 cannot be cut off from itself"),
        ("/machines/worker-1/partition", {"from": ["x"]}, 404, "no machine is called 'x'"),
        ("/machines/worker-1/partition", [], 400, "the body must be a JSON object"),
        ("/clock", {"speed": "fast"}, 400, '"speed" must be a number'),
        ("/clock", {"speed": 0}, 400, "speed must be positive"),
        ("/nope", None, 404, "there is no POST /nope"),
    ],
)
async def test_what_cannot_be_done_is_said(client: Client, path: str, body: Any, status: int, words: str) -> None:
    answer = await client.call("POST", path, body)
    assert answer[0] == status
    assert words in answer[1]["message"]
    assert set(client.world.status()["machines"].values()) == {"up"}


async def test_the_scheduler_can_be_asked_why(client: Client) -> None:
    assert await client.call("GET", "/explain/default/web") == (200, {"pod": {"namespace": "default", "name": "web"}})
    status, answer = await client.call("GET", "/explain/default/nobody")
    assert (status, answer["message"]) == (404, "no scheduler can say anything of default/nobody")


async def test_bad_bodies(client: Client) -> None:
    status, answer = await client.call("POST", "/clock", data=b"{")
    assert status == 400
    assert answer["message"].startswith("the body is not JSON")
    status, _ = await client.call("POST", "/clock", data=b"x" * 100_000)
    assert status == 413


async def test_status_speed_and_the_end(client: Client) -> None:
    assert (await client.call("POST", "/clock", {"speed": 10}))[1]["speed"] == 10
    assert (await client.call("GET", "/status"))[1]["speed"] == 10
    assert (await client.call("POST", "/shutdown"))[0] == 200
    assert client.world.ended


# -- sockets


def test_sockets_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    prepare_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with bind(folder / "a.sock"):
        assert stat.S_IMODE((folder / "a.sock").stat().st_mode) == 0o600
        with pytest.raises(SocketError, match="somebody listens on"):
            bind(folder / "a.sock")
    with bind(folder / "a.sock"):  # a stale one is replaced
        pass


def test_too_long_a_path_is_explained(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120) / "a.sock"
    with pytest.raises(SocketError, match="too long for a unix socket"):
        bind(path)
    assert not os.path.exists(path)

"""Masters, agents and Marathon in one loop: an app of an image from the request until it answers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from labkit.embedded.marathon import credentials
from labkit.embedded.marathon.world import Options, World
from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    state, run = tmp_path / "state", tmp_path / "run"
    state.mkdir()
    run.mkdir()
    options = Options("whole", state, run, masters=1, agents=2, speed=5)
    world = await World.open(options, Storage(), credentials.prepare(state))
    await world.bring_up()
    yield world
    await world.close()


async def _call(session: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    async with session.request(method, url, json=body) as answer:
        return await answer.json()


async def test_an_app_of_an_image_serves(world: World) -> None:
    marathon = world.assembly.leading_marathon()
    host, port = marathon.server.address
    own = world.assembly.credentials
    coded = base64.b64encode(f"{own.user}:{own.password}".encode()).decode()
    headers = {"Authorization": f"Basic {coded}"}
    app = {
        "id": "/web",
        "instances": 2,
        "cpus": 0.1,
        "mem": 32,
        "container": {
            "type": "DOCKER",
            "docker": {"image": "traefik/whoami:v1.10"},
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
        },
        "networks": [{"mode": "container/bridge"}],
        "healthChecks": [{"protocol": "HTTP", "path": "/", "intervalSeconds": 2}],
    }
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(20):
        base = f"http://{host}:{port}"
        await _call(session, "POST", f"{base}/v2/apps", app)
        while True:
            found = (await _call(session, "GET", f"{base}/v2/apps//web"))["app"]
            if found["tasksHealthy"] == 2 and not found["deployments"]:
                break
            await asyncio.sleep(0.05)
        task: Json = found["tasks"][0]
        real = world.network.real(task["host"], task["ports"][0])
        async with session.get("http://{}:{}/".format(*(real or (task["host"], task["ports"][0])))) as answer:
            assert "Hostname" in await answer.text()
        await _call(session, "DELETE", f"{base}/v2/apps//web")
        while True:
            if not await _call(session, "GET", f"{base}/v2/deployments") and not marathon.term.tracker.by_id:
                break
            await asyncio.sleep(0.05)

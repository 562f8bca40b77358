"""A Mesos sandbox's start-up and memory, Marathon's API and tasks, and how fast offers go round.

The real Mesos and Marathon have no packages that this computer could run, so there is nothing beside these figures.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import psutil
from bench.table import Table

import labkit

IMAGE = "traefik/whoami:v1.10"
MANY = 1000
APPS, AT_ONCE = 500, 16
OFFERS_FOR = 3.0  # seconds

Json = dict[str, Any]


def measure(table: Table, rounds: int) -> None:
    """All rows."""
    table.say("starting Mesos sandboxes of three masters and three agents…")
    ready = statistics.median(_start() for _ in range(rounds))
    table.add("Marathon up to ready, 3 masters + 3 agents", ready, "s", goal="≤ 0.8 s")
    with labkit.up("marathon", name="bench", engine="embedded") as sandbox:
        process = psutil.Process(sandbox.record.pid)
        table.add("engine's memory, six empty machines (RSS)", _rss(process), "MB", goal="≤ 70 MB")
        cluster = _Cluster(sandbox)
        asyncio.run(cluster.measure_tasks(table, rounds))
        table.add(f"engine's memory after {MANY:,} tasks came and went (RSS)", _rss(process), "MB")
        asyncio.run(cluster.measure_calls(table))
        table.add(f"engine's memory after {APPS} apps came and went, too (RSS)", _rss(process), "MB")


def _start() -> float:
    """Seconds from calling `up` until Marathon can launch something anywhere, taken down afterwards."""
    began = time.perf_counter()
    try:
        labkit.up("marathon", name="bench", engine="embedded")
        return time.perf_counter() - began
    finally:
        labkit.down("bench")


def _rss(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


class _Cluster:
    """Marathon and the leading master, asked by one asyncio client."""

    def __init__(self, sandbox: labkit.Sandbox) -> None:
        self._marathon_url = sandbox.env["MARATHON_URL"]
        self._mesos_url = sandbox.env["MESOS_URL"]

    async def measure_tasks(self, table: Table, rounds: int) -> None:
        async with aiohttp.ClientSession(self._marathon_url) as self._marathon:
            many = [await self._to_running(MANY) for _ in range(rounds)]
        table.add(f"{MANY:,} tasks of an image to running", statistics.median(many), "s", goal="≤ 3 s")

    async def measure_calls(self, table: Table) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self._marathon_url, connector=connector) as self._marathon:
            created, deleted = await self._apps()
        table.add("apps created", created, "/s", more=True)
        table.add("apps deleted", deleted, "/s", more=True)
        async with aiohttp.ClientSession(self._mesos_url) as self._mesos:
            table.add("offers made and declined", await self._offers(), "/s", more=True)

    # -- Marathon

    async def _ask(self, method: str, path: str, body: Any = None) -> Json:
        async with self._marathon.request(method, path, json=body) as answer:
            found: Json = await answer.json()
            assert answer.status < 300, found
            return found

    async def _to_running(self, count: int) -> float:
        """Seconds from creating an app until all its tasks run; it is gone again afterwards."""
        # Behind a bridge: on their hosts' network a thousand web servers would fight for three ports 80.
        ports = [{"containerPort": 80, "hostPort": 0}]
        docker = {"type": "DOCKER", "docker": {"image": IMAGE}, "portMappings": ports}
        body = {"id": "/bench", "cpus": 0.01, "mem": 16, "instances": count, "container": docker,
                "networks": [{"mode": "container/bridge"}]}  # fmt: skip
        began = time.perf_counter()
        await self._ask("POST", "/v2/apps", body)
        while (await self._ask("GET", "/v2/apps//bench"))["app"]["tasksRunning"] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        took = time.perf_counter() - began
        await asyncio.sleep(1)  # that none of them fails can only be seen over a time
        app = (await self._ask("GET", "/v2/apps//bench"))["app"]
        assert app["tasksRunning"] == count, f"they run and stay: {app.get('lastTaskFailure')}"
        await self._ask("DELETE", "/v2/apps//bench")
        while await self._ask("GET", "/v2/deployments"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return took

    async def _apps(self) -> tuple[float, float]:
        """Apps a second that are created without instances, and deleted; each is acknowledged once it is stored."""
        body = {"cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 0}
        created = await self._rate(lambda i: self._ask("POST", "/v2/apps", {"id": f"/apps/a{i}", **body}))
        deleted = await self._rate(lambda i: self._ask("DELETE", f"/v2/apps//apps/a{i}?force=true"))
        return created, deleted

    async def _rate(self, ask: Callable[[int], Awaitable[object]]) -> float:
        """Requests a second, so many under way at a time."""
        numbers = iter(range(APPS))

        async def worker() -> None:
            for number in numbers:
                await ask(number)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return APPS / (time.perf_counter() - began)

    # -- Mesos

    async def _offers(self) -> float:
        """Offers a second to a framework that declines each at once, and asks for them again."""
        info = {"user": "bench", "name": "bench", "roles": ["*"], "capabilities": [{"type": "MULTI_ROLE"}]}
        subscribe: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
        seen, began = 0, 0.0
        async with self._mesos.post("/api/v1/scheduler", json=subscribe) as stream:
            assert stream.status == 200, await stream.text()
            headers = {"Mesos-Stream-Id": stream.headers["Mesos-Stream-Id"]}
            framework: Json = {}

            async def call(kind: str, **part: Any) -> None:
                body = {"type": kind, "framework_id": framework, **part}
                async with self._mesos.post("/api/v1/scheduler", json=body, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()

            while not began or time.perf_counter() - began < OFFERS_FOR:
                event = await self._event(stream)
                if event["type"] == "SUBSCRIBED":
                    framework, began = event["subscribed"]["framework_id"], time.perf_counter()
                elif event["type"] == "OFFERS":
                    ids = [offer["id"] for offer in event["offers"]["offers"]]
                    seen += len(ids)
                    await call("DECLINE", decline={"offer_ids": ids, "filters": {"refuse_seconds": 0.0}})
                    await call("REVIVE")
            took = time.perf_counter() - began
            await call("TEARDOWN")
        return seen / took

    async def _event(self, stream: aiohttp.ClientResponse) -> Json:
        """The next record: its length in a line, then that many bytes (RecordIO)."""
        length = int(await stream.content.readline())
        found: Json = json.loads(await stream.content.readexactly(length))
        return found

"""``kill -9`` under load, fifty times: nothing that was acknowledged is lost, and watches go on or hear 410."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import pytest
from kubernetes import config

import labkit
from labkit.registry import Registry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

TIMES = 50
WRITERS = 8
MARK = "mark"
MAPS = "/api/v1/namespaces/default/configmaps"


class Load:
    """Writes from several sides, and remembers what was acknowledged: the last value of each ConfigMap, or its end."""

    def __init__(self, seed: int) -> None:
        self.acknowledged: dict[str, str | None] = {}
        self.uncertain: dict[str, set[str | None]] = {}  # asked for, and no answer came: either may be so
        self.random = random.Random(seed)
        self.count = 0

    async def write(self, session: aiohttp.ClientSession, writer: int) -> None:
        """Until the server is gone."""
        while True:
            self.count += 1
            name, value = f"m-{writer}-{self.random.randrange(12)}", str(self.count)
            before = self.acknowledged.get(name)
            after = None if before is not None and self.random.random() < 0.2 else value
            self.uncertain.setdefault(name, set()).add(after)
            try:
                if after is None:
                    status = await self._send(session, "DELETE", f"{MAPS}/{name}")
                elif before is None:
                    status = await self._send(session, "POST", MAPS, {"metadata": {"name": name}, "data": {"v": value}})
                else:
                    status = await self._send(
                        session, "PUT", f"{MAPS}/{name}", {"metadata": {"name": name}, "data": {"v": value}}
                    )
            except (TimeoutError, aiohttp.ClientError, ConnectionError):
                return
            assert status < 300, (name, status)
            self.acknowledged[name] = after
            del self.uncertain[name]

    async def _send(self, session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> int:
        async with session.request(method, path, json=body) as answer:
            await answer.read()
            return answer.status

    def settle(self, there: dict[str, str]) -> None:
        """Compare with what the server has after the restart, and learn what became of the unanswered writes."""
        for name in self.acknowledged.keys() | self.uncertain.keys() | there.keys():
            possible = {self.acknowledged.get(name), *self.uncertain.get(name, ())}
            assert there.get(name) in possible, (name, there.get(name), possible)
            self.acknowledged[name] = there.get(name)
        self.uncertain.clear()


async def events(session: aiohttp.ClientSession, version: str) -> AsyncIterator[dict[str, Any]]:
    """A watch from that version on, until the connection ends."""
    params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "60"}
    async with session.get(MAPS, params=params) as answer:
        assert answer.status == 200
        rest = b""
        async for chunk in answer.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield orjson.loads(line)


class Watcher:
    """Keeps a copy of the ConfigMaps by watching alone; after a kill it goes on from the last version it has seen."""

    def __init__(self) -> None:
        self.copy: dict[str, str] = {}
        self.version = ""
        self.resumed = self.expired = 0

    async def list(self, session: aiohttp.ClientSession) -> dict[str, str]:
        async with session.get(MAPS) as answer:
            found = orjson.loads(await answer.read())
        self.version = found["metadata"]["resourceVersion"]
        return {i["metadata"]["name"]: i["data"]["v"] for i in found["items"] if "v" in (i.get("data") or {})}

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """Until the server is gone."""
        try:
            async for event in events(session, self.version):
                self._take(event)
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            return

    async def catch_up(self, session: aiohttp.ClientSession) -> None:
        """Go on after the restart until something new arrives, or hear 410 and list anew."""
        async for event in events(session, self.version):
            if event["type"] == "ERROR":
                assert event["object"]["code"] == 410, event
                self.expired += 1
                self.copy = await self.list(session)
                return
            self._take(event)
            if event["object"]["metadata"]["name"] == MARK and event["type"] == "ADDED":
                self.resumed += 1
                return

    def _take(self, event: dict[str, Any]) -> None:
        item = event["object"]
        version = int(item["metadata"]["resourceVersion"])
        assert version > int(self.version), "a version comes once"
        self.version = str(version)
        name = item["metadata"]["name"]
        if event["type"] == "DELETED":
            self.copy.pop(name, None)
        elif "v" in (item.get("data") or {}):
            self.copy[name] = item["data"]["v"]


async def _mark(session: aiohttp.ClientSession) -> None:
    """Makes the ConfigMap that a watch has to tell of, as a new one each time."""
    async with session.delete(f"{MAPS}/{MARK}") as answer:
        await answer.read()
    async with session.post(MAPS, json={"metadata": {"name": MARK}}) as answer:
        assert answer.status == 201, await answer.text()


def connect(kubeconfig: str) -> aiohttp.ClientSession:
    settings = config.new_client_from_config(config_file=kubeconfig).configuration
    tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    tls.load_cert_chain(settings.cert_file, settings.key_file)
    connector = aiohttp.TCPConnector(ssl=tls)
    return aiohttp.ClientSession(settings.host, connector=connector, timeout=aiohttp.ClientTimeout(total=20))


async def one_life(sandbox: labkit.Sandbox, load: Load, watcher: Watcher, seconds: float) -> None:
    """Check what the last kill left, write for a while, and kill."""
    async with connect(sandbox.env["KUBECONFIG"]) as session:
        there = await Watcher().list(session)
        load.settle(there)
        if watcher.version:
            mark = asyncio.create_task(_mark(session))  # so that there is something to hear
            await watcher.catch_up(session)
            await mark
        else:
            watcher.copy = await watcher.list(session)
        assert watcher.copy == there, "whoever watches has what whoever lists has"
        following = asyncio.create_task(watcher.follow(session))
        writers = [asyncio.create_task(load.write(session, number)) for number in range(WRITERS)]
        await asyncio.sleep(seconds)  # not a wait for anything: the kill comes at a moment of chance
        psutil.Process(sandbox.record.pid).kill()
        await asyncio.gather(*writers, following)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    load, watcher = Load(7), Watcher()
    name = "killed"
    try:
        for _ in range(TIMES):
            sandbox = labkit.up("kubernetes", name=name, workers=0)
            asyncio.run(one_life(sandbox, load, watcher, load.random.uniform(0.0, 0.25)))
            psutil.wait_procs([psutil.Process(sandbox.record.pid)] if psutil.pid_exists(sandbox.record.pid) else [], 5)
    finally:
        if Registry().get(name) is not None:
            labkit.down(name)
    assert load.count > TIMES * WRITERS, "there was a load"
    assert watcher.resumed + watcher.expired > TIMES // 2, "there was something to catch up with"
    assert watcher.resumed, "history outlives the process"

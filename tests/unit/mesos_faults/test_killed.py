"""``kill -9`` under load, twenty times: what Marathon has acknowledged is there, and no process is left behind."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from support.until import until

import labkit
from labkit.registry import Registry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

TIMES = 20
WRITERS = 6
APPS = 8  # of each writer
COMMAND = {"id": "/work", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 3}


class Load:
    """Writes from several sides, and remembers what was acknowledged: the version of each app, or its end."""

    def __init__(self, seed: int) -> None:
        self.acknowledged: dict[str, str | None] = {}
        self.uncertain: dict[str, set[str | None]] = {}  # asked for, and no answer came: either may be so
        self.random = random.Random(seed)
        self.count = 0

    async def write(self, session: aiohttp.ClientSession, writer: int) -> None:
        """Until the engine is gone."""
        while True:
            self.count += 1
            name, value = f"/load/w{writer}-{self.random.randrange(APPS)}", str(self.count)
            before = self.acknowledged.get(name)
            after = None if before is not None and self.random.random() < 0.2 else value
            self.uncertain.setdefault(name, set()).add(after)
            body = {"id": name, "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 0, "labels": {"V": value}}
            try:
                if after is None:
                    status = await _send(session, "DELETE", f"/v2/apps/{name}?force=true")
                elif before is None:
                    status = await _send(session, "POST", "/v2/apps", body)
                else:
                    status = await _send(session, "PUT", f"/v2/apps/{name}?force=true", body)
            except (TimeoutError, aiohttp.ClientError, ConnectionError):
                return
            assert status < 300, (name, status)
            self.acknowledged[name] = after
            del self.uncertain[name]

    def settle(self, there: dict[str, str]) -> None:
        """Compare with what is there after the restart, and learn what became of the unanswered writes."""
        for name in self.acknowledged.keys() | self.uncertain.keys() | there.keys():
            possible = {self.acknowledged.get(name), *self.uncertain.get(name, ())}
            assert there.get(name) in possible, (name, there.get(name), possible)
            self.acknowledged[name] = there.get(name)
        self.uncertain.clear()


async def _send(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> int:
    async with session.request(method, path, json=body) as answer:
        await answer.read()
        return answer.status


async def _apps(session: aiohttp.ClientSession) -> dict[str, str]:
    async with session.get("/v2/apps") as answer:
        found = (await answer.json())["apps"]
    return {app["id"]: app["labels"]["V"] for app in found if "V" in app["labels"]}


async def _ensure_work(session: aiohttp.ClientSession) -> None:
    """Real processes, as they are started anew after each kill."""
    assert await _send(session, "PUT", "/v2/apps//work?force=true", COMMAND) < 300
    async with asyncio.timeout(20):
        while True:
            async with session.get("/v2/apps//work") as answer:
                if (await answer.json())["app"]["tasksRunning"] == COMMAND["instances"]:
                    return
            await asyncio.sleep(0.02)


async def one_life(sandbox: labkit.Sandbox, load: Load, seconds: float) -> None:
    """Check what the last kill left, write for a while, and kill."""
    url = sandbox.env["MARATHON_URL"]
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=20)) as session:
        load.settle(await _apps(session))
        await _ensure_work(session)
        writers = [asyncio.create_task(load.write(session, number)) for number in range(WRITERS)]
        await asyncio.sleep(seconds)  # not a wait for anything: the kill comes at a moment of chance
        psutil.Process(sandbox.record.pid).kill()
        await asyncio.gather(*writers)


def _left(folders: tuple[str, ...]) -> list[str]:
    """Processes that work in the sandbox's folders: commands of tasks, HAProxy, and those who watch over them."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "pid"]):
        words = " ".join(process.info["cmdline"] or ())
        mine = process.info["pid"] == os.getpid() or not words
        if not mine and any((process.info["cwd"] or "").startswith(f) or f in words for f in folders):
            found.append(words)
    return found


def _none_is_left(folders: tuple[str, ...]) -> None:
    def none() -> bool:
        assert _left(folders) == []
        return True

    until(none, 10, "nothing is left")


def test_nothing_acknowledged_is_lost_and_nothing_is_left(tmp_path: Path) -> None:
    load, name = Load(7), "killed"
    try:
        for _ in range(TIMES):
            sandbox = labkit.up("marathon", name=name, engine="embedded")
            folders = (str(sandbox.record.state), str(sandbox.record.run))
            asyncio.run(one_life(sandbox, load, load.random.uniform(0.05, 0.4)))
            _none_is_left(folders)
    finally:
        if Registry().get(name) is not None:
            labkit.down(name)
    assert load.count > TIMES * WRITERS, "there was a load"

"""Two thousand requests through the balancer of a whole sandbox, while an app is scaled and restarted: none fails."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support import present

import labkit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="addresses of 127.0.0.0/8 are Linux's")

REQUESTS = 2000
CLIENTS = 6
PORT = 10042

Json = dict[str, Any]

SERVER = """
import http.server, os, signal, threading

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = os.environ["MESOS_TASK_ID"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words):
        pass

def told(number, frame):
    # It serves on until those who send it requests know that it goes, also on a busy computer.
    threading.Timer(6.0, os._exit, [0]).start()

signal.signal(signal.SIGTERM, told)
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT0"])), Page).serve_forever()
"""


COMMON: Json = {
    "id": "/web",
    "cpus": 0.1,
    "mem": 32,
    "labels": {"HAPROXY_GROUP": "external"},
    "healthChecks": [{"protocol": "HTTP", "path": "/", "intervalSeconds": 1, "gracePeriodSeconds": 30}],
    "taskKillGracePeriodSeconds": 20,
}


def container(instances: int) -> Json:
    """The polite one of lab 17: its farewell takes sandbox time."""
    return {
        **COMMON,
        "cmd": "mkdir /www; echo $MESOS_TASK_ID | tr -d '\\n' > /www/index.html; httpd -p 8080 -h /www; "
        "trap 'sleep 6; exit 0' TERM; while true; do sleep 1 & wait $!; done",
        "container": {
            "type": "DOCKER",
            "docker": {"image": "busybox:1.36"},
            "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": PORT}],
        },
        "networks": [{"mode": "container/bridge"}],
        "instances": instances,
    }


def command(folder: Path, instances: int) -> Json:
    """A server as an application should be: it has a health check, and finishes what it has when it is told to end."""
    script = folder / "server.py"
    script.write_text(SERVER)
    return {
        **COMMON,
        "cmd": f"exec {sys.executable} -S {script}",
        "instances": instances,
        "portDefinitions": [{"port": PORT}],
    }


class Asked:
    """What came of the requests."""

    def __init__(self) -> None:
        self.count = 0
        self.failed: list[str] = []
        self.served: set[str] = set()
        self.done = False

    async def ask(self, url: str) -> None:
        """One after the other over a kept connection, until there were enough and all has happened."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            while not self.done or self.count < REQUESTS:
                self.count += 1
                try:
                    async with session.get(url) as answer:
                        text = await answer.text()
                        if answer.status == 200:
                            self.served.add(text)
                        else:
                            self.failed.append(f"{answer.status} {text[:80]}")
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failed.append(repr(error))
                await asyncio.sleep(0.005)


async def _marathon(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Json:
    async with session.request(method, path, json=body) as answer:
        found: Json = await answer.json()
        assert answer.status < 300, found
        return found


async def _deployed(session: aiohttp.ClientSession, instances: int) -> set[str]:
    """Wait until all are healthy and nothing is under way; the tasks that there are."""
    async with asyncio.timeout(60):
        while True:
            found = (await _marathon(session, "GET", "/v2/apps//web"))["app"]
            if found["tasksHealthy"] == instances == found["tasksRunning"] and not found["deployments"]:
                return {task["id"] for task in found["tasks"]}
            await asyncio.sleep(0.05)


async def _answers(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def _scale_and_restart(marathon: str, balancer: str, app: Json) -> tuple[Asked, list[set[str]]]:
    asked = Asked()
    async with aiohttp.ClientSession(marathon) as session:
        await _marathon(session, "POST", "/v2/apps", app)
        tasks = [await _deployed(session, 2)]
        await _answers(balancer)
        clients = [asyncio.create_task(asked.ask(balancer)) for _ in range(CLIENTS)]
        try:
            await _marathon(session, "PUT", "/v2/apps//web", {"instances": 4})
            tasks.append(await _deployed(session, 4))
            await _marathon(session, "POST", "/v2/apps//web/restart")
            tasks.append(await _deployed(session, 4))
            await _marathon(session, "PUT", "/v2/apps//web", {"instances": 2})
            tasks.append(await _deployed(session, 2))
        finally:
            asked.done = True
            await asyncio.gather(*clients)
    return asked, tasks


def _path_without_haproxy() -> str:
    found = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in found if not (Path(folder) / "haproxy").exists())


@pytest.mark.parametrize(("speed", "of"), [(1.0, "commands"), (1.0, "containers"), (10.0, "containers")])
@pytest.mark.parametrize("kind", [pytest.param("haproxy", marks=present.requires("haproxy")), "labkit"])
def test_no_request_is_lost(kind: str, speed: float, of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command lives in the wall's time, whose farewell a fast sandbox does not wait for; a container in sandbox
    time: at speed ten HAProxy has to know of it within 0.6 s of the wall, or the sandbox to wait."""
    if kind == "labkit":
        monkeypatch.setenv("PATH", _path_without_haproxy())
    app = command(tmp_path, 2) if of == "commands" else container(2)
    name = f"lossless-{kind}-{speed:g}-{of}"
    with labkit.up("marathon", name=name, engine="embedded", masters=1, agents=2, speed=speed) as sandbox:
        host = sandbox.env["MARATHON_URL"].rpartition("@")[2].rpartition(":")[0]
        asked, tasks = asyncio.run(_scale_and_restart(sandbox.env["MARATHON_URL"], f"http://{host}:{PORT}/", app))
    assert asked.failed == []
    assert asked.count >= REQUESTS
    _, grown, restarted, _ = tasks
    assert not grown & restarted, "every task was replaced"
    if of == "commands":  # which have served at speed ten has more of chance
        assert asked.served >= grown | restarted, "each of them has served"

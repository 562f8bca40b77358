"""A Kubernetes cluster's start-up, memory, API and scheduling, embedded and by kind, through the same client."""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import psutil
from bench.table import Table
from kubernetes import config
from support.until import until

import labkit

IMAGE = "traefik/whoami:v1.10"
SOME, MANY = 20, 1000
PODS, NODES = 10_000, 500
LISTED = 5_000
REQUESTS, AT_ONCE = 2_000, 16
WATCHERS, EVENTS = 100, 50


def measure(table: Table, rounds: int, real: str | None) -> None:
    """All rows. ``real`` is the docker engine's name, or None to leave kind out."""
    table.say("starting Kubernetes clusters of a control plane and 4 workers…")
    ours = statistics.median(_start("embedded") for _ in range(rounds))
    theirs = _start(real) if real else None
    table.add("Kubernetes up to ready, five nodes", ours, "s", real=theirs, goal="≤ 0.8 s, ≥ 40 × sooner")

    found: dict[str, dict[str, float]] = {}
    for engine in ("embedded", real):
        if engine is None:
            continue
        with labkit.up("kubernetes", name="bench", engine=engine, workers=4) as sandbox:
            if engine == "embedded":
                process = psutil.Process(sandbox.record.pid)
                table.add("engine's memory, five nodes (RSS)", _rss(process), "MB", goal="≤ 70 MB")
            found[engine] = asyncio.run(_Api(sandbox).measure(table))
            found[engine]["some"] = _to_available(sandbox, SOME)
    mine, others = found["embedded"], found.get(real or "", {})
    table.add("creates, ConfigMaps", mine["creates"], "/s", real=others.get("creates"), goal="≥ real", more=True)
    table.add("gets", mine["gets"], "/s", real=others.get("gets"), goal="≥ real", more=True)
    table.add(f"list of {LISTED:,} pods", mine["list"], "s", real=others.get("list"))
    table.add(f"watch events to {WATCHERS} watchers", mine["events"], "/s", real=others.get("events"), more=True)
    table.add(f"Deployment of {SOME} to available", mine["some"], "s", real=others.get("some"))

    with labkit.up("kubernetes", name="bench", engine="embedded", workers=12) as sandbox:
        many = statistics.median(_to_available(sandbox, MANY) for _ in range(rounds))
        table.add(f"Deployment of {MANY:,} to available, 12 workers", many, "s", goal="≤ 2 s")
    table.say(f"{PODS:,} pods on {NODES} nodes…")
    seconds, megabytes = zip(*(_many_nodes() for _ in range(rounds)), strict=True)
    table.add(f"{PODS:,} pods on {NODES} nodes to available", statistics.median(seconds), "s", goal="≤ 15 s")
    table.add(f"engine's memory with {PODS:,} pods on {NODES} nodes (RSS)", max(megabytes), "MB")


def _many_nodes() -> tuple[float, float]:
    """Seconds until a Deployment is available on a new cluster of many nodes, and MB of memory afterwards."""
    with labkit.up("kubernetes", name="bench", engine="embedded", workers=NODES - 1, timeout=120) as sandbox:
        took = _to_available(sandbox, PODS, remove=False)
        return took, _rss(psutil.Process(sandbox.record.pid))


def _start(engine: str) -> float:
    """Seconds from calling `up` until every node is ready, taken down afterwards."""
    began = time.perf_counter()
    try:
        labkit.up("kubernetes", name="bench", engine=engine, workers=4)
        return time.perf_counter() - began
    finally:
        labkit.down("bench")


def _rss(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


def _to_available(sandbox: labkit.Sandbox, count: int, *, remove: bool = True) -> float:
    """Seconds from creating a Deployment until all its replicas are available; it is gone again afterwards."""
    from kubernetes import client

    apps = client.AppsV1Api(sandbox.client)
    labels = {"app": "bench"}
    container = {"name": "c", "image": IMAGE}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    body = {
        "metadata": {"name": "bench"},
        "spec": {"replicas": count, "selector": {"matchLabels": labels}, "template": template},
    }
    began = time.perf_counter()
    apps.create_namespaced_deployment("default", body)

    def available() -> bool:
        status = apps.read_namespaced_deployment_status("bench", "default").status
        return (status.available_replicas or 0) == count

    until(available, timeout=600, every=0.05)
    took = time.perf_counter() - began
    if remove:
        apps.delete_namespaced_deployment("bench", "default", propagation_policy="Foreground")
        core = client.CoreV1Api(sandbox.client)
        until(lambda: not core.list_namespaced_pod("default", limit=1).items, timeout=600)
    return took


class _Api:
    """Requests of one asyncio client with some connections: the same for every engine."""

    def __init__(self, sandbox: labkit.Sandbox) -> None:
        settings = config.new_client_from_config(config_file=sandbox.env["KUBECONFIG"]).configuration
        self._host = settings.host
        self._tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        self._tls.load_cert_chain(settings.cert_file, settings.key_file)

    async def measure(self, table: Table) -> dict[str, float]:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        async with aiohttp.ClientSession(self._host, connector=connector) as session:
            self._session = session
            await self._ask("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
            maps = "/api/v1/namespaces/bench/configmaps"
            data = {"data": {"key": "value" * 20}}
            creates = await self._rate(lambda i: self._ask("POST", maps, {"metadata": {"name": f"m-{i}"}, **data}))
            gets = await self._rate(lambda i: self._ask("GET", f"{maps}/m-{i}"))
            events = await self._fan_out(maps)
            table.say(f"making {LISTED:,} pods to list…")
            await self._rate(lambda i: self._ask("POST", "/api/v1/namespaces/bench/pods", _waiting(i)), LISTED)
            listed = [await self._timed(self._ask("GET", "/api/v1/namespaces/bench/pods")) for _ in range(5)]
            await self._emptied("/api/v1/namespaces/bench/pods")
            return {"creates": creates, "gets": gets, "events": events, "list": statistics.median(listed)}

    async def _emptied(self, path: str) -> None:
        """Delete all that is there. A real server takes longer for so many than it gives itself, and is asked again."""
        for _ in range(20):
            async with self._session.delete(path) as answer:
                if answer.status != 504:
                    assert answer.status < 300, await answer.text()
                    return
        raise TimeoutError(path)

    async def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        async with self._session.request(method, path, json=body) as answer:
            content = await answer.read()
            assert answer.status < 300, content[:500]
            return content

    async def _timed(self, work: Awaitable[object]) -> float:
        began = time.perf_counter()
        await work
        return time.perf_counter() - began

    async def _rate(self, ask: Callable[[int], Awaitable[object]], count: int = REQUESTS) -> float:
        """Requests a second, so many under way at a time."""
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await ask(number)

        return count / await self._timed(asyncio.gather(*(worker() for _ in range(AT_ONCE))))

    async def _fan_out(self, maps: str) -> float:
        """Events a second that reach all watchers, from the first write to the last event."""
        version = json.loads(await self._ask("GET", f"{maps}?limit=1"))["metadata"]["resourceVersion"]
        listening = asyncio.Semaphore(0)

        async def watch() -> None:
            async with self._session.get(maps, params={"watch": "1", "resourceVersion": version}) as answer:
                listening.release()
                seen, rest = 0, b""
                while seen < EVENTS:
                    *lines, rest = (rest + await answer.content.readany()).split(b"\n")
                    seen += len(lines)

        watchers = [asyncio.create_task(watch()) for _ in range(WATCHERS)]
        for _ in watchers:
            await listening.acquire()
        began = time.perf_counter()
        for number in range(EVENTS):
            await self._ask("POST", maps, {"metadata": {"name": f"w-{number}"}})
        await asyncio.gather(*watchers)
        return WATCHERS * EVENTS / (time.perf_counter() - began)


def _waiting(number: int) -> dict[str, Any]:
    """A pod that no scheduler looks after."""
    container = {"name": "c", "image": IMAGE}
    return {"metadata": {"name": f"p-{number}"}, "spec": {"schedulerName": "nobody", "containers": [container]}}

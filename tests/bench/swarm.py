"""Start-up, memory and scheduling of a swarm, embedded and real, through the same public calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import psutil
from bench.table import Table
from docker.types import ServiceMode
from support.until import until

import labkit

IMAGE = "traefik/whoami:v1.10"
MANY = 1000
SOME = 20  # what the real engine can start here in reasonable time


def measure(table: Table, rounds: int, real: str | None) -> None:
    table.say("starting swarms of 3 managers and 2 workers…")
    ours = statistics.median(_start("embedded") for _ in range(rounds))
    theirs = _start(real) if real else None
    table.add("up to ready, 3 managers + 2 workers", ours, "s", real=theirs, goal="≤ 0.8 s, ≥ 12 × sooner")

    with labkit.up("swarm", name="bench", engine="embedded") as sandbox:
        process = psutil.Process(sandbox.record.pid)
        table.add("engine's memory, five empty nodes (RSS)", _rss(process), "MB", goal="≤ 60 MB")
        some = statistics.median(_to_running(sandbox, SOME) for _ in range(rounds))
        table.add(f"{SOME} tasks to running", some, "s", real=_real_to_running(SOME) if real else None, goal="")
        many = statistics.median(_to_running(sandbox, MANY) for _ in range(rounds))
        table.add(f"{MANY:,} tasks to running", many, "s", goal="≤ 2 s")
        _create(sandbox, MANY)
        table.add(f"engine's memory with {MANY:,} tasks (RSS)", _rss(process), "MB")


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _start(engine: str) -> float:
    """Seconds from calling `up` until every node is ready, taken down afterwards."""
    try:
        return _timed(lambda: labkit.up("swarm", name="bench", engine=engine))
    finally:
        labkit.down("bench")


def _rss(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


def _create(sandbox: labkit.Sandbox, count: int) -> None:
    """A service of that many tasks; returns when all of them run."""
    mode = ServiceMode("replicated", replicas=count)
    service = sandbox.client.services.create(IMAGE, name="bench", mode=mode)
    until(lambda: _running(sandbox, service.id) == count, timeout=300, every=0.02)


def _running(sandbox: labkit.Sandbox, service_id: str) -> int:
    listed = sandbox.client.api.get(
        sandbox.client.api._url("/services"), params={"status": "true", "filters": f'{{"id":["{service_id}"]}}'}
    )
    return int(listed.json()[0]["ServiceStatus"]["RunningTasks"])


def _to_running(sandbox: labkit.Sandbox, count: int) -> float:
    """Seconds from `service create` until all tasks run; the service is gone again afterwards."""
    try:
        return _timed(lambda: _create(sandbox, count))
    finally:
        sandbox.client.services.get("bench").remove()
        until(lambda: not sandbox.client.api.tasks(), timeout=300)


def _real_to_running(count: int) -> float:
    with labkit.up("swarm", name="bench-real", engine="docker") as sandbox:
        return _to_running(sandbox, count)

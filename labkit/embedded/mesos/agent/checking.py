"""Carrying out checks: a command beside the task, a request, a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labkit.embedded.mesos.agent.checks import Health, Json, Rule, Verdict, http_ok, nothing_yet
from labkit.embedded.mesos.agent.host import Host
from labkit.embedded.mesos.agent.work import Work


async def watch_health(host: Host, work: Work, rule: Rule, since: float, told: Callable[[Verdict], object]) -> None:
    """Check a task's health until this is cancelled."""
    health = Health(rule, since)
    await host.clock.sleep(rule.delay)
    while True:
        await host.gate.wait()
        ok, _ = await attempt(host, work, rule)
        await host.gate.wait()
        verdict = health.take(ok, host.clock.time())
        if verdict is not None:
            told(verdict)
        await host.clock.sleep(rule.interval)


async def watch_check(host: Host, work: Work, rule: Rule, told: Callable[[Json], object]) -> None:
    """Check a task in general: whatever comes out is told when it is another than before."""
    last = nothing_yet(rule)
    await host.clock.sleep(rule.delay)
    while True:
        await host.gate.wait()
        _, found = await attempt(host, work, rule)
        await host.gate.wait()
        if found != last:
            last = found
            told(found)
        await host.clock.sleep(rule.interval)


async def attempt(host: Host, work: Work, rule: Rule) -> tuple[bool, Json]:
    """Once: whether it is well, and the CheckStatusInfo."""
    found = nothing_yet(rule)
    try:
        async with host.clock.timeout(rule.timeout):
            if rule.kind == "COMMAND":
                part = rule.part.get("command", rule.part)  # CheckInfo has its CommandInfo one level deeper
                code = await work.execute(part)
                found["command"] = {"exit_code": code}
                return code == 0, found
            if rule.kind == "HTTP":
                status = await _get(work, int(rule.part["port"]), str(rule.part.get("path") or "/"))
                found["http"] = {"status_code": status}
                return http_ok(status), found
            _, writer = await work.connect(int(rule.part["port"]))
            writer.close()
            found["tcp"] = {"succeeded": True}
            return True, found
    except (TimeoutError, OSError, EOFError, ValueError, KeyError):
        if rule.kind == "TCP":
            found["tcp"] = {"succeeded": False}
        return False, found


async def _get(work: Work, port: int, path: str) -> int:
    reader, writer = await work.connect(port)
    try:
        path = path if path.startswith("/") else f"/{path}"
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: curl/7.61.1\r\nAccept: */*\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode("latin-1", "replace"))
        first = (await reader.readline()).split(None, 2)
        if len(first) < 2 or not first[0].startswith(b"HTTP/"):
            raise ValueError("no answer")
        return int(first[1])
    except asyncio.LimitOverrunError:
        raise ValueError("no answer") from None
    finally:
        writer.close()

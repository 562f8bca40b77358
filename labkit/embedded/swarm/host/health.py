"""Health checks: what a probe's result means (pure), and the loop that probes a running container."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.embedded.runtime.durations import go_duration
from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.users import UnknownUser
from labkit.embedded.swarm.objects import Json

from .container import Container, Health, Probe

if TYPE_CHECKING:
    from .host import Host

MAX_OUTPUT = 4096
MAX_LOG = 5


@dataclass(frozen=True)
class Check:
    """A health check with the engine's defaults filled in; times in seconds."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3

    @classmethod
    def of(cls, config: Json, shell: tuple[str, ...] = ("/bin/sh", "-c")) -> Check | None:
        """The check of a container's ``Config``; None without one, with ``NONE``, and with a kind nobody knows."""
        given = config.get("Healthcheck") or {}
        test = given.get("Test") or []
        if not test or test[0] not in ("CMD", "CMD-SHELL"):
            return None
        command = tuple(test[1:]) if test[0] == "CMD" else (*(config.get("Shell") or shell), *test[1:])

        def seconds(name: str, default: float) -> float:
            return (given.get(name) or 0) / 1e9 or default

        return cls(
            command,
            seconds("Interval", cls.interval),
            seconds("Timeout", cls.timeout),
            seconds("StartPeriod", cls.start_period),
            seconds("StartInterval", cls.start_interval),
            given.get("Retries") or cls.retries,
        )

    def pause(self, since_start: float, status: str) -> float:
        """Seconds until the next probe."""
        early = since_start < self.start_period and status == "starting"
        return self.start_interval if early else self.interval


def judge(health: Health, check: Check, probe: Probe, started_at: float) -> bool:
    """Take a probe's result into ``health``; True when the status has changed by it."""
    before = health.status
    health.log = [*health.log[1 - MAX_LOG :], probe]
    if probe.exit_code == 0:
        health.failing_streak, health.status = 0, "healthy"
    elif health.status != "starting" or probe.start - started_at >= check.start_period:
        health.failing_streak += 1
        if health.failing_streak >= check.retries:
            health.status = "unhealthy"
    return health.status != before


class Monitor:
    """Probes containers for as long as they run unpaused."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def begin(self, container: Container) -> None:
        """The container has been started: it is ``starting`` anew."""
        check = Check.of(container.config)
        if check is None:
            container.health = None
            return
        if container.health is None:
            container.health = Health()
        container.health.status, container.health.failing_streak = "starting", 0
        self.resume(container)

    def resume(self, container: Container) -> None:
        """Probe on, after a start or an unpause."""
        check = Check.of(container.config)
        if check is not None and container.health is not None and container.health.task is None:
            container.health.task = asyncio.create_task(self._run(container, container.health, check))

    async def changed(self, container: Container) -> None:
        """Wait until the health of a running container has changed, or it has ended."""
        health = container.health
        if health is None:
            await container.wait()
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        health.watchers.append(future)
        try:
            await future
        finally:
            if future in health.watchers:
                health.watchers.remove(future)

    def stop(self, container: Container) -> None:
        """The container is paused or has ended."""
        if container.health is not None and container.health.task is not None:
            container.health.task.cancel()
            container.health.task = None

    def ended(self, container: Container) -> None:
        """A container that no longer runs is never shown as healthy (moby's ``Reset``)."""
        self.stop(container)
        if container.health is not None:
            container.health.status = "unhealthy"
            _tell(container.health)

    async def _run(self, container: Container, health: Health, check: Check) -> None:
        clock = self._host.world.clock
        gate = self._host.world.fleet.gate(self._host.name)
        while True:
            await clock.sleep(check.pause(clock.time() - container.started_at, health.status))
            await gate.wait()
            probe = await self._probe(container, check)
            if judge(health, check, probe, container.started_at):
                self._host.containers.log(container, f"health_status: {health.status}")
                _tell(health)

    async def _probe(self, container: Container, check: Check) -> Probe:
        clock = self._host.world.clock
        start = clock.time()
        execution = self._host.execs.make(container, list(check.command), health=True)
        try:
            await self._host.execs.launch(execution)
        except ExecutableNotFound as error:
            self._host.execs.forget(execution)
            return Probe(start, clock.time(), -1, f"OCI runtime exec failed: exec failed: {error}: unknown")
        except UnknownUser as error:
            self._host.execs.forget(execution)
            return Probe(start, clock.time(), -1, str(error))
        process = execution.process
        assert process is not None
        try:
            async with clock.timeout(check.timeout):
                code = await process.wait()
            output = _output(execution.output())
        except TimeoutError:
            process.kill(9)
            await process.wait()
            seen = _output(execution.output())
            code, output = -1, f"Health check exceeded timeout ({go_duration(check.timeout)})"
            output += f": {seen}" if seen else ""
        finally:
            if process.running:
                process.kill(9)
            self._host.execs.forget(execution)
        return Probe(start, clock.time(), code, output)


def _tell(health: Health) -> None:
    watchers, health.watchers = health.watchers, []
    for future in watchers:
        if not future.done():
            future.set_result(None)


def _output(data: bytes) -> str:
    text = data[:MAX_OUTPUT].decode("utf-8", "replace")
    return text + "..." if len(data) > MAX_OUTPUT else text

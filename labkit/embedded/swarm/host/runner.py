"""Containers while they live: start, stop, kill, pause, exit, and restart as their policy says."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.processes import Process
from labkit.embedded.swarm.errors import ApiError, Conflict

from .container import Container
from .health import Monitor
from .publishing import NETWORKING, Publisher
from .restarts import Backoff
from .signals import SIGKILL, parse_signal

if TYPE_CHECKING:
    from .host import Host

log = logging.getLogger(__name__)


class NotModified(ApiError):
    """304: it is as one wants it already."""

    status = 304


class NotRunning(Conflict):
    """409 ``container x is not running``."""

    def __init__(self, container: Container) -> None:
        super().__init__(f"container {container.id} is not running")


class Runner:
    """Runs the containers of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.monitor = Monitor(host)
        self._chores = Chores()
        self._publisher = Publisher(host)

    # starting -------------------------------------------------------------------------------------------------

    async def start(self, container: Container) -> None:
        """``POST /containers/{id}/start``. Raises :class:`NotModified` when it runs already."""
        if container.paused:
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.running:
            raise NotModified("container is already running")
        if container.removing or container.dead:
            raise Conflict("container is marked for removal and cannot be started")
        async with self._lock(container):
            if container.running:
                return
            container.backoff = None
            container.stopped_by_hand = False
            await self._launch(container)

    async def _launch(self, container: Container) -> None:
        """Networks, ports, process. Whatever fails is undone, recorded in the container and raised."""
        host = self._host
        container.error, container.exit_code, container.oom_killed = "", 0, False
        try:
            await self._set_up_network(container)
            await self._host.launcher.start(container)
        except ApiError as error:
            self.release(container)
            container.error = error.message
            container.exit_code = getattr(error, "exit_code", 128)
            container.running = container.restarting = False
            host.containers.keep(container)
            if container.host.get("AutoRemove"):
                host.containers.drop(container, volumes=True)
            raise
        container.running, container.restarting, container.paused = True, False, False
        container.started_at = host.world.clock.time()
        self.monitor.begin(container)
        host.networks.announce(container)
        host.containers.keep(container)
        host.containers.log(container, "start")
        process = container.process
        assert process is not None
        container.supervisor = asyncio.create_task(self._supervise(container, process))

    async def _set_up_network(self, container: Container) -> None:
        mode = container.network_mode
        if mode.startswith("container:"):
            raise ApiError("sharing another container's network is not implemented by the embedded engine")
        try:
            for attachment in container.networks.values():
                self._host.networks.attach(container, attachment)
        except ApiError as error:
            raise type(error)(NETWORKING + error.message) from None
        container.sandbox_id = self._host.world.ids.hex_id() if not container.sandbox_id else container.sandbox_id
        await self._publisher.publish(container)

    # ending ---------------------------------------------------------------------------------------------------

    async def _supervise(self, container: Container, process: Process) -> None:
        code = await process.wait()
        if container.process is process:
            try:
                self.exited(container, code, oom=process.oom)
            except Exception:
                log.exception("%s: the exit of %s", self._host.name, container.name)

    def exited(self, container: Container, code: int, *, oom: bool = False, power: bool = True) -> None:
        """The main process has ended. ``power`` False: the machine went off, nobody is there to log or restart."""
        host = self._host
        container.process = None
        container.supervisor = None
        self.monitor.ended(container)
        now = host.world.clock.time()
        ran = now - container.started_at
        container.exit_code, container.finished_at, container.paused = code, now, False
        if oom and not container.oom_killed:
            container.oom_killed = True
            host.containers.log(container, "oom")
        self.release(container)
        delay = None
        if power:
            container.backoff = container.backoff or Backoff()
            delay = container.backoff.decide(container.restart_policy, code, container.stopped_by_hand, ran)
        if delay is None:
            container.running = container.restarting = False
        else:
            container.restarting = True
            container.restart_count += 1
        host.containers.keep(container)
        if power:
            host.containers.log(container, "die", {"execDuration": str(int(ran)), "exitCode": str(code)})
        container.tell_waiters(removed=False)  # an exit is one, whether or not a restart follows
        if delay is not None:
            container.restart_timer = host.world.clock.call_later(delay, self._restart_later, container)
            return
        if power and container.host.get("AutoRemove") and not container.auto_removing:
            self._chores.start(self._auto_remove(container))

    async def _auto_remove(self, container: Container) -> None:
        if not container.removing and not container.running:
            self._host.containers.drop(container, volumes=True)

    def _restart_later(self, container: Container) -> None:
        container.restart_timer = None
        if container.restarting and self._host.machine.power != "off":
            self._chores.start(self._restart(container))

    async def _restart(self, container: Container) -> None:
        await self._host.world.fleet.gate(self._host.name).wait()
        async with self._lock(container):
            if not container.restarting or container.removing:
                return
            try:
                await self._launch(container)
            except ApiError as error:
                log.info("%s: %s is not restarted: %s", self._host.name, container.name, error.message)
                container.finished_at = self._host.world.clock.time()
                container.tell_waiters(removed=False)

    def release(self, container: Container) -> None:
        """Give back what a running container holds: ports and addresses."""
        if container.restart_timer is not None:
            container.restart_timer.cancel()
            container.restart_timer = None
        self._publisher.withdraw(container)
        for attachment in container.networks.values():
            if attachment.endpoint_id:
                self._host.networks.detach(container, attachment)

    # signals --------------------------------------------------------------------------------------------------

    def signal(self, container: Container, number: int) -> None:
        """Send a signal as ``docker kill`` does. Raises :class:`NotRunning`."""
        if not container.running:
            raise NotRunning(container)
        process = container.process
        stops = not container.config.get("StopSignal") or number in (SIGKILL, parse_signal(container.stop_signal))
        container.stopped_by_hand = True
        if container.restarting:
            self._stop_restarting(container)
            return
        if process is None:
            return
        # The event comes before its effect, as the daemon writes it while it still holds the container's lock.
        self._host.containers.log(container, "kill", {"signal": str(number)})
        if stops and container.paused:
            process.kill(number)
            self._thaw(container)
        else:
            process.kill(number)

    def _stop_restarting(self, container: Container) -> None:
        if container.restart_timer is not None:
            container.restart_timer.cancel()
            container.restart_timer = None
        container.running = container.restarting = False
        self._host.containers.keep(container)
        container.tell_waiters(removed=False)

    async def kill(self, container: Container, number: int) -> None:
        """``POST /containers/{id}/kill``: SIGKILL waits for the end, other signals do not."""
        self.signal(container, number)
        if number == SIGKILL and container.running:
            await container.wait()

    async def end(self, container: Container) -> None:
        """SIGKILL, and wait until it is gone."""
        if container.running:
            await self.kill(container, SIGKILL)

    async def stop(self, container: Container, timeout: float | None = None, signal: str = "") -> None:
        """``POST /containers/{id}/stop``: the stop signal, and SIGKILL after ``timeout`` seconds (below 0: never)."""
        if not container.running:
            raise NotModified("container is already stopped")
        await self._stop(container, timeout, signal)

    async def _stop(self, container: Container, timeout: float | None, signal: str) -> None:
        number = parse_signal(signal or container.stop_signal)
        grace = container.stop_timeout if timeout is None else timeout
        gone = container.wait()
        try:
            self.signal(container, number)
        except NotRunning:
            pass
        try:
            async with self._host.world.clock.timeout(None if grace < 0 else grace):
                await asyncio.shield(gone)
        except TimeoutError:
            if container.running:
                await self.end(container)
        self._host.containers.log(container, "stop")

    async def restart(self, container: Container, timeout: float | None = None, signal: str = "") -> None:
        """``POST /containers/{id}/restart``."""
        if container.running:
            removing, container.auto_removing = container.auto_removing, True  # --rm is not for restarts
            try:
                await self._stop(container, timeout, signal)
            finally:
                container.auto_removing = removing
        if container.removing:
            raise Conflict("container is marked for removal and cannot be started")
        try:
            await self.start(container)
        except NotModified:
            pass
        self._host.containers.log(container, "restart")

    def pause(self, container: Container) -> None:
        """``POST /containers/{id}/pause``. Raises 409."""
        if not container.running:
            raise NotRunning(container)
        if container.paused:
            raise Conflict(f"Container {container.id} is already paused")
        if container.restarting or container.process is None:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        container.process.pause()
        container.paused = True
        self.monitor.stop(container)
        self._host.containers.keep(container)
        self._host.containers.log(container, "pause")

    def unpause(self, container: Container) -> None:
        """``POST /containers/{id}/unpause``. dockerd answers 500 when it is not paused."""
        if not container.paused:
            raise ApiError(f"Container {container.id} is not paused")
        self._thaw(container)
        self._host.containers.log(container, "unpause")

    def _thaw(self, container: Container) -> None:
        container.paused = False
        if container.process is not None:
            container.process.resume()
            self.monitor.resume(container)
        self._host.containers.keep(container)

    # the machine ----------------------------------------------------------------------------------------------

    def power_off(self) -> None:
        """Every process dies at once, and nobody writes it down but for the exit codes found at the next boot."""
        for container in self._host.containers:
            if not container.running:
                continue
            process, container.process = container.process, None
            if container.supervisor is not None:
                container.supervisor.cancel()
            if process is not None:
                process.kill(SIGKILL)
            self.exited(container, 128 + SIGKILL, power=False)

    def abandon(self) -> None:
        """The process ends: stop the coroutines, change nothing that is kept."""
        self._chores.cancel()
        for container in self._host.containers:
            self.monitor.stop(container)
            if container.supervisor is not None:
                container.supervisor.cancel()
            if container.process is not None:
                container.process.kill(SIGKILL)

    async def boot(self, container: Container) -> None:
        """dockerd has started: a container comes back if its policy says so."""
        name = container.restart_policy.get("Name")
        again = name == "always" or (name == "unless-stopped" and not container.stopped_by_hand)
        if again and container.started_at and not container.running:
            try:
                await self.start(container)
            except ApiError as error:
                log.info("%s: %s does not start: %s", self._host.name, container.name, error.message)

    async def resume(self, container: Container, paused: bool) -> None:
        """The sandbox was restarted, which no container of it has noticed: run again what ran."""
        try:
            async with self._lock(container):
                await self._launch(container)
        except ApiError as error:
            log.warning("%s: %s could not be resumed: %s", self._host.name, container.name, error.message)
            return
        if paused:
            self.pause(container)

    def _lock(self, container: Container) -> asyncio.Lock:
        if container.lock is None:
            container.lock = asyncio.Lock()
        return container.lock

"""The end of containers: hook, SIGTERM, patience, SIGKILL.

As ``killContainer`` of ``pkg/kubelet/kuberuntime/kuberuntime_container.go``: the grace period covers the hook, too, and
what is left of it is at least two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kubelet import hooks, pods
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.runtime import signals
from labkit.embedded.runtime.clock import Timer

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.worker import Worker

LEAST = 2.0  # seconds that a container has after its preStop hook, however long that took


class Ending:
    """Ends containers of one pod within ``grace`` seconds, which may be shortened on the way."""

    def __init__(self, worker: Worker, grace: float) -> None:
        self._worker = worker
        self._clock = worker.kubelet.clock
        self._until = self._clock.time() + grace
        self._immediate = grace <= 0
        self._timers: dict[str, tuple[Container, Timer]] = {}

    def shorten(self, grace: float) -> None:
        """Somebody has lost patience: ``kubectl delete --grace-period=1`` for a pod that is going already."""
        self._until = min(self._until, self._clock.time() + grace)
        for key, (container, timer) in list(self._timers.items()):
            timer.cancel()
            self._timers[key] = container, self._at_the_end(container)

    def drop(self) -> None:
        """The kubelet stops: nobody sends a SIGKILL any more."""
        for _, timer in self._timers.values():
            timer.cancel()

    def _at_the_end(self, container: Container) -> Timer:
        left = max(0.0, self._until - self._clock.time())
        return self._clock.call_later(left, self._worker.kubelet.containerd.signal, container, signals.SIGKILL)

    async def run_all(self, sandbox: Sandbox) -> None:
        """The whole pod: first the containers, at once, then sidecars, the last one first."""
        order = [one["name"] for one in reversed(pods.init_containers(self._worker.pod)) if pods.is_sidecar(one)]
        running = sandbox.running()
        await self.run([one for one in running if one.name not in order])
        for name in order:
            await self.run([one for one in running if one.name == name and one.running])

    async def run(self, containers: Iterable[Container], words: str = "") -> None:
        """These, all at the same time. ``words`` are the event's."""
        running = [one for one in containers if one.running]
        if len(running) == 1:
            await self._end(running[0], words)
        elif running:
            await asyncio.gather(*(self._end(one, words) for one in running))

    async def _end(self, container: Container, words: str) -> None:
        worker = self._worker
        if container.killing:
            await self._wait(container)
            return
        container.killing = words or "stopped"
        worker.probing.spare(container)
        worker.say("Normal", "Killing", words or f"Stopping container {container.name}", container.name)
        spec = next((one for one in pods.every_container(worker.pod) if one["name"] == container.name), {})
        if not self._immediate:
            await self._pre_stop(container, spec)
        process = container.process
        if process is None or not container.running:
            worker.kubelet.containerd.signal(container, signals.SIGKILL)
            return
        if self._immediate:
            process.kill(signals.SIGKILL)
        else:
            self._until = max(self._until, self._clock.time() + LEAST) if spec.get("lifecycle") else self._until
            process.kill(_stop_signal(container, spec))
            self._timers[container.id] = container, self._at_the_end(container)
        await self._wait(container)

    async def _wait(self, container: Container) -> None:
        process = container.process
        if process is not None:
            await process.wait()
            await asyncio.sleep(0)  # containerd makes its record right after
        entry = self._timers.pop(container.id, None)
        if entry is not None:
            entry[1].cancel()

    async def _pre_stop(self, container: Container, spec: dict[str, object]) -> None:
        lifecycle = spec.get("lifecycle")
        hook = lifecycle.get("preStop") if isinstance(lifecycle, dict) else None
        sandbox = self._worker.sandbox
        if not hook or sandbox is None:
            return
        kubelet = self._worker.kubelet
        try:
            async with self._clock.timeout(max(0.0, self._until - self._clock.time())):
                await hooks.run(kubelet.parts, kubelet.machine, sandbox, container, spec, hook, self._worker.say)
        except TimeoutError:
            pass
        except hooks.HookFailed:
            self._worker.say("Warning", "FailedPreStopHook", "PreStopHook failed", container.name)


def _stop_signal(container: Container, spec: dict[str, object]) -> int:
    lifecycle = spec.get("lifecycle")
    wanted = lifecycle.get("stopSignal") if isinstance(lifecycle, dict) else None
    image = container.family
    return signals.NUMBERS.get(
        str(wanted or (image.stop_signal if image is not None else "") or "SIGTERM").removeprefix("SIG"),
        signals.SIGTERM,
    )

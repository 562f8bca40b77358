"""Starting a pod's containers: image, configuration, process, hook, probes; and when that may be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kubelet import hooks, pods
from labkit.embedded.kubernetes.kubelet.backoff import Backoff
from labkit.embedded.kubernetes.kubelet.containerd import CreateError, StartError
from labkit.embedded.kubernetes.kubelet.images import ImageError
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.kubelet.sources import Missing
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.durations import go_duration

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.worker import Worker

NOTICE_SECONDS = 0.3  # until the end of a container is acted upon (the real one looks once a second)
SYNC_ERROR = 10.0  # seconds until something that failed is tried again (pod workers' backOffPeriod)


class Starting:
    """Starts containers of one pod, and remembers how often each has failed."""

    __slots__ = ("_backoffs", "_worker")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._backoffs: dict[str, Backoff] = {}  # by container name

    def forgive(self) -> None:
        """Whatever has failed how often: it may be tried again at once."""
        self._backoffs.clear()

    def replaces(self, specs: tuple[Json, ...]) -> bool:
        """Is something started at once in the place of what was ended for that? Then nobody sees its end."""
        for spec in specs:
            last = self._worker.sandbox.current(spec["name"]) if self._worker.sandbox is not None else None
            if last is not None and last.killing and self._left(spec["name"], last) <= 0:
                return True
        return False

    async def start(self, spec: Json) -> None:
        name, sandbox, clock = spec["name"], self._worker.sandbox, self._worker.kubelet.clock
        assert sandbox is not None
        last = sandbox.latest(name)
        if (
            last is not None
            and last.sandbox == sandbox.attempt
            and name not in self._worker.reasons
            and not last.killing
        ):
            await clock.sleep(NOTICE_SECONDS)  # for a moment its end is all there is to see
        if last is not None and not self._is_due(name, last):
            return

        def say(kind: str, reason: str, message: str) -> None:
            self._worker.say(kind, reason, message, name)

        try:
            image, reference = await self._worker.kubelet.images.ensure(self._worker.pod, spec, say)
            config = await self._worker.making.config(spec, sandbox)
            resolver = self._worker.kubelet.resolver(self._worker.pod)
            self._worker.kubelet.containerd.check_target(sandbox, config)
            say("Normal", "Created", "Container created")
            container = await self._worker.kubelet.containerd.start(
                sandbox, config, image, reference, resolver, self._worker.pod
            )
        except ImageError as error:
            self._failed(name, error.reason, str(error), error.reason, error.retry or SYNC_ERROR)
        except Missing as error:
            self._failed(name, "CreateContainerConfigError", str(error), str(error), SYNC_ERROR)
        except CreateError as error:
            self._failed(name, "CreateContainerError", str(error), str(error), SYNC_ERROR)
        except StartError as error:
            self._failed(name, "RunContainerError", str(error), str(error), NOTICE_SECONDS)
        else:
            say("Normal", "Started", "Container started")
            self._worker.reasons.pop(name, None)
            await self._begin(spec, sandbox, container)

    def _is_due(self, name: str, last: Container) -> bool:
        """May it be started again already? If not, it waits in ``CrashLoopBackOff``."""
        left = self._left(name, last)
        backoff = self._backoffs[name]
        if left > 0:
            full = pods.full_name(self._worker.pod)
            words = f"back-off {go_duration(backoff.delay)} restarting failed container={name} pod={full}"
            self._worker.say("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {full}", name)
            self._worker.reasons[name] = "CrashLoopBackOff", words
            self._worker.poke_in(min(left, SYNC_ERROR + 2) if left > SYNC_ERROR else left)
            return False
        if self._worker.reasons.get(name, ("",))[0] not in (
            "ErrImagePull",
            "ImagePullBackOff",
            "CreateContainerConfigError",
        ):
            backoff.next(self._worker.kubelet.clock.time())
        return True

    def _left(self, name: str, last: Container) -> float:
        """Seconds until it may be started again."""
        backoff = self._backoffs.setdefault(name, Backoff())
        return backoff.remaining(self._worker.kubelet.clock.time(), last.finished)

    def _failed(self, name: str, reason: str, message: str, words: str, retry: float) -> None:
        self._worker.say("Warning", "Failed", f"Error: {words}", name)
        self._worker.reasons[name] = reason, message
        self._worker.poke_in(retry)

    async def _begin(self, spec: Json, sandbox: Sandbox, container: Container) -> None:
        """It runs: its hook, then its probes."""
        kubelet = self._worker.kubelet
        hook = (spec.get("lifecycle") or {}).get("postStart")
        if hook:
            try:
                await hooks.run(kubelet.parts, kubelet.machine, sandbox, container, spec, hook, self._worker.say)
            except hooks.HookFailed as error:
                self._worker.say("Warning", "FailedPostStartHook", "PostStartHook failed", container.name)
                self._worker.reasons[container.name] = "PostStartHookError", str(error)
                await self._worker.kill((container,), "FailedPostStartHook")
                return
        self._worker.probing.begin(spec, sandbox, container)

    # what runs already -----------------------------------------------------------------------------------------

    async def bring_back(self) -> None:
        """Take over what a former kubelet, or a former process of the sandbox, has left running."""
        sandbox = self._worker.sandbox
        assert sandbox is not None
        await self._worker.open_host_ports(sandbox)
        for spec in pods.every_container(self._worker.pod):
            container = sandbox.current(spec["name"])
            if container is None or not container.running:
                continue
            if container.detached:
                await self._revive(spec, sandbox, container)
            self._worker.probing.begin(spec, sandbox, container, again=True)

    async def _revive(self, spec: Json, sandbox: Sandbox, container: Container) -> None:
        kubelet = self._worker.kubelet
        if not sandbox.ready:
            kubelet.containerd.signal(container, 9)
            return
        try:
            await self._worker.making.mount(sandbox.volumes)
            image, _ = await kubelet.images.ensure(self._worker.pod, spec, lambda kind, reason, message: None)
            config = await self._worker.making.config(spec, sandbox)
            kubelet.containerd.check_target(sandbox, config)
            await kubelet.containerd.bring_back(
                sandbox, container, config, image, kubelet.resolver(self._worker.pod), self._worker.pod
            )
        except (ImageError, Missing, CreateError, StartError):
            kubelet.containerd.signal(container, 9)

"""The probes of one pod: whose they are, and what their results do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.kubelet.probes import Prober, Rule
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.objects import Json

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.kubelet.worker import Worker


class Probing:
    """Probers of a pod's running containers; most containers have none, and are started and ready while they run."""

    __slots__ = ("_probers", "_worker")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._probers: dict[str, Prober] = {}  # by container id

    def judge(self, container: Container) -> tuple[bool, bool]:
        """Has it started, is it ready?"""
        prober = self._probers.get(container.id)
        return (True, True) if prober is None else (prober.started, prober.ready)

    def has_started(self, container: Container) -> bool:
        return self.judge(container)[0]

    def begin(self, spec: Json, sandbox: Sandbox, container: Container, *, again: bool = False) -> None:
        """Probe a container from now on. ``again``: it ran before this kubelet did, and is taken for what it was."""
        if not container.running or container.id in self._probers or not Prober.wanted(spec):
            return
        kubelet = self._worker.kubelet
        prober = Prober(
            kubelet.parts, kubelet.machine, sandbox, container, spec, kubelet.chores,
            self._changed, self._failed, self._said,
        )  # fmt: skip
        self._probers[container.id] = prober
        prober.begin(_as_told(self._worker.pod, container) if again else None)

    def end(self, container: Container) -> None:
        """It has ended."""
        prober = self._probers.pop(container.id, None)
        if prober is not None:
            prober.end()

    def spare(self, container: Container) -> None:
        """It is being ended: no probe may end it once more."""
        prober = self._probers.get(container.id)
        if prober is not None:
            prober.spare()

    def halt(self) -> None:
        for prober in self._probers.values():
            prober.end()
        self._probers.clear()

    def _changed(self) -> None:
        self._worker.publish()
        if pods.init_containers(self._worker.pod):
            self._worker.poke()  # a sidecar that has started lets the next one go

    def _said(self, container: Container, words: str) -> None:
        self._worker.say("Warning", "Unhealthy", words, container.name)

    def _failed(self, container: Container, rule: Rule) -> None:
        words = f"Container {container.name} failed {rule.kind} probe, will be restarted"
        grace = rule.action.get("terminationGracePeriodSeconds")
        worker = self._worker
        worker.kubelet.chores.start(worker.kill((container,), words, None if grace is None else float(grace)))


def _as_told(pod: Json, container: Container) -> tuple[bool, bool] | None:
    """What the API server still says of a container."""
    status = pod.get("status") or {}
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if one.get("containerID") == container.uid:
            return bool(one.get("started")), bool(one.get("ready"))
    return None

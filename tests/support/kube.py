"""A small Kubernetes for tests of loops: a registry in memory, a clock turned by hand, controllers, a fake kubelet."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Self

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.client import Client, Informer, OpenDoor
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.daemonset.placement import target_of
from labkit.embedded.kubernetes.controllers.manager import ControllerManager
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    controller_of,
    edited,
    is_pod_finished,
    is_terminating,
    key_of,
    name_of,
    status_of,
    uid_of,
    with_condition,
)
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry
from labkit.embedded.runtime.clock import ManualClock


class FakeKubelet:
    """Binds pods, makes them ready after ``delay`` seconds, and confirms their end after ``grace`` more.

    It stands in for the scheduler and all kubelets. ``refuses(pod)`` keeps one from ever becoming ready; a test ends
    one by hand with :meth:`finish`, or makes it ready or not with :meth:`ready`.
    """

    def __init__(self, door: OpenDoor, *, nodes: Sequence[str] = ("worker-1", "worker-2"), delay: float = 0.0) -> None:
        self.client = Client(door, machine="worker-1", user="system:node:worker-1", manager="kubelet")
        self.clock = door.clock
        self.nodes = list(nodes)
        self.delay = delay
        self.grace = 0.0
        self.refuses: Callable[[Json], bool] = lambda pod: False
        self.informer = Informer(self.client, kinds.PODS)
        self._turn = 0
        self._seen: set[str] = set()
        self._ending: set[str] = set()
        self.informer.on(self._changed, lambda _, pod: self._changed(pod))

    @property
    def registry(self) -> Registry:
        return self.client.enter()

    def start(self) -> None:
        self.informer.start()

    async def stop(self) -> None:
        await self.informer.stop()

    def _changed(self, pod: Json) -> None:
        uid = uid_of(pod)
        if is_terminating(pod):
            if uid not in self._ending:
                self._ending.add(uid)
                self._later(self.grace, self._end, pod)
        elif uid not in self._seen:
            self._seen.add(uid)
            self._later(self.delay, self._run, pod)

    def _later(self, seconds: float, fn: Callable[[Json], None], pod: Json) -> None:
        if seconds > 0:
            self.clock.call_later(seconds, fn, pod)
        else:
            fn(pod)

    def _run(self, pod: Json) -> None:
        key = key_of(pod)
        if (current := self.registry.etcd.get(kinds.PODS, key)) is None or uid_of(current.obj) != uid_of(pod):
            return
        if not pod["spec"].get("nodeName") and not is_terminating(current.obj):
            node = target_of(pod)
            if not node:
                node = self.nodes[self._turn % len(self.nodes)]
                self._turn += 1
            self.registry.bind(*key, node)
        if not self.refuses(pod):
            self.ready(*key)

    def _end(self, pod: Json) -> None:
        current = self.registry.etcd.get(kinds.PODS, key_of(pod))
        if current is None or uid_of(current.obj) != uid_of(pod):
            return
        if not is_pod_finished(current.obj) and current.obj["metadata"].get("finalizers"):
            self.finish(*key_of(pod), "Failed")
        self.registry.delete(kinds.PODS, *key_of(pod), DeleteOptions(grace_period_seconds=0, uid=uid_of(pod)))

    def ready(self, namespace: str, name: str, ready: bool = True) -> None:
        """Make it ready, or not."""
        at = times.rfc3339(self.clock.time())
        told = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": at}

        def change(pod: Json) -> Json | None:
            if is_pod_finished(pod):
                return None
            copy = edited(pod)
            conditions = with_condition(status_of(pod).get("conditions"), told)
            copy["status"] = {**status_of(pod), "phase": "Running", "conditions": conditions}
            return copy

        self.registry.modify(kinds.PODS, namespace, name, change, subresource="status")

    def finish(self, namespace: str, name: str, phase: str = "Succeeded") -> None:
        """Let its containers end."""
        at = times.rfc3339(self.clock.time())
        told = {"type": "Ready", "status": "False", "lastTransitionTime": at, "reason": "PodCompleted"}

        def change(pod: Json) -> Json:
            copy = edited(pod)
            conditions = with_condition(status_of(pod).get("conditions"), told)
            copy["status"] = {**status_of(pod), "phase": phase, "conditions": conditions}
            return copy

        self.registry.modify(kinds.PODS, namespace, name, change, subresource="status")


class Kube:
    """The whole of it. ``async with Kube(ReplicaSetController) as kube:``."""

    def __init__(self, *controllers: type[Controller], nodes: Sequence[str] = ("worker-1", "worker-2"), seed: int = 1):
        self.clock = ManualClock()
        self.etcd = Etcd()
        self.registry = Registry(self.etcd, self.clock, rng=random.Random(seed))
        self.door = OpenDoor(self.registry, self.clock)
        self.manager = ControllerManager(self.door, "control-plane", controllers)
        self.kubelet = FakeKubelet(self.door, nodes=nodes)
        self.client = Client(self.door, machine="control-plane", user="kubernetes-admin", manager="kubectl")
        self.registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
        self.registry.create(kinds.SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
        for node in nodes:
            self.add_node(node)

    async def __aenter__(self) -> Self:
        self.kubelet.start()
        self.manager.start()
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.manager.stop()
        await self.kubelet.stop()

    async def settle(self) -> None:
        await self.clock.settle()

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def add_node(self, name: str, **spec: Any) -> Json:
        """A node that is ready: without the taint that a new one gets."""
        labels = {"kubernetes.io/hostname": name, **(spec.pop("labels", {}))}
        self.registry.create(kinds.NODES, "", {"metadata": {"name": name, "labels": labels}, "spec": spec})
        ready = {"taints": spec.get("taints", [])}
        return self.registry.modify(kinds.NODES, "", name, lambda node: {**node, "spec": {**node["spec"], **ready}})

    # objects --------------------------------------------------------------------------------------------------

    async def create(self, kind: Kind, obj: Json, namespace: str = "default") -> Json:
        """Create it, and let everybody act on it."""
        namespace = namespace if kind.namespaced else ""
        made = self.registry.create(kind, namespace, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
        await self.settle()
        return self.registry.get(kind, namespace, name_of(made))

    async def edit(self, kind: Kind, name: str, change: Callable[[Json], None], namespace: str = "default") -> Json:
        """Change its metadata and spec in place (of a copy that shares only what lies deeper)."""

        def changed(obj: Json) -> Json:
            copy = edited(obj)
            change(copy)
            return copy

        self.registry.modify(kind, namespace, name, changed)
        await self.settle()
        return self.get(kind, name, namespace)

    async def delete(self, kind: Kind, name: str, namespace: str = "default", **options: Any) -> None:
        self.registry.delete(kind, namespace, name, DeleteOptions(**options))
        await self.settle()

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Json:
        return self.registry.get(kind, namespace, name)

    def all(self, kind: Kind, namespace: str = "default") -> list[Json]:
        return [record.obj for record in self.registry.list(kind, namespace).records]

    def pods(self, owner: Json | None = None) -> list[Json]:
        """The pods, those of ``owner`` only if there is one."""
        return [pod for pod in self.all(kinds.PODS) if owner is None or is_controlled(pod, owner)]

    def events(self, reason: str = "") -> list[str]:
        """The messages of events, in the order of their names' times."""
        found = [one for one in self.all(kinds.EVENTS) if not reason or one["reason"] == reason]
        found.sort(key=lambda one: int(name_of(one).rpartition(".")[2], 16))
        return [one["message"] for one in found]


def is_controlled(obj: Json, owner: Json) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == uid_of(owner)


def template(app: str = "web", image: str = "nginx:1.27", **spec: Any) -> Json:
    """A pod template with one container."""
    containers = [{"name": app, "image": image}]
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": containers, **spec}}


def workload(name: str = "web", replicas: int | None = 3, image: str = "nginx:1.27", **spec: Any) -> Json:
    """A ReplicaSet or Deployment, less its kind."""
    made: Json = {"selector": {"matchLabels": {"app": name}}, "template": template(name, image), **spec}
    if replicas is not None:
        made["replicas"] = replicas
    return {"metadata": {"name": name}, "spec": made}


__all__ = ["FakeKubelet", "Kube", "is_controlled", "template", "workload"]

"""A scheduler on a real registry, with a clock that is turned by hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, OpenDoor
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.objects import Json, edited
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry
from labkit.embedded.kubernetes.scheduler import Scheduler
from labkit.embedded.runtime.clock import ManualClock

from .making import a_node


class Stage:
    """A cluster without kubelets and controllers: what they would do, the test does."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry = Registry(Etcd(), self.clock)
        self.door = OpenDoor(self.registry, self.clock)
        client = Client(self.door, machine="control-plane", user="system:kube-scheduler", manager="kube-scheduler")
        self.scheduler = Scheduler(client, self.clock, rng=random.Random(1))
        self.registry.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
        self.registry.create(kinds.SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})

    def add_nodes(self, *names: str, **facts: Any) -> None:
        for name in names:
            node = a_node(name, **facts)
            self.registry.create(kinds.NODES, "", node)
            # As a controller does once the node is ready; admission lets none in without this taint.
            self.change(kinds.NODES, name, lambda obj, spec=node["spec"]: {**obj, "spec": spec})

    def change(self, kind: kinds.Kind, name: str, change: Any, subresource: str = "") -> Json:
        namespace = "default" if kind.namespaced else ""
        return self.registry.modify(kind, namespace, name, change, subresource=subresource)

    def add_pod(self, pod: Json) -> None:
        metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
        spec = {key: value for key, value in pod["spec"].items() if key != "priority"}
        self.registry.create(kinds.PODS, "default", {"metadata": metadata, "spec": spec})

    def add_priority(self, name: str, value: int, **more: Any) -> None:
        self.registry.create(kinds.PRIORITY_CLASSES, "", {"metadata": {"name": name}, "value": value, **more})

    def pod(self, name: str) -> Json:
        return self.registry.get(kinds.PODS, "default", name)

    def node_of(self, name: str) -> str:
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def condition(self, name: str, type: str = "PodScheduled") -> Json:
        found = [one for one in self.pod(name)["status"].get("conditions", ()) if one["type"] == type]
        return found[0] if found else {}

    def started(self, name: str) -> None:
        """The kubelet took it up."""
        running = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}

        def change(obj: Json) -> Json:
            return {**obj, "status": {**obj["status"], **running}}

        self.change(kinds.PODS, name, change, "status")

    def delete(self, name: str, *, now: bool = True) -> None:
        options = DeleteOptions(grace_period_seconds=0) if now else DeleteOptions()
        self.registry.delete(kinds.PODS, "default", name, options)

    def untaint(self, name: str) -> None:
        def change(obj: Json) -> Json:
            obj = edited(obj)
            obj["spec"].pop("taints", None)
            return obj

        self.change(kinds.NODES, name, change)

    def events(self, name: str, reason: str = "") -> list[str]:
        records = self.registry.list(kinds.EVENTS, "default").records
        return [
            one.obj["message"]
            for one in records
            if one.obj["involvedObject"]["name"] == name and reason in ("", one.obj["reason"])
        ]

    def refuse_calls(self) -> None:
        self.door.shut.add("*")

    def answer_calls(self) -> None:
        self.door.shut.clear()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    made.scheduler.start()
    await made.clock.settle()
    yield made
    await made.scheduler.stop()

"""A registry and a controller-manager with some controllers, on a clock that is turned by hand.

There is no kubelet and no scheduler: tests play them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import OpenDoor
from labkit.embedded.kubernetes.controllers.controller import Config, Controller
from labkit.embedded.kubernetes.controllers.manager import ControllerManager
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, edited, name_of
from labkit.embedded.kubernetes.registry import DeleteOptions, Registry
from labkit.embedded.kubernetes.times import micro, rfc3339
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import ManualClock


class Stage:
    """Plays everybody but the controllers."""

    def __init__(self, *classes: type[Controller], config: Config | None = None) -> None:
        self.clock = ManualClock()
        self.registry = Registry(Etcd(), self.clock, services=AddressPool("10.96.0.0/20"), rng=random.Random(1))
        self.door = OpenDoor(self.registry, self.clock)
        self.manager = ControllerManager(self.door, "control-plane", list(classes), config or Config())
        self._ips = 0
        self.namespace("default")

    async def __aenter__(self) -> Stage:
        self.manager.start()
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.manager.stop()

    async def settle(self, seconds: float = 0.0) -> None:
        """Let everybody finish; first turn the clock so far."""
        await self.clock.advance(seconds)

    # -- objects

    def namespace(self, name: str) -> Json:
        space = self.create(kinds.NAMESPACES, {"metadata": {"name": name}})
        self.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
        return space

    def create(self, kind: Kind, obj: Json) -> Json:
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        namespace = ""
        if kind.namespaced:
            namespace = obj["metadata"].setdefault("namespace", "default")
        return self.registry.create(kind, namespace, obj)

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Json | None:
        try:
            return self.registry.get(kind, namespace if kind.namespaced else "", name)
        except NotFound:
            return None

    def all(self, kind: Kind, namespace: str = "") -> list[Json]:
        return [record.obj for record in self.registry.list(kind, namespace).records]

    def names(self, kind: Kind, namespace: str = "") -> set[str]:
        return {name_of(obj) for obj in self.all(kind, namespace)}

    def delete(self, kind: Kind, name: str, namespace: str = "default", **options: Any) -> None:
        self.registry.delete(kind, namespace if kind.namespaced else "", name, DeleteOptions(**options))

    def change(self, kind: Kind, name: str, namespace: str = "default", **metadata: Any) -> Json:
        def changed(obj: Json) -> Json:
            obj = edited(obj)
            obj["metadata"] |= metadata
            return obj

        return self.registry.modify(kind, namespace if kind.namespaced else "", name, changed)

    def status(self, kind: Kind, name: str, namespace: str = "default", **status: Any) -> Json:
        def changed(obj: Json) -> Json:
            obj = edited(obj)
            obj["status"] = {**obj.get("status", {}), **status}
            return obj

        return self.registry.modify(kind, namespace if kind.namespaced else "", name, changed, subresource="status")

    def events(self, reason: str = "") -> list[tuple[str, str, str]]:
        """(type, reason, message)"""
        found = [(e["type"], e["reason"], e["message"]) for e in self.all(kinds.EVENTS)]
        return [event for event in found if not reason or event[1] == reason]

    # -- nodes and pods

    def node(self, name: str, **metadata: Any) -> Json:
        node = self.create(kinds.NODES, {"metadata": {"name": name, **metadata}})
        self.beat(name)
        return node

    def beat(self, name: str, ready: str = "True", **more: str) -> None:
        """What a kubelet posts of its node."""
        now = rfc3339(self.clock.time())
        types = {"Ready": ready, "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", **more}
        conditions = [
            {
                "type": type,
                "status": status,
                "reason": "KubeletSays",
                "message": "…",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for type, status in types.items()
        ]
        self.status(kinds.NODES, name, conditions=conditions)

    def renew(self, name: str) -> None:
        """A node's lease, made or renewed."""
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro(self.clock.time())}
        if self.get(kinds.LEASES, name, "kube-node-lease") is None:
            if self.get(kinds.NAMESPACES, "kube-node-lease") is None:
                self.namespace("kube-node-lease")
            self.create(kinds.LEASES, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec})
            return
        self.registry.modify(kinds.LEASES, "kube-node-lease", name, lambda lease: {**lease, "spec": spec})

    def pod(
        self,
        name: str,
        labels: dict[str, str] | None = None,
        *,
        node: str = "",
        ready: bool | None = None,
        owner: Json | None = None,
        namespace: str = "default",
        ports: Sequence[Json] = (),
        **spec: Any,
    ) -> Json:
        """A pod; with ``ready`` one that runs."""
        metadata: Json = {"name": name, "namespace": namespace, "labels": labels or {}}
        if owner is not None:
            metadata["ownerReferences"] = [reference(owner)]
        container: Json = {"name": "main", "image": "nginx", "ports": list(ports)}
        if node:
            spec["nodeName"] = node
        pod = self.create(kinds.PODS, {"metadata": metadata, "spec": {"containers": [container], **spec}})
        return pod if ready is None else self.runs(name, ready, namespace=namespace)

    def runs(self, name: str, ready: bool, namespace: str = "default") -> Json:
        """The kubelet says that the pod runs."""
        pod = self.registry.get(kinds.PODS, namespace, name)
        ip = pod.get("status", {}).get("podIP")
        if not ip:
            self._ips += 1
            ip = f"10.1.{self._ips // 250}.{self._ips % 250 + 1}"
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": rfc3339(self.clock.time()),
        }
        return self.status(
            kinds.PODS, name, namespace, phase="Running", podIP=ip, podIPs=[{"ip": ip}], conditions=[condition]
        )


def reference(owner: Json, **more: Any) -> Json:
    """An owner reference that blocks."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
        **more,
    }

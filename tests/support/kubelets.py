"""A small cluster without controllers: a store, a registry, kubelets, and a clock that is turned by hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, OpenDoor
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.kubelet import Kubelet, Parts
from labkit.embedded.kubernetes.network.addresses import PodAddresses, service_range
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage


@dataclass
class Cluster:
    clock: ManualClock
    fleet: Fleet
    network: Network
    registry: Registry
    door: OpenDoor
    parts: Parts
    kubelets: dict[str, Kubelet] = field(default_factory=dict)

    def client(self, machine: str, user: str = "", manager: str = "kubelet") -> Client:
        return Client(self.door, machine=machine, user=user or f"system:node:{machine}", manager=manager)

    async def kubelet(self, machine: str = "worker-1", **given: Any) -> Kubelet:
        """A kubelet that is up and registered."""
        made = Kubelet(self.fleet.machine(machine), self.client(machine), self.parts, **given)
        self.kubelets[machine] = made
        await made.start()
        await self.clock.settle()
        return made

    def create(self, pod: Json) -> Json:
        return self.registry.create(kinds.PODS, pod["metadata"].get("namespace", "default"), pod)

    async def run(self, pod: Json, seconds: float = 1.0) -> Json:
        """Create a pod that is bound already, let time go by, and see what has become of it."""
        made = self.create(pod)
        await self.clock.advance(seconds)
        return self.pod(made["metadata"]["name"], made["metadata"]["namespace"])

    def pod(self, name: str, namespace: str = "default") -> Json:
        return self.registry.get(kinds.PODS, namespace, name)

    def status(self, name: str) -> Json:
        return self.pod(name)["status"]

    def container(self, name: str, index: int = 0) -> Json:
        return self.status(name)["containerStatuses"][index]

    def gone(self, name: str) -> bool:
        return not any(r.obj["metadata"]["name"] == name for r in self.registry.list(kinds.PODS, "default").records)

    def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of the events about an object, the oldest first."""
        found = [record.obj for record in self.registry.list(kinds.EVENTS, "").records]
        about = [event for event in found if event["involvedObject"]["name"] == name]
        about.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(event["reason"], event["message"]) for event in about]


async def log_of(cluster: Cluster, name: str, container: str = "") -> str:
    """What a container has written."""
    lines = [line async for line in cluster.kubelets["worker-1"].api.logs("default", name, container)]
    return b"".join(lines).decode()


def pod_of(name: str = "web", *containers: Json, node: str = "worker-1", **spec: Any) -> Json:
    """A pod that is bound. Without containers it has one of nginx."""
    given = list(containers) or [{"name": "web", "image": "nginx:1.27"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": given, "nodeName": node, **spec},
    }


def shell(script: str, name: str = "main", **more: Any) -> Json:
    """A container that runs a script."""
    return {"name": name, "image": "busybox:1.36", "command": ["sh", "-c", script], **more}


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    clock = ManualClock()
    fleet = Fleet(clock)
    network = await Network.open(fleet, clock)
    names = ["control-plane", "worker-1", "worker-2"]
    for index, name in enumerate(names):
        fleet.add(Machine(name=name, address=network.machine_address(index)))
    registry = Registry(Etcd(), clock, services=AddressPool(service_range(network.block)), rng=random.Random(1))
    for namespace in ("default", "kube-system", "kube-node-lease"):
        registry.create(
            kinds.NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        registry.create(kinds.SERVICE_ACCOUNTS, namespace, account)
    parts = Parts(
        clock=clock,
        fleet=fleet,
        network=network,
        catalogue=Catalogue(),
        addresses=PodAddresses(network, names),
        storage=Storage(),
        rng=random.Random(2),
        ca=b"-----BEGIN CERTIFICATE-----\n",
        token=lambda pod, audience, seconds: f"token of {pod['metadata']['name']}",
        dns_address=f"{network.block}.128.10",
    )
    made = Cluster(clock, fleet, network, registry, OpenDoor(registry, clock), parts)
    yield made
    for kubelet in made.kubelets.values():
        await kubelet.close()
    await network.close()

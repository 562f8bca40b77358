"""A node as the scheduler sees it: what it is, what is on it, and totals that are kept as pods come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.kubernetes.scheduler import resources
from labkit.embedded.kubernetes.scheduler.pods import HostPort, PodInfo, Shape
from labkit.embedded.kubernetes.scheduler.resources import Resources

ANY_ADDRESS = "0.0.0.0"


class Taint(NamedTuple):
    key: str
    value: str
    effect: str


class NodeFacts(NamedTuple):
    """What a node's object says that matters here; two that are equal make no difference to any decision."""

    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    allocatable: Resources
    images: Mapping[str, int]  # name → bytes

    @classmethod
    def of(cls, node: Json) -> NodeFacts:
        spec, status = node.get("spec") or {}, node.get("status") or {}
        return cls(
            labels=node["metadata"].get("labels") or {},
            taints=tuple(
                Taint(taint["key"], taint.get("value") or "", taint["effect"]) for taint in spec.get("taints") or ()
            ),
            unschedulable=bool(spec.get("unschedulable")),
            allocatable=resources.amounts(status.get("allocatable")),
            images={
                name: image.get("sizeBytes") or 0
                for image in status.get("images") or ()
                for name in image.get("names") or ()
            },
        )


NO_FACTS = NodeFacts({}, (), False, {}, {})


class NodeInfo:
    """A node and its pods. Change it through :class:`~.cluster.Cluster`, which notes that it did."""

    __slots__ = (
        "alive",
        "allocatable",
        "counted_cpu",
        "counted_memory",
        "facts",
        "labels",
        "max_pods",
        "name",
        "pods",
        "ports",
        "sociable",
        "taints",
        "used",
    )

    def __init__(self, name: str, facts: NodeFacts = NO_FACTS, pods: Iterable[PodInfo] = ()) -> None:
        self.name = name
        self.describe(facts)
        self.pods: dict[Key, PodInfo] = {}
        self.used: Resources = {}
        self.counted_cpu = 0
        self.counted_memory = 0
        self.ports: dict[HostPort, int] = {}
        self.alive: dict[Shape, int] = {}  # how many of its pods have that shape and are not on their way out
        self.sociable: dict[Key, PodInfo] = {}  # those with terms of pod (anti-)affinity
        for pod in pods:
            self.add(pod)

    def describe(self, facts: NodeFacts) -> None:
        self.facts = facts
        self.labels = facts.labels
        self.taints = facts.taints
        self.allocatable = facts.allocatable
        self.max_pods = facts.allocatable.get(resources.PODS, 0)

    def add(self, pod: PodInfo) -> None:
        shape = pod.shape
        self.pods[pod.key] = pod
        used = self.used
        for name, value in shape.requests.items():
            used[name] = used.get(name, 0) + value
        self.counted_cpu += shape.counted_cpu
        self.counted_memory += shape.counted_memory
        if shape.ports:
            for port in shape.ports:
                self.ports[port] = self.ports.get(port, 0) + 1
        if not pod.terminating:
            self.alive[shape] = self.alive.get(shape, 0) + 1
        if shape.sociable:
            self.sociable[pod.key] = pod

    def remove(self, pod: PodInfo) -> None:
        """Take away a pod that was added, as it was then."""
        shape = pod.shape
        del self.pods[pod.key]
        for name, value in shape.requests.items():
            self.used[name] -= value
        self.counted_cpu -= shape.counted_cpu
        self.counted_memory -= shape.counted_memory
        for port in shape.ports:
            self.ports[port] -= 1
            if not self.ports[port]:
                del self.ports[port]
        if not pod.terminating:
            self.alive[shape] -= 1
            if not self.alive[shape]:
                del self.alive[shape]
        if shape.sociable:
            del self.sociable[pod.key]

    def copy(self) -> NodeInfo:
        """One to try things on."""
        return NodeInfo(self.name, self.facts, self.pods.values())

    def __repr__(self) -> str:
        return f"<NodeInfo {self.name}: {len(self.pods)} pods>"


def conflicts(wanted: HostPort, taken: Iterable[HostPort]) -> bool:
    """The same port of the same protocol, on the same address or where either wants all of them."""
    return any(
        wanted.port == other.port
        and wanted.protocol == other.protocol
        and (wanted.address == other.address or ANY_ADDRESS in (wanted.address, other.address))
        for other in taken
    )

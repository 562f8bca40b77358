"""What every cluster looks like, whichever orchestrator runs it: plain, frozen data and the difference of two moments.

Nothing here talks to anything. Adapters (:mod:`labkit.orchestrators`) build snapshots, the watcher
(:mod:`labkit.live`) keeps them, graphs and widgets draw them. The common words are those of the field:
a *cluster* has *nodes*; a *workload* (Swarm service, Deployment, Marathon app) wants a number of *tasks*
(Swarm tasks, pods, Marathon tasks); an *endpoint* is where clients reach a workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any


class State(IntEnum):
    """What a task is doing, in the common words; ``Task.detail`` keeps the orchestrator's own.

    The numbers are the codes that the graph sends to the browser, so they never change meaning.
    """

    PENDING = 0  # wanted, not placed yet
    STARTING = 1  # placed, being prepared or started
    RUNNING = 2
    STOPPING = 3  # asked to stop, still there
    COMPLETE = 4  # ended by itself with success
    STOPPED = 5  # ended because it was asked to
    FAILED = 6  # ended with an error, or refused
    LOST = 7  # its node no longer answers
    UNREADY = 8  # there, but not fit for use: its probe fails, it crashes again and again, its image cannot be had

    @property
    def alive(self) -> bool:
        """Whether the task still occupies its place."""
        return self in _ALIVE


_ALIVE = frozenset({State.PENDING, State.STARTING, State.RUNNING, State.STOPPING, State.UNREADY})


class NodeState(IntEnum):
    """Whether a node answers its managers."""

    READY = 0
    UNKNOWN = 1
    DOWN = 2


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in cores, memory in bytes. Zero means none asked for (or not known, for a capacity)."""

    cpus: float = 0.0
    memory: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpus + other.cpus, self.memory + other.memory)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, as its managers see it."""

    id: str
    name: str
    role: str  # "manager" | "worker" (Kubernetes: "control-plane", Mesos: "master" / "agent")
    state: NodeState
    availability: str = "active"  # "active" | "pause" | "drain"
    leader: bool = False
    reachable: bool | None = None  # managers only: whether the other managers reach it
    address: str = ""
    capacity: Resources = Resources()
    labels: Mapping[str, str] = field(default_factory=dict)
    version: str = ""  # of the engine on it
    message: str = ""
    store: str = ""  # its member of the cluster's store (ZooKeeper), "" for none: "leader" | "follower" | "down"…


@dataclass(frozen=True, slots=True)
class Workload:
    """What somebody asked to be kept running."""

    id: str
    name: str
    kind: str  # "service", "Deployment", "app"…: the orchestrator's word
    mode: str = "replicated"  # "replicated" | "global" | "replicated-job" | "global-job"
    desired: int = 0  # tasks wanted
    running: int = 0  # tasks that run and are meant to
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    update: str = ""  # progress of an update or rollback in the orchestrator's words, "" when none is under way
    owner: str = ""  # Workload.id of the one that made it (a ReplicaSet's Deployment)
    revision: int = 0  # which version of its owner it is
    namespace: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)  # labels of the tasks that it counts as its own
    needs: tuple[str, ...] = ()  # Workload.id of those that must run before it (Marathon's dependencies)


@dataclass(frozen=True, slots=True)
class Task:
    """One instance of a workload: a Swarm task, a pod, a Marathon task."""

    id: str
    name: str  # "web.3"
    workload: str  # Workload.id
    state: State
    node: str = ""  # Node.id, "" while it has no place
    slot: int = 0  # which replica it is; 0 where the orchestrator has no slots
    wanted: bool = True  # desired state: whether it is meant to run
    detail: str = ""  # the orchestrator's own state word
    message: str = ""  # its own explanation: errors, "why pending"
    image: str = ""
    container: str = ""  # container id, once there is one
    exit_code: int | None = None
    address: str = ""
    reserved: Resources = Resources()
    created: float = 0.0  # seconds since the epoch
    updated: float = 0.0
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""  # how many of its containers are ready: "1/2"
    restarts: int = 0

    @property
    def in_place(self) -> bool:
        """Whether it keeps its place: it lives, or nobody can reach it and it may come back."""
        return self.state.alive or (self.state is State.LOST and self.wanted)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A way in: a published port, a virtual IP, a Service."""

    id: str
    workload: str  # Workload.id, "" where what is behind it is nobody's or several's
    # "ingress" | "host" | "vip"; Kubernetes: "cluster-ip" | "node-port" | "headless" | "external-name";
    # Marathon: "haproxy" | "dns"
    kind: str
    port: int = 0
    target_port: int = 0
    protocol: str = "tcp"
    address: str = ""  # for "vip"; an ingress port answers on every node's address
    name: str = ""
    namespace: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)  # labels of the tasks behind it
    tasks: tuple[str, ...] = ()  # Task.id of those that traffic goes to now: ready ones
    unready: tuple[str, ...] = ()  # selected, but getting none


@dataclass(frozen=True, slots=True)
class Offer:
    """What a Mesos master holds out to a framework on one agent, until it is taken, declined or rescinded."""

    id: str
    framework: str  # Framework.id
    node: str  # Node.id
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True)
class Framework:
    """A scheduler that is registered with a Mesos master. Its workload, if it has one of its own, has the same id."""

    id: str
    name: str
    role: str = "*"
    active: bool = True  # gets offers
    connected: bool = True
    address: str = ""  # where its web page is
    used: Resources = Resources()
    offered: Resources = Resources()
    share: float = 0.0  # the dominant share, 0..1: of all that there is of the resource it has most of
    held: float = 0.0  # the same with what is offered to it: what Dominant Resource Fairness compares (over the weight)
    resource: str = ""  # which one that is: "cpus" | "mem" | "disk" | "gpus"
    weight: float = 1.0  # its role's
    offers: tuple[str, ...] = ()  # Offer.id of those outstanding
    tasks: int = 0  # that live
    workloads: tuple[str, ...] = ()  # Workload.id of what it runs


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for the event log."""

    at: float  # seconds since the epoch
    kind: str  # "node" | "workload" | "task" | "endpoint" | "cluster"
    subject: str  # name
    text: str
    level: str = "info"  # "info" | "warning" | "error"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole cluster at one moment. Mappings are by id and never changed after the snapshot is made.

    ``error`` is set when the managers could not be read (no quorum, connection refused); everything else
    is then what was last seen, so that a picture never empties because one machine died.
    """

    at: float
    orchestrator: str
    nodes: Mapping[str, Node] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    error: str = ""
    frameworks: Mapping[str, Framework] = field(default_factory=dict)  # of Mesos alone
    offers: Mapping[str, Offer] = field(default_factory=dict)

    def tasks_of(self, workload_id: str) -> list[Task]:
        """The tasks of a workload, by slot, newest first within a slot."""
        mine = [t for t in self.tasks.values() if t.workload == workload_id]
        return sorted(mine, key=lambda t: (t.slot, -t.created))

    def tasks_on(self, node_id: str) -> list[Task]:
        """The tasks that were placed on a node, alive or not."""
        return [t for t in self.tasks.values() if t.node == node_id]

    def reserved_on(self, node_id: str) -> Resources:
        """What the living tasks of a node have reserved of its capacity."""
        total = Resources()
        for task in self.tasks.values():
            if task.node == node_id and task.state.alive:
                total = total + task.reserved
        return total

    def offered_on(self, node_id: str) -> list[Offer]:
        """The outstanding offers of a node's resources."""
        return [offer for offer in self.offers.values() if offer.node == node_id]

    def node_named(self, name: str) -> Node | None:
        return next((n for n in self.nodes.values() if n.name == name or n.id == name), None)

    def workload_named(self, name: str) -> Workload | None:
        return next((w for w in self.workloads.values() if w.name == name or w.id == name), None)


@dataclass(frozen=True, slots=True)
class Changes:
    """Added, removed and changed ids of one kind of object."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Diff:
    """What happened between two snapshots. False when nothing did."""

    nodes: Changes = Changes()
    workloads: Changes = Changes()
    tasks: Changes = Changes()
    endpoints: Changes = Changes()
    error_changed: bool = False
    frameworks: Changes = Changes()
    offers: Changes = Changes()

    def __bool__(self) -> bool:
        return any(bool(getattr(self, f.name)) for f in fields(self))


def diff(old: Snapshot | None, new: Snapshot) -> Diff:
    """The difference ``old -> new``; everything is added when there is no ``old``.

    Objects that an adapter reused unchanged (the same Python object) cost one identity test each.
    """
    return Diff(
        nodes=_changes(old.nodes if old else {}, new.nodes),
        workloads=_changes(old.workloads if old else {}, new.workloads),
        tasks=_changes(old.tasks if old else {}, new.tasks),
        endpoints=_changes(old.endpoints if old else {}, new.endpoints),
        error_changed=(old.error if old else "") != new.error,
        frameworks=_changes(old.frameworks if old else {}, new.frameworks),
        offers=_changes(old.offers if old else {}, new.offers),
    )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    if old is new or not (old or new):
        return Changes()
    before, after = old.keys(), new.keys()
    changed = frozenset(key for key, value in new.items() if (was := old.get(key, value)) is not value and was != value)
    return Changes(frozenset(after - before), frozenset(before - after), changed)

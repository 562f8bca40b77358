"""The objects in a swarm's store: frozen dataclasses around Docker's own JSON specs.

A spec is kept in the JSON form in which the Engine API takes and gives it (``ServiceSpec``, ``NodeSpec``…),
checked and completed when it enters (:mod:`labkit.embedded.swarm.specs`), and never changed in place:
a new object with a new spec replaces the old one. ``version`` is the Raft index of the last write, which is
what the API calls ``Version.Index``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

Json = dict[str, Any]


class TaskState(IntEnum):
    """SwarmKit's task states (``api/types.proto``). A task only ever moves to a greater one."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832

    @property
    def word(self) -> str:
        """The API's spelling: ``running``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """What the node last reported, or what the managers decided before a node had it."""

    state: TaskState = TaskState.NEW
    timestamp: float = 0.0  # seconds since the epoch, sandbox clock
    message: str = ""
    err: str = ""
    container_id: str = ""
    pid: int = 0
    exit_code: int | None = None
    host_ports: tuple[Json, ...] = ()  # PortStatus.Ports of ports published in host mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """What all of them have. ``version`` 0 means not stored yet."""

    id: str
    version: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Object):
    spec: Json = field(default_factory=dict)  # Name?, Labels, Role, Availability
    description: Json = field(default_factory=dict)  # Hostname, Platform, Resources, Engine, TLSInfo
    role: str = "worker"  # the role it has now; spec.Role is the wanted one
    state: str = "unknown"  # unknown | down | ready | disconnected
    message: str = ""
    addr: str = ""
    raft_id: int | None = None  # set while it is a member of the Raft group
    manager_addr: str = ""  # host:2377

    @property
    def hostname(self) -> str:
        return str(self.description.get("Hostname", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Object):
    spec: Json = field(default_factory=dict)  # ServiceSpec
    previous_spec: Json | None = None
    spec_version: int = 0  # version at which the spec last changed
    previous_spec_version: int = 0
    endpoint: Json = field(default_factory=dict)  # Spec, Ports, VirtualIPs
    update_status: Json | None = None  # State, StartedAt, CompletedAt, Message

    @property
    def name(self) -> str:
        return str(self.spec["Name"])

    @property
    def replicas(self) -> int | None:
        """Tasks wanted in ``replicated`` mode, else None."""
        mode = self.spec.get("Mode") or {}
        return int(mode["Replicated"].get("Replicas", 1)) if "Replicated" in mode else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Object):
    service_id: str = ""
    service_name: str = ""  # ServiceAnnotations
    service_labels: Json = field(default_factory=dict)
    slot: int = 0  # 1-based in replicated mode, 0 in global mode
    node_id: str = ""
    spec: Json = field(default_factory=dict)  # TaskTemplate (TaskSpec)
    spec_version: int = 0
    status: TaskStatus = TaskStatus()
    desired_state: TaskState = TaskState.NEW
    networks: tuple[Json, ...] = ()  # NetworkAttachment: Network (id), Addresses, Aliases
    endpoint: Json = field(default_factory=dict)  # the service's endpoint when the task was made: Ports, VirtualIPs

    @property
    def name(self) -> str:
        """``web.3`` in replicated mode, ``web.<node id>`` in global mode; the container adds ``.<task id>``."""
        return f"{self.service_name}.{self.slot or self.node_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Object):
    """The swarm itself. There is one; its id is what ``docker info`` calls ClusterID."""

    spec: Json = field(default_factory=dict)  # Name "default", Orchestration, Raft, Dispatcher, CAConfig, TaskDefaults…
    root_ca: str = ""  # PEM
    worker_token: str = ""
    manager_token: str = ""
    unlock_key: str = ""
    default_addr_pool: tuple[str, ...] = ()
    subnet_size: int = 24
    data_path_port: int = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Object):
    """A swarm-scoped network: ``ingress`` or an overlay."""

    spec: Json = field(default_factory=dict)  # Name, Driver, Labels, Internal, Attachable, Ingress, IPAM
    subnet: str = ""  # CIDR
    gateway: str = ""

    @property
    def name(self) -> str:
        return str(self.spec["Name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret(Object):
    spec: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Object):
    spec: Json = field(default_factory=dict)

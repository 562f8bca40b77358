"""What a leading master knows: agents, frameworks, tasks and offers."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.libprocess import Pid
from labkit.embedded.mesos.resources import EMPTY, Resources, total
from labkit.embedded.mesos.tasks import is_terminal
from labkit.embedded.runtime.clock import Timer

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.subscription import Subscription

Json = dict[str, Any]

MAX_COMPLETED_TASKS = 1000  # of a framework: --max_completed_tasks_per_framework
MAX_UNREACHABLE_TASKS = 1000

# What is kept of a TaskInfo when it becomes a Task (protobuf::createTask).
_KEPT = ("labels", "discovery", "container", "health_check", "check", "kill_policy", "max_completion_time", "limits")


class Task:
    """A task that this master has launched, or has learned of from its agent."""

    __slots__ = (
        "agent_id",
        "executor_id",
        "framework_id",
        "id",
        "info",
        "resources",
        "role",
        "state",
        "statuses",
        "update_state",
        "update_uuid",
        "user",
    )

    def __init__(self, info: Json, framework_id: str, role: str, resources: Resources, state: str) -> None:
        """``info`` is a TaskInfo, or the Task that an agent tells of: what is read of them is the same."""
        self.info = info
        self.id: str = info["task_id"]["value"]
        self.framework_id = framework_id
        self.agent_id: str = info["agent_id"]["value"]
        executor = info.get("executor") or info
        self.executor_id: str = (executor.get("executor_id") or {}).get("value", "")
        self.role = role
        self.resources = resources
        self.state = state
        self.user: str = info.get("user") or (info.get("command") or {}).get("user") or ""
        self.statuses: list[Json] = info.get("statuses") or []
        # The newest update that was forwarded, whether or not it has been acknowledged.
        self.update_state: str | None = info.get("status_update_state")
        self.update_uuid: str | None = info.get("status_update_uuid")

    @property
    def terminal(self) -> bool:
        """Is it in a state that is its last?"""
        return is_terminal(self.state)

    @property
    def known_state(self) -> str:
        """The state of which its framework was last told."""
        return self.update_state or self.state

    @property
    def healthy(self) -> bool | None:
        """What its health check said last; None when nothing checks it."""
        return self.statuses[-1].get("healthy") if self.statuses else None

    @property
    def container_status(self) -> Json | None:
        """Where it is found, as its last status says."""
        return self.statuses[-1].get("container_status") if self.statuses else None

    @property
    def check_status(self) -> Json | None:
        """What its check said last."""
        return self.statuses[-1].get("check_status") if self.statuses else None

    def json(self) -> Json:
        """As the v1 operator API has it."""
        info = self.info
        made: Json = {
            "name": info.get("name", ""),
            "task_id": {"value": self.id},
            "framework_id": {"value": self.framework_id},
            "agent_id": {"value": self.agent_id},
            "state": self.state,
            "resources": self.resources.json(self.role),
            "statuses": self.statuses,
        }
        if self.executor_id:
            made["executor_id"] = {"value": self.executor_id}
        if self.update_state is not None:
            made["status_update_state"] = self.update_state
            made["status_update_uuid"] = self.update_uuid
        if self.user:
            made["user"] = self.user
        for key in _KEPT:
            if key in info:
                made[key] = info[key]
        return made


@dataclass(slots=True, eq=False)
class Offer:
    """Resources that a framework may accept; they are held for it until it has answered."""

    id: str
    framework_id: str
    agent_id: str
    role: str
    resources: Resources
    json: Json  # as the framework has got it


@dataclass(slots=True, eq=False)
class Agent:
    """An agent that is registered with this master."""

    id: str
    info: Json
    pid: Pid
    version: str
    capabilities: tuple[str, ...]
    registered_time: float
    total: Resources
    reregistered_time: float | None = None
    connected: bool = True
    active: bool = True
    used: dict[str, Resources] = field(default_factory=dict)  # by framework
    tasks: dict[str, dict[str, Task]] = field(default_factory=dict)  # by framework, then by id
    executors: dict[str, dict[str, Json]] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    killed: set[tuple[str, str]] = field(default_factory=set)  # (framework, task): to be killed again on its return
    missed_pings: int = 0
    pinged: bool = False
    ping: Timer | None = None
    patience: Timer | None = None  # runs while it is disconnected

    @property
    def hostname(self) -> str:
        return str(self.info.get("hostname", ""))

    @property
    def used_resources(self) -> Resources:
        """What its tasks hold, of all frameworks."""
        return total(self.used.values())

    @property
    def offered_resources(self) -> Resources:
        """What is offered at the moment, and held for those who were asked."""
        return total(offer.resources for offer in self.offers.values())

    def task(self, framework_id: str, task_id: str) -> Task | None:
        """A task that runs on it, or whose end is not acknowledged yet."""
        found = self.tasks.get(framework_id)
        return None if found is None else found.get(task_id)

    def take(self, framework_id: str, resources: Resources) -> None:
        """A task of the framework uses these."""
        self.used[framework_id] = self.used.get(framework_id, EMPTY) + resources

    def give_back(self, framework_id: str, resources: Resources) -> None:
        """It does not any more."""
        left = self.used.get(framework_id, EMPTY) - resources
        if left:
            self.used[framework_id] = left
        else:
            self.used.pop(framework_id, None)

    def __str__(self) -> str:
        return f"{self.id} at {self.pid} ({self.hostname})"


@dataclass(slots=True, eq=False)
class Framework:
    """A framework: its tasks outlive its scheduler's connection by ``failover_timeout``."""

    info: Json
    registered_time: float
    state: str = "active"  # "recovered" (known from agents alone), "disconnected", "inactive", "active"
    reregistered_time: float = 0.0
    unregistered_time: float = 0.0
    line: Subscription | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    unreachable: OrderedDict[str, Task] = field(default_factory=OrderedDict)
    completed: deque[Task] = field(default_factory=lambda: deque(maxlen=MAX_COMPLETED_TASKS))
    offers: dict[str, Offer] = field(default_factory=dict)
    executors: dict[str, dict[str, Json]] = field(default_factory=dict)  # by agent, then by id
    capabilities: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ("*",)
    patience: Timer | None = None  # runs while it is disconnected
    heartbeat: Timer | None = None
    calls: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read(self.info)

    def read(self, info: Json) -> None:
        """Take over a FrameworkInfo."""
        self.info = info
        self.capabilities = capabilities_of(info)
        self.roles = roles_of(info)

    @property
    def id(self) -> str:
        return str(self.info["id"]["value"])

    @property
    def name(self) -> str:
        return str(self.info.get("name", ""))

    @property
    def connected(self) -> bool:
        """Is its scheduler there?"""
        return self.state in ("active", "inactive")

    @property
    def active(self) -> bool:
        """Does it get offers?"""
        return self.state == "active"

    @property
    def recovered(self) -> bool:
        """Is it known from agents alone, after another master's end?"""
        return self.state == "recovered"

    @property
    def partition_aware(self) -> bool:
        """Does it know TASK_UNREACHABLE and its kin, in the place of TASK_LOST?"""
        return "PARTITION_AWARE" in self.capabilities

    @property
    def checkpoint(self) -> bool:
        """Do its tasks outlive their agent's process?"""
        return bool(self.info.get("checkpoint"))

    def used_resources(self) -> Resources:
        """What its tasks hold that have not ended."""
        return total(task.resources for task in self.tasks.values() if not task.terminal)

    def offered_resources(self) -> Resources:
        """What it has been offered, and has not answered yet."""
        return total(offer.resources for offer in self.offers.values())

    def send(self, event: Json) -> None:
        """Tell its scheduler, if it is connected."""
        if self.line is not None:
            self.line.send(event)

    def __str__(self) -> str:
        return f"{self.id} ({self.name})"


def capabilities_of(info: Json) -> frozenset[str]:
    """What a framework has said that it understands."""
    return frozenset(one.get("type", "") for one in info.get("capabilities") or ())


def roles_of(info: Json) -> tuple[str, ...]:
    """The roles of a framework: one, unless it is MULTI_ROLE."""
    if "MULTI_ROLE" in capabilities_of(info):
        return tuple(info.get("roles") or ())
    return (info.get("role") or "*",)

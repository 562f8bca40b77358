"""What an agent knows of frameworks and tasks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.tasks import is_terminal
from labkit.embedded.runtime.clock import Timer

if TYPE_CHECKING:
    from labkit.embedded.mesos.agent.executor import Executor

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Run:
    """A task on this agent, and the stream of its status updates.

    Every task here is the only one of its command or Docker executor, whose id is the task's.
    """

    framework_id: str
    task: Json  # TaskInfo
    container_id: str
    directory: str
    kind: str = "process"  # "image": a container of the runtime
    state: str = "TASK_STAGING"
    statuses: list[Json] = field(default_factory=list)  # the newest of each state
    waiting: deque[Json] | None = None  # updates that are not acknowledged; the first has been sent
    retry: Timer | None = None
    interval: float = 0.0
    acknowledged: Json | None = None  # what the master was told last and knows: state and uuid
    executor: Executor | None = None
    group: int = 0  # process group of a real process
    started: str = ""  # when that began, as the kernel counts: a group's number may be used again
    checkpoint: bool = False
    launched: float = 0.0

    @property
    def task_id(self) -> str:
        return str(self.task["task_id"]["value"])

    @property
    def ended(self) -> bool:
        """Is it in a state that is its last?"""
        return is_terminal(self.state)

    @property
    def has_sandbox(self) -> bool:
        """Has it a folder of its own? Of images only those have that had something fetched."""
        return bool(self.directory) and (self.kind == "process" or bool((self.task.get("command") or {}).get("uris")))

    # rows ------------------------------------------------------------------------------------------------------

    def row(self) -> Json:
        """What never changes."""
        return {
            "framework_id": self.framework_id,
            "task": self.task,
            "container_id": self.container_id,
            "directory": self.directory,
            "kind": self.kind,
            "launched": self.launched,
        }

    def stream_row(self) -> Json:
        """What does."""
        return {
            "state": self.state,
            "statuses": self.statuses,
            "waiting": list(self.waiting or ()),
            "acknowledged": self.acknowledged,
            "group": self.group,
            "started": self.started,
        }

    @classmethod
    def of(cls, row: Json, stream: Json | None) -> Run:
        """As it was written."""
        run = cls(row["framework_id"], row["task"], row["container_id"], row["directory"], row["kind"])
        run.checkpoint, run.launched = True, row["launched"]
        if stream is not None:
            run.state, run.statuses = stream["state"], stream["statuses"]
            run.waiting = deque(stream["waiting"]) if stream["waiting"] else None
            run.acknowledged, run.group, run.started = stream["acknowledged"], stream["group"], stream["started"]
        return run


@dataclass(slots=True, eq=False)
class Framework:
    """A framework that has, or had, tasks on this agent."""

    info: Json
    pid: str = ""
    terminating: bool = False  # the master has ended it: nobody hears of its tasks any more
    runs: dict[str, Run] = field(default_factory=dict)  # by task
    completed: deque[Run] = field(default_factory=deque)

    @property
    def id(self) -> str:
        return str(self.info["id"]["value"])

    @property
    def checkpoint(self) -> bool:
        """Does it want its tasks to outlive the agent's process?"""
        return bool(self.info.get("checkpoint"))

    def can(self, capability: str) -> bool:
        """Has it said that it knows what to do with that?"""
        return any(one.get("type") == capability for one in self.info.get("capabilities") or ())

    def row(self) -> Json:
        return {"info": self.info, "pid": self.pid}

"""What a node is told: its tasks, what they need, and what it should know of itself (``dispatcher/assignments.go``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.embedded.swarm.objects import Config, Json, Network, Node, Object, Secret, Task, TaskState
from labkit.embedded.swarm.store import Reads


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a session. Objects are frozen, so agents in this process may keep them."""

    session_id: str
    node: Node | None = None  # set when it has changed
    managers: tuple[Json, ...] = ()  # {"NodeID", "Addr"}: where else a leader may be found
    complete: bool = False  # ``tasks`` are all that the node shall have; else these have changed
    tasks: tuple[Task, ...] = ()
    removed: tuple[str, ...] = ()  # ids of tasks that it shall have no longer
    dependencies: tuple[Object, ...] = ()  # networks, secrets, configs of ``tasks``, as they are now


@dataclass(slots=True)
class AssignmentSet:
    """The tasks that one node has been told of, and what is still to be said."""

    node_id: str
    _known: dict[str, Task] = field(default_factory=dict)
    _changed: dict[str, Task] = field(default_factory=dict)
    _removed: dict[str, None] = field(default_factory=dict)

    def put(self, task: Task) -> None:
        """A task of the node is as it is now. Says nothing new if only what the agent itself reports has changed."""
        if task.status.state < TaskState.ASSIGNED:
            return
        known = self._known.get(task.id)
        if known is not None and task.status.state > TaskState.ASSIGNED and _same_for_agent(known, task):
            return
        self._known[task.id] = self._changed[task.id] = task
        self._removed.pop(task.id, None)

    def remove(self, task_id: str) -> None:
        """A task is no longer the node's."""
        self._changed.pop(task_id, None)
        if self._known.pop(task_id, None) is not None:
            self._removed[task_id] = None

    def take(self) -> tuple[tuple[Task, ...], tuple[str, ...]]:
        """What is to be said: tasks that changed, ids of tasks that went."""
        changed, removed = tuple(self._changed.values()), tuple(self._removed)
        self._changed, self._removed = {}, {}
        return changed, removed

    def __bool__(self) -> bool:
        return bool(self._changed or self._removed)


def _same_for_agent(old: Task, new: Task) -> bool:
    return (
        old.desired_state == new.desired_state
        and old.spec == new.spec
        and old.networks == new.networks
        and old.endpoint == new.endpoint
    )


def dependencies(store: Reads, tasks: Iterable[Task]) -> tuple[Object, ...]:
    """The networks, secrets and configs that these tasks name."""
    wanted: dict[tuple[type[Object], str], None] = {}
    for task in tasks:
        for attachment in task.networks:
            wanted[Network, attachment["Network"]] = None
        container = task.spec.get("ContainerSpec") or {}
        for reference in container.get("Secrets") or ():
            wanted[Secret, reference.get("SecretID", "")] = None
        for reference in container.get("Configs") or ():
            wanted[Config, reference.get("ConfigID", "")] = None
    return tuple(found for cls, id in wanted if (found := store.get(cls, id)) is not None)

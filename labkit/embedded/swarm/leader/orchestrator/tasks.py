"""What the orchestrators agree on: how a task is made, which slot it has, when it no longer fits its service.

SwarmKit: ``manager/orchestrator/{task,service,slot}.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from labkit.embedded.swarm.leader.constraint import InvalidConstraint, node_matches, parse
from labkit.embedded.swarm.objects import Json, Node, Service, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import Tx

NANO = 1e-9
"""Durations in specs are nanoseconds."""


class SlotKey(NamedTuple):
    """The place that a task fills: a numbered one of a replicated service, or a node of a global service."""

    service_id: str
    slot: int
    node_id: str  # only of a global service's task


Slot = list[Task]
"""The tasks in one place. Mostly one; two while one takes over from the other."""


def is_replicated(service: Service | None) -> bool:
    return service is not None and "Replicated" in (service.spec.get("Mode") or {})


def is_global(service: Service | None) -> bool:
    return service is not None and "Global" in (service.spec.get("Mode") or {})


def slot_key(task: Task) -> SlotKey:
    """A task of a global service has no slot number, so its node names the place."""
    return SlotKey(task.service_id, task.slot, "" if task.slot else task.node_id)


def invalid_node(node: Node | None) -> bool:
    """May no task stay there: the node is gone, down or drained?"""
    return node is None or node.state == "down" or node.spec.get("Availability") == "drain"


def new_task(
    service: Service,
    task_id: str,
    now: float,
    *,
    slot: int = 0,
    node_id: str = "",
    desired: TaskState = TaskState.RUNNING,
) -> Task:
    """A task of the service as its spec is now."""
    return Task(
        id=task_id,
        service_id=service.id,
        service_name=service.name,
        service_labels=service.spec.get("Labels") or {},
        slot=slot,
        node_id=node_id,
        spec=service.spec.get("TaskTemplate") or {},
        spec_version=service.spec_version,
        status=TaskStatus(state=TaskState.NEW, timestamp=now, message="created"),
        desired_state=desired,
        endpoint={"Spec": endpoint_spec(service)},
    )


def successor(service: Service, old: Task, task_id: str, now: float) -> Task:
    """The task that takes over ``old``'s place. It stands ready until it is told to run."""
    place: dict[str, Any] = {"node_id": old.node_id} if is_global(service) else {"slot": old.slot}
    return new_task(service, task_id, now, desired=TaskState.READY, **place)


def endpoint_spec(service: Service) -> Json:
    return service.spec.get("EndpointSpec") or {}


def is_task_dirty(service: Service, task: Task, node: Node | None) -> bool:
    """Must the task be replaced to match the service's spec?

    Not if only placement constraints changed and its node satisfies the new ones.
    """
    if task.spec_version == service.spec_version:
        return False
    wanted = service.spec.get("TaskTemplate") or {}
    if _differ_in_placement_only(wanted, task.spec) and node is not None and _allows(wanted, node):
        return False
    return wanted != task.spec or endpoint_spec(service) != (task.endpoint.get("Spec") or {})


def _differ_in_placement_only(wanted: Json, spec: Json) -> bool:
    if (wanted.get("Placement") or {}) == (spec.get("Placement") or {}):
        return False
    return _without_placement(wanted) == _without_placement(spec)


def _without_placement(spec: Json) -> Json:
    return {key: value for key, value in spec.items() if key != "Placement"}


def _allows(spec: Json, node: Node) -> bool:
    try:
        return node_matches(parse((spec.get("Placement") or {}).get("Constraints") or ()), node)
    except InvalidConstraint:
        return False


_RESTART_DELAY = 5.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``RestartPolicy`` of a task's spec with its defaults; durations in seconds."""

    condition: str = "any"  # none | on-failure | any
    delay: float = _RESTART_DELAY
    max_attempts: int = 0  # 0: no limit
    window: float = 0.0  # 0: since ever


def restart_policy(spec: Json) -> RestartPolicy:
    policy = spec.get("RestartPolicy") or {}
    delay = policy.get("Delay")
    return RestartPolicy(
        condition=policy.get("Condition") or "any",
        delay=_RESTART_DELAY if delay is None else delay * NANO,
        max_attempts=int(policy.get("MaxAttempts") or 0),
        window=(policy.get("Window") or 0) * NANO,
    )


def newest(tasks: Iterable[Task]) -> Task:
    """The one whose status changed last; of equals, the one that was made last."""
    return max(tasks, key=lambda task: (task.status.timestamp, task.created_at))


def by_slot(tasks: Iterable[Task], key: Callable[[Task], Any] = lambda task: task.slot) -> dict[Any, Slot]:
    """Tasks by the place that they fill."""
    slots: dict[Any, Slot] = {}
    for task in tasks:
        slots.setdefault(key(task), []).append(task)
    return slots


def set_desired(tx: Tx, task: Task | None, state: TaskState) -> bool:
    """Move a task's desired state on; never back. True if it is a change."""
    current = None if task is None else tx.get(Task, task.id)
    if current is None or current.desired_state >= state:
        return False
    tx.update(replace(current, desired_state=state))
    return True


def remove_all(tx: Tx, service_id: str) -> None:
    """The service is gone: agents shall stop its tasks, and the reaper shall delete them."""
    for task in tx.tasks_of_service(service_id):
        set_desired(tx, task, TaskState.REMOVE)

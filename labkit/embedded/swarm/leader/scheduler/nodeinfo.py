"""What the scheduler knows of a node: the object, what is free on it, and how tasks have fared there."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.embedded.swarm.leader.ports import mode_of, protocol_of
from labkit.embedded.swarm.leader.scheduler.resources import Resources
from labkit.embedded.swarm.objects import Node, Task, TaskState

MONITOR_FAILURES = 300.0
MAX_FAILURES = 5
"""A node on which five tasks of a service failed within five minutes is avoided for that service."""

Port = tuple[str, int]
Revision = tuple[str, int]  # service id, spec version


@dataclass(slots=True, eq=False)
class NodeInfo:
    node: Node
    available: Resources
    total: int = 0  # tasks that are to live there
    per_service: Counter[str] = field(default_factory=Counter)
    ports: set[Port] = field(default_factory=set)  # published in host mode

    @classmethod
    def of(cls, node: Node, tasks: Iterable[Task] = ()) -> NodeInfo:
        info = cls(node, Resources.of_node(node))
        for task in tasks:
            if consumes(task):
                info.add(task)
        return info

    def add(self, task: Task) -> None:
        """Make room for a task. One that is on its way out holds its resources, but no longer counts."""
        self.available -= Resources.reserved_by(task.spec)
        self.ports.update(host_ports(task))
        if task.desired_state <= TaskState.COMPLETE:
            self.total += 1
            self.per_service[task.service_id] += 1


def consumes(task: Task) -> bool:
    """Does the task take up room on its node: assigned, and not over?"""
    return bool(task.node_id) and TaskState.PENDING < task.status.state <= TaskState.RUNNING


def host_ports(task: Task) -> list[Port]:
    """The ports that the task publishes on its own node."""
    return [
        (protocol_of(port), int(port["PublishedPort"]))
        for port in task.endpoint.get("Ports") or ()
        if mode_of(port) == "host" and port.get("PublishedPort")
    ]


class Failures:
    """When tasks of which service, at which spec, failed on which node."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, Revision], deque[float]] = {}

    def record(self, task: Task, now: float) -> None:
        times = self._times.setdefault((task.node_id, _revision(task)), deque())
        times.append(now)
        while times[0] < now - MONITOR_FAILURES:
            times.popleft()
        if len(self._times) > 1000:  # forget services and nodes that are long gone
            self._times = {key: kept for key, kept in self._times.items() if kept[-1] >= now - MONITOR_FAILURES}

    def weight(self, node_id: str, task: Task, now: float) -> int:
        """How much the node is to be avoided: recent failures once there are :data:`MAX_FAILURES`, else 0."""
        if not self._times:
            return 0
        times = self._times.get((node_id, _revision(task)), ())
        recent = sum(1 for at in times if at >= now - MONITOR_FAILURES)
        return recent if recent >= MAX_FAILURES else 0


def _revision(task: Task) -> Revision:
    return (task.service_id, task.spec_version)

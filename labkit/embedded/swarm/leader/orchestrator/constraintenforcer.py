"""The constraint enforcer: takes tasks off nodes that stopped being fit for them (SwarmKit ``constraintenforcer``).

A label that is removed, a node that shrinks: tasks that would not be placed there today are rejected, and the
orchestrator replaces them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from labkit.embedded.swarm.leader.constraint import InvalidConstraint, node_matches, parse
from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.scheduler.resources import Resources
from labkit.embedded.swarm.objects import Json, Node, Service, Task, TaskState
from labkit.embedded.swarm.store import Change, Tx

MESSAGE = "task rejected by constraint enforcer"
ERROR = "assigned node no longer meets constraints"


def noncompliant(node: Node, tasks: Iterable[Task], placement_of: Callable[[Task], Json]) -> list[Task]:
    """The tasks that have to leave the node. Drained and paused nodes are not its business.

    ``placement_of`` gives the placement that counts: the service's present one, as a change of constraints alone does
    not replace tasks that satisfy them where they are.
    """
    if node.spec.get("Availability", "active") != "active":
        return []
    available = Resources.of_node(node)
    leaving = []
    for task in tasks:
        if not TaskState.ASSIGNED <= task.desired_state <= TaskState.COMPLETE:
            continue
        if task.status.state >= TaskState.COMPLETE:
            continue
        reserved = Resources.reserved_by(task.spec)
        if not _allowed(placement_of(task), node) or not available.has(reserved):
            leaving.append(task)
        else:
            available -= reserved
    return leaving


def _allowed(placement: Json, node: Node) -> bool:
    try:
        return node_matches(parse(placement.get("Constraints") or ()), node)
    except InvalidConstraint:
        return True


class ConstraintEnforcer(Loop):
    watches = (Node,)

    async def begin(self) -> None:
        await self._enforce([node.id for node in self.store.all(Node)])

    async def changed(self, batch: list[Change]) -> None:
        await self._enforce(list(dict.fromkeys(change.new.id for change in batch if change.action == "update")))

    async def _enforce(self, node_ids: list[str]) -> None:
        def reject(tx: Tx) -> None:
            def placement_of(task: Task) -> Json:
                service = tx.get(Service, task.service_id)
                spec = task.spec if service is None else service.spec.get("TaskTemplate") or {}
                return spec.get("Placement") or {}

            for id in node_ids:
                node = tx.get(Node, id)
                if node is None:
                    continue
                for task in noncompliant(node, tx.tasks_of_node(id), placement_of):
                    # The observed state, not the desired one: that is the orchestrator's, who shall replace the task.
                    status = replace(
                        task.status,
                        state=TaskState.REJECTED,
                        timestamp=self.clock.time(),
                        message=MESSAGE,
                        err=ERROR,
                    )
                    tx.update(replace(task, status=status))

        if node_ids:
            await self.store.update(reject)

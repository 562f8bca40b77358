"""The orchestrator of global services: one task on every node that is fit for it (SwarmKit ``orchestrator/global``).

The tasks name their node from the start; the scheduler only confirms it.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.leader.constraint import Constraint, InvalidConstraint, node_matches, parse
from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.orchestrator.restart import RestartSupervisor
from labkit.embedded.swarm.leader.orchestrator.taskinit import check_tasks
from labkit.embedded.swarm.leader.orchestrator.tasks import (
    Slot,
    by_slot,
    invalid_node,
    is_global,
    is_task_dirty,
    new_task,
    remove_all,
    set_desired,
)
from labkit.embedded.swarm.leader.orchestrator.updater import UpdateSupervisor
from labkit.embedded.swarm.objects import Node, Service, Task, TaskState
from labkit.embedded.swarm.store import Change, Store, Tx


def constraints_of(service: Service) -> list[Constraint]:
    """The placement constraints of a service; none if they cannot be read (the API does not let such in)."""
    placement = (service.spec.get("TaskTemplate") or {}).get("Placement") or {}
    try:
        return parse(placement.get("Constraints") or ())
    except InvalidConstraint:
        return []


class GlobalOrchestrator(Loop):
    watches = (Service, Task, Node)

    def __init__(self, store: Store, world: Any, machine: str = "") -> None:
        super().__init__(store, world, machine)
        self.restarts = RestartSupervisor(store, world)
        self.updates = UpdateSupervisor(store, world, self.restarts)

    def start(self) -> None:
        super().start()
        self.restarts.start()

    async def stop(self) -> None:
        await super().stop()
        await self.updates.stop()
        await self.restarts.stop()

    async def begin(self) -> None:
        def fix(tx: Tx) -> None:
            check_tasks(tx, is_global, self.restarts, self.clock.time())
            ended = [task.id for task in tx.all(Task) if _has_ended(task)]
            self._act(tx, ended, [service.id for service in tx.all(Service)], [], [])

        await self.store.update(fix)

    async def changed(self, batch: list[Change]) -> None:
        self.restarts.observe(batch)
        self.updates.observe(batch)
        ended: dict[str, None] = {}
        services: dict[str, None] = {}
        nodes: dict[str, None] = {}
        gone: list[str] = []
        for change in batch:
            match change.object:
                case Service() as service if is_global(service):
                    if change.new is None:
                        gone.append(service.id)
                        services.pop(service.id, None)
                    else:
                        services[service.id] = None
                case Node() as node:
                    nodes[node.id] = None
                case Task() as task if change.new is None:
                    self.restarts.cancel(task.id)
                case Task() as task if _has_ended(task):
                    ended[task.id] = None
        if ended or services or nodes or gone:
            await self.store.update(lambda tx: self._act(tx, list(ended), list(services), list(nodes), gone))

    def _act(self, tx: Tx, ended: list[str], services: list[str], nodes: list[str], gone: list[str]) -> None:
        for id in gone:
            remove_all(tx, id)
            self.restarts.forget_service(id)
            self.updates.forget_service(id)
        for id in services:
            service = tx.get(Service, id)
            if service is not None and is_global(service):
                self._reconcile_service(tx, service)
        for id in nodes:
            self._reconcile_node(tx, id)
        for id in ended:
            self._restart(tx, id)

    def _reconcile_service(self, tx: Tx, service: Service) -> None:
        constraints = constraints_of(service)
        slots = by_slot(tx.tasks_of_service(service.id), lambda task: task.node_id)
        updates: list[Slot] = []
        for node in tx.all(Node):
            if invalid_node(node):
                continue
            slot = self.restarts.updatable(slots.pop(node.id, []), service)
            if not node_matches(constraints, node):
                _shut_down(tx, slot)
            elif node.spec.get("Availability") == "pause":
                continue  # nothing is added there, nor updated
            elif slot:
                updates.append(slot)
            else:
                self._add(tx, service, node.id)
        for slot in slots.values():  # on nodes that are drained, down or gone
            _shut_down(tx, slot)
        self.updates.update(service, updates)

    def _reconcile_node(self, tx: Tx, node_id: str) -> None:
        """All global services on one node. This is not a rolling update and does not disturb one: what is out of date
        here (the node was paused while its service was updated) is replaced at once."""
        node = tx.get(Node, node_id)
        on_node = by_slot(tx.tasks_of_node(node_id), lambda task: task.service_id)
        services = [service for service in tx.all(Service) if is_global(service)]
        if node is None or invalid_node(node):
            for service in services:
                for task in on_node.get(service.id, []):
                    if node is None:
                        tx.delete(Task, task.id)
                    else:
                        set_desired(tx, task, TaskState.SHUTDOWN)
            return
        if node.spec.get("Availability") == "pause":
            return
        for service in services:
            if not node_matches(constraints_of(service), node):
                continue
            slot = self.restarts.updatable(on_node.get(service.id, []), service)
            if not slot:
                self._add(tx, service, node_id)
            elif not self.updates.is_updating(service.id):
                clean = [task for task in slot if not is_task_dirty(service, task, node)]
                if not clean:
                    self._add(tx, service, node_id)
                _shut_down(tx, [task for task in slot if task not in clean[:1]])

    def _restart(self, tx: Tx, task_id: str) -> None:
        task = tx.get(Task, task_id)
        if task is None or not _has_ended(task):
            return
        service, node = tx.get(Service, task.service_id), tx.get(Node, task.node_id)
        if service is None or not is_global(service) or node is None or invalid_node(node):
            return
        if node.spec.get("Availability") == "pause" or not node_matches(constraints_of(service), node):
            set_desired(tx, task, TaskState.SHUTDOWN)
        else:
            self.restarts.restart(tx, service, task)

    def _add(self, tx: Tx, service: Service, node_id: str) -> None:
        tx.create(new_task(service, self.world.ids.swarm_id(), self.clock.time(), node_id=node_id))


def _has_ended(task: Task) -> bool:
    return task.desired_state <= TaskState.RUNNING < task.status.state


def _shut_down(tx: Tx, tasks: Slot) -> None:
    for task in tasks:
        set_desired(tx, task, TaskState.SHUTDOWN)

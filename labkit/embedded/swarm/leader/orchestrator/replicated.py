"""The orchestrator of replicated services: as many tasks as ``Replicas`` says, each in a numbered slot.

SwarmKit: ``manager/orchestrator/replicated``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.orchestrator.restart import RestartSupervisor
from labkit.embedded.swarm.leader.orchestrator.taskinit import check_tasks
from labkit.embedded.swarm.leader.orchestrator.tasks import (
    Slot,
    by_slot,
    invalid_node,
    is_replicated,
    new_task,
    remove_all,
    set_desired,
)
from labkit.embedded.swarm.leader.orchestrator.updater import UpdateSupervisor
from labkit.embedded.swarm.objects import Node, Service, Task, TaskState
from labkit.embedded.swarm.store import Change, Store, Tx


@dataclass(slots=True)
class Plan:
    """What a service needs: the decision, apart from carrying it out."""

    create: list[int] = field(default_factory=list)  # slots that get a task
    update: list[Slot] = field(default_factory=list)  # slots to be brought to the spec
    remove: list[Slot] = field(default_factory=list)  # slots that are scaled away
    delete: list[Task] = field(default_factory=list)  # left-overs of slots that are dead


def plan(replicas: int, updatable: dict[int, Slot], dead: dict[int, Slot]) -> Plan:
    """Compare the slots that live with the number that is wanted."""
    missing = replicas - len(updatable)
    result = Plan(update=list(updatable.values()))
    if missing > 0:
        slot = 0
        while len(result.create) < missing:
            slot += 1
            if slot not in updatable:
                result.create.append(slot)
    elif missing < 0:
        ordered = order_for_scale_down(result.update)
        result.update, result.remove = ordered[:replicas], ordered[replicas:]
    refilled = set(result.create)  # the history of a slot that is filled again stays
    result.delete = [task for slot, tasks in dead.items() if slot not in refilled for task in tasks]
    return result


def order_for_scale_down(slots: list[Slot]) -> list[Slot]:
    """Slots in the order in which they are kept: the last ones go.

    Those go first whose node has most tasks of the service, so that what stays is even; among equals those that do not
    run, then those with high numbers (a stateful service's master tends to have a low one). A slot without a node, or
    in the middle of a hand-over, goes before all others.
    """

    def not_running_then_number(slot: Slot) -> tuple[bool, int]:
        return all(task.status.state != TaskState.RUNNING for task in slot), slot[0].slot

    nth: Counter[str] = Counter()
    ranked: list[tuple[float, Slot]] = []
    for slot in sorted(slots, key=not_running_then_number):
        node_id = slot[0].node_id if len(slot) == 1 else ""
        nth[node_id] += 1
        ranked.append((nth[node_id] if node_id else float("inf"), slot))
    return [slot for _, slot in sorted(ranked, key=lambda pair: pair[0])]


class ReplicatedOrchestrator(Loop):
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
            check_tasks(tx, is_replicated, self.restarts, self.clock.time())
            ended = [task.id for task in tx.all(Task) if self._has_ended(task)]
            self._act(tx, ended, [service.id for service in tx.all(Service)], [])

        await self.store.update(fix)

    async def changed(self, batch: list[Change]) -> None:
        self.restarts.observe(batch)
        self.updates.observe(batch)
        ended: dict[str, None] = {}
        services: dict[str, None] = {}
        gone: list[str] = []
        for change in batch:
            match change.object:
                case Service() as service if is_replicated(service):
                    if change.new is None:
                        gone.append(service.id)
                        services.pop(service.id, None)
                    else:
                        services[service.id] = None
                case Node() as node if change.new is None or invalid_node(node):
                    ended |= dict.fromkeys(task.id for task in self.store.tasks_of_node(node.id))
                case Task() as task if change.new is None:
                    if task.desired_state <= TaskState.RUNNING:  # somebody took it away: its slot is open
                        services[task.service_id] = None
                    self.restarts.cancel(task.id)
                case Task() as task if self._has_ended(task):
                    ended[task.id] = None
        if ended or services or gone:
            await self.store.update(lambda tx: self._act(tx, list(ended), list(services), gone))

    def _has_ended(self, task: Task) -> bool:
        """Should it run, but does not, or cannot where it is?"""
        if task.desired_state > TaskState.RUNNING:
            return False
        if task.status.state > TaskState.RUNNING:
            return True
        return bool(task.node_id) and invalid_node(self.store.get(Node, task.node_id))

    def _act(self, tx: Tx, ended: list[str], services: list[str], gone: list[str]) -> None:
        for id in gone:
            remove_all(tx, id)
            self.restarts.forget_service(id)
            self.updates.forget_service(id)
        for id in ended:
            task = tx.get(Task, id)
            service = None if task is None else tx.get(Service, task.service_id)
            if task is not None and service is not None and is_replicated(service) and self._has_ended(task):
                self.restarts.restart(tx, service, task)
        for id in services:
            service = tx.get(Service, id)
            if service is not None and is_replicated(service):
                self._reconcile(tx, service)

    def _reconcile(self, tx: Tx, service: Service) -> None:
        updatable: dict[int, Slot] = {}
        dead: dict[int, Slot] = {}
        for number, slot in by_slot(tx.tasks_of_service(service.id)).items():
            alive = self.restarts.updatable(slot, service)
            if alive:
                updatable[number] = alive
            else:
                dead[number] = slot
        decided = plan(service.replicas or 0, updatable, dead)
        now = self.clock.time()
        for number in decided.create:
            tx.create(new_task(service, self.world.ids.swarm_id(), now, slot=number))
        for task in decided.delete:
            tx.delete(Task, task.id)
        for slot in decided.remove:
            for task in slot:
                set_desired(tx, task, TaskState.REMOVE)
        self.updates.update(service, decided.update)

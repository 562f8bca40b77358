"""The task reaper: keeps the history of each slot short, and deletes what nobody wants any more.

SwarmKit: ``manager/orchestrator/taskreaper``. A slot keeps ``TaskHistoryRetentionLimit`` tasks (5: the living one and
four dead), or one more than ``MaxAttempts`` where a restart policy has that, as restarts are counted from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.orchestrator.tasks import Slot, SlotKey, by_slot, restart_policy, slot_key
from labkit.embedded.swarm.objects import Cluster, Service, Task, TaskState
from labkit.embedded.swarm.store import Change, Store, Tx

BATCHING_INTERVAL = 0.25
"""Seconds for which changes are collected before anything is deleted."""

DEFAULT_HISTORY = 5


def is_rubbish(task: Task) -> bool:
    """Delete at once? Scaled away and stopped (or never assigned), or lost with its node and of no service."""
    if task.desired_state == TaskState.REMOVE:
        return task.status.state < TaskState.ASSIGNED or task.status.state >= TaskState.COMPLETE
    return task.status.state >= TaskState.ORPHANED and not task.service_id


def surplus(slot: Slot, limit: int) -> list[Task]:
    """The oldest tasks of a slot, beyond ``limit``, that are over: ended, or never to be assigned."""
    excess = len(slot) - limit
    if limit < 0 or excess <= 0:
        return []
    over = [task for task in slot if _is_over(task)]
    over.sort(key=lambda task: (task.status.timestamp, task.created_at))
    return over[:excess]


def _is_over(task: Task) -> bool:
    if task.status.state > TaskState.RUNNING:
        return True
    return task.status.state < TaskState.ASSIGNED and task.desired_state > TaskState.RUNNING


def history_limit(service: Service, default: int) -> int:
    """How many tasks a slot of the service keeps; negative: all."""
    attempts = restart_policy(service.spec.get("TaskTemplate") or {}).max_attempts
    return attempts + 1 if attempts else default


class TaskReaper(Loop):
    watches = (Task, Cluster)

    def __init__(self, store: Store, world: Any, machine: str = "") -> None:
        super().__init__(store, world, machine)
        self._dirty: dict[SlotKey, None] = {}

    async def begin(self) -> None:
        tasks = self.store.all(Task)
        self._dirty = dict.fromkeys(slot_key(task) for task in tasks)
        await self._reap(task.id for task in tasks if is_rubbish(task))

    async def changed(self, batch: list[Change]) -> None:
        await self.clock.sleep(BATCHING_INTERVAL)
        batch += self._watch.take()
        rubbish: dict[str, None] = {}
        for change in batch:
            match change.object:
                case Cluster():  # the limit may be another one now
                    self._dirty |= dict.fromkeys(slot_key(task) for task in self.store.all(Task))
                case Task() as task if change.new is not None:
                    if change.action == "create":
                        self._dirty[slot_key(task)] = None
                    if is_rubbish(task):
                        rubbish[task.id] = None
        await self._reap(rubbish)

    async def _reap(self, rubbish: Iterable[str]) -> None:
        doomed = dict.fromkeys(rubbish)
        limit = self._limit()
        for key in list(self._dirty):
            service = self.store.get(Service, key.service_id)
            if service is None:
                del self._dirty[key]
                continue
            slot = self._slot(key)
            keep = history_limit(service, limit)
            leaving = surplus(slot, keep)
            doomed |= dict.fromkeys(task.id for task in leaving)
            if keep < 0 or len(slot) - len(leaving) <= keep:
                # More than that are still running: look again when something happens. A hand-over may be under way.
                del self._dirty[key]
        if not doomed:
            return

        def delete(tx: Tx) -> None:
            for id in doomed:
                if tx.get(Task, id) is not None:
                    tx.delete(Task, id)

        await self.store.update(delete)

    def _limit(self) -> int:
        cluster = self.store.cluster()
        orchestration = {} if cluster is None else cluster.spec.get("Orchestration") or {}
        limit = orchestration.get("TaskHistoryRetentionLimit")
        return DEFAULT_HISTORY if limit is None else int(limit)

    def _slot(self, key: SlotKey) -> Slot:
        if key.node_id:
            return by_slot(self.store.tasks_of_node(key.node_id), slot_key).get(key, [])
        return self.store.tasks_of_slot(key.service_id, key.slot)

"""The scheduler's loop: gives every pending task a node, or says why it has none.

SwarmKit: ``manager/scheduler/scheduler.go``. It decides inside the transaction that writes the decisions, on the
objects as they are then, so no decision is ever out of date.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.scheduler.filters import Pipeline
from labkit.embedded.swarm.leader.scheduler.nodeinfo import Failures, NodeInfo, consumes
from labkit.embedded.swarm.leader.scheduler.spread import place
from labkit.embedded.swarm.objects import Node, Service, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import Change, Store, Tx

COMMIT_DEBOUNCE = 0.05
"""Seconds for which changes are collected before tasks are scheduled."""

ASSIGNED = "scheduler assigned task to node"
CONFIRMED = "scheduler confirmed task can run on preassigned node"


def is_pending(task: Task) -> bool:
    """Does the task wait for the scheduler?"""
    return task.status.state == TaskState.PENDING and task.desired_state <= TaskState.COMPLETE


def is_given_up(task: Task) -> bool:
    """Was it told to shut down before it had a node? There is nobody else who could say that it has."""
    unassigned = task.status.state == TaskState.PENDING and not task.node_id
    return unassigned and task.desired_state == TaskState.SHUTDOWN


class Scheduler(Loop):
    watches = (Task, Node)

    def __init__(self, store: Store, world: Any, machine: str = "") -> None:
        super().__init__(store, world, machine)
        self._failures = Failures()
        self._waiting: dict[str, None] = {}  # ids of pending tasks, in the order in which they came
        self._preassigned: set[str] = set()

    async def begin(self) -> None:
        pending = [task for task in self.store.all(Task) if is_pending(task) or is_given_up(task)]
        self._waiting = dict.fromkeys(task.id for task in pending)
        self._preassigned = {task.id for task in self.store.all(Task) if task.node_id and not task.slot}
        if self._waiting:
            await self._schedule()

    async def changed(self, batch: list[Change]) -> None:
        worth_it = self._digest(batch)
        if not (worth_it and self._waiting):
            return
        await self.clock.sleep(COMMIT_DEBOUNCE)
        self._digest(self._watch.take())
        await self._schedule()

    def _digest(self, batch: Iterable[Change]) -> bool:
        """Take note; True if a task that waits may find a place now that it did not before."""
        worth_it = False
        for change in batch:
            match change.object:
                case Node():
                    worth_it = True
                case Task() as task if change.new is None:
                    self._waiting.pop(task.id, None)
                    self._preassigned.discard(task.id)
                    worth_it = worth_it or consumes(task)
                case Task() as task:
                    worth_it = self._digest_task(change.old, task) or worth_it
        return worth_it

    def _digest_task(self, old: Task | None, task: Task) -> bool:
        if is_pending(task) or is_given_up(task):
            if task.node_id:
                self._preassigned.add(task.id)
            known = task.id in self._waiting
            self._waiting[task.id] = None
            return not known or is_given_up(task)
        self._waiting.pop(task.id, None)
        if old is None or old.status.state == task.status.state:
            return False
        if task.status.state in (TaskState.FAILED, TaskState.REJECTED) and task.id not in self._preassigned:
            # Not for tasks that name their node themselves: the scheduler has no choice there.
            self._failures.record(task, self.clock.time())
        return consumes(old) and not consumes(task)

    async def _schedule(self) -> None:
        def decide(tx: Tx) -> None:
            waiting = [task for id in self._waiting if (task := tx.get(Task, id)) is not None]
            nodes = {node.id: NodeInfo.of(node, tx.tasks_of_node(node.id)) for node in tx.all(Node)}
            groups: dict[tuple[str, int], list[Task]] = {}
            for task in waiting:
                if is_given_up(task):
                    status = replace(task.status, state=TaskState.SHUTDOWN, timestamp=self.clock.time(), err="")
                    tx.update(replace(task, status=status))
                elif not is_pending(task):
                    continue
                elif task.node_id:
                    self._confirm(tx, task, nodes.get(task.node_id))
                else:
                    groups.setdefault((task.service_id, task.spec_version), []).append(task)
            for group in groups.values():
                self._place(tx, group, list(nodes.values()))

        await self.store.update(decide)

    def _confirm(self, tx: Tx, task: Task, info: NodeInfo | None) -> None:
        """A task of a global service, which names its node."""
        if info is None:
            return
        pipeline = Pipeline(task)
        if pipeline.allows(info):
            self._assign(tx, task, info.node.id, CONFIRMED)
            info.add(task)
        else:
            self._refuse(tx, task, pipeline.explain([info]))

    def _place(self, tx: Tx, group: list[Task], nodes: list[NodeInfo]) -> None:
        placed = place(group, nodes, self._failures, self.clock.time())
        left = [task for task in group if task.id not in placed]
        for task in group:
            if task.id in placed:
                self._assign(tx, task, placed[task.id], ASSIGNED)
        if not left:
            return
        service = tx.get(Service, left[0].service_id)
        if service is None or service.spec_version > left[0].spec_version:
            return  # of an old revision: the updater is about to take it away
        reasons = Pipeline(left[0]).explain(nodes)
        for task in left:
            self._refuse(tx, task, f"no suitable node ({reasons})" if reasons else "no suitable node")

    def _assign(self, tx: Tx, task: Task, node_id: str, message: str) -> None:
        status = TaskStatus(state=TaskState.ASSIGNED, timestamp=self.clock.time(), message=message)
        tx.update(replace(task, node_id=node_id, status=status))

    def _refuse(self, tx: Tx, task: Task, reason: str) -> None:
        if task.status.err != reason:
            tx.update(replace(task, status=replace(task.status, timestamp=self.clock.time(), err=reason)))

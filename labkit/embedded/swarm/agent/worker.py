"""The tasks of one node: which are assigned, how far each has come, and a database of both (SwarmKit ``agent/worker``).

The database lets a node go on without a leader, and take up its tasks after a restart: of the process (containers run
on) as of the machine (containers are dead, and the controllers say so).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from labkit.embedded.swarm.agent.controller import Executor
from labkit.embedded.swarm.agent.taskmanager import TaskManager, failed
from labkit.embedded.swarm.leader.assignments import Message
from labkit.embedded.swarm.objects import Config, Network, Object, Secret, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import from_row

PREPARING_AT_ONCE = 64
"""How many tasks of one node pull and create at the same time."""

_DEPENDENCIES: dict[str, type[Object]] = {"network": Network, "secret": Secret, "config": Config}

_log = logging.getLogger("labkit.swarm.agent")


class Worker:
    """``report(task id, status)`` is called whenever a task gets on."""

    def __init__(self, machine: str, executor: Executor, world: Any, report: Callable[[str, TaskStatus], None]) -> None:
        self._executor = executor
        self._clock = world.clock
        self._storage = world.storage
        self._kind = f"agent/{machine}"
        self._report = report
        self._managers: dict[str, TaskManager] = {}
        self._statuses: dict[str, TaskStatus] = {}
        self._unsaved: dict[str, None] = {}
        self._removing: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(PREPARING_AT_ONCE)
        self.dependencies: dict[str, Object] = {}  # networks, secrets and configs of the tasks, by id

    # -- what the agent tells it

    def restore(self) -> None:
        """Take up what the database has."""
        for name, cls in _DEPENDENCIES.items():
            for id, row in self._storage.all(f"{self._kind}/{name}").items():
                self.dependencies[id] = from_row(cls, row)
        statuses = self._storage.all(f"{self._kind}/status")
        for id, row in self._storage.all(f"{self._kind}/task").items():
            task = from_row(Task, row)
            status = from_row(TaskStatus, statuses[id]) if id in statuses else task.status
            self._statuses[id] = status
            self._manage(replace(task, status=status))

    def apply(self, message: Message) -> None:
        """Take an assignment: what is no longer assigned is removed, what is new is begun."""
        gone = set(self._managers) - {task.id for task in message.tasks} if message.complete else set(message.removed)
        with self._storage.transaction():
            self._keep(message.dependencies)
            for task in message.tasks:
                self._storage.put(f"{self._kind}/task", task.id, replace(task, status=TaskStatus()))
                if task.id not in self._statuses:
                    self._set_status(task.id, task.status)
            for id in gone:
                self._storage.delete(f"{self._kind}/task", id)
                self._storage.delete(f"{self._kind}/status", id)
                self._statuses.pop(id, None)
                self._unsaved.pop(id, None)
            self.flush()
        for task in message.tasks:
            manager = self._managers.get(task.id)
            if manager is not None:
                manager.update(task)
            else:
                self._manage(replace(task, status=self._statuses[task.id]))
        for id in gone:
            self._remove(id)

    def flush(self) -> None:
        """Write the statuses that have changed."""
        if not self._unsaved:
            return
        with self._storage.transaction():
            for id in self._unsaved:
                self._storage.put(f"{self._kind}/status", id, self._statuses[id])
        self._unsaved.clear()

    def statuses(self) -> dict[str, TaskStatus]:
        """How far every task has come."""
        return dict(self._statuses)

    async def stop(self) -> None:
        """Stop driving the tasks; containers and database stay."""
        self.flush()
        managers, self._managers = list(self._managers.values()), {}
        removing, self._removing = self._removing, set()
        for task in removing:
            task.cancel()
        await asyncio.gather(*(manager.close() for manager in managers), *removing, return_exceptions=True)
        self._statuses.clear()
        self.dependencies.clear()

    async def remove_all(self) -> None:
        """Stop and remove every task, and forget them."""
        for id in list(self._managers):
            self._remove(id)
        while self._removing:
            await asyncio.gather(*self._removing, return_exceptions=True)
        with self._storage.transaction():
            for kind in ("task", "status", *_DEPENDENCIES):
                self._storage.delete_all(f"{self._kind}/{kind}")
        self._statuses.clear()
        self._unsaved.clear()
        self.dependencies.clear()

    # --

    def _keep(self, dependencies: Iterable[Object]) -> None:
        for obj in dependencies:
            if self.dependencies.get(obj.id) != obj:
                self.dependencies[obj.id] = obj
                self._storage.put(f"{self._kind}/{type(obj).__name__.lower()}", obj.id, obj)

    def _manage(self, task: Task) -> None:
        try:
            controller = self._executor.controller(task)
        except Exception as error:
            _log.debug("no controller for task %s", task.id, exc_info=True)
            if task.status.state <= TaskState.RUNNING:
                status = replace(failed(task.status, error), message="resolving controller failed")
                self._progress(task.id, replace(status, timestamp=self._clock.time()))
            return
        self._managers[task.id] = TaskManager(task, controller, self._clock, self._progress, self._slots)

    def _progress(self, task_id: str, status: TaskStatus) -> None:
        if task_id in self._statuses:  # else it was removed meanwhile
            self._set_status(task_id, status)
            self._report(task_id, status)

    def _set_status(self, task_id: str, status: TaskStatus) -> None:
        self._statuses[task_id] = status
        self._unsaved[task_id] = None

    def _remove(self, task_id: str) -> None:
        manager = self._managers.pop(task_id, None)
        if manager is not None:
            removal = asyncio.create_task(manager.remove(), name=f"swarm task removal {task_id}")
            self._removing.add(removal)
            removal.add_done_callback(self._removing.discard)

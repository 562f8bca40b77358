"""The restart supervisor: replaces tasks that ended, after a delay, as often as the policy allows.

SwarmKit: ``manager/orchestrator/restart``. A replacement is made at once with desired state ``ready``, so that it can
be scheduled and prepared; it is told to run when the delay is over and the old task has stopped. The delay does not
apply on a drained node; on a node that is down nobody waits for the old task.

The orchestrators and the updater share one; it is no loop of its own kind, it only remembers what is due.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.swarm.leader.loop import RETRY_DELAY, Wakeup, cancelled
from labkit.embedded.swarm.leader.orchestrator.tasks import (
    RestartPolicy,
    Slot,
    SlotKey,
    newest,
    restart_policy,
    set_desired,
    slot_key,
    successor,
)
from labkit.embedded.swarm.objects import Node, Service, Task, TaskState
from labkit.embedded.swarm.store import Change, Reads, Store, Tx

OLD_TASK_TIMEOUT = 60.0
"""Seconds after which the replacement starts although the old task has not stopped."""

_log = logging.getLogger("labkit.swarm.restart")


@dataclass(slots=True)
class History:
    """The restarts of one slot under one version of the spec."""

    spec_version: int
    total: int = 0
    times: deque[float] = field(default_factory=deque)  # only kept for a policy with a window


def should_restart(policy: RestartPolicy, task: Task, history: History | None) -> bool:
    """Does the policy want a replacement for this task, which has ended or has to go?

    ``window`` seconds before the task's end are looked at; restarts at or after that end do not count against it.
    """
    if policy.condition == "none":
        return False
    if policy.condition == "on-failure" and task.status.state == TaskState.COMPLETE:
        return False
    if not policy.max_attempts or history is None or history.spec_version != task.spec_version:
        return True
    if not policy.window:
        return history.total < policy.max_attempts
    end = task.status.timestamp
    recent = sum(1 for at in history.times if end - policy.window < at < end)
    return recent < policy.max_attempts


@dataclass(slots=True)
class _Delay:
    """A replacement that is not told to run yet."""

    due: float
    old_id: str  # the task that has to stop first; empty: nobody
    give_up: float  # when it no longer waits for the old task
    done: asyncio.Future[None]
    again: bool = False  # it failed meanwhile and is to be replaced itself when the delay is over


class RestartSupervisor:
    def __init__(self, store: Store, world: Any) -> None:
        self._store = store
        self._clock = world.clock
        self._ids = world.ids
        self._delays: dict[str, _Delay] = {}  # by the id of the replacement
        self._history: dict[str, dict[SlotKey, History]] = {}  # by service
        self._wakeup = Wakeup(self._clock)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="swarm restarts")

    async def stop(self) -> None:
        """Forget every delay. The next leader finds the tasks at ``ready`` and takes them up (``taskinit``)."""
        for id in list(self._delays):
            self.cancel(id)
        await cancelled(self._task)

    # -- what orchestrators call within a transaction

    def restart(self, tx: Tx, service: Service, task: Task) -> None:
        """Shut a task down and, if the policy says so, make its replacement."""
        delay = self._delays.get(task.id)
        if delay is not None:
            # It failed before it was even told to run (no such image, say). Restarting it at once would be a tight
            # loop, so it stays until its own delay is over.
            delay.again = True
            return
        if not set_desired(tx, task, TaskState.SHUTDOWN):
            return
        policy = restart_policy(task.spec)
        if not should_restart(policy, task, self._history_of(slot_key(task))):
            return
        fresh = successor(service, task, self._ids.swarm_id(), self._clock.time())
        node = tx.get(Node, task.node_id) if task.node_id else None
        drained = node is not None and node.spec.get("Availability") == "drain"
        tx.create(fresh)
        self.record(fresh, self._clock.time())
        old = None if _has_stopped(tx, task) else task
        self.delay_start(old, fresh.id, 0.0 if drained else policy.delay)

    def updatable(self, slot: Slot, service: Service) -> Slot:
        """Which of a slot's tasks an update is about: those that shall run; else its last one, if that is not going
        to be restarted (so that an update revives it). Empty: the slot is dead.

        During a rollback the last one does not count: a rollback must end with tasks that run.
        """
        alive = [task for task in slot if task.desired_state <= TaskState.RUNNING]
        if alive or not slot:
            return alive
        if (service.update_status or {}).get("State") == "rollback_started":
            return []
        last = newest(slot)
        if last.desired_state >= TaskState.REMOVE:
            return []  # scaled away
        again = should_restart(restart_policy(last.spec), last, self._history_of(slot_key(last)))
        return [] if again else [last]

    def delay_start(self, old: Task | None, new_id: str, delay: float) -> asyncio.Future[None]:
        """Tell task ``new_id`` to run after ``delay`` seconds and after ``old`` has stopped (or did not for a minute).

        Returns a future that is done when it has been told, or when that was called off.
        """
        self.cancel(new_id)
        now = self._clock.time()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        old_id = "" if old is None or old.status.state > TaskState.RUNNING else old.id
        self._delays[new_id] = _Delay(now + delay, old_id, now + max(delay, OLD_TASK_TIMEOUT), done)
        self._wakeup.set()
        return done

    def start_now(self, tx: Tx, task_id: str) -> None:
        """Tell a task that stands ready to run."""
        set_desired(tx, tx.get(Task, task_id), TaskState.RUNNING)

    def record(self, replacement: Task, at: float) -> None:
        """Count a restart."""
        policy = restart_policy(replacement.spec)
        if not policy.max_attempts:
            return
        key = slot_key(replacement)
        slots = self._history.setdefault(key.service_id, {})
        history = slots.get(key)
        if history is None or history.spec_version != replacement.spec_version:
            # Failures of an earlier spec do not count against the new one.
            history = slots[key] = History(replacement.spec_version)
        history.total += 1
        if policy.window:
            history.times.append(at)
            while history.times[0] <= at - policy.window:
                history.times.popleft()

    # -- what orchestrators call outside of one

    def cancel(self, task_id: str) -> None:
        """Call a delayed start off."""
        delay = self._delays.pop(task_id, None)
        if delay is not None and not delay.done.done():
            delay.done.set_result(None)

    def forget_service(self, service_id: str) -> None:
        self._history.pop(service_id, None)

    def observe(self, batch: Iterable[Change]) -> None:
        """Changes of tasks and nodes, any of which may be what a delay waits for."""
        if not self._delays:
            return
        awaited = {delay.old_id for delay in self._delays.values()}
        if any(isinstance(change.object, Node) or change.object.id in awaited for change in batch):
            self._wakeup.set()

    # --

    def _history_of(self, key: SlotKey) -> History | None:
        return self._history.get(key.service_id, {}).get(key)

    def _is_due(self, delay: _Delay, now: float) -> bool:
        if now < delay.due:
            return False
        if not delay.old_id or now >= delay.give_up:
            return True
        return _has_stopped(self._store, self._store.get(Task, delay.old_id))

    def _next(self, now: float) -> float | None:
        """When to look again without being told."""
        times = [delay.due if delay.due > now else delay.give_up for delay in self._delays.values()]
        return min(times, default=None)

    async def _run(self) -> None:
        while True:
            now = self._clock.time()
            due = {id: delay for id, delay in self._delays.items() if self._is_due(delay, now)}
            if not due:
                await self._wakeup.wait(self._next(now))
                continue
            for id in due:
                del self._delays[id]
            try:
                await self._store.update(lambda tx, due=due: self._release(tx, due))  # type: ignore[misc]
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.debug("could not start %d delayed tasks: %s", len(due), error)
                self._delays = due | self._delays
                await self._clock.sleep(RETRY_DELAY)
                continue
            for delay in due.values():
                if not delay.done.done():
                    delay.done.set_result(None)

    def _release(self, tx: Tx, due: dict[str, _Delay]) -> None:
        for id, delay in due.items():
            self.start_now(tx, id)
            task = tx.get(Task, id)
            if not delay.again or task is None or task.desired_state > TaskState.RUNNING:
                continue
            service = tx.get(Service, task.service_id)
            if service is not None:
                self.restart(tx, service, task)


def _has_stopped(store: Reads, task: Task | None) -> bool:
    """Need nobody wait for this task to stop? It has; or was never assigned (and, being told to shut down, never will
    be); or cannot tell, as its node is down or gone."""
    if task is None or task.status.state > TaskState.RUNNING or task.status.state < TaskState.ASSIGNED:
        return True
    node = store.get(Node, task.node_id)
    return node is None or node.state == "down"

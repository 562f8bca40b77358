"""Drives one task through its states by its controller (SwarmKit ``agent/exec.Do`` and ``agent/task.go``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from enum import Enum
from typing import Any

from labkit.embedded.swarm.agent.controller import Controller, TemporaryError, exit_code_of
from labkit.embedded.swarm.leader.loop import cancelled
from labkit.embedded.swarm.objects import Task, TaskState, TaskStatus

RETRY_DELAY = 1.0

_log = logging.getLogger("labkit.swarm.agent")

_S = TaskState

PAUSES: dict[TaskState, tuple[TaskState, str]] = {
    _S.NEW: (_S.ACCEPTED, "accepted"),
    _S.PENDING: (_S.ACCEPTED, "accepted"),
    _S.ASSIGNED: (_S.ACCEPTED, "accepted"),
    _S.ACCEPTED: (_S.PREPARING, "preparing"),
    _S.READY: (_S.STARTING, "starting"),
}
"""States that are left as soon as the desired state is beyond them: the next one, and the words for it."""

ACTIONS: dict[TaskState, tuple[str, TaskState, str]] = {
    _S.PREPARING: ("prepare", _S.READY, "prepared"),
    _S.STARTING: ("start", _S.RUNNING, "started"),
    _S.RUNNING: ("wait", _S.COMPLETE, "finished"),
}
"""States in which something is done, whatever the desired state up to them: the controller's method, what follows."""

SHUTDOWN = ("shutdown", _S.SHUTDOWN, "shutdown")


class Next(Enum):
    """What to do after a step."""

    GO_ON = "take the next step"
    REST = "nothing more to do until the task is changed"
    RETRY = "the step failed in a way that may pass"


def pause(task: Task) -> TaskStatus | None:
    """The status after leaving a pause, or None where the task is not in one that it may leave."""
    state = task.status.state
    if task.desired_state >= _S.SHUTDOWN or state >= task.desired_state or state not in PAUSES:
        return None
    following, words = PAUSES[state]
    return replace(task.status, state=following, message=words, err="")


def action(task: Task) -> tuple[str, TaskState, str] | None:
    """What is to be done for the task now, or None."""
    state = task.status.state
    if task.desired_state >= _S.SHUTDOWN:
        # The agent never goes beyond SHUTDOWN: what is to be removed is removed when it is no longer assigned.
        return SHUTDOWN if state < _S.COMPLETE else None
    return ACTIONS.get(state) if state <= task.desired_state else None


def failed(status: TaskStatus, error: BaseException) -> TaskStatus:
    """The end of a task by an error: rejected before it was started, failed after."""
    state = _S.REJECTED if status.state < _S.STARTING else _S.FAILED
    return replace(status, state=state, err=str(error))


async def step(
    task: Task, controller: Controller, slots: AbstractAsyncContextManager[Any] | None = None
) -> tuple[TaskStatus, Next]:
    """Take one step with a task. ``slots`` limits how many prepare at a time."""
    status = pause(task)
    if status is not None:
        return _with_container(status, controller, None), Next.GO_ON
    todo = action(task)
    if todo is None:
        return task.status, Next.REST
    method, following, words = todo
    try:
        do: Callable[[], Awaitable[None]] = getattr(controller, method)
        async with slots if slots is not None and method == "prepare" else nullcontext():
            await do()
    except TemporaryError as error:
        return replace(task.status, err=str(error)), Next.RETRY
    except Exception as error:
        return _with_container(failed(task.status, error), controller, exit_code_of(error)), Next.GO_ON
    return _with_container(replace(task.status, state=following, message=words, err=""), controller, None), Next.GO_ON


def _with_container(status: TaskStatus, controller: Controller, exit_code: int | None) -> TaskStatus:
    """From ``starting`` on, the status tells of the container."""
    if status.state < _S.STARTING or status.state == _S.REJECTED:
        return status
    container_id, pid, code, host_ports = controller.status()
    return replace(
        status,
        container_id=container_id or status.container_id,
        pid=pid,
        exit_code=code if exit_code is None else exit_code,
        host_ports=tuple(host_ports),
    )


class TaskManager:
    """Runs one task on this node, from where it is to where it shall be."""

    def __init__(
        self,
        task: Task,
        controller: Controller,
        clock: Any,
        report: Callable[[str, TaskStatus], None],
        slots: AbstractAsyncContextManager[Any] | None = None,
    ) -> None:
        self.task = task
        self.controller = controller
        self._clock = clock
        self._report = report
        self._slots = slots
        self._changed = asyncio.Event()
        self._operation: asyncio.Task[tuple[TaskStatus, Next]] | None = None
        self._run_task: asyncio.Task[None] | None = None
        self.start()

    def start(self) -> None:
        if self._run_task is None and self.task.status.state < _S.COMPLETE:
            self._run_task = asyncio.create_task(self._run(), name=f"swarm task {self.task.name}")

    def update(self, task: Task) -> None:
        """The task is to be otherwise. What is under way is broken off if it is now to be shut down."""
        if task.desired_state < self.task.desired_state:
            return  # an old message
        stopping = task.desired_state >= _S.SHUTDOWN > self.task.desired_state
        self.task = replace(task, status=self.task.status)  # the status is ours
        self._changed.set()
        if stopping and self._operation is not None:
            self._operation.cancel()

    async def close(self) -> None:
        """Stop driving it; the container is left as it is."""
        await cancelled(self._operation, self._run_task)

    async def remove(self) -> None:
        """The task is no longer this node's: stop it and remove what was made for it."""
        await self.close()
        try:
            if self.task.status.state < _S.COMPLETE:
                await self.controller.shutdown()
        except Exception:
            _log.debug("shutting down task %s before its removal failed", self.task.id, exc_info=True)
        try:
            await self.controller.remove()
        except Exception:
            _log.exception("task %s could not be removed", self.task.id)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                status, what = await self._step()
            except asyncio.CancelledError:
                current = asyncio.current_task()
                if current is not None and current.cancelling():
                    raise
                continue  # only the operation was broken off: look again what is to be done
            if status != self.task.status:
                status = replace(status, timestamp=self._clock.time())
                self.task = replace(self.task, status=status)
                self._report(self.task.id, status)
            if self.task.status.state >= _S.COMPLETE:
                return
            if what is Next.REST:
                await self._changed.wait()
            elif what is Next.RETRY:
                await self._clock.sleep(RETRY_DELAY)

    async def _step(self) -> tuple[TaskStatus, Next]:
        todo = action(self.task)
        if todo is None or todo is SHUTDOWN or pause(self.task) is not None:
            return await step(self.task, self.controller, self._slots)
        self._operation = asyncio.create_task(step(self.task, self.controller, self._slots))
        try:
            return await self._operation
        finally:
            self._operation = None

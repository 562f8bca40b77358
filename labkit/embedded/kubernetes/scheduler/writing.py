"""What the scheduler writes: bindings, conditions of pods that wait, and the end of those who are pushed aside.

Decisions do not wait for it: each is counted on at once, and taken back should the API server not agree.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Recorder, Unreachable
from labkit.embedded.kubernetes.errors import NotFound, StatusError
from labkit.embedded.kubernetes.objects import Json, condition_of, edited, spec_of, status_of, with_condition
from labkit.embedded.kubernetes.scheduler.pods import PodInfo
from labkit.embedded.kubernetes.scheduler.preemption import REASON, Candidate
from labkit.embedded.kubernetes.times import rfc3339
from labkit.embedded.runtime import loops

log = logging.getLogger("labkit.kubernetes.scheduler")

WRITERS = 8
"""Writes that may be on their way at a time; more only matter where each of them has to wait for the wire."""

TURN = 32  # writes of one writer before others get to run

UNSCHEDULABLE = "Unschedulable"
SCHEDULER_ERROR = "SchedulerError"
MESSAGE_LIMIT = 1024


class Failed(Protocol):
    def __call__(self, problem: Exception) -> None: ...


Write = Callable[[], Awaitable[None]]


class Writer:
    """Does writes in order, a few at a time. ``name``: of the scheduler, as events and conditions tell it."""

    def __init__(self, client: Client, recorder: Recorder, name: str) -> None:
        self._client = client
        self._recorder = recorder
        self._name = name
        self._waiting: deque[Write] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _add(self, write: Write) -> None:
        self._waiting.append(write)
        if len(self._tasks) < min(WRITERS, len(self._waiting)):
            task = loops.create_task(self._work(), name="kube-scheduler writes")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        done = 0
        try:
            while self._waiting:
                await self._waiting.popleft()()
                done += 1
                if done % TURN == 0:
                    await asyncio.sleep(0)
        finally:
            # At once, not when the loop comes to it: what is added meanwhile would wait for a writer that has gone.
            self._tasks.discard(asyncio.current_task())

    # -- bindings

    def bind(self, pod: PodInfo, node: str, failed: Failed) -> None:
        """Bind it, and say so; ``failed`` hears why it could not be."""

        async def write() -> None:
            namespace, name = pod.key
            try:
                await self._client.bind(namespace, name, node)
            except (StatusError, Unreachable) as problem:
                failed(problem)
                return
            except Exception as problem:
                log.exception("binding %s/%s failed", namespace, name)
                failed(problem)
                return
            message = f"Successfully assigned {namespace}/{name} to {node}"
            self._recorder.event(pod.obj, "Normal", "Scheduled", message, action="Binding")

        self._add(write)

    # -- pods that wait

    def refuse(self, pod: PodInfo, message: str, nominated: str | None, reason: str = UNSCHEDULABLE) -> None:
        """Tell that a pod found no place. ``nominated``: where room is being made for it; None leaves that."""
        self._recorder.event(pod.obj, "Warning", "FailedScheduling", shortened(message), action="Scheduling")
        if not _differs(pod.obj, message, nominated, reason):
            return

        def change(obj: Json) -> Json | None:
            if spec_of(obj).get("nodeName") or not _differs(obj, message, nominated, reason):
                return None
            obj = edited(obj)
            obj["status"] = _with_nomination(status_of(obj), nominated)
            condition = {"type": "PodScheduled", **_generation(obj), "status": "False", "lastProbeTime": None}
            condition |= {"lastTransitionTime": rfc3339(self._client.clock.time())}
            condition |= {"reason": reason, "message": message}
            obj["status"]["conditions"] = with_condition(obj["status"].get("conditions"), condition)
            return obj

        self._add(lambda: self._change(pod, change))

    def withdraw(self, pod: PodInfo) -> None:
        """Somebody more important got the room that was made for it."""

        def change(obj: Json) -> Json | None:
            if not status_of(obj).get("nominatedNodeName"):
                return None
            obj = edited(obj)
            obj["status"] = _with_nomination(status_of(obj), "")
            return obj

        self._add(lambda: self._change(pod, change))

    async def _change(self, pod: PodInfo, change: Callable[[Json], Json | None]) -> None:
        try:
            await self._client.modify(kinds.PODS, *pod.key, change, subresource="status")
        except NotFound:
            pass
        except (StatusError, Unreachable) as problem:
            log.debug("status of %s/%s not written: %s", *pod.key, problem)
        except Exception:
            log.exception("status of %s/%s not written", *pod.key)

    # -- preemption

    def preempt(self, pod: PodInfo, candidate: Candidate, done: Callable[[bool], None]) -> None:
        """Push the victims aside, gracefully; ``done`` hears whether all of it could be asked for."""

        async def write() -> None:
            well = True
            try:
                for victim in candidate.victims:
                    if not victim.terminating:
                        await self._evict(pod, victim, candidate.node)
            except (StatusError, Unreachable) as problem:
                log.debug("preemption for %s/%s: %s", *pod.key, problem)
                well = False
            except Exception:
                log.exception("preemption for %s/%s", *pod.key)
                well = False
            done(well)

        self._add(write)

    async def _evict(self, pod: PodInfo, victim: PodInfo, node: str) -> None:
        def change(obj: Json) -> Json | None:
            known = condition_of(obj, "DisruptionTarget")
            if known is not None and known["status"] == "True" and known.get("reason") == REASON:
                return None
            obj = edited(obj)
            condition = {"type": "DisruptionTarget", **_generation(obj), "status": "True", "lastProbeTime": None}
            condition |= {"lastTransitionTime": rfc3339(self._client.clock.time()), "reason": REASON}
            condition["message"] = f"{self._name}: preempting to accommodate a higher priority pod"
            obj["status"] = dict(status_of(obj))
            obj["status"]["conditions"] = with_condition(obj["status"].get("conditions"), condition)
            return obj

        try:
            await self._client.modify(kinds.PODS, *victim.key, change, subresource="status")
            await self._client.delete(kinds.PODS, *victim.key)
        except NotFound:
            return  # it has gone by itself
        message = f"Preempted by pod {pod.uid} on node {node}"
        self._recorder.event(victim.obj, "Normal", "Preempted", message, action="Preempting")

    def skip(self, pod: PodInfo) -> None:
        """It came to its turn, but somebody has asked for its end."""
        message = f"skip schedule deleting pod: {pod.key[0]}/{pod.key[1]}"
        self._recorder.event(pod.obj, "Warning", "FailedScheduling", message, action="Scheduling")


def shortened(message: str) -> str:
    """As an event's note may be long."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 4] + " ..."


def _differs(obj: Json, message: str, nominated: str | None, reason: str) -> bool:
    if nominated is not None and (status_of(obj).get("nominatedNodeName") or "") != nominated:
        return True
    known = condition_of(obj, "PodScheduled")
    return known is None or (known["status"], known.get("reason"), known.get("message")) != ("False", reason, message)


def _with_nomination(status: object, nominated: str | None) -> Json:
    changed = dict(status)  # type: ignore[call-overload]
    if nominated:
        changed["nominatedNodeName"] = nominated
    elif nominated is not None:
        changed.pop("nominatedNodeName", None)
    return changed


def _generation(obj: Json) -> Json:
    """Conditions say which generation of the pod they are about, where pods have one."""
    generation = obj["metadata"].get("generation")
    return {"observedGeneration": generation} if generation else {}

"""Ending instances: in batches, again and again until Mesos says that the task has ended.

``core/task/termination/impl/KillServiceActor.scala``: at most 100 kills are under way at once, one that is not
confirmed is sent again after ten seconds, and an instance whose agent nobody reaches is forgotten instead: its task is
killed when the agent comes back (``KillAction.scala``).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.instances import DECOMMISSIONED, Instance
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.runtime.clock import Clock, Timer

log = logging.getLogger(__name__)

Json = dict[str, Any]

AT_ONCE = 100
RETRY = 10.0  # seconds
RETRIES_BEFORE_FORCE = 5  # then Mesos is told to give no more grace

# Nobody would answer a kill of these.
SILENT = frozenset((c.UNREACHABLE, c.UNREACHABLE_INACTIVE, c.UNKNOWN, c.DROPPED, c.GONE))


class _Kill:
    __slots__ = ("attempts", "due", "instance")

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.attempts = 0
        self.due = 0.0


class KillService:
    """Kills what it is given. ``call`` sends a call of the scheduler API."""

    def __init__(self, clock: Clock, tracker: InstanceTracker, call: Callable[[Json], None]) -> None:
        self._clock = clock
        self._tracker = tracker
        self._call = call
        self._waiting: OrderedDict[str, _Kill] = OrderedDict()
        self._under_way: dict[str, _Kill] = {}
        self._timer: Timer | None = None
        tracker.subscribe(self._changed)

    def kill(self, instances: Iterable[Instance], why: str) -> None:
        """End their tasks. What follows is the goal's business: one that shall run gets another task."""
        for instance in tuple(instances):
            if instance.id in self._waiting or instance.id in self._under_way:
                continue
            if instance.condition in SILENT:
                log.info("%s is not reachable and is forgotten: %s", instance.id, why)
                self._tracker.expunge(instance)
            elif instance.active:
                log.info("kill %s: %s", instance.task_id, why)
                self._waiting[instance.id] = _Kill(instance)
        self._proceed()

    def decommission(self, instances: Iterable[Instance], why: str) -> None:
        """End them for good."""
        chosen = tuple(instances)
        for instance in chosen:
            self._tracker.set_goal(instance, DECOMMISSIONED)
        self.kill((each for each in chosen if each.id in self._tracker.by_id), why)

    def kill_task(self, task_id: str, agent_id: str) -> None:
        """One that Marathon does not know."""
        self._call(_kill_call(task_id, agent_id, None))

    def close(self) -> None:
        """Send no more kills."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        self._under_way.clear()

    def _proceed(self) -> None:
        while self._waiting and len(self._under_way) < AT_ONCE:
            _, kill = self._waiting.popitem(last=False)
            if kill.instance.launched:
                self._under_way[kill.instance.id] = kill
                self._send(kill)
        self._arm()

    def _send(self, kill: _Kill) -> None:
        kill.attempts += 1
        kill.due = self._clock.time() + RETRY
        force = kill.attempts > RETRIES_BEFORE_FORCE
        self._call(_kill_call(kill.instance.task_id, kill.instance.agent_id, 0 if force else None))

    def _arm(self) -> None:
        if self._timer is None and self._under_way:
            due = min(kill.due for kill in self._under_way.values())
            self._timer = self._clock.call_later(due - self._clock.time(), self._again)

    def _again(self) -> None:
        self._timer = None
        now = self._clock.time()
        for kill in tuple(self._under_way.values()):
            if kill.due <= now:
                if kill.instance.condition in SILENT:
                    del self._under_way[kill.instance.id]
                    self._tracker.expunge(kill.instance)
                else:
                    self._send(kill)
        self._proceed()

    def _changed(self, instance: Instance, before: str) -> None:
        if instance.launched and instance.id in self._tracker.by_id:
            return
        self._waiting.pop(instance.id, None)
        if self._under_way.pop(instance.id, None) is not None and self._waiting:
            self._proceed()


def _kill_call(task_id: str, agent_id: str, grace: int | None) -> Json:
    kill: Json = {"task_id": {"value": task_id}}
    if agent_id:
        kill["agent_id"] = {"value": agent_id}
    if grace is not None:
        kill["kill_policy"] = {"grace_period": {"nanoseconds": grace}}
    return {"type": "KILL", "kill": kill}

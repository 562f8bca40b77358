"""What Mesos says of tasks, and what Marathon makes of it.

``core/task/update/impl/TaskStatusUpdateProcessorImpl.scala`` and ``core/instance/update/InstanceUpdater.scala``: an
update is acknowledged once what it changed is stored; a task that Marathon does not know is killed, unless it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.backoff import RateLimiter
from labkit.embedded.marathon.core.instances import RUN, Instance, app_id_of, instance_id_of
from labkit.embedded.marathon.core.kills import KillService
from labkit.embedded.marathon.core.tracker import InstanceTracker, status_fields
from labkit.embedded.marathon.events import EventBus, stamp
from labkit.embedded.runtime.clock import Clock

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App

Json = dict[str, Any]

FAILURE_STATES = frozenset((c.ERROR, c.FAILED, c.GONE, c.DROPPED, c.UNKNOWN, c.UNREACHABLE))


class UpdateProcessor:
    """Takes the UPDATE events of the driver. ``app(id)`` gives an app as it is wanted now, None when it was deleted."""

    def __init__(
        self,
        clock: Clock,
        tracker: InstanceTracker,
        limiter: RateLimiter,
        kills: KillService,
        bus: EventBus,
        call: Callable[[Json], None],
        app: Callable[[str], App | None],
    ) -> None:
        self._clock = clock
        self._tracker = tracker
        self._limiter = limiter
        self._kills = kills
        self._bus = bus
        self._call = call
        self._app = app
        self.last_failures: dict[str, Json] = {}  # by app: the last task of it that failed

    def process(self, status: Json) -> None:
        """One update; acknowledged by and by."""
        task_id = status["task_id"]["value"]
        instance_id = instance_id_of(task_id)
        instance = self._tracker.by_id.get(instance_id) if instance_id else None
        condition = c.condition(status)
        if instance is None or instance.task_id != task_id:
            self._stranger(instance_id, task_id, status, condition)
            self._acknowledge(status)
            return
        stored = self._update(instance, status, condition)
        if stored is None:
            self._acknowledge(status)
        else:
            stored.add_done_callback(lambda done: self._when_stored(done, status))

    def _when_stored(self, done: asyncio.Future[None], status: Json) -> None:
        if not done.cancelled() and done.exception() is None:
            self._acknowledge(status)

    def _acknowledge(self, status: Json) -> None:
        uuid = status.get("uuid")
        if uuid:  # updates that a master made up have none
            self._call(
                {
                    "type": "ACKNOWLEDGE",
                    "acknowledge": {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid},
                }
            )

    def _stranger(self, instance_id: str | None, task_id: str, status: Json, condition: str) -> None:
        """A task that no instance owns: left over from one that was given up."""
        if condition in c.TERMINAL:
            if instance_id is not None and instance_id not in self._tracker.by_id:
                self._bus.publish(
                    "unknown_instance_terminated_event",
                    {"instanceId": instance_id, "runSpecId": app_id_of(instance_id), "condition": condition},
                )
        elif condition not in c.LOST and condition != c.KILLING:
            self._kills.kill_task(task_id, status.get("agent_id", {}).get("value", ""))

    def _update(self, instance: Instance, status: Json, condition: str) -> asyncio.Future[None] | None:
        before, now = instance.condition, self._clock.time()
        if before in c.TERMINAL or before == c.SCHEDULED:
            return None  # late: its end has been told already
        if condition == before or (condition == c.UNREACHABLE and before == c.UNREACHABLE_INACTIVE):
            status_fields(instance, status, now)
            self._mesos_health(instance, status)
            return None
        status_fields(instance, status, now)
        if condition == c.UNREACHABLE:
            unreachable = status.get("unreachable_time", {}).get("nanoseconds")
            instance.unreachable_since = unreachable / 1e9 if unreachable else now
        elif condition != c.UNREACHABLE_INACTIVE:
            instance.unreachable_since = None
        self._publish_status(instance, status)
        also = [self._failure(instance, status, condition, now)] if condition in FAILURE_STATES else []
        if condition in c.TERMINAL:
            return self._ended(instance, condition, also)
        stored = self._tracker.change(instance, condition, *also)
        if condition in c.ADVANCES_DELAY:
            self._limiter.advance(instance.app, now)
        self._mesos_health(instance, status)
        return stored

    def _ended(self, instance: Instance, condition: str, also: list[Any]) -> asyncio.Future[None] | None:
        if condition in c.WORTH_A_DELAY:
            self._limiter.add(instance.app, self._clock.time())
        before, instance.condition, instance.since = instance.condition, condition, self._clock.time()
        self._tracker.tell(instance, before)
        if instance.id not in self._tracker.by_id:
            return self._tracker.save(instance, *also)
        app = self._app(instance.app_id)
        if instance.goal == RUN and app is not None:
            self._tracker.reschedule(instance, app)
            return self._tracker.save(instance, *also)
        self._tracker.expunge(instance)
        return self._tracker.save(instance, *also)

    def _mesos_health(self, instance: Instance, status: Json) -> None:
        """COMMAND and MESOS_* health checks are the executor's: it says ``healthy`` in its updates."""
        if "healthy" in status and instance.running:
            self._mesos_checked(instance, bool(status["healthy"]), status)

    _mesos_checked: Callable[[Instance, bool, Json], object] = staticmethod(lambda *_: None)

    def on_mesos_health(self, fn: Callable[[Instance, bool, Json], object]) -> None:
        """Have ``fn(instance, healthy, status)`` called with what executors say of health."""
        self._mesos_checked = fn

    def _failure(self, instance: Instance, status: Json, condition: str, now: float) -> Any:
        failure = {
            "appId": instance.app_id,
            "host": instance.host,
            "message": status.get("message", ""),
            "state": status.get("state", c.task_state(condition)),
            "taskId": instance.task_id,
            "timestamp": stamp(now),
            "version": instance.version,
            "slaveId": instance.agent_id,
        }
        self.last_failures[instance.app_id] = failure
        return ("taskFailures", instance.app_id, failure)

    def unhealthy(self, instance: Instance, reason: str) -> None:
        """A task that is killed for its health is the app's last failure, too (``TaskFailure.scala``)."""
        status = {"state": "TASK_KILLED", "message": f"Task was killed since health check failed. Reason: {reason}"}
        self._tracker.save(instance, self._failure(instance, status, instance.condition, self._clock.time()))

    def _publish_status(self, instance: Instance, status: Json) -> None:
        self._bus.publish(
            "status_update_event",
            {
                "slaveId": instance.agent_id,
                "taskId": instance.task_id,
                "taskStatus": status.get("state", ""),
                "message": status.get("message", ""),
                "appId": instance.app_id,
                "host": instance.host,
                "ipAddresses": list(instance.ip_addresses),
                "ports": list(instance.ports),
                "version": instance.version,
            },
        )

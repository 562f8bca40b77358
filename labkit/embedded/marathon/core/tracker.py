"""The instances of all apps: in memory, in ZooKeeper, and told to whoever must know.

``core/task/tracker/InstanceTracker.scala``. Instances that only wait for their first launch are kept in memory alone:
how many there have to be follows from the app, so a new leader schedules them anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, ValuesView
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.instances import DECOMMISSIONED, RUN, Instance
from labkit.embedded.marathon.core.store import Change, Store
from labkit.embedded.marathon.events import EventBus
from labkit.embedded.runtime.clock import Clock

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App

Json = dict[str, Any]

KIND = "instance"
Listener = Callable[[Instance, str], object]  # the instance, and the condition that it had


class InstanceTracker:
    """Use the methods to change an instance; they store what must be and tell the listeners, in this order:
    listeners first (they may decide what shall become of it), then the event stream."""

    def __init__(self, clock: Clock, store: Store, bus: EventBus) -> None:
        self._clock = clock
        self._store = store
        self._bus = bus
        self.by_id: dict[str, Instance] = {}
        self._by_app: dict[str, dict[str, Instance]] = {}
        self._listeners: list[Listener] = []
        self._health_listeners: list[Callable[[Instance], object]] = []

    # -- looking

    def of_app(self, app_id: str) -> ValuesView[Instance]:
        """All instances of an app, whatever their condition."""
        return self._by_app.get(app_id, _NONE).values()

    def apps(self) -> list[str]:
        """Apps that have instances, or had a moment ago."""
        return [app_id for app_id, instances in self._by_app.items() if instances]

    def count(self, app_id: str) -> int:
        """Instances that count for an app's target: wanted, and not given up as inactive."""
        return sum(1 for each in self.of_app(app_id) if each.goal == RUN and each.condition != c.UNREACHABLE_INACTIVE)

    def subscribe(self, fn: Listener) -> None:
        """Have ``fn(instance, condition before)`` called after each change of a condition or goal."""
        self._listeners.append(fn)

    def subscribe_health(self, fn: Callable[[Instance], object]) -> None:
        """Have ``fn(instance)`` called when it became healthy, unhealthy or ready."""
        self._health_listeners.append(fn)

    # -- changing

    def add(self, instance: Instance) -> None:
        """Take up an instance: one that is new, or was loaded."""
        self.by_id[instance.id] = instance
        self._by_app.setdefault(instance.app_id, {})[instance.id] = instance

    def schedule(self, app: App, id: str) -> Instance:
        """A new instance that waits for its launch."""
        instance = Instance(id, app, self._clock.time())
        self.add(instance)
        self.tell(instance, "")
        return instance

    def provision(self, instances: Iterable[Instance]) -> asyncio.Future[None]:
        """These are about to be launched (their task, agent and ports are set already): store them.

        Only when the future is done may Mesos be asked to launch them.
        """
        now, changes = self._clock.time(), []
        provisioned = list(instances)
        for instance in provisioned:
            instance.condition, instance.since, instance.staged_at = c.PROVISIONED, now, now
            instance.stored = True
            changes.append((KIND, instance.id, instance.as_json()))
        stored = self._store.save(changes)
        for instance in provisioned:
            self.tell(instance, c.SCHEDULED)
        return stored

    def change(self, instance: Instance, condition: str, *also: Change) -> asyncio.Future[None] | None:
        """It has another condition. What is stored of it is in the future; None when nothing needs to be stored."""
        before, instance.condition, instance.since = instance.condition, condition, self._clock.time()
        self.tell(instance, before)
        return self.save(instance, *also)

    def save(self, instance: Instance, *also: Change) -> asyncio.Future[None] | None:
        """Store it as it is now, if it has been stored before or has a task."""
        changes = list(also)
        if instance.id not in self.by_id:
            if instance.stored:
                instance.stored = False
                changes.append((KIND, instance.id, None))
        elif instance.stored:
            changes.append((KIND, instance.id, instance.as_json()))
        return self._store.save(changes) if changes else None

    def reschedule(self, instance: Instance, app: App) -> None:
        """Its task has ended and another one shall take its place, of the given version."""
        before = instance.condition
        instance.app = app
        instance.condition, instance.since = c.SCHEDULED, self._clock.time()
        instance.healthy, instance.ready = None, False
        instance.staged_at = instance.started_at = instance.unreachable_since = None
        instance.ports, instance.ip_addresses = (), ()
        for fn in self._listeners:
            fn(instance, before)

    def set_goal(self, instance: Instance, goal: str = DECOMMISSIONED) -> None:
        """What shall become of it. One that has no task, and shall have none, is gone at once."""
        if instance.goal == goal:
            return
        instance.goal = goal
        if goal == DECOMMISSIONED and not instance.launched:
            self.expunge(instance)
            return
        for fn in self._listeners:
            fn(instance, instance.condition)
        self.save(instance)

    def expunge(self, instance: Instance) -> asyncio.Future[None] | None:
        """Forget it; the listeners hear of it once more, as one that ended."""
        if self.by_id.pop(instance.id, None) is None:
            return None
        of_app = self._by_app.get(instance.app_id)
        if of_app is not None:
            of_app.pop(instance.id, None)
            if not of_app:
                del self._by_app[instance.app_id]
        before = instance.condition
        if before not in c.TERMINAL:
            instance.condition, instance.since = c.KILLED, self._clock.time()
            self.tell(instance, before)
        else:
            for fn in self._listeners:
                fn(instance, before)
        if not instance.stored:
            return None
        instance.stored = False
        return self._store.save([(KIND, instance.id, None)])

    def withdraw(self, app_id: str, wanted: int) -> None:
        """Forget instances that still wait for their launch, as many as there are more than ``wanted``.

        What does not run goes before what does, whatever the kill selection says.
        """
        surplus = self.count(app_id) - wanted
        for instance in [each for each in self.of_app(app_id) if each.scheduled][::-1][: max(0, surplus)]:
            self.expunge(instance)

    def set_healthy(self, instance: Instance, healthy: bool | None) -> None:
        """What the health checks say of it, all together."""
        if instance.healthy is healthy:
            return
        instance.healthy = healthy
        self._bus.publish(
            "instance_health_changed_event",
            {
                "instanceId": instance.id,
                "runSpecId": instance.app_id,
                "healthy": healthy,
                "runSpecVersion": instance.version,
            },
        )
        self.save(instance)
        self.told_health(instance)

    def told_health(self, instance: Instance) -> None:
        """It became healthy, unhealthy or ready: let those know who asked for it."""
        for fn in self._health_listeners:
            fn(instance)

    def tell(self, instance: Instance, before: str) -> None:
        """Its condition has changed: let everybody know."""
        for fn in self._listeners:
            fn(instance, before)
        self._bus.publish(
            "instance_changed_event",
            {
                "instanceId": instance.id,
                "condition": instance.condition,
                "runSpecId": instance.app_id,
                "agentId": instance.agent_id or None,
                "host": instance.host or None,
                "runSpecVersion": instance.version,
            },
        )


_NONE: dict[str, Instance] = {}


def status_fields(instance: Instance, status: Json, now: float) -> None:
    """Take over what a task status says: addresses, when it started, since when nobody reaches it."""
    instance.status = status
    instance.message = status.get("message", "")
    infos = status.get("container_status", {}).get("network_infos", ())
    addresses = [
        {"ipAddress": address["ip_address"], "protocol": address.get("protocol", "IPv4")}
        for info in infos
        for address in info.get("ip_addresses", ())
        if "ip_address" in address
    ]
    if addresses:
        instance.ip_addresses = tuple(addresses)
    if status.get("state") == "TASK_RUNNING" and instance.started_at is None:
        instance.started_at = now

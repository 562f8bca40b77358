"""Everything that a leading Marathon holds, from when it is elected until it leads no more.

A term begins with what ZooKeeper has, and ends at once: whatever is under way then is the next leader's business.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from labkit.embedded.marathon.core.backoff import RateLimiter
from labkit.embedded.marathon.core.deployments import Deployments
from labkit.embedded.marathon.core.deployments.actions import Tools
from labkit.embedded.marathon.core.groups import Groups
from labkit.embedded.marathon.core.health import HealthChecks
from labkit.embedded.marathon.core.instances import DECOMMISSIONED, Instance, safe_path
from labkit.embedded.marathon.core.kills import KillService
from labkit.embedded.marathon.core.launchqueue import LaunchQueue
from labkit.embedded.marathon.core.offers import OfferProcessor
from labkit.embedded.marathon.core.options import Options
from labkit.embedded.marathon.core.probing import Prober
from labkit.embedded.marathon.core.store import Session, Store
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.marathon.core.updates import UpdateProcessor
from labkit.embedded.marathon.core.upkeep import Upkeep
from labkit.embedded.marathon.events import EventBus
from labkit.embedded.marathon.specs import enforces_role
from labkit.embedded.runtime.clock import Clock

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App

Json = dict[str, Any]

FRAMEWORK = "framework-id"
REMOVED = "Framework has been removed"
MakeDriver = Callable[..., Any]  # (framework, received, connected, disconnected) -> a SchedulerDriver


class Term:
    """``gave_up()`` is called when it cannot go on: nothing can be stored, or Mesos has ended the framework."""

    def __init__(
        self,
        clock: Clock,
        options: Options,
        session: Session,
        prober: Prober,
        bus: EventBus,
        make_driver: MakeDriver,
        rng: random.Random,
        host_port: str,
        gave_up: Callable[[], None],
    ) -> None:
        self.clock = clock
        self.options = options
        self.bus = bus
        self.ready = False
        self._over = False
        self.began_at = clock.time()
        self.driver: Any = None
        self.framework_id: str | None = None
        self._make_driver = make_driver
        self._host_port = host_port
        self._rng = rng
        self._gave_up = gave_up
        self.store = Store(session, gave_up)
        self.limiter = RateLimiter()
        self.tracker = InstanceTracker(clock, self.store, bus)
        self.queue = LaunchQueue(clock, self.tracker, self.limiter, self._new_id, self._queue_changed)
        self.kills = KillService(clock, self.tracker, self.call)
        self.groups = Groups(clock, self.store, bus, options, rng)
        self.updates = UpdateProcessor(clock, self.tracker, self.limiter, self.kills, bus, self.call, self.groups.app)
        self.health = HealthChecks(self.tracker, self.kills, bus, prober, lambda: self.ready)
        self.updates.on_mesos_health(self.health.mesos_checked)
        self.health.on_kill(self.updates.unhealthy)
        self.offers = OfferProcessor(
            clock, self.tracker, self.queue, self.call, options.matching, options, rng,
            lambda app: enforces_role(app.id, self.groups.root, options.specs),
        )  # fmt: skip
        tools = Tools(self.tracker, self.queue, self.kills, prober, bus, self._app_stopped)
        self.deployments = Deployments(tools, self.store)
        self.groups.deployments = self.deployments
        self.upkeep = Upkeep(
            clock, options, self.tracker, self.queue, self.kills, self.limiter, self.groups, self.deployments, self.call
        )

    async def begin(self) -> None:
        """Take up what is stored, then talk to Mesos. Raises when ZooKeeper cannot be read."""
        found = await self.store.load()
        if self._over:  # another may lead by now: subscribing again would throw its framework out
            return
        self.groups.load(found)
        for body in found.get("instance", {}).values():
            app = self.groups.app_at(body["appId"], body["version"]) or self.groups.app(body["appId"])
            if app is None:  # of an app whose every version was forgotten: nobody can want it
                self.store.save([("instance", body["id"], None)])
                continue
            self.tracker.add(Instance.from_json(body, app))
        self.updates.last_failures.update(found.get("taskFailures", {}))
        self.framework_id = found.get(FRAMEWORK, {}).get("id", {}).get("value")
        self.ready = True
        for instance in tuple(self.tracker.by_id.values()):
            if instance.goal == DECOMMISSIONED:
                self.kills.kill([instance], "to be ended")
            elif instance.scheduled:
                self.tracker.reschedule(instance, instance.app)
        self.health.resume()
        self.deployments.resume(found.get("deployment", {}), self.groups.root_at)
        self.upkeep.start()
        self.driver = self._make_driver(self._framework(), self._received, self._connected, self._disconnected)
        await self.driver.start()

    async def end(self) -> None:
        """Lead no more. The framework lives on in Mesos until its failover timeout."""
        self.stop()
        if self.driver is not None:
            await self.driver.stop()

    def stop(self) -> None:
        """What of :meth:`end` has to happen at once."""
        self.ready, self._over = False, True
        for part in (self.upkeep, self.deployments, self.offers, self.queue, self.kills, self.health, self.store):
            part.close()

    def call(self, call: Json) -> None:
        """Send a call of the scheduler API. Without a master it is lost: reconciliation makes up for it."""
        if self.driver is not None and self.ready:
            self.driver.call(call)

    @property
    def mesos_leader_url(self) -> str | None:
        """``mesos_leader_ui_url`` of ``/v2/info``: the master that the framework speaks to."""
        leader = self.driver.leader if self.driver is not None else None
        if not leader:
            return None
        host = leader.get("hostname") or leader.get("address", {}).get("ip")
        return f"http://{host}:{leader.get('port', 5050)}/"

    # -- Mesos

    def _framework(self) -> Json:
        options = self.options
        framework: Json = {
            "name": options.framework_name,
            "user": options.mesos_user,
            "roles": [options.specs.mesos_role],
            "capabilities": [
                {"type": "PARTITION_AWARE"},
                {"type": "TASK_KILLING_STATE"},
                {"type": "MULTI_ROLE"},
                {"type": "REGION_AWARE"},
            ],
            "failover_timeout": options.failover_timeout,
            "checkpoint": options.checkpoint,
            "hostname": self._host_port.rpartition(":")[0],
            "webui_url": f"http://{self._host_port}",
        }
        if options.principal is not None:
            framework["principal"] = options.principal
        if self.framework_id is not None:
            framework["id"] = {"value": self.framework_id}
        return framework

    def _received(self, event: Json) -> None:
        handler = self._HANDLERS.get(event["type"])
        if handler is not None and self.ready:
            handler(self, event)

    def _subscribed(self, event: Json) -> None:
        subscribed = event["subscribed"]
        framework_id = subscribed["framework_id"]["value"]
        info = subscribed.get("master_info", {})
        master = f"{info.get('hostname', '')}:{info.get('port', '')}"
        if framework_id != self.framework_id:
            self.framework_id = framework_id
            self.store.save([(FRAMEWORK, "id", {"value": framework_id})])
            self.bus.publish("scheduler_registered_event", {"frameworkId": framework_id, "master": master})
        else:
            self.bus.publish("scheduler_reregistered_event", {"master": master})
        self.offers.subscribed()
        self.upkeep.reconcile()

    def _offers(self, event: Json) -> None:
        self.offers.offered(event["offers"]["offers"])

    def _rescind(self, event: Json) -> None:
        self.offers.rescinded(event["rescind"]["offer_id"]["value"])

    def _update(self, event: Json) -> None:
        self.updates.process(event["update"]["status"])

    def _error(self, event: Json) -> None:
        """Mesos wants it no more. Was the framework torn down, then the next leader begins a new one.

        By the words alone, as ``MarathonScheduler.error`` has it: a scheduler that was only taken over from ("Framework
        failed over") must leave the id to its successor.
        """
        if event.get("error", {}).get("message") != REMOVED:
            self._gave_up()
            return
        self.framework_id = None
        stored = self.store.save([(FRAMEWORK, "id", None)])
        stored.add_done_callback(lambda _: self._gave_up())

    def _connected(self) -> None:
        """SUBSCRIBED follows."""

    def _disconnected(self) -> None:
        if self.ready:
            self.bus.publish("scheduler_disconnected_event", {})

    _HANDLERS: ClassVar = {
        "SUBSCRIBED": _subscribed,
        "OFFERS": _offers,
        "RESCIND": _rescind,
        "UPDATE": _update,
        "ERROR": _error,
    }

    # -- the parts among each other

    def _new_id(self, app: App) -> str:
        return f"{safe_path(app.id)}.instance-{uuid.UUID(int=self._rng.getrandbits(128), version=4)}"

    def _queue_changed(self) -> None:
        if self.driver is not None and self.driver.connected:
            self.offers.queue_changed()

    def _app_stopped(self, app_id: str) -> None:
        if self.updates.last_failures.pop(app_id, None) is not None:
            self.store.save([("taskFailures", app_id, None)])

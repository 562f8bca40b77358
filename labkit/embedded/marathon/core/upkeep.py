"""What nobody asks for and has to be done all the same: reconciling, scaling back to what is wanted, giving up.

``MarathonSchedulerActor.scala`` (scale checks, reconciliation), ``OverdueInstancesActor.scala``,
``ExpungeOverdueLostTasksActor.scala`` and the steps of ``core/task/update/impl/steps`` of Marathon.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon import planning
from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.backoff import RateLimiter
from labkit.embedded.marathon.core.deployments import Deployments
from labkit.embedded.marathon.core.groups import Groups
from labkit.embedded.marathon.core.instances import RUN, Instance
from labkit.embedded.marathon.core.kills import KillService
from labkit.embedded.marathon.core.launchqueue import LaunchQueue
from labkit.embedded.marathon.core.options import Options
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.runtime.clock import Clock, Timer

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Upkeep:
    """The leader's chores."""

    def __init__(
        self,
        clock: Clock,
        options: Options,
        tracker: InstanceTracker,
        queue: LaunchQueue,
        kills: KillService,
        limiter: RateLimiter,
        groups: Groups,
        deployments: Deployments,
        call: Callable[[Json], None],
    ) -> None:
        self._clock = clock
        self._options = options
        self._tracker = tracker
        self._queue = queue
        self._kills = kills
        self._limiter = limiter
        self._groups = groups
        self._deployments = deployments
        self._call = call
        self._timers: dict[str, Timer] = {}
        self._unreachable: dict[str, Instance] = {}
        tracker.subscribe(self._changed)

    def start(self) -> None:
        """Begin, each chore after its own first delay."""
        options = self._options
        self._every("reconcile", options.reconciliation_initial_delay, options.reconciliation_interval, self.reconcile)
        self._every("scale", options.scale_apps_initial_delay, options.scale_apps_interval, self.scale_all)
        self._every("overdue", options.overdue_interval, options.overdue_interval, self._overdue)
        self._every("expunge", options.expunge_interval, options.expunge_interval, self._give_up)
        for instance in self._tracker.by_id.values():
            if instance.condition in (c.UNREACHABLE, c.UNREACHABLE_INACTIVE):
                self._unreachable[instance.id] = instance

    def close(self) -> None:
        """Do nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _every(self, name: str, first: float, interval: float, fn: Callable[[], object]) -> None:
        def due() -> None:
            self._timers[name] = self._clock.call_later(interval, due)
            fn()

        self._timers[name] = self._clock.call_later(first, due)

    # -- reconciliation

    def reconcile(self) -> None:
        """Ask Mesos for the state of all tasks: of those that are known here, then of all that it knows."""
        self._orphans()
        tasks = [
            {"task_id": {"value": each.task_id}, "agent_id": {"value": each.agent_id}}
            for each in self._tracker.by_id.values()
            if each.launched and each.task_id
        ]
        if tasks:
            self._call({"type": "RECONCILE", "reconcile": {"tasks": tasks}})
        self._call({"type": "RECONCILE", "reconcile": {"tasks": []}})

    def _orphans(self) -> None:
        """Instances of apps that do not exist any more, of which no deployment takes care."""
        for app_id in self._tracker.apps():
            if self._groups.app(app_id) is None and not self._deployments.locked(app_id):
                self._kills.decommission(tuple(self._tracker.of_app(app_id)), "its app does not exist")

    # -- how many there are

    def scale_all(self) -> None:
        """As many instances of every app as it wants, of those that no deployment works on."""
        self._limiter.forget_overdue(self._clock.time())
        locked = {app_id for each in self._deployments.running.values() for app_id in each.plan.affected}
        for app in self._groups.root.all_apps.values():
            if app.id not in locked:
                self._scale(app)
        used = {(each.app_id, each.version): each.app for each in self._tracker.by_id.values()}
        self._groups.forget(used.values())

    def scale(self, app_id: str) -> None:
        """As many instances of that app as it wants, unless a deployment takes care of it."""
        app = self._groups.app(app_id)
        if self._timers and app is not None and not self._deployments.locked(app_id):
            self._scale(app)

    def _scale(self, app: App) -> None:
        self._tracker.withdraw(app.id, app.instances)
        proposition = planning.propose(app, self._tracker.of_app(app.id))
        if proposition.to_decommission:
            self._kills.decommission(proposition.to_decommission, "more instances than wanted")
        if proposition.to_start > 0:
            self._queue.add(app, proposition.to_start)

    # -- what takes too long

    def _overdue(self) -> None:
        """Tasks that were launched, and of which nothing is heard, or which do not get to run."""
        now, options = self._clock.time(), self._options
        for instance in tuple(self._tracker.by_id.values()):
            limit = {
                c.PROVISIONED: options.task_launch_confirm_timeout,
                c.STAGING: options.task_launch_timeout,
                c.STARTING: options.task_launch_timeout,
            }.get(instance.condition)
            if limit is not None and instance.staged_at is not None and instance.staged_at + limit <= now:
                self._kills.kill([instance], "overdue")

    # -- what nobody reaches

    def _changed(self, instance: Instance, before: str) -> None:
        if instance.condition == c.UNREACHABLE and instance.id in self._tracker.by_id:
            self._unreachable[instance.id] = instance
            strategy = instance.app.unreachable
            if strategy is not None and before != c.UNREACHABLE and strategy.inactive_after <= 0:
                asyncio.get_running_loop().call_soon(self._give_up)
        elif instance.condition != c.UNREACHABLE_INACTIVE:
            self._unreachable.pop(instance.id, None)
            if before == c.UNREACHABLE_INACTIVE:  # it is back: there may be one too many now
                asyncio.get_running_loop().call_soon(self.scale, instance.app_id)

    def _give_up(self) -> None:
        """Unreachable ones become inactive, so that others take their place, and are forgotten in the end."""
        if not self._timers:
            return
        now = self._clock.time()
        for instance in tuple(self._unreachable.values()):
            strategy = instance.app.unreachable
            if strategy is None or instance.id not in self._tracker.by_id:
                if instance.id not in self._tracker.by_id:
                    self._unreachable.pop(instance.id, None)
                continue
            since = instance.unreachable_since if instance.unreachable_since is not None else instance.since
            if instance.condition == c.UNREACHABLE and now >= since + strategy.inactive_after:
                self._tracker.change(instance, c.UNREACHABLE_INACTIVE)
                self.scale(instance.app_id)
            if instance.condition == c.UNREACHABLE_INACTIVE and now >= since + strategy.expunge_after:
                log.info("%s has been unreachable for too long and is forgotten", instance.id)
                self._unreachable.pop(instance.id, None)
                self._tracker.expunge(instance)
                if instance.goal == RUN:
                    self.scale(instance.app_id)

"""What a deployment does to one app: stop, scale or restart it, until its instances are as wanted.

``core/deployment/impl``: ``DeploymentActor``, ``TaskStartActor``, ``TaskReplaceActor`` and ``ReadinessBehavior`` of
Marathon. The arithmetic is in :mod:`labkit.embedded.marathon.planning`; an action listens, asks it, and acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.marathon import planning
from labkit.embedded.marathon.core import conditions as c
from labkit.embedded.marathon.core.instances import RUN, Instance
from labkit.embedded.marathon.core.kills import KillService
from labkit.embedded.marathon.core.launchqueue import LaunchQueue
from labkit.embedded.marathon.core.probing import Prober
from labkit.embedded.marathon.core.readiness import ReadinessChecks
from labkit.embedded.marathon.core.tracker import InstanceTracker
from labkit.embedded.marathon.events import EventBus
from labkit.embedded.marathon.specs import App

Json = dict[str, Any]


@dataclass(frozen=True)
class Tools:
    """What actions work with."""

    tracker: InstanceTracker
    queue: LaunchQueue
    kills: KillService
    prober: Prober
    bus: EventBus
    stopped: Callable[[str], object]  # an app is gone for good: forget what is kept of it


class Running:
    """An action under way. ``done`` is set when its app is as wanted; ``end`` stops listening and nothing else."""

    def __init__(self, tools: Tools, action: planning.Action) -> None:
        self.tools = tools
        self.action = action
        self.app: App = action.app
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.readiness = ReadinessChecks(tools.prober, self.health_changed)

    def begin(self) -> None:
        """Do the first things."""
        self.finish()

    def end(self) -> None:
        """It is over, or was cancelled."""
        self.readiness.close()
        if not self.done.done():
            self.done.cancel()

    def finish(self) -> None:
        """Its app is as wanted."""
        if not self.done.done():
            self.done.set_result(None)

    @property
    def finished(self) -> bool:
        """Is there nothing left to do? Also true when it was cancelled."""
        return self.done.done()

    def changed(self, instance: Instance, before: str) -> None:
        """An instance of the app has another condition or goal."""

    def health_changed(self, instance: Instance) -> None:
        """An instance of the app became healthy, unhealthy or ready."""

    # -- what new instances have to be

    def serves(self, instance: Instance) -> bool:
        """It runs, is healthy and ready, as far as anything could say so."""
        if not instance.running or instance.goal != RUN:
            return False
        if self.app.health_checks and instance.healthy is not True:
            return False
        return instance.ready or not self.app.readiness_checks

    def watch_readiness(self, instance: Instance) -> None:
        """Ask a new instance whether it is ready, if the app has a check for that."""
        if self.app.readiness_checks and instance.running and not instance.ready:
            self.readiness.start(instance)


class Stop(Running):
    """All instances end; then the app is forgotten."""

    def begin(self) -> None:
        tracker = self.tools.tracker
        self.tools.kills.decommission(tuple(tracker.of_app(self.app.id)), "the app is deleted")
        self._check()

    def changed(self, instance: Instance, before: str) -> None:
        self._check()

    def _check(self) -> None:
        if self.finished or any(each.launched for each in self.tools.tracker.of_app(self.app.id)):
            return
        for instance in tuple(self.tools.tracker.of_app(self.app.id)):
            self.tools.tracker.expunge(instance)
        self.tools.queue.reset_delay(self.app)
        self.tools.bus.publish("app_terminated_event", {"appId": self.app.id})
        self.tools.stopped(self.app.id)
        self.finish()


class Scale(Running):
    """First those that are too many end, then those that are missing are started and waited for."""

    def begin(self) -> None:
        tracker = self.tools.tracker
        self._mine: set[str] | None = None  # those that this action started; None: not yet
        self._missing: set[str] = set()  # of those, the ones that do not serve yet
        self._dying: set[str] = set()
        if not self.action.to_kill:
            tracker.withdraw(self.app.id, self.action.scale_to)
        proposition = planning.propose(self.app, tracker.of_app(self.app.id), self.action.scale_to, self.action.to_kill)
        self._dying = {each.id for each in proposition.to_decommission}
        self.tools.kills.decommission(proposition.to_decommission, "scaling")
        self._start_when_room()

    def changed(self, instance: Instance, before: str) -> None:
        if self.finished:
            return
        gone = instance.id not in self.tools.tracker.by_id
        if self._mine is None:
            if instance.id in self._dying and (gone or not instance.launched):
                self._dying.discard(instance.id)
                self._start_when_room()
        elif instance.id in self._mine:
            if gone or instance.goal != RUN:  # somebody killed it for good: another one takes its place
                self._mine.discard(instance.id)
                self._missing.discard(instance.id)
                self._add(1)
            else:
                self.watch_readiness(instance)
                self.health_changed(instance)

    def health_changed(self, instance: Instance) -> None:
        if self.finished or self._mine is None or instance.id not in self._mine:
            return
        if self.serves(instance):
            self._missing.discard(instance.id)
            self._check()
        else:
            self._missing.add(instance.id)

    def _start_when_room(self) -> None:
        if self._mine is None and not self._dying:
            there = self.tools.tracker.of_app(self.app.id)
            count = sum(1 for each in there if each.goal == RUN and (each.active or each.scheduled))
            self._mine = set()
            self._add(max(0, self.action.scale_to - count))
            self._check()

    def _add(self, count: int) -> None:
        assert self._mine is not None
        for instance in self.tools.queue.add(self.app, count):
            self._mine.add(instance.id)
            self._missing.add(instance.id)

    def _check(self) -> None:
        if not self._missing and not self.finished:
            self.finish()


class Restart(Running):
    """New instances take the place of old ones, as fast as the upgrade strategy allows."""

    def begin(self) -> None:
        if self.app.instances == 0:
            self.finish()
            return
        tracker = self.tools.tracker
        stale: list[Instance] = []
        current: list[Instance] = []
        for instance in tracker.of_app(self.app.id):
            waits = instance.scheduled and instance.version != self.app.version
            (stale if waits else current).append(instance)
        self._acting = True
        self._state = planning.to_replace(self.app, current)
        self._serving: set[str] = set()
        for instance in current:
            if instance.version == self.app.version:
                self.watch_readiness(instance)
                if self.serves(instance):
                    self._serving.add(instance.id)
        for instance in stale:
            tracker.expunge(instance)  # it waited with the old definition; this action is told of it, too
        self.tools.queue.reset_delay(self.app)
        for _ in range(self._state.strategy.kill_now):
            self._kill_next("to make room for the new version")
        self._start()
        self._acting = False
        self._check()

    def changed(self, instance: Instance, before: str) -> None:
        if self.finished:
            return
        if instance.id in self._state.old:
            self._old_changed(instance)
        elif instance.version == self.app.version:
            self._new_changed(instance)
        self._check()

    def health_changed(self, instance: Instance) -> None:
        if not self.finished:
            self.changed(instance, instance.condition)

    def _old_changed(self, instance: Instance) -> None:
        gone = instance.id not in self.tools.tracker.by_id
        if not gone and not (instance.goal == RUN and instance.condition in c.TERMINAL):
            return
        self._state.old.discard(instance.id)
        if instance.id in self._state.to_kill:
            self._state.to_kill.remove(instance.id)
        if not gone:  # it ended by itself: what follows it is of the new version
            self.tools.tracker.set_goal(instance)
        if not self._acting:
            self._start()

    def _new_changed(self, instance: Instance) -> None:
        if instance.id not in self.tools.tracker.by_id or instance.goal != RUN:
            if instance.launched and instance.id in self.tools.tracker.by_id:
                return  # about to end; counted when it has
            self._serving.discard(instance.id)
            self._state.started = max(0, self._state.started - 1)
            if not self._acting:
                self._start()
            return
        self.watch_readiness(instance)
        if not self.serves(instance):
            if instance.condition in c.TERMINAL or instance.scheduled:
                self._serving.discard(instance.id)
        elif instance.id not in self._serving:
            self._serving.add(instance.id)
            self._kill_next(f"{instance.id} serves in its place")

    def _kill_next(self, why: str) -> None:
        id = self._state.kill_next()
        instance = self.tools.tracker.by_id.get(id) if id is not None else None
        if instance is not None:
            self.tools.kills.decommission([instance], why)
        elif id is not None:
            self._state.old.discard(id)

    def _start(self) -> None:
        count = self._state.start_now()
        if count:
            self.tools.queue.add(self.app, count)

    def _check(self) -> None:
        # More than wanted may serve for a moment when an older attempt of this deployment has left some.
        if not self.finished and not self._state.old and len(self._serving) >= self.app.instances:
            self.finish()


RUNNING: dict[str, type[Running]] = {
    "StartApplication": Running,  # it starts no instances: the scaling that follows does
    "ScaleApplication": Scale,
    "RestartApplication": Restart,
    "StopApplication": Stop,
}

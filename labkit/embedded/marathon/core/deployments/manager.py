"""Which deployments run, which apps they lock, and how they begin and end.

``core/deployment/impl/DeploymentManagerActor.scala`` and ``DeploymentActor.scala``. A deployment is stored before it
begins and until it ends; a new leader begins those that it finds from their first step, and finds most of it done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from labkit.embedded.marathon import planning
from labkit.embedded.marathon.core.deployments.actions import RUNNING, Running, Stop, Tools
from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.core.store import Change, Store
from labkit.embedded.marathon.specs.errors import AppLocked
from labkit.embedded.marathon.specs.groups import Group
from labkit.embedded.runtime.chores import Chores

log = logging.getLogger(__name__)

Json = dict[str, Any]

KIND = "deployment"
CANCELLED = "The upgrade has been cancelled"


class Deployment:
    """One that runs. ``step`` counts from 1; 0: it has not begun."""

    def __init__(self, plan: planning.DeploymentPlan) -> None:
        self.plan = plan
        self.step = 0
        self.actions: list[Running] = []
        self.task: asyncio.Task[None] | None = None

    def readiness(self) -> dict[str, list[Json]]:
        """Results of readiness checks by app."""
        return {each.app.id: each.readiness.results() for each in self.actions}

    def as_json(self) -> Json:
        """An item of ``/v2/deployments``."""
        return planning.step_info_json(self.plan, self.step, self.readiness())


class Deployments:
    """All that run, in the order in which they began."""

    def __init__(self, tools: Tools, store: Store, settled: Callable[[], object] = lambda: None) -> None:
        """``settled()`` is called when apps are unlocked."""
        self._tools = tools
        self._store = store
        self._settled = settled
        self._chores = Chores()
        self._actions: dict[str, Running] = {}  # by app
        self._checked: dict[str, str] = {}  # the version of each app whose health checks were announced
        self.running: dict[str, Deployment] = {}
        tools.tracker.subscribe(self._changed)
        tools.tracker.subscribe_health(self._health_changed)

    # -- looking

    def of_app(self, app_id: str) -> list[str]:
        """The ids of those that work on it."""
        return [each.plan.id for each in self.running.values() if app_id in each.plan.affected]

    def locked(self, app_id: str) -> bool:
        """Does one work on that app?"""
        return any(app_id in each.plan.affected for each in self.running.values())

    def readiness(self, app_id: str) -> list[Json]:
        """``readinessCheckResults`` of ``/v2/deployments``, of the action that works on the app."""
        action = self._actions.get(app_id)
        return action.readiness.results() if action is not None else []

    # -- beginning and ending

    def check(self, plan: planning.DeploymentPlan, force: bool) -> list[Deployment]:
        """Those that it would cancel. Raises :class:`AppLocked` unless it is forced."""
        found = planning.conflicts(plan, (each.plan for each in self.running.values()))
        if found and not force:
            raise AppLocked([each.id for each in found])
        return [self.running[each.id] for each in found]

    def changes(self, plan: planning.DeploymentPlan, cancelled: list[Deployment]) -> list[Change]:
        """What has to be stored for it to begin."""
        found: list[Change] = [(KIND, each.plan.id, None) for each in cancelled]
        if not plan.is_empty:
            body: Json = {"id": plan.id, "version": plan.version}
            body["original"], body["target"] = plan.original.version, plan.target.version
            body["toKill"] = {
                action.app.id: list(action.to_kill) for step in plan.steps for action in step.actions if action.to_kill
            }
            found.append((KIND, plan.id, body))
        return found

    def start(self, plan: planning.DeploymentPlan, cancelled: list[Deployment]) -> None:
        """Begin: it is stored. Those that it takes the place of end."""
        for each in cancelled:
            self._end(each, CANCELLED)
        deployment = self.running[plan.id] = Deployment(plan)
        deployment.task = self._chores.start(self._run(deployment))

    def resume(self, stored: dict[str, Json], root_at: Callable[[str], Group | None]) -> None:
        """Begin again what an earlier leader had begun. ``root_at(version)`` gives the root group as it was."""
        for body in sorted(stored.values(), key=lambda each: str(each["version"])):
            original, target = root_at(body["original"]), root_at(body["target"])
            if original is None or target is None:
                log.warning("deployment %s is forgotten: its groups are not kept any more", body["id"])
                self._store.save([(KIND, body["id"], None)])
                continue
            self.start(planning.plan(original, target, body["version"], body["id"], body.get("toKill")), [])

    async def cancel(self, id: str) -> None:
        """Stop where it is: nothing is undone."""
        deployment = self.running.get(id)
        if deployment is not None:
            await self._store.save([(KIND, id, None)])
            self._end(deployment, CANCELLED)

    def close(self) -> None:
        """This Marathon leads no more: nobody is told anything."""
        self._chores.cancel()
        for action in tuple(self._actions.values()):
            action.end()
        self._actions.clear()
        self.running.clear()

    def _end(self, deployment: Deployment, reason: str | None) -> None:
        if self.running.pop(deployment.plan.id, None) is None:
            return
        if deployment.task is not None and deployment.task is not asyncio.current_task():
            deployment.task.cancel()
        self._release(deployment)
        plan = deployment.plan
        fields: Json = {"id": plan.id, "plan": planning.plan_json(plan)}
        if reason is None:
            self._publish("deployment_success", plan, fields)
        else:
            self._publish("deployment_failed", plan, {**fields, "reason": reason})
        self._settled()

    def _release(self, deployment: Deployment) -> None:
        for action in deployment.actions:
            action.end()
            if self._actions.get(action.app.id) is action:
                del self._actions[action.app.id]
        deployment.actions = []

    # -- running

    async def _run(self, deployment: Deployment) -> None:
        plan = deployment.plan
        try:
            for number, step in enumerate(plan.steps, 1):
                await self._perform(deployment, number, step)
        except Exception as error:
            log.exception("deployment %s", plan.id)
            await self._store.save([(KIND, plan.id, None)])
            self._end(deployment, str(error))
            return
        await self._store.save([(KIND, plan.id, None)])
        self._end(deployment, None)

    async def _perform(self, deployment: Deployment, number: int, step: planning.Step) -> None:
        plan, tools = deployment.plan, self._tools
        deployment.step = number
        fields = {"plan": planning.plan_json(plan), "currentStep": planning.steps_json(plan)[number - 1]}
        self._publish("deployment_info", plan, fields)
        deployment.actions = [RUNNING[action.name](tools, action) for action in step.actions]
        for action in deployment.actions:
            self._actions[action.app.id] = action
        for action in deployment.actions:
            self._announce(action)
            action.begin()
        try:
            for action in deployment.actions:
                await action.done
        except Exception:
            self._publish("deployment_step_failure", plan, fields)
            raise
        self._release(deployment)
        self._publish("deployment_step_success", plan, fields)

    def _announce(self, action: Running) -> None:
        """Tell of the health checks that come with a version of an app, and go with the app."""
        app, bus = action.app, self._tools.bus
        if isinstance(action, Stop):
            self._checked.pop(app.id, None)
            for _ in app.health_checks:
                bus.publish("remove_health_check_event", {"appId": app.id})
        elif app.health_checks and self._checked.get(app.id) != app.version:
            self._checked[app.id] = app.version
            for check in app.health_checks:
                fields = {"appId": app.id, "version": app.version, "healthCheck": check}
                bus.publish("add_health_check_event", fields)

    def _publish(self, kind: str, plan: planning.DeploymentPlan, fields: Json) -> None:
        self._tools.bus.publish(kind, fields, lambda: (plan.original.to_json(), plan.target.to_json()))

    def _changed(self, instance: Instance, before: str) -> None:
        action = self._actions.get(instance.app_id)
        if action is not None:
            action.changed(instance, before)

    def _health_changed(self, instance: Instance) -> None:
        action = self._actions.get(instance.app_id)
        if action is not None:
            action.health_changed(instance)

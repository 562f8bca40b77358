"""The steps of a deployment (``core/deployment/DeploymentPlan.scala``).

Steps come one after the other; the actions of one step run at the same time. First all that is gone is stopped, then
what is new is started with no instances, then every layer of the dependencies is scaled or restarted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from labkit.embedded.marathon.specs import dependencies
from labkit.embedded.marathon.specs.app import App
from labkit.embedded.marathon.specs.groups import Group

START, SCALE, STOP, RESTART = "StartApplication", "ScaleApplication", "StopApplication", "RestartApplication"


@dataclass(frozen=True, slots=True)
class Action:
    """One of the four things that can be done to an app."""

    name: str
    app: App
    to_kill: tuple[str, ...] = ()  # SCALE: ids of instances that have to be among those that go

    @property
    def scale_to(self) -> int:
        """How many instances there are to be when it is done."""
        return 0 if self.name in (START, STOP) else self.app.instances


@dataclass(frozen=True, slots=True)
class Step:
    """What is done at once; the next step begins when all of it is through."""

    actions: tuple[Action, ...]


@dataclass(frozen=True)
class DeploymentPlan:
    """``id`` is a UUID; ``version`` is that of the target."""

    id: str
    original: Group
    target: Group
    steps: tuple[Step, ...]
    version: str

    @cached_property
    def affected(self) -> tuple[str, ...]:
        """The apps that it does something to, in the order of the steps: they are locked as long as it runs."""
        return tuple(dict.fromkeys(action.app.id for step in self.steps for action in step.actions))

    @property
    def is_empty(self) -> bool:
        """Is there nothing to do?"""
        return not self.steps

    def is_affected_by(self, other: DeploymentPlan) -> bool:
        """Do both work on some app?"""
        return not set(self.affected).isdisjoint(other.affected)


def conflicts(plan: DeploymentPlan, running: Iterable[DeploymentPlan]) -> list[DeploymentPlan]:
    """Those that work on one of its apps: the plan is refused (``AppLocked``), or forced, which cancels them."""
    return [other for other in running if other.id != plan.id and plan.is_affected_by(other)]


def plan(
    original: Group,
    target: Group,
    version: str,
    id: str,
    to_kill: Mapping[str, Iterable[str]] | None = None,
) -> DeploymentPlan:
    """What leads from one root group to the other.

    ``target`` has its versions (``specs.prepare``). ``to_kill``: app id → ids of instances to kill while it is scaled.
    """
    before, after = original.all_apps, target.all_apps
    killed = to_kill or {}
    stops = [Action(STOP, app) for key, app in before.items() if key not in after]
    starts = [Action(START, app) for key, app in after.items() if key not in before]
    changed = {key for key, app in after.items() if before.get(key) != app}
    steps = [stops, starts]
    for layer in dependencies.layers(target, changed) if changed else ():
        steps.append([action for key in layer if (action := _action(before.get(key), after[key], killed))])
    return DeploymentPlan(id, original, target, tuple(Step(tuple(each)) for each in steps if each), version)


def _action(old: App | None, new: App, to_kill: Mapping[str, Iterable[str]]) -> Action | None:
    if old is None:
        return Action(SCALE, new)
    if old.is_only_scale_change(new) or new.instances == 0:
        return Action(SCALE, new, tuple(to_kill.get(new.id, ())))
    if old.needs_restart(new):
        return Action(RESTART, new)
    return None

"""The root group: what apps there shall be. Every change of it is a deployment.

``core/group/impl/GroupManagerImpl.scala`` and ``storage/repository``: changes come one after the other; a root group is
stored by the versions of its apps, and each version of an app once, for as long as some kept root or instance has it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon import planning
from labkit.embedded.marathon.core.options import Options
from labkit.embedded.marathon.core.store import Change, Store
from labkit.embedded.marathon.events import EventBus
from labkit.embedded.marathon.specs import (
    App,
    Group,
    NoSuchApp,
    RollBack,
    SpecError,
    Unprocessable,
    empty_root,
    prepare,
    timestamp,
)
from labkit.embedded.runtime.clock import Clock

if TYPE_CHECKING:
    from random import Random

    from labkit.embedded.marathon.core.deployments import Deployments

Json = dict[str, Any]

ROOT = "root"
ChangeRoot = Callable[[Group, str], Group | Awaitable[Group]]  # the root as it is, and the version of the change


class TooManyDeployments(SpecError):
    """``TooManyRunningDeploymentsException``."""

    status = 403

    def __init__(self, most: int) -> None:
        super().__init__(
            f"Max number ({most}) of running deployments is achieved. Wait for existing deployments to complete or "
            "cancel one using force=true parameter. You can increase max deployment number by using "
            "--max_running_deployments parameter but be advised that this can have negative effects on the performance."
        )


class Groups:
    """The root group, its history, and the versions of apps."""

    def __init__(self, clock: Clock, store: Store, bus: EventBus, options: Options, rng: Random) -> None:
        self._clock = clock
        self._store = store
        self._bus = bus
        self._options = options
        self._rng = rng
        self._lock = asyncio.Lock()
        self.deployments: Deployments | None = None  # set by whoever makes both
        self.root: Group = empty_root()
        self._roots: dict[str, Json] = {}  # by version
        self._apps: dict[str, dict[str, App]] = {}  # by id and version

    # -- loading

    def load(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what the store had, by kind and key."""
        for body in found.get("app", {}).values():
            app = App.from_json(body)
            self._apps.setdefault(app.id, {})[app.version] = app
        for key, body in found.get("group", {}).items():
            if key == ROOT:
                self.root = self._group(body)
            else:
                self._roots[key.removeprefix(f"{ROOT}:")] = body

    # -- looking

    def app(self, app_id: str) -> App | None:
        """As it shall be."""
        return self.root.app(app_id)

    def app_versions(self, app_id: str) -> list[str]:
        """All that are kept, the newest first."""
        return sorted(self._apps.get(app_id, ()), reverse=True)

    def app_at(self, app_id: str, version: str) -> App | None:
        """An app as it was in that version, None when that is not kept."""
        return self._apps.get(app_id, {}).get(version)

    def versions(self, group_id: str) -> list[str]:
        """Of the root groups that had that group, the newest first."""
        kept = sorted(self._roots, reverse=True)
        return [version for version in kept if self.root_at(version).group(group_id) is not None]  # type: ignore[union-attr]

    def root_at(self, version: str) -> Group | None:
        """The whole tree as it was in that version, None when that is not kept."""
        if version == self.root.version:
            return self.root
        body = self._roots.get(version)
        return None if body is None else self._group(body)

    # -- changing

    def next_version(self) -> str:
        """Now; a later one than that of the root, should two changes come in one millisecond."""
        now = self._clock.time()
        version = timestamp(now)
        while version <= self.root.version:
            now += 0.001
            version = timestamp(now)
        return version

    async def update(
        self,
        group_id: str,
        change: ChangeRoot,
        *,
        force: bool = False,
        to_kill: Mapping[str, Iterable[str]] | None = None,
    ) -> planning.DeploymentPlan:
        """Change it and deploy the change. Raises SpecError (409 when an app is locked), StoreFailed."""
        assert self.deployments is not None
        async with self._lock:
            version = self.next_version()
            try:
                return await self._update(group_id, change, version, force, to_kill)
            except SpecError as error:
                fields = {"groupId": group_id, "version": version, "reason": str(error)}
                self._bus.publish("group_change_failed", fields)
                raise

    async def _update(
        self,
        group_id: str,
        change: ChangeRoot,
        version: str,
        force: bool,
        to_kill: Mapping[str, Iterable[str]] | None,
    ) -> planning.DeploymentPlan:
        deployments = self.deployments
        assert deployments is not None
        if len(deployments.running) >= self._options.max_running_deployments:
            raise TooManyDeployments(self._options.max_running_deployments)
        original = self.root
        changed = change(original, version)
        if not isinstance(changed, Group):
            changed = await changed
        target = prepare(original, changed, version, self._options.specs)
        plan = planning.plan(original, target, version, self._new_id(), to_kill)
        cancelled = deployments.check(plan, force)
        await self._store.save([*self._root_changes(original, target), *deployments.changes(plan, cancelled)])
        self.root = target
        self._bus.publish("group_change_success", {"groupId": group_id, "version": version})
        deployments.start(plan, cancelled)
        return plan

    async def patch(self, change: Callable[[Group], Group]) -> None:
        """Change what no deployment is needed for."""
        async with self._lock:
            target = change(self.root)
            await self._store.save([("group", ROOT, self._refs(target))])
            self.root = target

    def rolled_back(self, back: RollBack) -> App:
        """The app as it was. Raises NoSuchApp."""
        app = self.app_at(back.app, back.version)
        if app is None:
            raise NoSuchApp(back.app)
        return app

    def group_rolled_back(self, back: RollBack) -> Group:
        """The group as it was. Raises Unprocessable."""
        root = self.root_at(back.version)
        group = None if root is None else root.group(back.app)
        if group is None:
            raise Unprocessable(f"Group {back.app} not available in version {back.version}")
        return group

    def forget(self, used: Iterable[App]) -> None:
        """Drop versions of apps that no kept root has, but for those of instances that still run."""
        keep = {(app.id, app.version) for app in used}
        for body in [*self._roots.values(), self._refs(self.root)]:
            keep.update(_references(body))
        gone = [(id, version) for id, kept in self._apps.items() for version in kept if (id, version) not in keep]
        for id, version in gone:
            del self._apps[id][version]
            if not self._apps[id]:
                del self._apps[id]
        if gone:
            self._store.save([("app", f"{id}:{version}", None) for id, version in gone])

    # -- as it is stored

    def _root_changes(self, original: Group, target: Group) -> list[Change]:
        before = original.all_apps
        changes: list[Change] = []
        for id, app in target.all_apps.items():
            kept = self._apps.setdefault(id, {})
            if before.get(id) is not app and app.version not in kept:
                kept[app.version] = app
                changes.append(("app", f"{id}:{app.version}", app.to_json()))
        refs = self._refs(target)
        if original.version not in self._roots:
            self._roots[original.version] = self._refs(original)
            changes.append(("group", f"{ROOT}:{original.version}", self._roots[original.version]))
        self._roots[target.version] = refs
        changes += [("group", f"{ROOT}:{target.version}", refs), ("group", ROOT, refs)]
        for version in sorted(self._roots)[: -self._options.zk_max_versions]:
            del self._roots[version]
            changes.append(("group", f"{ROOT}:{version}", None))
        return changes

    def _refs(self, group: Group) -> Json:
        """A group by the versions of its apps."""
        found: Json = {
            "id": group.id,
            "apps": {id: app.version for id, app in group.apps.items()},
            "groups": [self._refs(each) for each in group.groups.values()],
            "dependencies": sorted(group.dependencies),
            "version": group.version,
        }
        if group.enforce_role is not None:
            found["enforceRole"] = group.enforce_role
        return found

    def _group(self, body: Json) -> Group:
        groups = [self._group(each) for each in body["groups"]]
        return Group(
            body["id"],
            {id: app for id, version in body["apps"].items() if (app := self.app_at(id, version)) is not None},
            {group.id: group for group in groups},
            frozenset(body["dependencies"]),
            body["version"],
            body.get("enforceRole"),
        )

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def _references(body: Json) -> Iterable[tuple[str, str]]:
    yield from body["apps"].items()
    for each in body["groups"]:
        yield from _references(each)

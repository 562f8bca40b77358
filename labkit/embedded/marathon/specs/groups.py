"""The tree of groups and apps (``state/Group.scala``, ``state/RootGroup.scala``). Immutable: changes make new trees.

The root group is an ordinary ``Group`` with the id ``/``. As in Marathon, a change gives its version to every group of
the tree; apps keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from labkit.embedded.marathon.specs import paths
from labkit.embedded.marathon.specs.app import App
from labkit.embedded.marathon.specs.versions import NEVER

Json = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """A group with everything below it."""

    id: str
    apps: Mapping[str, App] = field(default_factory=dict)  # its own, by id
    groups: Mapping[str, Group] = field(default_factory=dict)  # directly below, by id
    dependencies: frozenset[str] = frozenset()
    version: str = NEVER
    enforce_role: bool | None = None  # only top-level groups have it

    def __post_init__(self) -> None:
        wanted = (self.enforce_role or False) if paths.is_top_level(self.id) else None
        if wanted != self.enforce_role:
            object.__setattr__(self, "enforce_role", wanted)

    # -- looking

    @cached_property
    def all_apps(self) -> dict[str, App]:
        """Of the group and of all groups below, by id."""
        found = dict(self.apps)
        for group in self.groups.values():
            found.update(group.all_apps)
        return found

    def all_groups(self) -> Iterator[Group]:
        """The group itself, and all below."""
        yield self
        for group in self.groups.values():
            yield from group.all_groups()

    def app(self, app: str) -> App | None:
        """An app below it, by its absolute id."""
        group = self.group(paths.parent(app))
        return group.apps.get(app) if group is not None else None

    def group(self, group: str) -> Group | None:
        """Itself, or one below, by its absolute id."""
        if not paths.is_within(group, self.id):
            return None
        here: Group | None = self
        for name in paths.names(group)[len(paths.names(self.id)) :]:
            assert here is not None
            here = here.groups.get(paths.child(here.id, name))
            if here is None:
                return None
        return here

    def to_json(self) -> Json:
        """The whole tree, to be stored; ``from_json`` reads it back."""
        return {
            "id": self.id,
            "apps": [app.to_json() for app in self.apps.values()],
            "groups": [group.to_json() for group in self.groups.values()],
            "dependencies": sorted(self.dependencies),
            "version": self.version,
            **({} if self.enforce_role is None else {"enforceRole": self.enforce_role}),
        }

    @classmethod
    def from_json(cls, data: Json) -> Group:
        apps = [App.from_json(each) for each in data.get("apps", ())]
        groups = [cls.from_json(each) for each in data.get("groups", ())]
        return cls(
            data["id"],
            {app.id: app for app in apps},
            {group.id: group for group in groups},
            frozenset(data.get("dependencies", ())),
            data.get("version", NEVER),
            data.get("enforceRole"),
        )

    # -- changing; these are for the root group

    def at(self, version: str) -> Group:
        """The same with this version in every group."""
        if not self.groups:
            return self if self.version == version else self._like(version=version)
        return self._like(version=version, groups={key: group.at(version) for key, group in self.groups.items()})

    def put(self, group: Group, version: str) -> Group:
        """With this group at its place, instead of the one that may be there; missing parents are made."""
        result = group
        for path in paths.parents(group.id):
            there = self.group(path) or Group(path)
            result = there._like(groups={**there.groups, result.id: result})
        return result.at(version)

    def make(self, group: str) -> Group:
        """With a group of this id: nothing changes if there is one."""
        return self if self.group(group) is not None else self.put(Group(group, version=self.version), self.version)

    def with_app(self, app: App, version: str) -> Group:
        """With this app, instead of the one that may be there."""
        there = self.group(paths.parent(app.id)) or Group(paths.parent(app.id))
        # An empty group of the same id gives way; one that has apps is found by the validation.
        groups = {key: group for key, group in there.groups.items() if key != app.id or group.all_apps}
        return self.put(there._like(apps={**there.apps, app.id: app}, groups=groups), version)

    def with_apps(self, apps: Mapping[str, App], version: str) -> Group:
        """With all of these, which are there already: one pass over the tree."""
        if not apps:
            return self.at(version)

        def visit(group: Group) -> Group:
            return group._like(
                apps={key: apps.get(key, app) for key, app in group.apps.items()},
                groups={key: visit(each) for key, each in group.groups.items()},
                version=version,
            )

        return visit(self)

    def update_apps(self, group: str, change: Callable[[App], App], version: str) -> Group:
        """With every app of a group, however deep, changed (``updateTransitiveApps``)."""
        there = self.group(group)
        return self.with_apps({key: change(app) for key, app in there.all_apps.items()} if there else {}, version)

    def with_dependencies(self, group: str, dependencies: frozenset[str], version: str) -> Group:
        """With the dependencies of a group set, which is made if it is not there."""
        there = self.group(group) or Group(group)
        return self.put(there._like(dependencies=dependencies), version)

    def without_app(self, app: str, version: str) -> Group:
        """Without it; groups that are empty then stay."""
        there = self.group(paths.parent(app))
        if there is None or app not in there.apps:
            return self.at(version)
        return self.put(there._like(apps={key: each for key, each in there.apps.items() if key != app}), version)

    def without_group(self, group: str, version: str) -> Group:
        """Without the group and everything below. The root cannot be removed."""
        there = self.group(paths.parent(group))
        if there is None or group not in there.groups:
            return self.at(version)
        return self.put(there._like(groups={key: each for key, each in there.groups.items() if key != group}), version)

    def _like(self, **changes: Any) -> Group:
        return replace(self, **changes)


def empty_root(version: str = NEVER) -> Group:
    return Group(paths.ROOT, version=version)

"""Bodies for groups become a changed tree (``api/v2/GroupsResource.scala``, ``api/GroupApiService.scala``)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from labkit.embedded.marathon.specs import paths, raml
from labkit.embedded.marathon.specs.app import App
from labkit.embedded.marathon.specs.config import Config
from labkit.embedded.marathon.specs.errors import AppRejected, Conflict, Details, NoSuchGroup
from labkit.embedded.marathon.specs.groups import Group
from labkit.embedded.marathon.specs.reading import RollBack, as_app, normalized, read
from labkit.embedded.marathon.specs.roles import role_settings
from labkit.embedded.marathon.specs.rules import MOST_INSTANCES, TOO_MANY_INSTANCES
from labkit.embedded.marathon.specs.versions import Versions

Json = dict[str, Any]

ROLE_AND_SERVICES = (
    "enforceRole cannot be modified in a request that adds, removes or modifies services; please make these changes in "
    "separate requests."
)


@dataclass(frozen=True, slots=True)
class _Work:
    root: Group
    config: Config
    version: str


def update_group(
    group: str, data: Any, root: Group, config: Config, version: str, *, create: bool = False
) -> Group | RollBack:
    """The root group with one group replaced, scaled, or made (``PUT`` and ``POST /v2/groups``).

    ``group``: the path of the URL; the body may name one below it. ``create`` (POST): it must not exist yet. A
    ``RollBack`` has the group's id and the version whose group is to be put back. The result is for ``prepare``.
    """
    group = paths.absolute(group)
    update = read(raml.GROUP_UPDATE, data)
    path = paths.absolute(update["id"], group) if "id" in update else group
    errors = [("/", each) for each in paths.errors(group)]
    if "id" in update:
        errors += [("/", each) for each in paths.errors(update["id"])]
    if errors:
        raise AppRejected(errors)
    work = _Work(root, config, version)
    errors = _errors(update, group if create else path, work, _modifies_services(update))
    if errors:
        raise AppRejected(errors)
    if create:
        if root.group(path) is not None:
            raise Conflict(f"Group {path} is already created. Use PUT to change this group.")
        if root.app(path) is not None:
            raise Conflict(f"An app with the path {path} already exists.")
    if "version" in update:
        return RollBack(path, update["version"])
    if "scaleBy" in update:
        return root.update_apps(
            path, lambda app: app.with_instances(_scaled(app.instances, update["scaleBy"])), version
        )
    return root.put(_updated(update, path, root.group(path), work), version)


def update_enforce_role(group: str, data: Any, root: Group, config: Config) -> Group:
    """``PATCH /v2/groups/ID``: only whether the group lends its name as a role. Nothing is deployed."""
    update = read(raml.GROUP_PARTIAL_UPDATE, data)
    group = paths.absolute(group)
    if not paths.is_top_level(group):
        raise AppRejected([("/", "Path needs to be top-level")])
    there = root.group(group)
    if there is None:
        raise NoSuchGroup(group)
    enforced = update.get("enforceRole", config.new_group_enforce_role)
    changed = Group(there.id, there.apps, there.groups, there.dependencies, there.version, enforced)
    return Group(
        root.id, root.apps, {**root.groups, group: changed}, root.dependencies, root.version, root.enforce_role
    )


def _scaled(instances: int, by: float) -> int:
    """Rounded up."""
    if instances * by > MOST_INSTANCES:
        raise AppRejected([("/scaleBy", f"instances {TOO_MANY_INSTANCES}")])
    return math.ceil(instances * by)


def _modifies_services(update: Json) -> bool:
    return any(name in update for name in ("version", "scaleBy", "apps")) or any(
        _modifies_services(each) for each in update.get("groups") or ()
    )


def _errors(update: Json, base: str, work: _Work, services: bool, path: str = "") -> Details:
    """``Group.validNestedGroupUpdateWithBase``."""
    found: Details = []
    group = paths.absolute(update["id"], base) if "id" in update else base
    if update.get("enforceRole") and not paths.is_top_level(group):
        found.append(
            (f"{path}/enforceRole", f"enforceRole can only be set for top-level groups, and {group} is not top-level")
        )
    for name in ("version", "scaleBy"):
        if name in update and len(update) > 1:
            found.append((f"{path}/{name}", "not allowed in conjunction with other properties."))
    if "id" in update:
        found += [(f"{path}/id", each) for each in paths.errors(update["id"])]
    there = work.root.group(group)
    told = update.get("enforceRole")
    if services and there is not None and told not in (None, there.enforce_role) and paths.is_top_level(group):
        found.append((f"{path}/enforceRole", ROLE_AND_SERVICES))
    if len(paths.names(group)) >= paths.DEEPEST:
        found.append((f"{path}/id", paths.TOO_DEEP))
    for index, app in enumerate(update.get("apps") or ()):
        found += [(f"{path}/apps({index})/id", each) for each in paths.errors_below(app["id"], group)]
    for index, dependency in enumerate(update.get("dependencies") or ()):
        found += [(f"{path}/dependencies({index})", each) for each in paths.errors(dependency)]
    for index, each in enumerate(update.get("groups") or ()):
        found += _errors(each, group, work, services, f"{path}/groups({index})")
        if "id" not in each:
            found.append((f"{path}/groups({index})/id", "not defined"))
    return found


def _updated(update: Json, group: str, current: Group | None, work: _Work) -> Group:
    """The group as the update wants it: what it names replaces what is there, as a whole."""
    current = current or Group(group)
    apps, groups, dependencies = current.apps, current.groups, current.dependencies
    enforced = update.get("enforceRole", current.enforce_role if work.root.group(group) else None)
    if enforced is None and paths.is_top_level(group):
        enforced = work.config.new_group_enforce_role
    if paths.is_top_level(group) and enforced is not None:
        # The apps in this very update get their role from it.
        there = replace(current, enforce_role=enforced)
        root = replace(work.root, groups={**work.root.groups, group: there})
        work = _Work(root, work.config, work.version)
    if "apps" in update:
        found = [_app(each, group, work) for each in update["apps"]]
        apps = {app.id: app for app in found}
    if "groups" in update:
        groups = {}
        for each in update["groups"]:
            key = paths.absolute(each["id"], group)
            groups[key] = _updated(each, key, current.groups.get(key), work)
    if "dependencies" in update:
        dependencies = frozenset(paths.absolute(each, group) for each in update["dependencies"])
    return Group(group, apps, groups, dependencies, work.version, enforced if paths.is_top_level(group) else None)


def _app(decoded: Json, group: str, work: _Work) -> App:
    app_id = paths.absolute(decoded["id"], group)
    role, roles = role_settings(app_id, work.root, work.config)
    existing = work.root.app(app_id)
    body = normalized({**decoded, "id": app_id}, work.config, role, roles, group)
    return as_app(body, existing.versions if existing is not None else Versions(work.version))

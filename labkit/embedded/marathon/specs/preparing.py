"""A changed root group on its way to be deployed (``core/group/impl/GroupManagerImpl.scala``): service ports for those

who asked for any, versions for what has changed, and the rules that only the whole can break.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.embedded.marathon.specs import dependencies, paths
from labkit.embedded.marathon.specs.app import App
from labkit.embedded.marathon.specs.config import Config
from labkit.embedded.marathon.specs.errors import AppRejected, Details, PortRangeExhausted
from labkit.embedded.marathon.specs.groups import Group
from labkit.embedded.marathon.specs.versions import RESTART, Versions

Json = dict[str, Any]


def prepare(original: Group, changed: Group, version: str, config: Config) -> Group:
    """The target of a deployment. Raises ``AppRejected`` or ``PortRangeExhausted``."""
    target = with_service_ports(original, changed, config)
    target = with_versions(original, target, version)
    errors = root_errors(target, original)
    if errors:
        raise AppRejected(errors)
    return target


# -- service ports (core/group/impl/AssignDynamicServiceLogic.scala)


def with_service_ports(original: Group, changed: Group, config: Config) -> Group:
    """New and changed apps get a number for every service port that they left open.

    It is one that no other app has, and that the app itself had before, if possible.
    """
    before, after = original.all_apps, changed.all_apps
    open_ones = {
        key: app
        for key, app in after.items()
        if 0 in app.service_ports and (key not in before or before[key].is_upgrade(app))
    }
    if not open_ones:
        return changed
    used = {port for apps in (before, after) for app in apps.values() for port in app.service_ports}
    free = (port for port in config.ports if port not in used)
    return changed.with_apps(
        {key: _with_ports(app, before.get(key), free, config) for key, app in open_ones.items()}, changed.version
    )


def _with_ports(app: App, old: App | None, free: Iterator[int], config: Config) -> App:
    mine = set(app.service_ports)
    again = iter([port for port in (old.service_ports if old else ()) if port in config.ports and port not in mine])

    def number(port: int) -> int:
        if port:
            return port
        found = next(again, None) or next(free, None)
        if found is None:
            raise PortRangeExhausted(config.local_port_min, config.local_port_max)
        return found

    container = app.container
    if container and container.get("portMappings"):
        mappings = [{**each, "servicePort": number(each["servicePort"])} for each in container["portMappings"]]
        return app.with_fields(container={**container, "portMappings": mappings})
    return app.with_fields(
        portDefinitions=[{**each, "port": number(each["port"])} for each in app.body["portDefinitions"]]
    )


# -- versions (upgrade/GroupVersioningUtil.scala)


def with_versions(original: Group, changed: Group, version: str) -> Group:
    """Every group and every app that is not what it was gets the version."""
    before = original.all_apps
    found = {}
    for key, app in changed.all_apps.items():
        versions = _versions(before.get(key), app, version)
        if versions != app.versions:
            found[key] = app.with_versions(versions)
    return changed.with_apps(found, version)


def _versions(old: App | None, new: App, version: str) -> Versions:
    if old is None:
        return Versions.new(version)
    if old is new:
        return old.versions
    if old.is_upgrade(new):
        return Versions.new(version)
    if old.instances != new.instances:
        return old.versions.scale(version)
    if new.versions == RESTART:
        return old.versions.restart(version)
    return old.versions


# -- the whole (state/RootGroup.scala, state/Group.scala)


def root_errors(root: Group, original: Group | None = None) -> Details:
    """What is wrong with the tree. Apps were looked at one by one before."""
    found: Details = []
    if dependencies.has_cycle(root):
        found.append(("/", "Dependency graph has cyclic dependencies."))
    groups = list(root.all_groups())
    strays = {key for group in groups for key in group.groups if paths.parent(key) != group.id}
    for index, group in enumerate(groups):
        path = "/" if index == 0 else f"/groups({index - 1})"
        if any(key in group.apps for key in group.groups):
            found.append((path, "Groups and Applications may not have the same identifier."))
        if group.id in strays:
            found.append((path, "Group has to be child of groups with parent id"))
        for key in group.apps:
            if paths.parent(key) != group.id:
                found.append((f"/apps{key}", "App has to be child of group with parent id"))
    return found

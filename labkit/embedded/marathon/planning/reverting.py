"""How a deployment is undone while others may be under way (``core/deployment/impl/DeploymentPlanReverter.scala``)."""

from __future__ import annotations

from dataclasses import replace

from labkit.embedded.marathon.planning.plans import DeploymentPlan
from labkit.embedded.marathon.specs.groups import Group


def revert(plan: DeploymentPlan, root: Group, version: str) -> Group:
    """The root group without what the plan changed, and with whatever else happened since.

    Its apps were locked, so they simply become what they were. Groups were not: a group that the plan made only goes
    if nobody has put anything into it, and only those dependencies are taken back that the plan changed.
    """
    before, after = plan.original.all_apps, plan.target.all_apps
    for key in [*before, *(key for key in after if key not in before)]:
        old = before.get(key)
        if old == after.get(key):
            continue
        root = root.with_app(old, version) if old is not None else root.without_app(key, version)
    old_groups = {group.id: group for group in plan.original.all_groups()}
    new_groups = {group.id: group for group in plan.target.all_groups()}
    for key in sorted({*old_groups, *new_groups}, reverse=True):  # inner ones first
        root = _revert_group(root, old_groups.get(key), new_groups.get(key), version)
    return root


def _revert_group(root: Group, old: Group | None, new: Group | None, version: str) -> Group:
    if old is None:
        assert new is not None
        there = root.group(new.id)
        if there is not None and not there.apps and not there.groups and there.dependencies == new.dependencies:
            return root.without_group(new.id, version)
        if there is not None and new.dependencies:
            return root.with_dependencies(new.id, there.dependencies - new.dependencies, version)
        return root
    there = root.group(old.id) or Group(old.id, enforce_role=old.enforce_role)
    if new is None:
        wanted = there.dependencies | old.dependencies
    else:
        wanted = (there.dependencies | (old.dependencies - new.dependencies)) - (new.dependencies - old.dependencies)
    if root.group(old.id) is not None and wanted == there.dependencies:
        return root
    return root.put(replace(there, dependencies=wanted), version)

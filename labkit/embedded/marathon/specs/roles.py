"""Which roles an app may have (``util/RoleSettings.scala``)."""

from __future__ import annotations

from labkit.embedded.marathon.specs import paths
from labkit.embedded.marathon.specs.config import Config
from labkit.embedded.marathon.specs.groups import Group


def role_settings(app: str, root: Group, config: Config) -> tuple[str, tuple[str, ...]]:
    """The role it gets when it names none, and all that it may name.

    A top-level group can be told to lend its name to everything below (``enforceRole``).
    """
    default = config.mesos_role
    parts = paths.names(app)
    if len(parts) < 2:
        return default, (default,)
    top = parts[0]
    group = root.group("/" + top)
    enforced = config.new_group_enforce_role if group is None else bool(group.enforce_role)
    existing = root.app(app)
    roles = [top] if enforced else [default, top]
    if existing is not None:
        roles.append(existing.role)
    return roles[0], tuple(dict.fromkeys(roles))


def enforces_role(app: str, root: Group, config: Config) -> bool:
    """What tasks are told as ``MARATHON_APP_ENFORCE_GROUP_ROLE``."""
    parts = paths.names(app)
    if len(parts) < 2:
        return False
    group = root.group("/" + parts[0])
    return config.new_group_enforce_role if group is None else bool(group.enforce_role)

"""What a Marathon was started with, as far as matching depends on it (``mesos/MatcherConf.scala``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """The flags of the same names, and where this Marathon is. Compiled apps are kept per context: use one."""

    default_accepted_resource_roles: frozenset[str] = frozenset({"*"})  # with --mesos_role R: {"*", R}
    local_region: str | None = None  # of the leading Mesos master
    gpu_scheduling_behavior: str = "restricted"  # or "unrestricted"
    mesos_bridge_name: str = "mesos-bridge"
    env_vars_prefix: str = ""
    executor: str = "//cmd"

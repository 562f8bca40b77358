"""What a Marathon was started with, as far as specs depend on it (``MarathonConf.scala``)."""

from __future__ import annotations

from dataclasses import dataclass

ANY_ROLE = "*"

# Features that an operator can switch on (``Features.scala``). Off by default, as in a real Marathon.
SECRETS = "secrets"
GPU_RESOURCES = "gpu_resources"
EXTERNAL_VOLUMES = "external_volumes"


@dataclass(frozen=True, slots=True)
class Config:
    """The flags of the same names."""

    mesos_role: str = ANY_ROLE
    default_network_name: str | None = None
    mesos_bridge_name: str = "mesos-bridge"
    features: frozenset[str] = frozenset()
    local_port_min: int = 10000
    local_port_max: int = 20000
    new_group_enforce_role: bool = False  # "off" or "top"

    @property
    def ports(self) -> range:
        """From which service ports are given out."""
        return range(self.local_port_min, self.local_port_max + 1)

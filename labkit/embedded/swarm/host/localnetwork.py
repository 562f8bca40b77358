"""One network as a host knows it: plain data, kept as it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

PREDEFINED = ("bridge", "host", "none", "default")


@dataclass(slots=True, eq=False)
class LocalNetwork:
    """A network of one host, or this host's part of an overlay (``scope`` swarm)."""

    id: str
    name: str
    driver: str
    created: float
    subnet: str = ""
    gateway: str = ""
    scope: str = "local"
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def predefined(self) -> bool:
        return self.scope == "local" and self.name in PREDEFINED

    @property
    def has_addresses(self) -> bool:
        return bool(self.subnet)

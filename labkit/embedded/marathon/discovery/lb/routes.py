"""Which request goes to which service: the rules that both balancers follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.embedded.marathon.discovery.lb.model import Service

APP_ID_HEADER = "x-marathon-app-id"


@dataclass(frozen=True, slots=True)
class VhostRule:
    """Requests for one of ``hosts`` whose path begins with ``path`` go to ``service``."""

    hosts: tuple[str, ...]
    path: str
    service: Service

    def matches(self, host: str, path: str) -> bool:
        """``host`` is the Host header, with a port or not."""
        named = host.lower()
        return (named in self.hosts or named.partition(":")[0] in self.hosts) and path.startswith(self.path)


def vhost_rules(services: Sequence[Service]) -> list[VhostRule]:
    """The rules of the HTTP front end, in the order in which they are tried: heaviest first, then by app id."""
    rules = [VhostRule(each.vhosts, each.path, each) for each in services if each.vhosts]
    return sorted(rules, key=lambda rule: -rule.service.weight)


def app_rules(services: Sequence[Service]) -> dict[str, Service]:
    """App id -> its first HTTP service: what the header ``X-Marathon-App-Id`` on port 9091 chooses."""
    found: dict[str, Service] = {}
    for service in services:
        if service.mode == "http":
            found.setdefault(service.app_id.lower(), service)
    return found

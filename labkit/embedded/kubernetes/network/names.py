"""The cluster's names, as CoreDNS's ``kubernetes`` plugin answers them. Pure look-ups in the table of Services.

``web.default.svc.cluster.local`` is a Service: its cluster address, or those of its endpoints when it is headless;
``host.web.default.svc.cluster.local`` an endpoint of it; ``_http._tcp.web.…`` its port; ``127-1-2-3.default.pod.…`` a
pod.
"""

from __future__ import annotations

from labkit.embedded.kubernetes.network.rules import Endpoint, Service
from labkit.embedded.kubernetes.network.table import Rules

TTL = 30  # seconds, as in kubeadm's Corefile


class Names:
    """Answers by ``rules``. Names are in lower case, without the final dot."""

    def __init__(self, rules: Rules, domain: str = "cluster.local") -> None:
        self._rules = rules
        self._domain = domain

    def is_ours(self, name: str) -> bool:
        """Whether nobody else is asked about it."""
        return name == self._domain or name.endswith(f".{self._domain}")

    def addresses(self, name: str) -> list[str] | None:
        """Of a name; empty when it has none now, None when there is no such name."""
        parts = name.removesuffix(f".{self._domain}").split(".")
        if name == self._domain:
            return []
        if parts[-1] == "pod" and len(parts) == 3:
            return _dashed(parts[0])
        if parts[-1] != "svc":
            return None
        if len(parts) == 1:
            return []
        if len(parts) == 2:
            return [] if any(key[0] == parts[0] for key in self._rules.services) else None
        service = self._rules.services.get((parts[-2], parts[-3]))
        if service is None or service.external_name:
            return None
        if len(parts) == 3:
            if not service.headless:
                return [service.ip] if service.ip else None
            return [one.ip for one in service.named()] or None
        if len(parts) == 4:
            return [one.ip for one in service.named() if label_of(one) == parts[0]] or None
        if len(parts) == 5 and parts[0].startswith("_") and parts[1].startswith("_"):
            return [] if self.services(name) is not None else None
        return None

    def alias(self, name: str) -> str | None:
        """What an ``ExternalName`` stands for."""
        parts = name.removesuffix(f".{self._domain}").split(".")
        if len(parts) != 3 or parts[-1] != "svc" or not self.is_ours(name):
            return None
        service = self._rules.services.get((parts[1], parts[0]))
        return service.external_name or None if service is not None else None

    def services(self, name: str) -> list[tuple[str, int]] | None:
        """Target and port for ``_port._protocol.service.namespace.svc.domain``, or of all ports of a Service."""
        parts = name.removesuffix(f".{self._domain}").split(".")
        if not self.is_ours(name) or parts[-1] != "svc" or len(parts) not in (3, 5):
            return None
        service = self._rules.services.get((parts[-2], parts[-3]))
        if service is None or service.external_name:
            return None
        found: list[tuple[str, int]] = []
        for port in service.ports:
            wanted = [f"_{port.name.lower()}", f"_{port.protocol.lower()}"]
            if len(parts) == 5 and (not port.name or parts[:2] != wanted):
                continue
            if service.headless:
                named = {one.ip for one in service.named()}
                found += [(self._full(service, one), one.port) for one in port.endpoints if one.ip in named]
            else:
                found.append((self._full(service), port.number))
        return found or None

    def reverse(self, ip: str) -> str | None:
        """The name that belongs to an address of a Service, or of an endpoint that has a name of its own."""
        for service in self._rules.services.values():
            if service.ip == ip:
                return self._full(service)
        for service in self._rules.services.values():
            for one in service.named() if service.headless else ():
                if one.ip == ip:
                    return self._full(service, one)
        return None

    def _full(self, service: Service, endpoint: Endpoint | None = None) -> str:
        name = f"{service.name}.{service.namespace}.svc.{self._domain}"
        return name if endpoint is None else f"{label_of(endpoint)}.{name}"


def label_of(endpoint: Endpoint) -> str:
    """What an endpoint is called below its Service: its host name if it has one there, else its address with dashes."""
    return endpoint.hostname or endpoint.ip.replace(".", "-")


def _dashed(label: str) -> list[str] | None:
    parts = label.split("-")
    return [".".join(parts)] if len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts) else None

"""Published ports: who has which, and which are still free (SwarmKit ``allocator/portallocator.go``).

Ports in ingress mode are taken for the whole swarm. Ports in host mode are taken per node; the scheduler sees to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.objects import Json, Service

DYNAMIC_PORTS = range(30000, 32768)
"""Where a published port is taken from when the service names none."""


class PortsExhausted(Exception):
    """A port is taken, or none is left; the service stays without an endpoint until one gets free."""


def mode_of(port: Json) -> str:
    return str(port.get("PublishMode") or "ingress")


def protocol_of(port: Json) -> str:
    return str(port.get("Protocol") or "tcp")


def spec_ports(spec: Json) -> list[Json]:
    """The ports that a service spec asks for."""
    return list((spec.get("EndpointSpec") or {}).get("Ports") or ())


def needs_ingress(spec: Json) -> bool:
    """Does a service of this spec take part in the ingress network?"""
    return any(mode_of(port) == "ingress" for port in spec_ports(spec))


def check_port_conflicts(spec: Json, services: Iterable[Service], service_id: str = "") -> None:
    """What the control API asks before it creates or updates a service (``service_id``: the one that is updated).

    Raises :class:`RpcError` (InvalidArgument) when a port that ``spec`` publishes is taken by another service in a
    way that cannot stand beside it: ingress excludes everybody, host mode only ingress.
    """
    wanted: dict[str, set[Any]] = {"ingress": set(), "host": set()}
    for port in spec_ports(spec):
        if port.get("PublishedPort"):
            wanted[mode_of(port)].add((protocol_of(port), port["PublishedPort"]))
    if not any(wanted.values()):
        return
    for service in services:
        if service_id and service.id == service_id:
            continue
        for port in (*spec_ports(service.spec), *(service.endpoint.get("Ports") or ())):
            published = port.get("PublishedPort")
            key = (protocol_of(port), published)
            if not published:
                continue
            if mode_of(port) == "host" and key in wanted["ingress"]:
                raise _in_use(published, service, "a host-published port")
            if mode_of(port) == "ingress" and (key in wanted["ingress"] or key in wanted["host"]):
                raise _in_use(published, service, "an ingress port")


def _in_use(port: int, service: Service, how: str) -> RpcError:
    words = f"port '{port}' is already in use by service '{service.name}' ({service.id}) as {how}"
    return RpcError("InvalidArgument", words)


class PortSpace:
    """The ingress ports of a swarm, per protocol."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], str] = {}  # -> service id
        self._next: dict[str, int] = {}

    def claim(self, service_id: str, ports: Iterable[Json]) -> None:
        """Remember what a service has been given before (when a leader starts)."""
        for port in ports:
            if mode_of(port) == "ingress" and port.get("PublishedPort"):
                self._taken[protocol_of(port), port["PublishedPort"]] = service_id

    def release(self, service_id: str) -> None:
        """Forget all ports of a service."""
        self._taken = {key: holder for key, holder in self._taken.items() if holder != service_id}

    def allocate(self, service: Service) -> list[Json]:
        """The ``Ports`` of the service's endpoint: its spec's, with every ingress port's number filled in.

        A number that it was given before is kept. On :class:`PortsExhausted` nothing has changed.
        """
        ports = [dict(port) for port in spec_ports(service.spec)]
        before = dict(self._taken)
        self.release(service.id)
        try:
            sticky = self._sticky(service, ports)
            for port in ports:
                if mode_of(port) == "ingress" and port.get("PublishedPort"):
                    self._take(service.id, port)
            for port in ports:
                if mode_of(port) == "ingress" and not port.get("PublishedPort"):
                    remembered = sticky.get(_identity(port), [])
                    port["PublishedPort"] = remembered.pop(0) if remembered else self._free(protocol_of(port))
                    self._take(service.id, port)
        except PortsExhausted:
            self._taken = before
            raise
        return ports

    def _sticky(self, service: Service, ports: list[Json]) -> dict[Any, list[int]]:
        """Numbers that were chosen for the service's unnumbered ports, and that nobody else has taken since."""
        named = {(protocol_of(port), port["PublishedPort"]) for port in ports if port.get("PublishedPort")}
        sticky: dict[Any, list[int]] = {}
        for port in service.endpoint.get("Ports") or ():
            key = (protocol_of(port), port.get("PublishedPort"))
            if mode_of(port) == "ingress" and key not in named and key not in self._taken:
                sticky.setdefault(_identity(port), []).append(port["PublishedPort"])
        return sticky

    def _take(self, service_id: str, port: Json) -> None:
        key = (protocol_of(port), port["PublishedPort"])
        if key in self._taken:
            raise PortsExhausted(f"port {port['PublishedPort']} is already allocated")
        self._taken[key] = service_id

    def _free(self, protocol: str) -> int:
        """The next free dynamic port, going round: one that was just freed is not given out again at once."""
        start = self._next.get(protocol, DYNAMIC_PORTS.start)
        for step in range(len(DYNAMIC_PORTS)):
            port = DYNAMIC_PORTS[(start - DYNAMIC_PORTS.start + step) % len(DYNAMIC_PORTS)]
            if (protocol, port) not in self._taken:
                self._next[protocol] = port + 1 if port + 1 in DYNAMIC_PORTS else DYNAMIC_PORTS.start
                return port
        raise PortsExhausted("no free port left")


def _identity(port: Json) -> tuple[str, str, int]:
    return (str(port.get("Name", "")), protocol_of(port), int(port.get("TargetPort") or 0))

"""What a Service's addresses lead to: its ports and, behind each, the endpoints that may be chosen. Pure.

As kube-proxy makes it of a Service and its EndpointSlices (``pkg/proxy/endpointslicecache.go``, ``topology.go``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.kubernetes.objects import Json, Key, key_of

AFFINITY_SECONDS = 10800.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a Service, with the port that a certain port of the Service leads to."""

    ip: str
    port: int
    machine: str
    hostname: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a Service."""

    name: str
    protocol: str
    number: int
    node_port: int
    endpoints: tuple[Endpoint, ...]  # all of them, ready or not

    def usable(self, machine: str = "") -> list[Endpoint]:
        """Those that a connection may be given to; only those on ``machine`` if one is named.

        The ready ones; when there is none, those that end but still serve (KEP-1669).
        """
        here = [one for one in self.endpoints if not machine or one.machine == machine]
        return [one for one in here if one.ready] or [one for one in here if one.serving and one.terminating]


@dataclass(frozen=True, slots=True)
class Service:
    """What is known of a Service."""

    key: Key
    kind: str  # ClusterIP, NodePort, LoadBalancer, ExternalName
    ip: str  # "" for a headless one
    headless: bool
    ports: tuple[Port, ...]
    affinity: float = 0.0  # seconds for which a client keeps its endpoint; 0: none
    internal_local: bool = False
    external_local: bool = False
    external_name: str = ""
    publish_unready: bool = False
    addresses: tuple[Endpoint, ...] = ()  # each address once, for names

    @property
    def name(self) -> str:
        return self.key[1]

    @property
    def namespace(self) -> str:
        return self.key[0]

    def named(self) -> list[Endpoint]:
        """The endpoints that names lead to."""
        return [one for one in self.addresses if one.ready or self.publish_unready]


def service_of(service: Json, slices: Iterable[Json]) -> Service:
    """Put a Service and its EndpointSlices together."""
    spec = service["spec"]
    kind = spec.get("type") or "ClusterIP"
    ip = spec.get("clusterIP") or ""
    slices = sorted(
        (one for one in slices if one.get("addressType") == "IPv4"), key=lambda one: one["metadata"]["name"]
    )
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    sticky = spec.get("sessionAffinity") == "ClientIP"
    return Service(
        key=key_of(service),
        kind=kind,
        ip="" if ip == "None" else ip,
        headless=ip == "None",
        ports=tuple(_port(port, slices) for port in spec.get("ports") or ()),
        affinity=float(config.get("timeoutSeconds") or AFFINITY_SECONDS) if sticky else 0.0,
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
        external_name=(spec.get("externalName") or "").rstrip(".").lower() if kind == "ExternalName" else "",
        publish_unready=bool(spec.get("publishNotReadyAddresses")),
        addresses=_addresses(slices),
    )


def _port(port: Json, slices: list[Json]) -> Port:
    name, protocol = port.get("name") or "", port.get("protocol") or "TCP"
    found: list[Endpoint] = []
    for one in slices:
        for target in one.get("ports") or ():
            if (
                (target.get("name") or "") == name
                and (target.get("protocol") or "TCP") == protocol
                and target.get("port")
            ):
                found += [
                    _endpoint(item, ip, target["port"]) for item in one.get("endpoints") or () for ip in _ips(item)
                ]
    unique = {(item.ip, item.port): item for item in found}
    return Port(name, protocol, port["port"], port.get("nodePort") or 0, tuple(unique.values()))


def _addresses(slices: list[Json]) -> tuple[Endpoint, ...]:
    found = [_endpoint(item, ip, 0) for one in slices for item in one.get("endpoints") or () for ip in _ips(item)]
    return tuple({item.ip: item for item in found}.values())


def _ips(item: Json) -> list[str]:
    return item.get("addresses") or []


def _endpoint(item: Json, ip: str, port: int) -> Endpoint:
    conditions = item.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    return Endpoint(
        ip,
        port,
        item.get("nodeName") or "",
        (item.get("hostname") or "").lower(),
        ready,
        ready if serving is None else bool(serving),
        bool(conditions.get("terminating")),
    )

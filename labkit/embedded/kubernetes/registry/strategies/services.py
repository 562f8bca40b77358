"""Services: addresses and node ports are handed out with the write itself, and given back when they are not used.

``pkg/registry/core/service/{strategy.go,storage/alloc.go,storage/storage.go}``, for a cluster of one family, IPv4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import InternalError, Invalid, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.allocators import ClusterIPs, NodePorts, Refused
from labkit.embedded.kubernetes.registry.strategies.base import Finish, Strategy
from labkit.embedded.kubernetes.validation.fields import Causes, invalid

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

HEADLESS = "None"
FAMILY = "IPv4"
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


class Services(Strategy):
    create_on_update = True
    returns_deleted = True

    def __init__(self, kind: Kind, registry: Registry) -> None:
        super().__init__(kind, registry)
        self.ips = ClusterIPs(registry.services, registry.rng) if registry.services is not None else None
        self.ports = NodePorts(registry.rng)
        for record in registry.etcd.table(kind):  # those of before a restart
            self._take_back(record.obj)

    def prepare_for_create(self, new: Json) -> None:
        new["status"] = {"loadBalancer": {}}
        spec = new["spec"] = new.get("spec") or {}
        _both_forms(spec, {})

    def prepare_for_update(self, new: Json, old: Json) -> None:
        super().prepare_for_update(new, old)
        spec, was = new["spec"], old.get("spec") or {}
        _both_forms(spec, was)
        _drop_unneeded(spec, was)
        _keep_allocated(spec, was)
        if spec.get("type") != "ExternalName" and was.get("type") != "ExternalName":
            for field in ("ipFamilyPolicy", "ipFamilies"):
                if not spec.get(field) and was.get(field):
                    spec[field] = was[field]

    def begin_create(self, new: Json) -> Finish:
        return self._allocate(new, {})

    def begin_update(self, new: Json, old: Json) -> Finish:
        return self._allocate(new, old.get("spec") or {})

    def deleted(self, old: Json) -> None:
        spec = old.get("spec") or {}
        self._release(_addresses(spec), _node_ports(spec))

    # -- what follows changes the pools

    def _take_back(self, service: Json) -> None:
        spec = service.get("spec") or {}
        taken: list[tuple[Callable[..., None], object]] = []
        if self.ips is not None:
            taken += [(self.ips.claim, ip) for ip in _addresses(spec)]
        taken += [(self.ports.claim, port) for port in set(_node_ports(spec))]
        for claim, what in taken:
            try:
                claim(what)
            except Refused:  # another range than before: the Service keeps what it has, as in a real cluster
                continue

    def _allocate(self, new: Json, was: Mapping[str, object]) -> Finish:
        """Take what the Service needs and does not have. What is returned gives back what it had and needs no more,
        or, if the Service was not stored after all, what was taken."""
        spec = new["spec"]
        name = new["metadata"]["name"]
        _families(spec, name)
        had_ips, had_ports = set(_addresses(was)), set(_node_ports(was))
        ips: list[str] = []
        ports: list[int] = []

        def finish(stored: bool) -> None:
            if stored:
                self._release(had_ips - set(_addresses(spec)), had_ports - set(_node_ports(spec)))
            else:
                self._release(ips, ports)

        try:
            self._addresses(spec, name, had_ips, ips)
            self._node_ports(spec, name, had_ports, ports)
        except StatusError:
            finish(False)
            raise
        return finish

    def _addresses(self, spec: Json, name: str, had: set[str], taken: list[str]) -> None:
        if self.ips is None or spec.get("type") == "ExternalName":
            return
        wanted = spec.get("clusterIPs") or []
        if wanted[:1] == [HEADLESS]:
            return
        if not wanted:
            try:
                ip = self.ips.take()
            except Refused as error:
                raise InternalError(f"failed to allocate a serviceIP: {error}") from None
            taken.append(ip)
            spec["clusterIP"], spec["clusterIPs"] = ip, [ip]
            return
        if len(wanted) == len(had):
            return  # another address in the place of the old one: validation says that this cannot be
        for ip in wanted:
            if ip not in had and _is_address(ip):  # what is none, validation refuses
                try:
                    self.ips.claim(ip)
                except Refused as error:
                    cause = invalid("spec.clusterIPs", wanted, f"failed to allocate IP {ip}: {error}")
                    raise Invalid("Service", "", name, [cause]) from None
                taken.append(ip)

    def _node_ports(self, spec: Json, name: str, had: set[int], taken: list[int]) -> None:
        health = spec.get("healthCheckNodePort")
        if _needs_health_check(spec):
            if not health:
                spec["healthCheckNodePort"] = self._take_port(taken)
            elif health not in had:
                self._claim_port(health, name, "spec.healthCheckNodePort", taken)
        else:
            spec.pop("healthCheckNodePort", None)
        if spec.get("type") not in _WITH_NODE_PORTS:
            return
        asked = spec.get("type") != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts") is not False
        rows = [dict(row) for row in spec.get("ports") or ()]
        mine: dict[int, int] = {row["port"]: row["nodePort"] for row in rows if row.get("nodePort") and "port" in row}
        for index, row in enumerate(rows):
            wanted = row.get("nodePort")
            if wanted:
                if wanted not in had and wanted not in taken:
                    self._claim_port(wanted, name, f"spec.ports[{index}].nodePort", taken)
            elif asked:
                # TCP and UDP on one port get one number.
                number = row.get("port") or 0
                row["nodePort"] = mine[number] = mine.get(number) or self._take_port(taken)
        spec["ports"] = rows

    def _claim_port(self, port: int, name: str, path: str, taken: list[int]) -> None:
        try:
            self.ports.claim(port)
        except Refused as error:
            raise Invalid("Service", "", name, [invalid(path, port, str(error))]) from None
        taken.append(port)

    def _take_port(self, taken: list[int]) -> int:
        try:
            port = self.ports.take()
        except Refused as error:
            raise InternalError(f"failed to allocate a nodePort: {error}") from None
        taken.append(port)
        return port

    def _release(self, ips: Iterable[str], ports: Iterable[int]) -> None:
        for ip in ips:
            if self.ips is not None:
                self.ips.release(ip)
        for port in ports:
            self.ports.release(port)


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _addresses(spec: Mapping[str, object]) -> list[str]:
    """The cluster IPs that were allocated."""
    found = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    assert isinstance(found, list)
    return [ip for ip in found if ip != HEADLESS]


def _node_ports(spec: Mapping[str, object]) -> list[int]:
    rows = spec.get("ports") or []
    assert isinstance(rows, list)
    found = [row["nodePort"] for row in rows if row.get("nodePort")]
    health = spec.get("healthCheckNodePort")
    return [*found, health] if isinstance(health, int) and health else found


def _needs_health_check(spec: Json) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _both_forms(spec: Json, was: Mapping[str, object]) -> None:
    """``clusterIP`` is the first of ``clusterIPs``; a client may know only the older one (``NormalizeClusterIPs``)."""
    one, many = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    before = was.get("clusterIP") or ""
    if not was:
        if one and not many:
            spec["clusterIPs"] = [one]
        elif many and not one:
            spec["clusterIP"] = many[0]
        return
    if before and not one:  # cleared in the old form
        if many == (was.get("clusterIPs") or []):
            spec.pop("clusterIPs", None)
    elif one != before:
        if many == (was.get("clusterIPs") or []) or not many:
            spec["clusterIPs"] = [one]
    elif many and many[0] != one and many != was.get("clusterIPs"):
        spec["clusterIP"] = many[0]


def _drop_unneeded(spec: Json, was: Mapping[str, object]) -> None:
    """A change of type takes away what the old type had and the new one cannot have, if it was left as it was
    (``dropTypeDependentFields``)."""
    to, was_type = spec.get("type"), was.get("type")
    if to == was_type:
        return
    if to == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if spec.get(field) == was.get(field):
                spec.pop(field, None)
    if was_type in _WITH_NODE_PORTS and to not in _WITH_NODE_PORTS:
        old_ports = was.get("ports") or []
        assert isinstance(old_ports, list)
        same = [row.get("nodePort") for row in spec.get("ports") or ()] == [row.get("nodePort") for row in old_ports]
        if same and spec.get("ports"):
            spec["ports"] = [{key: value for key, value in row.items() if key != "nodePort"} for row in spec["ports"]]
        if spec.get("externalTrafficPolicy") == was.get("externalTrafficPolicy"):
            spec.pop("externalTrafficPolicy", None)
    if was_type == "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"):
            if spec.get(field) == was.get(field):
                spec.pop(field, None)


def _keep_allocated(spec: Json, was: Mapping[str, object]) -> None:
    """A PUT that leaves out what was allocated keeps it (``patchAllocatedValues``)."""
    if spec.get("type") != "ExternalName" and was.get("type") != "ExternalName":
        if not spec.get("clusterIP") and was.get("clusterIP"):
            spec["clusterIP"] = was["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == was.get("clusterIP") and was.get("clusterIPs"):
            spec["clusterIPs"] = was["clusterIPs"]
    if spec.get("type") in _WITH_NODE_PORTS and was.get("type") in _WITH_NODE_PORTS:
        old_ports = was.get("ports") or []
        assert isinstance(old_ports, list)
        known = {row.get("name", ""): row.get("nodePort") for row in old_ports}
        used = {row.get("nodePort") for row in spec.get("ports") or ()}
        rows = []
        for row in spec.get("ports") or ():
            before = known.get(row.get("name", ""))
            if not row.get("nodePort") and before and before not in used:
                row = {**row, "nodePort": before}
                used.add(before)
            rows.append(row)
        spec["ports"] = rows
    if _needs_health_check(spec) and not spec.get("healthCheckNodePort") and was.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = was["healthCheckNodePort"]


def _families(spec: Json, name: str) -> None:
    """Fill in the IP families, of which this cluster has one (``initIPFamilyFields``). Raises :class:`Invalid`."""
    if spec.get("type") == "ExternalName":
        return
    loose = spec.get("clusterIP") == HEADLESS and not spec.get("selector")
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = "RequireDualStack" if loose else "SingleStack"
    families = spec.get("ipFamilies") or []
    causes: Causes = []
    if loose:
        # Nothing is allocated for it, so it may be of families that the cluster does not have.
        families = families or [FAMILY]
        if spec["ipFamilyPolicy"] != "SingleStack" and len(families) < 2:
            families = [*families, "IPv6" if families[0] == FAMILY else FAMILY]
    else:
        if spec["ipFamilyPolicy"] == "RequireDualStack":
            problem = "this cluster is not configured for dual-stack services"
            causes.append(invalid("spec.ipFamilyPolicy", "RequireDualStack", problem))
        causes += [
            invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
            for index, family in enumerate(families)
            if family != FAMILY
        ]
    if causes:
        raise Invalid("Service", "", name, causes)
    spec["ipFamilies"] = families or [FAMILY]


STRATEGIES: Mapping[Kind, type[Strategy]] = {kinds.SERVICES: Services}

"""Rules of Services (``ValidateService`` and ``ValidateServiceUpdate``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats, probes
from labkit.embedded.kubernetes.validation.containers import PROTOCOLS
from labkit.embedded.kubernetes.validation.endpoints import not_special
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    one_of,
    required,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import check_labels, complain, metadata, metadata_update

HEADLESS = "None"
MAX_AFFINITY_SECONDS = 86400
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_TRAFFIC = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_ONCE = "may not change once set"
_FOR_BALANCERS = "may only be used when `type` is 'LoadBalancer'"


def service(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_label, True, out)
    _spec(obj.get("spec") or {}, out)


def service_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec is before:
        return
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        _addresses_update(spec, before, out)
        _families_update(spec, before, out)
    if _is_balancer(spec) and _is_balancer(before):
        cls = spec.get("loadBalancerClass")
        if cls != before.get("loadBalancerClass"):
            out.append(invalid("spec.loadBalancerClass", cls, _ONCE))
    fixed_check = _needs_health_check(spec) and _needs_health_check(before)
    if fixed_check and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        out.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    _spec(spec, out)


def _is_balancer(spec: Json) -> bool:
    return spec.get("type") == "LoadBalancer"


def _is_headless(spec: Json) -> bool:
    return spec.get("clusterIPs") == [HEADLESS] or (not spec.get("clusterIPs") and spec.get("clusterIP") == HEADLESS)


def _needs_health_check(spec: Json) -> bool:
    return _is_balancer(spec) and spec.get("externalTrafficPolicy") == "Local"


def _spec(spec: Json, out: Causes) -> None:
    kind, ports = spec.get("type") or "", spec.get("ports") or []
    headless = _is_headless(spec)
    if not ports and not headless and kind != "ExternalName":
        out.append(required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort") and headless:
        out.append(invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {kind} services"))
    elif kind == "ExternalName":
        _external_name(spec, out)
    _ports(ports, out)
    if spec.get("selector"):
        check_labels(spec["selector"], "spec.selector", out)
    _affinity(spec, out)
    if kind != "ExternalName":
        _addresses(spec, out)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        at = f"spec.externalIPs[{index}]"
        before = len(out)
        complain(formats.ip, address, at, out)
        if len(out) == before:
            not_special(address, at, out)
    one_of(kind, _TYPES, "spec.type", out)
    if kind == "ClusterIP":
        for index, port in enumerate(ports):
            if port.get("nodePort"):
                out.append(forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'"))
    _distinct(ports, out)
    _balancer(spec, out)
    _traffic(spec, out)


def _external_name(spec: Json, out: Causes) -> None:
    for key in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(key):
            out.append(forbidden(f"spec.{key}", "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if name:
        complain(formats.dns_subdomain, name, "spec.externalName", out)
    else:
        out.append(required("spec.externalName"))


def _ports(found: Sequence[Json], out: Causes) -> None:
    names: set[str] = set()
    for index, port in enumerate(found):
        at, name = f"spec.ports[{index}]", port.get("name")
        if name:
            complain(formats.dns_label, name, f"{at}.name", out)
            if name in names:
                out.append(duplicate(f"{at}.name", name))
            names.add(name)
        elif len(found) > 1:
            out.append(required(f"{at}.name"))
        number = port.get("port") or 0
        for words in formats.port_number(number):
            out.append(invalid(f"{at}.port", number, words))
        one_of(port.get("protocol") or "", PROTOCOLS, f"{at}.protocol", out)
        probes.port(port.get("targetPort"), f"{at}.targetPort", out)
        if port.get("appProtocol") is not None:
            complain(formats.qualified_name, port["appProtocol"], f"{at}.appProtocol", out)


def _distinct(found: Sequence[Json], out: Causes) -> None:
    """No two ports of a Service with one number and protocol, here or on nodes."""
    on_nodes: set[tuple[Any, Any]] = set()
    for index, port in enumerate(found):
        key = (port.get("protocol"), port.get("nodePort"))
        if key[1] and key in on_nodes:
            out.append(duplicate(f"spec.ports[{index}].nodePort", key[1]))
        on_nodes.add(key)
    here: set[tuple[Any, Any]] = set()
    for index, port in enumerate(found):
        key = (port.get("protocol"), port.get("port"))
        if key in here:
            # as Go writes core.ServicePort, which has no JSON names
            shown = {
                "Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1], "TargetPort": 0, "NodePort": 0,
            }  # fmt: skip
            out.append(duplicate(f"spec.ports[{index}]", shown))
        here.add(key)


def _affinity(spec: Json, out: Causes) -> None:
    affinity, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    path = "spec.sessionAffinityConfig"
    one_of(affinity, _AFFINITIES, "spec.sessionAffinity", out)
    if affinity == "None" and config is not None:
        out.append(forbidden(path, "must not be set when session affinity is None"))
    elif affinity == "ClientIP":
        detail = "when session affinity type is ClientIP"
        if config is None:
            out.append(required(path, detail))
        elif config.get("clientIP") is None:
            out.append(required(f"{path}.clientIP", detail))
        elif config["clientIP"].get("timeoutSeconds") is None:
            out.append(required(f"{path}.clientIP.timeoutSeconds", detail))
        else:
            seconds = config["clientIP"]["timeoutSeconds"]
            if not 0 < seconds <= MAX_AFFINITY_SECONDS:
                detail = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
                out.append(invalid(f"{path}.clientIP.timeoutSeconds", seconds, detail))


def _addresses(spec: Json, out: Causes) -> None:
    """Cluster IPs and families (``ValidateServiceClusterIPsRelatedFields``)."""
    first, all_of_them = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    families, policy = spec.get("ipFamilies") or [], spec.get("ipFamilyPolicy")
    path = "spec.clusterIPs"
    if first:
        if not all_of_them:
            out.append(required(path))
        elif all_of_them[0] != first:
            out.append(invalid(path, all_of_them, "first value must match `clusterIP`"))
    elif all_of_them:
        out.append(invalid(path, all_of_them, "must be empty when `clusterIP` is not specified"))
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            out.append(unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        if family in families[:index]:
            out.append(duplicate(f"spec.ipFamilies[{index}]", family))
    if policy is not None and policy not in _FAMILY_POLICIES:
        out.append(unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    before = len(out)
    for index, address in enumerate(all_of_them):
        if index == 0 and address == HEADLESS:
            if len(all_of_them) > 1:
                out.append(invalid(path, all_of_them, "'None' must be the first and only value"))
            continue
        complain(formats.ip, address, f"{path}[{index}]", out)
    misplaced = len(out) != before
    if len(all_of_them) > 2:
        out.append(invalid(path, all_of_them, "may only hold up to 2 values"))
    if misplaced:
        return
    if len(all_of_them) > 1 and len({":" in address for address in all_of_them}) < 2:
        out.append(invalid(path, all_of_them, "may specify no more than one IP for each IP family"))
    if all_of_them != [HEADLESS]:
        for index, (address, family) in enumerate(zip(all_of_them, families, strict=False)):
            if (family == "IPv6") != (":" in address):
                detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                out.append(invalid(f"{path}[{index}]", address, detail))


def _addresses_update(spec: Json, before: Json, out: Causes) -> None:
    new, old = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if _is_headless(spec) and _is_headless(before):
        return
    if len(new) == len(old):
        for index, address in enumerate(old):
            if address != new[index]:
                out.append(invalid(f"spec.clusterIPs[{index}]", new, _ONCE))
        return
    if not new:
        out.append(invalid("spec.clusterIPs[0]", None, "primary clusterIP can not be unset"))
    elif old and new[0] != old[0]:
        out.append(invalid("spec.clusterIPs[0]", new, _ONCE))
    policy = spec.get("ipFamilyPolicy")
    if len(old) > len(new) == 1 and policy != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        out.append(invalid("spec.ipFamilyPolicy", policy, detail))


def _families_update(spec: Json, before: Json, out: Causes) -> None:
    if _is_headless(spec) or _is_headless(before):
        return
    new, old = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    if len(new) == len(old):
        for one, other in zip(new, old, strict=True):
            if one != other:
                out.append(invalid("spec.ipFamilies[0]", new, _ONCE))
    elif new and old and new[0] != old[0]:
        out.append(invalid("spec.ipFamilies[0]", spec.get("clusterIPs"), _ONCE))
    elif len(old) > len(new) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        out.append(invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), detail))


def _balancer(spec: Json, out: Causes) -> None:
    balancer = _is_balancer(spec)
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not balancer:
        out.append(forbidden("spec.LoadBalancerSourceRanges", _FOR_BALANCERS))
    for index, value in enumerate(ranges):
        complain(formats.cidr, value.strip(), f"spec.LoadBalancerSourceRanges[{index}]", out)
    allocates = spec.get("allocateLoadBalancerNodePorts")
    if allocates is not None and not balancer:
        out.append(forbidden("spec.allocateLoadBalancerNodePorts", _FOR_BALANCERS))
    elif balancer and allocates is None:
        out.append(required("allocateLoadBalancerNodePorts"))
    cls = spec.get("loadBalancerClass")
    if cls is not None:
        if balancer:
            complain(formats.qualified_name, cls, "spec.loadBalancerClass", out)
        else:
            out.append(forbidden("spec.loadBalancerClass", _FOR_BALANCERS))


def _traffic(spec: Json, out: Causes) -> None:
    kind, external = spec.get("type"), spec.get("externalTrafficPolicy") or ""
    reachable = kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if reachable:
        one_of(external, _TRAFFIC, "spec.externalTrafficPolicy", out)
    elif external:
        detail = "may only be set for externally-accessible services"
        out.append(invalid("spec.externalTrafficPolicy", external, detail))
    check = spec.get("healthCheckNodePort") or 0
    if _needs_health_check(spec):
        if not check:
            out.append(required("spec.healthCheckNodePort"))
    elif check:
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        out.append(invalid("spec.healthCheckNodePort", check, detail))
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
            out.append(required("spec.internalTrafficPolicy"))
    elif internal not in _TRAFFIC:
        out.append(unsupported("spec.internalTrafficPolicy", internal, _TRAFFIC))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        out.append(unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))


def service_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    found = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    path = "status.loadBalancer.ingress"
    if found and not _is_balancer(new.get("spec") or {}):
        out.append(forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return
    for index, ingress in enumerate(found):
        at, address, mode = f"{path}[{index}]", ingress.get("ip"), ingress.get("ipMode")
        if address:
            complain(formats.ip, address, f"{at}.ip", out)
        if mode is None:
            if address:
                out.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif not address:
            out.append(forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        elif mode not in ("Proxy", "VIP"):
            out.append(unsupported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
        name = ingress.get("hostname")
        if name:
            complain(formats.dns_subdomain, name, f"{at}.hostname", out)
            if not formats.ip(name):
                out.append(invalid(f"{at}.hostname", name, "must be a DNS name, not an IP address"))

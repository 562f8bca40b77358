"""Defaults of Services and of the endpoints behind them."""

from __future__ import annotations

from labkit.embedded.kubernetes.defaults.sharing import each_within, filled, put, within
from labkit.embedded.kubernetes.objects import Json

AFFINITY_SECONDS = 10800
_SPEC: Json = {"sessionAffinity": "None", "type": "ClusterIP"}
_AFFINITY: Json = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}
_TCP: Json = {"protocol": "TCP"}


def service(obj: Json) -> Json:
    """What can be known without addresses; families, cluster IPs and node ports are allocated by the registry."""
    new = within(obj, "spec", _service_spec)
    balances = (new.get("spec") or {}).get("type") == "LoadBalancer"
    return within(new, "status", _status) if balances else new


def _service_spec(spec: Json) -> Json:
    new = each_within(filled(spec, _SPEC), "ports", _service_port)
    if new["sessionAffinity"] == "None" and "sessionAffinityConfig" in new:
        new = {key: value for key, value in new.items() if key != "sessionAffinityConfig"}
    elif new["sessionAffinity"] == "ClientIP":
        config = (new.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if "timeoutSeconds" not in config:
            new = {**new, "sessionAffinityConfig": _AFFINITY}
    kind = new["type"]
    if "externalTrafficPolicy" not in new and is_externally_accessible(new):
        new = {**new, "externalTrafficPolicy": "Cluster"}
    if "internalTrafficPolicy" not in new and kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        new = {**new, "internalTrafficPolicy": "Cluster"}
    if kind == "LoadBalancer":
        new = filled(new, {"allocateLoadBalancerNodePorts": True})
    return new


def is_externally_accessible(spec: Json) -> bool:
    """Whether it can be reached from outside (``pkg/api/service.ExternallyAccessible``)."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _service_port(port: Json) -> Json:
    new = port if "protocol" in port else {**port, **_TCP}
    if new.get("targetPort") in (None, 0, ""):
        new = {**new, "targetPort": new.get("port", 0)}
    return new


def endpoints(obj: Json) -> Json:
    return each_within(obj, "subsets", _subset)


def _subset(subset: Json) -> Json:
    return each_within(subset, "ports", lambda port: filled(port, _TCP))


def endpoint_slice(obj: Json) -> Json:
    return each_within(obj, "ports", _slice_port)


def _slice_port(port: Json) -> Json:
    return filled(port, {"name": "", "protocol": "TCP"})


def _status(status: Json) -> Json:
    """A load balancer's address is a virtual IP unless it says otherwise."""
    return within(status, "loadBalancer", lambda found: each_within(found, "ingress", _ingress))


def _ingress(ingress: Json) -> Json:
    return ingress if not ingress.get("ip") or "ipMode" in ingress else put(ingress, "ipMode", "VIP")

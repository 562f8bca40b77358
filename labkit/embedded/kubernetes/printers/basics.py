"""Rows of nodes, services and their endpoints, events and the plain kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.embedded.kubernetes.objects import Json, condition_of, labels_of, spec_of, status_of
from labkit.embedded.kubernetes.printers.cells import NONE, host_port, labels, shortened
from labkit.embedded.kubernetes.printers.durations import UNKNOWN, since
from labkit.embedded.kubernetes.printers.workloads import age, name

_ROLE = "node-role.kubernetes.io/"


def node(obj: Json, now: float) -> list[Any]:
    info = status_of(obj).get("nodeInfo") or {}
    return [
        name(obj),
        _node_word(obj),
        ",".join(sorted(set(_roles(obj)))) or NONE,
        age(obj, now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        *(info.get(field) or UNKNOWN for field in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def _node_word(obj: Json) -> str:
    ready = condition_of(obj, "Ready")
    word = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if spec_of(obj).get("unschedulable") else word


def _roles(obj: Json) -> Iterator[str]:
    for key, value in labels_of(obj).items():
        if key.startswith(_ROLE) and len(key) > len(_ROLE):
            yield key.removeprefix(_ROLE)
        elif key == "kubernetes.io/role" and value:
            yield value


def _address(obj: Json, kind: str) -> str:
    addresses = status_of(obj).get("addresses") or ()
    return next((one["address"] for one in addresses if one["type"] == kind), NONE)


def service(obj: Json, now: float) -> list[Any]:
    spec = spec_of(obj)
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [
        name(obj),
        spec.get("type", ""),
        addresses[0] if addresses else NONE,
        _external(obj),
        ",".join(map(_service_port, spec.get("ports") or ())) or NONE,
        age(obj, now),
        labels(spec.get("selector")),
    ]


def _service_port(port: Json) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node_port}/{port.get('protocol', 'TCP')}"


def _external(obj: Json) -> str:
    spec = spec_of(obj)
    kind = spec.get("type")
    given = list(spec.get("externalIPs") or ())
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(given) or NONE
    if kind == "LoadBalancer":
        ingress = (status_of(obj).get("loadBalancer") or {}).get("ingress") or ()
        balancers = sorted({one.get("ip") or one.get("hostname") or "" for one in ingress} - {""})
        return ",".join([*balancers, *given]) or "<pending>"
    return str(spec.get("externalName", "")) if kind == "ExternalName" else UNKNOWN


def endpoints(obj: Json, now: float) -> list[Any]:
    subsets = obj.get("subsets") or ()
    if not subsets:
        return [name(obj), NONE, age(obj, now)]
    count = sum(len(one.get("addresses") or ()) * max(len(one.get("ports") or ()), 1) for one in subsets)
    return [name(obj), shortened(_endpoints(subsets), count, ""), age(obj, now)]


def _endpoints(subsets: Any) -> Iterator[str]:
    for subset in subsets:
        for port in subset.get("ports") or (None,):  # a headless service may have none
            for address in subset.get("addresses") or ():
                yield address["ip"] if port is None else host_port(address["ip"], port["port"])


def endpoint_slice(obj: Json, now: float) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [address for one in obj.get("endpoints") or () for address in one.get("addresses") or ()]
    return [
        name(obj),
        obj.get("addressType", ""),
        shortened(ports, len(ports), "<unset>"),
        shortened(addresses, len(addresses), "<unset>"),
        age(obj, now),
    ]


def event(obj: Json, now: float) -> list[Any]:
    about, series = obj.get("involvedObject") or {}, obj.get("series")
    first = since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last = since(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
    count = obj.get("count") or 1
    if series:
        last, count = since(series.get("lastObservedTime"), now), series.get("count", 0)
    target = about.get("kind", "").lower()
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{target}/{about['name']}" if about.get("name") else target,
        about.get("fieldPath", ""),
        _source(obj),
        obj.get("message", "").strip(),
        first,
        count,
        name(obj),
    ]


def _source(obj: Json) -> str:
    source = obj.get("source") or {}
    parts = [source.get("component", ""), source.get("host", "")]
    if not parts[0]:
        parts = [obj.get("reportingComponent", ""), obj.get("reportingInstance", "")]
    return ", ".join(part for part in parts if part)


def namespace(obj: Json, now: float) -> list[Any]:
    return [name(obj), status_of(obj).get("phase", ""), age(obj, now)]


def secret(obj: Json, now: float) -> list[Any]:
    return [name(obj), obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]


def config_map(obj: Json, now: float) -> list[Any]:
    return [name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(obj, now)]


def service_account(obj: Json, now: float) -> list[Any]:
    return [name(obj), len(obj.get("secrets") or ()), age(obj, now)]


def lease(obj: Json, now: float) -> list[Any]:
    return [name(obj), spec_of(obj).get("holderIdentity") or "", age(obj, now)]


def component_status(obj: Json, now: float) -> list[Any]:
    for one in obj.get("conditions") or ():
        if one.get("type") == "Healthy":
            word = "Healthy" if one.get("status") == "True" else "Unhealthy"
            return [name(obj), word, one.get("message", ""), one.get("error", "")]
    return [name(obj), "Unknown", "", ""]


def other(obj: Json, now: float) -> list[Any]:
    """A kind that has no columns of its own: when it was made, not how long ago."""
    return [name(obj), obj["metadata"].get("creationTimestamp")]

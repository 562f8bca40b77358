"""The endpoints that a Service's slices shall hold, from its pods, and a mirror's from an Endpoints object. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.embedded.kubernetes.controllers.endpointslices.plan import (
    MANAGED_BY,
    RESERVED,
    SERVICE_NAME,
    EndpointKey,
    Group,
    Template,
    endpoint_key,
    ports_key,
)
from labkit.embedded.kubernetes.controllers.serving import (
    HEADLESS,
    LAST_CHANGE,
    hostname_of,
    is_headless,
    is_listed,
    ports_of,
    target_of,
)
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    annotations_of,
    is_pod_ready,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
)

ZONE = "topology.kubernetes.io/zone"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BY_CONTROLLER = "endpointslice-controller.k8s.io"
BY_MIRRORING = "endpointslicemirroring-controller.k8s.io"
MAX_MIRRORED = 1000
"""Addresses of a subset that are mirrored (``--mirroring-max-endpoints-per-subset``)."""

Endpoints = dict[Group, dict[EndpointKey, Json]]


class Endpoint:
    """Makes endpoints of pods, and remembers them: a pod that did not change is not described again."""

    def __init__(self) -> None:
        self._made: dict[Key, dict[Key, tuple[Json, str, Json, Json]]] = {}  # by Service, by pod

    def wanted(self, service: Json, pods: Iterable[Json], nodes: Mapping[Key, Json]) -> tuple[Endpoints, list[Json]]:
        """The endpoints by group, and the pods whose node is unknown: they are left out until it comes."""
        before = self._made.get(key_of(service), {})
        now: dict[Key, tuple[Json, str, Json, Json]] = {}
        found: Endpoints = {}
        lost = []
        unready_too = bool(spec_of(service).get("publishNotReadyAddresses"))
        for pod in pods:
            if not is_listed(pod, terminating=True):
                continue
            node = nodes.get(("", spec_of(pod).get("nodeName", "")))
            if node is None and not unready_too:
                lost.append(pod)
                continue
            zone = "" if node is None else labels_of(node).get(ZONE, "")
            at = key_of(pod)
            entry = before.get(at)
            if entry is None or entry[0] is not pod or entry[1] != zone or entry[2] is not service:
                made = endpoint_of(pod, service, zone)
                if entry is not None and entry[3] == made:
                    made = entry[3]  # the same object as in the slice, so that comparing them costs nothing
                entry = (pod, zone, service, made)
            now[at] = entry
            endpoint = entry[3]
            group: Group = (_family(endpoint["addresses"][0]), ports_key(ports_of(service, pod)))
            found.setdefault(group, {})[endpoint_key(endpoint)] = endpoint
        self._made[key_of(service)] = now
        return found, lost

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._made.pop(key, None)


def endpoint_of(pod: Json, service: Json, zone: str) -> Json:
    """One pod as an endpoint. A pod that is going is never ``ready``, but may still be ``serving``."""
    serving, terminating = is_pod_ready(pod), is_terminating(pod)
    unready_too = bool(spec_of(service).get("publishNotReadyAddresses"))
    endpoint: Json = {
        "addresses": [status_of(pod)["podIP"]],
        "conditions": {
            "ready": unready_too or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
    }
    if hostname := hostname_of(pod, service):
        endpoint["hostname"] = hostname
    endpoint["targetRef"] = target_of(pod)
    if node := spec_of(pod).get("nodeName"):
        endpoint["nodeName"] = node
    if zone:
        endpoint["zone"] = zone
    return endpoint


def of_service(service: Json) -> Template:
    """What the slices of a Service have in common."""
    labels = {key: value for key, value in labels_of(service).items() if key not in RESERVED}
    if is_headless(service):
        labels[HEADLESS] = ""
    labels |= {SERVICE_NAME: name_of(service), MANAGED_BY: BY_CONTROLLER}
    families = spec_of(service).get("ipFamilies") or ["IPv4"]
    return Template(
        owner=owner_reference({"apiVersion": "v1", "kind": "Service", "metadata": service["metadata"]}),
        namespace=namespace_of(service),
        prefix=_prefix(name_of(service)),
        labels=labels,
        placeholders=tuple(families),
    )


def of_endpoints(endpoints: Json) -> Template:
    """What the slices that mirror an Endpoints object have in common."""
    labels = dict(labels_of(endpoints))
    labels |= {SERVICE_NAME: name_of(endpoints), MANAGED_BY: BY_MIRRORING}
    annotations = {k: v for k, v in annotations_of(endpoints).items() if k not in (LAST_CHANGE, LAST_APPLIED)}
    return Template(
        owner=owner_reference({"apiVersion": "v1", "kind": "Endpoints", "metadata": endpoints["metadata"]}),
        namespace=namespace_of(endpoints),
        prefix=_prefix(name_of(endpoints)),
        labels=labels,
        annotations=annotations,
    )


def mirrored(endpoints: Json) -> tuple[Endpoints, int]:
    """The addresses of an Endpoints object as endpoints, and how many were too many."""
    found: Endpoints = {}
    skipped = 0
    for subset in endpoints.get("subsets") or ():
        ports = ports_key(subset.get("ports"))
        added = 0
        for part, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(part) or ():
                if added >= MAX_MIRRORED:
                    skipped += 1
                    continue
                added += 1
                endpoint = _mirror(address, ready)
                found.setdefault((_family(address["ip"]), ports), {})[endpoint_key(endpoint)] = endpoint
    return found, skipped


def _mirror(address: Json, ready: bool) -> Json:
    endpoint: Json = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for name in ("hostname", "targetRef", "nodeName"):
        if address.get(name):
            endpoint[name] = address[name]
    return endpoint


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _prefix(name: str) -> str:
    return f"{name}-" if len(name) < 253 else name

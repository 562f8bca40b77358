"""What an Endpoints object shall say (``pkg/controller/endpoint``, ``pkg/api/v1/endpoints``). Pure."""

from __future__ import annotations

from collections.abc import Iterable

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
    annotations_of,
    is_pod_ready,
    labels_of,
    name_of,
    spec_of,
    status_of,
)

MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
ME = "endpoint-controller"

Ports = tuple[tuple[str, int, str, str], ...]


def subsets_of(service: Json, pods: Iterable[Json]) -> list[Json]:
    """The addresses of the pods, those with the same ports together, in a stable order."""
    spec = spec_of(service)
    unready_too = bool(spec.get("publishNotReadyAddresses"))
    portless = not spec.get("ports")
    groups: dict[Ports, tuple[list[Json], list[Json]]] = {}
    for pod in pods:
        # A pod that is going has no place here, unless the Service wants what is not ready as well.
        if not is_listed(pod, terminating=unready_too):
            continue
        ports = () if portless else _ports(service, pod)
        if not ports and not (portless and is_headless(service)):
            continue
        ready, unready = groups.setdefault(ports, ([], []))
        (ready if unready_too or is_pod_ready(pod) else unready).append(_address(pod, service))
    return [_subset(ports, *groups[ports]) for ports in sorted(groups)]


def _ports(service: Json, pod: Json) -> Ports:
    found = ports_of(service, pod)
    return tuple(sorted((p["name"], p["port"], p["protocol"], p.get("appProtocol", "")) for p in found))


def _address(pod: Json, service: Json) -> Json:
    address: Json = {"ip": status_of(pod)["podIP"]}
    if hostname := hostname_of(pod, service):
        address["hostname"] = hostname
    if node := spec_of(pod).get("nodeName"):
        address["nodeName"] = node
    address["targetRef"] = target_of(pod)
    return address


def _subset(ports: Ports, ready: list[Json], unready: list[Json]) -> Json:
    subset: Json = {}
    for name, addresses in (("addresses", ready), ("notReadyAddresses", unready)):
        if addresses:
            subset[name] = sorted(addresses, key=_place)
    if ports:
        subset["ports"] = [_port(*port) for port in ports]
    return subset


def _port(name: str, number: int, protocol: str, application: str) -> Json:
    port: Json = {"name": name} if name else {}
    port |= {"port": number, "protocol": protocol}
    if application:
        port["appProtocol"] = application
    return port


def _place(address: Json) -> tuple[tuple[int, ...], str]:
    parts = address["ip"].split(".")
    numbers = tuple(map(int, parts)) if len(parts) == 4 else tuple(map(ord, address["ip"]))
    return numbers, address["targetRef"]["uid"]


def truncated(subsets: list[Json]) -> tuple[list[Json], bool]:
    """At most 1,000 addresses, the ready ones first; and whether any was left out."""
    total = sum(len(subset.get(part, ())) for subset in subsets for part in ("addresses", "notReadyAddresses"))
    if total <= MAX_ADDRESSES:
        return subsets, False
    left = MAX_ADDRESSES
    kept: list[Json] = [{} for _ in subsets]
    for part in ("addresses", "notReadyAddresses"):
        for subset, place in zip(subsets, kept, strict=True):
            some = subset.get(part, [])[:left]
            left -= len(some)
            if some:
                place[part] = some
    for subset, place in zip(subsets, kept, strict=True):
        if place and "ports" in subset:
            place["ports"] = subset["ports"]
    return [place for place in kept if place], True


def wanted(service: Json, subsets: list[Json], old: Json | None, changed_at: str) -> Json | None:
    """The Endpoints object that there shall be in the place of ``old``; None: it is as it shall be."""
    subsets, over = truncated(subsets)
    labels = {key: value for key, value in labels_of(service).items() if key not in (HEADLESS, MANAGED_BY)}
    if is_headless(service):
        labels[HEADLESS] = ""
    labels[MANAGED_BY] = ME
    annotations = {} if old is None else dict(annotations_of(old))
    if (
        old is not None
        and (old.get("subsets") or []) == subsets
        and labels_of(old) == labels
        and (annotations.get(OVER_CAPACITY) == "truncated") == over
    ):
        return None
    for annotation, value in ((LAST_CHANGE, changed_at), (OVER_CAPACITY, "truncated" if over else "")):
        if value:
            annotations[annotation] = value
        else:
            annotations.pop(annotation, None)
    if old is None:
        metadata: Json = {"name": name_of(service), "namespace": service["metadata"]["namespace"]}
    else:
        metadata = {key: value for key, value in old["metadata"].items() if key != "annotations"}
    metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    new: Json = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    if subsets:
        new["subsets"] = subsets
    return new

"""Nodes, pods and clusters for the scheduler's tests, said in few words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shapes

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"

SHAPES = Shapes()
_numbers = itertools.count(1)


def a_node(
    name: str,
    *,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: int = 110,
    labels: dict[str, str] | None = None,
    zone: str = "",
    taints: Iterable[str] = (),
    unschedulable: bool = False,
    images: dict[str, int] | None = None,
    **resources: str,
) -> Json:
    """``taints``: ``key=value:Effect``. ``resources``: more that is allocatable."""
    spec: Json = {"taints": [_taint(text) for text in taints]} if taints else {}
    if unschedulable:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {HOST: name, **({ZONE: zone} if zone else {}), **(labels or {})}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "ephemeral-storage": "100Gi", "pods": str(pods), **resources},
            "images": [{"names": [image], "sizeBytes": size} for image, size in (images or {}).items()],
        },
    }


def _taint(text: str) -> Json:
    rest, effect = text.rsplit(":", 1)
    key, _, value = rest.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def a_pod(
    name: str = "",
    *,
    cpu: str = "",
    memory: str = "",
    labels: dict[str, str] | None = None,
    namespace: str = "default",
    node: str = "",
    priority: int = 0,
    started: str = "",
    owner: Json | None = None,
    terminating: bool = False,
    **spec: Any,
) -> Json:
    name = name or f"p{next(_numbers)}"
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    metadata: Json = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    if labels:
        metadata["labels"] = labels
    if owner:
        metadata["ownerReferences"] = [owner]
    if terminating:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container: Json = {"name": "c", "image": "nginx:1"}
    if requests:
        container["resources"] = {"requests": requests}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "schedulerName": "default-scheduler",
            "priority": priority,
            "containers": [container],
            **({"nodeName": node} if node else {}),
            **spec,
        },
        "status": {"phase": "Pending", **({"startTime": started} if started else {})},
    }


def info(pod: Json) -> PodInfo:
    return SHAPES.read(pod)


def a_cluster(nodes: Iterable[Json], pods: Iterable[Json] = ()) -> Cluster:
    cluster = Cluster()
    cluster.put_namespace("default", {"kubernetes.io/metadata.name": "default"})
    for node in nodes:
        cluster.put_node(node)
    for pod in pods:
        cluster.put_pod(info(pod))
    return cluster


def hosts(*names: str, **same: Any) -> list[Json]:
    return [a_node(name, **same) for name in names]


def term(topology: str = HOST, **labels: str) -> Json:
    """A term of pod affinity about pods with these labels."""
    return {"topologyKey": topology, "labelSelector": {"matchLabels": labels}}


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def near(*terms: Json) -> Json:
    return {"podAffinity": {REQUIRED: list(terms)}}


def apart(*terms: Json) -> Json:
    return {"podAntiAffinity": {REQUIRED: list(terms)}}


def rather_near(*terms: Json, weight: int = 10) -> Json:
    return {"podAffinity": {PREFERRED: [{"weight": weight, "podAffinityTerm": one} for one in terms]}}


def rather_apart(*terms: Json, weight: int = 10) -> Json:
    return {"podAntiAffinity": {PREFERRED: [{"weight": weight, "podAffinityTerm": one} for one in terms]}}


def on_nodes(*terms: Json) -> Json:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def spread(topology: str = HOST, *, skew: int = 1, hard: bool = True, **more: Any) -> Json:
    labels = more.pop("labels", {"app": "web"})
    return {
        "maxSkew": skew,
        "topologyKey": topology,
        "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
        **more,
    }

"""Columns and rows of each kind.

The tables of ``pkg/printers/internalversion/printers.go``. A column of priority 1 is for ``kubectl get -o wide``; the
server fills it in always. Ages are words already when they leave the server: they follow the sandbox's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.printers import basics, pods, workloads

Row = Callable[[Json, float], list[Any]]

SCALE = Kind("Scale", "scale", "autoscaling", verbs=(), stored=False)  # what a scale sub-resource's table is of


@dataclass(frozen=True, slots=True)
class Columns:
    """A kind's columns and what makes a row. ``conditions`` are those of a row, seldom any."""

    definitions: list[Json]
    row: Row
    conditions: Callable[[Json], list[Json]] | None = None


_NAME = "Name as it is in the object's metadata; no other object of this kind in the namespace has it."
_AGE = "How long ago the object was created."
_WIDE_POD_TEMPLATE = (
    "+Containers: The names of the template's containers.",
    "+Images: The images of the template's containers.",
)
_SELECTOR = "+Selector: The labels of the pods that belong to it."
_COMMON = {"Name": _NAME, "Age": _AGE}


def _columns(row: Row, *lines: str, conditions: Callable[[Json], list[Json]] | None = None) -> Columns:
    """Columns written as ``[+]Name[:type][: description]``; ``+`` is priority 1, a type is string unless it says so."""
    definitions = []
    for line in lines:
        head, _, description = line.partition(": ")
        name, _, sort = head.removeprefix("+").partition("|")
        definitions.append(
            {
                "name": name,
                "type": sort or "string",
                "format": "name" if name == "Name" else "",
                "description": description or _COMMON.get(name, ""),
                "priority": 1 if head.startswith("+") else 0,
            }
        )
    return Columns(definitions, row, conditions)


_REPLICAS = (
    "Name", "Desired|integer: Pods that are wanted.", "Current|integer: Pods that there are.",
    "Ready|integer: Pods that are ready.", "Age", *_WIDE_POD_TEMPLATE, _SELECTOR,
)  # fmt: skip

_TABLES: dict[tuple[str, str], Columns] = {
    ("", "ComponentStatus"): _columns(
        basics.component_status, "Name", "Status: Whether the component is healthy.",
        "Message: What it says of itself.", "Error: What went wrong when it was asked.",
    ),
    ("", "ConfigMap"): _columns(basics.config_map, "Name", "Data: How many keys it holds.", "Age"),
    ("", "Endpoints"): _columns(basics.endpoints, "Name", "Endpoints: Where the service is to be found.", "Age"),
    ("", "Event"): _columns(
        basics.event, "Last Seen: How long ago it happened the last time.", "Type: Normal or Warning.",
        "Reason: One word for machines.", "Object: What it is about.", "+Subobject: The part that it is about.",
        "+Source: Who reports it.", "Message: What happened, for people.",
        "+First Seen: How long ago it happened the first time.", "+Count: How often it happened.", "+Name",
    ),
    ("", "Namespace"): _columns(basics.namespace, "Name", "Status: The status of the namespace.", "Age"),
    ("", "Node"): _columns(
        basics.node, "Name", "Status: Whether it is ready, and whether pods are put on it.",
        "Roles: What its labels say that it is for.", "Age", "Version: The kubelet's version.",
        "+Internal-IP: Its address in the cluster.", "+External-IP: Its address outside.",
        "+OS-Image: Its operating system.", "+Kernel-Version: Its kernel.",
        "+Container-Runtime: Its container runtime.",
    ),
    ("", "Pod"): _columns(
        pods.row, "Name", "Ready: How many of its containers are ready.", "Status: What its containers are about.",
        "Restarts: How often its containers were restarted, and when the last time.", "Age", "+IP: Its address.",
        "+Node: The node it runs on.", "+Nominated Node: The node where room is being made for it.",
        "+Readiness Gates: How many of its readiness gates are passed.", conditions=pods.conditions,
    ),
    ("", "ReplicationController"): _columns(workloads.replication_controller, *_REPLICAS),
    ("", "Secret"): _columns(basics.secret, "Name", "Type: What it is for.", "Data: How many keys it holds.", "Age"),
    ("", "Service"): _columns(
        basics.service, "Name", "Type: How it is reached.", "Cluster-IP: Its virtual address.",
        "External-IP: Where it is reached from outside.", "Port(s): Its ports.", "Age",
        "+Selector: The labels of the pods behind it.",
    ),
    ("", "ServiceAccount"): _columns(basics.service_account, "Name", "Secrets: How many secrets it may use.", "Age"),
    ("apps", "ControllerRevision"): _columns(
        workloads.controller_revision, "Name", "Controller: Whose revision it is.", "Revision: Its number.", "Age"
    ),
    ("apps", "DaemonSet"): _columns(
        workloads.daemon_set, "Name", "Desired|integer: Nodes that should run its pod.",
        "Current|integer: Nodes that should run it and do.", "Ready|integer: Nodes where it is ready.",
        "Up-to-date|integer: Nodes that have the newest template.", "Available|integer: Nodes where it is available.",
        "Node Selector: The labels of the nodes it is for.", "Age", *_WIDE_POD_TEMPLATE, _SELECTOR,
    ),
    ("apps", "Deployment"): _columns(
        workloads.deployment, "Name", "Ready: How many of the wanted pods are ready.",
        "Up-to-date: Pods that have the newest template.", "Available: Pods that have been ready for long enough.",
        "Age", *_WIDE_POD_TEMPLATE, _SELECTOR,
    ),
    ("apps", "ReplicaSet"): _columns(workloads.replica_set, *_REPLICAS),
    ("apps", "StatefulSet"): _columns(
        workloads.stateful_set, "Name", "Ready: How many of the wanted pods are ready.", "Age", *_WIDE_POD_TEMPLATE
    ),
    ("autoscaling", "Scale"): _columns(
        workloads.scale, "Name", "Desired|integer: Pods that are wanted.", "Available|integer: Pods that there are.",
        "Age",
    ),
    ("batch", "Job"): _columns(
        workloads.job, "Name", "Status: How far it is.", "Completions: How many pods succeeded, of how many.",
        "Duration: How long it took, or takes so far.", "Age", *_WIDE_POD_TEMPLATE, _SELECTOR,
    ),
    ("coordination.k8s.io", "Lease"): _columns(basics.lease, "Name", "Holder: Who holds it.", "Age"),
    ("discovery.k8s.io", "EndpointSlice"): _columns(
        basics.endpoint_slice, "Name", "AddressType: IPv4, IPv6 or FQDN.", "Ports: The ports of every endpoint.",
        "Endpoints: The addresses.", "Age",
    ),
    ("policy", "PodDisruptionBudget"): _columns(
        workloads.disruption_budget, "Name", "Min Available: How many pods must stay.",
        "Max Unavailable: How many pods may be away.",
        "Allowed Disruptions|integer: How many pods may be evicted right now.", "Age",
    ),
    ("scheduling.k8s.io", "PriorityClass"): _columns(
        workloads.priority_class, "Name", "Value|integer: The priority.",
        "Global-Default|boolean: Whether pods without a class get it.", "Age",
        "PreemptionPolicy: Whether its pods drive away others.",
    ),
}  # fmt: skip
_OTHER = _columns(basics.other, "Name", "Created At|date: When the object was created.")


def table(kind: Kind, objs: Iterable[Json], now: float, *, include: str = "Metadata") -> tuple[list[Json], list[Json]]:
    """``columnDefinitions`` and ``rows`` of a Table.

    ``now`` is seconds since the epoch on the sandbox's clock; ``include`` is the request's ``includeObject``: ``None``,
    ``Metadata`` or ``Object``.
    """
    columns = _TABLES.get((kind.group, kind.kind), _OTHER)
    rows = []
    for obj in objs:
        row: Json = {"cells": columns.row(obj, now)}
        conditions = columns.conditions(obj) if columns.conditions is not None else ()
        if conditions:
            row["conditions"] = conditions
        row["object"] = _included(obj, include)
        rows.append(row)
    return columns.definitions, rows


def _included(obj: Json, include: str) -> Json | None:
    if include == "None":
        return None
    if include == "Object":
        return obj
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}

"""Which pod is where, and what the scheduler says of those that are nowhere: shared by labs 09 and 10."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kubernetes.utils import parse_quantity

from labkit.guide import Context, NotYet

from .common import condition, deployment, living, nodes, ready_pods

CONTROL = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def seats(context: Context) -> dict[str, Any]:
    """The nodes that work is meant for: all but the control plane."""
    return {name: node for name, node in nodes(context).items() if not set(CONTROL) & set(node.metadata.labels or {})}


def cpus(context: Context) -> float:
    """What the smallest worker has to give."""
    return min(float(parse_quantity(node.status.allocatable["cpu"])) for node in seats(context).values())


def asked(owner: Any) -> float:
    """CPUs that each pod of a Deployment requests."""
    requests = getattr(owner.spec.template.spec.containers[0].resources, "requests", None) or {}
    return float(parse_quantity(requests.get("cpu", "0")))


def said(pod: Any) -> str:
    """The scheduler's words about a pod that it found no node for."""
    told = condition(pod, "PodScheduled")
    return str(told.message or "") if told is not None and told.status == "False" else ""


def waiting(context: Context, name: str) -> list[Any]:
    """Pods of a Deployment that no node was found for."""
    return [pod for pod in living(context, f"app={name}") if not pod.spec.node_name and said(pod)]


def per_node(context: Context, name: str) -> Counter[str]:
    """How many ready pods of a Deployment each node runs."""
    return Counter(pod.spec.node_name for pod in ready_pods(context, f"app={name}"))


def counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))


def missing(name: str, how: str) -> NotYet:
    return NotYet(f"there is no Deployment `{name}`", how)


def all_ready(context: Context, name: str, wanted: int) -> NotYet | None:
    """None when all pods that a Deployment has are ready, and there are ``wanted`` of them."""
    owner = deployment(context, name)
    if owner is None:
        return missing(name, "It was there a step ago. Make it again.")
    if owner.spec.replicas != wanted:
        return NotYet(
            f"`{name}` asks for {owner.spec.replicas} replicas, not {wanted}",
            f"`kubectl scale deployment {name} --replicas={wanted}`",
        )
    there, well = living(context, f"app={name}"), ready_pods(context, f"app={name}")
    if len(well) != wanted or len(there) != wanted:
        waits = waiting(context, name)
        try_next = said(waits[0]) if waits else "Give it a moment and watch the graph."
        return NotYet(f"{len(well)} of {wanted} pods of `{name}` are ready", try_next)
    return None


def cordoned(context: Context) -> list[str]:
    return [name for name, node in nodes(context).items() if node.spec.unschedulable]

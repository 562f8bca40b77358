"""What may make a pod schedulable that was refused: which change matters to which plug-in, and whether for this pod.

The real one's ``EventsToRegister`` and queueing hints, as a table. A hint may say yes too often (the pod is tried once
more for nothing), but must not say no when the change could have helped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.nodes import NodeFacts, NodeInfo
from labkit.embedded.kubernetes.scheduler.plugins import (
    interpodaffinity,
    nodeaffinity,
    noderesources,
    nodes,
    taints,
    topologyspread,
)
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape


class What(Enum):
    NODE_ADDED = "NodeAdd"
    NODE_DELETED = "NodeDelete"
    NODE_ALLOCATABLE = "NodeAllocatableChange"
    NODE_LABELS = "NodeLabelChange"
    NODE_TAINTS = "NodeTaintChange"  # or it was cordoned, or uncordoned
    POD_ADDED = "AssignedPodAdd"
    POD_LABELS = "AssignedPodUpdate"
    POD_DELETED = "AssignedPodDelete"


class Happening(NamedTuple):
    """Something that happened to a node, or to a pod that has one."""

    what: What
    node: NodeInfo | None = None
    pod: PodInfo | None = None
    before: PodInfo | None = None  # as it was until then


Hint = Callable[[Shape, Happening, Cluster], bool]


def _always(shape: Shape, happening: Happening, cluster: Cluster) -> bool:
    return True


def _on_node(test: Callable[[Shape, NodeInfo], bool]) -> Hint:
    def hint(shape: Shape, happening: Happening, cluster: Cluster) -> bool:
        return happening.node is None or test(shape, happening.node)

    return hint


def _schedulable(shape: Shape, node: NodeInfo) -> bool:
    return not node.facts.unschedulable or taints.tolerates(shape.tolerations, nodes.CORDON)


def _tolerated(shape: Shape, node: NodeInfo) -> bool:
    return taints.untolerated(shape, node.taints) is None


def _big_enough(shape: Shape, node: NodeInfo) -> bool:
    return noderesources.fits(shape.requests, NodeInfo(node.name, node.facts))


def _has_topology(shape: Shape, node: NodeInfo) -> bool:
    return topologyspread.has_keys(node, topologyspread.hard_constraints(shape))


def _frees_port(shape: Shape, happening: Happening, cluster: Cluster) -> bool:
    return happening.pod is None or nodes.frees_port(shape, happening.pod)


def _spread_counts(shape: Shape, happening: Happening, cluster: Cluster) -> bool:
    """The pod counts, or did, for one of the constraints."""
    touched = [pod.shape for pod in (happening.pod, happening.before) if pod is not None]
    return any(
        other.namespace == shape.namespace and constraint.selector.matches(other.labels)
        for other in touched
        for constraint in topologyspread.hard_constraints(shape)
    )


def _affinity_counts(shape: Shape, happening: Happening, cluster: Cluster) -> bool:
    """A pod came that it wants to be with, or one went that it cannot be with, or changed its labels."""
    for pod in (happening.pod, happening.before):
        if pod is None:
            continue
        other = pod.shape
        terms = (*shape.affinity, *shape.anti_affinity)
        if any(interpodaffinity.meant(term, other, cluster) for term in terms):
            return True
        if any(interpodaffinity.meant(term, shape, cluster) for term in other.anti_affinity):
            return True
    return False


INTERESTS: Mapping[str, Mapping[What, Hint]] = {
    nodes.UNSCHEDULABLE: {What.NODE_ADDED: _on_node(_schedulable), What.NODE_TAINTS: _on_node(_schedulable)},
    nodes.NAME: {What.NODE_ADDED: _always},
    taints.PLUGIN: {What.NODE_ADDED: _on_node(_tolerated), What.NODE_TAINTS: _on_node(_tolerated)},
    nodeaffinity.PLUGIN: {
        What.NODE_ADDED: _on_node(nodeaffinity.matches),
        What.NODE_LABELS: _on_node(nodeaffinity.matches),
    },
    nodes.PORTS: {What.NODE_ADDED: _always, What.POD_DELETED: _frees_port},
    noderesources.FIT: {
        What.NODE_ADDED: _on_node(_big_enough),
        What.NODE_ALLOCATABLE: _on_node(_big_enough),
        What.POD_DELETED: _always,
    },
    topologyspread.PLUGIN: {
        What.NODE_ADDED: _on_node(_has_topology),
        What.NODE_LABELS: _always,
        What.NODE_TAINTS: _always,
        What.NODE_DELETED: _on_node(_has_topology),
        What.POD_ADDED: _spread_counts,
        What.POD_LABELS: _spread_counts,
        What.POD_DELETED: _spread_counts,
    },
    interpodaffinity.PLUGIN: {
        What.NODE_ADDED: _always,
        What.NODE_LABELS: _always,
        What.POD_ADDED: _affinity_counts,
        What.POD_LABELS: _affinity_counts,
        What.POD_DELETED: _affinity_counts,
    },
}


def worth_a_try(shape: Shape, refused_by: Iterable[str], happening: Happening, cluster: Cluster) -> bool:
    """Whether a pod that these plug-ins refused may fit now. Refused by nobody in particular: whatever happens."""
    refused = tuple(refused_by)
    if not refused:
        return True
    for plugin in refused:
        hint = INTERESTS.get(plugin, {}).get(happening.what)
        if hint is not None and hint(shape, happening, cluster):
            return True
    return False


def of_node(before: NodeFacts | None, node: NodeInfo) -> list[Happening]:
    """What the change of a node's object amounts to."""
    facts = node.facts
    if before is None:
        return [Happening(What.NODE_ADDED, node)]
    found = []
    if before.allocatable != facts.allocatable:
        found.append(Happening(What.NODE_ALLOCATABLE, node))
    if before.labels != facts.labels:
        found.append(Happening(What.NODE_LABELS, node))
    if before.taints != facts.taints or before.unschedulable != facts.unschedulable:
        found.append(Happening(What.NODE_TAINTS, node))
    return found

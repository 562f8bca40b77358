"""NodeUnschedulable, NodeName, NodePorts: short rules about the node itself."""

from __future__ import annotations

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import Check, Refusal
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo, Taint, conflicts
from labkit.embedded.kubernetes.scheduler.plugins.taints import tolerates
from labkit.embedded.kubernetes.scheduler.pods import HostPort, PodInfo, Shape

UNSCHEDULABLE = "NodeUnschedulable"
PORTS = "NodePorts"
NAME = "NodeName"

CORDON = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")

_CORDONED = Refusal(UNSCHEDULABLE, ("node(s) were unschedulable",), final=True)
_TAKEN = Refusal(PORTS, ("node(s) didn't have free ports for the requested pod ports",))


class _Unschedulable(Check):
    def refuse(self, node: NodeInfo) -> Refusal | None:
        return _CORDONED if node.facts.unschedulable else None


def unschedulable(shape: Shape, cluster: Cluster) -> Check | None:
    return None if tolerates(shape.tolerations, CORDON) else _Unschedulable()


def name(shape: Shape, cluster: Cluster) -> None:
    """A pod that names its node never comes to the scheduler; the row is there to be seen."""


class _Ports(Check):
    def __init__(self, ports: tuple[HostPort, ...]) -> None:
        self._ports = ports

    def refuse(self, node: NodeInfo) -> Refusal | None:
        if node.ports and any(conflicts(port, node.ports) for port in self._ports):
            return _TAKEN
        return None


def ports(shape: Shape, cluster: Cluster) -> Check | None:
    return _Ports(shape.ports) if shape.ports else None


def frees_port(shape: Shape, leaving: PodInfo) -> bool:
    """Whether the pod that leaves held one of the ports that this one wants."""
    return any(conflicts(port, leaving.shape.ports) for port in shape.ports)

"""NodeResourcesFit (with the LeastAllocated score) and NodeResourcesBalancedAllocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import MAX_SCORE, Check, Refusal, Scoring
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import Shape
from labkit.embedded.kubernetes.scheduler.resources import CPU, EPHEMERAL, MEMORY

FIT = "NodeResourcesFit"
BALANCED = "NodeResourcesBalancedAllocation"

_ORDER = {CPU: 0, MEMORY: 1, EPHEMERAL: 2}


def fits(requests: Mapping[str, int], node: NodeInfo) -> bool:
    """Whether there is room for one more pod that asks for so much."""
    if len(node.pods) >= node.max_pods:
        return False
    allocatable, used = node.allocatable, node.used
    # A plain loop, for this is asked more often than anything else.
    for name, value in requests.items():  # noqa: SIM110
        if value > allocatable.get(name, 0) - used.get(name, 0):
            return False
    return True


class _Fit(Check):
    def __init__(self, requests: Mapping[str, int]) -> None:
        self._requests = requests

    def refuse(self, node: NodeInfo) -> Refusal | None:
        return None if fits(self._requests, node) else _shortage(self._requests, node)


def _shortage(requests: Mapping[str, int], node: NodeInfo) -> Refusal:
    reasons = ["Too many pods"] if len(node.pods) >= node.max_pods else []
    final = False
    for name in sorted(requests, key=lambda name: _ORDER.get(name, len(_ORDER))):
        has = node.allocatable.get(name, 0)
        if requests[name] > has - node.used.get(name, 0):
            reasons.append(f"Insufficient {name}")
            final = final or requests[name] > has  # not even an empty node would do
    return Refusal(FIT, tuple(reasons), final)


def fit(shape: Shape, cluster: Cluster) -> Check:
    return _Fit(shape.requests)


class _LeastAllocated(Scoring):
    """The more CPU and memory is left, the better. Containers that ask for none count as if they asked for a little."""

    def __init__(self, shape: Shape) -> None:
        self._cpu = shape.counted_cpu
        self._memory = shape.counted_memory

    def score(self, node: NodeInfo) -> int:
        total = resources = 0
        has = node.allocatable.get(CPU, 0)
        if has:
            left = has - node.counted_cpu - self._cpu
            total = left * MAX_SCORE // has if left > 0 else 0
            resources = 1
        has = node.allocatable.get(MEMORY, 0)
        if has:
            left = has - node.counted_memory - self._memory
            total += left * MAX_SCORE // has if left > 0 else 0
            resources += 1
        return total // resources if resources else 0


def least_allocated(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring:
    return _LeastAllocated(shape)


class _Balanced(Scoring):
    """The closer the used shares of CPU and memory are to each other, the better: 100 less their deviation."""

    def __init__(self, shape: Shape) -> None:
        self._cpu = shape.requests.get(CPU, 0)
        self._memory = shape.requests.get(MEMORY, 0)

    def score(self, node: NodeInfo) -> int:
        cpu, memory = node.allocatable.get(CPU, 0), node.allocatable.get(MEMORY, 0)
        if not cpu or not memory:
            return MAX_SCORE
        used = node.used
        cpu_share = min(1.0, (used.get(CPU, 0) + self._cpu) / cpu)
        memory_share = min(1.0, (used.get(MEMORY, 0) + self._memory) / memory)
        return int((1 - abs((cpu_share - memory_share) / 2)) * MAX_SCORE)


def balanced(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring | None:
    """Has no say for pods that ask for neither, lest they all go to one node (kubernetes/kubernetes#129138)."""
    return _Balanced(shape) if shape.requests.get(CPU) or shape.requests.get(MEMORY) else None

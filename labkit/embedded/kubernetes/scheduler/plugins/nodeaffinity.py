"""NodeAffinity: ``nodeSelector``, required and preferred node affinity.

1.20 says ``node(s) didn't match Pod's node affinity``, without ``/selector``.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import Check, Refusal, Scoring, proportional
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import Shape

PLUGIN = "NodeAffinity"

_REFUSED = Refusal(PLUGIN, ("node(s) didn't match Pod's node affinity/selector",), final=True)
_CONFLICT = Refusal(PLUGIN, ("pod affinity terms conflict",), final=True)


def matches(shape: Shape, node: NodeInfo) -> bool:
    """Whether a node is what the pod requires: all of its ``nodeSelector``, and any of its required terms."""
    if not shape.node_selector.matches(node.labels):
        return False
    terms = shape.node_terms
    return terms is None or any(term.matches(node.name, node.labels) for term in terms)


class _Check(Check):
    def __init__(self, shape: Shape, names: frozenset[str] | None) -> None:
        self._shape = shape
        self.names = names

    def refuse(self, node: NodeInfo) -> Refusal | None:
        return None if matches(self._shape, node) else _REFUSED


def check(shape: Shape, cluster: Cluster) -> Check | Refusal | None:
    if shape.node_selector.empty and shape.node_terms is None:
        return None
    names = _names(shape)
    return _CONFLICT if names is not None and not names else _Check(shape, names)


def _names(shape: Shape) -> frozenset[str] | None:
    """The only nodes that can match when each term says so by ``matchFields``: how DaemonSets place their pods."""
    if not shape.node_terms:
        return None
    found: frozenset[str] = frozenset()
    for term in shape.node_terms:
        names = term.names()
        if names is None:
            return None
        found |= names
    return found


class _Scoring(Scoring):
    """The sum of the weights of the preferences that the node meets."""

    def __init__(self, shape: Shape) -> None:
        self._preferences = shape.node_preferences

    def score(self, node: NodeInfo) -> int:
        return sum(weight for weight, term in self._preferences if term.matches(node.name, node.labels))

    def normalized(self, scores: Sequence[int]) -> Sequence[int]:
        return proportional(scores)


def scoring(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring | None:
    return _Scoring(shape) if shape.node_preferences else None

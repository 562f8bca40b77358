"""TaintToleration: no place on nodes with taints that the pod does not tolerate, and rather not with soft ones.

1.20 says ``node(s) had taint {key: value}, that the pod didn't tolerate``, 1.24 to 1.33 ``node(s) had untolerated taint
{key: value}``; newer ones leave the taint out, so that many nodes do not make a long message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import Check, Refusal, Scoring, proportional
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo, Taint
from labkit.embedded.kubernetes.scheduler.pods import Shape, Toleration

PLUGIN = "TaintToleration"

HARD = ("NoSchedule", "NoExecute")
SOFT = "PreferNoSchedule"

_REFUSED = Refusal(PLUGIN, ("node(s) had untolerated taint(s)",), final=True)


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether one of them fits (``v1.Toleration.ToleratesTaint``); no effect fits all, ``Exists`` without key any."""
    for key, operator, value, effect in tolerations:
        if effect not in ("", taint.effect):
            continue
        if key not in ("", taint.key):
            continue
        if operator == "Exists" or (operator == "Equal" and value == taint.value):
            return True
        if operator in ("Gt", "Lt") and _compared(operator, taint.value, value):
            return True
    return False


def _compared(operator: str, value: str, bound: str) -> bool:
    """Numbers, since 1.35: the taint's value is greater, or less, than the toleration's."""
    try:
        return int(value) > int(bound) if operator == "Gt" else int(value) < int(bound)
    except ValueError:
        return False


def untolerated(shape: Shape, taints: Iterable[Taint]) -> Taint | None:
    """The first taint that keeps the pod away."""
    for taint in taints:
        if taint.effect in HARD and not tolerates(shape.tolerations, taint):
            return taint
    return None


class _Check(Check):
    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def refuse(self, node: NodeInfo) -> Refusal | None:
        return _REFUSED if node.taints and untolerated(self._shape, node.taints) else None


def check(shape: Shape, cluster: Cluster) -> Check:
    return _Check(shape)


class _Scoring(Scoring):
    """The fewer soft taints that are not tolerated, the better."""

    def __init__(self, shape: Shape) -> None:
        self._tolerations = shape.tolerations

    def score(self, node: NodeInfo) -> int:
        if not node.taints:
            return 0
        return sum(taint.effect == SOFT and not tolerates(self._tolerations, taint) for taint in node.taints)

    def normalized(self, scores: Sequence[int]) -> Sequence[int]:
        return proportional(scores, reverse=True)


def scoring(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring:
    return _Scoring(shape)

"""PodTopologySpread: alike pods evenly over hosts, zones or whatever else a label says.

A pod that says nothing about it, but belongs to a service or a controller, is spread softly: over hosts (a skew of 3
hurts) and zones (5), wherever there are such labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import MAX_SCORE, Check, Refusal, Scoring
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.plugins import nodeaffinity, taints
from labkit.embedded.kubernetes.scheduler.pods import HOSTNAME, ZONE, Constraint, PodInfo, Shape
from labkit.embedded.kubernetes.selectors import Selector

PLUGIN = "PodTopologySpread"

DEFAULT_SKEWS = ((HOSTNAME, 3), (ZONE, 5))

_SKEWED = Refusal(PLUGIN, ("node(s) didn't match pod topology spread constraints",))
_UNLABELLED = Refusal(
    PLUGIN, ("node(s) didn't match pod topology spread constraints (missing required label)",), final=True
)


def hard_constraints(shape: Shape) -> tuple[Constraint, ...]:
    return tuple(constraint for constraint in shape.constraints if constraint.hard)


def soft_constraints(shape: Shape, cluster: Cluster) -> tuple[Constraint, ...]:
    """Its own ones, or, if it has none of either sort, the default ones."""
    if shape.constraints:
        return tuple(constraint for constraint in shape.constraints if not constraint.hard)
    selector = cluster.default_selector(shape)
    if selector.empty:
        return ()
    return tuple(Constraint(skew, key, hard=False, selector=selector) for key, skew in DEFAULT_SKEWS)


def has_keys(node: NodeInfo, constraints: Iterable[Constraint]) -> bool:
    return all(constraint.topology_key in node.labels for constraint in constraints)


def counts_in(constraint: Constraint, shape: Shape, node: NodeInfo) -> bool:
    """Whether the node's pods count for its domain (``nodeAffinityPolicy``, ``nodeTaintsPolicy``)."""
    if constraint.honor_affinity and not nodeaffinity.matches(shape, node):
        return False
    return not (constraint.honor_taints and taints.untolerated(shape, node.taints))


def count(node: NodeInfo, selector: Selector, namespace: str) -> int:
    """How many pods on the node are meant; those on their way out are not."""
    found = 0
    for shape, pods in node.alive.items():
        if shape.namespace == namespace and selector.matches(shape.labels):
            found += pods
    return found


class HardSpread(Check):
    """``DoNotSchedule``: no domain may have more than ``maxSkew`` pods more than the emptiest."""

    def __init__(self, shape: Shape, constraints: Sequence[Constraint]) -> None:
        self.shape = shape
        self.constraints = constraints
        self.selves = [int(one.selector.matches(shape.labels)) for one in constraints]
        self.counts: list[dict[str, int]] = [{} for _ in constraints]  # of each constraint: domain → pods
        self._least: list[int | None] = [None] * len(constraints)

    @classmethod
    def of(cls, shape: Shape, cluster: Cluster, constraints: Sequence[Constraint]) -> HardSpread:
        made = cls(shape, constraints)
        for node in cluster.nodes.values():
            if not has_keys(node, constraints):
                continue
            for index, one in enumerate(constraints):
                if counts_in(one, shape, node):
                    domains = made.counts[index]
                    domain = node.labels[one.topology_key]
                    domains[domain] = domains.get(domain, 0) + count(node, one.selector, shape.namespace)
        return made

    def least(self, index: int) -> int:
        """How many the emptiest domain has; 0 if there are fewer domains than there have to be."""
        least = self._least[index]
        if least is None:
            counts = self.counts[index]
            enough = len(counts) >= self.constraints[index].min_domains
            least = self._least[index] = min(counts.values()) if enough else 0
        return least

    def refuse(self, node: NodeInfo) -> Refusal | None:
        for index, one in enumerate(self.constraints):
            domain = node.labels.get(one.topology_key)
            if domain is None:
                return _UNLABELLED
            if self.counts[index].get(domain, 0) + self.selves[index] - self.least(index) > one.max_skew:
                return _SKEWED
        return None

    def copy(self) -> HardSpread:
        made = HardSpread(self.shape, self.constraints)
        made.counts = [dict(counts) for counts in self.counts]
        return made

    def shift(self, node: NodeInfo, pod: PodInfo, sign: int) -> None:
        if pod.shape.namespace != self.shape.namespace or pod.terminating or not has_keys(node, self.constraints):
            return
        for index, one in enumerate(self.constraints):
            if one.selector.matches(pod.shape.labels) and counts_in(one, self.shape, node):
                domain = node.labels[one.topology_key]
                self.counts[index][domain] = self.counts[index].get(domain, 0) + sign
                self._least[index] = None


def check(shape: Shape, cluster: Cluster) -> Check | None:
    constraints = hard_constraints(shape)
    return HardSpread.of(shape, cluster, constraints) if constraints else None


class SoftSpread(Scoring):
    """``ScheduleAnyway``: the fewer such pods in the node's domains, the better."""

    def __init__(self, shape: Shape, constraints: Sequence[Constraint]) -> None:
        self.shape = shape
        self.constraints = constraints
        self.strict = bool(shape.constraints)
        """The pod's own constraints leave nodes without the labels unscored; the default ones do not mind."""
        self.counts: list[dict[str, int]] = [{} for _ in constraints]
        self.weights: list[float] = []

    @classmethod
    def of(
        cls, shape: Shape, cluster: Cluster, constraints: Sequence[Constraint], feasible: Sequence[NodeInfo]
    ) -> SoftSpread:
        made = cls(shape, constraints)
        scored = [node for node in feasible if not made.ignores(node)]
        for index, one in enumerate(constraints):
            if one.topology_key == HOSTNAME:  # counted where it is asked for
                made.weights.append(domain_weight(len(scored)))
                continue
            counts = made.counts[index]
            for node in scored:
                counts[node.labels.get(one.topology_key, "")] = 0
            made.weights.append(domain_weight(len(counts)))
            for node in cluster.nodes.values():
                domain = node.labels.get(one.topology_key, "")
                if domain in counts and not made.ignores(node) and counts_in(one, shape, node):
                    counts[domain] += count(node, one.selector, shape.namespace)
        return made

    def ignores(self, node: NodeInfo) -> bool:
        return self.strict and not has_keys(node, self.constraints)

    def score(self, node: NodeInfo) -> int:
        """More is worse, until it is normalised. Negative: not scored."""
        if self.ignores(node):
            return IGNORED
        total = 0.0
        for index, one in enumerate(self.constraints):
            domain = node.labels.get(one.topology_key)
            if domain is None:
                continue
            if one.topology_key == HOSTNAME:
                pods = count(node, one.selector, self.shape.namespace)
            else:
                pods = self.counts[index][domain]
            total += weighted(pods, one.max_skew, self.weights[index])
        return rounded(total)

    def normalized(self, scores: Sequence[int]) -> Sequence[int]:
        return reversed_scores(scores)


IGNORED = -1


def domain_weight(domains: int) -> float:
    """The more domains, the fewer pods each has: so that few domains do not drown many."""
    return math.log(domains + 2)


def weighted(pods: int, max_skew: int, weight: float) -> float:
    return pods * weight + (max_skew - 1)


def rounded(score: float) -> int:
    return math.floor(score + 0.5)


def reversed_scores(scores: Sequence[int]) -> Sequence[int]:
    known = [score for score in scores if score != IGNORED]
    most, least = max(known, default=0), min(known, default=0)
    if most == 0:
        return [0 if score == IGNORED else MAX_SCORE for score in scores]
    return [0 if score == IGNORED else MAX_SCORE * (most + least - score) // most for score in scores]


def scoring(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring | None:
    constraints = soft_constraints(shape, cluster)
    return SoftSpread.of(shape, cluster, constraints, feasible) if constraints else None

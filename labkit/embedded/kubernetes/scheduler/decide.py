"""Where a pod goes: every filter on every node, every score on those that are left. Pure.

``pkg/scheduler/schedule_one.go``. All nodes are looked at, however many there are; the real one stops at a part of them
(``percentageOfNodesToScore``) from a hundred nodes on.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import Check, Refusal
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape
from labkit.embedded.kubernetes.scheduler.profile import FILTERS, SCORES

NO_NODES = "no nodes available to schedule pods"

Checks = list[Check]


@dataclass(slots=True)
class Diagnosis:
    """Why a pod fits nowhere (``framework.FitError``)."""

    nodes: int
    refused: dict[str, Refusal] = field(default_factory=dict)  # node → why
    absent: Refusal | None = None  # what stands for the nodes that were not looked at
    prefilter: str = ""  # said of the pod as such, before any node was looked at
    preemption: str = ""  # why pushing others aside does not help

    @property
    def plugins(self) -> frozenset[str]:
        """Those that refused: only what they care about can change anything."""
        found = {refusal.plugin for refusal in self.refused.values()}
        if self.absent is not None:
            found.add(self.absent.plugin)
        return frozenset(found)

    def message(self) -> str:
        """In the words of ``FitError.Error()``: reasons with the number of nodes, in the order of their text."""
        if not self.nodes:
            return NO_NODES
        parts = [f"0/{self.nodes} nodes are available:"]
        if self.prefilter:
            parts.append(f"{self.prefilter}.")
        elif reasons := self._reasons():
            parts.append(f"{', '.join(reasons)}.")
        if self.preemption:
            parts.append(self.preemption)
        return " ".join(parts)

    def _reasons(self) -> list[str]:
        found: Counter[str] = Counter(reason for refusal in self.refused.values() for reason in refusal.reasons)
        if self.absent is not None and len(self.refused) < self.nodes:
            for reason in self.absent.reasons:
                found[reason] += self.nodes - len(self.refused)
        return sorted(f"{nodes} {reason}" for reason, nodes in found.items())


@dataclass(slots=True)
class Scores:
    """What the feasible nodes got, in their order. Empty if there is only one: then the real one does not score."""

    nodes: Sequence[NodeInfo]
    raw: Mapping[str, Sequence[int]] = field(default_factory=dict)  # plug-in → per node
    normalized: Mapping[str, Sequence[int]] = field(default_factory=dict)
    totals: Sequence[int] = ()


@dataclass(slots=True)
class Decision:
    """``node`` is None when none will do."""

    node: str | None
    diagnosis: Diagnosis
    scores: Scores | None = None


def decide(pod: PodInfo, cluster: Cluster, rng: random.Random) -> Decision:
    """Find the best node for a pod; those that are equally good have equal chances."""
    diagnosis = Diagnosis(len(cluster.nodes))
    if not cluster.nodes:
        return Decision(None, diagnosis)
    feasible = find_feasible(pod, cluster, diagnosis)
    if not feasible:
        return Decision(None, diagnosis)
    if len(feasible) == 1:
        return Decision(feasible[0].name, diagnosis, Scores(feasible))
    scores = prioritize(pod.shape, cluster, feasible)
    best = max(scores.totals)
    winner = rng.choice([index for index, total in enumerate(scores.totals) if total == best])
    return Decision(feasible[winner].name, diagnosis, scores)


def find_feasible(pod: PodInfo, cluster: Cluster, diagnosis: Diagnosis) -> list[NodeInfo]:
    """The nodes that pass all filters; ``diagnosis`` learns of the others."""
    checks = prepare(pod.shape, cluster)
    if isinstance(checks, Refusal):
        diagnosis.prefilter = ", ".join(checks.reasons)
        diagnosis.absent = checks
        return []
    nodes: Iterable[NodeInfo] = cluster.nodes.values()
    nominated = cluster.nodes.get(cluster.nomination(pod.key) or pod.nominated)
    if nominated is not None and refusal(checks, nominated, pod, cluster) is None:
        return [nominated]  # room was made for it there: no need to look any further
    for filter, check in zip(FILTERS, checks, strict=True):
        if check is not None and check.names is not None:
            nodes = [cluster.nodes[name] for name in sorted(check.names) if name in cluster.nodes]
            words = f"node(s) didn't satisfy plugin(s) [{filter.plugin}]"
            diagnosis.absent = Refusal(filter.plugin, (words,), final=True)
    feasible = []
    for node in nodes:
        refused = refusal(checks, node, pod, cluster)
        if refused is None:
            feasible.append(node)
        else:
            diagnosis.refused[node.name] = refused
    return feasible


def prepare(shape: Shape, cluster: Cluster) -> list[Check | None] | Refusal:
    """A check of each filter, in order; None where it has no say. Or a refusal of all nodes at once."""
    found: list[Check | None] = []
    for filter in FILTERS:
        check = filter.prepare(shape, cluster)
        if isinstance(check, Refusal):
            return check
        found.append(check)
    return found


def refusal(checks: Sequence[Check | None], node: NodeInfo, pod: PodInfo, cluster: Cluster) -> Refusal | None:
    """Why this node will not do: as it is, or with those on it that have been nominated to it."""
    expected = cluster.nominated_to(node.name, pod, pod.shape.priority)
    if expected:
        fuller, shifted = node.copy(), [check and check.copy() for check in checks]
        for other in expected:
            add(shifted, fuller, other)
        refused = first_refusal(shifted, fuller)
        if refused is not None:
            return refused
        # They may never come, and some rule may have passed because of them: so once more without.
    return first_refusal(checks, node)


def first_refusal(checks: Iterable[Check | None], node: NodeInfo) -> Refusal | None:
    for check in checks:
        if check is not None and (refused := check.refuse(node)) is not None:
            return refused
    return None


def add(checks: Iterable[Check | None], node: NodeInfo, pod: PodInfo) -> None:
    """What if the pod were on the node? Both must be copies."""
    node.add(pod)
    for check in checks:
        if check is not None:
            check.shift(node, pod, 1)


def remove(checks: Iterable[Check | None], node: NodeInfo, pod: PodInfo) -> None:
    """What if the pod were not on the node? Both must be copies."""
    node.remove(pod)
    for check in checks:
        if check is not None:
            check.shift(node, pod, -1)


def prioritize(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scores:
    """Score the nodes: raw, normalised, weighed and summed."""
    raw: dict[str, Sequence[int]] = {}
    normalized: dict[str, Sequence[int]] = {}
    totals = [0] * len(feasible)
    for score in SCORES:
        scoring = score.prepare(shape, cluster, feasible)
        if scoring is None:
            continue
        raw[score.plugin] = found = [scoring.score(node) for node in feasible]
        normalized[score.plugin] = even = scoring.normalized(found)
        totals = [total + score.weight * value for total, value in zip(totals, even, strict=True)]
    return Scores(feasible, raw, normalized, totals)

"""Preemption: whom to push aside for a pod that fits nowhere. Pure.

``pkg/scheduler/framework/preemption`` and ``…/plugins/defaultpreemption``: on each node that pushing aside could help
on, take all pods of lower priority away, see whether the pod fits then, and let as many as possible stay, the important
ones first, those last whose disruption budgets would be broken. Of the nodes, the one where it hurts least.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json, condition_of, name_of, namespace_of, spec_of, status_of
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.decide import (
    Diagnosis,
    add,
    first_refusal,
    prepare,
    remove,
)
from labkit.embedded.kubernetes.scheduler.framework import Check, Refusal
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import PodInfo
from labkit.embedded.kubernetes.selectors import Selector

PLUGIN = "DefaultPreemption"

MIN_CANDIDATES_PERCENT = 10
MIN_CANDIDATES = 100
"""Nodes to try before the best of them is taken (``DefaultPreemptionArgs``)."""

REASON = "PreemptionByScheduler"

_NOT_HELPFUL = Refusal(PLUGIN, ("Preemption is not helpful for scheduling",), final=True)
_NO_VICTIMS = Refusal(PLUGIN, ("No preemption victims found for incoming pod",), final=True)

NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, and whom to push aside there, the most important first; ``violations``: how many break a budget."""

    node: str
    victims: tuple[PodInfo, ...]
    violations: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either a candidate, or why there is none. ``clear``: a nomination that the pod had no longer stands."""

    candidate: Candidate | None = None
    message: str = ""
    clear: bool = False


@dataclass(slots=True)
class Budget:
    namespace: str
    selector: Selector
    allowed: int
    disrupted: frozenset[str]

    @classmethod
    def of(cls, budget: Json) -> Budget:
        status = status_of(budget)
        try:
            selector = selectors.of(spec_of(budget).get("selector"))
        except selectors.SelectorError:
            selector = selectors.NOTHING
        return cls(
            namespace_of(budget),
            selector,
            status.get("disruptionsAllowed") or 0,
            frozenset(status.get("disruptedPods") or ()),
        )


def preempt(
    pod: PodInfo, cluster: Cluster, diagnosis: Diagnosis, budgets: Iterable[Json], rng: random.Random, now: str
) -> Outcome:
    """Find out whom to push aside for a pod that ``diagnosis`` says fits nowhere. ``now``: the time, as in objects."""
    refused = not_eligible(pod, cluster, diagnosis)
    if refused:
        return Outcome(message=f"preemption: {refused}")
    checks = prepare(pod.shape, cluster)
    candidates: list[Candidate] = []
    tried = Diagnosis(len(cluster.nodes), absent=_NOT_HELPFUL)
    if not isinstance(checks, Refusal):
        nodes = [cluster.nodes[name] for name, why in diagnosis.refused.items() if not why.final]
        candidates = _try_nodes(pod, cluster, checks, nodes, [Budget.of(one) for one in budgets], rng, now, tried)
    if not candidates:
        return Outcome(message=f"preemption: {tried.message()}", clear=True)
    return Outcome(best(candidates, now))


def not_eligible(pod: PodInfo, cluster: Cluster, diagnosis: Diagnosis) -> str:
    """Why a pod may not push others aside now; "" if it may."""
    if not pod.shape.preempts:
        return NEVER
    nominated = cluster.nomination(pod.key) or pod.nominated
    node = cluster.nodes.get(nominated)
    if node is None:
        return ""
    why = diagnosis.refused.get(nominated)
    if why is not None and why.final:
        return ""
    going = any(_is_victim(other) for other in node.pods.values() if other.shape.priority < pod.shape.priority)
    return TERMINATING if going else ""


def _is_victim(pod: PodInfo) -> bool:
    """On its way out because somebody was preferred."""
    if not pod.terminating:
        return False
    condition = condition_of(pod.obj, "DisruptionTarget")
    return condition is not None and condition["status"] == "True" and condition.get("reason") == REASON


def _try_nodes(
    pod: PodInfo,
    cluster: Cluster,
    checks: Sequence[Check | None],
    nodes: Sequence[NodeInfo],
    budgets: Sequence[Budget],
    rng: random.Random,
    now: str,
    tried: Diagnosis,
) -> list[Candidate]:
    """From a node picked at random on, until there are enough candidates, one of them without broken budgets."""
    if not nodes:
        return []
    enough = min(len(nodes), max(MIN_CANDIDATES, len(nodes) * MIN_CANDIDATES_PERCENT // 100))
    start = rng.randrange(len(nodes))
    found: list[Candidate] = []
    for node in (*nodes[start:], *nodes[:start]):
        victims = select_victims(pod, cluster, checks, node, budgets, now)
        if isinstance(victims, Refusal):
            tried.refused[node.name] = victims
            continue
        found.append(victims)
        if len(found) >= enough and any(not candidate.violations for candidate in found):
            break
    return found


def select_victims(
    pod: PodInfo,
    cluster: Cluster,
    checks: Sequence[Check | None],
    node: NodeInfo,
    budgets: Sequence[Budget],
    now: str,
) -> Candidate | Refusal:
    """The fewest and least important pods that have to leave a node, or why even that would not do."""
    priority = pod.shape.priority
    lower = [other for other in node.pods.values() if other.shape.priority < priority]
    if not lower:
        return _NO_VICTIMS
    emptier = node.copy()
    what_if = [check and check.copy() for check in checks]
    for other in lower:
        remove(what_if, emptier, other)

    expected = cluster.nominated_to(node.name, pod, priority)

    def refused() -> Refusal | None:
        if expected:
            for other in expected:
                add(what_if, emptier, other)
            found = first_refusal(what_if, emptier)
            for other in expected:
                remove(what_if, emptier, other)
            if found is not None:
                return found
        return first_refusal(what_if, emptier)

    if (why := refused()) is not None:
        return why
    lower.sort(key=lambda other: importance(other, now))
    protected, others = split_by_budgets(lower, budgets)
    victims = []
    violations = 0
    for group in (protected, others):
        for other in group:
            add(what_if, emptier, other)
            if refused() is not None:
                remove(what_if, emptier, other)
                victims.append(other)
                violations += group is protected
    victims.sort(key=lambda other: importance(other, now))
    return Candidate(node.name, tuple(victims), violations)


def importance(pod: PodInfo, now: str) -> tuple[int, str]:
    """Sorts the most important first: by priority, then who has run longest (``util.MoreImportantPod``)."""
    return -pod.shape.priority, pod.started or now


def split_by_budgets(pods: Iterable[PodInfo], budgets: Sequence[Budget]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Those whose going would break a disruption budget, given that those before them went, and the rest."""
    left = [budget.allowed for budget in budgets]
    protected: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        broken = False
        for index, budget in enumerate(budgets):
            if budget.namespace != pod.shape.namespace or not pod.shape.labels or budget.selector.empty:
                continue
            if name_of(pod.obj) in budget.disrupted or not budget.selector.matches(pod.shape.labels):
                continue
            left[index] -= 1
            broken = broken or left[index] < 0
        (protected if broken else others).append(pod)
    return protected, others


def best(candidates: Sequence[Candidate], now: str) -> Candidate:
    """Where it hurts least (``pickOneNodeForPreemption``)."""
    return min(candidates, key=lambda candidate: _pain(candidate, now))


def _pain(candidate: Candidate, now: str) -> tuple[int, int, int, int, _Latest]:
    priorities = [pod.shape.priority for pod in candidate.victims]
    most = priorities[0]
    return (
        candidate.violations,
        most,
        sum(priority + 2**31 for priority in priorities),  # so that few pods hurt less than many, below zero too
        len(priorities),
        _Latest(min(pod.started or now for pod in candidate.victims if pod.shape.priority == most)),
    )


class _Latest(str):
    """A time of which the later sorts first."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

"""InterPodAffinity: with these pods, not with those, rather with these.

Required anti-affinity works both ways: a pod that is there already keeps others away. Preferences, and the required
affinity of pods that are there (with a weight of 1), draw others, too.

1.20 adds ``node(s) didn't match pod affinity/anti-affinity`` to each of these messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.framework import MAX_SCORE, Check, Refusal, Scoring
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape, Term

PLUGIN = "InterPodAffinity"

HARD_AFFINITY_WEIGHT = 1

_APART_FROM_AFFINE = Refusal(PLUGIN, ("node(s) didn't match pod affinity rules",), final=True)
_NEAR_AVOIDED = Refusal(PLUGIN, ("node(s) didn't match pod anti-affinity rules",))
_AVOIDED = Refusal(PLUGIN, ("node(s) didn't satisfy existing pods anti-affinity rules",))

Domain = tuple[str, str]  # topology key, its value on a node
Counts = dict[Domain, int]


def meant(term: Term, shape: Shape, cluster: Cluster) -> bool:
    """Whether a term is about pods of this shape."""
    if not term.selector.matches(shape.labels):
        return False
    if shape.namespace in term.namespaces:
        return True
    return not term.among.nothing and term.among.matches(cluster.namespaces.get(shape.namespace, {}))


def _all_meant(terms: Sequence[Term], shape: Shape, cluster: Cluster) -> bool:
    return bool(terms) and all(meant(term, shape, cluster) for term in terms)


def _domains(terms: Iterable[Term], node: NodeInfo) -> Iterator[Domain]:
    for term in terms:
        value = node.labels.get(term.topology_key)
        if value is not None:
            yield term.topology_key, value


def _count(counts: Counts, domains: Iterable[Domain], number: int) -> None:
    for domain in domains:
        left = counts.get(domain, 0) + number
        if left:
            counts[domain] = left
        else:
            counts.pop(domain, None)


def _shapes(node: NodeInfo) -> Iterator[tuple[Shape, int]]:
    """The shapes on a node and how many pods have each; those on their way out count here until they are gone."""
    yield from node.alive.items()
    if sum(node.alive.values()) != len(node.pods):
        yield from ((pod.shape, 1) for pod in node.pods.values() if pod.terminating)


class _Rules(Check):
    """Counts, by domain, of pods that matter to the one to be placed."""

    def __init__(self, shape: Shape, cluster: Cluster) -> None:
        self._shape = shape
        self._cluster = cluster
        self._affine: Counts = {}  # pods that all of its affinity terms are about
        self._avoided: Counts = {}  # pods that one of its anti-affinity terms is about
        self._avoiding: Counts = {}  # pods one of whose anti-affinity terms is about it

    def gather(self) -> None:
        shape = self._shape
        for node in self._cluster.sociable_nodes():
            for pod in node.sociable.values():
                self._shun(node, pod.shape, 1)
        if shape.affinity or shape.anti_affinity:
            for node in self._cluster.nodes.values():
                for other, pods in _shapes(node):
                    self._meet(node, other, pods)

    def _shun(self, node: NodeInfo, other: Shape, number: int) -> None:
        terms = [term for term in other.anti_affinity if meant(term, self._shape, self._cluster)]
        _count(self._avoiding, _domains(terms, node), number)

    def _meet(self, node: NodeInfo, other: Shape, number: int) -> None:
        shape, cluster = self._shape, self._cluster
        if _all_meant(shape.affinity, other, cluster):
            _count(self._affine, _domains(shape.affinity, node), number)
        terms = [term for term in shape.anti_affinity if meant(term, other, cluster)]
        _count(self._avoided, _domains(terms, node), number)

    def refuse(self, node: NodeInfo) -> Refusal | None:
        shape = self._shape
        if shape.affinity and not self._near_affine(node):
            return _APART_FROM_AFFINE
        if any(domain in self._avoided for domain in _domains(shape.anti_affinity, node)):
            return _NEAR_AVOIDED
        if self._avoiding and any(domain in self._avoiding for domain in node.labels.items()):
            return _AVOIDED
        return None

    def _near_affine(self, node: NodeInfo) -> bool:
        terms = self._shape.affinity
        domains = list(_domains(terms, node))
        if len(domains) < len(terms):
            return False
        if all(domain in self._affine for domain in domains):
            return True
        # The first of pods that want to be together has nobody to join.
        return not self._affine and _all_meant(terms, self._shape, self._cluster)

    @property
    def idle(self) -> bool:
        """No rule applies, wherever."""
        return not (self._shape.affinity or self._shape.anti_affinity or self._avoiding)

    def copy(self) -> _Rules:
        made = _Rules(self._shape, self._cluster)
        made._affine, made._avoided, made._avoiding = dict(self._affine), dict(self._avoided), dict(self._avoiding)
        return made

    def shift(self, node: NodeInfo, pod: PodInfo, sign: int) -> None:
        self._shun(node, pod.shape, sign)
        self._meet(node, pod.shape, sign)


def check(shape: Shape, cluster: Cluster) -> Check | None:
    if not (shape.affinity or shape.anti_affinity or cluster.sociable or cluster.nominated):
        return None
    rules = _Rules(shape, cluster)
    rules.gather()
    # With nominated pods it may come to apply: they are tried out by ``shift``.
    return None if rules.idle and not cluster.nominated else rules


class _Scoring(Scoring):
    def __init__(self, counts: dict[str, dict[str, int]]) -> None:
        self._counts = counts  # topology key → value → weights

    def score(self, node: NodeInfo) -> int:
        return sum(values.get(node.labels[key], 0) for key, values in self._counts.items() if key in node.labels)

    def normalized(self, scores: Sequence[int]) -> Sequence[int]:
        least, most = min(scores, default=0), max(scores, default=0)
        if least == most:
            return [0] * len(scores)
        return [int(MAX_SCORE * ((score - least) / (most - least))) for score in scores]


def scoring(shape: Shape, cluster: Cluster, feasible: Sequence[NodeInfo]) -> Scoring | None:
    """What draws the pod, and what repels it, by domain."""
    counts: dict[str, dict[str, int]] = {}

    def note(term: Term, node: NodeInfo, weight: int) -> None:
        value = node.labels.get(term.topology_key)
        if value is not None:
            domains = counts.setdefault(term.topology_key, {})
            domains[value] = domains.get(value, 0) + weight

    for node in cluster.sociable_nodes():
        for pod in node.sociable.values():
            for term, weight in _pulls(pod.shape):
                if meant(term, shape, cluster):
                    note(term, node, weight)
    wishes = [(term, term.weight) for term in shape.preferred_affinity]
    wishes += [(term, -term.weight) for term in shape.preferred_anti_affinity]
    if wishes:
        for node in cluster.nodes.values():
            for other, pods in _shapes(node):
                for term, weight in wishes:
                    if meant(term, other, cluster):
                        note(term, node, weight * pods)
    return _Scoring(counts) if counts else None


def _pulls(shape: Shape) -> Iterator[tuple[Term, int]]:
    """What a pod that is there does to others that its terms are about."""
    for term in shape.affinity:
        yield term, HARD_AFFINITY_WEIGHT
    for term in shape.preferred_affinity:
        yield term, term.weight
    for term in shape.preferred_anti_affinity:
        yield term, -term.weight

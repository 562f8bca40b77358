"""The same decision as :mod:`~.decide`, for the many alike pods of a workload, without looking at every node for each.

A ranking belongs to a shape and lives as long as nothing changes but nodes, each for itself: its totals, its taints. It
keeps the feasible nodes in groups: all nodes of a group agree in whatever the *normalised* scores and the spread
constraints look at (their soft taints, preferences, topology domains, number of alike pods), so that these are worked
out once a group. Within a group the scores that depend on the node alone (room, balance, images) decide: a heap. A node
that got a pod, or lost one, is the only one that has to be looked at again.

Pods with pod affinity of their own change the scores of many nodes at once; they have no ranking.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.decide import first_refusal, prepare
from labkit.embedded.kubernetes.scheduler.framework import Check, Refusal, Scoring
from labkit.embedded.kubernetes.scheduler.nodes import NodeFacts, NodeInfo
from labkit.embedded.kubernetes.scheduler.plugins import images, noderesources, nodes
from labkit.embedded.kubernetes.scheduler.plugins import topologyspread as spread
from labkit.embedded.kubernetes.scheduler.pods import HOSTNAME, Shape
from labkit.embedded.kubernetes.scheduler.profile import FILTERS, SCORES

LOCAL = (noderesources.FIT, noderesources.BALANCED, images.PLUGIN)
"""The scores that are not normalised: they look at the node alone."""

MOVING = (nodes.PORTS, noderesources.FIT)
"""The filters that look at a node's totals; the others (but for spreading) say the same as long as its facts stand."""

Domain = str | int | None
"""A topology domain, None without the label. For single hosts the number of alike pods there stands in its place: hosts
with equally many are alike."""


class _Traits(NamedTuple):
    """What the nodes of a group have in common."""

    scores: tuple[int, ...]  # raw, of the normalised plug-ins
    hard: tuple[Domain, ...]  # of each hard constraint
    soft: tuple[Domain, ...] | None  # of each soft one; None: not to be scored


class _Standing(NamedTuple):
    """A node's place in its group's heap: the best first, equals in random order."""

    negated: int
    lot: float
    node: str


@dataclass(slots=True)
class _Group:
    traits: _Traits
    size: int = 0
    heap: list[_Standing] = field(default_factory=list)


@dataclass(slots=True)
class _Ranked:
    """What was found at the last look at a node; its domains stay as they are while the ranking lives."""

    node: NodeInfo
    facts: NodeFacts  # those that the next two were found by
    welcome: bool  # by all filters that do not look at its totals
    scores: tuple[int, ...]
    domains: list[str | None]  # of each constraint, the hard ones first
    member: list[bool]  # of each constraint: whether its pods count
    ignored: bool
    pods: list[int]  # of each constraint


class Ranking:
    """Made by :meth:`of`. Ask :meth:`best`, place the pod there in the cluster, ask again."""

    @classmethod
    def of(cls, shape: Shape, cluster: Cluster, rng: random.Random) -> Ranking | None:
        """None when this shape, as things are, has to be decided pod by pod."""
        if shape.sociable:
            return None
        hard = spread.hard_constraints(shape)
        if hard and (cluster.nominated or not _hosts_differ(cluster)):
            return None
        if any(pod.shape.sociable for pods in cluster.nominated.values() for pod in pods.values()):
            return None
        checks = prepare(shape, cluster)
        if isinstance(checks, Refusal) or any(check is not None and check.names is not None for check in checks):
            return None  # a DaemonSet's pod has one node to look at
        return cls(shape, cluster, rng, checks)

    def __init__(self, shape: Shape, cluster: Cluster, rng: random.Random, checks: Sequence[Check | None]) -> None:
        self._shape = shape
        self._cluster = cluster
        self._rng = rng
        self._hard = spread.hard_constraints(shape)
        self._soft = spread.soft_constraints(shape, cluster)
        self._owner = cluster.owner_selector(shape)
        self._selves = [int(one.selector.matches(shape.labels)) for one in self._hard]
        self._fixed: list[Check] = []
        self._moving: list[Check] = []
        for filter, check in zip(FILTERS, checks, strict=True):
            if check is not None and filter.plugin != spread.PLUGIN:
                (self._moving if filter.plugin in MOVING else self._fixed).append(check)
        self._local: list[tuple[int, Scoring]] = []
        self._normalized: list[tuple[int, Scoring]] = []
        self._spread_weight = 0
        nodes = list(cluster.nodes.values())
        for score in SCORES:
            if score.plugin == spread.PLUGIN:
                self._spread_weight = score.weight
            elif (scoring := score.prepare(shape, cluster, nodes)) is not None:
                (self._local if score.plugin in LOCAL else self._normalized).append((score.weight, scoring))
        self._epoch = cluster.epoch
        self._by_taints = any(one.honor_taints for one in (*self._hard, *self._soft))
        self._taintings = cluster.taintings
        self._images = images.spreads(shape, cluster)
        self._read = len(cluster.journal)
        self._groups: dict[_Traits, _Group] = {}
        self._standings: dict[str, tuple[_Group, _Standing]] = {}
        self._ranked = {node.name: self._look(node) for node in nodes}
        # Of each constraint: domain → alike pods there. Of the hard ones: number of pods → how many domains have it.
        self._counts = self._count_domains()
        self._levels = [Counter(counts.values()) for counts in self._counts[: len(self._hard)]]
        for ranked in self._ranked.values():
            self._rank(ranked)

    @property
    def current(self) -> bool:
        """False: throw it away, for what it took for granted has changed."""
        cluster = self._cluster
        if self._epoch != cluster.epoch or cluster.owner_selector(self._shape) is not self._owner:
            return False
        if self._by_taints and self._taintings != cluster.taintings:
            return False  # other nodes count for their domains now
        if self._images != images.spreads(self._shape, cluster):
            return False
        return not (self._hard and cluster.nominated)

    def best(self) -> str | None:
        """The node for the next pod of this shape; None if none will do."""
        self._catch_up()
        groups = [group for group in self._groups.values() if self._allowed(group.traits.hard)]
        if len(groups) < 2:
            return self._top(groups[0]).node if groups else None
        tops = map(self._top, groups)
        bonuses = self._bonuses(groups)
        places = [(top.negated - bonus, top.lot, top.node) for top, bonus in zip(tops, bonuses, strict=True)]
        return min(places)[2]

    def totals(self) -> dict[str, int]:
        """Each node's score, as for the next pod."""
        self._catch_up()
        groups = [group for group in self._groups.values() if self._allowed(group.traits.hard)]
        bonus = dict(zip(map(id, groups), self._bonuses(groups), strict=True))
        return {
            name: bonus[id(group)] - standing.negated
            for name, (group, standing) in self._standings.items()
            if id(group) in bonus
        }

    # -- nodes

    def _look(self, node: NodeInfo) -> _Ranked:
        constraints, hard = (*self._hard, *self._soft), len(self._hard)
        domains = [node.labels.get(one.topology_key) for one in constraints]
        labelled = None not in domains[:hard]
        welcome, scores = self._judge(node, domains)
        ignored = bool(self._shape.constraints) and None in domains[hard:]
        return _Ranked(
            node=node,
            facts=node.facts,
            welcome=welcome,
            scores=scores,
            domains=domains,
            member=[
                (labelled if index < hard else not ignored) and spread.counts_in(one, self._shape, node)
                for index, one in enumerate(constraints)
            ],
            ignored=ignored,
            pods=[spread.count(node, one.selector, self._shape.namespace) for one in constraints],
        )

    def _judge(self, node: NodeInfo, domains: Sequence[str | None]) -> tuple[bool, tuple[int, ...]]:
        """By what it is, whatever is on it: whether it is welcome, and its scores."""
        labelled = None not in domains[: len(self._hard)]
        welcome = labelled and first_refusal(self._fixed, node) is None
        return welcome, tuple([scoring.score(node) for _, scoring in self._normalized])

    def _count_domains(self) -> list[dict[str, int]]:
        found: list[dict[str, int]] = [{} for _ in (*self._hard, *self._soft)]
        for ranked in self._ranked.values():
            for counts, domain, member, pods in zip(found, ranked.domains, ranked.member, ranked.pods, strict=True):
                if member and domain is not None:
                    counts[domain] = counts.get(domain, 0) + pods
        return found

    def _catch_up(self) -> None:
        """Look again at the nodes that have changed since."""
        journal = self._cluster.journal
        for name in dict.fromkeys(journal[self._read :]):
            ranked = self._ranked.get(name)
            if ranked is not None:
                node = ranked.node
                if ranked.facts is not node.facts:
                    ranked.facts = node.facts
                    ranked.welcome, ranked.scores = self._judge(node, ranked.domains)
                self._recount(ranked)
                self._rank(ranked)
        self._read = len(journal)

    def _recount(self, ranked: _Ranked) -> None:
        for index, one in enumerate((*self._hard, *self._soft)):
            pods = spread.count(ranked.node, one.selector, self._shape.namespace)
            more = pods - ranked.pods[index]
            if not more:
                continue
            ranked.pods[index] = pods
            domain = ranked.domains[index]
            if not ranked.member[index] or domain is None:
                continue
            counts = self._counts[index]
            counts[domain] += more
            if index < len(self._hard):
                levels = self._levels[index]
                levels[counts[domain]] += 1
                levels[counts[domain] - more] -= 1
                if not levels[counts[domain] - more]:
                    del levels[counts[domain] - more]

    def _rank(self, ranked: _Ranked) -> None:
        """Put a node where it belongs now."""
        name = ranked.node.name
        known = self._standings.pop(name, None)
        if known is not None:
            group = known[0]
            group.size -= 1
            if not group.size:
                del self._groups[group.traits]
        if not ranked.welcome or not self._has_room(ranked.node):
            return
        traits = self._traits(ranked)
        found = self._groups.get(traits)
        if found is None:
            found = self._groups[traits] = _Group(traits)
        score = 0
        for weight, scoring in self._local:
            score += weight * scoring.score(ranked.node)
        standing = _Standing(-score, self._rng.random(), name)
        self._standings[name] = found, standing
        found.size += 1
        heappush(found.heap, standing)

    def _has_room(self, node: NodeInfo) -> bool:
        if first_refusal(self._moving, node) is not None:
            return False
        expected = self._cluster.nominated_to(node.name, None, self._shape.priority)
        if not expected:
            return True
        fuller = node.copy()
        for pod in expected:
            fuller.add(pod)
        return first_refusal(self._moving, fuller) is None

    def _traits(self, ranked: _Ranked) -> _Traits:
        hard = len(self._hard)
        domains: list[Domain] = list(ranked.domains)
        for index, one in enumerate((*self._hard, *self._soft)):
            if one.topology_key == HOSTNAME and domains[index] is not None:
                counts = ranked.member[index] or index >= hard
                domains[index] = ranked.pods[index] if counts else 0
        soft = None if ranked.ignored else tuple(domains[hard:])
        return _Traits(ranked.scores, tuple(domains[:hard]), soft)

    # -- groups

    def _top(self, group: _Group) -> _Standing:
        """Its best node. Nodes that have left the group are still in the heap until they come to the top."""
        heap = group.heap
        while True:
            top = heap[0]
            known = self._standings.get(top.node)
            if known is not None and known[1] is top:
                return top
            heappop(heap)

    def _allowed(self, domains: Sequence[Domain]) -> bool:
        """Whether the hard constraints let one more pod in there."""
        for index, one in enumerate(self._hard):
            counts = self._counts[index]
            domain = domains[index]
            pods = domain if isinstance(domain, int) else counts.get(domain or "", 0)
            least = min(self._levels[index]) if len(counts) >= one.min_domains else 0
            if pods + self._selves[index] - least > one.max_skew:
                return False
        return True

    def _bonuses(self, groups: Sequence[_Group]) -> list[int]:
        """What each group's nodes get from the normalised scores."""
        bonuses = [0] * len(groups)
        for index, (weight, scoring) in enumerate(self._normalized):
            raw = [group.traits.scores[index] for group in groups]
            bonuses = [bonus + weight * value for bonus, value in zip(bonuses, scoring.normalized(raw), strict=True)]
        if not self._soft:
            return bonuses
        even = spread.reversed_scores(self._spread_scores(groups))
        return [bonus + self._spread_weight * value for bonus, value in zip(bonuses, even, strict=True)]

    def _spread_scores(self, groups: Sequence[_Group]) -> list[int]:
        scored = [(group.traits.soft, group.size) for group in groups if group.traits.soft is not None]
        hosts = sum(map(itemgetter(1), scored))
        weights = []
        for index, one in enumerate(self._soft):
            single = one.topology_key == HOSTNAME
            weights.append(spread.domain_weight(hosts if single else len({soft[index] for soft, _ in scored})))
        found = []
        for group in groups:
            soft = group.traits.soft
            if soft is None:
                found.append(spread.IGNORED)
                continue
            total = 0.0
            for index, one in enumerate(self._soft):
                domain = soft[index]
                if domain is None:
                    continue
                pods = domain if isinstance(domain, int) else self._counts[len(self._hard) + index].get(domain, 0)
                total += spread.weighted(pods, one.max_skew, weights[index])
            found.append(spread.rounded(total))
        return found


def _hosts_differ(cluster: Cluster) -> bool:
    hosts = [node.labels[HOSTNAME] for node in cluster.nodes.values() if HOSTNAME in node.labels]
    return len(set(hosts)) == len(hosts)

"""Any cluster, any pods: each goes where the plain algorithm could have placed it, and waits only if nothing fits."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.decide import decide
from labkit.embedded.kubernetes.scheduler.pods import Shape
from labkit.embedded.kubernetes.scheduler.preemption import preempt
from labkit.embedded.kubernetes.scheduler.ranking import Ranking

from .making import (
    HOST,
    PREFERRED,
    ZONE,
    a_cluster,
    a_node,
    a_pod,
    apart,
    info,
    near,
    rather_apart,
    rather_near,
    spread,
    term,
)
from .naive import Naive, allocatable, requests, total

APPS = ("web", "db")
NOW = "2026-01-01T00:00:00Z"

SOFT = "PreferNoSchedule"
TAINTS = [(), (), (), (f"k=v:{SOFT}",), (f"a:{SOFT}", f"b:{SOFT}"), ("k=v:NoSchedule",)]

LABELS = [{}, {"disk": "ssd"}, {"disk": "hdd"}]
ZONES = ["", "x", "y", "z"]

nodes_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "cpu": st.sampled_from(["1", "2", "4"]),
            "memory": st.sampled_from(["1Gi", "4Gi"]),
            "pods": st.sampled_from([3, 110]),
            "zone": st.sampled_from(ZONES),
            "taints": st.sampled_from(TAINTS),
            "labels": st.sampled_from(LABELS),
        }
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip

PREFERENCE = {
    "weight": 5,
    "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
}
AFFINITIES: list[Json] = [
    near(term(app="web")), apart(term(app="web")), near(term(ZONE, app="db")), apart(term(ZONE, app="db")),
    rather_near(term(ZONE, app="web")), rather_apart(term(app="web")),
]  # fmt: skip
CONSTRAINTS: list[list[Json]] = [
    [spread()], [spread(ZONE)], [spread(ZONE), spread(skew=2)], [spread(ZONE, minDomains=2)],
    [spread(hard=False)], [spread(ZONE, hard=False, skew=2)], [spread(ZONE), spread(hard=False)],
    [spread(ZONE, hard=False), spread(hard=False)],
]  # fmt: skip

plain = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["", "100m", "500m", "1500m"]), "memory": st.sampled_from(["", "100Mi", "1Gi"])},
    optional={
        "labels": st.sampled_from([{"app": app} for app in APPS]),
        "nodeSelector": st.sampled_from([{"disk": "ssd"}, {"disk": "hdd"}]),
        "topologySpreadConstraints": st.sampled_from(CONSTRAINTS),
        "affinity": st.just({"nodeAffinity": {PREFERRED: [PREFERENCE]}}),
        "priority": st.sampled_from([0, 10]),
        "containers": st.just([{"name": "c", "image": "i", "ports": [{"hostPort": 80}]}]),
    },
)
sociable = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["", "500m"]), "labels": st.sampled_from([{"app": app} for app in APPS])},
    optional={"affinity": st.sampled_from(AFFINITIES), "priority": st.sampled_from([0, 10])},
)
actions = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "place", "place", "delete", "end", "alter"]),
        st.integers(0, 3),
        st.integers(0, 50),
    ),
    max_size=60,
)


class World:
    """The cluster as the scheduler has it, and as plain objects."""

    def __init__(self, nodes: list[Json], kinds: list[Json], service: bool) -> None:
        self.facts = [dict(facts) for facts in nodes]
        self.nodes = [a_node(f"n{number}", **facts) for number, facts in enumerate(nodes)]
        self.kinds = kinds
        self.pods: list[Json] = []
        self.cluster: Cluster = a_cluster(self.nodes)
        self.selector = {"app": "web"} if service else None
        self.cluster.put_service("default", "web", self.selector)
        self.rng = random.Random(1)
        self.rankings: dict[Shape, Ranking] = {}
        self.number = 0

    @property
    def naive(self) -> Naive:
        return Naive(self.nodes, self.pods, self.selector)

    def a_pod(self, kind: int) -> Json:
        self.number += 1
        return a_pod(f"p{self.number}", **self.kinds[kind % len(self.kinds)])

    def choose(self, pod: Json) -> str | None:
        """By a ranking if there can be one, checked against the slow way."""
        shape = info(pod).shape
        ranking = self.rankings.get(shape)
        if ranking is None or not ranking.current:
            ranking = Ranking.of(shape, self.cluster, self.rng)
            if ranking is not None:
                self.rankings[shape] = ranking
        slowly = decide(info(pod), self.cluster, self.rng)
        totals = self.naive.totals(pod)
        best = {name for name, score in totals.items() if score == max(totals.values())}
        assert (slowly.node in best) if best else slowly.node is None
        if slowly.scores is not None and slowly.scores.totals:
            names = [node.name for node in slowly.scores.nodes]
            assert dict(zip(names, slowly.scores.totals, strict=True)) == totals
        if ranking is None:
            return slowly.node
        quickly = ranking.best()
        assert (quickly in best) if best else quickly is None
        assert ranking.totals() == totals
        return quickly

    def place(self, pod: Json, node: str) -> None:
        self.cluster.assume(info(pod), node)
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        if self.rng.random() < 0.7:
            self.cluster.put_pod(info(bound))
        self.pods.append(bound)

    def alter(self, what: int, which: int) -> None:
        """A node becomes another one while pods are on it and rankings count with it."""
        number = which % len(self.nodes)
        facts = self.facts[number]
        if what == 0:
            facts["labels"] = LABELS[which % len(LABELS)]
        elif what == 1:
            facts["zone"] = ZONES[which % len(ZONES)]
        else:
            facts["taints"] = TAINTS[which % len(TAINTS)]
        self.nodes[number] = a_node(f"n{number}", **facts)
        self.cluster.put_node(self.nodes[number])

    def remove(self, pod: Json) -> None:
        self.pods.remove(pod)
        self.cluster.remove_pod((pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def end(self, pod: Json) -> None:
        going = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": NOW}}
        self.pods[self.pods.index(pod)] = going
        self.cluster.put_pod(info(going))

    def check(self) -> None:
        for node in self.nodes:
            used, size = total(self.naive.on(node)), allocatable(node)
            assert used[0] <= size[0]
            assert used[1] <= size[1]
            known = self.cluster.nodes[node["metadata"]["name"]]
            assert (known.used.get("cpu", 0), known.used.get("memory", 0)) == used
            assert len(known.pods) == len(self.naive.on(node))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes_strategy, st.lists(st.one_of(plain, plain, sociable), min_size=1, max_size=4), st.booleans(), actions)
def test_as_the_plain_algorithm_would(
    nodes: list[Json], kinds: list[Json], service: bool, steps: list[tuple[str, int, int]]
) -> None:
    world = World(nodes, kinds, service)
    for action, kind, which in steps:
        if action == "place":
            pod = world.a_pod(kind)
            node = world.choose(pod)
            if node is not None:
                world.place(pod, node)
        elif action == "alter":
            world.alter(kind, which)
        elif world.pods:
            pod = world.pods[which % len(world.pods)]
            if action == "delete":
                world.remove(pod)
            elif "deletionTimestamp" not in pod["metadata"]:
                world.end(pod)
        world.check()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes_strategy, st.lists(st.one_of(plain, plain, sociable), min_size=1, max_size=4), st.integers(2, 25), plain)
def test_preemption(nodes: list[Json], kinds: list[Json], pods: int, wanted: Json) -> None:
    """Nobody of equal or higher priority has to leave; with the victims gone the pod fits; with fewer it does not."""
    world = World(nodes, kinds, service=False)
    for number in range(pods):
        pod = world.a_pod(number)
        if (node := world.choose(pod)) is not None:
            world.place(pod, node)
    important: Any = a_pod("important", **{**wanted, "priority": 5})
    decision = decide(info(important), world.cluster, world.rng)
    if decision.node is not None:
        return
    outcome = preempt(info(important), world.cluster, decision.diagnosis, [], world.rng, NOW)
    assert (outcome.candidate is None) == bool(outcome.message)
    if outcome.candidate is None:
        return
    victims = {pod.name for pod in outcome.candidate.victims}
    assert victims
    assert all(pod.shape.priority < 5 and pod.node == outcome.candidate.node for pod in outcome.candidate.victims)
    home = next(node for node in world.nodes if node["metadata"]["name"] == outcome.candidate.node)

    def fits_without(names: set[str]) -> bool:
        left = [pod for pod in world.pods if pod["metadata"]["name"] not in names]
        return Naive(world.nodes, left).fits(important, home)

    assert fits_without(victims)
    for spared in victims:
        assert not fits_without(victims - {spared})
    before = [(pod.key, pod.node) for pod in world.cluster.pods.values()]
    assert len(before) == len(world.pods)  # all of it was only thought


def test_the_reference_knows_its_sums() -> None:
    pod = a_pod(cpu="100m")
    assert requests(pod) == (100, 0)
    assert requests(pod, counted=True) == (100, 200 * 2**20)
    assert HOST in a_node("a")["metadata"]["labels"]

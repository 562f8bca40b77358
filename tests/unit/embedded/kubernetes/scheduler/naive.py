"""The scheduling algorithm once more, as plainly as can be: straight from the objects, one pod, all nodes, no memory.

What the quick one does is held against it. It knows the pods that ``test_properties`` makes: CPU and memory, node
selectors and preferences, taints, host ports, spreading by labels, pod affinity by labels.
"""

from __future__ import annotations

import math
from typing import Any

from labkit.embedded.kubernetes import quantity
from labkit.embedded.kubernetes.objects import Json

from .making import HOST, PREFERRED, REQUIRED, ZONE


def requests(pod: Json, *, counted: bool = False) -> tuple[int, int]:
    cpu = memory = 0
    for container in pod["spec"]["containers"]:
        asked = container.get("resources", {}).get("requests", {})
        cpu += quantity.parse(asked["cpu"]).milli if "cpu" in asked else 100 * counted
        memory += quantity.parse(asked["memory"]).value if "memory" in asked else 200 * 2**20 * counted
    return cpu, memory


def allocatable(node: Json) -> tuple[int, int]:
    has = node["status"]["allocatable"]
    return quantity.parse(has["cpu"]).milli, quantity.parse(has["memory"]).value


def total(pods: list[Json], *, counted: bool = False) -> tuple[int, int]:
    found = [requests(pod, counted=counted) for pod in pods]
    return sum(cpu for cpu, _ in found), sum(memory for _, memory in found)


def labels(obj: Json) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("labels") or {}
    return found


def has(obj: Json, wanted: dict[str, str]) -> bool:
    return all(labels(obj).get(key) == value for key, value in wanted.items())


def alive(pod: Json) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


class Naive:
    def __init__(self, nodes: list[Json], pods: list[Json], selector: dict[str, str] | None = None) -> None:
        """``selector``: of the service that all pods with such labels belong to."""
        self.nodes = nodes
        self.pods = pods
        self.selector = selector

    def on(self, node: Json) -> list[Json]:
        return [pod for pod in self.pods if pod["spec"]["nodeName"] == node["metadata"]["name"]]

    # -- filters

    def feasible(self, pod: Json) -> list[Json]:
        return [node for node in self.nodes if self.fits(pod, node)]

    def fits(self, pod: Json, node: Json) -> bool:
        return (
            not any(taint["effect"] == "NoSchedule" for taint in node["spec"].get("taints", ()))
            and has(node, pod["spec"].get("nodeSelector", {}))
            and self.ports_free(pod, node)
            and self.has_room(pod, node)
            and all(self.even(pod, node, one) for one in self.constraints(pod, "DoNotSchedule"))
            and self.good_company(pod, node)
        )

    def ports_free(self, pod: Json, node: Json) -> bool:
        def ports(pod: Json) -> set[int]:
            return {port["hostPort"] for one in pod["spec"]["containers"] for port in one.get("ports", ())}

        return not any(ports(pod) & ports(other) for other in self.on(node))

    def has_room(self, pod: Json, node: Json) -> bool:
        there = self.on(node)
        used, asked, size = total(there), requests(pod), allocatable(node)
        return len(there) < int(node["status"]["allocatable"]["pods"]) and all(
            not asked[index] or used[index] + asked[index] <= size[index] for index in (0, 1)
        )

    def constraints(self, pod: Json, action: str) -> list[Json]:
        own = pod["spec"].get("topologySpreadConstraints")
        if own:
            return [one for one in own if one["whenUnsatisfiable"] == action]
        if action == "ScheduleAnyway" and self.selector and has(pod, self.selector):
            selector = {"matchLabels": self.selector}
            return [
                {"topologyKey": HOST, "maxSkew": 3, "labelSelector": selector},
                {"topologyKey": ZONE, "maxSkew": 5, "labelSelector": selector},
            ]
        return []

    def alike(self, constraint: Json, nodes: list[Json]) -> int:
        wanted = constraint["labelSelector"]["matchLabels"]
        return sum(alive(other) and has(other, wanted) for node in nodes for other in self.on(node))

    def eligible(self, pod: Json, constraints: list[Json]) -> list[Json]:
        keys = [one["topologyKey"] for one in constraints]
        return [
            node
            for node in self.nodes
            if has(node, pod["spec"].get("nodeSelector", {})) and all(key in labels(node) for key in keys)
        ]

    def even(self, pod: Json, node: Json, constraint: Json) -> bool:
        key = constraint["topologyKey"]
        if key not in labels(node):
            return False
        nodes = self.eligible(pod, self.constraints(pod, "DoNotSchedule"))
        domains = {labels(one)[key] for one in nodes}
        counts = {
            domain: self.alike(constraint, [one for one in nodes if labels(one)[key] == domain]) for domain in domains
        }
        least = min(counts.values()) if len(counts) >= constraint.get("minDomains", 1) else 0
        itself = has(pod, constraint["labelSelector"]["matchLabels"])
        return counts.get(labels(node)[key], 0) + itself - least <= constraint["maxSkew"]

    def good_company(self, pod: Json, node: Json) -> bool:
        wanted = terms(pod, "podAffinity")
        # Friends on nodes without any of the labels are in no domain: to the real one, they are not there.
        friends = [
            other
            for other in self.pods
            if all(meant(one, other) for one in wanted)
            and any(one["topologyKey"] in labels(self.home(other)) for one in wanted)
        ]
        for term in wanted:
            if not friends and all(meant(one, pod) for one in wanted):
                if term["topologyKey"] not in labels(node):
                    return False
            elif not any(self.together(term, node, other) for other in friends):
                return False
        for term in terms(pod, "podAntiAffinity"):
            if any(meant(term, other) and self.together(term, node, other) for other in self.pods):
                return False
        return not any(
            meant(term, pod) and self.together(term, node, other)
            for other in self.pods
            for term in terms(other, "podAntiAffinity")
        )

    def together(self, term: Json, node: Json, other: Json) -> bool:
        key = term["topologyKey"]
        return key in labels(node) and labels(node)[key] == labels(self.home(other)).get(key)

    def home(self, pod: Json) -> Json:
        return next(node for node in self.nodes if node["metadata"]["name"] == pod["spec"]["nodeName"])

    # -- scores

    def totals(self, pod: Json) -> dict[str, int]:
        nodes = self.feasible(pod)
        columns = [
            (3, reverse(proportion([soft_taints(node) for node in nodes]))),
            (2, proportion([preference(pod, node) for node in nodes])),
            (1, [self.least_allocated(pod, node) for node in nodes]),
            (2, self.spreading(pod, nodes)),
            (2, stretched([self.pull(pod, node) for node in nodes])),
            (1, [self.balanced(pod, node) for node in nodes]),
        ]
        return {
            node["metadata"]["name"]: sum(weight * column[index] for weight, column in columns)
            for index, node in enumerate(nodes)
        }

    def least_allocated(self, pod: Json, node: Json) -> int:
        used, asked, size = total(self.on(node), counted=True), requests(pod, counted=True), allocatable(node)
        return sum(max(0, size[index] - used[index] - asked[index]) * 100 // size[index] for index in (0, 1)) // 2

    def balanced(self, pod: Json, node: Json) -> int:
        used, asked, size = total(self.on(node)), requests(pod), allocatable(node)
        if not any(asked):
            return 0
        cpu, memory = (min(1.0, (used[index] + asked[index]) / size[index]) for index in (0, 1))
        return int((1 - abs(cpu - memory) / 2) * 100)

    def spreading(self, pod: Json, nodes: list[Json]) -> list[int]:
        constraints = self.constraints(pod, "ScheduleAnyway")
        if not constraints:
            return [0] * len(nodes)
        strict = bool(pod["spec"].get("topologySpreadConstraints"))

        def scored(node: Json) -> bool:
            return not strict or all(one["topologyKey"] in labels(node) for one in constraints)

        counting = [node for node in self.eligible(pod, []) if scored(node)]
        raw: list[int | None] = []
        for node in nodes:
            score = 0.0
            for one in constraints:
                key = one["topologyKey"]
                candidates = [other for other in nodes if scored(other)]
                domains = len(candidates) if key == HOST else len({labels(other).get(key) for other in candidates})
                if key in labels(node):
                    same = [other for other in counting if labels(other).get(key) == labels(node)[key]]
                    pods = self.alike(one, [node] if key == HOST else same)
                    score += pods * math.log(domains + 2) + one["maxSkew"] - 1
            raw.append(math.floor(score + 0.5) if scored(node) else None)
        known = [score for score in raw if score is not None]
        most, least = max(known, default=0), min(known, default=0)
        return [0 if score is None else 100 if most == 0 else 100 * (most + least - score) // most for score in raw]

    def pull(self, pod: Json, node: Json) -> int:
        score = 0
        for other in self.pods:
            for one, about in ((pod, other), (other, pod)):
                for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                    for item in (one["spec"].get("affinity", {}).get(kind, {})).get(PREFERRED, ()):
                        term = item["podAffinityTerm"]
                        if meant(term, about) and self.together(term, node, other):
                            score += sign * item["weight"]
            for term in terms(other, "podAffinity"):
                score += meant(term, pod) and self.together(term, node, other)
        return score


def terms(pod: Json, kind: str) -> list[Json]:
    found: list[Json] = pod["spec"].get("affinity", {}).get(kind, {}).get(REQUIRED, [])
    return found


def meant(term: Json, pod: Json) -> bool:
    return has(pod, term["labelSelector"]["matchLabels"])


def soft_taints(node: Json) -> int:
    return sum(taint["effect"] == "PreferNoSchedule" for taint in node["spec"].get("taints", ()))


def preference(pod: Json, node: Json) -> int:
    items: list[Any] = pod["spec"].get("affinity", {}).get("nodeAffinity", {}).get(PREFERRED, [])
    return sum(
        item["weight"]
        for item in items
        if all(labels(node).get(one["key"]) in one["values"] for one in item["preference"]["matchExpressions"])
    )


def proportion(scores: list[int]) -> list[int]:
    most = max(scores, default=0)
    return [100 * score // most for score in scores] if most else [0] * len(scores)


def reverse(scores: list[int]) -> list[int]:
    return [100 - score for score in scores]


def stretched(scores: list[int]) -> list[int]:
    least, most = min(scores, default=0), max(scores, default=0)
    return [int(100 * ((score - least) / (most - least))) if most > least else 0 for score in scores]

"""What keeps a pod off a node, seen from the objects alone. Pure; in the words of somebody who looks at them.

A scheduler says less ("node(s) had untolerated taint(s)") and keeps the rest to itself. The rules are those of its
filters, each under the filter's name; what only it knows (volumes, room promised to others) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.orchestrators.kubernetes.reading import quantity

Json = Mapping[str, Any]

_HARD = ("NoSchedule", "NoExecute")
_OVER = ("Succeeded", "Failed")

# Taints that the cluster itself sets, and what they say.
_MEANING = {
    "node.kubernetes.io/unreachable": "the node does not answer",
    "node.kubernetes.io/not-ready": "the node is not ready",
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/memory-pressure": "the node runs out of memory",
    "node.kubernetes.io/disk-pressure": "the node runs out of disk",
    "node.kubernetes.io/pid-pressure": "the node runs out of process ids",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which filter says no, and why."""

    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All nodes, and all pods that have a node and still need it, the pod in question left out."""

    nodes: Mapping[str, Json]
    pods: Sequence[Json]

    @classmethod
    def of(cls, pod: Json, nodes: Iterable[Json], pods: Iterable[Json]) -> Surroundings:
        uid = pod["metadata"].get("uid")
        return cls(
            {node["metadata"]["name"]: node for node in nodes},
            [
                other
                for other in pods
                if other["metadata"].get("uid") != uid
                and other["spec"].get("nodeName")
                and (other.get("status") or {}).get("phase") not in _OVER
            ],
        )

    def on(self, node: str) -> Iterator[Json]:
        return (pod for pod in self.pods if pod["spec"]["nodeName"] == node)

    def in_domain(self, key: str, value: str) -> Iterator[Json]:
        """The pods on all nodes whose label ``key`` is ``value``."""
        for name, node in self.nodes.items():
            if labels(node).get(key) == value:
                yield from self.on(name)


def refusals(pod: Json, node: Json, around: Surroundings) -> list[Refusal]:
    """Every filter that says no, in the order in which a scheduler asks them (it stops at the first)."""
    found = ((name, say(pod, node, around)) for name, say in FILTERS)
    return [Refusal(name, reason) for name, reason in found if reason]


def labels(thing: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = thing["metadata"].get("labels") or {}
    return found


# -- cordon and taints


def _unschedulable(pod: Json, node: Json, around: Surroundings) -> str:
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    return "cordoned" if node["spec"].get("unschedulable") and not tolerated(pod, cordon) else ""


def _taints(pod: Json, node: Json, around: Surroundings) -> str:
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] in _HARD and not tolerated(pod, taint):
            meaning = _MEANING.get(taint["key"])
            words = f"taint {taint_words(taint)} is not tolerated"
            return f"{meaning} ({words})" if meaning else words
    return ""


def taint_words(taint: Json) -> str:
    """As kubectl writes one: ``disk=ssd:NoSchedule``."""
    value = taint.get("value") or ""
    return f"{taint['key']}{'=' if value else ''}{value}:{taint['effect']}"


def tolerated(pod: Json, taint: Json) -> bool:
    for one in pod["spec"].get("tolerations") or ():
        if one.get("effect") not in (None, "", taint["effect"]) or one.get("key") not in (None, "", taint["key"]):
            continue
        if one.get("operator") == "Exists" or (one.get("value") or "") == (taint.get("value") or ""):
            return True
    return False


# -- which nodes it wants


def _affinity(pod: Json, node: Json, around: Surroundings) -> str:
    has = labels(node)
    for key, value in (pod["spec"].get("nodeSelector") or {}).items():
        if has.get(key) != value:
            instead = f"its {key} is {has[key]!r}" if key in has else f"it has no label {key}"
            return f"nodeSelector wants {key}={value}, {instead}"
    required = _part(pod, "nodeAffinity").get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = (required or {}).get("nodeSelectorTerms") or ()
    if required and not any(_term_matches(term, node) for term in terms):
        return f"node affinity wants {' or '.join(map(_term_words, terms))}"
    return ""


def _part(pod: Json, name: str) -> Json:
    found: Json = (pod["spec"].get("affinity") or {}).get(name) or {}
    return found


def _term_matches(term: Json, node: Json) -> bool:
    by_label, by_field = term.get("matchExpressions") or (), term.get("matchFields") or ()
    name = {"metadata.name": node["metadata"]["name"]}
    if not by_label and not by_field:
        return False
    return all(expression_matches(one, labels(node)) for one in by_label) and all(
        expression_matches(one, name) for one in by_field
    )


def _term_words(term: Json) -> str:
    both = [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
    return " and ".join(map(_expression_words, both)) or "nothing"


def _expression_words(one: Json) -> str:
    values = one.get("values") or []
    if one["operator"] == "In" and len(values) == 1:
        return f"{one['key']}={values[0]}"
    return " ".join([one["key"], one["operator"], *([f"({', '.join(values)})"] if values else [])])


def expression_matches(one: Json, values: Mapping[str, str]) -> bool:
    """One requirement of a selector, of nodes or of pods."""
    value, wanted = values.get(one["key"]), list(one.get("values") or ())
    operator = one["operator"]
    if operator in ("Gt", "Lt"):
        try:
            found, bound = int(value or ""), int(wanted[0])
        except (ValueError, IndexError):
            return False
        return found > bound if operator == "Gt" else found < bound
    answers = {
        "In": value in wanted,
        "NotIn": value not in wanted,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers.get(operator, False)


# -- room


def _ports(pod: Json, node: Json, around: Surroundings) -> str:
    wanted = set(_host_ports(pod))
    taken = {port for other in around.on(node["metadata"]["name"]) for port in _host_ports(other)}
    return ", ".join(f"host port {port}/{protocol} is taken" for protocol, port in sorted(wanted & taken))


def _host_ports(pod: Json) -> Iterator[tuple[str, int]]:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("protocol", "TCP"), port["hostPort"]


def _room(pod: Json, node: Json, around: Surroundings) -> str:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    there = list(around.on(node["metadata"]["name"]))
    told = []
    if len(there) >= quantity(allocatable.get("pods", 0)):
        told.append(f"{len(there)} pods are all that it takes")
    for name, asked in requests(pod).items():
        has = quantity(allocatable.get(name, 0))
        left = has - sum(requests(other).get(name, 0.0) for other in there)
        if asked > left + 1e-9:
            told.append(
                f"{name}: asks for {amount(name, asked)}, {amount(name, max(left, 0.0))} of {amount(name, has)} left"
            )
    return "; ".join(told)


def requests(pod: Json) -> dict[str, float]:
    """What a pod needs at most at any time: its containers together, or its hungriest init container."""
    total: dict[str, float] = {}
    for container in pod["spec"]["containers"]:
        for name, value in _asked(container).items():
            total[name] = total.get(name, 0.0) + value
    for container in pod["spec"].get("initContainers") or ():
        for name, value in _asked(container).items():
            if container.get("restartPolicy") == "Always":
                total[name] = total.get(name, 0.0) + value
            else:
                total[name] = max(total.get(name, 0.0), value)
    return {name: value for name, value in total.items() if value}


def _asked(container: Json) -> dict[str, float]:
    return {k: quantity(v) for k, v in ((container.get("resources") or {}).get("requests") or {}).items()}


def amount(name: str, value: float) -> str:
    """``250m``, ``1.5`` CPUs; bytes in the unit that is short."""
    if name == "cpu":
        return f"{value:.4g}" if value >= 1 or not value else f"{round(value * 1000)}m"
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if value >= 1024**power:
            return f"{value / 1024**power:.3g}{unit}"
    return f"{value:g}"


# -- who else is there


def _spread(pod: Json, node: Json, around: Surroundings) -> str:
    for rule in pod["spec"].get("topologySpreadConstraints") or ():
        if rule.get("whenUnsatisfiable") == "ScheduleAnyway":
            continue
        key, skew = rule["topologyKey"], rule["maxSkew"]
        here = labels(node).get(key)
        if here is None:
            return f"it has no label {key}, over which the pods are spread"
        counts = {
            labels(other)[key]: 0
            for other in around.nodes.values()
            if key in labels(other) and not _affinity(pod, other, around)
        }
        for domain in counts:
            counts[domain] = sum(
                _selected(rule.get("labelSelector"), other) and _same_namespace(pod, other) and not _leaving(other)
                for other in around.in_domain(key, domain)
            )
        would = counts.get(here, 0) + _selected(rule.get("labelSelector"), pod)
        emptiest = min(counts, key=lambda domain: (counts[domain], domain), default="")
        if would - counts.get(emptiest, 0) > skew:
            least = f"{emptiest} has {counts.get(emptiest, 0)}"
            return f"spread over {key}: it would have {would}, {least} (maxSkew {skew})"
    return ""


def _company(pod: Json, node: Json, around: Surroundings) -> str:
    return _missing(pod, node, around) or _avoided(pod, node, around) or _avoiding(pod, node, around)


def _missing(pod: Json, node: Json, around: Surroundings) -> str:
    for term in _required(pod, "podAffinity"):
        key = term["topologyKey"]
        here = labels(node).get(key)
        if here is not None and any(_meant(term, pod, other) for other in around.in_domain(key, here)):
            continue
        first = not any(_meant(term, pod, other) for other in around.pods) and _meant(term, pod, pod)
        if here is None or not first:  # the first of pods that want to be together has nobody to join
            return f"pod affinity: no pod with {_selector_words(term.get('labelSelector'))} in its {key}"
    return ""


def _avoided(pod: Json, node: Json, around: Surroundings) -> str:
    for term in _required(pod, "podAntiAffinity"):
        there = next((p for p in _neighbours(term, node, around) if _meant(term, pod, p)), None)
        if there is not None:
            return f"anti-affinity: {there['metadata']['name']} is there already"
    return ""


def _avoiding(pod: Json, node: Json, around: Surroundings) -> str:
    for other in around.pods:
        for term in _required(other, "podAntiAffinity"):
            key = term["topologyKey"]
            where = labels(around.nodes.get(other["spec"]["nodeName"]) or {"metadata": {}}).get(key)
            if where is not None and where == labels(node).get(key) and _meant(term, other, pod):
                return f"anti-affinity of {other['metadata']['name']}, which is there"
    return ""


def _neighbours(term: Json, node: Json, around: Surroundings) -> Iterator[Json]:
    here = labels(node).get(term["topologyKey"])
    return iter(()) if here is None else around.in_domain(term["topologyKey"], here)


def _required(pod: Json, name: str) -> Sequence[Json]:
    found: Sequence[Json] = _part(pod, name).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return found


def _meant(term: Json, whose: Json, other: Json) -> bool:
    """Whether the term of pod ``whose`` is about ``other``. Selectors of namespaces are not followed, but for all."""
    namespaces = term.get("namespaces") or [whose["metadata"]["namespace"]]
    anywhere = term.get("namespaceSelector") == {}
    return (anywhere or other["metadata"]["namespace"] in namespaces) and _selected(term.get("labelSelector"), other)


def _same_namespace(pod: Json, other: Json) -> bool:
    return bool(pod["metadata"]["namespace"] == other["metadata"]["namespace"])


def _leaving(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _selected(selector: Json | None, pod: Json) -> bool:
    """A selector that is not there selects nothing, an empty one everything."""
    if selector is None:
        return False
    has = labels(pod)
    return all(has.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        expression_matches(one, has) for one in selector.get("matchExpressions") or ()
    )


def _selector_words(selector: Json | None) -> str:
    selector = selector or {}
    told = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    return ", ".join([*told, *map(_expression_words, selector.get("matchExpressions") or ())]) or "any labels"


FILTERS: tuple[tuple[str, Callable[[Json, Json, Surroundings], str]], ...] = (
    ("NodeUnschedulable", _unschedulable),
    ("TaintToleration", _taints),
    ("NodeAffinity", _affinity),
    ("NodePorts", _ports),
    ("NodeResourcesFit", _room),
    ("PodTopologySpread", _spread),
    ("InterPodAffinity", _company),
)
"""Each gives the reason why not, "" when it does not mind."""

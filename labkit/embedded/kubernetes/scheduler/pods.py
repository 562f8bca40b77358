"""A pod as the scheduler sees it, read once.

Pods of one workload are alike in everything that scheduling looks at; they share one :class:`Shape`, found by a
fingerprint of just those parts, so that a thousand of them cost one reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import orjson

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json, Key, controller_of, key_of
from labkit.embedded.kubernetes.scheduler import resources
from labkit.embedded.kubernetes.scheduler.resources import Resources
from labkit.embedded.kubernetes.selectors import NOTHING, Selector, SelectorError

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


class Toleration(NamedTuple):
    key: str
    operator: str
    value: str
    effect: str


class HostPort(NamedTuple):
    protocol: str
    port: int
    address: str


class NodeTerm(NamedTuple):
    """A node selector term: conditions on labels, and on fields, of which there is only ``metadata.name``."""

    expressions: Selector
    fields: Selector

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """An empty term matches no node, unlike an empty selector."""
        if self.expressions.empty and self.fields.empty:
            return False
        return self.expressions.matches(labels) and self.fields.matches({NAME_FIELD: name})

    def names(self) -> frozenset[str] | None:
        """The only nodes, by name, that can match; None: it does not say."""
        found = [frozenset(one.values) for one in self.fields.requirements if one.operator == "in"]
        return frozenset.intersection(*found) if found else None


NAME_FIELD = "metadata.name"


class Constraint(NamedTuple):
    """One of ``topologySpreadConstraints``."""

    max_skew: int
    topology_key: str
    hard: bool  # DoNotSchedule
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


class Term(NamedTuple):
    """A term of pod (anti-)affinity. ``among`` selects namespaces by their labels, besides those named."""

    namespaces: frozenset[str]
    among: Selector
    selector: Selector
    topology_key: str
    weight: int = 0


class Owner(NamedTuple):
    api_version: str
    kind: str
    name: str


@dataclass(slots=True, eq=False, weakref_slot=True)
class Shape:
    """All that scheduling looks at in a pod. Compared by identity: alike pods have the very same one."""

    namespace: str
    labels: Mapping[str, str]
    priority: int
    preempts: bool
    gates: tuple[str, ...]
    requests: Resources
    counted_cpu: int
    counted_memory: int
    ports: tuple[HostPort, ...]
    images: tuple[str, ...]
    tolerations: tuple[Toleration, ...]
    node_selector: Selector
    node_terms: tuple[NodeTerm, ...] | None  # None: no required node affinity
    node_preferences: tuple[tuple[int, NodeTerm], ...]
    constraints: tuple[Constraint, ...]
    affinity: tuple[Term, ...]
    anti_affinity: tuple[Term, ...]
    preferred_affinity: tuple[Term, ...]
    preferred_anti_affinity: tuple[Term, ...]
    owner: Owner | None
    sociable: bool = field(init=False)  # has any term of pod (anti-)affinity

    def __post_init__(self) -> None:
        self.sociable = bool(
            self.affinity or self.anti_affinity or self.preferred_affinity or self.preferred_anti_affinity
        )


@dataclass(slots=True, eq=False)
class PodInfo:
    """A pod and its shape. ``node`` is where it is bound, or is assumed to be; "" while it waits."""

    key: Key
    uid: str
    obj: Json
    shape: Shape
    node: str
    nominated: str
    terminating: bool
    started: str  # status.startTime, "" if the kubelet has not yet seen it

    @property
    def name(self) -> str:
        return self.key[1]

    def on(self, node: str) -> PodInfo:
        """The same pod, on that node."""
        return PodInfo(self.key, self.uid, self.obj, self.shape, node, self.nominated, self.terminating, self.started)


_SPEC_PARTS = (
    "affinity", "nodeSelector", "overhead", "preemptionPolicy", "priority", "resources", "schedulingGates",
    "tolerations", "topologySpreadConstraints",
)  # fmt: skip
_METADATA_PARTS = ("namespace", "labels", "ownerReferences")
_ALL_PARTS = ("containers", "initContainers", *_SPEC_PARTS)
_CONTAINER_PARTS = ("image", "ports", "resources", "restartPolicy")


def _fingerprint(pod: Json, owner: Json | None) -> bytes:
    metadata, spec = pod["metadata"], pod["spec"]
    return orjson.dumps(
        (
            metadata.get("namespace"),
            metadata.get("labels"),
            owner and (owner.get("kind"), owner.get("name")),
            [spec.get(part) for part in _SPEC_PARTS],
            [[item.get(part) for part in _CONTAINER_PARTS] for item in spec.get("containers") or ()],
            [[item.get(part) for part in _CONTAINER_PARTS] for item in spec.get("initContainers") or ()],
        )
    )


def _shares_all(old: Json, new: Json) -> bool:
    """Whether all that a fingerprint is made of is the very same: a pod that was bound shares it with what it was."""
    was, now = old["metadata"], new["metadata"]
    before, after = old["spec"], new["spec"]
    return all(map(is_, map(was.get, _METADATA_PARTS), map(now.get, _METADATA_PARTS))) and all(
        map(is_, map(before.get, _ALL_PARTS), map(after.get, _ALL_PARTS))
    )


class Shapes:
    """The shapes of all pods that are around."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[bytes, Shape] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, pod: Json, known: PodInfo | None = None) -> PodInfo:
        """What the scheduler needs to know of a pod. ``known`` is what was read of it before, if anything was."""
        spec = pod["spec"]
        status = pod.get("status") or {}
        metadata = pod["metadata"]
        return PodInfo(
            key=key_of(pod),
            uid=metadata.get("uid", ""),
            obj=pod,
            shape=known.shape if known is not None and _shares_all(known.obj, pod) else self._shape(pod),
            node=spec.get("nodeName") or "",
            nominated=status.get("nominatedNodeName") or "",
            terminating="deletionTimestamp" in metadata,
            started=status.get("startTime") or "",
        )

    def _shape(self, pod: Json) -> Shape:
        owner = controller_of(pod)
        mark = _fingerprint(pod, owner)
        shape = self._known.get(mark)
        if shape is None:
            shape = self._known[mark] = shape_of(pod, owner)
        return shape


def shape_of(pod: Json, owner: Json | None) -> Shape:
    metadata, spec = pod["metadata"], pod["spec"]
    namespace = metadata.get("namespace", "")
    labels = metadata.get("labels") or {}
    cpu, memory = resources.for_scores(spec)
    affinity = spec.get("affinity") or {}
    of_nodes = affinity.get("nodeAffinity") or {}
    required = of_nodes.get(_REQUIRED)
    together, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    return Shape(
        namespace=namespace,
        labels=labels,
        priority=spec.get("priority") or 0,
        preempts=spec.get("preemptionPolicy") != "Never",
        gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
        requests={name: value for name, value in resources.of_pod(spec).items() if value},
        counted_cpu=cpu,
        counted_memory=memory,
        ports=_host_ports(spec),
        images=tuple(
            _image_name(item.get("image") or "")
            for item in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        ),
        tolerations=tuple(
            Toleration(
                item.get("key") or "",
                item.get("operator") or "Equal",
                item.get("value") or "",
                item.get("effect") or "",
            )
            for item in spec.get("tolerations") or ()
        ),
        node_selector=selectors.of_map(spec.get("nodeSelector")),
        node_terms=(
            None if required is None else tuple(_node_term(term) for term in required.get("nodeSelectorTerms") or ())
        ),
        node_preferences=tuple(
            (item["weight"], _node_term(item["preference"])) for item in of_nodes.get(_PREFERRED) or ()
        ),
        constraints=tuple(_constraint(item, labels) for item in spec.get("topologySpreadConstraints") or ()),
        affinity=tuple(_term(item, namespace) for item in together.get(_REQUIRED) or ()),
        anti_affinity=tuple(_term(item, namespace) for item in apart.get(_REQUIRED) or ()),
        preferred_affinity=_weighted(together, namespace),
        preferred_anti_affinity=_weighted(apart, namespace),
        owner=Owner(owner["apiVersion"], owner["kind"], owner["name"]) if owner else None,
    )


def _selector(selector: Mapping[str, Any] | None) -> Selector:
    try:
        return selectors.of(selector)
    except SelectorError:  # the API server lets none in; an old one selects nothing
        return NOTHING


def _node_term(term: Json) -> NodeTerm:
    try:
        return NodeTerm(
            selectors.of_node(term.get("matchExpressions") or ()), selectors.of_node(term.get("matchFields") or ())
        )
    except SelectorError:
        return NodeTerm(NOTHING, NOTHING)


def merged(parts: Iterable[Selector]) -> Selector:
    """One that wants all that any of them wants."""
    return Selector(dict.fromkeys(one for selector in parts for one in selector.requirements))


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _weighted(affinity: Json, namespace: str) -> tuple[Term, ...]:
    return tuple(
        _term(item["podAffinityTerm"], namespace)._replace(weight=item["weight"])
        for item in affinity.get(_PREFERRED) or ()
    )


def _term(term: Json, namespace: str) -> Term:
    named, among = term.get("namespaces") or (), term.get("namespaceSelector")
    if not named and among is None:
        named = (namespace,)
    return Term(
        namespaces=frozenset(named),
        among=_selector(among),
        selector=_selector(term.get("labelSelector")),
        topology_key=term.get("topologyKey") or "",
    )


def _constraint(item: Json, labels: Mapping[str, str]) -> Constraint:
    selector = _selector(item.get("labelSelector"))
    same = {key: labels[key] for key in item.get("matchLabelKeys") or () if key in labels}
    if same and not selector.nothing:
        # The API server has merged these into the selector already, unless the pod is older than that rule.
        selector = merged((selector, selectors.of_map(same)))
    return Constraint(
        max_skew=item["maxSkew"],
        topology_key=item["topologyKey"],
        hard=item["whenUnsatisfiable"] == "DoNotSchedule",
        selector=selector,
        min_domains=item.get("minDomains") or 1,
        honor_affinity=item.get("nodeAffinityPolicy") != "Ignore",
        honor_taints=item.get("nodeTaintsPolicy") == "Honor",
    )


def _host_ports(spec: Mapping[str, Any]) -> tuple[HostPort, ...]:
    sidecars = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
    return tuple(
        HostPort(port.get("protocol") or "TCP", port["hostPort"], port.get("hostIP") or "0.0.0.0")
        for container in (*(spec.get("containers") or ()), *sidecars)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _image_name(image: str) -> str:
    """With a tag, as a node lists it."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"

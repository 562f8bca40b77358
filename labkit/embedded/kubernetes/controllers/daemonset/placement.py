"""On which nodes a DaemonSet's pods belong. Pure; ``NodeShouldRunDaemonPod`` and ``util/daemonset_util.go``.

Resources do not matter here: they are the scheduler's business, and a daemon pod that does not fit waits on its node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json, labels_of, name_of

NODE_NAME_FIELD = "metadata.name"

_STAYS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def with_tolerations(spec: Mapping[str, Any]) -> Json:
    """The pod's spec with what a daemon tolerates: it stays on nodes that others leave."""
    tolerations: list[Json] = list(spec.get("tolerations") or ())
    for key, effect in (*_STAYS, _NETWORK) if spec.get("hostNetwork") else _STAYS:
        wanted = {"key": key, "operator": "Exists", "effect": effect}
        if wanted not in tolerations:
            tolerations.append(wanted)
    return {**spec, "tolerations": tolerations}


def on_node(spec: Mapping[str, Any], node: str) -> Json:
    """The spec of the pod for that node: the scheduler may choose no other.

    The terms of its own required node affinity have been looked at already and are replaced.
    """
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    term = {"matchFields": [{"key": NODE_NAME_FIELD, "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {**spec, "affinity": {**affinity, "nodeAffinity": {**node_affinity, **required}}}


def target_of(pod: Json) -> str:
    """The node that it is on, or is meant for; "" when nobody can tell."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == NODE_NAME_FIELD and field["operator"] == "In" and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def tolerates(tolerations: Iterable[Json], taint: Json) -> bool:
    """Whether one of them tolerates the taint (``ToleratesTaint``)."""
    for one in tolerations:
        if one.get("effect") and one["effect"] != taint["effect"]:
            continue
        if one.get("key") and one["key"] != taint["key"]:
            continue
        operator = one.get("operator") or "Equal"
        if operator == "Exists" or (operator == "Equal" and one.get("value", "") == taint.get("value", "")):
            return True
    return False


class Placement:
    """The nodes that a DaemonSet's template allows, compiled once for many nodes."""

    def __init__(self, template: Json) -> None:
        spec = with_tolerations(template["spec"])
        self._node_name = spec.get("nodeName", "")
        self._tolerations = spec["tolerations"]
        self._selector = selectors.of_map(spec.get("nodeSelector"))
        node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        self._terms = None if required is None else [_Term(term) for term in required.get("nodeSelectorTerms") or ()]

    def on(self, node: Json) -> tuple[bool, bool]:
        """Whether a pod shall run on the node, and whether one that does may go on.

        They differ for a taint that keeps new pods away and lets old ones be.
        """
        if self._node_name and self._node_name != name_of(node):
            return False, False
        if not self._selector.matches(labels_of(node)):
            return False, False
        if self._terms is not None and not any(term.matches(node) for term in self._terms):
            return False, False
        untolerated = [
            taint["effect"]
            for taint in node["spec"].get("taints") or ()
            if taint["effect"] != "PreferNoSchedule" and not tolerates(self._tolerations, taint)
        ]
        return not untolerated, "NoExecute" not in untolerated


class _Term:
    """One of the ``nodeSelectorTerms``: all of its requirements must hold; an empty one matches nothing."""

    def __init__(self, term: Json) -> None:
        self._labels = selectors.of_node(term.get("matchExpressions") or ())
        self._fields = selectors.of_node(term.get("matchFields") or ())
        self._empty = not term.get("matchExpressions") and not term.get("matchFields")

    def matches(self, node: Json) -> bool:
        if self._empty:
            return False
        return self._labels.matches(labels_of(node)) and self._fields.matches({NODE_NAME_FIELD: name_of(node)})

"""``binding``: a scheduler's decision, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.errors import Conflict
from labkit.embedded.kubernetes.objects import Json, edited, labels_of, with_condition
from labkit.embedded.kubernetes.registry import objectmeta

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry


# Of the node, which a pod gets to know by its own labels (the admission plug-in PodTopologyLabels).
TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def bind(registry: Registry, namespace: str, name: str, node: str, *, uid: str = "", dry_run: bool = False) -> Json:
    """Give a pod (of that UID) to a node. Raises ``Conflict`` when it has one already, or is on its way out.

    Goes past managedFields, validation and generation, as the real one does (``BindingREST.setPodNodeAndMetadata``).
    """
    pod = registry.record(kinds.PODS, namespace, name).obj
    objectmeta.check_precondition(kinds.PODS, {"uid": uid}, pod["metadata"])
    if "deletionTimestamp" in pod["metadata"]:
        raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        raise _refused(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    new = edited(pod)
    new["spec"]["nodeName"] = node
    condition = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": times.rfc3339(registry.clock.time()),
    }
    status = new.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    status["conditions"] = with_condition(status.get("conditions"), condition)
    if topology := _topology(registry, node):
        new["metadata"]["labels"] = {**(new["metadata"].get("labels") or {}), **topology}
    if dry_run:
        return new
    return registry.etcd.put(kinds.PODS, (namespace, name), new).obj


def _topology(registry: Registry, node: str) -> dict[str, str]:
    record = registry.etcd.get(kinds.NODES, ("", node))
    labels = labels_of(record.obj) if record is not None else {}
    return {key: labels[key] for key in TOPOLOGY if key in labels}


def _refused(name: str, problem: str) -> Conflict:
    return Conflict("pods/binding", "", name, problem)

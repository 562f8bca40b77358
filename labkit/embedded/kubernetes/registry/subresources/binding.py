"""``binding``: a scheduler's decision, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.errors import Conflict
from labkit.embedded.kubernetes.objects import Json, edited, with_condition

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry


def bind(registry: Registry, namespace: str, name: str, node: str, *, dry_run: bool = False) -> Json:
    """Give a pod to a node. Raises ``Conflict`` when it has one already, or is on its way out.

    Goes past managedFields, validation and generation, as the real one does (``BindingREST.setPodNodeAndMetadata``).
    """
    pod = registry.record(kinds.PODS, namespace, name).obj
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
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    status = new.setdefault("status", {})
    status["conditions"] = with_condition(status.get("conditions"), condition)
    if dry_run:
        return new
    return registry.etcd.put(kinds.PODS, (namespace, name), new).obj


def _refused(name: str, problem: str) -> Conflict:
    return Conflict("pods/binding", "", name, problem)

"""Priority: a pod's class becomes its number, and a cluster has one default class at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import Forbidden
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.options import WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

# Made at start as objects too (pkg/apis/scheduling: SystemPriorityClasses); a pod may name them before that.
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def handles(kind: Kind) -> bool:
    return kind in (kinds.PODS, kinds.PRIORITY_CLASSES)


def on_create(registry: Registry, kind: Kind, new: Json, options: WriteOptions) -> None:
    if kind is kinds.PODS:
        _admit_pod(registry, new)
    else:
        _one_default(registry, new)


def on_update(registry: Registry, kind: Kind, new: Json, old: Json, options: WriteOptions) -> None:
    if kind is kinds.PRIORITY_CLASSES:
        _one_default(registry, new)
    elif kind is kinds.PODS:  # both were decided when it was created; who writes a pod back without them means no harm
        spec, was = new.get("spec"), old.get("spec")
        if spec is None or was is None:
            return
        for field in ("priority", "preemptionPolicy"):
            if spec.get(field) is None and was.get(field) is not None:
                spec[field] = was[field]


def _admit_pod(registry: Registry, pod: Json) -> None:
    spec = pod.setdefault("spec", {})
    name = spec.get("priorityClassName") or ""
    priority, policy = 0, "PreemptLowerPriority"
    if name:
        record = registry.etcd.get(kinds.PRIORITY_CLASSES, ("", name))
        if record is not None:
            priority, policy = record.obj.get("value", 0), record.obj.get("preemptionPolicy") or policy
        elif name in SYSTEM_CLASSES:
            priority = SYSTEM_CLASSES[name]
        else:
            raise _forbidden(pod, f"no PriorityClass with name {name} was found")
    elif (default := _default(registry)) is not None:
        spec["priorityClassName"] = default["metadata"]["name"]
        priority, policy = default.get("value", 0), default.get("preemptionPolicy") or policy
    if (given := spec.get("priority")) is not None and given != priority:
        raise _forbidden(
            pod,
            f"the integer value of priority ({given}) must not be provided in pod spec; priority admission controller "
            f"computed {priority} from the given PriorityClass name",
        )
    if (wanted := spec.get("preemptionPolicy")) is not None and wanted != policy:
        raise _forbidden(
            pod,
            f"the string value of PreemptionPolicy ({wanted}) must not be provided in pod spec; priority admission "
            f"controller computed {policy} from the given PriorityClass name",
        )
    spec["priority"] = priority
    spec["preemptionPolicy"] = policy


def _default(registry: Registry) -> Json | None:
    """The lowest of the classes that say they are the default: there may be several for a moment."""
    found = [record.obj for record in registry.etcd.table(kinds.PRIORITY_CLASSES) if record.obj.get("globalDefault")]
    return min(found, key=lambda one: one.get("value", 0)) if found else None


def _one_default(registry: Registry, new: Json) -> None:
    default = _default(registry) if new.get("globalDefault") else None
    if default is not None and default["metadata"]["name"] != new["metadata"]["name"]:
        name = default["metadata"]["name"]
        problem = f"PriorityClass {name} is already marked as default. Only one default can exist"
        raise Forbidden("priorityclasses", "scheduling.k8s.io", new["metadata"]["name"], problem)


def _forbidden(pod: Json, problem: str) -> Forbidden:
    return Forbidden("pods", "", pod["metadata"].get("name", ""), problem)

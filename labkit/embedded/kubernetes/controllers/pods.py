"""What controllers ask of pods, and how they make them (``pkg/controller/controller_utils.go``, ``pkg/api/v1/pod``)."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes import times
from labkit.embedded.kubernetes.objects import (
    Json,
    condition_of,
    is_pod_ready,
    labels_of,
    name_of,
    owner_reference,
    status_of,
)


def from_template(
    template: Json, owner: Json, *, prefix: str | None = None, name: str = "", finalizers: tuple[str, ...] = ()
) -> Json:
    """A pod as the template says, managed by ``owner``. It shares the template's parts, as all its siblings do.

    It is called ``name``, or gets a name that begins with ``prefix`` (``<owner>-`` unless told).
    """
    described = template.get("metadata") or {}
    metadata: Json = {"name": name} if name else {"generateName": f"{name_of(owner)}-" if prefix is None else prefix}
    for part in ("labels", "annotations"):
        if described.get(part):
            metadata[part] = described[part]
    found = [*described.get("finalizers", ()), *finalizers]
    if found:
        metadata["finalizers"] = found
    metadata["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def ready_since(pod: Json) -> float | None:
    """When it became ready (sandbox time); None when it is not."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition["status"] != "True":
        return None
    return times.parse(condition["lastTransitionTime"]) if condition.get("lastTransitionTime") else 0.0


def available_at(pod: Json, min_ready_seconds: int) -> float | None:
    """When it counts as available: ready for so many seconds. None when it is not ready; 0.0: it does already."""
    if not min_ready_seconds:
        return 0.0 if is_pod_ready(pod) else None
    since = ready_since(pod)
    return None if since is None else since + min_ready_seconds


def is_available(pod: Json, min_ready_seconds: int, now: float) -> bool:
    at = available_at(pod, min_ready_seconds)
    return at is not None and at <= now


def restarts(pod: Json) -> int:
    """How often the container that was restarted most was restarted."""
    counts = (one.get("restartCount", 0) for one in status_of(pod).get("containerStatuses") or ())
    return max(counts, default=0)


def has_labels(pod: Json, wanted: dict[str, Any]) -> bool:
    """Whether it carries all of these."""
    labels = labels_of(pod)
    return all(labels.get(key) == value for key, value in wanted.items())

"""Pods: their first status, their quality of service, and the time that they are given to end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, is_pod_finished
from labkit.embedded.kubernetes.quantity import is_zero
from labkit.embedded.kubernetes.quantity import same as same_quantity
from labkit.embedded.kubernetes.registry.options import DeleteOptions
from labkit.embedded.kubernetes.registry.strategies.base import Strategy

# Of the metadata, what a write of ephemeral containers leaves alone (``ResetObjectMetaForStatus``).
_NOT_BY_EPHEMERAL = ("labels", "annotations", "finalizers", "ownerReferences")
_COMPUTE = ("cpu", "memory")  # what the quality of service looks at


class Pods(Strategy):
    generation = True
    returns_deleted = True

    def prepare_for_create(self, new: Json) -> None:
        new["metadata"]["generation"] = 1
        status = new["status"] = {"phase": "Pending", "qosClass": quality_of_service(new.get("spec") or {})}
        if (new.get("spec") or {}).get("schedulingGates"):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "lastTransitionTime": None,
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]

    def prepare_for_status(self, new: Json, old: Json) -> None:
        super().prepare_for_status(new, old)
        metadata, was = new["metadata"], old["metadata"]
        # A kubelet of old may not know of owners; its status updates must not take them away.
        if "ownerReferences" in was:
            metadata["ownerReferences"] = was["ownerReferences"]
        else:
            metadata.pop("ownerReferences", None)
        status, before = new.get("status") or {}, old.get("status") or {}
        if not status.get("qosClass") and before.get("qosClass"):
            new["status"] = {**status, "qosClass": before["qosClass"]}

    def prepare_for_ephemeral_containers(self, new: Json, old: Json) -> None:
        """Nothing but the ephemeral containers is taken; what else was sent is dropped, as for a status."""
        given, kept = (new.get("spec") or {}).get("ephemeralContainers"), old["spec"]
        spec = {key: value for key, value in kept.items() if key != "ephemeralContainers"}
        if given:
            spec["ephemeralContainers"] = given
        new["spec"] = kept if spec == kept else spec
        if "status" in old:
            new["status"] = old["status"]
        metadata, was = new["metadata"], old["metadata"]
        for field in _NOT_BY_EPHEMERAL:
            if field in was:
                metadata[field] = was[field]
            else:
                metadata.pop(field, None)
        if new["spec"] is not kept:
            metadata["generation"] = was.get("generation", 0) + 1

    def grace(self, old: Json, options: DeleteOptions) -> int | None:
        spec = old.get("spec") or {}
        if not spec.get("nodeName") or is_pod_finished(old):
            return 0
        if options.grace_period_seconds is not None:
            period = options.grace_period_seconds
        else:
            period = spec.get("terminationGracePeriodSeconds") or 0
        return 1 if period < 0 else period


def quality_of_service(spec: Mapping[str, Any]) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort`` (``pkg/apis/core/helper/qos``)."""
    guaranteed, any_given = True, False
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for container in containers:
        resources = container.get("resources")
        if not resources:
            guaranteed = False
            continue
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in _COMPUTE:
            request, limit = requests.get(name), limits.get(name)
            has_request = request is not None and not is_zero(request)
            has_limit = limit is not None and not is_zero(limit)
            any_given = any_given or has_request or has_limit
            if not has_limit or (request and has_request and limit and not same_quantity(request, limit)):
                guaranteed = False
    if not any_given:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


STRATEGIES: Mapping[Kind, type[Strategy]] = {kinds.PODS: Pods}

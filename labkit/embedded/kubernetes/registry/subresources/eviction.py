"""``eviction``: a deletion of a pod that heeds disruption budgets.

What may be is decided by :func:`labkit.embedded.kubernetes.controllers.disruption.eviction.decide`; here it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.controllers.disruption.eviction import decide
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.objects import Json, edited, with_condition
from labkit.embedded.kubernetes.registry.options import DeleteOptions, WriteOptions

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.registry.registry import Registry

_SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def evict(registry: Registry, namespace: str, name: str, eviction: Json, options: WriteOptions) -> Json:
    """Evict a pod. Raises ``TooManyRequests`` as long as a budget does not allow it, ``NotFound``, ``Conflict``."""
    given = (eviction.get("metadata") or {}).get("name") or name
    if given != name:
        raise BadRequest("name in URL does not match name in Eviction object")
    said = eviction.get("deleteOptions") or {}
    wanted = _delete_options(said, options)
    pod = registry.record(kinds.PODS, namespace, name).obj
    budgets = [row.obj for row in registry.etcd.table(kinds.POD_DISRUPTION_BUDGETS).in_namespace(namespace).values()]
    decision = decide(pod, budgets, registry.clock.time())
    if decision.refusal is not None:
        raise decision.refusal
    if decision.budget is not None and not wanted.dry_run:
        budget = decision.budget["metadata"]["name"]
        registry.update(
            kinds.POD_DISRUPTION_BUDGETS,
            namespace,
            budget,
            decision.budget,
            WriteOptions(manager=options.manager, user=options.user, trusted=True),
            subresource="status",
        )
    # ``guarded`` asks that the pod is still the one that was decided about. Nothing comes between here.
    _mark(registry, pod, wanted)
    registry.delete(kinds.PODS, namespace, name, wanted)
    return _SUCCESS


def _delete_options(said: Json, options: WriteOptions) -> DeleteOptions:
    preconditions = said.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=said.get("gracePeriodSeconds"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=said.get("propagationPolicy"),
        orphan_dependents=said.get("orphanDependents"),
        dry_run=options.dry_run or bool(said.get("dryRun")),
        user=options.user,
    )


def _mark(registry: Registry, pod: Json, wanted: DeleteOptions) -> None:
    """Leave on the pod why it ends, for whoever finds it failed (the ``DisruptionTarget`` condition)."""
    if wanted.dry_run or wanted.resource_version is not None or "deletionTimestamp" in pod["metadata"]:
        return
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": times.rfc3339(registry.clock.time()),
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    new = edited(pod)
    status = new.setdefault("status", {})
    status["conditions"] = with_condition(status.get("conditions"), condition)
    metadata = pod["metadata"]
    registry.etcd.put(kinds.PODS, (metadata["namespace"], metadata["name"]), new)

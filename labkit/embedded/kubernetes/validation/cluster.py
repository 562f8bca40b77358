"""Rules of what a cluster consists of: Namespaces, Nodes, Leases, Events, budgets and priorities."""

from __future__ import annotations

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats, placement, resources
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    none_negative,
    one_of,
    required,
    unchanged,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import (
    complain,
    label_selector,
    metadata,
    metadata_update,
    namespace_finalizers,
)
from labkit.embedded.kubernetes.validation.pods import PREEMPTION_POLICIES
from labkit.embedded.kubernetes.validation.workloads import at_most_all, number_or_percent

HIGHEST_PRIORITY = 1_000_000_000
SYSTEM_PREFIX = "system-"
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_FROM_NOTHING = 'except from "" to valid'
_STATUSES = ("False", "True", "Unknown")


# -- Namespace


def namespace(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_label, False, out)
    namespace_finalizers((obj.get("spec") or {}).get("finalizers") or (), "spec.finalizers", out)


def namespace_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)


def namespace_status_update(new: Json, old: Json, out: Causes) -> None:
    namespace_update(new, old, out)
    phase, ends = (new.get("status") or {}).get("phase") or "", (new.get("metadata") or {}).get("deletionTimestamp")
    if not ends and phase != "Active":
        out.append(invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"))
    elif ends and phase != "Terminating":
        out.append(invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))


def namespace_finalize_update(new: Json, old: Json, out: Causes) -> None:
    namespace_update(new, old, out)
    for index, name in enumerate((new.get("spec") or {}).get("finalizers") or ()):
        namespace_finalizers([name], f"spec.finalizers[{index}]", out)


# -- Node


def node(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, False, out)
    spec = obj.get("spec") or {}
    placement.taints(spec.get("taints") or (), "metadata.taints", out)  # sic
    _amounts(obj, {}, out)
    _pod_cidrs(spec, out)


def _amounts(obj: Json, old: Json, out: Causes) -> None:
    status, before = obj.get("status") or {}, old.get("status") or {}
    for key in ("capacity", "allocatable"):
        if status.get(key) and status[key] is not before.get(key):
            resources.amounts(status[key], f"status.{key}", out)


def _pod_cidrs(spec: Json, out: Causes) -> None:
    found = spec.get("podCIDRs") or []
    for index, value in enumerate(found):
        complain(formats.cidr, value, f"spec.podCIDRs[{index}]", out)
    if len(found) > 1:
        if len({":" in value for value in found}) < 2 or len(found) > 2:
            detail = "may specify no more than one CIDR for each IP family"
            out.append(invalid("spec.podCIDRs", found, detail))
        for index, value in enumerate(found):
            if value in found[:index]:
                out.append(duplicate(f"spec.podCIDRs[{index}]", value))


def node_update(new: Json, old: Json, out: Causes) -> None:
    """Of a node and of its status: the real one checks them alike."""
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _amounts(new, old, out)
    addresses = (new.get("status") or {}).get("addresses") or []
    if addresses is not (old.get("status") or {}).get("addresses"):
        for index, address in enumerate(addresses):
            if address in addresses[:index]:
                out.append(duplicate(f"status.addresses[{index}]", address))
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec is before:
        return
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        out.append(forbidden("spec.podCIDRs", f"node updates may not change podCIDR {_FROM_NOTHING}"))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        out.append(forbidden("spec.providerID", f"node updates may not change providerID {_FROM_NOTHING}"))
    placement.taints(spec.get("taints") or (), "metadata.taints", out)
    if spec.get("externalID") != before.get("externalID"):
        out.append(forbidden("spec.externalID", "may not be updated"))


# -- Lease


def lease(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _lease_spec(obj.get("spec") or {}, out)


def lease_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _lease_spec(new.get("spec") or {}, out)


def _lease_spec(spec: Json, out: Causes) -> None:
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        out.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        out.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    strategy = spec.get("strategy")
    if strategy is not None:
        path = "spec.strategy.strategy"  # sic
        if "/" in strategy:
            complain(formats.qualified_name, strategy, path, out)
        elif strategy != "OldestEmulationVersion":
            out.append(unsupported(path, strategy, ("OldestEmulationVersion",)))
    if spec.get("preferredHolder") and not strategy:
        out.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))


# -- Event


def event(obj: Json, out: Causes) -> None:
    """What holds for events of core/v1 (``legacyValidateEvent``): of their names nothing is asked here."""
    meta, involved = obj.get("metadata") or {}, obj.get("involvedObject") or {}
    namespace, its_own = meta.get("namespace") or "", involved.get("namespace") or ""
    path, detail = "involvedObject.namespace", "does not match event.namespace"
    if not obj.get("eventTime"):
        if (namespace not in ("", "default")) if not its_own else namespace != its_own:
            out.append(invalid(path, its_own, detail))
    else:
        if not its_own and namespace not in ("default", "kube-system"):
            out.append(invalid(path, its_own, detail))
        _new_event(obj, out)
    complain(formats.dns_subdomain, namespace, "namespace", out)


def _new_event(obj: Json, out: Causes) -> None:
    """Events that carry a time of their own say also who saw what."""
    controller = obj.get("reportingComponent") or ""
    if not controller:
        out.append(required("reportingController"))
    complain(formats.qualified_name, controller, "reportingController", out)
    for key, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = obj.get(key) or ""
        if not value:
            out.append(required(key))
        if len(value) > limit:
            out.append(invalid(key, "", f"can have at most {limit} characters"))
    if len(obj.get("message") or "") > 1024:
        out.append(invalid("message", "", "can have at most 1024 characters"))


def event_update(new: Json, old: Json, out: Causes) -> None:
    event(new, out)


# -- PodDisruptionBudget


def pod_disruption_budget(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _budget(obj.get("spec") or {}, out)


def pod_disruption_budget_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    if new.get("spec") is not old.get("spec"):
        _budget(new.get("spec") or {}, out)


def _budget(spec: Json, out: Causes) -> None:
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        # as Go writes its internal struct, which has no JSON names
        shown = {
            "MinAvailable": least, "Selector": spec.get("selector"), "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }  # fmt: skip
        out.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for value, path in ((least, "spec.minAvailable"), (most, "spec.maxUnavailable")):
        if value is not None:
            number_or_percent(value, path, out)
            at_most_all(value, path, out)
    label_selector(spec.get("selector"), "spec.selector", out)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        out.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget")))


def pod_disruption_budget_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    status = new.get("status") or {}
    types: set[str] = set()
    for index, condition in enumerate(status.get("conditions") or ()):
        at, kind = f"status.conditions[{index}]", condition.get("type") or ""
        if kind in types:
            out.append(duplicate(f"{at}.type", kind))
        types.add(kind)
        complain(formats.qualified_name, kind, f"{at}.type", out)
        if condition.get("status") not in _STATUSES:
            out.append(unsupported(f"{at}.status", condition.get("status") or "", _STATUSES))
        for key in ("lastTransitionTime", "reason"):
            if not condition.get(key):
                out.append(required(f"{at}.{key}"))
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    none_negative(status, counts, "status", out)


# -- PriorityClass


def priority_class(obj: Json, out: Causes) -> None:
    meta = obj.get("metadata") or {}
    metadata(meta, formats.dns_subdomain, False, out)
    name, value = meta.get("name") or "", obj.get("value") or 0
    if name.startswith(SYSTEM_PREFIX):
        problem = _unknown_priority(name, value, bool(obj.get("globalDefault")))
        if problem:
            detail = f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: "
            out.append(forbidden("metadata.name", detail + problem))
    elif value > HIGHEST_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}"
        out.append(forbidden("value", detail))
    if obj.get("preemptionPolicy") is not None:
        one_of(obj["preemptionPolicy"], PREEMPTION_POLICIES, "preemptionPolicy", out)


def _unknown_priority(name: str, value: int, is_default: bool) -> str:
    """Why a name is not one of the two that Kubernetes itself has; "" if it is."""
    if name not in SYSTEM_PRIORITIES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_PRIORITIES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_PRIORITIES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def priority_class_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    if (new.get("value") or 0) != (old.get("value") or 0):
        out.append(forbidden("value", "may not be changed in an update."))
    unchanged(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy", out)

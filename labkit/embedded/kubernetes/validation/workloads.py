"""Rules of what keeps pods: Deployment, ReplicaSet, ReplicationController, DaemonSet and their revisions.

``pkg/apis/apps/validation/validation.go``, ``pkg/apis/core/validation`` for the ReplicationController, and what the
strategies of ``pkg/registry/apps`` add (selectors of apps/v1 do not change).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats, pods
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    forbidden,
    invalid,
    none_negative,
    not_negative,
    required,
    unchanged,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import (
    is_empty_selector,
    label_selector,
    metadata,
    metadata_update,
    selects,
)

UNMATCHED = "`selector` does not match template `labels`"
_ABOVE = "cannot be greater than status.replicas"


# -- numbers and percentages


def number_or_percent(value: Any, path: str, out: Causes) -> None:
    """An int-or-string that is not negative, or a percentage."""
    if isinstance(value, str):
        for words in formats.percent(value):
            out.append(invalid(path, value, words))
    else:
        not_negative(value, path, out)


def at_most_all(value: Any, path: str, out: Causes) -> None:
    """A percentage of no more than 100."""
    if isinstance(value, str) and not formats.percent(value) and int(value[:-1]) > 100:
        out.append(invalid(path, value, "must not be greater than 100%"))


def _amount(value: Any) -> int:
    """How much, whatever of: 0 only for 0, ``0%`` and what is malformed."""
    if isinstance(value, str):
        return 0 if formats.percent(value) else int(value[:-1])
    return value or 0


# -- templates


def _template(spec: Json, path: str, out: Causes, matches: bool, *, owner: str) -> None:
    """The pod template of what restarts its pods for ever; ``matches``: its labels are selected."""
    template = spec.get("template") or {}
    found = template.get("spec") or {}
    if not matches:
        labels = (template.get("metadata") or {}).get("labels")
        out.append(invalid(f"{path}.metadata.labels", labels, UNMATCHED))
    pods.template(template, path, out)
    policy = found.get("restartPolicy") or ""
    if policy != "Always":
        out.append(unsupported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if found.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {owner} is not Supported"
        out.append(forbidden(f"{path}.spec.activeDeadlineSeconds", detail))


def _labels(spec: Json) -> Json | None:
    found: Json | None = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    return found


def _selector(spec: Json, out: Causes, emptiness: str) -> None:
    """A required LabelSelector that asks for something."""
    selector = spec.get("selector")
    if selector is None:
        out.append(required("spec.selector"))
        return
    label_selector(selector, "spec.selector", out)
    if is_empty_selector(selector):
        out.append(invalid("spec.selector", selector, emptiness))


def _replicated_template(spec: Json, out: Causes) -> None:
    """The template of a Deployment or a ReplicaSet; with a malformed selector it is not even looked at."""
    matches = selects(spec.get("selector"), _labels(spec))
    if matches is None:
        out.append(invalid("spec.selector", spec.get("selector"), "invalid label selector"))
    else:
        _template(spec, "spec.template", out, matches, owner="ReplicaSet")


# -- Deployment


def deployment(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _deployment_spec(obj.get("spec") or {}, out)


def deployment_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _spec_update(new, old, out, _deployment_spec)


def _spec_update(new: Json, old: Json, out: Causes, rule: Callable[[Json, Causes], None]) -> None:
    """A spec that takes the place of another, whose selector stays."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec is before:
        return
    rule(spec, out)
    unchanged(spec.get("selector"), before.get("selector"), "spec.selector", out)


def _deployment_spec(spec: Json, out: Causes) -> None:
    not_negative(spec.get("replicas"), "spec.replicas", out)
    _selector(spec, out, "empty selector is invalid for deployment")
    _replicated_template(spec, out)
    _deployment_strategy(spec.get("strategy") or {}, "spec.strategy", out)
    none_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec", out)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        not_negative(deadline, "spec.progressDeadlineSeconds", out)
        if deadline <= (spec.get("minReadySeconds") or 0):
            out.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))


def _deployment_strategy(strategy: Json, path: str, out: Causes) -> None:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            out.append(forbidden(f"{path}.rollingUpdate", detail))
    elif kind == "RollingUpdate":
        if rolling is None:
            out.append(required(f"{path}.rollingUpdate", "this should be defaulted and never be nil"))
        else:
            _rolling_deployment(rolling, f"{path}.rollingUpdate", out)
    else:
        out.append(unsupported(path, _as_go(strategy), ("Recreate", "RollingUpdate")))


def _rolling_deployment(rolling: Json, path: str, out: Causes) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    number_or_percent(unavailable, f"{path}.maxUnavailable", out)
    number_or_percent(surge, f"{path}.maxSurge", out)
    if _amount(unavailable) == 0 and _amount(surge) == 0:
        out.append(invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    at_most_all(unavailable, f"{path}.maxUnavailable", out)


def _as_go(strategy: Json) -> Json:
    """A strategy as Go writes its internal struct, which has no JSON names."""
    rolling = strategy.get("rollingUpdate")
    if rolling is not None:
        rolling = {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
    return {"Type": strategy.get("type") or "", "RollingUpdate": rolling}


def deployment_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    status, before = new.get("status") or {}, old.get("status") or {}
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
    none_negative(status, ("observedGeneration", *counts, "collisionCount"), "status", out)
    _within_replicas(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), out)
    _not_decremented(status, before, out)


def _within_replicas(status: Json, fields: tuple[str, ...], out: Causes) -> None:
    """Of the pods that there are, no more can be ready or available."""
    total, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for field in fields:
        value = status.get(field) or 0
        if value > total:
            out.append(invalid(f"status.{field}", value, _ABOVE))
    available = status.get("availableReplicas") or 0
    if available > ready:
        out.append(invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))


def _not_decremented(status: Json, before: Json, out: Causes) -> None:
    count, old = status.get("collisionCount"), before.get("collisionCount")
    if old is not None and (count is None or count < old):
        out.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))


# -- ReplicaSet


def replica_set(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _replica_set_spec(obj.get("spec") or {}, out)


def replica_set_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _spec_update(new, old, out, _replica_set_spec)


def _replica_set_spec(spec: Json, out: Causes) -> None:
    none_negative(spec, ("replicas", "minReadySeconds"), "spec", out)
    _selector(spec, out, "empty selector is invalid for deployment")  # sic
    _replicated_template(spec, out)


def replicas_status_update(new: Json, old: Json, out: Causes) -> None:
    """The status of a ReplicaSet or a ReplicationController."""
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    status = new.get("status") or {}
    counts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    none_negative(status, ("replicas", *counts, "observedGeneration"), "status", out)
    _within_replicas(status, counts, out)


# -- ReplicationController


def replication_controller(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _replication_controller_spec(obj.get("spec") or {}, out)


def replication_controller_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    if new.get("spec") is not old.get("spec"):
        _replication_controller_spec(new.get("spec") or {}, out)


def _replication_controller_spec(spec: Json, out: Causes) -> None:
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", out)
    selector = spec.get("selector")
    if not selector:
        out.append(required("spec.selector"))
    not_negative(spec.get("replicas"), "spec.replicas", out)
    if spec.get("template") is None:
        out.append(required("spec.template"))
        return
    labels = _labels(spec) or {}
    matches = all(labels.get(key) == value for key, value in (selector or {}).items())
    _template(spec, "spec.template", out, matches, owner="ReplicationController")


# -- DaemonSet


def daemon_set(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _daemon_set_spec(obj.get("spec") or {}, out)


def daemon_set_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _spec_update(new, old, out, _daemon_set_spec)


def _daemon_set_spec(spec: Json, out: Causes) -> None:
    selector = spec.get("selector")
    label_selector(selector, "spec.selector", out)
    if selector is not None and is_empty_selector(selector):
        out.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    matches = selects(selector, _labels(spec)) is not False
    _template(spec, "spec.template", out, matches, owner="DaemonSet")
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", out)
    strategy = spec.get("updateStrategy") or {}
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        if rolling is None:
            out.append(required("spec.updateStrategy.rollingUpdate"))
        else:
            _rolling_daemon_set(rolling, "spec.updateStrategy.rollingUpdate", out)
    elif kind != "OnDelete":
        out.append(unsupported("spec.updateStrategy", _as_go(strategy), ("RollingUpdate", "OnDelete")))
    not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit", out)


def _rolling_daemon_set(rolling: Json, path: str, out: Causes) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    for value, name in ((unavailable, "maxUnavailable"), (surge, "maxSurge")):
        number_or_percent(value, f"{path}.{name}", out)
        at_most_all(value, f"{path}.{name}", out)
    if _amount(unavailable) and _amount(surge):
        out.append(invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    if not _amount(unavailable) and not _amount(surge):
        out.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))


def daemon_set_status_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    fields = (
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
        "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
    )  # fmt: skip
    none_negative(new.get("status") or {}, fields, "status", out)
    _not_decremented(new.get("status") or {}, old.get("status") or {}, out)


# -- ControllerRevision


def controller_revision(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _revision(obj, out)


def _revision(obj: Json, out: Causes) -> None:
    if obj.get("data") is None:
        out.append(required("data", "data is mandatory"))
    not_negative(obj.get("revision"), "revision", out)


def controller_revision_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _revision(new, out)
    unchanged(new.get("data"), old.get("data"), "data", out)

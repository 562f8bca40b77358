"""Defaults of what makes pods (``pkg/apis/apps/v1/defaults.go``, ``pkg/apis/batch/v1/defaults.go``)."""

from __future__ import annotations

from labkit.embedded.kubernetes.defaults.pods import template
from labkit.embedded.kubernetes.defaults.sharing import each_within, filled, put, within
from labkit.embedded.kubernetes.objects import Json

_DEPLOYMENT: Json = {"replicas": 1, "strategy": {}, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_DAEMON_SET: Json = {"updateStrategy": {}, "revisionHistoryLimit": 10}
_ROLLING: Json = {"type": "RollingUpdate"}
_QUARTERS: Json = {"maxUnavailable": "25%", "maxSurge": "25%"}
_ONE_BY_ONE: Json = {"maxUnavailable": 1, "maxSurge": 0}
_MAX_INT32 = 2**31 - 1


def deployment(obj: Json) -> Json:
    return within(obj, "spec", _deployment_spec)


def _deployment_spec(spec: Json) -> Json:
    new = filled(within(spec, "template", template), _DEPLOYMENT)
    return put(new, "strategy", _rolling(new["strategy"], _QUARTERS))


def daemon_set(obj: Json) -> Json:
    return within(obj, "spec", _daemon_set_spec)


def _daemon_set_spec(spec: Json) -> Json:
    new = filled(within(spec, "template", template), _DAEMON_SET)
    return put(new, "updateStrategy", _rolling(new["updateStrategy"], _ONE_BY_ONE))


def _rolling(strategy: Json, defaults: Json) -> Json:
    """A strategy; where it rolls, with the numbers of that."""
    new = filled(strategy, _ROLLING)
    if new["type"] != "RollingUpdate":
        return new
    return put(new, "rollingUpdate", filled(new.get("rollingUpdate") or defaults, defaults))


def replica_set(obj: Json) -> Json:
    return within(obj, "spec", _replica_set_spec)


def _replica_set_spec(spec: Json) -> Json:
    return filled(within(spec, "template", template), {"replicas": 1})


def replication_controller(obj: Json) -> Json:
    """Its selector, and its own labels, are those of its template unless it has some."""
    new = within(obj, "spec", _replica_set_spec)
    spec = new.get("spec")
    if not spec:
        return new
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not labels:
        return new
    if not spec.get("selector"):
        new = put(new, "spec", {**spec, "selector": labels})
    return _labelled(new, labels)


def _labelled(obj: Json, labels: Json) -> Json:
    metadata = obj.get("metadata") or {}
    return obj if metadata.get("labels") else put(obj, "metadata", {**metadata, "labels": labels})


def job(obj: Json) -> Json:
    new = within(obj, "spec", _job_spec)
    labels = (((new.get("spec") or {}).get("template") or {}).get("metadata") or {}).get("labels")
    return _labelled(new, labels) if labels else new


def _job_spec(spec: Json) -> Json:
    new = within(spec, "template", template)
    if "parallelism" not in new:
        # Only when neither is given is it one of one; parallelism alone means a work queue.
        new = {**new, "parallelism": 1} if "completions" in new else {**new, "parallelism": 1, "completions": 1}
    new = filled(
        new,
        {
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "backoffLimit": _MAX_INT32 if "backoffLimitPerIndex" in new else 6,
            "podReplacementPolicy": "Failed" if "podFailurePolicy" in new else "TerminatingOrFailed",
        },
    )
    return within(new, "podFailurePolicy", _failure_policy)


def _failure_policy(policy: Json) -> Json:
    return each_within(policy, "rules", _failure_rule)


def _failure_rule(rule: Json) -> Json:
    return each_within(rule, "onPodConditions", _condition)


def _condition(pattern: Json) -> Json:
    return pattern if pattern.get("status") else {**pattern, "status": "True"}

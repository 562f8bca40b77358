"""Rows of what keeps pods running, and of what guards it."""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes.objects import Json, controller_of, has_condition, is_terminating, spec_of, status_of
from labkit.embedded.kubernetes.printers.cells import NONE, containers, labels, selector
from labkit.embedded.kubernetes.printers.durations import between, since

# The first condition that holds gives a Job its word; "" stands for its deletion.
_JOB_WORDS = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def name(obj: Json) -> str:
    return str(obj["metadata"].get("name", ""))


def age(obj: Json, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _replicas(obj: Json, now: float, selects: str) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    return [
        name(obj),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(obj, now),
        *containers(spec.get("template")),
        selects,
    ]


def replication_controller(obj: Json, now: float) -> list[Any]:
    return _replicas(obj, now, labels(spec_of(obj).get("selector")))


def replica_set(obj: Json, now: float) -> list[Any]:
    return _replicas(obj, now, selector(spec_of(obj).get("selector")))


def deployment(obj: Json, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    return [
        name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj, now),
        *containers(spec.get("template")),
        selector(spec.get("selector")),
    ]


def daemon_set(obj: Json, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady")
    template = spec.get("template") or {}
    return [
        name(obj),
        *(status.get(count, 0) for count in (*counts, "updatedNumberScheduled", "numberAvailable")),
        labels((template.get("spec") or {}).get("nodeSelector")),
        age(obj, now),
        *containers(template),
        selector(spec.get("selector")),
    ]


def stateful_set(obj: Json, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name(obj), ready, age(obj, now), *containers(spec.get("template"))]


def job(obj: Json, now: float) -> list[Any]:
    spec = spec_of(obj)
    return [
        name(obj),
        _job_word(obj),
        _completions(obj),
        _duration(status_of(obj), now),
        age(obj, now),
        *containers(spec.get("template")),
        selector(spec.get("selector")),
    ]


def _job_word(obj: Json) -> str:
    for condition, word in _JOB_WORDS:
        if has_condition(obj, condition) if condition else is_terminating(obj):
            return word
    return "Running"


def _completions(obj: Json) -> str:
    spec, done = spec_of(obj), status_of(obj).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(status: Any, now: float) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    return between(start, end) if end else since(start, now)


def disruption_budget(obj: Json, now: float) -> list[Any]:
    spec = spec_of(obj)
    limits = [spec.get(limit) for limit in ("minAvailable", "maxUnavailable")]
    return [
        name(obj),
        *("N/A" if limit is None else str(limit) for limit in limits),
        status_of(obj).get("disruptionsAllowed", 0),
        age(obj, now),
    ]


def controller_revision(obj: Json, now: float) -> list[Any]:
    owner = controller_of(obj)
    controller = NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        controller = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [name(obj), controller, obj.get("revision", 0), age(obj, now)]


def scale(obj: Json, now: float) -> list[Any]:
    return [name(obj), spec_of(obj).get("replicas", 0), status_of(obj).get("replicas", 0), age(obj, now)]


def priority_class(obj: Json, now: float) -> list[Any]:
    default = bool(obj.get("globalDefault", False))
    return [name(obj), obj.get("value", 0), default, age(obj, now), obj.get("preemptionPolicy", "")]

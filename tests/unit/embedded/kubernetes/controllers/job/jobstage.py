"""What the tests of the Job controller have in common: Jobs, and pods that end as a kubelet would say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.kube import Kube

from labkit.embedded.kubernetes import kinds, times
from labkit.embedded.kubernetes.controllers.job.indexes import index_of
from labkit.embedded.kubernetes.objects import Json, edited, is_pod_active, name_of, status_of, with_condition

JOBS, PODS = kinds.JOBS, kinds.PODS
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}


def job(restart: str = "Never", **spec: Any) -> Json:
    template = {"spec": {"containers": [{"name": "c", "image": "busybox:1.36"}], "restartPolicy": restart}}
    return {"metadata": {"name": "pi"}, "spec": {"template": template, **spec}}


def indexed(completions: int, parallelism: int | None = None, **spec: Any) -> Json:
    return job(completionMode="Indexed", completions=completions, parallelism=parallelism or completions, **spec)


def on_exit_codes(action: str, *values: int, operator: str = "In", **more: Any) -> Json:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **more}}


def on_condition(action: str, kind: str = "DisruptionTarget", status: str = "True") -> Json:
    return {"action": action, "onPodConditions": [{"type": kind, "status": status}]}


def ended(name: str, code: int) -> Json:
    """The status of a container that has ended."""
    return {"name": name, "state": {"terminated": {"exitCode": code}}}


def status(kube: Kube) -> Json:
    found: Json = kube.get(JOBS, "pi")["status"]
    return found


def conditions(kube: Kube) -> list[tuple[str, str]]:
    return [(one["type"], one["reason"]) for one in status(kube).get("conditions", ()) if one["status"] == "True"]


def message(kube: Kube) -> str:
    return str(status(kube)["conditions"][-1]["message"])


def active(kube: Kube) -> list[Json]:
    return [pod for pod in kube.pods() if is_pod_active(pod)]


def at_work(kube: Kube) -> list[int]:
    return sorted(index_of(pod) for pod in active(kube))


def of_index(kube: Kube, index: int) -> Json:
    (pod,) = [pod for pod in active(kube) if index_of(pod) == index]
    return pod


def tell_late_of_pods(kube: Kube, seconds: float) -> None:
    """The controllers hear of pods so much later than of Jobs."""
    assert kube.manager.informers is not None
    informer = kube.manager.informers[PODS]
    apply = informer._apply
    informer._apply = lambda batch: kube.clock.call_later(seconds, apply, batch)  # type: ignore[method-assign,assignment]


async def end(kube: Kube, pod: Json, code: int = 0, *, told: Sequence[Json] = (), container: str = "c") -> None:
    """Its container ends with that code; ``told`` are conditions that somebody has given it before."""
    at = times.rfc3339(kube.clock.time())
    container_status = {
        **ended(container, code),
        "ready": False,
        "restartCount": 0,
        "image": "busybox:1.36",
        "imageID": "",
    }
    container_status["state"]["terminated"] |= {"startedAt": at, "finishedAt": at}

    def change(found: Json) -> Json:
        copy = edited(found)
        known = status_of(found).get("conditions")
        for one in [{"type": "Ready", "status": "False"}, *told]:
            known = with_condition(known, {**one, "lastTransitionTime": at})
        phase = "Failed" if code else "Succeeded"
        copy["status"] = {
            **status_of(found),
            "phase": phase,
            "conditions": known,
            "containerStatuses": [container_status],
        }
        return copy

    kube.registry.modify(PODS, "default", name_of(pod), change, subresource="status")
    await kube.settle()

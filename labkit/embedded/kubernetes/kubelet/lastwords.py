"""What is said of a deleted pod at last: its phase is final, whatever never started counts as lost. Pure.

As ``TerminatePod`` of ``pkg/kubelet/status/status_manager.go``. Who keeps the pod by a finalizer (a Job) can see then
how it ended, also if it never began.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.kubernetes.objects import Json

_LOST: Json = {
    "terminated": {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
        "startedAt": None,
        "finishedAt": None,
    }
}


def ended(status: Json) -> Json:
    """The kubelet's part of the status of a pod that is no more."""
    if "containerStatuses" not in status and status["phase"] in ("Succeeded", "Failed"):
        return status  # it was never admitted
    init, main = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    result = dict(status)
    if status["phase"] not in ("Succeeded", "Failed"):
        result["phase"] = "Failed"
    tried = _tried(init)
    if init:
        result["initContainerStatuses"] = [*(_found_or_lost(one) for one in init[:tried]), *init[tried:]]
    if main and _is_initialized(init, main):
        result["containerStatuses"] = [_found_or_lost(one) for one in main]
    return result


def _found_or_lost(container: Json) -> Json:
    return container if "terminated" in container["state"] else {**container, "state": _LOST}


def _tried(init: Sequence[Json]) -> int:
    """How many init containers have been tried; the first one counts as if it had been."""
    for number in range(len(init), 0, -1):
        if "waiting" not in init[number - 1]["state"] or init[number - 1]["lastState"]:
            return number
    return min(len(init), 1)


def _is_initialized(init: Sequence[Json], main: Sequence[Json]) -> bool:
    if not init or any(one["lastState"] or "waiting" not in one["state"] for one in main):
        return True
    last = init[-1]
    ends = [state["terminated"] for state in (last["state"], last["lastState"]) if "terminated" in state]
    # A sidecar is done when it has started.
    return any(end["exitCode"] == 0 for end in ends) or ("running" in last["state"] and bool(last["started"]))

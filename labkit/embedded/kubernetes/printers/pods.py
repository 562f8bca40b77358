"""A pod's row: of all kinds the one with the most to say.

``printPod`` of ``pkg/printers/internalversion/printers.go``. The word under STATUS is no field of the pod: it is the
phase, unless some container, the pod's reason or its deletion says something more telling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.objects import Json, has_condition
from labkit.embedded.kubernetes.printers.cells import NONE
from labkit.embedded.kubernetes.printers.durations import since

_FINISHED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def row(pod: Json, now: float) -> list[Any]:
    found = summary(pod)
    restarts = str(found.restarts)
    if found.restarts and found.restarted:
        restarts = f"{found.restarts} ({since(found.restarted, now)} ago)"
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    addresses = status.get("podIPs") or ()
    return [
        pod["metadata"].get("name", ""),
        f"{found.ready}/{found.total}",
        found.word,
        restarts,
        since(pod["metadata"].get("creationTimestamp"), now),
        (addresses[0].get("ip") if addresses else "") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod, spec.get("readinessGates") or ()),
    ]


def conditions(pod: Json) -> list[Json]:
    """The conditions of its row: whether it is over, so that a table may hide or grey it."""
    phase = (pod.get("status") or {}).get("phase", "")
    if phase not in _FINISHED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _FINISHED[phase]}]


@dataclass(slots=True)
class Summary:
    """What a row says of a pod's containers."""

    word: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    restarted: str = ""  # when a container was last seen to end, RFC 3339


def summary(pod: Json) -> Summary:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    found = Summary(status.get("reason") or status.get("phase") or "", total=len(spec.get("containers") or ()))
    if any(
        one.get("type") == "PodScheduled" and one.get("reason") == "SchedulingGated"
        for one in status.get("conditions") or ()
    ):
        found.word = "SchedulingGated"
    sidecars = {one.get("name") for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"}
    found.total += len(sidecars)
    of_sidecars = Summary("")
    initializing = _initialization(found, of_sidecars, pod, sidecars)
    if not initializing or has_condition(pod, "Initialized"):
        # Init containers that are done no longer count; those that go on beside the others do.
        found.restarts, found.restarted = of_sidecars.restarts, of_sidecars.restarted
        _running(found, pod)
    if "deletionTimestamp" in pod["metadata"]:
        if status.get("reason") == "NodeLost":
            found.word = "Unknown"
        elif status.get("phase") not in _FINISHED:
            found.word = "Terminating"
    return found


def _initialization(found: Summary, of_sidecars: Summary, pod: Json, sidecars: set[Any]) -> bool:
    """Go through the init containers up to the first that is not done; whether there is such a one."""
    total = len((pod.get("spec") or {}).get("initContainers") or ())
    for index, container in enumerate((pod.get("status") or {}).get("initContainerStatuses") or ()):
        sidecar = container.get("name") in sidecars
        _count(found, container)
        if sidecar:
            _count(of_sidecars, container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if sidecar and container.get("started"):
            found.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            found.word = f"Init:{_end(ended)}"
        elif waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            found.word = f"Init:{waiting['reason']}"
        else:
            found.word = f"Init:{index}/{total}"
        return True
    return False


def _running(found: Summary, pod: Json) -> None:
    """The containers proper, the last one first: the first one's word wins."""
    runs = False
    for container in reversed((pod.get("status") or {}).get("containerStatuses") or ()):
        _count(found, container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if waiting is not None and waiting.get("reason"):
            found.word = waiting["reason"]
        elif ended is not None:
            found.word = _end(ended)
        elif container.get("ready") and state.get("running") is not None:
            runs = True
            found.ready += 1
    if found.word == "Completed" and runs:
        found.word = "Running" if has_condition(pod, "Ready") else "NotReady"


def _count(found: Summary, container: Json) -> None:
    found.restarts += container.get("restartCount", 0)
    ended = (container.get("lastState") or {}).get("terminated")
    if ended is not None:
        found.restarted = max(found.restarted, ended.get("finishedAt") or "")


def _end(ended: Json) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _gates(pod: Json, gates: Any) -> str:
    if not gates:
        return NONE
    return f"{sum(has_condition(pod, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"

"""A pod's status: phase, conditions, container statuses. Pure.

As ``getPhase`` and ``convertToAPIContainerStatuses`` of ``pkg/kubelet/kubelet_pods.go``, and
``pkg/kubelet/status/generate.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.kubelet.records import Container, Sandbox
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.times import rfc3339

NEVER = "1970-01-01T00:00:00Z"  # Go's zero Unix time: when a container that never ran was started
OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")

Judge = Callable[[Container], tuple[bool, bool]]  # has it started, is it ready?


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the kubelet itself has declared the pod failed."""

    reason: str
    message: str
    rejected: bool = False  # it was never admitted, so it has no container statuses


class View(NamedTuple):
    """What is known of a pod beside its spec."""

    host_ip: str
    start_time: float
    reasons: Mapping[str, tuple[str, str]]  # container -> why it is not running: reason and message
    judge: Judge
    failure: Failure | None = None


def build(pod: Json, sandbox: Sandbox | None, view: View, now: float) -> Json:
    """The kubelet's part of the status; :func:`merged` puts it into the whole."""
    failure = view.failure
    if failure is not None and failure.rejected:
        return {
            "phase": "Failed",
            "message": failure.message,
            "reason": failure.reason,
            "startTime": rfc3339(view.start_time),
        }
    first = pods.init_containers(pod)
    sidecars = frozenset([one["name"] for one in first if pods.is_sidecar(one)])
    waiting = "PodInitializing" if first else "ContainerCreating"
    policy = pods.restart_policy(pod)
    init = [_container(one, sandbox, view, policy, waiting, init=True) for one in first]
    main = [_container(one, sandbox, view, policy, waiting) for one in pods.containers(pod)]
    extra = [_ephemeral(one, sandbox, view, policy, waiting) for one in pods.ephemeral_containers(pod)]
    phase = "Failed" if failure is not None else _phase(pod, policy, sidecars, init, main)
    status: Json = {}
    generation = pod["metadata"].get("generation")
    if generation:
        status["observedGeneration"] = generation
    status["phase"] = phase
    status["conditions"] = _conditions(pod, sandbox, phase, sidecars, init, main, now)
    if failure is not None:
        status["message"], status["reason"] = failure.message, failure.reason
    status["hostIP"] = view.host_ip
    status["hostIPs"] = [{"ip": view.host_ip}]
    ip = sandbox.ip if sandbox is not None else ""
    if ip:
        status["podIP"] = ip
        status["podIPs"] = [{"ip": ip}]
    status["startTime"] = rfc3339(view.start_time)
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = main
    if extra:
        status["ephemeralContainerStatuses"] = extra
    return status  # its qosClass is the API server's to say


# -- containers


def _container(
    spec: Json, sandbox: Sandbox | None, view: View, policy: str, waiting: str, *, init: bool = False
) -> Json:
    name = spec["name"]
    latest = sandbox.latest(name) if sandbox is not None else None
    reason = view.reasons.get(name)
    if latest is None:
        return {
            "name": name,
            "state": {"waiting": _waiting(reason or (waiting, ""))},
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "image": spec.get("image", ""),
            "imageID": "",
            "started": False,
        }
    before = sandbox.previous(name) if sandbox is not None else None
    last = {} if before is None else {"terminated": terminated(before)}
    started = ready = False
    if latest.running:
        state: Json = {"running": {"startedAt": rfc3339(latest.started)}}
        started, ready = view.judge(latest)
        if init and not pods.is_sidecar(spec):
            ready = False
    else:
        state = {"terminated": terminated(latest)}
        ready = init and not pods.is_sidecar(spec) and latest.exit_code == 0
        if reason is not None and pods.is_restarted(policy, spec, latest.exit_code, init=init):
            state, last = {"waiting": _waiting(reason)}, state
    return {
        "name": name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": latest.attempt,
        "image": latest.image,
        "imageID": latest.image_id,
        "containerID": latest.uid,
        "started": started,
    }


def _ephemeral(spec: Json, sandbox: Sandbox | None, view: View, policy: str, waiting: str) -> Json:
    """Nobody asks whether one that looks around has started or is ready."""
    made = _container(spec, sandbox, view, policy, waiting)
    del made["started"]
    made["ready"] = False
    return made


def _waiting(reason: tuple[str, str]) -> Json:
    return {"reason": reason[0], "message": reason[1]} if reason[1] else {"reason": reason[0]}


def terminated(container: Container) -> Json:
    """The ``terminated`` state of a container that has ended."""
    state: Json = {"exitCode": container.exit_code, "reason": container.reason}
    if container.message:
        state["message"] = container.message
    state["startedAt"] = rfc3339(container.started) if container.started else NEVER
    state["finishedAt"] = rfc3339(container.finished)
    state["containerID"] = container.uid
    return state


# -- phase


def _phase(pod: Json, policy: str, sidecars: frozenset[str], init: list[Json], main: list[Json]) -> str:
    pending = failed = sidecars_running = 0
    for one in init:
        ended = one["state"].get("terminated")
        if one["name"] in sidecars:
            sidecars_running += "running" in one["state"]
            pending += not one["started"] and ended is None
            continue
        if ended is None and "waiting" in one["state"]:
            ended = one["lastState"].get("terminated")
        if ended is None or (ended["exitCode"] != 0 and policy != "Never"):
            pending += 1
        elif ended["exitCode"] != 0:
            failed += 1
    waiting = running = stopped = succeeded = 0
    for one in main:
        state = one["state"]
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            succeeded += state["terminated"]["exitCode"] == 0
        elif "terminated" in one["lastState"]:
            stopped += 1
        else:
            waiting += 1
    if failed:
        return "Failed"
    begun = running + stopped > 0
    if (pending and not begun) or waiting:
        return "Pending"
    if running:
        return "Running"
    if policy == "Always" and "deletionTimestamp" not in pod["metadata"]:
        return "Running"
    if sidecars_running:
        return "Running"
    if stopped == succeeded:
        return "Succeeded"
    return "Failed" if policy == "Never" or "deletionTimestamp" in pod["metadata"] else "Running"


# -- conditions


def _conditions(
    pod: Json,
    sandbox: Sandbox | None,
    phase: str,
    sidecars: frozenset[str],
    init: list[Json],
    main: list[Json],
    now: float,
) -> list[Json]:
    networked = sandbox is not None and sandbox.ready
    behind = [
        one["name"]
        for one in init
        if not (one["started"] if one["name"] in sidecars else one["ready"])
        and not (one["name"] in sidecars and "terminated" in one["state"])
    ]
    if phase == "Succeeded":
        initialized: tuple[bool, str, str] = (True, "PodCompleted", "")
        containers: tuple[bool, str, str] = (False, "PodCompleted", "")
    else:
        initialized = (True, "", "")
        if behind and not any("running" in one["state"] or "containerID" in one for one in main):
            words = f"containers with incomplete status: [{' '.join(behind)}]"
            initialized = (False, "ContainersNotInitialized", words)
        unready = [one["name"] for one in init if one["name"] in sidecars and not one["ready"]]
        unready += [one["name"] for one in main if not one["ready"]]
        containers = (True, "", "")
        if phase == "Failed":
            containers = (False, "PodFailed", "")
        elif unready:
            containers = (False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    before = {item["type"]: item for item in (pod.get("status") or {}).get("conditions") or ()}
    stamp = rfc3339(now)
    generation = pod["metadata"].get("generation")
    wanted = {
        "PodReadyToStartContainers": (networked, "", ""),
        "Initialized": initialized,
        "Ready": _ready(pod, containers),
        "ContainersReady": containers,
        "PodScheduled": (True, "", ""),
    }
    return [_condition(kind, *wanted[kind], before.get(kind), stamp, generation) for kind in OWN_CONDITIONS]


OWN_FIELDS = frozenset((
    "observedGeneration", "phase", "conditions", "message", "reason", "hostIP", "hostIPs", "podIP", "podIPs",
    "startTime", "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses",
))  # fmt: skip


def merged(live: Json, own: Json) -> Json:
    """The whole status: the conditions and fields that others keep stay as they are."""
    foreign = [one for one in live.get("conditions") or () if one["type"] not in OWN_CONDITIONS]
    kept = {key: value for key, value in live.items() if key not in OWN_FIELDS}
    if "conditions" not in own:  # it was never admitted
        return {**kept, **own, **({"conditions": live["conditions"]} if "conditions" in live else {})}
    return {**kept, **own, "conditions": foreign + own["conditions"] if foreign else own["conditions"]}


def _ready(pod: Json, containers: tuple[bool, str, str]) -> tuple[bool, str, str]:
    """All containers are, and so say the readiness gates."""
    gates = pod["spec"].get("readinessGates")
    if not containers[0] or not gates:
        return containers
    problems = []
    for gate in gates:
        kind = gate["conditionType"]
        found = next((c for c in (pod.get("status") or {}).get("conditions") or () if c["type"] == kind), None)
        if found is None:
            problems.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            problems.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    return (False, "ReadinessGatesNotReady", ", ".join(problems)) if problems else containers


def _condition(
    kind: str, true: bool, reason: str, message: str, before: Json | None, stamp: str, generation: int | None
) -> Json:
    status = "True" if true else "False"
    since = before.get("lastTransitionTime") if before is not None and before["status"] == status else None
    made: Json = {"type": kind}
    if generation:
        made["observedGeneration"] = generation
    made["status"], made["lastProbeTime"], made["lastTransitionTime"] = status, None, since or stamp
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def readiness(status: Json | None) -> str:
    """What the status says of ``Ready``; "" when it says nothing."""
    for one in (status or {}).get("conditions") or ():
        if one["type"] == "Ready":
            return str(one["status"])
    return ""

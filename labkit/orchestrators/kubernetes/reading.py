"""What the API server's objects mean in the common words. Pure: JSON in, :mod:`labkit.model` out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from labkit.model import Endpoint, Node, NodeState, Resources, State, Task, Workload

Json = Mapping[str, Any]

# kind of a workload -> resource in the cache and its path
WORKLOADS: Mapping[str, tuple[str, str]] = {
    "Deployment": ("deployments", "/apis/apps/v1"),
    "ReplicaSet": ("replicasets", "/apis/apps/v1"),
    "ReplicationController": ("replicationcontrollers", "/api/v1"),
    "DaemonSet": ("daemonsets", "/apis/apps/v1"),
    "StatefulSet": ("statefulsets", "/apis/apps/v1"),
    "Job": ("jobs", "/apis/batch/v1"),
}

_ROLE = "node-role.kubernetes.io/"
_CONTROL = ("control-plane", "master")

# Waiting reasons that are not the usual way to run: the pod is stuck, whatever its phase says.
_STUCK = frozenset(
    {
        "CrashLoopBackOff",
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
    }
)


def seconds(stamp: str | None) -> float:
    """An API timestamp as seconds since the epoch; 0.0 for none."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() if stamp else 0.0


def quantity(text: Any) -> float:
    """``250m`` → 0.25, ``128Mi`` → 134217728.0."""
    text = str(text)
    for suffix, factor in _SUFFIXES:
        if text.endswith(suffix):
            return float(text[: -len(suffix)]) * factor
    return float(text)


_SUFFIXES = (
    *((unit, 1024.0 ** (power + 1)) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))),
    *(("n", 1e-9), ("u", 1e-6), ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15), ("E", 1e18)),
)


def _resources(found: Json | None) -> Resources:
    found = found or {}
    return Resources(quantity(found.get("cpu", 0)), int(quantity(found.get("memory", 0))))


# -- nodes


def read_node(data: Json) -> Node:
    metadata, spec, status = data["metadata"], data.get("spec") or {}, data.get("status") or {}
    labels = metadata.get("labels") or {}
    roles = {label.removeprefix(_ROLE) for label in labels if label.startswith(_ROLE)}
    controls = bool(roles & set(_CONTROL))
    ready = _condition(status, "Ready")
    return Node(
        id=metadata["uid"],
        name=metadata["name"],
        role="control-plane" if controls else "worker",
        state=_node_state(ready),
        availability="drain" if _evicts(spec) else "pause" if spec.get("unschedulable") else "active",
        leader=controls,  # whoever holds the API server gives the orders
        reachable=True if controls else None,
        address=next((a["address"] for a in status.get("addresses") or () if a["type"] == "InternalIP"), ""),
        capacity=_resources(status.get("allocatable") or status.get("capacity")),
        labels=labels,
        version=(status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        message="" if ready.get("status") == "True" else ready.get("message", ""),
    )


def _node_state(ready: Json) -> NodeState:
    if ready.get("status") == "True":
        return NodeState.READY
    return NodeState.DOWN if ready.get("status") == "Unknown" else NodeState.UNKNOWN


def _evicts(spec: Json) -> bool:
    """Cordoned, and whatever still ran there was told to go: somebody drained it by a taint."""
    return bool(spec.get("unschedulable")) and any(
        taint.get("effect") == "NoExecute" and not taint["key"].startswith("node.kubernetes.io/")
        for taint in spec.get("taints") or ()
    )


def _condition(status: Json, kind: str) -> Json:
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


# -- pods


def owner_of(data: Json) -> Json | None:
    """The reference to its managing controller."""
    return next((o for o in data["metadata"].get("ownerReferences") or () if o.get("controller")), None)


def read_pod(data: Json, workload: str, node_id: str, node_lost: bool) -> Task:
    """A pod. ``workload`` is its owner's id (its own when nobody owns it); ``node_lost``: its node does not answer."""
    metadata, spec, status = data["metadata"], data["spec"], data.get("status") or {}
    state, detail, message = _pod_state(data, node_lost)
    containers = status.get("containerStatuses") or ()
    first = containers[0] if containers else {}
    ended = (first.get("state") or {}).get("terminated") or (first.get("lastState") or {}).get("terminated") or {}
    requests = [(c.get("resources") or {}).get("requests") or {} for c in spec["containers"]]
    return Task(
        id=metadata["uid"],
        name=metadata["name"],
        workload=workload,
        state=state,
        node=node_id,
        wanted="deletionTimestamp" not in metadata,
        detail=detail,
        message=message,
        image=spec["containers"][0].get("image", ""),
        container=str(first.get("containerID") or "").rpartition("/")[2],
        exit_code=ended.get("exitCode"),
        address=status.get("podIP", ""),
        reserved=sum((_resources(r) for r in requests), Resources()),
        created=seconds(metadata.get("creationTimestamp")),
        updated=max((seconds(c.get("lastTransitionTime")) for c in status.get("conditions") or ()), default=0.0),
        namespace=metadata["namespace"],
        labels=metadata.get("labels") or {},
        ready=f"{sum(bool(c.get('ready')) for c in containers)}/{len(spec['containers'])}",
        restarts=sum(c.get("restartCount", 0) for c in containers),
    )


def _pod_state(data: Json, node_lost: bool) -> tuple[State, str, str]:
    """(state, the word of kubectl's STATUS column, why)."""
    spec, status = data["spec"], data.get("status") or {}
    phase = status.get("phase", "Pending")
    reason, why = status.get("reason", ""), status.get("message", "")
    if phase == "Succeeded":
        return State.COMPLETE, reason or "Completed", why
    if phase == "Failed":
        return State.FAILED, reason or _ended(status) or "Error", why
    if "deletionTimestamp" in data["metadata"]:
        # On a node that does not answer it stays so: only its kubelet could say that it has ended.
        return State.STOPPING, "Terminating", "its node does not answer" if node_lost else why
    if node_lost:
        return State.LOST, "Unknown", "its node does not answer"
    if not spec.get("nodeName"):
        scheduled = _condition(status, "PodScheduled")
        return State.PENDING, scheduled.get("reason") or "Pending", scheduled.get("message", "")
    waiting = _waiting(status)
    if waiting.get("reason") in _STUCK:
        return State.UNREADY, waiting["reason"], waiting.get("message", "")
    if phase == "Pending":
        return State.STARTING, _initialising(spec, status) or waiting.get("reason") or "ContainerCreating", ""
    ready = _condition(status, "Ready")
    if ready.get("status") == "True":
        return State.RUNNING, "Running", ""
    started = any((c.get("state") or {}).get("running") for c in status.get("containerStatuses") or ())
    return State.UNREADY, "Running" if started else _ended(status) or "Running", ready.get("message", "")


def _waiting(status: Json) -> Json:
    both = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    found = [c["state"]["waiting"] for c in both if (c.get("state") or {}).get("waiting")]
    return next((w for w in found if w.get("reason") in _STUCK), found[0] if found else {})


def _ended(status: Json) -> str:
    for container in status.get("containerStatuses") or ():
        terminated = (container.get("state") or {}).get("terminated")
        if terminated and terminated.get("reason"):
            return str(terminated["reason"])
    return ""


def _initialising(spec: Json, status: Json) -> str:
    total = len(spec.get("initContainers") or ())
    done = sum(
        ((c.get("state") or {}).get("terminated") or {}).get("exitCode") == 0
        for c in status.get("initContainerStatuses") or ()
    )
    return f"Init:{done}/{total}" if done < total else ""


# -- workloads


def read_workload(data: Json, kind: str, running: int) -> Workload:
    """A workload; ``running`` counts its ready pods."""
    metadata, spec, status = data["metadata"], data.get("spec") or {}, data.get("status") or {}
    owner = owner_of(data)
    template = ((spec.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    selector = spec.get("selector") or {}
    return Workload(
        id=metadata["uid"],
        name=metadata["name"],
        kind=kind,
        mode=_MODES.get(kind, "replicated"),
        desired=_desired(kind, spec, status),
        running=running,
        image=template[0].get("image", ""),
        labels=metadata.get("labels") or {},
        update=_progress(kind, data),
        owner=owner["uid"] if owner else "",
        revision=int((metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision") or 0),
        namespace=metadata["namespace"],
        selector=(selector.get("matchLabels") or {}) if kind != "ReplicationController" else selector,
    )


_MODES = {"DaemonSet": "global", "Job": "replicated-job"}


def _desired(kind: str, spec: Json, status: Json) -> int:
    if kind == "DaemonSet":
        return int(status.get("desiredNumberScheduled") or 0)
    if kind == "Job":
        return int(spec.get("completions") or spec.get("parallelism") or 1)
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _progress(kind: str, data: Json) -> str:
    """Where a rollout is, in the words of ``kubectl rollout status``; "" when none is under way."""
    spec, status = data.get("spec") or {}, data.get("status") or {}
    if kind != "Deployment":
        return ""
    if spec.get("paused"):
        return "paused"
    if (status.get("observedGeneration") or 0) < data["metadata"].get("generation", 0):
        return "waiting for the deployment spec update to be observed"
    if _condition(status, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return "exceeded its progress deadline"
    wanted = 1 if spec.get("replicas") is None else spec["replicas"]
    updated, total, available = (status.get(k) or 0 for k in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated < wanted:
        return f"{updated} out of {wanted} new replicas have been updated"
    if total > updated:
        return f"{total - updated} old replicas are pending termination"
    if available < updated:
        return f"{available} of {updated} updated replicas are available"
    return ""


def lone_pod(task: Task) -> Workload:
    """A pod that nobody manages is a workload of its own: when it dies, nobody makes another."""
    return Workload(
        id=task.id,
        name=task.name,
        kind="Pod",
        desired=1,
        running=int(task.state is State.RUNNING),
        image=task.image,
        labels=task.labels,
        mode="lone",
        namespace=task.namespace,
    )


# -- services


def read_endpoints(data: Json, slices: Iterable[Json], workload_of: Mapping[str, str]) -> list[Endpoint]:
    """A Service's ways in, one a port and one a node port, with the pods behind them.

    :param slices: its EndpointSlices
    :param workload_of: pod id → id of the workload at the top of its owners
    """
    metadata, spec = data["metadata"], data.get("spec") or {}
    ready, unready = _behind(slices)
    tops = {workload_of[uid] for uid in (*ready, *unready) if uid in workload_of}
    common = {
        "workload": tops.pop() if len(tops) == 1 else "",
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "selector": spec.get("selector") or {},
        "tasks": ready,
        "unready": unready,
    }
    uid, address = metadata["uid"], spec.get("clusterIP") or ""
    if spec.get("type") == "ExternalName":
        return [Endpoint(id=uid, kind="external-name", address=spec.get("externalName", ""), **common)]
    kind = "headless" if address == "None" else "cluster-ip"
    found = []
    for port in spec.get("ports") or ():
        target = port.get("targetPort")
        number, protocol = port["port"], str(port.get("protocol", "TCP")).lower()
        into = target if isinstance(target, int) else number
        where = "" if kind == "headless" else address
        found.append(Endpoint(f"{uid}/{number}/{protocol}", kind=kind, port=number, target_port=into,
                              protocol=protocol, address=where, **common))  # fmt: skip
        if port.get("nodePort"):
            found.append(Endpoint(f"{uid}/node/{port['nodePort']}/{protocol}", kind="node-port", port=port["nodePort"],
                                  target_port=into, protocol=protocol, **common))  # fmt: skip
    return found


def _behind(slices: Iterable[Json]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the pods that get traffic, and of those that are selected and get none."""
    ready: set[str] = set()
    unready: set[str] = set()
    for piece in slices:
        for endpoint in piece.get("endpoints") or ():
            uid = (endpoint.get("targetRef") or {}).get("uid")
            if uid:
                serves = (endpoint.get("conditions") or {}).get("ready") is not False
                (ready if serves else unready).add(uid)
    return tuple(sorted(ready)), tuple(sorted(unready - ready))

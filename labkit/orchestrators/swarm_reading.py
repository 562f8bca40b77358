"""From the Docker Engine API's JSON to the common model: pure functions, one for each kind of object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from labkit.model import Endpoint, Node, NodeState, Resources, State, Task, Workload

Json = Mapping[str, Any]

# SwarmKit's task states (moby/swarmkit, api/types.proto) for a task that is meant to run.
STATES: Mapping[str, State] = {
    "new": State.PENDING,
    "allocated": State.PENDING,
    "pending": State.PENDING,
    "assigned": State.STARTING,
    "accepted": State.STARTING,
    "preparing": State.STARTING,
    "ready": State.STARTING,
    "starting": State.STARTING,
    "running": State.RUNNING,
    "complete": State.COMPLETE,
    "shutdown": State.STOPPED,
    "failed": State.FAILED,
    "rejected": State.FAILED,
    "remove": State.STOPPED,
    "orphaned": State.LOST,
}
_UNPLACED = frozenset({"new", "allocated", "pending"})
_ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
# Desired states under which the orchestrator still wants the task: "ready" waits out its restart delay, "complete" is
# a job's.
_WANTED = frozenset({"ready", "running", "complete"})
_NODE_STATES = {"ready": NodeState.READY, "down": NodeState.DOWN}
_SETTLED_UPDATES = frozenset({"", "completed", "rollback_completed"})


def task_state(state: str, desired: str, node_lost: bool) -> State:
    """The common word for a task's state.

    A task on a node that is down still *says* "running": nobody has heard of it since. One that is being shut down
    was either never placed (then there is nothing to stop) or stops.
    """
    if state in _ENDED:
        return STATES.get(state, State.LOST)
    if state in _UNPLACED:
        return State.PENDING if desired in _WANTED else State.STOPPED
    if node_lost:
        return State.LOST
    return STATES.get(state, State.PENDING) if desired in _WANTED else State.STOPPING


def seconds(stamp: str) -> float:
    """A timestamp of the API as seconds since the epoch; 0 for none ("0001-01-01T00:00:00Z" is Go's none)."""
    if not stamp or stamp.startswith("0001-"):
        return 0.0
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0


def image_name(reference: str) -> str:
    """An image without the digest that `docker service create` pins to it."""
    return reference.partition("@")[0]


def read_resources(data: Json | None) -> Resources:
    if not data:
        return Resources()
    return Resources((data.get("NanoCPUs") or 0) / 1e9, data.get("MemoryBytes") or 0)


def read_node(data: Json) -> Node:
    spec, status = data.get("Spec") or {}, data.get("Status") or {}
    description, manager = data.get("Description") or {}, data.get("ManagerStatus")
    return Node(
        id=data["ID"],
        name=description.get("Hostname") or data["ID"][:12],
        role=spec.get("Role", "worker"),
        state=_NODE_STATES.get(status.get("State", ""), NodeState.UNKNOWN),
        availability=spec.get("Availability", "active"),
        leader=bool(manager and manager.get("Leader")),
        reachable=(manager.get("Reachability") == "reachable") if manager else None,
        address=status.get("Addr", ""),
        capacity=read_resources(description.get("Resources")),
        labels=spec.get("Labels") or {},
        version=(description.get("Engine") or {}).get("EngineVersion", ""),
        message=status.get("Message", ""),
    )


def read_task(data: Json, workload: str, node: str, node_lost: bool) -> Task:
    """A task, of the service and on the node of these names."""
    spec, status = data.get("Spec") or {}, data.get("Status") or {}
    container, state = status.get("ContainerStatus") or {}, status.get("State", "new")
    desired, slot = data.get("DesiredState", ""), data.get("Slot") or 0
    ended = state in _ENDED
    return Task(
        id=data["ID"],
        name=f"{workload}.{slot}" if slot else f"{workload}.{node or data['ID'][:12]}",  # global: one a node
        workload=data.get("ServiceID", ""),
        state=task_state(state, desired, node_lost),
        node=data.get("NodeID", ""),
        slot=slot,
        wanted=desired in _WANTED,
        detail=state,
        message=status.get("Err") or ("" if state in ("running", "complete") else status.get("Message", "")),
        image=image_name((spec.get("ContainerSpec") or {}).get("Image", "")),
        container=container.get("ContainerID", ""),
        exit_code=container.get("ExitCode", 0) if ended and container.get("ContainerID") else None,
        address=_address(data.get("NetworksAttachments") or ()),
        reserved=read_resources((spec.get("Resources") or {}).get("Reservations")),
        created=seconds(data.get("CreatedAt", "")),
        updated=seconds(status.get("Timestamp", "")),
    )


def _address(attachments: Iterable[Json]) -> str:
    """A task's address, rather on a network of its own than on the ingress network that every published one is on."""
    found = ""
    for attachment in attachments:
        addresses = attachment.get("Addresses") or ()
        if not addresses:
            continue
        address = addresses[0].partition("/")[0]
        if not (((attachment.get("Network") or {}).get("Spec") or {}).get("Ingress")):
            return str(address)
        found = found or address
    return found


def read_mode(spec: Json) -> tuple[str, int | None]:
    """(mode in words, tasks wanted; None where every node gets one)."""
    mode = spec.get("Mode") or {}
    if "Global" in mode:
        return "global", None
    if "ReplicatedJob" in mode:
        return "replicated-job", (mode["ReplicatedJob"] or {}).get("TotalCompletions") or 1
    if "GlobalJob" in mode:
        return "global-job", None
    replicas = (mode.get("Replicated") or {}).get("Replicas")
    return "replicated", 1 if replicas is None else replicas


def read_workload(data: Json, wanted: int, running: int) -> Workload:
    """A service. ``wanted`` and ``running`` count its tasks; the first decides only where the mode has no number."""
    spec = data.get("Spec") or {}
    mode, desired = read_mode(spec)
    update = data.get("UpdateStatus") or {}
    state = update.get("State", "")
    template = spec.get("TaskTemplate") or {}
    return Workload(
        id=data["ID"],
        name=spec.get("Name", ""),
        kind="service",
        mode=mode,
        desired=wanted if desired is None else desired,
        running=running,
        image=image_name((template.get("ContainerSpec") or {}).get("Image", "")),
        labels=spec.get("Labels") or {},
        update="" if state in _SETTLED_UPDATES else f"{state}: {update.get('Message', '')}",
    )


def read_endpoints(data: Json) -> list[Endpoint]:
    """A service's ways in: each published port, each virtual IP."""
    service, endpoint = data["ID"], data.get("Endpoint") or {}
    found = []
    for port in endpoint.get("Ports") or ():
        protocol, mode = port.get("Protocol", "tcp"), port.get("PublishMode", "ingress")
        target, published = port.get("TargetPort", 0), port.get("PublishedPort", 0)
        key = f"{service}/{mode}/{published or target}/{protocol}"
        found.append(Endpoint(key, service, mode, published, target, protocol))
    for virtual in endpoint.get("VirtualIPs") or ():
        if virtual.get("Addr"):
            key = f"{service}/vip/{virtual.get('NetworkID', '')}"
            found.append(Endpoint(key, service, "vip", address=virtual["Addr"].partition("/")[0]))
    return found

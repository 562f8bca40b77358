"""How long ago a node was heard of, and what is said of one that is silent. Pure.

What counts is when this controller *saw* a heartbeat, by its own clock: a node's clock may be wrong, and after the
controller itself was down every node begins with a full grace period.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkit.embedded.kubernetes.objects import Json, condition_of, status_of
from labkit.embedded.kubernetes.times import parse, rfc3339

GRACE_SECONDS = 50.0  # --node-monitor-grace-period; 40 s before 1.32
STARTUP_SECONDS = 60.0  # --node-startup-grace-period
NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
# NetworkUnavailable is not the kubelet's.
CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(slots=True)
class Health:
    """What was last seen of a node."""

    heartbeat: str | None = None  # the Ready condition's lastHeartbeatTime
    renewed: str | None = None  # the lease's renewTime
    at: float = 0.0  # when either was seen to change


def observed(last: Health | None, node: Json, lease: Json | None, now: float) -> Health:
    """What is known of a node after a look at it and its lease."""
    ready = condition_of(node, "Ready")
    heartbeat = None if ready is None else ready.get("lastHeartbeatTime", "")
    renewed = None if lease is None else (lease.get("spec") or {}).get("renewTime")
    if last is None:
        first = parse(node["metadata"]["creationTimestamp"]) if ready is None else now
        return Health(heartbeat, renewed, first if renewed is None else now)
    if heartbeat == last.heartbeat and (renewed is None or renewed <= (last.renewed or "")):
        return last
    return Health(heartbeat, renewed or last.renewed, now)


def is_silent(health: Health, node: Json, now: float) -> bool:
    """Whether it has not been heard of for longer than it may."""
    grace = GRACE_SECONDS if condition_of(node, "Ready") is not None else STARTUP_SECONDS
    return now > health.at + grace


def with_unknown(node: Json, now: float) -> Json | None:
    """The node with all that its kubelet tells ``Unknown``; None: it says so already."""
    conditions = list(status_of(node).get("conditions") or ())
    changed = False
    for type in CONDITIONS:
        index = next((i for i, c in enumerate(conditions) if c["type"] == type), None)
        if index is None:
            reason, message = NEVER
            beat = node["metadata"].get("creationTimestamp")
            new = {"type": type, "status": "Unknown", "lastHeartbeatTime": beat, "lastTransitionTime": rfc3339(now)}
            conditions.append({**new, "reason": reason, "message": message})
            changed = True
        elif conditions[index]["status"] != "Unknown":
            reason, message = STOPPED
            conditions[index] = {
                **conditions[index],
                "status": "Unknown",
                "reason": reason,
                "message": message,
                "lastTransitionTime": rfc3339(now),
            }
            changed = True
    return {**node, "status": {**status_of(node), "conditions": conditions}} if changed else None

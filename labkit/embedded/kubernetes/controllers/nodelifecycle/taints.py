"""The taints that a node's conditions ask for, and how pods bear them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labkit.embedded.kubernetes.objects import Json, spec_of, status_of
from labkit.embedded.kubernetes.times import rfc3339

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

# Condition → its status → the taint's key.
OF_CONDITIONS: Mapping[str, Mapping[str, str]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
KEPT = {key for keys in OF_CONDITIONS.values() for key in keys.values()} | {UNSCHEDULABLE}

Taint = tuple[str, str]  # key and effect


def taints_of(node: Json) -> list[Json]:
    return spec_of(node).get("taints") or []


def has_taint(node: Json, key: str, effect: str) -> bool:
    return any(taint["key"] == key and taint["effect"] == effect for taint in taints_of(node))


def unschedulable_by(node: Json) -> list[Taint]:
    """The NoSchedule taints that the node shall have, by its conditions and its cordon."""
    found = []
    for condition in status_of(node).get("conditions") or ():
        key = OF_CONDITIONS.get(condition["type"], {}).get(condition["status"])
        if key is not None:
            found.append((key, "NoSchedule"))
    if spec_of(node).get("unschedulable"):
        found.append((UNSCHEDULABLE, "NoSchedule"))
    return found


def no_schedule(node: Json) -> tuple[list[Taint], list[Taint]]:
    """The NoSchedule taints to be added and those to be taken away. What others put there stays."""
    wanted = unschedulable_by(node)
    there = [(t["key"], t["effect"]) for t in taints_of(node) if t["effect"] == "NoSchedule" and t["key"] in KEPT]
    return [taint for taint in wanted if taint not in there], [taint for taint in there if taint not in wanted]


def swapped(node: Json, add: Iterable[Taint], remove: Iterable[Taint], now: float) -> Json | None:
    """The node with taints added and taken away; None: nothing changes."""
    gone = set(remove)
    kept = [taint for taint in taints_of(node) if (taint["key"], taint["effect"]) not in gone]
    there = {(taint["key"], taint["effect"]) for taint in kept}
    new = [
        {"key": key, "effect": effect, "timeAdded": rfc3339(now)} for key, effect in add if (key, effect) not in there
    ]
    if not new and len(kept) == len(taints_of(node)):
        return None
    spec = dict(spec_of(node))
    if kept or new:
        spec["taints"] = [*kept, *new]
    else:
        spec.pop("taints", None)
    return {**node, "spec": spec}


# -- tolerations


def tolerates(toleration: Json, taint: Json) -> bool:
    """As ``Toleration.ToleratesTaint``."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    value, wants = taint.get("value") or "", toleration.get("value") or ""
    match operator:
        case "Equal":
            return bool(value == wants)
        case "Exists":
            return True
        case "Lt" | "Gt":
            try:
                return int(value) < int(wants) if operator == "Lt" else int(value) > int(wants)
            except ValueError:
                return False
    return False


def stay(pod: Json, taints: Sequence[Json]) -> float | None:
    """How many seconds a pod bears these NoExecute taints: 0 not at all, None for ever."""
    used = []
    tolerations = spec_of(pod).get("tolerations") or ()
    for taint in taints:
        found = next((one for one in tolerations if tolerates(one, taint)), None)
        if found is None:
            return 0.0
        used.append(found)
    seconds = [one["tolerationSeconds"] for one in used if one.get("tolerationSeconds") is not None]
    return None if not seconds else float(max(0, min(seconds)))

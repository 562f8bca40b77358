"""How ``/state`` and its siblings show a task's statuses, at the master as at the agent (``common/http.cpp``)."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def extras(info: Json) -> Json:
    """What a task shows of its TaskInfo as it was given; labels without their wrapping."""
    shown: Json = {}
    if info.get("labels"):
        shown["labels"] = info["labels"].get("labels", [])
    for key in ("discovery", "container", "health_check"):
        if key in info:
            shown[key] = info[key]
    return shown


def status(made: Json) -> Json:
    """A TaskStatus."""
    shown: Json = {"state": made["state"], "timestamp": made["timestamp"]}
    if made.get("labels"):
        shown["labels"] = made["labels"].get("labels", [])
    if "container_status" in made:
        shown["container_status"] = _container_status(made["container_status"])
    if "healthy" in made:
        shown["healthy"] = made["healthy"]
    return shown


def _container_status(made: Json) -> Json:
    shown: Json = {}
    if "container_id" in made:
        shown["container_id"] = made["container_id"]
    if made.get("network_infos"):
        shown["network_infos"] = [_network_info(one) for one in made["network_infos"]]
    if "cgroup_info" in made:
        shown["cgroup_info"] = made["cgroup_info"]
    return shown


def _network_info(made: Json) -> Json:
    shown: Json = {}
    for key in ("groups", "ip_addresses", "name", "port_mappings"):
        if made.get(key):
            shown[key] = made[key]
    if "labels" in made:
        shown["labels"] = made["labels"].get("labels", [])
    return shown

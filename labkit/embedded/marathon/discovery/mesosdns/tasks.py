"""What the master's state says of a task: its addresses by source, and its ports (``records/state`` of mesos-dns)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Json = dict[str, Any]

_DOCKER_LABEL = "Docker.NetworkSettings.IPAddress"
_MESOS_LABEL = "MesosContainerizer.NetworkSettings.IPAddress"


def addresses(task: Json, agent_ips: Sequence[str], sources: Iterable[str]) -> list[str]:
    """The addresses of the first source that has any (``IPSources``)."""
    for source in sources:
        found = [ip for ip in _SOURCES[source](task, agent_ips) if is_ip(ip)] if source in _SOURCES else []
        if found:
            return found
    return []


def _host(task: Json, agent_ips: Sequence[str]) -> Iterable[str]:
    return agent_ips


def _netinfo(task: Json, agent_ips: Sequence[str]) -> Iterable[str]:
    for info in (_latest(task).get("container_status") or {}).get("network_infos") or ():
        given = info.get("ip_addresses")
        if given:
            yield from (each.get("ip_address", "") for each in given)
        elif info.get("ip_address"):  # the form of Mesos 0.25
            yield info["ip_address"]


def _labelled(key: str) -> Callable[[Json, Sequence[str]], Iterable[str]]:
    def found(task: Json, agent_ips: Sequence[str]) -> Iterable[str]:
        labels: Any = _latest(task).get("labels") or ()
        if isinstance(labels, dict):  # protobuf's own JSON keeps them one level deeper
            labels = labels.get("labels") or ()
        return [label.get("value", "") for label in labels if label.get("key") == key]

    return found


_SOURCES: dict[str, Callable[[Json, Sequence[str]], Iterable[str]]] = {
    "host": _host,
    "netinfo": _netinfo,
    "docker": _labelled(_DOCKER_LABEL),
    "mesos": _labelled(_MESOS_LABEL),
}


def _latest(task: Json) -> Json:
    """The newest status that says TASK_RUNNING: the state gives them in no order."""
    running = [status for status in task.get("statuses") or () if status.get("state") == "TASK_RUNNING"]
    return max(running, key=lambda status: status.get("timestamp", 0.0), default={})


def ports(task: Json) -> list[str]:
    """The ports of its resources, one by one: ``[31000-31001, 31005-31005]``."""
    text = (task.get("resources") or {}).get("ports") or ""
    found: list[str] = []
    for part in text.strip("[] ").split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit():
            found += map(str, range(int(low), int(high if high.isdigit() else low) + 1))
    return found


def discovery_ports(task: Json) -> list[tuple[int, str, str]]:
    """Number, protocol and name of the ports of its discovery information."""
    given = ((task.get("discovery") or {}).get("ports") or {}).get("ports") or ()
    return [(int(port.get("number", 0)), port.get("protocol") or "", port.get("name") or "") for port in given]


def discovery_name(task: Json) -> str:
    """The name that it wants to be found by, if it says so."""
    return (task.get("discovery") or {}).get("name") or ""


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host_port(pid: str) -> tuple[str, str]:
    """The place in a libprocess PID, ``slave(1)@127.5.0.20:5051``; empty strings when it is none."""
    _, at, place = pid.partition("@")
    host, colon, port = place.rpartition(":")
    return (host.strip("[]"), port) if at and colon else ("", "")

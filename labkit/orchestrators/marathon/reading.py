"""What the masters' ``/state`` means in the common words. Pure: JSON in, :mod:`labkit.model` out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.model import Framework, Node, NodeState, Offer, Resources, State, Task

Json = Mapping[str, Any]

MEBI = 1024 * 1024
ENDED_KEPT = 25  # of a workload: Mesos remembers a thousand of each framework

# The state of a task by Mesos' word. `TASK_GONE` and its like are said of tasks whose agent will not come back.
STATES: Mapping[str, State] = {
    "TASK_STAGING": State.STARTING,
    "TASK_STARTING": State.STARTING,
    "TASK_RUNNING": State.RUNNING,
    "TASK_KILLING": State.STOPPING,
    "TASK_FINISHED": State.COMPLETE,
    "TASK_KILLED": State.STOPPED,
    "TASK_FAILED": State.FAILED,
    "TASK_ERROR": State.FAILED,
    "TASK_DROPPED": State.FAILED,
    "TASK_GONE": State.LOST,
    "TASK_GONE_BY_OPERATOR": State.LOST,
    "TASK_LOST": State.LOST,
    "TASK_UNREACHABLE": State.LOST,
    "TASK_UNKNOWN": State.LOST,
}

# What Dominant Resource Fairness counts: scalars only.
_SCALARS = ("cpus", "mem", "disk", "gpus")


def resources(found: Json | None) -> Resources:
    found = found or {}
    return Resources(float(found.get("cpus") or 0.0), int(float(found.get("mem") or 0.0) * MEBI))


# -- nodes


def read_agent(data: Json, name: str = "") -> Node:
    """An agent as the leading master has it. One that it cannot talk to just now is there, and not active."""
    active = bool(data.get("active", True)) and not data.get("deactivated", False)
    attributes = {str(key): _value(value) for key, value in (data.get("attributes") or {}).items()}
    return Node(
        id=str(data["id"]),
        name=name or attributes.get("machine") or str(data.get("hostname", "")),
        role="agent",
        state=NodeState.READY if active else NodeState.UNKNOWN,
        address=address_of(data),
        capacity=resources(data.get("resources")),
        labels=attributes,
        version=str(data.get("version", "")),
        message="" if active else "the master has lost its connection to this agent",
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def address_of(data: Json) -> str:
    """ "slave(1)@10.0.0.1:5051" → "10.0.0.1"."""
    return str(data.get("pid", "")).rpartition("@")[2].rpartition(":")[0] or str(data.get("hostname", ""))


# -- frameworks and offers


def read_offers(state: Json) -> list[Offer]:
    return [
        Offer(str(o["id"]), str(f["id"]), str(o.get("slave_id", "")), resources(o.get("resources")))
        for f in state.get("frameworks") or ()
        for o in f.get("offers") or ()
    ]


def totals(state: Json) -> dict[str, float]:
    """All that the agents have, by resource."""
    found = dict.fromkeys(_SCALARS, 0.0)
    for agent in state.get("slaves") or ():
        for key in _SCALARS:
            found[key] += float((agent.get("resources") or {}).get(key) or 0.0)
    return found


def dominant(held: Json, total: Mapping[str, float]) -> tuple[float, str]:
    """The largest share of any resource, and which one that is."""
    shares = [(float(held.get(key) or 0.0) / total[key], key) for key in _SCALARS if total.get(key)]
    share, key = max(shares, key=lambda found: found[0], default=(0.0, ""))
    return round(share, 4), key if share > 0 else ""


def read_framework(
    data: Json, total: Mapping[str, float], weights: Mapping[str, float], apps: tuple[str, ...]
) -> Framework:
    """``apps``: the workloads of a Marathon; any other framework is its own workload."""
    used, offered = data.get("used_resources") or {}, data.get("offered_resources") or {}
    share, resource = dominant(used, total)
    both = {key: float(used.get(key) or 0.0) + float(offered.get(key) or 0.0) for key in _SCALARS}
    roles = [str(role) for role in data.get("roles") or ()] or [str(data.get("role") or "*")]
    return Framework(
        id=str(data["id"]),
        name=str(data.get("name", "")),
        role=", ".join(roles),
        active=bool(data.get("active", True)),
        connected=bool(data.get("connected", True)),
        address=str(data.get("webui_url") or data.get("hostname") or ""),
        used=resources(used),
        offered=resources(offered),
        share=share,
        held=dominant(both, total)[0],
        resource=resource or dominant(both, total)[1],
        weight=weights.get(roles[0], 1.0),
        offers=tuple(sorted(str(o["id"]) for o in data.get("offers") or ())),
        tasks=len(data.get("tasks") or ()),
        workloads=apps,
    )


def weights_of(roles: Json) -> dict[str, float]:
    return {str(role["name"]): float(role.get("weight", 1.0)) for role in roles.get("roles") or ()}


# -- tasks


@dataclass(frozen=True, slots=True)
class Naming:
    """How a framework's tasks are called, and whose they are."""

    workload: Callable[[Json], str]
    name: Callable[[Json], str]


def plain_naming(framework: str) -> Naming:
    """Of a framework that keeps its workloads to itself."""
    return Naming(lambda task: framework, lambda task: str(task.get("name") or task["id"]))


def read_tasks(framework: Json, naming: Naming) -> Iterator[Task]:
    """Those that live, those that nobody can reach, and the last few of each workload that have ended."""
    seen: set[str] = set()
    for data in (*(framework.get("tasks") or ()), *(framework.get("unreachable_tasks") or ())):
        seen.add(str(data["id"]))
        yield read_task(data, naming)
    kept: dict[str, int] = {}
    ended = sorted(framework.get("completed_tasks") or (), key=_updated, reverse=True)
    for data in ended:
        workload = naming.workload(data)
        if str(data["id"]) in seen or kept.get(workload, 0) >= ENDED_KEPT:
            continue  # one id may end, and be used again
        seen.add(str(data["id"]))
        kept[workload] = kept.get(workload, 0) + 1
        yield read_task(data, naming)


def read_task(data: Json, naming: Naming) -> Task:
    word = str(data.get("state", "TASK_UNKNOWN"))
    state = STATES.get(word, State.LOST)
    newest = _newest(data)
    return Task(
        id=str(data["id"]),
        name=naming.name(data),
        workload=naming.workload(data),
        state=state,
        node=str(data.get("slave_id", "")),
        wanted=state in (State.STARTING, State.RUNNING, State.UNREADY) or word == "TASK_UNREACHABLE",
        detail=word,
        message=""
        if state in (State.RUNNING, State.STARTING)
        else str(newest.get("message") or newest.get("reason") or ""),
        image=_image(data),
        container=str((newest.get("container_status") or {}).get("container_id", {}).get("value", "")),
        address=_address(newest),
        reserved=resources(data.get("resources")),
        created=_first(data),
        updated=float(newest.get("timestamp") or 0.0),
        labels={str(label["key"]): str(label.get("value", "")) for label in data.get("labels") or ()},
    )


def _newest(data: Json) -> Json:
    return max(data.get("statuses") or (), key=lambda status: float(status.get("timestamp") or 0.0), default={})


def _updated(data: Json) -> float:
    return float(_newest(data).get("timestamp") or 0.0)


def _first(data: Json) -> float:
    return min((float(s.get("timestamp") or 0.0) for s in data.get("statuses") or ()), default=0.0)


def _image(data: Json) -> str:
    container = data.get("container") or {}
    docker = container.get("docker") or {}
    mesos = ((container.get("mesos") or {}).get("image") or {}).get("docker") or {}
    return str(docker.get("image") or mesos.get("name") or "")


def _address(status: Json) -> str:
    for info in (status.get("container_status") or {}).get("network_infos") or ():
        for address in info.get("ip_addresses") or ():
            if address.get("ip_address"):
                return str(address["ip_address"])
    return ""


def frameworks_of(state: Json) -> Iterable[Json]:
    """Those that are registered, once each."""
    return [f for f in state.get("frameworks") or () if f.get("id")]

"""The scheduler's filters, as a table: whether each has a say for a task, what it checks, how it explains a refusal.

SwarmKit: ``manager/scheduler/{filter,pipeline}.go``. Simplified: the plugin filter looks at volume and log drivers
only, as every embedded node has the network drivers that there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from labkit.embedded.swarm.leader.constraint import InvalidConstraint, node_matches, parse
from labkit.embedded.swarm.leader.scheduler.nodeinfo import NodeInfo, host_ports
from labkit.embedded.swarm.leader.scheduler.resources import NOTHING, Resources
from labkit.embedded.swarm.objects import Json, Task

Check = Callable[[NodeInfo], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """``prepare`` makes the check for a task, or None where this filter has no say; ``explain`` takes the number of
    nodes that were refused."""

    name: str
    prepare: Callable[[Task], Check | None]
    explain: Callable[[int], str]


def _on_nodes(words: str) -> Callable[[int], str]:
    return lambda nodes: f"{words} on 1 node" if nodes == 1 else f"{words} on {nodes} nodes"


def _not_available(nodes: int) -> str:
    return "1 node not available for new tasks" if nodes == 1 else f"{nodes} nodes not available for new tasks"


def _ready(task: Task) -> Check:
    def check(info: NodeInfo) -> bool:
        return info.node.state == "ready" and info.node.spec.get("Availability", "active") == "active"

    return check


def _resources(task: Task) -> Check | None:
    wanted = Resources.reserved_by(task.spec)
    if wanted is NOTHING or wanted == NOTHING:
        return None
    return lambda info: info.available.has(wanted)


def _plugins(task: Task) -> Check | None:
    needed = set()
    for mount in (task.spec.get("ContainerSpec") or {}).get("Mounts") or ():
        driver = ((mount.get("VolumeOptions") or {}).get("DriverConfig") or {}).get("Name")
        if mount.get("Type") == "volume" and driver and driver != "local":
            needed.add(("Volume", driver))
    driver = (task.spec.get("LogDriver") or {}).get("Name")
    if driver and driver != "none":
        needed.add(("Log", driver))
    if not needed:
        return None

    def check(info: NodeInfo) -> bool:
        plugins = (info.node.description.get("Engine") or {}).get("Plugins") or ()
        return all(_has_plugin(plugins, kind, name) for kind, name in needed)

    return check


def _has_plugin(plugins: Iterable[Json], kind: str, name: str) -> bool:
    names = {plugin.get("Name") for plugin in plugins if plugin.get("Type") == kind}
    if not names and kind == "Log":
        return True  # an old engine that does not list its log drivers
    return name in names or f"{name}:latest" in names


def _placement(task: Task) -> Json:
    return task.spec.get("Placement") or {}


def _constraints(task: Task) -> Check | None:
    expressions = _placement(task).get("Constraints")
    if not expressions:
        return None
    try:
        constraints = parse(expressions)
    except InvalidConstraint:
        return None  # the API does not let such in
    return lambda info: node_matches(constraints, info.node)


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _platform(task: Task) -> Check | None:
    supported = _placement(task).get("Platforms")
    if not supported:
        return None

    def check(info: NodeInfo) -> bool:
        has: Any = info.node.description.get("Platform")
        return bool(has) and any(_runs(platform, has) for platform in supported)

    return check


def _runs(wanted: Json, has: Json) -> bool:
    """The empty string stands for any."""
    architectures = [_ARCHITECTURES.get(p.get("Architecture", ""), p.get("Architecture", "")) for p in (wanted, has)]
    if architectures[0] and architectures[0] != architectures[1]:
        return False
    return not wanted.get("OS") or wanted["OS"] == has.get("OS")


def _host_ports(task: Task) -> Check | None:
    ports = host_ports(task)
    return (lambda info: info.ports.isdisjoint(ports)) if ports else None


def _max_replicas(task: Task) -> Check | None:
    most = int(_placement(task).get("MaxReplicas") or 0)
    return (lambda info: info.per_service[task.service_id] < most) if most else None


FILTERS: tuple[Filter, ...] = (
    Filter("ready", _ready, _not_available),
    Filter("resources", _resources, _on_nodes("insufficient resources")),
    Filter("plugins", _plugins, _on_nodes("missing plugin")),
    Filter("constraints", _constraints, _on_nodes("scheduling constraints not satisfied")),
    Filter("platform", _platform, _on_nodes("unsupported platform")),
    Filter("host ports", _host_ports, _on_nodes("host-mode port already in use")),
    Filter("max replicas", _max_replicas, lambda nodes: "max replicas per node limit exceed"),
)
"""In the order in which they are asked; the first refusal counts."""


class Pipeline:
    """The filters that have a say for one task (or for all that share its spec)."""

    def __init__(self, task: Task, filters: Iterable[Filter] = FILTERS) -> None:
        prepared = ((filter, filter.prepare(task)) for filter in filters)
        self._checks = [(filter, check) for filter, check in prepared if check is not None]

    def allows(self, info: NodeInfo) -> bool:
        return all(check(info) for _, check in self._checks)

    def refusal(self, info: NodeInfo) -> Filter | None:
        """The first filter that refuses the node."""
        return next((filter for filter, check in self._checks if not check(info)), None)

    def explain(self, nodes: Iterable[NodeInfo]) -> str:
        """Why none of these nodes will do: the commonest reason first. Empty if there are no nodes."""
        refusals = Counter(filter for info in nodes if (filter := self.refusal(info)) is not None)
        ordered = sorted(refusals.items(), key=lambda item: (-item[1], FILTERS.index(item[0])))
        return "; ".join(filter.explain(count) for filter, count in ordered)

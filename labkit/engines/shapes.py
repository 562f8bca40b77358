"""What a sandbox of each orchestrator is made of: the arguments of `up`, their limits, its machines, its variables.

A new orchestrator is a row of :data:`SHAPES` here, an adapter in :mod:`labkit.orchestrators` and an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.errors import UsageError

Sizes = Mapping[str, Any]
Machines = list[tuple[str, str]]  # (name, role), in order


@dataclass(frozen=True, slots=True)
class Shape:
    """What `up` takes for one orchestrator, and what it makes of it."""

    orchestrator: str
    defaults: Sizes  # the arguments that say how big it is; one that is up already is taken as it is
    machines: Callable[[Sizes], Machines]
    variables: tuple[str, ...]  # what points its clients at a sandbox; the first one tells where
    client: str  # the command line that people use
    first_look: str  # a command of it that shows the machines

    def sizes(self, given: Sizes) -> dict[str, Any]:
        """All of its arguments: those given, the others as they are by default."""
        return {key: given.get(key, default) for key, default in self.defaults.items()}


def _swarm_machines(sizes: Sizes) -> Machines:
    managers, workers = sizes["managers"], sizes["workers"]
    if sizes["plain"]:  # they have joined nothing, so they have no role yet
        return [(f"node-{i}", "") for i in range(1, managers + workers + 1)]
    return [(f"manager-{i}", "manager") for i in range(1, managers + 1)] + _workers(workers)


def _kubernetes_machines(sizes: Sizes) -> Machines:
    return [("control-plane", "control-plane"), *_workers(sizes["workers"])]


def _marathon_machines(sizes: Sizes) -> Machines:
    masters = [(f"master-{i}", "master") for i in range(1, sizes["masters"] + 1)]
    return masters + [(f"agent-{i}", "agent") for i in range(1, sizes["agents"] + 1)]


def _workers(count: int) -> Machines:
    return [(f"worker-{i}", "worker") for i in range(1, count + 1)]


SHAPES: Mapping[str, Shape] = {
    shape.orchestrator: shape
    for shape in (
        Shape(
            orchestrator="swarm",
            defaults={"managers": 3, "workers": 2, "plain": False},
            machines=_swarm_machines,
            variables=("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
            client="docker",
            first_look="docker node ls",
        ),
        Shape(
            orchestrator="kubernetes",
            defaults={"workers": 3},
            machines=_kubernetes_machines,
            variables=("KUBECONFIG",),
            client="kubectl",
            first_look="kubectl get nodes",
        ),
        Shape(
            orchestrator="marathon",
            defaults={"masters": 3, "agents": 3},
            machines=_marathon_machines,
            variables=("MARATHON_URL", "MESOS_URL", "ZOOKEEPER", "MARATHON_LB_URL", "MESOS_DNS_URL", "BATCH_URL"),
            client="curl",
            first_look='curl -sL --location-trusted "$MESOS_URL/slaves"',
        ),
    )
}

# What each argument must be: (type, smallest, largest), and where an orchestrator differs.
_LIMITS: Mapping[str, tuple[type, float, float]] = {
    "managers": (int, 1, 15),
    "workers": (int, 0, 60),
    "masters": (int, 1, 7),
    "agents": (int, 1, 200),
    "speed": (float, 0.1, 1000.0),
}
_OTHER_LIMITS: Mapping[tuple[str | None, str], tuple[type, float, float]] = {("kubernetes", "workers"): (int, 0, 500)}


def shape_of(orchestrator: str) -> Shape:
    """The shape of an orchestrator that there is."""
    return SHAPES[orchestrator]


def check_sizes(asked: Mapping[str, Any], orchestrator: str | None = None) -> dict[str, Any]:
    """The arguments that were given, each of the right type and size and one that this orchestrator has."""
    given = {key: value for key, value in asked.items() if value is not None}
    for key, value in given.items():
        if orchestrator is not None and key != "speed" and key not in SHAPES[orchestrator].defaults:
            there = ", ".join([*SHAPES[orchestrator].defaults, "speed"])
            raise UsageError(f"a {orchestrator} sandbox has no {key}; it has {there}")
        if key == "plain":
            given[key] = bool(value)
            continue
        kind, least, most = _OTHER_LIMITS.get((orchestrator, key)) or _LIMITS[key]
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not least <= value <= most or value != kind(value):
            what = "a whole number" if kind is int else "a number"
            raise UsageError(f"{key} must be {what} from {least:g} to {most:g}, not {value!r}")
        given[key] = kind(value)
    return given

"""May this machine run that pod? Asked once more when it arrives: the scheduler may have been wrong, or left out.

As ``pkg/kubelet/lifecycle/predicate.go``, which uses the scheduler's own filters too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.scheduler import resources
from labkit.embedded.runtime.machines import Machine


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it may not."""

    reason: str
    message: str


def refusal(pod: Json, others: Iterable[Json], machine: Machine, max_pods: int) -> Refusal | None:
    """None: it may. ``others`` are the pods that are here already and have not finished."""
    if pods.is_static(pod):
        return None
    others = list(others)
    if len(others) >= max_pods:
        return _short("pods", 1, len(others), max_pods)
    asked = resources.of_pod(pod["spec"])
    has = {"cpu": int(machine.cpus * 1000), "memory": machine.memory, "ephemeral-storage": machine.disk}
    wanted = {name: amount for name, amount in asked.items() if amount}
    if wanted:
        used: dict[str, int] = {}
        for other in others:
            for name, amount in resources.of_pod(other["spec"]).items():
                used[name] = used.get(name, 0) + amount
        for name, amount in wanted.items():
            if amount + used.get(name, 0) > has.get(name, 0):
                return _short(name, amount, used.get(name, 0), has.get(name, 0))
    ports = _host_ports(pod)
    if ports and any(ports & _host_ports(other) for other in others):
        return Refusal(
            "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        )
    return None


def _short(resource: str, asked: int, used: int, has: int) -> Refusal:
    words = f"Node didn't have enough resource: {resource}, requested: {asked}, used: {used}, capacity: {has}"
    return Refusal(f"OutOf{resource}", words)


def _host_ports(pod: Json) -> set[tuple[str, int]]:
    return {
        (port.get("protocol") or "TCP", port["hostPort"])
        for container in pods.containers(pod)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }

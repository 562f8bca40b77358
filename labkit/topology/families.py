"""Who belongs to whom: workloads that others made (a Deployment's ReplicaSets), and Services as things of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.model import Endpoint, Snapshot, Workload

SERVICE = "service:"  # prefix of a Service's key, so that it is no workload's
FRAMEWORK = "framework:"  # prefix of a framework's card


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with all its ports, and the tasks behind it."""

    key: str
    name: str
    namespace: str
    endpoints: tuple[Endpoint, ...]

    @property
    def tasks(self) -> frozenset[str]:
        """Those that traffic goes to now."""
        return frozenset(task for endpoint in self.endpoints for task in endpoint.tasks)

    @property
    def unready(self) -> frozenset[str]:
        """Those that are selected, but get none."""
        return frozenset(task for endpoint in self.endpoints for task in endpoint.unready) - self.tasks


def services_of(snapshot: Snapshot) -> dict[str, Service]:
    """By key. Where endpoints have no name (a swarm's), they are parts of their workload, and there are none."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in snapshot.endpoints.values():
        if endpoint.name:
            found.setdefault(SERVICE + endpoint.id.partition("/")[0], []).append(endpoint)
    return {key: Service(key, ends[0].name, ends[0].namespace, tuple(ends)) for key, ends in found.items()}


class Families:
    """The owner trees of workloads, and a colour for each that has tasks of its own.

    A colour stays with its workload as long as that is there; the lowest free one goes to a new workload.
    """

    def __init__(self) -> None:
        self.colours: dict[str, int] = {}
        self._tops: dict[str, str] = {}
        self._children: dict[str, list[Workload]] = {}

    def update(self, ordered: list[Workload]) -> None:
        """Learn the workloads there are, in the order in which new ones get their colours."""
        there = {w.id: w for w in ordered}
        self._children = {}
        for workload in ordered:
            if workload.owner in there:
                self._children.setdefault(workload.owner, []).append(workload)
        self._tops = {w.id: _top(w, there) for w in ordered}
        leaves = [w.id for w in ordered if w.id not in self._children]
        for gone in self.colours.keys() - set(leaves):
            del self.colours[gone]
        taken = set(self.colours.values())
        number = 0
        for leaf in leaves:
            if leaf not in self.colours:
                while number in taken:
                    number += 1
                self.colours[leaf] = number
                taken.add(number)

    def top(self, workload: str) -> str:
        """The workload at the top of its owners: what a person made."""
        return self._tops.get(workload, workload)

    def tops(self, snapshot: Snapshot) -> list[Workload]:
        """Those that nobody owns; a framework that is its own workload is shown as a framework."""
        return [
            w
            for key, w in snapshot.workloads.items()
            if self._tops.get(key, key) == key and key not in snapshot.frameworks
        ]

    def children(self, workload: str, snapshot: Snapshot) -> list[Workload]:
        """What it made, as it is now, the newest revision first."""
        now = (snapshot.workloads.get(child.id) for child in self._children.get(workload, ()))
        return sorted((w for w in now if w is not None), key=lambda w: (-w.revision, w.name))

    def colour(self, workload: str, otherwise: int) -> int:
        return self.colours.get(workload, otherwise)


def _top(workload: Workload, there: Mapping[str, Workload]) -> str:
    seen = {workload.id}
    while workload.owner in there and workload.owner not in seen:
        workload = there[workload.owner]
        seen.add(workload.id)
    return workload.id

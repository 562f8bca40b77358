"""The last snapshot and what it was made of, so that the next one makes only what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from labkit.model import Endpoint, Node, NodeState, State, Task, Workload
from labkit.orchestrators.kubernetes import reading
from labkit.orchestrators.kubernetes.cache import Cache

Json = dict[str, Any]
Item = TypeVar("Item", Node, Workload, Task, Endpoint)

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
_SERVICE = "kubernetes.io/service-name"


class Memory:
    """Turns the cache into model objects; each stays the same object as long as what it was made of does."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.workloads: dict[str, Workload] = {}
        self.tasks: dict[str, Task] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.tops: dict[str, str] = {}  # task -> the workload at the top of its owners
        self._pods: dict[str, tuple[Any, ...]] = {}  # what each task was made of

    def read(self, cache: Cache, system: bool) -> None:
        """Read everything; ``system``: also the namespaces that the cluster itself lives in."""

        def shown(name: str) -> list[Json]:
            found = cache.items(name).values()
            return list(found) if system else [item for item in found if not _is_system(item)]

        self.nodes = kept(self.nodes, map(reading.read_node, cache.items("nodes").values()))
        made = {kind: shown(resource) for kind, (resource, _) in reading.WORKLOADS.items()}
        owners = {item["metadata"]["uid"]: reading.owner_of(item) for items in made.values() for item in items}
        self.tasks = self._read_tasks(shown("pods"), owners)
        self.workloads = self._read_workloads(made, owners)
        self.tops = {task.id: _top(task.workload, owners) for task in self.tasks.values()}
        slices: dict[tuple[str, str], list[Json]] = defaultdict(list)
        for piece in shown("endpointslices"):
            labels = piece["metadata"].get("labels") or {}
            slices[piece["metadata"]["namespace"], labels.get(_SERVICE, "")].append(piece)
        self.endpoints = kept(
            self.endpoints,
            (
                endpoint
                for service in shown("services")
                for endpoint in reading.read_endpoints(
                    service, slices[service["metadata"]["namespace"], service["metadata"]["name"]], self.tops
                )
            ),
        )

    def _read_tasks(self, pods: list[Json], owners: Mapping[str, Any]) -> dict[str, Task]:
        by_name = {node.name: node for node in self.nodes.values()}
        made: dict[str, Task] = {}
        keys: dict[str, tuple[Any, ...]] = {}
        for pod in pods:
            uid = pod["metadata"]["uid"]
            node = by_name.get(pod["spec"].get("nodeName", ""))
            lost = node is not None and node.state is NodeState.DOWN
            owner = reading.owner_of(pod)
            workload = owner["uid"] if owner and owner["uid"] in owners else uid
            keys[uid] = key = (pod["metadata"]["resourceVersion"], node.id if node else "", lost, workload)
            before = self.tasks.get(uid)
            if before is not None and self._pods.get(uid) == key:
                made[uid] = before
            else:
                made[uid] = reading.read_pod(pod, workload, node.id if node else "", lost)
        self._pods = keys
        return self.tasks if _same(self.tasks, made) else made

    def _read_workloads(self, made: Mapping[str, list[Json]], owners: Mapping[str, Any]) -> dict[str, Workload]:
        running: dict[str, int] = defaultdict(int)
        alive: dict[str, int] = defaultdict(int)
        for task in self.tasks.values():
            at: str | None = task.workload
            while at:
                running[at] += task.state is State.RUNNING and task.wanted
                alive[at] += task.state.alive
                owner = owners.get(at)
                at = owner["uid"] if owner else None

        def all_of_them() -> Iterable[Workload]:
            for kind, items in made.items():
                for item in items:
                    workload = reading.read_workload(item, kind, running[item["metadata"]["uid"]])
                    # A Deployment keeps its last ten ReplicaSets at zero: nothing to see until it is rolled back.
                    if workload.owner and not workload.desired and not alive[workload.id]:
                        continue
                    yield workload
            for task in self.tasks.values():
                if task.workload == task.id:
                    yield reading.lone_pod(task)

        return kept(self.workloads, all_of_them())


def _is_system(item: Json) -> bool:
    """Whether it is the cluster's own: everything of its namespaces, and the Service of its API server."""
    metadata = item["metadata"]
    if metadata.get("namespace") in SYSTEM_NAMESPACES:
        return True
    return metadata["name"] == "kubernetes" and (metadata.get("labels") or {}).get("provider") == "kubernetes"


def _top(workload: str, owners: Mapping[str, Any]) -> str:
    while (owner := owners.get(workload)) is not None:
        workload = owner["uid"]
    return workload


def _same(before: Mapping[str, Item], made: Mapping[str, Item]) -> bool:
    return len(made) == len(before) and all(before.get(key) is item for key, item in made.items())


def kept(before: dict[str, Item], now: Iterable[Item]) -> dict[str, Item]:
    """By id, the old object wherever the new one equals it; the old mapping if nothing changed at all."""
    made = {item.id: before[item.id] if before.get(item.id) == item else item for item in now}
    return before if _same(before, made) else made

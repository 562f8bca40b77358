"""``/tasks``."""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.controlapi.find import find, task_name
from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.leader.orchestrator.tasks import is_task_dirty
from labkit.embedded.swarm.objects import Json, Node, Service, Task, TaskState
from labkit.embedded.swarm.store import Reads

from . import render
from .request import Filters, Request, Route

FILTERS = ("_up-to-date", "desired-state", "id", "label", "name", "node", "runtime", "service")


async def list_tasks(host: Any, request: Request) -> list[Json]:
    """``docker service ps``, ``docker node ps``; what clients poll while they wait."""
    filters = request.filters()
    store: Reads = await host.swarm.leader_store()
    filters.validate(FILTERS)
    services = {find(store, Service, term).id for term in filters.get("service")}
    nodes = {find(store, Node, term).id for term in filters.get("node")}
    states = {_state(word) for word in filters.get("desired-state") if word}
    candidates = _candidates(store, services, nodes)
    network_of = render.networks_of(store)
    return [
        render.task(task, network_of)
        for task in candidates
        if (not nodes or task.node_id in nodes)
        and (not states or task.desired_state in states)
        and _matches(task, filters)
        and (not filters.get("_up-to-date") or _up_to_date(store, task))
    ]


def _candidates(store: Reads, services: set[str], nodes: set[str]) -> list[Task]:
    """By an index where there is one: clients poll for one service's tasks several times a second."""
    if services:
        return [task for id in services for task in store.tasks_of_service(id)]
    if nodes:
        return [task for id in nodes for task in store.tasks_of_node(id)]
    return store.all(Task)


def _state(word: str) -> TaskState:
    try:
        return TaskState[word.upper()]
    except KeyError:
        raise ApiError(f"Invalid desired-state filter: '{word}'") from None


def _matches(task: Task, filters: Filters) -> bool:
    return (
        filters.prefix("name", task_name(task))
        and filters.prefix("id", task.id)
        and filters.labels("label", task.service_labels)
        and filters.exact("runtime", "container")
    )


def _up_to_date(store: Reads, task: Task) -> bool:
    service = store.get(Service, task.service_id)
    return service is not None and not is_task_dirty(service, task, store.get(Node, task.node_id))


async def inspect(host: Any, request: Request) -> Json:
    """``docker inspect`` of a task."""
    store = await host.swarm.leader_store()
    return render.task(find(store, Task, request.match["id"]), render.networks_of(store))


ROUTES: list[Route] = [
    ("GET", "/tasks", list_tasks),
    ("GET", "/tasks/{id}", inspect),
]

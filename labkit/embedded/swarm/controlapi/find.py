"""Finding the object that a person means: whole id, then whole name, then a prefix of the id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from labkit.embedded.swarm.errors import ApiError, BadRequest, NotFound
from labkit.embedded.swarm.objects import Config, Network, Node, Object, Secret, Service, Task
from labkit.embedded.swarm.store import Reads

T = TypeVar("T", bound=Object)


def task_name(task: Task) -> str:
    """The name that ``docker service ps`` shows and filters by: ``web.1``, or ``web.<node id>.<task id>``."""
    slot = str(task.slot) if task.slot else f"{task.node_id}.{task.id}"
    return f"{task.service_name}.{slot}"


def _full_task_name(task: Task) -> str:
    return f"{task.name}.{task.id}"


_WORDS: Mapping[type[Object], tuple[str, Callable[[Any], str]]] = {
    Node: ("node", lambda node: node.spec.get("Name") or node.hostname),
    Service: ("service", lambda service: service.name),
    Task: ("task", _full_task_name),
    Network: ("network", lambda network: network.name),
    Secret: ("secret", lambda secret: secret.spec.get("Name", "")),
    Config: ("config", lambda config: config.spec.get("Name", "")),
}


def find(store: Reads, cls: type[T], term: str) -> T:
    """The one object that ``term`` names.

    Raises:
        NotFound: ``service x not found``. (For a network dockerd has no code and answers 500, as here.)
        BadRequest: ``service x is ambiguous (2 matches found)``.
    """
    exact = store.get(cls, term)
    if exact is not None:
        return exact
    word, name_of = _WORDS[cls]
    lowered = term.lower()
    objects = store.all(cls)
    matches = [obj for obj in objects if name_of(obj).lower() == lowered]
    if not matches:
        matches = [obj for obj in objects if obj.id.startswith(term)]
    if not matches:
        missing = ApiError if cls is Network else NotFound
        raise missing(f"{word} {term} not found")
    if len(matches) > 1:
        raise BadRequest(f"{word} {term} is ambiguous ({len(matches)} matches found)")
    return matches[0]

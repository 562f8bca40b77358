"""Objects as rows of JSON, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.objects import Object, TaskState, TaskStatus
from labkit.embedded.swarm.store.reads import KIND_OF, KINDS, Write

R = TypeVar("R")


@cache
def _readers(cls: type[Any]) -> dict[str, Callable[[Any], Any]]:
    """How the fields of a class come back that JSON does not give back as they were."""
    readers: dict[str, Callable[[Any], Any]] = {}
    for field in fields(cls):
        kind = str(field.type)
        if kind.startswith("tuple"):
            readers[field.name] = tuple
        elif kind == "TaskState":
            readers[field.name] = TaskState
        elif kind == "TaskStatus":
            readers[field.name] = lambda row: from_row(TaskStatus, row)
    return readers


def from_row(cls: type[R], row: Mapping[str, Any]) -> R:
    """The object that was written as ``row``. Fields that a later labkit added get their defaults."""
    readers = _readers(cast(Any, cls))
    known = {field.name for field in fields(cast(Any, cls))}
    return cls(**{name: readers[name](v) if name in readers else v for name, v in row.items() if name in known})


def save(storage: Storage, group: str, writes: Iterable[Write]) -> None:
    """Write a committed entry's effect. Who calls it keeps the index beside it, in the same transaction."""
    with storage.transaction():
        for cls, id, new in writes:
            kind = f"swarm/{group}/{KIND_OF[cls]}"
            if new is None:
                storage.delete(kind, id)
            else:
                storage.put(kind, id, new)  # orjson writes dataclasses by itself, field by field


def load(storage: Storage, group: str) -> dict[type[Object], dict[str, Object]]:
    """What :func:`save` has written for this group: the objects by class and id."""
    return {
        cls: {id: from_row(cls, row) for id, row in storage.all(f"swarm/{group}/{kind}").items()}
        for kind, cls in KINDS.items()
    }


def erase(storage: Storage, group: str) -> None:
    """Remove a group's rows: its last member is gone."""
    with storage.transaction():
        for kind in KINDS:
            storage.delete_all(f"swarm/{group}/{kind}")

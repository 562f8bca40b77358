"""The inside of one update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from labkit.embedded.swarm.errors import OutOfSequence
from labkit.embedded.swarm.objects import Object, Task
from labkit.embedded.swarm.store.reads import (
    UNIQUE_NAMES,
    NameConflict,
    ObjectExists,
    ObjectNotFound,
    Reads,
    T,
    Write,
    name_key,
)


class Tx(Reads):
    """The inside of one :meth:`Store.update`: sees its own writes, touches nothing until it is committed.

    ``index`` is the version that everything written here will have, ``now`` its time.
    """

    def __init__(self, store: Reads, index: int, now: float) -> None:
        self.index = index
        self.now = now
        self._store = store
        self._writes: dict[tuple[type[Object], str], Object | None] = {}

    # -- reads

    def get(self, cls: type[T], id: str) -> T | None:
        if (cls, id) in self._writes:
            return cast("T | None", self._writes[cls, id])
        return self._store.get(cls, id)

    def all(self, cls: type[T]) -> list[T]:
        return self._overlay(cls, self._store.all(cls), lambda obj: True)

    def by_name(self, cls: type[T], name: str) -> T | None:
        wanted = name.lower()
        for (of, _), obj in self._writes.items():
            if of is cls and obj is not None and name_key(obj) == wanted:
                return cast(T, obj)
        found = self._store.by_name(cls, name)
        # Renamed or removed in this transaction: the store's index does not know yet.
        return None if found is None or (cls, found.id) in self._writes else found

    def tasks_of_service(self, service_id: str) -> list[Task]:
        return self._overlay(Task, self._store.tasks_of_service(service_id), lambda task: task.service_id == service_id)

    def tasks_of_node(self, node_id: str) -> list[Task]:
        return self._overlay(Task, self._store.tasks_of_node(node_id), lambda task: task.node_id == node_id)

    def tasks_of_slot(self, service_id: str, slot: int) -> list[Task]:
        return self._overlay(
            Task,
            self._store.tasks_of_slot(service_id, slot),
            lambda task: task.service_id == service_id and task.slot == slot,
        )

    def _overlay(self, cls: type[T], stored: list[T], wanted: Callable[[T], bool]) -> list[T]:
        if not self._writes:
            return stored
        untouched = [obj for obj in stored if (cls, obj.id) not in self._writes]
        pending = (obj for (of, _), obj in self._writes.items() if of is cls and obj is not None)
        return untouched + [cast(T, obj) for obj in pending if wanted(cast(T, obj))]

    # -- writes

    def create(self, obj: Object) -> None:
        """Add a new object. Raises :class:`ObjectExists` and :class:`NameConflict`."""
        cls = type(obj)
        if self.get(cls, obj.id) is not None:
            raise ObjectExists
        self._check_name(obj)
        self._writes[cls, obj.id] = obj

    def update(self, obj: Object) -> None:
        """Replace an object by a changed copy of what was read.

        Raises :class:`ObjectNotFound`, :class:`NameConflict`, and ``OutOfSequence`` when ``obj.version`` is not the
        stored one. (Objects that this transaction itself wrote keep their version until it is committed.)
        """
        cls = type(obj)
        current = self.get(cls, obj.id)
        if current is None:
            raise ObjectNotFound
        if current.version != obj.version:
            raise OutOfSequence
        self._check_name(obj)
        self._writes[cls, obj.id] = obj

    def delete(self, cls: type[Object], id: str) -> None:
        """Remove an object. Raises :class:`ObjectNotFound`."""
        if self.get(cls, id) is None:
            raise ObjectNotFound
        self._writes[cls, id] = None

    def _check_name(self, obj: Object) -> None:
        cls = type(obj)
        if cls in UNIQUE_NAMES:
            holder = self.by_name(cls, name_key(obj))
            if holder is not None and holder.id != obj.id:
                raise NameConflict(cls, str(obj.spec.get("Name", "")))  # type: ignore[attr-defined]

    def stamped(self) -> tuple[Write, ...]:
        """The writes as they go into the Raft entry: version and times set, what changes nothing left out."""
        writes = []
        for (cls, id), obj in self._writes.items():
            stored = self._store.get(cls, id)
            if obj is not None:
                if obj is stored:
                    continue
                created = self.now if stored is None else stored.created_at
                obj = replace(obj, version=self.index, created_at=created, updated_at=self.now)
            elif stored is None:
                continue  # created and deleted in the same transaction
            writes.append(Write(cls, id, obj))
        return tuple(writes)

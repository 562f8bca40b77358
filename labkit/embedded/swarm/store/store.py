"""One manager's copy of everything, with its indexes. See the package for why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.objects import Object, Task
from labkit.embedded.swarm.store.reads import KINDS, UNIQUE_NAMES, Change, Reads, T, Write, name_key
from labkit.embedded.swarm.store.rows import load, save
from labkit.embedded.swarm.store.transaction import Tx
from labkit.embedded.swarm.store.watch import Watch

R = TypeVar("R")


class Proposer(Protocol):
    """Who makes writes happen: the Raft member of this manager."""

    def next_index(self) -> int:
        """The index which the next proposal will have. Raises ``NoLeader`` when this manager does not lead."""

    async def propose(self, writes: tuple[Write, ...]) -> None:
        """Returns when the writes are committed, on disk and applied to the proposing store."""


_Index = dict[Any, dict[str, None]]  # key -> ids, in order

# Every index of the tasks, once: its name and what a task is filed under (None: not at all).
_TASK_INDEXES: dict[str, Callable[[Task], Any]] = {
    "service": lambda task: task.service_id or None,
    "node": lambda task: task.node_id or None,
    "slot": lambda task: (task.service_id, task.slot) if task.service_id else None,
}


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """All objects at one Raft index; shares them with the store."""

    index: int
    objects: Mapping[type[Object], Mapping[str, Object]]


class Store(Reads):
    """One manager's copy. ``proposer`` is None until the manager takes part in Raft; reads work without."""

    def __init__(self, clock: Any, proposer: Proposer | None = None) -> None:
        self.clock = clock
        self.proposer = proposer
        self.index = 0  # of the last entry applied
        self._objects: dict[type[Object], dict[str, Object]] = {cls: {} for cls in KINDS.values()}
        self._names: dict[type[Object], dict[str, str]] = {cls: {} for cls in UNIQUE_NAMES}
        self._tasks: dict[str, _Index] = {name: {} for name in _TASK_INDEXES}
        self._watches: set[Watch] = set()
        self._lock = asyncio.Lock()

    @classmethod
    def local(cls, clock: Any, storage: Storage | None = None) -> Store:
        """A store without Raft around it, whose writes commit at once: for testing loops and handlers."""
        store = cls(clock)
        store.proposer = _LocalProposer(store, storage)
        return store

    # -- reads

    def get(self, cls: type[T], id: str) -> T | None:
        return cast("T | None", self._objects[cls].get(id))

    def all(self, cls: type[T]) -> list[T]:
        return cast("list[T]", list(self._objects[cls].values()))

    def count(self, cls: type[Object]) -> int:
        """How many there are of a class."""
        return len(self._objects[cls])

    def by_name(self, cls: type[T], name: str) -> T | None:
        id = self._names[cls].get(name.lower())
        return None if id is None else self.get(cls, id)

    def tasks_of_service(self, service_id: str) -> list[Task]:
        return self._indexed("service", service_id)

    def tasks_of_node(self, node_id: str) -> list[Task]:
        return self._indexed("node", node_id)

    def tasks_of_slot(self, service_id: str, slot: int) -> list[Task]:
        return self._indexed("slot", (service_id, slot))

    def _indexed(self, index: str, key: Any) -> list[Task]:
        tasks = cast("dict[str, Task]", self._objects[Task])
        return [tasks[id] for id in self._tasks[index].get(key, ())]

    # -- writes

    async def update(self, fn: Callable[[Tx], R]) -> R:
        """Run ``fn`` on a transaction and make its changes happen; returns what ``fn`` returned.

        ``fn`` is synchronous, is run once, and must not keep the transaction. If it raises, nothing is written.
        Raises ``NoLeader`` where this manager does not lead or stops leading before the write is committed (the
        write may then still come to be, as with any consensus), ``OutOfSequence`` and ``NameConflict`` from ``fn``.
        """
        await self._lock.acquire()
        commit: asyncio.Future[None] | None = None
        try:
            if self.proposer is None:
                raise RpcError("Unavailable", "the store has no proposer")
            tx = Tx(self, self.proposer.next_index(), self.clock.time())
            result = fn(tx)
            writes = tx.stamped()
            if writes:
                commit = asyncio.ensure_future(self.proposer.propose(writes))
                # A caller that gives up does not call the entry back: the next update must wait until it is applied.
                await asyncio.shield(commit)
            return result
        finally:
            if commit is not None and not commit.done():
                commit.add_done_callback(self._release)
            else:
                self._lock.release()

    def _release(self, commit: asyncio.Future[None]) -> None:
        if not commit.cancelled():
            commit.exception()  # nobody is left to hear of it
        self._lock.release()

    def apply(self, index: int, writes: Iterable[Write]) -> list[Change]:
        """Take over a committed entry. Called by the Raft member (or the local proposer) alone."""
        changes = [change for write in writes if (change := self._write(write)) is not None]
        self.index = max(self.index, index)
        self._publish(changes)
        return changes

    def _write(self, write: Write) -> Change | None:
        objects = self._objects[write.cls]
        old = objects.get(write.id)
        new = write.new
        if old is None and new is None:
            return None
        self._reindex(write.cls, old, new)
        if new is None:
            del objects[write.id]
            return Change("delete", old, None)
        objects[write.id] = new
        return Change("create" if old is None else "update", old, new)

    def _reindex(self, cls: type[Object], old: Object | None, new: Object | None) -> None:
        if cls is Task:
            for name, key_of in _TASK_INDEXES.items():
                before = None if old is None else key_of(cast(Task, old))
                after = None if new is None else key_of(cast(Task, new))
                if before == after:
                    continue
                index = self._tasks[name]
                if before is not None and old is not None:
                    index[before].pop(old.id)
                    if not index[before]:
                        del index[before]
                if after is not None and new is not None:
                    index.setdefault(after, {})[new.id] = None
        elif cls in self._names:
            names = self._names[cls]
            if old is not None and names.get(name_key(old)) == old.id:
                del names[name_key(old)]
            if new is not None:
                names[name_key(new)] = new.id

    def _publish(self, changes: list[Change]) -> None:
        if changes:
            for watch in tuple(self._watches):
                watch.put(changes)

    # -- watching

    def watch(self, *classes: type[Object]) -> Watch:
        """Changes from now on, of these classes (none named: of all). Read and watch in one breath, without an
        ``await`` between, and nothing is missed or seen twice."""
        watch = Watch(classes, self._watches.discard)
        self._watches.add(watch)
        return watch

    # -- snapshots

    def snapshot(self) -> StoreSnapshot:
        """All there is, for a manager that is too far behind for single entries."""
        return StoreSnapshot(self.index, {cls: dict(objects) for cls, objects in self._objects.items()})

    def restore(self, snapshot: StoreSnapshot) -> None:
        """Become the snapshot. Watchers are told what differs."""
        writes: list[Write] = []
        for cls, now in self._objects.items():
            then = snapshot.objects.get(cls, {})
            writes += [Write(cls, id, None) for id in now if id not in then]
            writes += [Write(cls, id, obj) for id, obj in then.items() if now.get(id) is not obj]
        self.apply(snapshot.index, writes)


class _LocalProposer:
    """Commits at once: what a one-manager swarm without Raft would be."""

    def __init__(self, store: Store, storage: Storage | None) -> None:
        self._store = store
        self._storage = storage
        if storage is not None:
            store.restore(StoreSnapshot(storage.get("swarm/local", "index") or 0, load(storage, "local")))

    def next_index(self) -> int:
        return self._store.index + 1

    async def propose(self, writes: tuple[Write, ...]) -> None:
        index = self._store.index + 1
        if self._storage is not None:
            with self._storage.transaction():
                save(self._storage, "local", writes)
                self._storage.put("swarm/local", "index", index)
        self._store.apply(index, writes)

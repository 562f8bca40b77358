"""The swarm's store: every object of the cluster in memory, one copy a manager, fed by Raft.

Why it looks as it does (SwarmKit's ``manager/state/store`` teaches the shape): everything the managers know is in
the store, the loops around it (:mod:`labkit.embedded.swarm.leader`) only watch it and write it, and never talk to
each other. So whoever becomes leader finds all there is to know in its own copy.

- *Reads* are plain synchronous calls on dictionaries. Objects are frozen, so a reader may keep what it got.
- *Writes* run in :meth:`Store.update`: a function gets a :class:`Tx`, a copy-on-write overlay; its changes become
  one Raft entry and are acknowledged once a majority has the entry, the leader has applied it and the disk has it.
  Updates of one store queue up behind each other, so that the function always sees the effect of all before it.
- An object's ``version`` is the Raft index of its last write. An update must name the version that it read; if the
  object has changed since, it is refused (``update out of sequence``) and nothing is written.
- *Watches* get every change, in order, in batches: a slow watcher finds one long list instead of many wake-ups.

Entries carry the objects themselves and the managers of a sandbox share them by reference. They are frozen, so three
managers cost three sets of dictionaries, not three copies of the objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.errors import OutOfSequence, RpcError
from labkit.embedded.swarm.objects import (
    Cluster,
    Config,
    Network,
    Node,
    Object,
    Secret,
    Service,
    Task,
    TaskState,
    TaskStatus,
)

T = TypeVar("T", bound=Object)
R = TypeVar("R")

KINDS: dict[str, type[Object]] = {
    "cluster": Cluster,
    "node": Node,
    "network": Network,
    "secret": Secret,
    "config": Config,
    "service": Service,
    "task": Task,
}
_KIND_OF: dict[type[Object], str] = {cls: kind for kind, cls in KINDS.items()}

_UNIQUE_NAMES = (Service, Secret, Config, Network, Cluster)
"""Classes whose name may be taken once, in any mixture of upper and lower case. Nodes may share theirs."""


class NameConflict(RpcError):
    """A name that is taken. The API shows it with the words of each kind (``service web already exists``)."""

    def __init__(self, cls: type[Object], name: str) -> None:
        words = "name conflicts with an existing object"
        super().__init__("AlreadyExists", f"{words}: {_KIND_OF[cls]} {name} already exists")
        self.cls = cls
        self.name = name


class ObjectExists(RpcError):
    """An id that is taken."""

    def __init__(self) -> None:
        super().__init__("AlreadyExists", "object already exists")


class ObjectNotFound(RpcError):
    """An update or delete of an object that is not there (any more)."""

    def __init__(self) -> None:
        super().__init__("NotFound", "object does not exist")


@dataclass(frozen=True, slots=True)
class Change:
    """One object's step. ``old`` is None for ``create``, ``new`` is None for ``delete``."""

    action: str  # create | update | delete
    old: Any
    new: Any

    @property
    def object(self) -> Any:
        """The object as it is now, or as it was when it went."""
        return self.old if self.new is None else self.new


class Write(NamedTuple):
    """One line of a Raft entry: the object as it shall be, or None when it shall go."""

    cls: type[Object]
    id: str
    new: Object | None


class Proposer(Protocol):
    """Who makes writes happen: the Raft member of this manager."""

    def next_index(self) -> int:
        """The index which the next proposal will have. Raises ``NoLeader`` when this manager does not lead."""

    async def propose(self, writes: tuple[Write, ...]) -> None:
        """Returns when the writes are committed, on disk and applied to the proposing store."""


class Reads:
    """What can be asked of a store and of a transaction in it."""

    def get(self, cls: type[T], id: str) -> T | None:
        """The object with this whole id, or None."""
        raise NotImplementedError

    def all(self, cls: type[T]) -> list[T]:
        """Every object of a class, oldest first."""
        raise NotImplementedError

    def by_name(self, cls: type[T], name: str) -> T | None:
        """The service, secret, config, network or cluster of this name, whatever its case."""
        raise NotImplementedError

    def tasks_of_service(self, service_id: str) -> list[Task]:
        raise NotImplementedError

    def tasks_of_node(self, node_id: str) -> list[Task]:
        raise NotImplementedError

    def tasks_of_slot(self, service_id: str, slot: int) -> list[Task]:
        raise NotImplementedError

    def cluster(self) -> Cluster | None:
        """The one cluster object, once there is one."""
        return next(iter(self.all(Cluster)), None)


_Index = dict[Any, dict[str, None]]  # key -> ids, in order

# Every index of the tasks, once: its name and what a task is filed under (None: not at all).
_TASK_INDEXES: dict[str, Callable[[Task], Any]] = {
    "service": lambda task: task.service_id or None,
    "node": lambda task: task.node_id or None,
    "slot": lambda task: (task.service_id, task.slot) if task.service_id else None,
}


def _name_key(obj: Object) -> str:
    return str(obj.spec.get("Name", "")).lower()  # type: ignore[attr-defined]


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
        self._objects: dict[type[Object], dict[str, Object]] = {cls: {} for cls in _KIND_OF}
        self._names: dict[type[Object], dict[str, str]] = {cls: {} for cls in _UNIQUE_NAMES}
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
            if old is not None and names.get(_name_key(old)) == old.id:
                del names[_name_key(old)]
            if new is not None:
                names[_name_key(new)] = new.id

    def _publish(self, changes: list[Change]) -> None:
        if changes:
            for watch in tuple(self._watches):
                watch.put(changes)

    # -- watching

    def watch(self, *classes: type[Object]) -> Watch:
        """Changes from now on, of these classes (none named: of all). Read and watch in one breath, without an
        ``await`` between, and nothing is missed or seen twice."""
        watch = Watch(self, classes)
        self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Forget a watch; :meth:`Watch.close` calls it."""
        self._watches.discard(watch)

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


class Tx(Reads):
    """The inside of one :meth:`Store.update`: sees its own writes, touches nothing until it is committed.

    ``index`` is the version that everything written here will have, ``now`` its time.
    """

    def __init__(self, store: Store, index: int, now: float) -> None:
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
            if of is cls and obj is not None and _name_key(obj) == wanted:
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
        if cls in _UNIQUE_NAMES:
            holder = self.by_name(cls, _name_key(obj))
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


class Watch:
    """``async for batch in store.watch(Task): …`` where ``batch`` is a list of :class:`Change`, in order.

    Nothing is ever lost: changes that come while the reader is busy are handed over in one longer batch.
    """

    def __init__(self, store: Store, classes: tuple[type[Object], ...]) -> None:
        self._store = store
        self._classes = classes
        self._pending: list[Change] = []
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, changes: list[Change]) -> None:
        """Called by the store."""
        if self._classes:
            changes = [change for change in changes if isinstance(change.object, self._classes)]
        if changes:
            self._pending += changes
            self._wake.set()

    def take(self) -> list[Change]:
        """What has come since the last time, without waiting; may be empty."""
        batch, self._pending = self._pending, []
        if not self._closed:
            self._wake.clear()
        return batch

    async def wait(self) -> list[Change]:
        """The next batch; empty only after :meth:`close`."""
        await self._wake.wait()
        return self.take()

    async def __aiter__(self) -> AsyncIterator[list[Change]]:
        while batch := await self.wait():
            yield batch

    def close(self) -> None:
        """End the iteration, once what has come is read."""
        self._closed = True
        self._store.unwatch(self)
        self._wake.set()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


# -- objects as rows


def to_row(obj: Object) -> Object:
    """An object as :class:`Storage` takes it: orjson writes dataclasses by itself, field by field."""
    return obj


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
            kind = f"swarm/{group}/{_KIND_OF[cls]}"
            if new is None:
                storage.delete(kind, id)
            else:
                storage.put(kind, id, to_row(new))


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

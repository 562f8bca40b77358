"""The store itself: one revision for all, writes grouped on their way to disk, and stop and start as for the real one.

In real clusters etcd is a process of its own; the API server can do hardly anything without it. So here: while it is
stopped, every read and write raises, and watches stay silent. Only what the watch cache answers goes on: lists that ask
for any version (``resourceVersion=0``) and watches from a version on, which is how informers begin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.etcd.disk import COOL, Disk
from labkit.embedded.kubernetes.etcd.hub import FEWEST_EVENTS, Hub, Watcher
from labkit.embedded.kubernetes.etcd.record import Change, Record
from labkit.embedded.kubernetes.etcd.table import Table
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key, version_of
from labkit.embedded.runtime.storage import Storage

HISTORY_BYTES = 2 * 1024 * 1024  # over all kinds: what a laptop can spare for watchers that come back late

HISTORY_SECONDS = 300.0  # of the wall clock: the API server has etcd compacted every five minutes


class Stopped(StatusError):
    """What the API server answers while its etcd is down: the words of the gRPC client, as a plain 500.

    The real one comes to them after it has tried for a while; with the etcd client of 1.20 it was heard to try until
    the request ran into its timeout of a minute (504).
    """

    code, reason = 500, ""

    def __init__(self) -> None:
        super().__init__(
            "rpc error: code = Unavailable desc = connection error: desc = "
            '"transport: Error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused"'
        )


class Etcd:
    """All objects of a sandbox. What ``storage`` holds is there at once, with its revisions.

    Everything is synchronous but :meth:`durable`, which whatever leaves this process waits for: answers to reads as
    well as to writes, and events of watches, for they may show what is not on disk yet.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self.revision = 1
        self.running = True
        self._tables: dict[Kind, Table] = {kind: Table(kind) for kind in kinds.stored()}
        self._hubs: dict[Kind, Hub] = {kind: Hub(kind) for kind in kinds.stored()}
        self._disk = Disk(storage if storage is not None else Storage(), self._bound_history)
        self._subscribers: list[Callable[[Kind, Change], None]] = []
        self._restore()
        self._marks = deque([(monotonic(), self.revision)])  # when it was at which revision

    # -- stop and start

    def stop(self) -> None:
        """From now on nothing can be read or written. What was written is on disk."""
        self.flush()
        self.running = False

    def start(self) -> None:
        """Go on where it was stopped."""
        self.running = True

    def check(self) -> None:
        """Raises :class:`Stopped` while it is."""
        if not self.running:
            raise Stopped

    # -- reads

    def table(self, kind: Kind) -> Table:
        """The objects of a kind. Raises :class:`Stopped`."""
        if not self.running:
            raise Stopped
        return self._tables[kind]

    def cached(self, kind: Kind) -> Table:
        """The same as the watch cache knows it, which does not ask the store."""
        return self._tables[kind]

    def get(self, kind: Kind, key: Key) -> Record | None:
        if not self.running:
            raise Stopped
        return self._tables[kind].records.get(key)

    def at(self, kind: Kind, revision: int) -> Mapping[Key, Record]:
        """The records of a kind as they were at ``revision``, which must not be before :meth:`since`."""
        table = self.table(kind)
        if revision >= table.revision:
            return table.records
        then = dict(table.records)
        for change in reversed(self._hubs[kind].after(revision)):
            if change.old is None:
                then.pop(change.key, None)
            else:
                then[change.key] = change.old
        return then

    def since(self, kind: Kind) -> int:
        """The oldest revision of which the history of a kind can still tell."""
        return self._hubs[kind].since

    # -- writes

    def put(self, kind: Kind, key: Key, obj: Json) -> Record:
        """Write an object, whose ``metadata`` is the caller's own: it gets its resourceVersion here."""
        table = self.table(kind)
        self.revision = revision = self.revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        record = Record(obj, revision)
        self._write(table, Change(key, table.records.get(key), record, revision))
        return record

    def delete(self, kind: Kind, key: Key) -> Record:
        """Remove an object that is there. Returns it as it last was, at the revision of its end."""
        table = self.table(kind)
        self.revision = revision = self.revision + 1
        change = Change(key, table.records[key], None, revision)
        self._write(table, change)
        return change.deleted.record

    def _write(self, table: Table, change: Change) -> None:
        table.set(change.key, change.old, change.new)
        table.revision = change.revision
        if change.old is not None:
            change.old.forget_json()
        self._disk.put(table.kind, change.key, change.new, change.revision)
        for subscriber in self._subscribers:
            subscriber(table.kind, change)
        self._hubs[table.kind].publish(change)

    def subscribe(self, told: Callable[[Kind, Change], None]) -> Callable[[], None]:
        """Call ``told`` for every change, before any watcher hears of it: for what must be true with the write itself
        (allocations, counts). Returns what ends it."""
        self._subscribers.append(told)
        return lambda: self._subscribers.remove(told)

    # -- watches

    def watch(self, kind: Kind, watcher: Watcher) -> Callable[[], None]:
        """Tell ``watcher`` of every change from now on. Returns what ends it."""
        hub = self._hubs[kind]
        hub.add(watcher)
        return lambda: hub.remove(watcher)

    def changes(self, kind: Kind, after: int) -> list[Change]:
        """The history of a kind after a revision that is not before :meth:`since`."""
        return self._hubs[kind].after(after)

    def end_watches(self) -> None:
        """End every watch, as the API server does when it goes away."""
        for hub in self._hubs.values():
            for watcher in hub.watchers():
                hub.remove(watcher)
                watcher.ended()

    def compact(self, revision: int | None = None) -> None:
        """Forget the history up to ``revision`` (now): older watches and continue tokens are ``Expired`` then."""
        until = self.revision if revision is None else revision
        for hub in self._hubs.values():
            hub.forget(until)

    # -- disk

    def flush(self) -> None:
        """Commit what is pending before this returns. Should the disk refuse, it is tried again a moment later."""
        self._disk.flush()

    async def durable(self, revision: int | None = None) -> None:
        """Wait until everything up to ``revision`` (None: all that was written) is on disk.

        Raises ``InternalError`` when the disk refuses.
        """
        await self._disk.durable(revision)

    def _bound_history(self) -> None:
        hubs = self._hubs.values()
        now = monotonic()
        if now - self._marks[-1][0] >= HISTORY_SECONDS / 5:
            self._marks.append((now, self.revision))
            while now - self._marks[0][0] > HISTORY_SECONDS:
                _, until = self._marks.popleft()
                for hub in hubs:
                    hub.forget(until, FEWEST_EVENTS)
        total = sum(hub.size for hub in hubs)
        while total > HISTORY_BYTES:
            biggest = max(hubs, key=lambda hub: hub.size)
            before = biggest.size
            while biggest.history and biggest.size > before // 2:
                biggest.drop()
            total -= before - biggest.size

    def _restore(self) -> None:
        for resource, revision in self._disk.revisions().items():
            self.revision = max(self.revision, revision)
            for kind, table in self._tables.items():
                if kind.resource == resource:
                    table.revision = revision
        for kind, table in self._tables.items():
            for key, obj in self._disk.objects(kind):
                record = Record(obj, version_of(obj))
                table.set(key, None, record)
                if kind in COOL and record.json:
                    record.cool()
            # Nothing is known of how it came to this. But nothing of this kind has changed since its last revision.
            self._hubs[kind].since = table.revision

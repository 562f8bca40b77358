"""The way to disk: one transaction for all that has changed since the last one.

A small transaction is over sooner than a thread could be told of it. One of thousands of rows, as when a Deployment
of ten thousand pods comes up, takes a tenth of a second: it is written on another thread, while the loop goes on.
What changes in that time waits for the next transaction, and so do those who want to see it on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import InternalError
from labkit.embedded.kubernetes.etcd.record import Record
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.runtime.storage import Row, Storage

log = logging.getLogger("labkit.kubernetes.etcd")

# Seconds of the wall clock after which a write goes to disk if nobody waits for it before. In that time a pod is mostly
# created, bound and started, which then is one row instead of four.
WRITE_BEHIND = 0.5

ASIDE = 300  # changes from which a transaction is worth a thread

# What is written once and read seldom, but there are five of them for every pod.
COOL = frozenset((kinds.EVENTS,))

_ROWS = "kubernetes/"  # followed by the kind's resource; the key of a row is namespace/name, or the name
_REVISIONS = "kubernetes"  # resource -> revision of the last change of that kind


@dataclass(slots=True)
class _Batch:
    """What one transaction writes."""

    records: dict[tuple[Kind, Key], Record | None] = field(default_factory=dict)  # None: it is gone
    revisions: dict[Kind, int] = field(default_factory=dict)  # of the last change of each kind
    awaited: asyncio.Future[None] | None = None  # what those wait for who want it on disk


class Disk:
    """What is not on disk yet, and those who wait for it. ``written`` is called after each transaction."""

    def __init__(self, storage: Storage, written: Callable[[], None]) -> None:
        self._storage = storage
        self._written = written
        self._next = _Batch()
        self._under_way: _Batch | None = None  # on the other thread
        self._done: Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._revision = self._durable = 0  # of the last change; up to which everything is on disk
        self._aside_until = 0  # what is under way holds everything up to this revision

    # -- what is there at the start

    def revisions(self) -> dict[str, int]:
        """The revision of the last change by resource."""
        found = {resource: int(revision) for resource, revision in self._storage.all(_REVISIONS).items()}
        self._revision = self._durable = max(found.values(), default=0)
        return found

    def objects(self, kind: Kind) -> Iterator[tuple[Key, Json]]:
        """The objects of a kind in the order in which they were first written."""
        for row, obj in self._storage.all(_ROWS + kind.resource).items():
            namespace, _, name = row.rpartition("/")
            yield (namespace, name), obj

    # -- writes

    @property
    def pending(self) -> bool:
        """Whether anything is not on disk yet."""
        return bool(self._next.records) or self._under_way is not None

    def put(self, kind: Kind, key: Key, record: Record | None, revision: int) -> None:
        """An object has changed, or is gone (None)."""
        self._next.records[kind, key] = record
        self._next.revisions[kind] = self._revision = revision
        if self._timer is None:
            self._write_later()

    def flush(self) -> None:
        """Commit what is pending before this returns.

        Should the disk refuse, the changes stay pending, whoever waits is told, and it is tried again a moment later.
        """
        if self._done is not None:
            self._end(self._done)
        self._commit(self._take())

    async def durable(self, revision: int | None = None) -> None:
        """Wait until everything up to ``revision`` (None: all that was written) is on disk.

        Those who wait within one iteration of the loop share a transaction. Raises ``InternalError`` when the disk
        refuses.
        """
        wanted = self._revision if revision is None else revision
        if not self.pending or wanted <= self._durable:
            return
        loop = asyncio.get_running_loop()
        batch = self._next
        if self._under_way is not None and wanted <= self._aside_until:
            batch = self._under_way
        if batch.awaited is None:
            batch.awaited = loop.create_future()
            if self._under_way is None:  # else the next one begins when that one ends
                loop.call_soon(self._begin)
        await asyncio.shield(batch.awaited)  # one waiter that is cancelled must not take the others along

    def _write_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody is there to whom anything could be acknowledged
            return
        self._timer = loop.call_later(WRITE_BEHIND, self._begin)

    def _take(self) -> _Batch:
        batch, self._next = self._next, _Batch()
        self._stop_timer()
        return batch

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        """Write what is pending, here or on the other thread."""
        if self._under_way is not None:
            self._stop_timer()  # its end sees to it
            return
        batch = self._take()
        if len(batch.records) < ASIDE:
            self._commit(batch)
            return
        try:
            self._done = self._storage.write_aside(*_rows(batch))
        except Exception as error:
            self._failed(batch, error)
            return
        self._under_way, self._aside_until = batch, self._revision
        loop = asyncio.get_running_loop()
        self._done.add_done_callback(lambda done: loop.call_soon_threadsafe(self._end, done))

    def _end(self, done: Future[None]) -> None:
        """The other thread has written, or could not; waits for it if need be."""
        if done is not self._done or self._under_way is None:
            return  # :meth:`flush` has seen to it
        error = done.exception()
        batch, self._under_way, self._done = self._under_way, None, None
        if error is None:
            self._succeeded(batch, self._aside_until)
        else:
            self._failed(batch, error)
        if self._next.awaited is not None:
            self._begin()
        elif self._next.records and self._timer is None:
            self._write_later()

    def _commit(self, batch: _Batch) -> None:
        try:
            if batch.records:
                self._storage.write(*_rows(batch))
        except Exception as error:  # mostly sqlite3's; whatever it is, who waits must not wait for ever
            self._failed(batch, error)
        else:
            self._succeeded(batch, self._revision)

    def _succeeded(self, batch: _Batch, revision: int) -> None:
        self._durable = revision
        if batch.records:
            self._written()
        if batch.awaited is not None and not batch.awaited.done():
            batch.awaited.set_result(None)

    def _failed(self, batch: _Batch, error: BaseException) -> None:
        log.error("%d changes could not be written, and will be tried again: %s", len(batch.records), error)
        later = self._next  # what has changed since then is newer
        later.records = batch.records | later.records
        later.revisions = batch.revisions | later.revisions
        if self._timer is None:
            self._write_later()
        if batch.awaited is not None and not batch.awaited.done():
            batch.awaited.set_exception(InternalError(f"etcdserver: {error}"))
            batch.awaited.exception()  # whoever waited may have gone


def _rows(batch: _Batch) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows to write and those to remove."""
    rows: list[Row] = []
    gone: list[tuple[str, str]] = []
    for (kind, key), record in batch.records.items():
        row = "/".join(key) if kind.namespaced else key[1]
        if record is None:
            gone.append((_ROWS + kind.resource, row))
            continue
        rows.append((_ROWS + kind.resource, row, record.json))
        if kind in COOL:
            record.cool()
    rows += ((_REVISIONS, kind.resource, orjson.dumps(revision)) for kind, revision in batch.revisions.items())
    return rows, gone

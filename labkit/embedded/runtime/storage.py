"""What a sandbox keeps on disk: one SQLite file of JSON rows.

Why SQLite: a sandbox promises that whatever it has acknowledged is there after ``kill -9``. In WAL mode with
``synchronous=NORMAL`` a commit is an append without an fsync (tens of microseconds), which outlives the process;
only a power cut of the person's own machine may cost the last commits. kine gives Kubernetes its store the same way.

Why rows of JSON and no schema: each engine has its own objects, the file is only ever read back whole at start, and
one can look into it with any SQLite tool. A row is ``(kind, key) -> JSON``; a kind is an engine's own word, such as
``swarm/<group>/task``. Rows come back in the order in which their keys were first written.

The file is locked for as long as it is open, so two engines never share one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

Row = tuple[str, str, bytes]  # kind, key, JSON

_FORMAT = 1  # PRAGMA user_version
_UPSERT = "INSERT INTO rows VALUES {} ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"
_PUT = _UPSERT.format("(?, ?, ?)")
_DELETE = "DELETE FROM rows WHERE kind = ? AND key = ?"
_TOGETHER = 300  # rows in one statement; older SQLite takes 999 parameters
_LOG_BYTES = 16 * 1024 * 1024  # that the write-ahead log may take
# Pages kept in memory, taken as they are needed. With SQLite's own 2 MB the index of a big sandbox does not fit, and
# each transaction writes and reads pages several times: a fifth of its time, with ten thousand pods.
_CACHE_KIB = 8 * 1024


class StorageError(Exception):
    """The file cannot be used; the message says why and what to do, in one line."""


class Storage:
    """Rows of JSON by kind and key. ``path`` None keeps them in memory (tests).

    Every write is committed before the call returns, or, inside ``with storage.transaction():``, before the block
    ends; only :meth:`write_aside` returns at once. Raises :class:`StorageError` when the file is damaged, locked or
    written by a newer labkit.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self._path = path
        self._depth = 0
        self._soon: dict[Callable[[], None], None] = {}  # in the order in which they asked, each once
        self._thread: ThreadPoolExecutor | None = None  # made when it is first needed
        self._aside: Future[None] | None = None  # what it writes
        self._connection = sqlite3.connect(
            ":memory:" if path is None else str(path), isolation_level=None, timeout=0, check_same_thread=False
        )
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StorageError(self._explain(error)) from error
        except StorageError:
            self._db.close()
            raise

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection, once the other thread is done with it."""
        if self._aside is not None:
            wait((self._aside,))
            self._aside = None
        return self._connection

    def _prepare(self) -> None:
        existed = self._path is not None and Path(self._path).stat().st_size > 0
        # Rows of some kilobytes: with pages of 8 KB they mostly fit, and writing them costs a tenth less. A file that
        # is there already keeps the pages that it has.
        self._db.execute("PRAGMA page_size=8192")
        # Folding the log into the file waits for the disk: a burst of writes shall see that seldom.
        self._db.execute(f"PRAGMA wal_autocheckpoint={_LOG_BYTES // 8192}")
        # Exclusive locking keeps a second engine out, and needs no shared memory, so that it works on NFS homes too.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._db.execute("BEGIN EXCLUSIVE")  # takes the lock now instead of at the first write
        found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if existed and found > _FORMAT:
            raise StorageError(f"{self._path} was written by a newer labkit (format {found}): upgrade labkit to use it")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS rows (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,"
            " UNIQUE (kind, key))"
        )
        self._db.execute(f"PRAGMA user_version={_FORMAT}")
        self._db.execute("COMMIT")
        if existed:
            verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise StorageError(self._explain(verdict))

    def _explain(self, reason: object) -> str:
        if "locked" in str(reason):
            return f"{self._path} is in use by another process: this sandbox is running already"
        return f"{self._path} is not a readable sandbox database ({reason}); `labkit down` removes it to start afresh"

    def put(self, kind: str, key: str, obj: Any) -> None:
        """Write one row. ``obj`` is anything that orjson takes: JSON values and dataclasses."""
        self._db.execute(_PUT, (kind, key, orjson.dumps(obj)))

    def put_all(self, rows: Iterable[Row]) -> None:
        """Write rows, which is cheaper than one by one. Call it inside a transaction."""
        self._db.executemany(_PUT, rows)

    def write(self, rows: Iterable[Row], gone: Iterable[tuple[str, str]] = ()) -> None:
        """Write rows and remove others, named by kind and key, in one transaction."""
        with self.transaction():
            self.put_all(rows)
            self._db.executemany(_DELETE, gone)

    def write_aside(self, rows: Sequence[Row], gone: Sequence[tuple[str, str]] = ()) -> Future[None]:
        """:meth:`write` on another thread, for many rows. Whatever else is asked of the file waits until it is done.

        The future ends with ``sqlite3.Error`` when nothing of it has been written.
        """
        assert self._depth == 0, "a transaction is open"
        connection = self._db  # waits for what is under way
        self._write_soon()  # these rows may tell of what was asked for before
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "storage")
        self._aside = aside = self._thread.submit(_write, connection, rows, gone)
        return aside

    def delete(self, kind: str, key: str) -> None:
        """Remove one row; a row that is not there is no error."""
        self._db.execute(_DELETE, (kind, key))

    def delete_all(self, kind: str) -> None:
        """Remove every row of a kind."""
        self._db.execute("DELETE FROM rows WHERE kind = ?", (kind,))

    def get(self, kind: str, key: str) -> Any:
        """One row, or None."""
        row = self._db.execute("SELECT body FROM rows WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else self._load(kind, key, row[0])

    def all(self, kind: str) -> dict[str, Any]:
        """Every row of a kind by key, in the order of first writing."""
        rows = self._db.execute("SELECT key, body FROM rows WHERE kind = ? ORDER BY rowid", (kind,))
        return {key: self._load(kind, key, body) for key, body in rows}

    def kinds(self, prefix: str = "") -> list[str]:
        """The kinds that have rows and start with ``prefix``."""
        rows = self._db.execute("SELECT DISTINCT kind FROM rows ORDER BY kind")
        return [kind for (kind,) in rows if kind.startswith(prefix)]

    def _load(self, kind: str, key: str, body: bytes) -> Any:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise StorageError(self._explain(f"row {kind}/{key}: {error}")) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group writes: all of them are committed when the block ends, none when it raises. May be nested.

        Do not ``await`` inside: the writes of others would join the group.
        """
        if self._depth == 0:
            self._db.execute("BEGIN")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._db.execute("COMMIT")

    def soon(self, write: Callable[[], None]) -> None:
        """Call ``write`` at the end of the event loop's turn, in one transaction with all others that asked in it.

        Asking twice in a turn is asking once. When a ``write`` raises, its error is logged and the others' writes stay.
        While :meth:`write_aside` is under way they wait; what it writes next comes after them.
        """
        if not self._soon:
            asyncio.get_running_loop().call_soon(self._write_soon)
        self._soon[write] = None

    def _write_soon(self) -> None:
        if not self._soon:
            return
        if self._aside is not None and not self._aside.done():
            loop = asyncio.get_running_loop()
            self._aside.add_done_callback(lambda _: loop.call_soon_threadsafe(self._write_soon))
            return
        writes, self._soon = self._soon, {}
        try:
            with self.transaction():
                for write in writes:
                    _attempt(write)
        except sqlite3.Error:
            log.exception("%s: what %d had to write is lost", self._path, len(writes))

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it. May be called twice."""
        self._db.close()
        if self._thread is not None:
            self._thread.shutdown()


def _write(db: sqlite3.Connection, rows: Sequence[Row], gone: Sequence[tuple[str, str]]) -> None:
    """The work of the other thread. Each statement takes the interpreter away from the loop, so they are few."""
    db.execute("BEGIN")
    try:
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            values = ", ".join(["(?, ?, ?)"] * len(some))
            db.execute(_UPSERT.format(values), [value for row in some for value in row])
        by_kind: dict[str, list[str]] = {}
        for kind, key in gone:
            by_kind.setdefault(kind, []).append(key)
        for kind, keys in by_kind.items():
            for start in range(0, len(keys), _TOGETHER):
                part = keys[start : start + _TOGETHER]
                marks = ", ".join("?" * len(part))
                db.execute(f"DELETE FROM rows WHERE kind = ? AND key IN ({marks})", [kind, *part])
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _attempt(write: Callable[[], None]) -> None:
    try:
        write()
    except Exception:
        log.exception("%r could not write", write)

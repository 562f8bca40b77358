"""Marathon's memory in ZooKeeper: ``/marathon/state/<kind>/<bucket>/<key>``.

Kinds are those of the real one (``app``, ``group``, ``instance``, ``deployment``, ``taskFailures``, ``framework-id``),
entries lie in buckets by a hash of their key so that no node has thousands of children, and values are JSON instead of
its protocol buffers. Writes are committed in groups: what is saved while one transaction is under way goes out together
in the next, in order, so a thousand launches cost a few quorum rounds.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.zookeeper.ops import Acl, Create, Delete, SetData

log = logging.getLogger(__name__)

Json = dict[str, Any]
Change = tuple[str, str, Any]  # kind, key, value (None: delete)

ROOT = "/marathon/state"
BUCKETS = 16
AT_ONCE = 500  # changes in one transaction


class StoreFailed(Exception):
    """ZooKeeper did not take it, or nobody knows whether it did: this Marathon may not go on."""


class Session(Protocol):
    """What the store needs of a ZooKeeper session."""

    acl: tuple[Acl, ...]

    async def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        ephemeral: bool = False,
        sequence: bool = False,
        make_parents: bool = False,
    ) -> str: ...
    async def get(self, path: str, watch: Any = None) -> tuple[bytes, Any]: ...
    async def exists(self, path: str, watch: Any = None) -> Any: ...
    async def children(self, path: str, watch: Any = None) -> list[str]: ...
    async def multi(self, ops: Any) -> Any: ...


class Store:
    """The leader's view of the state. A new leader makes a new one and loads it."""

    def __init__(self, session: Session, failed: Callable[[], None] = lambda: None, root: str = ROOT) -> None:
        """``failed`` is called once when a write could not be made; everything saved afterwards fails, too."""
        self._session = session
        self._failed = failed
        self._root = root
        self._known: set[str] = set()  # paths that exist
        self._waiting: list[tuple[list[Change], asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._chores = Chores()
        self._closed = False

    # -- reading

    async def load(self) -> dict[str, dict[str, Any]]:
        """Everything, by kind and key."""
        session, root = self._session, self._root
        if await session.exists(root) is None:
            await session.create(root, make_parents=True)
        self._known.add(root)
        found: dict[str, dict[str, Any]] = {}
        for kind in await session.children(root):
            values = found.setdefault(kind, {})
            self._known.add(f"{root}/{kind}")
            for bucket in await session.children(f"{root}/{kind}"):
                folder = f"{root}/{kind}/{bucket}"
                self._known.add(folder)
                for name in await session.children(folder):
                    data, _ = await session.get(f"{folder}/{name}")
                    self._known.add(f"{folder}/{name}")
                    values[_decoded(name)] = orjson.loads(data)
        return found

    # -- writing

    def save(self, changes: Iterable[Change]) -> asyncio.Future[None]:
        """Write these, all or none. The future is done once a quorum has them; StoreFailed when it never will."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            done.set_exception(StoreFailed("this Marathon does not lead"))
            done.exception()  # who does not wait for it is not warned about it
            return done
        self._waiting.append((list(changes), done))
        if self._flushing is None:
            self._flushing = self._chores.start(self._flush())
        return done

    async def settle(self) -> None:
        """Wait until what was saved so far is written, whatever comes of it."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])

    def close(self) -> None:
        """It leads no more: nothing is written from here on."""
        self._closed = True
        self._chores.cancel()
        for _, done in self._waiting:
            _fail(done)
        self._waiting.clear()

    async def _flush(self) -> None:
        taken: list[asyncio.Future[None]] = []
        try:
            while self._waiting and not self._closed:
                # Later changes of one path win: they are made of the same object, and go out in one transaction.
                values: dict[str, bytes | None] = {}
                taken = []
                while self._waiting and len(values) < AT_ONCE:
                    changes, done = self._waiting.pop(0)
                    for kind, key, value in changes:
                        values[self._path(kind, key)] = None if value is None else _bytes(value)
                    taken.append(done)
                await self._write(values)
                for done in taken:
                    if not done.done():
                        done.set_result(None)
        except (Exception, asyncio.CancelledError) as error:
            for done in taken:
                _fail(done)
            was_closed = self._closed
            self.close()
            if not was_closed:
                log.warning("the state could not be stored: %s", error)
                self._failed()
        finally:
            self._flushing = None

    async def _write(self, values: dict[str, bytes | None]) -> None:
        known = self._known
        ops: list[Create | Delete | SetData] = []
        gone: list[str] = []
        for path, value in values.items():
            if value is None:
                if path in known:
                    ops.append(Delete(path))
                    gone.append(path)
            elif path in known:
                ops.append(SetData(path, value))
            else:
                for parent in _parents(path, self._root):
                    if parent not in known:
                        ops.append(Create(parent, acl=self._session.acl))
                        known.add(parent)
                ops.append(Create(path, value, self._session.acl))
                known.add(path)
        if ops:
            await self._session.multi(ops)
        known.difference_update(gone)

    def _path(self, kind: str, key: str) -> str:
        bucket = zlib.crc32(key.encode()) % BUCKETS
        return f"{self._root}/{kind}/{bucket:x}/{_encoded(key)}"


def _bytes(value: Any) -> bytes:
    """As JSON. Copied, for what orjson gives keeps 4 KB and more, and this stays in ZooKeeper's tree and log."""
    return bytes(memoryview(orjson.dumps(value)))


def _fail(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_exception(StoreFailed("the state could not be stored"))
        done.exception()


def _parents(path: str, root: str) -> list[str]:
    kind = path.rsplit("/", 2)[0]
    return [root, kind, path.rsplit("/", 1)[0]]


def _encoded(key: str) -> str:
    """A key as the name of a node: ids of apps have slashes, and ``_`` stands for one as in the real layout."""
    return key.replace("%", "%25").replace("_", "%5F").replace("/", "_")


def _decoded(name: str) -> str:
    return name.replace("_", "/").replace("%5F", "_").replace("%25", "%")

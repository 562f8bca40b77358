"""Watches: what has been since a revision, then what comes, until somebody ends it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from labkit.embedded.kubernetes.errors import Cause, Expired, Invalid
from labkit.embedded.kubernetes.etcd import Etcd, Event, Record, Watcher
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.reading import NOT_OLDER_THAN, Listing, list_objects, parse_version
from labkit.embedded.kubernetes.registry.selection import Selection
from labkit.embedded.runtime import loops

# A reader that is this far behind is cut off, as the real cache forcibly closes unresponsive watchers.
LAG = 100_000

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Watch:
    """``async for event in watch:`` until :meth:`close`, or until the store ends it.

    Events come in the order of their revisions and none is left out. ``take`` gives all that wait at once.
    """

    def __init__(self, kind: Kind, *, bookmarks: bool) -> None:
        self.kind = kind
        self.bookmarks = bookmarks
        self.closed = False
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._end: Callable[[], None] = lambda: None

    def put(self, event: Event) -> None:
        """Called by the store."""
        events = self._events
        events.append(event)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif len(events) > LAG:
            self.close()

    def bookmark(self, revision: int, *, initial: bool = False) -> None:
        """Say that everything up to ``revision`` has been told; ``initial`` ends the initial events."""
        metadata: Json = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj: Json = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        self.put(Event("BOOKMARK", Record(obj, revision)))

    def take(self) -> list[Event]:
        """What has come, without waiting; may be empty."""
        found = list(self._events)
        self._events.clear()
        return found

    async def wait(self) -> bool:
        """Wait until there is an event. False once it has ended and all is read."""
        while not self._events:
            if self.closed:
                return False
            self._waiter = waiter = loops.running().create_future()
            await waiter
        return True

    async def __anext__(self) -> Event:
        if not self._events and not await self.wait():
            raise StopAsyncIteration
        return self._events.popleft()

    def __aiter__(self) -> Watch:
        return self

    def close(self) -> None:
        """End it; what has come can still be read. May be called twice."""
        if self.closed:
            return
        self.closed = True
        self._end()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_watch_options(match: str, initial: bool | None, continue_: str = "") -> None:
    """Raises :class:`Invalid` for options that do not go together (``validateWatchOptions``)."""
    causes: list[Cause] = []

    def forbidden(problem: str) -> None:
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {problem}", "resourceVersionMatch"))

    if initial is not None and match != NOT_OLDER_THAN:
        forbidden(f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}")
    if match:
        if initial is None:
            forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        if match != NOT_OLDER_THAN:
            problem = f'Unsupported value: "{match}": supported values: "{NOT_OLDER_THAN}"'
            causes.append(Cause("FieldValueNotSupported", problem, "resourceVersionMatch"))
        if continue_:
            forbidden("resourceVersionMatch is forbidden when continue is provided")
    if causes:
        raise Invalid("ListOptions", "meta.k8s.io", "", causes)


def open_watch(etcd: Etcd, kind: Kind, selection: Selection, *, version: str, bookmarks: bool, initial: bool) -> Watch:
    """Start a watch. Raises :class:`Expired` when the history does not go back to ``version``.

    Without a version (or with 0) everything that is there comes first, as ``ADDED``; that is also what ``initial`` asks
    for, which adds the bookmark that ends this beginning.
    """
    if not version:
        etcd.check()  # the newest state: for that, the store is asked
    watch = Watch(kind, bookmarks=bookmarks)
    since = parse_version(version)
    now = etcd.revision
    watcher = Watcher(selection, watch.put, watch.close, max(since, now))
    if since == 0 or initial:
        there: Listing = list_objects(etcd, kind, selection, limit=0, continue_="", version="0", match="")
        for record in there.records:
            watch.put(Event("ADDED", record))
        if initial and bookmarks:
            watch.bookmark(now, initial=True)
    elif since < now:
        if since < etcd.since(kind):
            raise Expired(f"too old resource version: {since} ({etcd.since(kind)})")
        watcher.after = since
        for change in etcd.changes(kind, since):
            watcher.tell(change)
    watch._end = etcd.watch(kind, watcher)
    return watch

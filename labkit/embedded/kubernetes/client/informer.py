"""A component's picture of one kind: a cache that follows the API server, indexes over it, and who wants to know.

As ``k8s.io/client-go/tools/cache``: list, then watch from there. When the watch ends it goes on from the last revision
seen; when that is too old (410) it lists again. While the API server cannot be reached the picture stays as it was, and
it tries again after 0.8 s, 1.6 s, … 30 s. Handlers hear of every object again after a list, changed or not, which is
what makes a component that missed something right again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from labkit.embedded.kubernetes.client.backoff import Backoff
from labkit.embedded.kubernetes.client.client import Client
from labkit.embedded.kubernetes.client.door import Unreachable
from labkit.embedded.kubernetes.client.index import Cache, IndexBy
from labkit.embedded.kubernetes.errors import Expired, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, Key, key_of

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.etcd import Event
    from labkit.embedded.kubernetes.registry import Watch

log = logging.getLogger("labkit.kubernetes.informer")

Added = Callable[[Json], object]
Updated = Callable[[Json, Json], object]
Deleted = Callable[[Json], object]
Unsubscribe = Callable[[], None]


def _nothing() -> None:
    """There is no connection to end."""


class Informer:
    """Follows one kind, or what ``selection`` (``fields=…``, ``labels=…``) and ``namespace`` leave of it."""

    def __init__(self, client: Client, kind: Kind, namespace: str = "", **selection: Any) -> None:
        self.client = client
        self.kind = kind
        self.namespace = namespace
        self.cache = Cache()
        self.synced = False
        self._selection = selection
        self._handlers: dict[int, tuple[Added | None, Updated | None, Deleted | None]] = {}
        self._numbers = 0
        self._revision = ""
        self._first = asyncio.Event()
        self._watch: Watch | None = None
        self._hang_up: Callable[[], None] = _nothing
        self._task: asyncio.Task[None] | None = None

    # looking --------------------------------------------------------------------------------------------------

    def get(self, namespace: str, name: str) -> Json | None:
        """The object as last heard of."""
        return self.cache.get((namespace, name))

    def objects(self) -> Collection[Json]:
        """All of them. A live view: copy it before you await."""
        return self.cache.values()

    def add_index(self, name: str, values: IndexBy) -> None:
        """Keep the objects by ``values(obj)``, too; may be asked for more than once under one name."""
        self.cache.add_index(name, values)

    def by_index(self, name: str, value: Hashable) -> list[Json]:
        """The objects that have this value."""
        return list(self.cache.at(name, value).values())

    def on(
        self, added: Added | None = None, updated: Updated | None = None, deleted: Deleted | None = None
    ) -> Unsubscribe:
        """Call ``added(obj)``, ``updated(old, new)``, ``deleted(obj)`` from now on; returns what ends it.

        What is there is ``added`` at once. Handlers are called in order and must be quick: they put keys into queues.
        """
        self._numbers += 1
        number = self._numbers
        self._handlers[number] = (added, updated, deleted)
        if added is not None:
            for obj in list(self.cache.values()):
                self._call(added, obj)

        def unsubscribe() -> None:
            self._handlers.pop(number, None)

        return unsubscribe

    # following ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow; harmless when it already does."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"informer {self.kind.resource} @{self.client.machine}")

    async def stop(self) -> None:
        """End. The cache stays as it is."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._close()

    async def wait_synced(self) -> None:
        """Return when the cache has been filled once."""
        await self._first.wait()

    async def _run(self) -> None:
        backoff = Backoff(self.client.clock)
        while True:
            try:
                await self.client.hold()
                if not self._revision:
                    await self._list()
                await self._follow(backoff)
                await asyncio.sleep(0)
                continue  # the server ended the watch: go on from where it was
            except Expired:
                self._revision = ""
                continue
            except (Unreachable, StatusError) as error:
                log.debug("%s from %s: %s", self.kind.resource, self.client.machine, error)
            except Exception:
                log.exception("the informer of %s lists again", self.kind.resource)
                self._revision = ""
            finally:
                self._close()
            await self.client.clock.sleep(backoff.next())

    async def _list(self) -> None:
        listing = await self.client.list(self.kind, self.namespace, **self._selection)
        found = {key_of(record.obj): record.obj for record in listing.records}
        for key in [key for key in self.cache if key not in found]:
            self._remove(key)
        for key, obj in found.items():
            self._put(key, obj)
        self._revision = str(listing.revision)
        self.synced = True
        self._first.set()

    async def _follow(self, backoff: Backoff) -> None:
        self._watch = watch = await self.client.watch(
            self.kind, self.namespace, version=self._revision, **self._selection
        )
        self._hang_up = self.client.connect(watch.close)
        backoff.reset()
        while await watch.wait():
            await self.client.hold()
            self.client.enter()  # what came over a wire that is cut by now never came, and is asked for again
            self._apply(watch.take())

    def _apply(self, batch: list[Event]) -> None:
        for event in batch:
            obj = event.record.obj
            if event.type == "DELETED":
                self._remove(key_of(obj), obj)
            elif event.type != "BOOKMARK":
                self._put(key_of(obj), obj)
            self._revision = str(event.record.revision)

    def _close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        hang_up, self._hang_up = self._hang_up, _nothing
        hang_up()

    def _put(self, key: Key, obj: Json) -> None:
        old = self.cache.get(key)
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            self._remove(key)  # gone and made anew while nobody looked: two objects, not a changed one
            old = None
        self.cache.put(key, obj)
        for added, updated, _ in tuple(self._handlers.values()):
            try:  # as _call, without the price of a call: some dozen handlers hear of every pod several times
                if old is None:
                    if added is not None:
                        added(obj)
                elif updated is not None:
                    updated(old, obj)
            except Exception:
                log.exception("a handler of %s failed", self.kind.resource)

    def _remove(self, key: Key, last: Json | None = None) -> None:
        old = self.cache.take(key)
        if old is None:
            return
        for _, _, deleted in list(self._handlers.values()):
            if deleted is not None:
                self._call(deleted, old if last is None else last)

    def _call(self, fn: Callable[..., object], *objs: Json) -> None:
        try:
            fn(*objs)
        except Exception:  # one handler's mistake is not the others' loss
            log.exception("a handler of %s failed", self.kind.resource)


class Informers(Mapping[Kind, Informer]):
    """The informers of one component, one a kind, shared by all its loops; made when first asked for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._informers: dict[Kind, Informer] = {}
        self._started = False

    def __getitem__(self, kind: Kind) -> Informer:
        informer = self._informers.get(kind)
        if informer is None:
            informer = self._informers[kind] = Informer(self.client, kind)
            if self._started:
                informer.start()
        return informer

    def __iter__(self) -> Any:
        return iter(self._informers)

    def __len__(self) -> int:
        return len(self._informers)

    def start(self) -> None:
        """Start those that were asked for; later ones start when they are."""
        self._started = True
        for informer in self._informers.values():
            informer.start()

    async def synced(self) -> None:
        """Return when each of them has been filled once."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    async def stop(self) -> None:
        self._started = False
        await asyncio.gather(*(informer.stop() for informer in self._informers.values()))

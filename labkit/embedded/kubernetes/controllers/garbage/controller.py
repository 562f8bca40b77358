"""The garbage collector's loop.

The graph of owners is not built a second time: it is an index by owner's uid over the informers' caches, whose objects
are shared with everybody. An event costs as much as its object has owners and dependents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.garbage.decide import (
    Delete,
    DropOwners,
    Look,
    Release,
    State,
    decide,
    is_collected,
    unblocking,
    waits_for_dependents,
    without_finalizer,
    without_owners,
)
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json, is_terminating, key_of, name_of, namespace_of, owners_of, uid_of

INDEX = "owner"
REMEMBERED = 500
"""Owners known to be absent (the real one's ``absentOwnerCache`` has as many)."""

Item = tuple[Kind, str, str]


def collected_kinds() -> Iterator[Kind]:
    """The kinds that the collector follows: all that can be deleted and watched, but events, which nobody owns."""
    for kind in kinds.stored():
        if kind is not kinds.EVENTS and {"delete", "list", "watch"} <= set(kind.verbs):
            yield kind


def by_owner(obj: Json) -> Iterator[str]:
    for owner in owners_of(obj):
        yield owner["uid"]


class GarbageCollector(Controller):
    name: ClassVar[str] = "garbage-collector-controller"
    source: ClassVar[str] = "generic-garbage-collector"

    def setup(self) -> None:
        self._begun = False
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._informers = {kind: self.informers[kind] for kind in collected_kinds()}
        for kind, informer in self._informers.items():
            informer.add_index(INDEX, by_owner)
            self.watch(kind, self._added(kind), self._updated(kind), self._deleted(kind))

    async def begin(self) -> None:
        # Not before all caches are full: an owner would seem absent that only has not been listed yet.
        self._begun = True
        for kind, informer in self._informers.items():
            for obj in list(informer.objects()):
                self._consider(kind, obj)

    async def sync(self, key: Item) -> None:
        kind, namespace, name = key
        item = await self.client.find(kind, namespace, name)  # the cache may be behind; what is deleted is not undone
        if item is None or not is_collected(item):
            return
        states = {owner["uid"]: await self._state(kind, item, owner) for owner in owners_of(item)}
        uid = uid_of(item)
        match decide(item, lambda owner: states[owner["uid"]], lambda of: self._dependents(uid_of(of))):
            case Look(blocking):
                for dependent in blocking:
                    if not waits_for_dependents(dependent):
                        self._queue_object(dependent)
            case Release(finalizer, orphans):
                for orphan in orphans:
                    await self._edit(orphan, lambda obj: without_owners(obj, frozenset((uid,))))
                await self._edit(item, lambda obj: without_finalizer(obj, finalizer), kind)
            case DropOwners(uids):
                await self._edit(item, lambda obj: without_owners(obj, uids), kind)
            case Delete(propagation, unblock):
                if unblock:
                    item = await self._edit(item, unblocking, kind) or item
                try:
                    await self.client.delete(
                        kind,
                        namespace,
                        name,
                        uid=uid,
                        resource_version=item["metadata"]["resourceVersion"],
                        propagation=propagation,
                    )
                except NotFound:
                    pass

    # what it hears ------------------------------------------------------------------------------------------------

    def _added(self, kind: Kind) -> Callable[[Json], None]:
        return lambda obj: self._consider(kind, obj)

    def _updated(self, kind: Kind) -> Callable[[Json, Json], None]:
        def updated(old: Json, new: Json) -> None:
            before, after = old["metadata"], new["metadata"]
            if (
                before.get("ownerReferences") == after.get("ownerReferences")
                and before.get("finalizers") == after.get("finalizers")
                and is_terminating(old) == is_terminating(new)
                and before.get("uid") == after.get("uid")
            ):
                return
            self._consider(kind, new)
            for owner in owners_of(old):  # one that waited for it may do so no longer
                if owner not in owners_of(new):
                    self._tell(owner, namespace_of(new))

        return updated

    def _deleted(self, kind: Kind) -> Callable[[Json], None]:
        def deleted(obj: Json) -> None:
            if not self._begun:
                return
            for dependent in self._dependents(uid_of(obj)):
                self._queue_object(dependent)
            for owner in owners_of(obj):
                self._tell(owner, namespace_of(obj))

        return deleted

    def _consider(self, kind: Kind, obj: Json) -> None:
        """Queue an object if it may be for the collector to act on it; and its dependents, if that is the question."""
        if not self._begun or not is_collected(obj):
            return
        if is_terminating(obj):
            self._queue(kind, obj)
            for dependent in self._dependents(uid_of(obj)):
                self._queue_object(dependent)
            return
        for reference in owners_of(obj):
            owner = self._cached(reference, namespace_of(obj))
            if owner is None or waits_for_dependents(owner):
                self._queue(kind, obj)
                if owner is not None:
                    self._queue_object(owner)

    def _tell(self, reference: Json, namespace: str) -> None:
        """Something that an owner may wait for is gone."""
        owner = self._cached(reference, namespace)
        if owner is not None and waits_for_dependents(owner):
            self._queue_object(owner)

    def _queue(self, kind: Kind, obj: Json) -> None:
        self.queue.add((kind, *key_of(obj)))

    def _queue_object(self, obj: Json) -> None:
        kind = kinds.of(obj["apiVersion"], obj["kind"])
        if kind is not None:
            self._queue(kind, obj)

    # the graph ----------------------------------------------------------------------------------------------------

    def _dependents(self, uid: str) -> list[Json]:
        found: list[Json] = []
        for informer in self._informers.values():
            found += informer.by_index(INDEX, uid)
        return found

    def _cached(self, reference: Json, namespace: str) -> Json | None:
        """The owner that is meant, as far as is known."""
        kind = kinds.of(reference["apiVersion"], reference["kind"])
        if kind is None or kind not in self._informers:
            return None
        owner = self._informers[kind].get(namespace if kind.namespaced else "", reference["name"])
        return owner if owner is not None and uid_of(owner) == reference["uid"] else None

    async def _state(self, kind: Kind, item: Json, reference: Json) -> State:
        """What an owner reference is worth, asked of the API server."""
        owner_kind = kinds.of(reference["apiVersion"], reference["kind"])
        if owner_kind is None or not owner_kind.stored:
            return State.SOLID  # of a kind that nobody knows: it cannot be shown to be absent
        if owner_kind.namespaced and not kind.namespaced:
            return State.SOLID  # not valid, and so no reason to delete anything
        namespace = namespace_of(item) if owner_kind.namespaced else ""
        owner = await self.client.find(owner_kind, namespace, reference["name"])
        if owner is None or uid_of(owner) != reference["uid"]:
            self._is_absent(owner_kind, reference, item)
            return State.DANGLING
        return State.WAITING if waits_for_dependents(owner) else State.SOLID

    def _is_absent(self, kind: Kind, reference: Json, item: Json) -> None:
        """Say so if the owner is somewhere else: a reference may not leave its namespace."""
        uid = reference["uid"]
        if uid in self._absent:
            self._absent.move_to_end(uid)
            return
        if any(uid_of(obj) == uid for obj in self._informers[kind].objects()):
            space = namespace_of(item)
            self.recorder.event(
                item,
                "Warning",
                "OwnerRefInvalidNamespace",
                f"ownerRef [{reference['apiVersion']}/{reference['kind']}, namespace: {space},"
                f' name: {reference["name"]}, uid: {uid}] does not exist in namespace "{space}"',
            )
            return
        self._absent[uid] = None
        if len(self._absent) > REMEMBERED:
            self._absent.popitem(last=False)

    async def _edit(self, obj: Json, change: Callable[[Json], Json | None], kind: Kind | None = None) -> Json | None:
        """Change it, if it is still that object; None: it is gone."""
        kind = kind or kinds.of(obj["apiVersion"], obj["kind"])
        assert kind is not None
        uid = uid_of(obj)
        try:
            return await self.client.modify(
                kind, namespace_of(obj), name_of(obj), lambda now: change(now) if uid_of(now) == uid else None
            )
        except NotFound:
            return None

"""The frame of controllers that own pods: whose pod changed, what was expected, which pods are mine.

What ReplicaSets, DaemonSets and Jobs have in common in the real controllers' event handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.client import Client, Expectations, Informer, Informers
from labkit.embedded.kubernetes.client.index import by_controller, by_namespace, orphans
from labkit.embedded.kubernetes.controllers.claims import claim
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.podcontrol import PodControl
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    controller_of,
    is_terminating,
    key_of,
    labels_of,
    namespace_of,
    uid_of,
)
from labkit.embedded.kubernetes.selectors import Selector

# After so many of its pods an owner lets the event loop go round once more before it counts them.
PODS_PER_ROUND = 10


class PodOwner(Controller):
    """A controller whose objects own pods by a selector."""

    kind: ClassVar[Kind]
    finalizer: ClassVar[str] = ""  # what it puts on its pods

    def __init__(self, client: Client, informers: Informers) -> None:
        super().__init__(client, informers)
        self.pod_control = PodControl(self.client, self.recorder)
        self.expectations = Expectations(self.clock)
        self.owners: Informer
        self.pods: Informer
        self._selectors: dict[str, tuple[Any, Selector]] = {}

    def setup(self) -> None:
        self.owners = self.informers[self.kind]
        self.owners.add_index("namespace", by_namespace)
        self.pods = self.informers[kinds.PODS]
        self.pods.add_index("controller", by_controller)
        self.pods.add_index("orphans", orphans)
        self.watch(self.kind, self.owner_changed, lambda _, new: self.owner_changed(new), self.owner_deleted)
        self.watch(kinds.PODS, self._pod_added, self._pod_updated, self._pod_deleted)

    # what subclasses say --------------------------------------------------------------------------------------

    def selector_fields(self, owner: Json) -> Mapping[str, Any] | None:
        """The owner's ``LabelSelector``."""
        return owner["spec"].get("selector")

    def owner_changed(self, owner: Json) -> None:
        self.enqueue(owner)

    def owner_deleted(self, owner: Json) -> None:
        self.expectations.forget(key_of(owner))
        self._selectors.pop(uid_of(owner), None)
        self.enqueue(owner)

    def pod_changed(self, key: Key, old: Json | None, new: Json | None) -> None:
        """A pod of that owner came, changed or went. Default: look at the owner again."""
        self.queue.add(key)

    # whose pods -----------------------------------------------------------------------------------------------

    def selector_of(self, owner: Json) -> Selector:
        """The owner's selector, compiled once as long as it stays the same."""
        fields, uid = self.selector_fields(owner), uid_of(owner)
        known = self._selectors.get(uid)
        if known is not None and known[0] == fields:
            return known[1]
        selector = selectors.of(fields)
        self._selectors[uid] = fields, selector
        return selector

    async def let_changes_gather(self, owner: Json) -> None:
        """A thousand pods that become ready one by one are to be counted some dozen times, not a thousand.

        The real controllers' writes take milliseconds, in which changes gather. Here an owner of many pods lets the
        event loop go round a number of times first, so that the work for a pod does not grow with their number.
        """
        for _ in range(len(self.pods.cache.at("controller", uid_of(owner))) // PODS_PER_ROUND):
            await asyncio.sleep(0)

    async def claimed(self, owner: Json) -> list[Json]:
        """Its pods, finished and terminating ones too, after adopting and releasing."""
        mine = self.pods.cache.at("controller", uid_of(owner)).values()
        nobodys = self.pods.cache.at("orphans", namespace_of(owner)).values()
        return await claim(
            self.client,
            self.kind,
            owner,
            kinds.PODS,
            self.selector_of(owner),
            mine,
            nobodys,
            finalizer=self.finalizer,
        )

    def owner_of(self, pod: Json) -> Json | None:
        """The object of this controller's kind that manages the pod."""
        reference = controller_of(pod)
        return None if reference is None else self._referred(reference, pod)

    def _referred(self, reference: Json, pod: Json) -> Json | None:
        """What a pod's reference means, if that is one of this controller's objects."""
        if reference["kind"] != self.kind.kind:
            return None
        owner = self.owners.get(namespace_of(pod), reference["name"])
        return owner if owner is not None and uid_of(owner) == reference["uid"] else None

    def takers_of(self, pod: Json) -> list[Json]:
        """Those that might adopt a pod that nobody manages."""
        if not labels_of(pod):
            return []
        owners = self.owners.cache.at("namespace", namespace_of(pod)).values()
        return [owner for owner in owners if not (found := self.selector_of(owner)).empty and found.selects(pod)]

    def _tell(self, reference: Json, pod: Json, old: Json | None, new: Json | None) -> None:
        if (owner := self._referred(reference, pod)) is not None:
            self.pod_changed(key_of(owner), old, new)

    def _offer(self, pod: Json) -> None:
        for owner in self.takers_of(pod):
            self.enqueue(owner)

    def _pod_added(self, pod: Json) -> None:
        if (reference := controller_of(pod)) is None:
            if not is_terminating(pod):
                self._offer(pod)
        elif (owner := self._referred(reference, pod)) is not None:
            key = key_of(owner)
            self.expectations.created(key)
            if is_terminating(pod):  # it was deleted while nobody watched
                self.expectations.deleted(key, uid_of(pod))
            self.pod_changed(key, None, pod)

    def _pod_updated(self, old: Json, new: Json) -> None:
        after = controller_of(new)
        same = old["metadata"].get("ownerReferences") is new["metadata"].get("ownerReferences")
        if same and after is not None and after["kind"] != self.kind.kind:
            return  # it was and is another controller's, as most are: several of these hear of every pod
        if old["metadata"].get("resourceVersion") == new["metadata"].get("resourceVersion"):
            return  # a list that brought nothing new
        if is_terminating(new):
            self._pod_going(old, new)
            return
        before = after if same else controller_of(old)
        moved = before != after
        if moved and before is not None:
            self._tell(before, old, old, None)
        if after is not None:
            self._tell(after, new, None if moved else old, new)
        elif moved or labels_of(old) != labels_of(new):
            self._offer(new)

    def _pod_going(self, old: Json | None, new: Json) -> None:
        """It is terminating: for the expectations it is gone."""
        if (owner := self.owner_of(new)) is not None:
            key = key_of(owner)
            self.expectations.deleted(key, uid_of(new))
            self.pod_changed(key, old, new)

    def _pod_deleted(self, pod: Json) -> None:
        if (owner := self.owner_of(pod)) is not None:
            key = key_of(owner)
            self.expectations.deleted(key, uid_of(pod))
            self.pod_changed(key, pod, None)

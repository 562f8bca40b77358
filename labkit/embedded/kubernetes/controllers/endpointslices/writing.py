"""The frame of both controllers of EndpointSlices: know the slices of an owner, and write what a plan says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Informer
from labkit.embedded.kubernetes.controllers.endpointslices.plan import MANAGED_BY, SERVICE_NAME, Plan
from labkit.embedded.kubernetes.controllers.endpointslices.written import Written
from labkit.embedded.kubernetes.errors import Forbidden, NotFound
from labkit.embedded.kubernetes.objects import Json, Key, labels_of, name_of, namespace_of

OWNER_INDEX = "slices by manager and Service"


def _by_owner(slice: Json) -> Iterator[Any]:
    labels = labels_of(slice)
    if SERVICE_NAME in labels:
        yield labels.get(MANAGED_BY, ""), (namespace_of(slice), labels[SERVICE_NAME])


class Slices:
    """The slices that one controller (``manager``) keeps; ``disturbed(owner)`` hears when others touch them."""

    def __init__(self, client: Client, informer: Informer, manager: str, disturbed: Callable[[Key], None]) -> None:
        self._client = client
        self._informer = informer
        self._manager = manager
        self._disturbed = disturbed
        self._written = Written()
        informer.add_index(OWNER_INDEX, _by_owner)

    def owner_of(self, slice: Json) -> Key | None:
        """The key of the Service that it is for, if it is this controller's."""
        labels = labels_of(slice)
        if labels.get(MANAGED_BY) != self._manager or not labels.get(SERVICE_NAME):
            return None
        return namespace_of(slice), labels[SERVICE_NAME]

    def heard(self, slice: Json) -> None:
        owner = self.owner_of(slice)
        if owner is not None and self._written.heard(owner, slice):
            self._disturbed(owner)

    def changed(self, old: Json, new: Json) -> None:
        self.heard(new)
        if (owner := self.owner_of(old)) is not None and owner != self.owner_of(new):
            self._disturbed(owner)  # somebody took its label away

    def gone(self, slice: Json) -> None:
        owner = self.owner_of(slice)
        if owner is not None and self._written.heard_gone(owner, slice):
            self._disturbed(owner)

    def of(self, owner: Key) -> list[Json]:
        return self._written.newest(owner, self._informer.by_index(OWNER_INDEX, (self._manager, owner)))

    def forget(self, owner: Key) -> None:
        self._written.forget(owner)

    async def write(self, owner: Key, plan: Plan) -> None:
        """Do what the plan says. Errors end it halfway; the next look at the owner does the rest."""
        try:
            for slice in plan.create:
                self._written.put(owner, await self._client.create(kinds.ENDPOINT_SLICES, owner[0], slice))
        except (Forbidden, NotFound):
            return  # the namespace is being terminated, and these with it
        for slice in plan.update:
            try:
                self._written.put(owner, await self._client.update(kinds.ENDPOINT_SLICES, slice))
            except NotFound:
                self._written.removed(owner, slice)
                self._disturbed(owner)
        for slice in plan.delete:
            try:
                uid = slice["metadata"]["uid"]
                await self._client.delete(kinds.ENDPOINT_SLICES, owner[0], name_of(slice), uid=uid)
            except NotFound:
                pass
            self._written.removed(owner, slice)

    async def delete_all(self, owner: Key, slices: list[Json]) -> None:
        await self.write(owner, Plan(delete=slices))

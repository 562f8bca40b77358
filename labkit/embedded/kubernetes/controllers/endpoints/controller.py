"""The endpoints controller: one Endpoints object for each Service that selects pods."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.endpoints.subsets import MANAGED_BY, ME, subsets_of, wanted
from labkit.embedded.kubernetes.controllers.servicepods import ServicePodsController
from labkit.embedded.kubernetes.controllers.serving import has_selector
from labkit.embedded.kubernetes.errors import AlreadyExists, Forbidden, NotFound
from labkit.embedded.kubernetes.objects import Json, Key, is_terminating, key_of, labels_of, version_of


class EndpointsController(ServicePodsController):
    name: ClassVar[str] = "endpoints-controller"
    source: ClassVar[str] = "endpoint-controller"

    def setup(self) -> None:
        super().setup()
        self._written: dict[Key, int] = {}  # the version of what was written, until the cache has it
        self.endpoints = self.watch(kinds.ENDPOINTS, self._found, lambda _, new: self._found(new), self._lost)

    async def begin(self) -> None:
        # Whoever deleted a Service while nobody was looking left its endpoints behind.
        for endpoints in list(self.endpoints.objects()):
            if labels_of(endpoints).get(MANAGED_BY) == ME and self.services.get(*key_of(endpoints)) is None:
                self.queue.add(key_of(endpoints))

    def _found(self, endpoints: Json) -> None:
        key = key_of(endpoints)
        if version_of(endpoints) >= self._written.get(key, 0):
            self._written.pop(key, None)

    def _lost(self, endpoints: Json) -> None:
        key = key_of(endpoints)
        self._written.pop(key, None)
        self.queue.add(key)  # somebody deleted them: they are made anew as long as there is a Service

    async def sync(self, key: Key) -> None:
        service = self.services.get(*key)
        if service is None:
            await self._remove(key)
            return
        if not has_selector(service):
            return  # by hand, or none at all
        pods = list(self.pods_of(key))
        subsets = subsets_of(service, pods)
        self.listed(key, len(pods))
        old = self.endpoints.get(*key)
        if old is None or version_of(old) < self._written.get(key, 0):
            old = await self.client.find(kinds.ENDPOINTS, *key)
        new = wanted(service, subsets, old, self.trigger_times.of(service, pods))
        if new is None:
            return
        try:
            if old is not None:
                stored = await self.client.update(kinds.ENDPOINTS, new)
            elif is_terminating(service):
                return
            else:
                stored = await self.client.create(kinds.ENDPOINTS, key[0], new)
        except AlreadyExists:
            self.queue.add(key)
        except NotFound:
            pass  # its namespace or it itself is gone, and that is heard of
        except Forbidden as error:
            # "because it is being terminated": trying again would be no use.
            self.log.debug("%s", error)
            if old is None:
                self.recorder.event(service, "Warning", "FailedToCreateEndpoint", _failed("create", key, error))
        else:
            self._written[key] = version_of(stored)
            cached = self.endpoints.get(*key)
            if cached is not None:
                self._found(cached)

    async def _remove(self, key: Key) -> None:
        self.forget(key)
        endpoints = self.endpoints.get(*key) or await self.client.find(kinds.ENDPOINTS, *key)
        # Endpoints that somebody made by hand outlive the Service, if there ever was one.
        if endpoints is None or labels_of(endpoints).get(MANAGED_BY) != ME:
            return
        try:
            await self.client.delete(kinds.ENDPOINTS, *key, uid=endpoints["metadata"]["uid"])
        except NotFound:
            pass


def _failed(verb: str, key: Key, error: Exception) -> str:
    return f"Failed to {verb} endpoint {key[0]}/{key[1]}: {error}"

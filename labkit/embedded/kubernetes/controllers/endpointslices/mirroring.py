"""The EndpointSlice mirroring controller: slices of Endpoints made by hand, for Services without a selector.

``pkg/controller/endpointslicemirroring``. kube-proxy reads slices only, so this is what makes such Endpoints work.
"""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.endpointslices.plan import plan
from labkit.embedded.kubernetes.controllers.endpointslices.wanted import (
    BY_MIRRORING,
    MAX_MIRRORED,
    mirrored,
    of_endpoints,
)
from labkit.embedded.kubernetes.controllers.endpointslices.writing import Slices
from labkit.embedded.kubernetes.objects import Json, Key, annotations_of, is_terminating, key_of, labels_of, spec_of

SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"


def is_mirrored(endpoints: Json | None, service: Json | None) -> bool:
    """Whether there shall be slices of these Endpoints."""
    return (
        endpoints is not None
        and service is not None
        and not spec_of(service).get("selector")
        and not is_terminating(endpoints)
        and labels_of(endpoints).get(SKIP) != "true"
        and LEADER not in annotations_of(endpoints)
    )


class EndpointSliceMirroringController(Controller):
    name: ClassVar[str] = "endpointslice-mirroring-controller"
    source: ClassVar[str] = "endpointslicemirroring-controller"

    def setup(self) -> None:
        self.services = self.watch(kinds.SERVICES, self.enqueue, self._service_changed, self.enqueue)
        self.endpoints = self.watch(kinds.ENDPOINTS, self._endpoints, self._endpoints_changed, self.enqueue)
        self.slices = Slices(self.client, self.informers[kinds.ENDPOINT_SLICES], BY_MIRRORING, self.queue.add)
        self.watch(kinds.ENDPOINT_SLICES, self.slices.heard, self.slices.changed, self.slices.gone)

    async def sync(self, key: Key) -> None:
        endpoints = self.endpoints.get(*key)
        there = self.slices.of(key)
        if endpoints is None or not is_mirrored(endpoints, self.services.get(*key)):
            if there:
                await self.slices.delete_all(key, there)
            self.slices.forget(key)
            return
        wanted, skipped = mirrored(endpoints)
        if skipped:
            self.recorder.event(
                endpoints,
                "Warning",
                "TooManyAddressesToMirror",
                f"A max of {MAX_MIRRORED} addresses can be mirrored to EndpointSlices per Endpoints subset."
                f" {skipped} addresses were skipped",
            )
        todo = plan(of_endpoints(endpoints), there, wanted)
        if todo:
            await self.slices.write(key, todo)

    def _service_changed(self, old: Json, new: Json) -> None:
        if bool(spec_of(old).get("selector")) != bool(spec_of(new).get("selector")):
            self.enqueue(new)

    def _endpoints(self, endpoints: Json) -> None:
        if self._mine(endpoints):
            self.enqueue(endpoints)

    def _endpoints_changed(self, _: Json, endpoints: Json) -> None:
        if self._mine(endpoints):
            self.enqueue(endpoints)

    def _mine(self, endpoints: Json) -> bool:
        """Not those that the endpoints controller writes all the time; unless there are still slices of them."""
        service = self.services.get(*key_of(endpoints))
        return service is None or not spec_of(service).get("selector")

"""discovery.k8s.io/v1 EndpointSlices: of the pods that Services select, and mirrors of Endpoints made by hand."""

from __future__ import annotations

from labkit.embedded.kubernetes.controllers.endpointslices.controller import EndpointSliceController
from labkit.embedded.kubernetes.controllers.endpointslices.mirroring import EndpointSliceMirroringController

__all__ = ["EndpointSliceController", "EndpointSliceMirroringController"]

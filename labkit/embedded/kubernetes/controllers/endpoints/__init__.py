"""v1 Endpoints: deprecated since 1.33 in favour of EndpointSlices, and served and kept all the same."""

from __future__ import annotations

from labkit.embedded.kubernetes.controllers.endpoints.controller import EndpointsController

__all__ = ["EndpointsController"]

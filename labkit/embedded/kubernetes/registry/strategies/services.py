"""Services: addresses and node ports are handed out with the write itself."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry.strategies.base import Strategy


class Services(Strategy):
    create_on_update = True
    returns_deleted = True

    def prepare_for_create(self, new: Json) -> None:
        new["status"] = {"loadBalancer": {}}


STRATEGIES: Mapping[Kind, type[Strategy]] = {kinds.SERVICES: Services}

"""ReplicationControllers: what ReplicaSets were called when Kubernetes began; the same loop on another row.

As ``pkg/controller/replication``, which wraps the ReplicaSets' controller around the older kind. Its selector is a
plain map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.replicaset.controller import ReplicasController
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json


class ReplicationController(ReplicasController):
    """ReplicationControllers."""

    name = "replicationcontroller-controller"
    source = "replication-controller"
    kind: ClassVar[Kind] = kinds.REPLICATION_CONTROLLERS
    counts_terminating = False
    workers = 5

    def selector_fields(self, owner: Json) -> Mapping[str, Any] | None:
        return {"matchLabels": owner["spec"].get("selector") or {}}

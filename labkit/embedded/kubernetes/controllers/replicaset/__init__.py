"""ReplicaSets: so many pods of one template."""

from labkit.embedded.kubernetes.controllers.replicaset.controller import ReplicasController, ReplicaSetController

__all__ = ["ReplicaSetController", "ReplicasController"]

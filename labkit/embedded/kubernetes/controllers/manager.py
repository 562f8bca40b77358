"""kube-controller-manager: all controllers, started and stopped together, on one set of informers.

The table says which there are; a new controller is a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from importlib import import_module

from labkit.embedded.kubernetes.client import Client, Informers
from labkit.embedded.kubernetes.client.door import Door
from labkit.embedded.kubernetes.controllers.controller import Config, Controller

log = logging.getLogger("labkit.kubernetes.controllers")

_HERE = "labkit.embedded.kubernetes.controllers"

# Module and class, in the order in which they are started.
CONTROLLERS: tuple[tuple[str, str], ...] = (
    ("replication", "ReplicationController"),
    ("replicaset", "ReplicaSetController"),
    ("deployment", "DeploymentController"),
    ("daemonset", "DaemonSetController"),
    ("job", "JobController"),
    ("serviceaccounts", "ServiceAccountsController"),
    ("rootcacertpublisher", "RootCACertPublisher"),
    ("endpoints", "EndpointsController"),
    ("endpointslices", "EndpointSliceController"),
    ("endpointslices", "EndpointSliceMirroringController"),
    ("nodelifecycle", "NodeLifecycleController"),
    ("nodelifecycle", "TaintEvictionController"),
    ("nodettl", "TTLController"),
    ("podgc", "PodGarbageCollector"),
    ("disruption.controller", "DisruptionController"),
    ("namespaces", "NamespaceController"),
    ("garbage", "GarbageCollector"),
    ("ttlafterfinished", "TTLAfterFinishedController"),
)


def controllers() -> list[type[Controller]]:
    """The classes of the table."""
    return [getattr(import_module(f"{_HERE}.{module}"), name) for module, name in CONTROLLERS]


class ControllerManager:
    """All controllers of one control-plane machine. After :meth:`stop` it may be started again, from nothing."""

    def __init__(
        self,
        door: Door,
        machine: str,
        classes: Sequence[type[Controller]] | None = None,
        config: Config = Config(),  # noqa: B008 - frozen
    ) -> None:
        self.config = config
        self.client = Client(
            door, machine=machine, user="system:kube-controller-manager", manager="kube-controller-manager"
        )
        self._classes = classes
        self.informers: Informers | None = None
        self.controllers: dict[str, Controller] = {}

    def start(self) -> None:
        if self.informers is not None:
            return
        self.informers = Informers(self.client)
        for cls in controllers() if self._classes is None else self._classes:
            controller = self.controllers[cls.name] = cls(self.client, self.informers)
            controller.config = self.config
            controller.start()
        self.informers.start()

    async def stop(self) -> None:
        """End all of them at once; what they knew is forgotten."""
        informers, self.informers = self.informers, None
        stopping, self.controllers = list(self.controllers.values()), {}
        await asyncio.gather(*(controller.stop() for controller in stopping))
        if informers is not None:
            await informers.stop()

    @property
    def idle(self) -> bool:
        """Nobody has anything to do at this moment."""
        return all(controller.idle for controller in self.controllers.values())

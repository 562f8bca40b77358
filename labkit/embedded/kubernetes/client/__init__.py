"""How the components talk to the API server: in this process, but only while a wire, a plug and the server allow it."""

from __future__ import annotations

from labkit.embedded.kubernetes.client.client import Client
from labkit.embedded.kubernetes.client.door import Door, OpenDoor, Unreachable
from labkit.embedded.kubernetes.client.expectations import Expectations
from labkit.embedded.kubernetes.client.informer import Informer, Informers
from labkit.embedded.kubernetes.client.recorder import Recorder
from labkit.embedded.kubernetes.client.workqueue import WorkQueue

__all__ = [
    "Client",
    "Door",
    "Expectations",
    "Informer",
    "Informers",
    "OpenDoor",
    "Recorder",
    "Unreachable",
    "WorkQueue",
]

"""The scheduler's shell: watches pods and nodes, asks for decisions, binds, writes conditions and events."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Clock

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.client import Client, Informers


class Scheduler:
    """One kube-scheduler (``user="system:kube-scheduler"``). :meth:`start` may follow :meth:`stop`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        rng: random.Random | None = None,
        informers: Informers | None = None,
        name: str = "default-scheduler",
    ) -> None:
        self.client = client
        self.clock = clock
        self.name = name
        self._rng = rng or random.Random()

    def start(self) -> None:
        """Begin from a list of what there is. Needs a running event loop."""

    async def stop(self) -> None:
        """End at once and leave no task behind; what was decided but not yet bound is forgotten."""

    def explain(self, namespace: str, pod: str) -> Json | None:
        """Why a pod is where it is, or waits: node by node what each filter said and each score; None: not known."""
        return None

    def status(self) -> dict[str, Any]:
        """How many pods wait, and why, as ``GET /debug`` of a component could say."""
        return {}

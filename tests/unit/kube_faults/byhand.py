"""The whole embedded Kubernetes, kubelets and control plane and network, on a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Self

from labkit.embedded.kubernetes import pki
from labkit.embedded.kubernetes.world import Options, World
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage


class WorldByHand(World):
    """As ``World``, but time goes on only when :meth:`advance` says so, and every choice comes from ``seed``."""

    clock: ManualClock  # type: ignore[assignment]

    @classmethod
    async def up(cls, folder: Path, seed: int, *, workers: int = 3, cpus: float = 2.0) -> Self:
        """A cluster that is ready. ``folder`` keeps the certificates, which all worlds may share."""
        clock = ManualClock()
        fleet = Fleet(clock)
        network = await Network.open(fleet, clock, None)
        options = Options(name="t", state=folder, workers=workers, cpus=cpus)
        world = cls(options, Storage(), pki.prepare(folder / "pki"), network, fleet)
        world.rng = random.Random(seed)
        world._build({})
        bringing = asyncio.get_running_loop().create_task(world.bring_up())
        await world._pki_is_ready(bringing)
        while not bringing.done():
            await clock.advance(0.05)
        await bringing
        return world

    async def _pki_is_ready(self, bringing: asyncio.Task[None]) -> None:
        """The child that makes the certificates takes time of the wall's; the cluster's shall stand still meanwhile."""
        while not self.kubelets and not bringing.done():  # noqa: ASYNC110 - it is outside of the cluster's time
            await asyncio.sleep(0.005)

    async def _until_ready(self) -> None:
        while not all(self._is_node_ready(name) for name in self.kubelets):
            await self.clock.sleep(0.05)

    def _save_clock(self) -> None:
        """Nobody comes back to this world."""

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

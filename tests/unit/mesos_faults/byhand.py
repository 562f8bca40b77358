"""The whole of a Mesos sandbox, from ZooKeeper to Marathon and batch, on a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Self

from labkit.embedded.marathon import components, credentials
from labkit.embedded.marathon.world import Options, World
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

STEP = 0.05


class WorldByHand(World):
    """As ``World``, but time goes on only when :meth:`advance` says so, and every choice comes from ``seed``."""

    clock: ManualClock  # type: ignore[assignment]

    @classmethod
    async def up(cls, folder: Path, seed: int, *, masters: int = 3, agents: int = 3) -> Self:
        """A cluster that is ready. ``folder`` keeps the password, which all worlds may share."""
        clock = ManualClock()
        fleet = Fleet(clock)
        network = await Network.open(fleet, clock, None)
        options = Options(name="t", state=folder, run=folder, masters=masters, agents=agents)
        storage = Storage()
        # A balancer is a program of this computer, which knows nothing of a clock that stands still.
        storage.put("component", f"master-1/{components.MARATHON_LB}", {"stopped": True})
        world = cls(options, storage, credentials.prepare(folder), network, fleet)
        world.rng = random.Random(seed)
        world._build({})
        bringing = asyncio.get_running_loop().create_task(world.bring_up())
        while not bringing.done():
            await clock.advance(STEP)
            await asyncio.sleep(0.001)  # servers are opened in the wall's time, which sessions must not run away from
        await bringing
        return world

    async def _until(self, condition: object, seconds: float | None = None) -> None:
        end = self.clock.time() + (10.0 if seconds is None else seconds)
        while not condition() and self.clock.time() < end:  # type: ignore[operator]
            await self.clock.sleep(STEP)

    async def _keep_time(self) -> None:
        """Nobody comes back to this world."""

    def _save_clock(self) -> None:
        """Nor here."""

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

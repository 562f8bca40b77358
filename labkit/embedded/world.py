"""What the worlds of all orchestrators have in common: tasks beside, a clock that is kept, plugs that are noted.

A world is one sandbox put together; ``labkit.embedded.orchestrators`` opens it, ``labkit.embedded.control`` asks it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from typing import Any

from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

log = logging.getLogger(__name__)

Json = dict[str, Any]

CLOCK_SAVED_EVERY = 2.0  # seconds of the wall clock


def time_to_start(saved: Json | None) -> float:
    """Sandbox time may run ahead of the wall's; after a restart it must not go back behind what is stored."""
    if saved is None:
        return time.time()
    return max(time.time(), float(saved["time"] + CLOCK_SAVED_EVERY * saved["speed"]))


class BaseWorld:
    """The common half of a world. Who makes one sets the attributes that are only declared here."""

    orchestrator: str
    name: str
    storage: Storage
    fleet: Fleet
    clock: ScaledClock
    network: Network
    notes: list[str]
    ready: bool
    shutdown: asyncio.Event
    _tasks: set[asyncio.Task[Any]]

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run something beside, kept alive and logged when it fails."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the world failed", exc_info=task.exception())

    async def _end_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plugged(self, name: str, what: str) -> None:
        """A plug was pulled or put back: keep it."""
        self.storage.put("plug", name, self.fleet.plug(name))

    async def _keep_time(self) -> None:
        while True:
            self._save_clock()
            await asyncio.sleep(CLOCK_SAVED_EVERY)

    def _save_clock(self) -> None:
        # It only matters where it has run ahead, or will have before the next time that this is called.
        if self.clock.speed > 1 or self.clock.time() > time.time() + 0.5:
            self.storage.put("world", "clock", {"time": self.clock.time(), "speed": self.clock.speed})

    def _status(self, notes: Iterable[str] = ()) -> Json:
        """What ``GET /status`` of the control API says of every sandbox."""
        return {
            "name": self.name,
            "orchestrator": self.orchestrator,
            "engine": "embedded",
            "pid": os.getpid(),
            "speed": self.clock.speed,
            "block": self.network.block,
            "notes": [*self.network.notes, *self.notes, *notes],
            "elsewhere": self.network.elsewhere({machine.address for machine in self.fleet.machines.values()}),
            "ready": self.ready,
        }

    def set_speed(self, speed: float) -> None:
        """Let sandbox time run this fast from now on. Raises ValueError."""
        self.clock.set_speed(speed)
        self._save_clock()

    def request_shutdown(self) -> None:
        """End the process soon; everything is kept."""
        self.shutdown.set()

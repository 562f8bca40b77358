"""The frame of every loop of the leader: watch the store, hand over what changed, outlive every error."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.objects import Object
from labkit.embedded.swarm.store import Change, Store

RETRY_DELAY = 1.0
"""Sandbox seconds before a loop that failed looks at the whole store again."""


class Loop:
    """One control loop. A subclass names what it ``watches`` and fills in :meth:`begin` and :meth:`changed`.

    Level-triggered: :meth:`begin` brings the store in order whatever state it is in. It runs at the start, and again
    after an error, so nothing that a failed step leaves undone stays undone.
    """

    watches: ClassVar[tuple[type[Object], ...]] = ()

    def __init__(self, store: Store, world: Any, machine: str = "") -> None:
        self.store = store
        self.world = world
        self.clock = world.clock
        self.log = logging.getLogger(f"labkit.swarm.{type(self).__name__.lower()}")
        self._machine = machine  # on which the leader runs: a paused one holds still
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, from the store as it is now on."""
        self._watch = self.store.watch(*self.watches)
        self._task = asyncio.create_task(self._run(), name=f"swarm {type(self).__name__}")

    async def stop(self) -> None:
        """End at once. What is in flight may still be committed."""
        if self._task is None:
            return
        self._watch.close()
        task, self._task = self._task, None
        await cancelled(task)

    async def begin(self) -> None:
        """Reconcile everything from the store."""

    async def changed(self, batch: list[Change]) -> None:
        """React to what changed, in the order in which it did."""

    async def _run(self) -> None:
        while True:
            try:
                await self._awake()
                self._watch.take()  # begin() reads the store after all of these
                await self.begin()
                while batch := await self._watch.wait():
                    await self._awake()
                    await self.changed(batch)
                return
            except asyncio.CancelledError:
                raise
            except NoLeader:
                # Leadership is being lost, and stop() is on its way; or the quorum comes back.
                self.log.debug("no quorum")
            except Exception:
                self.log.exception("%s failed; it looks at everything again", type(self).__name__)
            await self.clock.sleep(RETRY_DELAY)

    async def _awake(self) -> None:
        """Return at once unless this machine is paused."""
        if self._machine:
            await self.world.fleet.gate(self._machine).wait()


async def cancelled(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they have ended, whichever way they end."""
    living = [task for task in tasks if task is not None]
    for task in living:
        task.cancel()
    current = asyncio.current_task()
    await asyncio.gather(*(task for task in living if task is not current), return_exceptions=True)


class Wakeup:
    """An event with a deadline: what a shell waits at between two decisions."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, until: float | None = None) -> None:
        """Return when :meth:`set` was called since the last time, or at sandbox time ``until``."""
        timer = None
        if until is not None and not self._event.is_set():
            timer = self._clock.call_later(until - self._clock.time(), self._event.set)
        try:
            await self._event.wait()
        finally:
            self._event.clear()
            if timer is not None:
                timer.cancel()

"""A service of one machine: it runs while somebody wants it to and its machine has power."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.machines import Fleet, Machine

log = logging.getLogger(__name__)


class MachineService(ABC):
    """What starts, stops and loses its power says :meth:`_open` and :meth:`_shut` how.

    Neither is called while the other is at work, however quickly plugs are pulled and put back.
    """

    def __init__(self, machine: Machine, fleet: Fleet) -> None:
        self.machine = machine
        self._fleet = fleet
        self._wanted = False
        self._up = False
        self._power_lost = False  # since it came up: what it had is gone, even if there is power again
        self._turn = asyncio.Lock()
        self._chores = Chores()
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def running(self) -> bool:
        """Does it serve? Not while its machine is without power."""
        return self._up and not self._power_lost

    async def start(self) -> None:
        """Serve, now and whenever the machine gets its power back, until :meth:`stop`. Raises what keeps it from it."""
        if not self._wanted:
            self._wanted = True
            self._unsubscribe = self._fleet.subscribe(self._heard)
        await self._settle()

    async def stop(self) -> None:
        """Serve no more. Harmless when it is not running."""
        self._wanted = False
        self._unsubscribe()
        await self._settle()

    @abstractmethod
    async def _open(self) -> None:
        """Begin. What was begun when it raises is ended by :meth:`_shut`."""

    @abstractmethod
    async def _shut(self) -> None:
        """End what :meth:`_open` began, or a part of it."""

    def _plugged(self, name: str, what: str) -> None:  # noqa: B027 - most need nothing of it
        """Something happened to a machine, perhaps to this one."""

    def _heard(self, name: str, what: str) -> None:
        self._plugged(name, what)
        if name != self.machine.name:
            return
        if what == "fail":
            self._power_lost = self._up
            self._chores.start(self._settle_quietly())
        elif what == "heal":
            self._chores.start(self._settle_quietly())

    async def _settle(self) -> None:
        """Make what is what shall be."""
        async with self._turn:
            while True:
                wanted = self._wanted and self.machine.power != "off"
                if self._up and (self._power_lost or not wanted):
                    self._up = self._power_lost = False
                    await self._shut()
                elif wanted and not self._up:
                    self._up = True
                    try:
                        await self._open()
                    except BaseException:
                        self._up = self._power_lost = False
                        await self._shut()
                        raise
                else:
                    return

    async def _settle_quietly(self) -> None:
        try:
            await self._settle()
        except Exception:
            log.exception("%s on %s does not start", type(self).__name__, self.machine.name)

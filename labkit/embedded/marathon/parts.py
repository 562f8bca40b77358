"""Components that are more than one thing: what makes a process of the real ones out of parts of this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.zookeeper import Ensemble


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A member of the ensemble."""

    ensemble: Ensemble
    machine: str

    @property
    def running(self) -> bool:
        return self.ensemble.members[self.machine].running

    async def start(self) -> None:
        await self.ensemble.start(self.machine)

    async def stop(self) -> None:
        await self.ensemble.stop(self.machine)


class Server(Protocol):
    """An HTTP server of such a process."""

    async def start(self) -> None:
        """Listen. Harmless when it does."""

    def shut(self) -> None:
        """As when the process ends: connections break."""

    async def close(self) -> None:
        """For good."""


class Served:
    """A master with its HTTP server, which listens whenever the master's process runs: it ends and restarts itself."""

    def __init__(self, master: Any, server: Server) -> None:
        self.master = master
        self.server = server
        self._chores = Chores()
        master.on_change(self._changed)

    @property
    def running(self) -> bool:
        return bool(self.master.running)

    async def start(self) -> None:
        await self.master.start()
        await self._follow()  # whoever waits for the start can ask it something

    async def stop(self) -> None:
        await self.master.stop()
        self.server.shut()

    async def close(self) -> None:
        self._chores.cancel()
        await self.master.stop()
        await self.server.close()

    def _changed(self) -> None:
        if not self.master.running:
            self.server.shut()
        else:
            self._chores.start(self._follow())

    async def _follow(self) -> None:
        if self.master.running:
            await self.server.start()
        if not self.master.running:  # it has ended meanwhile
            self.server.shut()

"""A Mesos sandbox put together: machines, ZooKeeper and masters on some of them, agents on the others, Marathon on top.

Nothing is short-cut: the members of the ensemble elect, the masters contend in ZooKeeper, agents and Marathon find the
leader there, and all that Marathon does goes through Mesos' scheduler API. It is ready once a master leads, every agent
has registered with it, and Marathon has subscribed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.embedded.marathon.assembly import Assembly
from labkit.embedded.marathon.components import ORDER, ZOOKEEPER, Components
from labkit.embedded.marathon.credentials import Credentials
from labkit.embedded.marathon.endpoints import Endpoints
from labkit.embedded.orchestrators import WorldError
from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.machines import GIB, Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.relocation import relocate
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.world import BaseWorld, time_to_start

log = logging.getLogger(__name__)

__all__ = ["GIB", "Options", "World"]

Json = dict[str, Any]

READY_TIMEOUT = 30.0  # seconds of the wall clock
READY_TIMEOUT_DAMAGED = 3.0  # when it comes back with plugs pulled or components stopped
MARATHONS = 2
ZONES = "abc"
HEAD_START = 0.3  # seconds of the wall clock that the first of several has to be elected
_LOOK = 0.002


@dataclass(frozen=True)
class Options:
    """What ``python -m labkit.embedded marathon`` was asked for."""

    name: str
    state: Path
    run: Path
    masters: int = 3
    agents: int = 3
    speed: float = 1.0
    cpus: float = 4.0
    memory: int = 8 * GIB

    def machine_rows(self) -> list[Json]:
        """The machines as they are stored: masters first."""
        size = {"cpus": self.cpus, "memory": self.memory}
        masters = [{"name": f"master-{n}", "role": "master", "attributes": {}} for n in range(1, self.masters + 1)]
        agents = [
            {"name": f"agent-{n}", "role": "agent", "attributes": attributes(n)} for n in range(1, self.agents + 1)
        ]
        return [{**row, **size} for row in (*masters, *agents)]


def attributes(number: int) -> dict[str, str]:
    """Of the ``number``-th agent: two racks in turn, three zones in turn, so that constraints have something to do."""
    return {
        "machine": f"agent-{number}",
        "rack": f"rack-{(number - 1) % 2 + 1}",
        "zone": ZONES[(number - 1) % len(ZONES)],
    }


class World(BaseWorld):
    """One Mesos sandbox. Made by :meth:`open`."""

    orchestrator = "marathon"

    def __init__(
        self, options: Options, storage: Storage, credentials: Credentials, network: Network, fleet: Fleet
    ) -> None:
        self.options = options
        self.name = options.name
        self.storage = storage
        self.credentials = credentials
        self.fleet = fleet
        self.clock: ScaledClock = fleet.clock  # type: ignore[assignment]  # open() has given it this one
        self.network = network
        self.rng = random.Random()
        self.notes: list[str] = []
        self.ready = False
        self.restored = False
        self.shutdown = asyncio.Event()
        self._roles: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- coming up

    @classmethod
    async def open(cls, options: Options, storage: Storage, credentials: Credentials) -> World:
        """Build or restore the world; :meth:`bring_up` lets it run."""
        stored = storage.get("world", "world") or {}
        clock = ScaledClock(options.speed, start=time_to_start(storage.get("world", "clock")))
        fleet = Fleet(clock)
        network = await Network.open(fleet, clock, stored.get("block"))
        world = cls(options, storage, credentials, network, fleet)
        before = f"127.{stored['block']}" if stored else network.block
        try:
            if network.block != before:
                relocate(storage, before, network.block)
                world.notes.append(f"Its addresses have moved from {before}.0.0/16, which another sandbox holds now.")
            world._build(stored)
        except BaseException:
            await network.close()
            raise
        return world

    def _build(self, stored: Json) -> None:
        rows = stored.get("machines") or []
        if rows:
            self._note_differences(rows)
        else:
            rows = self.options.machine_rows()
        self.restored = bool(stored)
        plugs = self.storage.all("plug")
        for index, row in enumerate(rows):
            name = row["name"]
            self.fleet.add(
                Machine(
                    name=name,
                    address=self.network.machine_address(index),
                    cpus=row["cpus"],
                    memory=row["memory"],
                    attributes=dict(row["attributes"]),
                )
            )
            self._roles[name] = row["role"]
            if name in plugs:
                self.fleet.restore(name, plugs[name])
        block = int(self.network.block.split(".")[1])
        self.storage.put("world", "world", {"machines": rows, "block": block})
        masters, agents = self.machines("master"), self.machines("agent")
        marathons = masters[:MARATHONS]
        self.endpoints = Endpoints(self.network, self.credentials, masters, marathons)
        self.assembly = Assembly(
            name=self.name,
            state=self.options.state,
            run=self.options.run,
            storage=self.storage,
            credentials=self.credentials,
            fleet=self.fleet,
            network=self.network,
            rng=self.rng,
            masters=masters,
            agents=agents,
            marathons=marathons,
        )
        self.components = Components(self.fleet, self.storage, self.assembly.components())
        self.fleet.subscribe(self._plugged)

    def machines(self, role: str) -> list[Machine]:
        """Those that were made for this: ``master`` or ``agent``."""
        return [machine for machine in self.fleet.machines.values() if self._roles[machine.name] == role]

    def _note_differences(self, rows: list[Json]) -> None:
        names = [row["name"] for row in rows]
        if names != [row["name"] for row in self.options.machine_rows()]:
            self.notes.append(
                f"This sandbox exists already with {', '.join(names)}; what is stored is kept. "
                "Take it down first to have other machines."
            )

    async def bring_up(self) -> None:
        """Start everything that nobody has stopped, and wait until Marathon can launch something anywhere.

        Raises:
            WorldError: it did not become ready in time.
        """
        whole = all(self.fleet.state(name) == "up" for name in self.fleet.machines)
        whole = whole and not self.components.any_held
        try:
            async with asyncio.timeout(READY_TIMEOUT if whole else READY_TIMEOUT_DAMAGED):
                for name in ORDER:
                    await self._boot(name)
                    if name == ZOOKEEPER and self.restored:
                        await self._until(lambda: self.assembly.ensemble.has_quorum, HEAD_START)
                        self.assembly.ensemble.expire_all()
                await self._until(lambda: self.assembly.is_ready(self.components))
        except TimeoutError:
            if not self.restored:
                raise WorldError(f"the cluster was not ready within {READY_TIMEOUT:g} s") from None
            self.notes.append("Not everything is ready: perhaps machines are down, or components are stopped.")
        self.spawn(self._keep_time())
        self.spawn(self.assembly.keep_names())
        self.ready = True

    async def _boot(self, name: str) -> None:
        """One kind of component, everywhere; in a new sandbox the first machine's first, so that it leads."""
        first, *others = self.components.find(name)
        await self.components.boot(first)
        if not self.restored:
            await self._until(lambda: self.assembly.has_leader(name), HEAD_START)
        await asyncio.gather(*(self.components.boot(one) for one in others))

    async def _until(self, condition: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait for it, for no longer than this (of the wall clock). Many parts decide, so it is looked at."""
        end = time.monotonic() + (READY_TIMEOUT if seconds is None else seconds)
        while not condition() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)

    # -- what goes on

    # -- for the control API

    def status(self) -> Json:
        """``GET /status`` of the control API."""
        return {
            **self._status(self.assembly.notes()),
            "endpoints": self.endpoints.shown(),
            "env": self.endpoints.environment(),
            "machines": [
                {
                    "name": machine.name,
                    "role": self._roles[machine.name],
                    "state": self.fleet.state(machine.name),
                    "address": machine.address,
                    "cpus": machine.cpus,
                    "memory": machine.memory,
                    "attributes": dict(machine.attributes),
                    "env": self.endpoints.environment(machine),
                }
                for machine in self.fleet.machines.values()
            ],
            "components": self.components.status(),
        }

    def explain(self, namespace: str, name: str) -> Json | None:
        """``GET /explain/marathon/APP``: why instances of an app wait, from the leading Marathon's queue."""
        return self.assembly.explain(name) if namespace == "marathon" else None

    # -- going down

    async def close(self) -> None:
        """Close everything; what is stored stays."""
        await self._end_tasks()
        await self.components.close()
        await self.assembly.close()
        await self.network.close()
        self._save_clock()

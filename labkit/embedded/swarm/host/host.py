"""One simulated Docker host: a machine with what dockerd would keep on it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from labkit.embedded.runtime.keeper import Keeper
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.swarm.agent.agent import Agent
from labkit.embedded.swarm.node.swarmnode import SwarmNode

from .containers import Containers
from .discovery import Discovery
from .events import Events
from .execs import Execs
from .executor import Executor
from .images import Images
from .ingress import Ingress
from .launching import Launcher
from .networks import Networks
from .plumbing import Plumbing
from .runner import Runner
from .swarmevents import SwarmEvents
from .volumes import Volumes

if TYPE_CHECKING:
    from labkit.embedded.swarm.world import World

    from .front import Front

log = logging.getLogger(__name__)


class Host:
    """A Docker host of ``world`` on ``machine``. Made once; :meth:`start` brings it to life or back to it."""

    def __init__(self, world: World, machine: Machine) -> None:
        self.world = world
        self.machine = machine
        self.name = machine.name
        self.engine_id = ""
        self.keeper = Keeper(world.storage, machine.name)
        self.events = Events(world.clock)
        self.images = Images(self)
        self.volumes = Volumes(self)
        self.networks = Networks(self)
        self.discovery = Discovery(self)
        self.containers = Containers(self)
        self.execs = Execs(self)
        self.launcher = Launcher(self)
        self.runner = Runner(self)
        self.plumbing = Plumbing(self)
        self.front: Front = world.front
        self.ingress = Ingress(self, world.front)
        self.executor = Executor(self)
        self.swarm = SwarmNode(self, world)
        self.agent = Agent(self.swarm, self.executor, world)
        self._swarm_events = SwarmEvents(self)
        self._swarm_of: tuple[str, str] = ("", "")  # node id -> swarm id, remembered for when no manager answers
        self._was_on = machine.power != "off"
        self._power_changes: asyncio.Queue[bool] = asyncio.Queue()
        self._power_task: asyncio.Task[None] | None = None
        self._unsubscribe = world.fleet.subscribe(self._plugged)

    # life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what was kept. What ran when the process ended runs again, under the same ids and addresses."""
        row = self.keeper.all("engine").get("engine")
        self.engine_id = row["id"] if row else self._new_engine_id()
        if row and row.get("swarm"):
            self._swarm_of = (row["swarm"][0], row["swarm"][1])
        self._keep_engine()
        self.networks.restore()
        self.images.restore()
        self.volumes.restore()
        found = self.containers.restore()
        for container, kept in found:
            if kept["running"] and self._was_on:
                for attachment in container.networks.values():
                    self.networks.reclaim(attachment)
            else:
                self.runner.release(container)
        if self._was_on:
            await asyncio.gather(
                *(self.runner.resume(container, kept["paused"]) for container, kept in found if kept["running"])
            )
        else:
            for container, kept in found:
                if kept["running"]:
                    container.exit_code, container.finished_at = 137, self.world.clock.time()
        self.keeper.flush()
        self._power_task = asyncio.create_task(self._follow_power())
        if self._was_on:
            await self.discovery.serve()
            await self.swarm.restore()
            self.swarm_changed()

    def _new_engine_id(self) -> str:
        identifier = self.world.ids.hex_id()
        return "-".join((identifier[:8], identifier[8:12], identifier[12:16], identifier[16:20], identifier[20:32]))

    def _keep_engine(self) -> None:
        self.keeper.put("engine", "engine", lambda: {"id": self.engine_id, "swarm": list(self._swarm_of)})

    async def stop(self) -> None:
        """The process ends. Containers are kept as running: they will be again."""
        self._unsubscribe()
        if self._power_task is not None:
            self._power_task.cancel()
        self._swarm_events.follow(None)
        await self.swarm.stop()
        await self.discovery.stop_serving()
        self.ingress.close()
        self.keeper.flush()
        self.runner.abandon()

    # the plug -------------------------------------------------------------------------------------------------

    def _plugged(self, name: str, what: str) -> None:
        on = self.machine.power != "off"
        if name != self.name or on == self._was_on:
            return
        self._was_on = on
        if not on:  # at once: nothing of it may run on for another turn of the loop
            self.runner.power_off()
            self.ingress.close()
            self._swarm_events.follow(None)
        self._power_changes.put_nowait(on)

    async def _follow_power(self) -> None:
        """The slow part of a power cut and of a boot, one after the other."""
        while True:
            on = await self._power_changes.get()
            try:
                await (self._boot() if on else self.swarm.stop())
            except Exception:
                log.exception("%s: %s", self.name, "boot" if on else "power off")

    async def _boot(self) -> None:
        self.world.networkdb.remove_machine(self.name)
        for container in self.containers:
            await self.runner.boot(container)
        await self.discovery.stop_serving()
        await self.discovery.serve()
        await self.swarm.restore()
        self.swarm_changed()

    # the swarm ------------------------------------------------------------------------------------------------

    @property
    def swarm_id(self) -> str:
        """The id of the swarm that this host is in, empty outside of one."""
        node_id = self.swarm.node_id
        if not node_id or self.swarm.local_state == "inactive":
            return ""
        if self._swarm_of[0] != node_id:
            leader = self.swarm.find_leader()
            store = leader.store if leader is not None else self.swarm.store
            cluster = store.cluster() if store is not None else None
            if cluster is None:
                return ""
            self._swarm_of = (node_id, cluster.id)
            self._keep_engine()
        return self._swarm_of[1]

    def swarm_changed(self) -> None:
        """Membership or role is another now, or a session with a leader has begun: follow it."""
        self._swarm_events.follow(self.swarm.store if self.swarm.is_manager else None)
        self.ingress.refresh()

    def __repr__(self) -> str:
        return f"<Host {self.name}>"

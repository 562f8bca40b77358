"""Masters with a ZooKeeper each, on a clock that a test turns."""

from __future__ import annotations

import random
from typing import Any

from support.mesos import FakeAgent

from labkit.embedded.guard import Guard
from labkit.embedded.mesos.api import MasterServer
from labkit.embedded.mesos.driver import SchedulerDriver
from labkit.embedded.mesos.libprocess import Post
from labkit.embedded.mesos.master import Master, Options
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Detector, Ensemble

Json = dict[str, Any]


class Cluster:
    """``masters`` machines with a ZooKeeper and a master, ``agents`` machines with a fake agent."""

    def __init__(self, masters: int = 3, agents: int = 1) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.post = Post(self.fleet, self.clock)
        self.storage = Storage()
        self.names = [f"master-{number}" for number in range(1, masters + 1)]
        self.agent_names = [f"agent-{number}" for number in range(1, agents + 1)]
        self.rng = random.Random(1)
        self.servers: dict[str, MasterServer] = {}
        self.agents: list[FakeAgent] = []

    async def up(self, *, http: bool = False, users: dict[str, str] | None = None) -> Cluster:
        self.network = await Network.open(self.fleet, self.clock)
        for at, name in enumerate((*self.names, *self.agent_names)):
            self.fleet.add(Machine(name=name, address=self.network.machine_address(at)))
        self.ensemble = Ensemble(self.fleet, self.clock, self.storage, self.names, self.rng)
        self.masters = {
            name: Master(
                name, self.post, self.fleet, self.clock, self.storage, self.ensemble, Options(), random.Random(at)
            )
            for at, name in enumerate(self.names)
        }
        for name in self.names:
            await self.ensemble.start(name)
            await self.masters[name].start()
            if http:
                self.servers[name] = MasterServer(self.masters[name], self.network, Guard(users or {}))
                await self.servers[name].start()
        await self.until_led()
        for name in self.agent_names:
            self.agents.append(FakeAgent(self.post, name, self.fleet.machine(name).address))
        self.register()
        await self.settle()
        return self

    def register(self) -> None:
        for agent in self.agents:
            agent.register(self.leader.pid)

    async def settle(self) -> None:
        for _ in range(4):
            await self.clock.advance(0)

    async def until_led(self, seconds: float = 60.0) -> None:
        for _ in range(int(seconds * 10)):
            await self.clock.advance(0.1)
            if any(master.elected for master in self.masters.values()):
                await self.clock.advance(1)  # until everybody has heard of it
                return
        raise AssertionError("no leader")

    @property
    def leader(self) -> Master:
        return next(master for master in self.masters.values() if master.elected)

    @property
    def follower(self) -> Master:
        return next(master for master in self.masters.values() if master.running and not master.elected)

    def driver(self, machine: str, received: Any, **info: Any) -> SchedulerDriver:
        detector = Detector(self.ensemble.session(machine), "/mesos")
        framework = {"user": "root", "name": "test", "checkpoint": True, "failover_timeout": 600.0, **info}
        return SchedulerDriver(machine, self.fleet, self.clock, lambda: self.masters, detector, framework, received)

    async def close(self) -> None:
        for server in self.servers.values():
            await server.close()
        for master in self.masters.values():
            master._wanted = False
            master._end()
        await self.ensemble.close()
        self.post.close()
        await self.network.close()

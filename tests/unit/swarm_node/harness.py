"""A world with nothing in it but machines, a clock and the swarm's nodes; agents and leader loops are stand-ins."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import replace
from typing import Any

from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.ids import Ids
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.errors import NoLeader, RpcError
from labkit.embedded.swarm.node import manager
from labkit.embedded.swarm.node.swarmnode import SwarmNode
from labkit.embedded.swarm.objects import Json, Node
from labkit.embedded.swarm.store import Tx


class FakeLeader:
    """Lets its world count how many run at a time."""

    def __init__(self, node: SwarmNode, store: Any, world: Any) -> None:
        self.node, self.store, self.world = node, store, world
        self.runs = False

    async def start(self) -> None:
        await asyncio.sleep(0)
        self.runs = True
        self.world.running += 1

    async def stop(self) -> None:
        await asyncio.sleep(0)
        if self.runs:
            self.runs = False
            self.world.running -= 1


class FakeAgent:
    """Keeps its node ``ready`` in the leader's store and tells it of its role."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._task: asyncio.Task[None] | None = None
        self._role = ""

    async def start(self) -> None:
        self._role = ""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def leave(self) -> None:
        await self.stop()

    async def _run(self) -> None:
        node, clock = self._host.swarm, self._host.world.clock
        while True:
            with contextlib.suppress(NoLeader, RpcError):
                await self._session(node)
            await clock.sleep(0.2)

    async def _session(self, node: SwarmNode) -> None:
        leader = node.find_leader()
        if leader is None:
            return

        def ready(tx: Tx) -> None:
            mine = tx.get(Node, node.node_id)
            if mine is not None and mine.state != "ready":
                tx.update(replace(mine, state="ready", description={"Hostname": node.machine}))

        await leader.store.update(ready)
        mine = leader.store.get(Node, node.node_id)
        if mine is not None and mine.role != self._role:  # a session tells of a role once
            self._role = mine.role
            await node.role_changed(mine.role)


class FakeHost:
    def __init__(self, world: FakeWorld, machine: Machine) -> None:
        self.world, self.machine, self.name = world, machine, machine.name
        self.changes = 0
        self.swarm = SwarmNode(self, world)
        self.agent = FakeAgent(self)

    def swarm_changed(self) -> None:
        self.changes += 1


class FakeWorld:
    def __init__(self, machines: int = 5, storage: Storage | None = None, seed: int = 1) -> None:
        self.clock = ManualClock()
        self.rng = random.Random(seed)
        self.ids = Ids(self.rng)
        self.storage = storage or Storage()
        self.fleet = Fleet(self.clock)
        for number in range(1, machines + 1):
            self.fleet.add(Machine(name=f"m{number}", address=f"127.5.0.{10 + number}"))
        self.fleet.subscribe(self._plugged)
        self.hosts = {name: FakeHost(self, machine) for name, machine in self.fleet.machines.items()}
        self.nodes = {name: host.swarm for name, host in self.hosts.items()}
        manager.make_leader = FakeLeader  # type: ignore[assignment]
        self.running = 0  # leaders' loops

    def __getitem__(self, number: int) -> SwarmNode:
        return self.nodes[f"m{number}"]

    def _plugged(self, name: str, what: str) -> None:
        node = self.nodes[name]
        if what == "fail":
            self._later = asyncio.ensure_future(node.stop())
        elif what == "heal":
            self._later = asyncio.ensure_future(node.restore())

    async def run(self, work: Any, limit: float = 120.0) -> Any:
        """Await something while time passes."""
        task = asyncio.ensure_future(work)
        for _ in range(int(limit / 0.1)):
            await self.clock.settle()
            if task.done():
                return task.result()
            await self.clock.advance(0.1)
        task.cancel()
        raise AssertionError("it never ends")

    async def init(self, number: int = 1, **req: Any) -> str:
        return str(await self.run(self[number].init({"ListenAddr": "0.0.0.0:2377", **req})))

    async def tokens(self, number: int = 1) -> Json:
        return dict((await self.run(self[number].inspect()))["JoinTokens"])

    async def join(self, number: int, role: str = "Manager", via: int = 1) -> None:
        token = (await self.tokens(via))[role]
        await self.run(self[number].join(self.join_request(token, via)))

    def join_request(self, token: str, via: int = 1, **rest: Any) -> Json:
        address = self.fleet.machine(f"m{via}").address
        return {"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": [f"{address}:2377"], "JoinToken": token, **rest}

    async def swarm(self, managers: int = 3, workers: int = 0) -> None:
        """A swarm of the first machines."""
        await self.init(1)
        for number in range(2, managers + 1):
            await self.join(number)
        for number in range(managers + 1, managers + workers + 1):
            await self.join(number, "Worker")
        await self.clock.advance(1)

    def leader(self) -> SwarmNode | None:
        leading = [node for node in self.nodes.values() if node.manager is not None and node.manager.member.leads]
        return max(leading, key=lambda node: node.manager.member.raft.term, default=None)  # type: ignore[union-attr]

    async def update(self, number: int, **spec: Any) -> None:
        """Change the spec of a node, at the API of the node itself or of the leader."""
        leader = self.leader()
        assert leader is not None
        assert leader.store is not None
        node = leader.store.get(Node, self[number].node_id)
        assert node is not None
        await self.run(leader.update_node(node.id, node.version, {**node.spec, **spec}))

    async def close(self) -> None:
        for node in self.nodes.values():
            await node.stop()
        await self.clock.settle()

    async def restarted(self) -> FakeWorld:
        """The same sandbox after ``kill -9``."""
        plugs = {name: self.fleet.plug(name) for name in self.fleet.machines}
        for node in self.nodes.values():  # a process that was killed does nothing any more
            node._cancel_background()
            if node.manager is not None:
                node.manager.member.stop()
        world = FakeWorld(len(self.nodes), self.storage, seed=99)
        world.clock._now = self.clock.time()
        for name, plug in plugs.items():
            world.fleet.restore(name, plug)
        for node in world.nodes.values():
            await node.restore()
        return world

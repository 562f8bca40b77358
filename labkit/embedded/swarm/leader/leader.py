"""The leader: starts all loops when this manager comes to lead, stops them when it no longer does.

SwarmKit: ``manager/manager.go`` (``becomeLeader``, ``becomeFollower``). Every loop brings the store in order from
whatever its predecessor left, so there is nothing to hand over.
"""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.embedded.swarm.leader.allocator import Allocator
from labkit.embedded.swarm.leader.dispatcher import Dispatcher
from labkit.embedded.swarm.leader.loop import Loop
from labkit.embedded.swarm.leader.orchestrator.constraintenforcer import ConstraintEnforcer
from labkit.embedded.swarm.leader.orchestrator.global_ import GlobalOrchestrator
from labkit.embedded.swarm.leader.orchestrator.replicated import ReplicatedOrchestrator
from labkit.embedded.swarm.leader.orchestrator.taskreaper import TaskReaper
from labkit.embedded.swarm.leader.scheduler.scheduler import Scheduler
from labkit.embedded.swarm.store import Store

LOOPS: tuple[type[Loop], ...] = (
    Allocator,
    Scheduler,
    ReplicatedOrchestrator,
    GlobalOrchestrator,
    TaskReaper,
    ConstraintEnforcer,
)


class Leader:
    """``node`` is the :class:`~labkit.embedded.swarm.node.swarmnode.SwarmNode` that leads, ``store`` its store."""

    def __init__(self, node: Any, store: Store, world: Any) -> None:
        self.node = node
        self.store = store
        self.world = world
        self.dispatcher = Dispatcher(store, world, self.machine)
        self.loops: list[Loop] = [self.dispatcher, *(loop(store, world, self.machine) for loop in LOOPS)]

    @property
    def machine(self) -> str:
        """The machine on which it runs: where agents send their calls."""
        return str(self.node.host.name)

    async def start(self) -> None:
        """Start all loops; each brings everything in order first. Does not wait for that."""
        for loop in self.loops:
            loop.start()

    async def stop(self) -> None:
        """Stop every loop; sessions of agents break off."""
        await asyncio.gather(*(loop.stop() for loop in self.loops))

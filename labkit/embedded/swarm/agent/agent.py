"""The agent of one node. (Signatures; the body follows.)"""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.agent.controller import Executor


class Agent:
    """``node`` is the :class:`~labkit.embedded.swarm.node.swarmnode.SwarmNode` of this host."""

    def __init__(self, node: Any, executor: Executor, world: Any) -> None:
        self.node = node
        self.executor = executor
        self.world = world

    async def start(self) -> None:
        """Take up the tasks that this node had, and look for a leader."""

    async def stop(self) -> None:
        """Stop as when the machine loses power: containers are left as they are, the task database stays."""

    async def leave(self) -> None:
        """Remove every task with its container, forget them, and stop: the node leaves the swarm."""

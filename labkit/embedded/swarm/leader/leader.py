"""The leader: starts all loops when this manager comes to lead, stops them when it no longer does. (Body follows.)"""

from __future__ import annotations

from typing import Any

from labkit.embedded.swarm.store import Store


class Leader:
    """``node`` is the :class:`~labkit.embedded.swarm.node.swarmnode.SwarmNode` that leads, ``store`` its store."""

    dispatcher: Any

    def __init__(self, node: Any, store: Store, world: Any) -> None:
        self.node = node
        self.store = store
        self.world = world

    @property
    def machine(self) -> str:
        """The machine on which it runs: where agents send their calls."""
        return str(self.node.host.name)

    async def start(self) -> None:
        """Bring everything in order from the store, then keep it so."""

    async def stop(self) -> None:
        """Stop every loop; sessions of agents break off."""

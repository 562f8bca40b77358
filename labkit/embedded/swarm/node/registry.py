"""What the hosts of one sandbox share because they live in one process: who is where, and the managers' wires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from labkit.embedded.runtime.machines import UnknownMachine
from labkit.embedded.swarm.node import addresses
from labkit.embedded.swarm.raft.group import Exchange

if TYPE_CHECKING:
    from labkit.embedded.swarm.node.swarmnode import SwarmNode

_of_world: WeakKeyDictionary[Any, Registry] = WeakKeyDictionary()


class Registry:
    """One a world. Answers "who listens on 127.5.0.10:2377", which the real engine asks the network."""

    def __init__(self, world: Any) -> None:
        self.exchange = Exchange(world.clock, world.fleet, world.storage)
        self._fleet = world.fleet
        self._nodes: dict[str, SwarmNode] = {}  # by machine

    @classmethod
    def of(cls, world: Any) -> Registry:
        """The registry of this world."""
        registry = _of_world.get(world)
        if registry is None:
            registry = _of_world[world] = cls(world)
        return registry

    def add(self, node: SwarmNode) -> None:
        """A host's :class:`SwarmNode` is there."""
        self._nodes[node.machine] = node

    def on(self, machine: str) -> SwarmNode | None:
        """The one on this machine."""
        return self._nodes.get(machine)

    def at(self, host: str) -> str | None:
        """The machine with this address or name; None when nobody has it."""
        for machine in self._fleet.machines.values():
            if host in (machine.address, machine.name):
                return str(machine.name)
        return None

    def manager_at(self, machine: str, port: int) -> SwarmNode | None:
        """The node that serves managers' and agents' calls on this port of the machine: managers only."""
        node = self._nodes.get(machine)
        if node is None or not node.serves or addresses.split(node.addresses.listen)[1] != port:
            return None
        return node

    def reachable(self, a: str, b: str) -> bool:
        """Whether these machines reach each other now."""
        try:
            return bool(self._fleet.reachable(a, b))
        except UnknownMachine:
            return False

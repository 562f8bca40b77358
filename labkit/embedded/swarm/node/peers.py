"""The managers that a node knows, and its way through them to the leader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit.embedded.runtime.machines import Unreachable
from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.node import words
from labkit.embedded.swarm.store import Store

if TYPE_CHECKING:
    from labkit.embedded.swarm.node.manager import Manager
    from labkit.embedded.swarm.node.swarmnode import SwarmNode

REQUEST_TIMEOUT = 20.0  # seconds that dockerd gives a call to the managers
LOST_QUORUM_TICKS = 10  # ticks without a leader after which such a call fails at once
_POLL = 0.1


class Peers:
    """Of one node. A manager knows its fellow members; a worker knows whom its last session told it of."""

    def __init__(self, node: SwarmNode) -> None:
        self._node = node
        self._known: dict[str, tuple[str, str]] = {}  # node id -> address, machine

    def all(self) -> dict[str, tuple[str, str]]:
        """Address and machine of every known manager by its node's id."""
        manager = self._node.manager
        if manager is not None:
            self._known = manager.members_by_node() or self._known
        return self._known

    def learn(self, managers: Mapping[str, tuple[str, str]]) -> None:
        """These are the managers now."""
        self._known = dict(managers)

    def forget(self, node_id: str) -> None:
        """This one is a manager no more."""
        self._known.pop(node_id, None)

    # -- the leader

    def _serving(self) -> list[SwarmNode]:
        """The managers that this node reaches, itself first."""
        me, registry = self._node, self._node.registry
        found = [me] if me.is_manager else []
        for node_id, (_, machine) in self.all().items():
            node = registry.on(machine)
            if node is None or node is me or (node.node_id, node.swarm_id) != (node_id, me.swarm_id):
                continue
            if node.serves and registry.reachable(me.machine, machine):
                found.append(node)
        return found

    def leader_by(self, via: SwarmNode) -> SwarmNode | None:
        """Whom this manager takes for the leader, if it really leads and they reach each other."""
        if via.manager is None:
            return None
        member = via.manager.member.leader
        node = via.registry.on(member.machine) if member is not None else None
        if node is None or node.manager is None or node.manager.member is not member or not member.leads:
            return None
        return node if node is via or via.registry.reachable(via.machine, node.machine) else None

    def my_leader(self) -> SwarmNode | None:
        """Whom this very node, a manager, takes for the leader."""
        return self.leader_by(self._node)

    def find_leading(self) -> SwarmNode | None:
        """The node that leads, as this machine reaches it: itself or through a manager that it knows."""
        for via in self._serving():
            leading = self.leader_by(via)
            if leading is not None and leading.manager is not None:
                if self._node.manager is None:
                    self.learn(leading.manager.members_by_node())
                return leading
        return None

    def leaders_store(self) -> Store | None:
        """The leader's store if this manager can have it without waiting."""
        leading = self.leader_by(self._node) if self._node.is_manager else None
        return leading.store if leading is not None else None

    def manager_of(self, store: Store) -> Manager:
        """The manager whose store this is. Raises ``NoLeader`` when it is not reached any more."""
        for node in self._serving():
            if node.manager is not None and node.manager.store is store:
                return node.manager
        raise NoLeader

    async def leader_store(self) -> Store:
        """See :meth:`SwarmNode.leader_store`."""
        me, clock = self._node, self._node.world.clock
        deadline = clock.time() + REQUEST_TIMEOUT
        while True:
            if me.manager is None or not me.is_manager:
                raise me.not_a_manager()
            if me.manager.member.leads:
                return me.manager.store
            leading = self.leader_by(me)
            if leading is not None and leading.manager is not None:
                store = leading.manager.store
                try:
                    await me.world.fleet.call(me.machine, leading.machine, lambda: None)
                    return store
                except Unreachable:
                    pass
            elif me.manager.member.ticks_without_leader > LOST_QUORUM_TICKS:
                raise NoLeader
            if clock.time() >= deadline:
                raise words.DeadlineExceeded
            await clock.sleep(_POLL)

"""A node becomes a manager, and ceases to be one.

Roles come from the managers: the session of the agent tells a node what it is. Becoming a manager is up to the node,
which asks to be added to the Raft group until it is; ceasing to be one is up to the group, which takes it out.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from labkit.embedded.runtime.machines import Unreachable
from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.node.founding import Addresses
from labkit.embedded.swarm.node.manager import Manager
from labkit.embedded.swarm.objects import Node

if TYPE_CHECKING:
    from labkit.embedded.swarm.leader.leader import Leader
    from labkit.embedded.swarm.node.peers import Peers
    from labkit.embedded.swarm.node.registry import Registry
    from labkit.embedded.swarm.node.swarmnode import SwarmNode

ROLE_TIMEOUT = 16.0  # seconds that a manager which was taken out waits for its new role
_RETRY = 0.1

_log = logging.getLogger("labkit.swarm.node")


class Roles:
    """The part of :class:`~labkit.embedded.swarm.node.swarmnode.SwarmNode` that follows its role."""

    world: Any
    machine: str
    registry: Registry
    peers: Peers
    addresses: Addresses
    local_state: str
    node_id: str
    group_id: str
    role: str
    manager: Manager | None
    _raft_id: int
    _powered: bool
    _promotion: asyncio.Lock  # a session may say "manager" again while the node is becoming one

    if TYPE_CHECKING:

        def find_leader(self) -> Leader | None: ...
        def _changed(self) -> None: ...
        def _spawn(self, work: Any) -> asyncio.Task[Any]: ...
        def _sweep(self, group_id: str) -> None: ...
        async def _manage(self, part: Manager, *, settled: bool = True) -> None: ...

    async def role_changed(self, role: str) -> None:
        """The agent's session says that this node's role is now ``manager`` or ``worker``."""
        if role == self.role and (role == "manager") == (self.manager is not None):
            return
        self.role = role
        self._changed()
        if role == "manager":
            self._spawn(self._become_manager())
        elif self.manager is not None:
            await self._resign()

    def manager_removed(self, removed: Manager) -> None:
        """The group has taken this manager out."""
        if removed is self.manager:
            self._spawn(self._taken_out())

    async def _taken_out(self) -> None:
        """Usually a demotion, and the node's role follows. If it does not, as with the other managers after
        ``--force-new-cluster``, the node looks what it is to be after a while, and joins the managers again."""
        await self._resign()
        await self.world.clock.sleep(ROLE_TIMEOUT)
        leader = self.find_leader()
        node = leader.store.get(Node, self.node_id) if leader is not None else None
        if node is not None and self.local_state == "active":
            await self.role_changed(node.role)

    async def _resign(self) -> None:
        was, self.manager = self.manager, None
        if was is not None:
            self.peers.learn(was.members_by_node())
            self.peers.forget(self.node_id)
            group_id, self.group_id = self.group_id, ""
            self._raft_id = 0
            self.role = "worker"
            self._changed()
            await was.destroy()
            self._sweep(group_id)

    async def _become_manager(self) -> None:
        """Become a member of the Raft group; tried until it works or the role is another one."""
        async with self._promotion:
            await self._join_managers()

    async def _join_managers(self) -> None:
        while self.role == "manager" and self.manager is None and self._powered:
            leading = self.peers.find_leading()
            if leading is not None and leading.manager is not None:
                args = (self.node_id, self.addresses.advertise, self.machine)
                try:
                    raft_id = await self.world.fleet.call(self.machine, leading.machine, leading.manager.admit, *args)
                except (Unreachable, NoLeader) as error:
                    _log.info("%s cannot join the managers yet: %s", self.machine, error)
                else:
                    self.group_id = leading.group_id
                    group = self.registry.exchange.group(self.group_id)
                    await self._manage(Manager.joining(cast("SwarmNode", self), group, raft_id), settled=False)
                    self._changed()
                    return
            await self.world.clock.sleep(_RETRY)

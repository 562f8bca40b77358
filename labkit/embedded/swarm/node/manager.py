"""The manager in a node: its member of the Raft group, its store, and what it does while it leads.

A node has one while its role is manager. Losing and gaining the lead comes as callbacks from the member, at any time;
one task brings the loops of the leader up and down behind it, one after the other, so that two sets never run at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.embedded.swarm.errors import ApiError, RpcError
from labkit.embedded.swarm.node import addresses
from labkit.embedded.swarm.node.rolemanager import RoleManager
from labkit.embedded.swarm.objects import Cluster, Network, Node
from labkit.embedded.swarm.raft.group import Group
from labkit.embedded.swarm.raft.member import Member
from labkit.embedded.swarm.store import Store, Tx

if TYPE_CHECKING:
    from labkit.embedded.swarm.leader.leader import Leader
    from labkit.embedded.swarm.node.swarmnode import SwarmNode

RETRY = 0.5  # seconds before a leader whose loops did not start tries again

_log = logging.getLogger("labkit.swarm.manager")


def make_leader(node: SwarmNode, store: Store, world: Any) -> Leader:
    """The loops of room ``leader``; imported when first needed, since most managers never lead."""
    from labkit.embedded.swarm.leader.leader import Leader

    return Leader(node, store, world)


class Manager:
    """Made with one of the three constructors below, then :meth:`start`."""

    def __init__(self, node: SwarmNode, seed: Callable[[Tx], None] | None = None) -> None:
        self._node = node
        self._world = node.world
        self._seed = seed
        self.store = Store(node.world.clock)
        self.member: Member
        self.leader: Leader | None = None  # while its loops run
        self._roles: RoleManager | None = None
        self._leads = False
        self._follower: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    def _rest(self) -> dict[str, Any]:
        return {
            "machine": self._node.machine,
            "store": self.store,
            "rng": self._world.rng,
            "on_leadership": self._lead,
            "on_removed": self._removed,
            "on_membership": self._membership,
        }

    @classmethod
    def found(cls, node: SwarmNode, group: Group, seed: Callable[[Tx], None]) -> Manager:
        """The first manager of a new swarm; ``seed`` fills its store."""
        manager = cls(node, seed)
        manager.member = Member.found(
            node.registry.exchange, group, new_raft_id(node.world.rng), manager.context, **manager._rest()
        )
        return manager

    @classmethod
    def joining(cls, node: SwarmNode, group: Group, raft_id: int) -> Manager:
        """A manager that the leader has just added."""
        manager = cls(node)
        manager.member = Member.join(node.registry.exchange, group, raft_id, **manager._rest())
        return manager

    @classmethod
    def restore(cls, node: SwarmNode, group: Group, raft_id: int) -> Manager:
        """A manager as the disk has it."""
        manager = cls(node)
        manager.member = Member.restore(node.registry.exchange, group, raft_id, **manager._rest())
        return manager

    @property
    def context(self) -> tuple[str, str, str]:
        """What the group knows of this member: node id, address, machine."""
        return (self._node.node_id, self._node.addresses.advertise, self._node.machine)

    def members_by_node(self) -> dict[str, tuple[str, str]]:
        """Address and machine of every member by its node's id, as this one knows them."""
        return {id: (address, machine) for id, address, machine in self.member.membership.members.values()}

    # -- life

    def start(self) -> None:
        """Take part."""
        self.member.start()

    async def stop(self) -> None:
        """Power is gone, or the process ends: what is on disk stays."""
        self.member.stop()
        await self._let_go()

    async def destroy(self) -> None:
        """The node is no manager any more: its member is forgotten."""
        self.member.destroy()
        await self._let_go()

    async def _let_go(self) -> None:
        while self._follower is not None and not self._follower.done():
            await asyncio.wait([self._follower])

    # -- leading

    def _lead(self, leads: bool) -> None:
        self._leads = leads
        self._settled.clear()
        if self._follower is None or self._follower.done():
            self._follower = asyncio.create_task(self._follow(), name=f"{self._node.machine}: leadership")

    async def _follow(self) -> None:
        while self._leads != (self.leader is not None):
            if self._leads:
                try:
                    await self._take_the_lead()
                except Exception as error:
                    known = isinstance(error, RpcError)  # lost the lead while taking it
                    _log.log(
                        logging.INFO if known else logging.ERROR, "%s cannot lead", self._node.machine, exc_info=error
                    )
                    if self._leads:
                        await self._world.clock.sleep(RETRY)
            else:
                await self._hand_over()
        self._settled.set()

    async def _take_the_lead(self) -> None:
        if self._seed is not None:
            await self.store.update(self._seed)
            self._seed = None
        leader = make_leader(self._node, self.store, self._world)
        try:
            await leader.start()
        except BaseException:
            await leader.stop()
            raise
        self.leader = leader
        self._roles = RoleManager(self.member, self.store, self._world.clock)
        self._roles.start()

    async def _hand_over(self) -> None:
        leader, self.leader = self.leader, None
        if self._roles is not None:
            await self._roles.stop()
            self._roles = None
        if leader is not None:
            await leader.stop()

    async def until_settled(self) -> None:
        """Waits until what this member's leadership asks for is up (or down)."""
        await self._settled.wait()

    def _membership(self) -> None:
        if self._roles is not None:
            self._roles.wake()

    def _removed(self) -> None:
        self._node.manager_removed(self)

    # -- what the leader does for others

    async def admit(self, node_id: str, address: str, machine: str) -> int:
        """Make a node a member of the group; returns its Raft id. Only on the leader.

        Raises RpcError when the leader does not reach the new member at its own address.
        """
        member = self.member
        if not member.leads:
            raise RpcError("FailedPrecondition", "raft: failed to process the request: node lost leader status")
        known = member.id_of_node(node_id)
        if known is not None:
            return known
        if not self._node.registry.reachable(self._node.machine, machine):
            host, port = addresses.split(address)
            raise RpcError(
                "Unavailable",
                "could not connect to prospective new cluster member using its advertised address: "
                f'connection error: desc = "transport: Error while dialing: dial tcp {host}:{port}: i/o timeout"',
            )
        raft_id = new_raft_id(self._world.rng)
        await member.add(raft_id, (node_id, address, machine))
        return raft_id

    async def issue(self, token: str, availability: str) -> tuple[str, str]:
        """Check a join token and make a node object; returns the node's id and role. Only on the leader."""
        cluster = self.store.cluster()
        role = {} if cluster is None else {cluster.manager_token: "manager", cluster.worker_token: "worker"}
        if token not in role:
            raise RpcError("InvalidArgument", "A valid join token is necessary to join this cluster")
        node = new_node(self._world.ids.swarm_id(), role[token], availability)
        await self.store.update(lambda tx: tx.create(node))
        return node.id, node.role


def new_raft_id(rng: Any) -> int:
    """Ids are drawn, never counted: one that was used and removed must not come back."""
    return int(rng.randrange(1, 2**63))


def new_node(id: str, role: str, availability: str) -> Node:
    """The object of a node that has just joined; its agent tells the rest."""
    spec = {"Labels": {}, "Role": role, "Availability": availability or "active"}
    return Node(id=id, spec=spec, role=role)


def seed(node: Node, cluster: Cluster, ingress_id: str) -> Callable[[Tx], None]:
    """What a new swarm's store begins with: the cluster, its first node and the ingress network."""
    ingress = Network(
        id=ingress_id,
        spec={"Name": "ingress", "Labels": {}, "Driver": "overlay", "Ingress": True, "IPAM": {"Driver": "default"}},
    )

    def fill(tx: Tx) -> None:
        for obj in (cluster, node, ingress):
            tx.create(obj)

    return fill


def check_availability(availability: str) -> str:
    """``active``, ``pause`` or ``drain``; empty means active. Raises ApiError (500, as dockerd)."""
    if availability and availability.lower() not in ("active", "pause", "drain"):
        raise ApiError(f'invalid Availability: "{availability}"')
    return availability.lower()

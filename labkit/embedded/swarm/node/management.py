"""What a node does with the API's calls that only managers answer: all of them go to the leader's store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.node import clusterspec, control, info
from labkit.embedded.swarm.objects import Cluster, Json
from labkit.embedded.swarm.store import Store

if TYPE_CHECKING:
    from labkit.embedded.swarm.leader.leader import Leader
    from labkit.embedded.swarm.node.manager import Manager
    from labkit.embedded.swarm.node.peers import Peers


class Management:
    """The part of :class:`~labkit.embedded.swarm.node.swarmnode.SwarmNode` that reads and writes the cluster."""

    world: Any
    node_id: str
    manager: Manager | None
    peers: Peers

    # -- the way to the leader (see peers.py)

    async def leader_store(self) -> Store:
        """The leader's store, as this manager's API handlers reach it.

        Waits up to 20 s for a leader, as dockerd does, unless there has been none for 10 ticks. Raises ``NotManager``,
        ``NoLeader``, ``DeadlineExceeded``.
        """
        return await self.peers.leader_store()

    def find_leader(self) -> Leader | None:
        """For the agent: a leader that this machine reaches, itself or through a manager that it knows."""
        leading = self.peers.find_leading()
        return leading.leader if leading is not None else None

    def leader_node_id(self) -> str | None:
        """The node that leads, as far as this manager knows."""
        leading = self.peers.my_leader()
        return leading.node_id if leading is not None else None

    def reachability(self, node_id: str) -> str:
        """``ManagerStatus.Reachability`` of a manager as this one sees it: ``reachable | unreachable | unknown``."""
        member = self.manager.member if self.manager is not None else None
        raft_id = member.id_of_node(node_id) if member is not None and member.running else None
        if member is None or raft_id is None:
            return "unknown"
        return "reachable" if member.active(raft_id) else "unreachable"

    # -- docker swarm inspect, update

    async def inspect(self) -> Json:
        """``GET /swarm``: the cluster with its join tokens."""
        return info.swarm(await self._cluster(await self.leader_store()))

    async def _cluster(self, store: Store) -> Cluster:
        cluster = store.cluster()
        if cluster is None:
            raise NoLeader
        return cluster

    async def update_cluster(
        self,
        version: int,
        spec: Json,
        *,
        rotate_worker: bool = False,
        rotate_manager: bool = False,
        rotate_unlock: bool = False,
    ) -> None:
        """``POST /swarm/update``: replaces the whole spec. Raises BadRequest, RpcError, ``OutOfSequence``."""
        store = await self.leader_store()
        completed = clusterspec.completed(spec)
        await store.update(
            lambda tx: clusterspec.update(
                tx,
                self.world.rng,
                version,
                completed,
                worker=rotate_worker,
                manager=rotate_manager,
                unlock=rotate_unlock,
            )
        )

    async def unlock_key(self) -> str:
        """``GET /swarm/unlockkey``: empty when managers are not locked."""
        return (await self._cluster(await self.leader_store())).unlock_key

    # -- docker node update, promote, demote, rm

    async def update_node(self, node_id: str, version: int, spec: Json) -> None:
        """``POST /nodes/{id}/update``: ``node_id`` is a whole id, ``spec`` checked. The role manager does the rest."""
        store = await self.leader_store()
        member = self.peers.manager_of(store).member
        await store.update(lambda tx: control.update_node(tx, member, node_id, version, spec))

    async def remove_node(self, node_id: str, force: bool) -> None:
        """``DELETE /nodes/{id}``: ``node_id`` is a whole id."""
        store = await self.leader_store()
        member = self.peers.manager_of(store).member
        await store.update(lambda tx: control.remove_node(tx, member, node_id, force))

"""``docker swarm init``: the request checked in dockerd's order, and the two ways to begin a group of managers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.embedded.swarm.node import addresses, clusterspec, manager
from labkit.embedded.swarm.node.manager import Manager
from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.raft.messages import Membership
from labkit.embedded.swarm.store import Store

if TYPE_CHECKING:
    from labkit.embedded.swarm.node.swarmnode import SwarmNode


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a node listens, what it tells the others, and where its data goes (empty: the same)."""

    listen: str = ""
    advertise: str = ""
    data_path: str = ""

    @classmethod
    def of(cls, req: Json, listen: str, own: str) -> Addresses:
        """From an init or join request on a machine with the address ``own``. Raises ApiError."""
        host, port = addresses.listen(listen, own)
        advertise = addresses.advertise(req.get("AdvertiseAddr", ""), own, port)
        data_path = addresses.data_path(req.get("DataPathAddr", ""), own)
        return cls(addresses.join(host, port), advertise, data_path)


@dataclass(frozen=True, slots=True)
class Plan:
    """An init request, checked."""

    addresses: Addresses
    availability: str
    pools: list[str]
    subnet_size: int
    data_path_port: int
    lock: bool
    spec: Json


def plan(req: Json, own: str) -> Plan:
    """Check an init request. Raises ApiError in the engine's words."""
    listen = addresses.with_port("ListenAddr", req.get("ListenAddr", ""))
    spec = req.get("Spec") or {}
    clusterspec.check_name(spec)
    where = Addresses.of(req, listen, own)
    pools = [str(pool) for pool in req.get("DefaultAddrPool") or ()]
    size = int(req.get("SubnetSize") or 0)
    addresses.check_pools(pools, size)
    port = addresses.data_path_port(int(req.get("DataPathPort") or 0))
    availability = manager.check_availability(req.get("Availability", ""))
    return Plan(where, availability, pools, size, port, bool(req.get("AutoLockManagers")), spec)


def found(node: SwarmNode, plan: Plan) -> Manager:
    """The first manager of a new swarm; ``node`` has its id, the swarm's and the group's."""
    world = node.world
    cluster = clusterspec.new_cluster(
        node.swarm_id,
        world.rng,
        world.clock.time(),
        pools=plan.pools,
        subnet_size=plan.subnet_size,
        data_path_port=plan.data_path_port,
        lock=plan.lock,
    )
    first = manager.new_node(node.node_id, "manager", plan.availability)
    fill = manager.seed(first, cluster, world.ids.swarm_id())
    return Manager.found(node, node.registry.exchange.group(node.group_id), fill)


def found_again(node: SwarmNode, old: Manager) -> Manager:
    """``--force-new-cluster``: a new group that keeps this manager's state and has no other member.

    ``old`` is stopped; ``node`` has the new group's id.
    """
    group = node.registry.exchange.group(node.group_id)
    was = old.member.membership
    others = frozenset(was.members) - {old.member.id} | was.removed
    group.found(old.store.snapshot(), old.member.raft.term, Membership({old.member.id: old.context}, others))
    return Manager.restore(node, group, old.member.id)


async def merge_spec(node: SwarmNode, store: Store, spec: Json) -> None:
    """What ``swarm init`` was given goes over the defaults, as a second write (dockerd does so, too)."""
    cluster = store.cluster()
    if cluster is not None and (merged := clusterspec.merged(spec, cluster.spec)) != cluster.spec:
        await store.update(lambda tx: clusterspec.set_spec(tx, node.world.rng, merged))

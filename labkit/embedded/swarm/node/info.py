"""``GET /swarm`` and the ``Swarm`` object of ``GET /info``, as dockerd shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.swarm.errors import NoLeader
from labkit.embedded.swarm.node import clusterspec, words
from labkit.embedded.swarm.objects import Cluster, Json, Node

if TYPE_CHECKING:
    from labkit.embedded.swarm.node.swarmnode import SwarmNode

_TWO_MANAGERS = """WARNING: Running Swarm in a two-manager configuration. This configuration provides
         no fault tolerance, and poses a high risk to lose control over the cluster.
         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the
         Swarm for fault-tolerance."""


def swarm(cluster: Cluster) -> Json:
    """The cluster with its join tokens."""
    return {**_shown(cluster), "JoinTokens": {"Worker": cluster.worker_token, "Manager": cluster.manager_token}}


def _shown(cluster: Cluster) -> Json:
    from labkit.embedded.swarm.api import render  # the wire's way to write ids, versions and times

    return clusterspec.shown(cluster, render.meta(cluster))


def info(node: SwarmNode) -> Json:
    """Six states, one shape: inactive, pending, locked, worker, manager, and manager without a leader."""
    locked = node.local_state == "locked"
    out: Json = {
        "NodeID": "" if locked else node.node_id,
        "NodeAddr": node.address,
        "LocalNodeState": node.local_state,
        "ControlAvailable": node.is_manager,
        "Error": str(words.Locked()) if locked else node.error,
        "RemoteManagers": None if locked else node.remote_managers() or None,
    }
    if node.is_manager:
        _add_cluster(node, out)
    return out


def _add_cluster(node: SwarmNode, out: Json) -> None:
    store = node.peers.leaders_store()
    cluster = store.cluster() if store is not None else None
    if store is None or cluster is None:
        out["Error"] = str(NoLeader())
        out["Cluster"] = clusterspec.NOT_KNOWN
        return
    nodes = store.all(Node)
    managers = sum(member.raft_id is not None for member in nodes)
    # Go leaves zeros out, and writes the fields in this order.
    out.update({key: count for key, count in (("Nodes", len(nodes)), ("Managers", managers)) if count})
    out["Cluster"] = _shown(cluster)
    if managers == 2:
        out["Warnings"] = [_TWO_MANAGERS]

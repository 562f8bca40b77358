"""One Docker host's part in a swarm: what dockerd calls its ``cluster`` component. (Signatures; the body follows.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.embedded.swarm.errors import NotManager
from labkit.embedded.swarm.objects import Json
from labkit.embedded.swarm.store import Store

if TYPE_CHECKING:
    from labkit.embedded.swarm.leader.leader import Leader


class SwarmNode:
    """The swarm membership of one host. One a host, made with it, whether or not it is in a swarm."""

    def __init__(self, host: Any, world: Any) -> None:
        self.host = host
        self.world = world
        self.local_state = "inactive"  # inactive | pending | active | error | locked
        self.node_id = ""
        self.is_manager = False
        self.store: Store | None = None  # this manager's own copy
        self.leader: Leader | None = None  # while this manager leads

    # -- what the API calls

    async def init(self, req: Json) -> str:
        """``POST /swarm/init``; returns the node id."""
        raise NotImplementedError

    async def join(self, req: Json) -> None:
        """``POST /swarm/join``."""
        raise NotImplementedError

    async def leave(self, force: bool = False) -> None:
        """``POST /swarm/leave``."""
        raise NotImplementedError

    async def inspect(self) -> Json:
        """``GET /swarm``."""
        raise NotImplementedError

    async def update_cluster(
        self,
        version: int,
        spec: Json,
        *,
        rotate_worker: bool = False,
        rotate_manager: bool = False,
        rotate_unlock: bool = False,
    ) -> None:
        """``POST /swarm/update``."""
        raise NotImplementedError

    async def unlock_key(self) -> str:
        """``GET /swarm/unlockkey``: empty when the swarm is not locked."""
        raise NotImplementedError

    async def unlock(self, key: str) -> None:
        """``POST /swarm/unlock``."""
        raise NotImplementedError

    async def update_node(self, node_id: str, version: int, spec: Json) -> None:
        """``POST /nodes/{id}/update``: ``node_id`` is a whole id, resolved by the handler."""
        raise NotImplementedError

    async def remove_node(self, node_id: str, force: bool) -> None:
        """``DELETE /nodes/{id}``: ``node_id`` is a whole id, resolved by the handler."""
        raise NotImplementedError

    def info(self) -> Json:
        """The ``Swarm`` object of ``GET /info``."""
        return {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        }

    def ping_status(self) -> str:
        """The ``Swarm`` header of ``/_ping``: ``inactive``, ``active/manager``, ``active/worker``…"""
        return self.local_state

    async def leader_store(self) -> Store:
        """The leader's store, as this manager's API handlers reach it. Raises ``NotManager`` or ``NoLeader``."""
        raise NotManager(NotManager.NO_SWARM)

    # -- what loops, agents and renderers ask

    def reachability(self, node_id: str) -> str:
        """``ManagerStatus.Reachability`` of a manager as the leader sees it: ``reachable | unreachable | unknown``."""
        return "unknown"

    def leader_node_id(self) -> str | None:
        """The node that leads, as far as this manager knows."""
        return None

    def find_leader(self) -> Leader | None:
        """For the agent: a leader that this machine reaches, itself or through a manager that it knows."""
        return None

    async def role_changed(self, role: str) -> None:
        """The agent's session says that this node's role is now ``manager`` or ``worker``."""

    def remote_managers(self) -> list[Json]:
        """``[{"NodeID": …, "Addr": "ip:2377"}]``: the managers that this node knows."""
        return []

    # -- life of the process and the machine

    async def restore(self) -> None:
        """After a restart of the process: be again what the storage says."""

    async def stop(self) -> None:
        """The process ends; membership stays."""

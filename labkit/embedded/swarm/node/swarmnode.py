"""One Docker host's part in a swarm: what dockerd calls its ``cluster`` component.

A node is in one of the states that ``docker info`` shows: *inactive*, *pending* (a join that goes on in the
background), *active*, *locked* (an autolocked manager whose machine has been off), *error*. While it is active it has
an :class:`~labkit.embedded.swarm.agent.agent.Agent`, and a :class:`~labkit.embedded.swarm.node.manager.Manager` if its
role is that. What it must remember is one row of the storage, written as it changes.

Calls between nodes go over the fleet, so that a plug that is pulled cuts them. An API call on a manager that does not
lead is answered from the leader's store, as SwarmKit's ``raftproxy`` does; how long such a call waits for a leader,
and with which words it gives up, is that of the real one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from labkit.embedded.swarm.errors import ApiError, NoLeader, NotManager
from labkit.embedded.swarm.node import founding, info, joining, words
from labkit.embedded.swarm.node.addresses import split
from labkit.embedded.swarm.node.founding import Addresses
from labkit.embedded.swarm.node.management import Management
from labkit.embedded.swarm.node.manager import Manager, check_availability
from labkit.embedded.swarm.node.peers import Peers
from labkit.embedded.swarm.node.registry import Registry
from labkit.embedded.swarm.node.roles import Roles
from labkit.embedded.swarm.node.tokens import check_unlock_key
from labkit.embedded.swarm.objects import Json, Node
from labkit.embedded.swarm.store import Store

if TYPE_CHECKING:
    from labkit.embedded.swarm.leader.leader import Leader

KIND = "swarm/node"  # rows of the storage, by machine
_JOIN_TIMEOUT = 20.0
_READY_TIMEOUT = 20.0

_log = logging.getLogger("labkit.swarm.node")


class SwarmNode(Management, Roles):
    """The swarm membership of one host. Made with the host, whether or not it is in a swarm."""

    def __init__(self, host: Any, world: Any) -> None:
        self.host = host
        self.world = world
        self.machine: str = host.machine.name
        self.registry = Registry.of(world)
        self.registry.add(self)
        self._agent_runs = False
        self._control = asyncio.Lock()  # init, join, leave and unlock, one at a time
        self._promotion = asyncio.Lock()
        self._background: set[asyncio.Task[Any]] = set()
        self._powered = True
        self._clear()

    def _clear(self) -> None:
        self.local_state = "inactive"
        self.error = ""
        self.node_id = ""
        self.swarm_id = ""  # the cluster's
        self.group_id = ""  # that of its managers; another one after --force-new-cluster
        self.role = ""  # what this node is, once it is something
        self.addresses = Addresses()
        self.manager: Manager | None = None
        self._raft_id = 0
        self._join: Json | None = None  # the request that is still being tried
        self.peers = Peers(self)

    # -- what it is

    @property
    def is_manager(self) -> bool:
        """Whether it takes part in Raft now."""
        return self.manager is not None and self.manager.member.running

    @property
    def store(self) -> Store | None:
        """This manager's own copy."""
        return self.manager.store if self.manager is not None else None

    @property
    def leader(self) -> Leader | None:
        """The leader's loops, while this manager leads and they run."""
        return self.manager.leader if self.manager is not None else None

    @property
    def serves(self) -> bool:
        """Whether it answers calls of agents and other managers."""
        return self._powered and self.is_manager

    @property
    def address(self) -> str:
        """The address that the others use, without the port; empty when it is in no swarm."""
        return split(self.addresses.advertise)[0] if self.addresses.advertise else ""

    # -- docker swarm init

    async def init(self, req: Json) -> str:
        """``POST /swarm/init``; returns the node id.

        With ``ForceNewCluster`` on a manager: begin a new group with this manager's state and no other member.
        Raises ApiError in the engine's words.
        """
        async with self._control:
            again = self.local_state != "inactive"
            if again and not req.get("ForceNewCluster"):
                raise words.SwarmExists
            if again and not self.is_manager:
                raise NotManager(NotManager.IN_SWARM)
            plan = founding.plan(req, self.host.machine.address)
            self.addresses = plan.addresses
            if again:
                await self._force_new_cluster()
            else:
                ids = self.world.ids
                self.node_id, self.swarm_id, self.group_id = ids.swarm_id(), ids.swarm_id(), ids.swarm_id()
                self.role = "manager"
                await self._manage(founding.found(self, plan))
                await self._activate()
            if self.manager is None:
                raise NoLeader
            await founding.merge_spec(self, self.manager.store, plan.spec)
            await self._until_ready()
            return self.node_id

    async def _force_new_cluster(self) -> None:
        old = self.manager
        assert old is not None
        await old.stop()
        was = self.group_id
        self.peers = Peers(self)
        with self.world.storage.transaction():  # a kill in between must not lose the state
            self.group_id = self.world.ids.swarm_id()
            part = founding.found_again(self, old)
            self.manager = part
            self._keep()
        await old.destroy()
        self._sweep(was)
        await self._manage(part)

    # -- docker swarm join

    async def join(self, req: Json) -> None:
        """``POST /swarm/join``. After 20 s without success it goes on in the background (``JoinTimeout``)."""
        async with self._control:
            if self.local_state != "inactive":
                raise words.SwarmExists
            req = joining.checked(req)
            check_availability(req.get("Availability", ""))
            self.addresses = Addresses.of(req, req["ListenAddr"], self.host.machine.address)
            self.local_state, self._join = "pending", req
            self._keep()
            attempt = self._spawn(self._joining(req))
            try:
                async with self.world.clock.timeout(_JOIN_TIMEOUT):
                    await asyncio.shield(attempt)
            except TimeoutError:
                raise words.JoinTimeout from None
            except BaseException:
                if attempt.done():
                    self._clear()
                    self._keep()
                raise

    async def _joining(self, req: Json) -> None:
        """Get an id and a role with the token, become that, and tell nobody before it is done."""
        issued = await joining.get_certificate(self, req)
        self.node_id, self.role, self.swarm_id = issued.node_id, issued.role, issued.swarm_id
        self.peers.learn(issued.managers)
        self._join = None
        if self.role == "manager":
            await self._become_manager()
        await self._activate()
        await self._until_ready()

    # -- docker swarm leave

    async def leave(self, force: bool = False) -> None:
        """``POST /swarm/leave``. A manager only goes with ``force``; without, the words tell what it would cost."""
        async with self._control:
            if self.local_state == "inactive":
                raise words.NoSwarm
            if self.local_state == "locked" and not force:
                raise words.LeaveLocked
            if self.manager is not None and self.local_state != "locked" and not force:
                raise self._leave_warning()
            self._cancel_background()
            if self.manager is not None:
                await self.manager.destroy()
            self._agent_runs = False
            await self.host.agent.leave()
            group_id = self.group_id
            self._clear()
            self._changed()
            self._sweep(group_id)

    def _sweep(self, group_id: str) -> None:
        """Erase what a group of managers has on disk if no node is in it any more."""
        if group_id and not any(row["group"] == group_id for row in self.world.storage.all(KIND).values()):
            self.registry.exchange.erase(group_id)

    def _leave_warning(self) -> words.LeaveManager:
        store = self.peers.leaders_store()
        members = self.manager.member.membership.members if self.manager is not None else {}
        states = [self.reachability(context[0]) for context in members.values()]
        return words.LeaveManager.warning(
            ready=self.is_manager,
            reachable=states.count("reachable"),
            unreachable=states.count("unreachable"),
            counted=store is not None and self.reachability(self.node_id) == "reachable",
        )

    # -- docker swarm unlock

    async def unlock(self, key: str) -> None:
        """``POST /swarm/unlock``: a locked manager takes part again."""
        async with self._control:
            if self.local_state != "locked":
                self._require_inactive_words()
                raise words.NotLocked
            check_unlock_key(key)
            cluster = self.store.cluster() if self.store is not None else None
            if cluster is not None and cluster.unlock_key != key:
                raise words.InvalidUnlockKey
            self.local_state = "active"
            await self._start()

    def _require_inactive_words(self) -> None:
        if not self.is_manager:
            raise self.not_a_manager()

    # -- docker info

    def info(self) -> Json:
        """The ``Swarm`` object of ``GET /info``."""
        return info.info(self)

    def remote_managers(self) -> list[Json]:
        """``[{"NodeID": …, "Addr": "ip:2377"}]``: the managers that this node knows."""
        if self._join is not None:
            return [{"NodeID": "", "Addr": self._join["RemoteAddrs"][0]}]
        return [{"NodeID": id, "Addr": address} for id, (address, _) in self.peers.all().items()]

    def not_a_manager(self) -> ApiError:
        """Why this node cannot be asked about the swarm."""
        if self.local_state == "locked":
            return words.Locked()
        if self.local_state in ("inactive", "error"):
            return NotManager(NotManager.NO_SWARM)
        if self.role == "manager" and self.local_state == "active":
            return words.ManagerNotReady()
        return NotManager(NotManager.IN_SWARM)

    def ping_status(self) -> str:
        """The ``Swarm`` header of ``/_ping``: ``inactive``, ``active/manager``, ``active/worker``, ``locked``…"""
        if self.local_state != "active":
            return self.local_state
        return "active/manager" if self.is_manager else "active/worker"

    # -- parts coming and going

    async def _manage(self, part: Manager, *, settled: bool = True) -> None:
        self.manager = part
        self._raft_id = part.member.id
        part.start()
        if settled:
            await part.until_settled()

    async def _activate(self) -> None:
        self.local_state = "active"
        self._changed()
        if not self._agent_runs:
            self._agent_runs = True
            await self.host.agent.start()

    async def _until_ready(self) -> None:
        """Until the managers call this node ready, which is when ``init`` and ``join`` return."""
        clock = self.world.clock
        deadline = clock.time() + _READY_TIMEOUT
        while clock.time() < deadline and self._agent_runs:
            leader = self.find_leader()
            if leader is None:
                await clock.sleep(0.05)
                continue
            with leader.store.watch(Node) as watch:
                node = leader.store.get(Node, self.node_id)
                if node is not None and node.state == "ready":
                    return
                try:
                    async with clock.timeout(1.0):
                        await watch.wait()
                except TimeoutError:
                    pass

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.info("%s: %s", self.machine, error)
            if self.local_state == "pending":  # a join that went on in the background, and failed for good
                self.local_state, self.error = "error", str(error)
                self._keep()

    def _cancel_background(self) -> None:
        current = asyncio.current_task()
        for task in tuple(self._background):
            if task is not current:
                task.cancel()

    # -- life of the process and the machine

    def _keep(self) -> None:
        storage = self.world.storage
        if self.local_state == "inactive":
            storage.delete(KIND, self.machine)
            return
        row = {
            "state": self.local_state,
            "error": self.error,
            "node_id": self.node_id,
            "swarm": self.swarm_id,
            "group": self.group_id,
            "role": self.role,
            "raft_id": self._raft_id,
            "addresses": self.addresses,
            "join": self._join,
            "remotes": self.peers.all(),
        }
        storage.put(KIND, self.machine, row)

    def _changed(self) -> None:
        """Membership or role is another now: on disk first, then whoever on the host follows it."""
        self._keep()
        self.host.swarm_changed()

    async def restore(self) -> None:
        """After a restart of the process, or of the machine: be again what the node was.

        Nothing starts on a machine that is off. An autolocked manager whose machine has been off waits for the key.
        """
        if self.local_state != "inactive":
            await self._power_on()
            return
        row = self.world.storage.get(KIND, self.machine)
        if row is None:
            return
        self.local_state, self.error = row["state"], row["error"]
        self.node_id, self.swarm_id, self.group_id = row["node_id"], row["swarm"], row["group"]
        self.role, self._raft_id, self._join = row["role"], row["raft_id"], row["join"]
        self.addresses = Addresses(**row["addresses"])
        self.peers.learn({id: (address, machine) for id, (address, machine) in row["remotes"].items()})
        if self._raft_id:
            group = self.registry.exchange.group(self.group_id)
            self.manager = Manager.restore(self, group, self._raft_id)
        self._powered = self.world.fleet.machine(self.machine).power != "off"
        if self._powered:
            await self._start()

    async def _start(self) -> None:
        """Begin, or go on, being what the node is."""
        if self.local_state == "pending" and self._join is not None:
            self._spawn(self._joining(self._join))
        if self.local_state != "active":
            return
        if self.manager is not None:
            self.manager.start()
        elif self.role == "manager":
            self._spawn(self._become_manager())
        await self._activate()

    async def _power_on(self) -> None:
        if self._powered:
            return
        self._powered = True
        cluster = self.store.cluster() if self.store is not None else None
        if self.local_state == "active" and cluster is not None and cluster.unlock_key:
            self.local_state = "locked"
            self._changed()
        await self._start()

    async def stop(self) -> None:
        """The process ends, or the machine has lost its power; membership stays."""
        self._powered = False
        self._cancel_background()
        if self._agent_runs:
            self._agent_runs = False
            await self.host.agent.stop()
        if self.manager is not None:
            await self.manager.stop()

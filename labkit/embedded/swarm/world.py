"""A Swarm sandbox put together: machines, their Docker hosts and sockets, and, unless it is plain, a swarm of them.

Nothing is short-cut: the first machine does ``docker swarm init``, the others join with its tokens through the very
calls that the API makes, and all of it is ready once the leader's store says that every node is.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.embedded.orchestrators import WorldError
from labkit.embedded.runtime.clock import ScaledClock
from labkit.embedded.runtime.ids import Ids
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import GIB, Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.sockets import HttpSocket, make_runner
from labkit.embedded.swarm.api.app import Api
from labkit.embedded.swarm.errors import ApiError
from labkit.embedded.swarm.host.front import Front
from labkit.embedded.swarm.host.host import Host
from labkit.embedded.swarm.host.networkdb import NetworkDB
from labkit.embedded.swarm.host.virtualips import VirtualIPs
from labkit.embedded.swarm.objects import Json, Node
from labkit.embedded.world import BaseWorld, time_to_start

log = logging.getLogger(__name__)

READY_TIMEOUT = 20.0  # seconds of the wall clock
READY_TIMEOUT_DAMAGED = 3.0  # when it comes back with plugs pulled, so that there may be no quorum to wait for
LISTEN = "0.0.0.0:2377"


@dataclass(frozen=True)
class Options:
    """What ``python -m labkit.embedded swarm`` was asked for."""

    name: str
    run: Path
    managers: int = 3
    workers: int = 2
    plain: bool = False
    speed: float = 1.0
    cpus: float = 4.0
    memory: int = 8 * GIB

    def machine_names(self) -> list[str]:
        """``manager-1``… and ``worker-1``…, or ``node-1``… for a plain sandbox."""
        if self.plain:
            return [f"node-{number}" for number in range(1, self.managers + self.workers + 1)]
        return [f"manager-{number}" for number in range(1, self.managers + 1)] + [
            f"worker-{number}" for number in range(1, self.workers + 1)
        ]


class World(BaseWorld):
    """One Swarm sandbox. Made by :meth:`open`."""

    orchestrator = "swarm"

    def __init__(self, options: Options, storage: Storage, clock: ScaledClock, network: Network, fleet: Fleet) -> None:
        self.options = options
        self.name = options.name
        self.storage = storage
        self.clock = clock
        self.network = network
        self.fleet = fleet
        self.rng = random.Random()
        self.ids = Ids(self.rng)
        self.catalogue = Catalogue()
        self.networkdb = NetworkDB(fleet, clock)
        self.front = Front(network)
        self.virtual_ips = VirtualIPs(self)
        self.hosts: dict[str, Host] = {}
        self.notes: list[str] = []
        self.ready = False
        self.shutdown = asyncio.Event()
        self._api = Api()
        self._sockets: dict[str, HttpSocket] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: Any = None

    # -- coming up

    @classmethod
    async def open(cls, options: Options, storage: Storage) -> World:
        """Build or restore the world and open its sockets; :meth:`bring_up` makes it a swarm."""
        stored = storage.get("world", "world") or {}
        clock = ScaledClock(options.speed, start=time_to_start(storage.get("world", "clock")))
        fleet = Fleet(clock)
        network = await Network.open(fleet, clock, stored.get("block"))
        world = cls(options, storage, clock, network, fleet)
        try:
            await world._build(stored)
        except BaseException as error:
            await world.close()
            if isinstance(error, ApiError):
                raise WorldError(str(error)) from error
            raise
        return world

    async def _build(self, stored: Json) -> None:
        rows = stored.get("machines") or []
        if rows:
            self._note_differences(stored)
        else:
            rows = [
                {"name": name, "cpus": self.options.cpus, "memory": self.options.memory}
                for name in self.options.machine_names()
            ]
        self.plain = bool(stored.get("plain", self.options.plain))
        self.restored = bool(stored)
        plugs = self.storage.all("plug")
        for index, row in enumerate(rows):
            address = self.network.machine_address(index)
            self.fleet.add(Machine(name=row["name"], address=address, cpus=row["cpus"], memory=row["memory"]))
            if row["name"] in plugs:
                self.fleet.restore(row["name"], plugs[row["name"]])
        self.storage.put(
            "world",
            "world",
            {
                "machines": rows,
                "plain": self.plain,
                "block": self._block_number(),
                "joined": stored.get("joined", False),
            },
        )
        self._runner = await make_runner(self._api.application())
        for machine in self.fleet.machines.values():
            host = Host(self, machine)
            self.hosts[machine.name] = host
            path = self.socket_path(machine.name)
            self._api.hosts[str(path)] = host
            self._sockets[machine.name] = HttpSocket(self._runner, path)
        await asyncio.gather(*(host.start() for host in self.hosts.values()))
        self.fleet.subscribe(self._plugged)
        for machine in self.fleet.machines.values():
            if machine.power != "off":
                await self._sockets[machine.name].open()
        self.spawn(self._keep_time())

    def _block_number(self) -> int:
        return int(self.network.block.split(".")[1])

    def _note_differences(self, stored: Json) -> None:
        names = [row["name"] for row in stored["machines"]]
        if sorted(names) != sorted(self.options.machine_names()):
            self.notes.append(
                f"This sandbox exists already with {', '.join(names)}; what is stored is kept. "
                "Take it down first to have other machines."
            )

    def socket_path(self, machine: str) -> Path:
        """Where the Docker host of a machine is reached."""
        return self.options.run / f"{machine}.sock"

    async def bring_up(self) -> None:
        """Make the machines a swarm if they are to be one, and wait until every node is ready.

        Raises:
            WorldError: it did not become ready in time.
        """
        whole = all(self.fleet.state(name) == "up" for name in self.fleet.machines)
        try:
            async with asyncio.timeout(READY_TIMEOUT if whole else READY_TIMEOUT_DAMAGED):
                stored = self.storage.get("world", "world")
                if not self.plain and not stored["joined"]:
                    await self._form()
                    self.storage.put("world", "world", {**stored, "joined": True})
                await self._until_ready()
        except TimeoutError:
            if not self.restored:
                raise WorldError(f"the swarm was not ready within {READY_TIMEOUT:g} s") from None
            self.notes.append("Not every node is ready: perhaps machines are down, or the swarm has no quorum.")
        except ApiError as error:
            raise WorldError(str(error)) from error
        self.ready = True

    async def _form(self) -> None:
        """``docker swarm init`` on the first machine, ``docker swarm join`` on the others."""
        managers = [host for host in self.hosts.values() if host.name.startswith("manager-")]
        workers = [host for host in self.hosts.values() if host not in managers]
        first = managers[0]
        if first.swarm.local_state == "inactive":
            await first.swarm.init({"ListenAddr": LISTEN, "AdvertiseAddr": first.machine.address})
        tokens = (await first.swarm.inspect())["JoinTokens"]
        for host in managers[1:]:
            await self._join(host, first, tokens["Manager"])
        await asyncio.gather(*(self._join(host, first, tokens["Worker"]) for host in workers))

    async def _join(self, host: Host, via: Host, token: str) -> None:
        if host.swarm.local_state != "inactive":
            return  # an earlier start of the process got as far as this
        await host.swarm.join(
            {
                "ListenAddr": LISTEN,
                "AdvertiseAddr": host.machine.address,
                "RemoteAddrs": [f"{via.machine.address}:2377"],
                "JoinToken": token,
            }
        )

    async def _until_ready(self) -> None:
        """Every node whose machine is up and in a swarm is ``ready`` in the store of its leader."""
        while True:
            waiting = [
                host for host in self.hosts.values() if self._is_expected(host) and not self._is_node_ready(host)
            ]
            if not waiting:
                return
            await asyncio.sleep(0.005)

    def _is_expected(self, host: Host) -> bool:
        return self.fleet.state(host.name) in ("up", "slow") and host.swarm.local_state in ("pending", "active")

    def _is_node_ready(self, host: Host) -> bool:
        leader = host.swarm.find_leader()
        if leader is None:
            return False
        node = leader.store.get(Node, host.swarm.node_id)
        return node is not None and node.state == "ready"

    # -- what goes on

    def _plugged(self, name: str, what: str) -> None:
        """A plug was pulled or put back: keep it, and let the machine's socket follow."""
        super()._plugged(name, what)
        socket = self._sockets[name]
        if self.fleet.machines[name].power == "off":
            socket.close()
        elif not socket.is_open:
            self.spawn(socket.open())

    def host_of_node(self, node_id: str) -> Host | None:
        """The Docker host that is this node of a swarm."""
        return next((host for host in self.hosts.values() if host.swarm.node_id == node_id), None)

    # -- for the control API

    def status(self) -> Json:
        """``GET /status`` of the control API."""
        return {
            **self._status(),
            "machines": [
                {
                    "name": machine.name,
                    "role": self._role(self.hosts[machine.name]),
                    "state": self.fleet.state(machine.name),
                    "address": machine.address,
                    "docker_host": f"unix://{self.socket_path(machine.name)}",
                    "cpus": machine.cpus,
                    "memory": machine.memory,
                }
                for machine in self.fleet.machines.values()
            ],
        }

    def _role(self, host: Host) -> str:
        """What it is in its swarm, with or without power; what it was made for while it is in none."""
        if host.swarm.local_state == "inactive":
            return "none" if self.plain else host.name.partition("-")[0]
        return host.swarm.role

    # -- going down

    async def close(self) -> None:
        """Close everything; what is stored stays."""
        for socket in self._sockets.values():
            socket.close()
        await self._end_tasks()
        for host in self.hosts.values():
            try:
                await host.stop()
            except Exception:  # the others still have to
                log.exception("%s did not stop cleanly", host.name)
        self.front.shut()
        self.virtual_ips.shut()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.network.close()
        self._save_clock()

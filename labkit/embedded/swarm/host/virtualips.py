"""Virtual IPs: one address for a service on an overlay network, behind which its tasks take turns.

In a real swarm each node answers for a VIP itself (IPVS in every network namespace). Here a VIP is one loopback address
that is on no machine: whoever connects is asked for its own address to know from which machine it looks, so a
partitioned client reaches only the tasks of its own side.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.network import EVERYWHERE, Listener
from labkit.embedded.runtime.splice import Stream

from .networkdb import Endpoint, NetworkDB
from .proxy import Balancer

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Address:
    """One VIP: how many tasks are behind it, how many of them listen on which port, and the sockets opened for it."""

    network_id: str
    service_id: str
    tasks: int = 0
    ports: dict[int, int] = field(default_factory=dict)
    listeners: dict[int, Listener] = field(default_factory=dict)


class VirtualIPs:
    """All VIPs of a world. Ingress VIPs are left out: nobody can ask for them, the mesh has its own listeners."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._networkdb: NetworkDB = world.networkdb
        self._addresses: dict[str, _Address] = {}
        self._dirty: set[str] = set()
        self._chores = Chores()
        self._working = False
        self._networkdb.subscribe(self._changed)

    def _changed(self, record: Endpoint, present: bool) -> None:
        if record.ingress or not record.vip:
            return
        address = self._addresses.setdefault(record.vip, _Address(record.network_id, record.service_id))
        address.tasks += 1 if present else -1
        if address.tasks:
            self._world.network.place(record.vip, EVERYWHERE)  # each machine answers a ping for itself
        else:
            self._world.network.unplace(record.vip)
        for port in record.listens:
            count = address.ports.get(port, 0) + (1 if present else -1)
            if count:
                address.ports[port] = count
            else:
                address.ports.pop(port, None)
        if not address.tasks and not address.listeners:
            del self._addresses[record.vip]
        elif address.ports.keys() != address.listeners.keys():
            self._dirty.add(record.vip)
            if not self._working:
                self._working = True
                self._chores.start(self._work())

    async def _work(self) -> None:
        try:
            while self._dirty:
                vip = self._dirty.pop()
                if vip not in self._addresses:
                    continue
                try:
                    await self._settle(vip, self._addresses[vip])
                except OSError as error:
                    log.warning("virtual IP %s: %s", vip, error)
        finally:
            self._working = False

    async def _settle(self, vip: str, address: _Address) -> None:
        for port in address.listeners.keys() - address.ports.keys():
            address.listeners.pop(port).shut()
        for port in address.ports.keys() - address.listeners.keys():
            balancer = Balancer(self._world.network, self._world.fleet, self._chooser(address, port))
            address.listeners[port] = await self._world.network.listen(
                EVERYWHERE, vip, port, lambda *stream, balancer=balancer: self._serve(balancer, stream)
            )
        if not address.tasks and not address.listeners:
            del self._addresses[vip]

    def _chooser(self, address: _Address, port: int) -> Any:
        def choose(machine: str) -> list[tuple[Endpoint, int]]:
            tasks = self._networkdb.service(machine, address.network_id, address.service_id)
            return [(record, port) for record in tasks if port in record.listens]

        return choose

    async def _serve(self, balancer: Balancer, stream: Stream) -> None:
        peer = stream[1].get_extra_info("peername")
        source = peer[0] if peer else ""
        machine = self._world.network.where(source) or ""
        if not machine:  # from outside the sandbox: any machine that has power will do
            machine = next((name for name, m in self._world.fleet.machines.items() if m.power == "on"), "")
            source = ""
        if not machine:
            stream[1].transport.abort()
            return
        await balancer.serve(stream, machine, source)

    def shut(self) -> None:
        """The sandbox ends."""
        for address in self._addresses.values():
            for listener in address.listeners.values():
                listener.shut()
        self._addresses.clear()

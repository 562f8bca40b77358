"""The routing mesh: every node of a swarm listens on every ingress port and hands connections to tasks anywhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.network import Listener
from labkit.embedded.runtime.splice import Stream

from .front import Front
from .networkdb import Endpoint
from .proxy import Balancer

if TYPE_CHECKING:
    from .host import Host

log = logging.getLogger(__name__)


class Ingress:
    """One host's part in the mesh. It listens while it knows a task behind the port, as IPVS has its rule then."""

    def __init__(self, host: Host, front: Front) -> None:
        self._host = host
        self._front = front
        self._listeners: dict[int, Listener] = {}
        self._dirty: set[int] = set()
        self._balancers: dict[int, Balancer] = {}
        self._chores = Chores()
        self._working = False
        host.world.networkdb.subscribe(self._changed)

    @property
    def ports(self) -> list[int]:
        """The ports on which this host listens for the mesh."""
        return sorted(self._listeners)

    def refresh(self) -> None:
        """The host has joined or left a swarm, or has power again: look at every port anew."""
        ports = {port.published for record in self._host.world.networkdb.ingress_records() for port in record.ports}
        self._dirty |= ports | set(self._listeners)
        self._work_soon()

    def _changed(self, record: Endpoint, present: bool) -> None:
        if record.ingress:
            for port in record.ports:
                if port.published and present != (port.published in self._listeners):
                    self._dirty.add(port.published)
            if self._dirty:
                self._work_soon()

    def _work_soon(self) -> None:
        if not self._working:
            self._working = True
            self._chores.start(self._work())

    async def _work(self) -> None:
        try:
            while self._dirty:
                port = self._dirty.pop()
                try:
                    await self._set(port, self._wanted(port))
                except OSError as error:
                    # A container of this host has the port: the mesh does without this node, as iptables would.
                    log.warning("%s: ingress port %d: %s", self._host.name, port, error)
        finally:
            self._working = False

    def _wanted(self, port: int) -> bool:
        host = self._host
        return host.machine.power != "off" and bool(
            host.swarm_id and host.world.networkdb.has_port(host.swarm_id, port)
        )

    async def _set(self, port: int, wanted: bool) -> None:
        listener = self._listeners.get(port)
        if listener is not None and listener.closed:  # the machine had lost its power
            listener = None
            del self._listeners[port]
        if wanted and listener is None:
            self._balancers.setdefault(
                port,
                Balancer(
                    self._host.world.network,
                    self._host.world.fleet,
                    lambda machine: self._candidates(port, machine),
                    # Each node begins with another task, so that asking each machine once shows several.
                    first=list(self._host.world.fleet.machines).index(self._host.name),
                ),
            )
            self._listeners[port] = await self._host.world.network.listen(
                self._host.machine, self._host.machine.address, port, lambda *stream: self._serve(port, stream)
            )
            self._front.open(("ingress", self._host.name, port), port, lambda *stream: self._serve(port, stream))
        elif not wanted:
            self._front.close(("ingress", self._host.name, port))
            self._balancers.pop(port, None)
            if listener is not None:
                del self._listeners[port]
                listener.shut()

    def _candidates(self, port: int, machine: str) -> list[tuple[Endpoint, int]]:
        return self._host.world.networkdb.behind_port(machine, self._host.swarm_id, port)

    async def _serve(self, port: int, stream: Stream) -> None:
        await self._host.world.fleet.gate(self._host.name).wait()
        balancer = self._balancers.get(port)
        if balancer is None or self._host.machine.power == "off":
            stream[1].transport.abort()
            return
        await balancer.serve(stream, self._host.name, self._host.machine.address)

    def close(self) -> None:
        """Stop listening: the power is gone or the sandbox ends."""
        for port in tuple(self._listeners):
            self._front.close(("ingress", self._host.name, port))
            self._listeners.pop(port).shut()

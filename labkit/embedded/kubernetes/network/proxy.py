"""kube-proxy: what each machine does with connections to Services.

A real kube-proxy writes rules into its machine's kernel, and the kernel rewrites packets. Here a Service's address is a
loopback address that is on no machine; whoever connects is asked for its own address to know from which machine it
looks, and is connected by *that* machine's rules. So a machine whose kube-proxy is stopped, or that is cut off from the
API server, goes on by the rules that it last had, and one that never had a kube-proxy leads nowhere.

The endpoint is chosen at random for each connection, as iptables mode does. Connections that cannot be forwarded are
reset; where real packets would be dropped (a local policy without local endpoints) a client is refused instead of left
to wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.embedded.kubernetes.network.rules import Endpoint, Port, Service
from labkit.embedded.kubernetes.network.table import Place, Rules, Table
from labkit.embedded.kubernetes.objects import Key
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import EVERYWHERE, Listener, Network
from labkit.embedded.runtime.splice import Stream, splice

if TYPE_CHECKING:
    from labkit.embedded.runtime.clock import Clock

log = logging.getLogger("labkit.kubernetes.proxy")


class KubeProxy:
    """One machine's kube-proxy: a component of the cluster, to be started and stopped."""

    def __init__(self, services: ServiceProxies, machine: str) -> None:
        self._services = services
        self.machine = machine
        self.running = False
        self._kept: Rules | None = None  # what the machine goes by while it is not connected
        self._affinity: dict[tuple[Key, str, str], tuple[str, float]] = {}

    @property
    def rules(self) -> Rules | None:
        """What the machine does now; None: it has never been told."""
        return self._services.table.rules if self._kept is None and self.running else self._kept

    async def start(self) -> None:
        if not self.running:
            self.running = True
            self.refresh()

    async def stop(self) -> None:
        """Ended: the rules stay in the kernel."""
        if self.running:
            if self._kept is None:
                self._kept = self._services.table.rules.copy()
            self.running = False
            self._services.changed()

    def refresh(self) -> None:
        """It may have been cut off from the API server, or connected again."""
        if not self.running:
            return
        connected = self._services.connected(self.machine)
        if connected and self._kept is not None:
            self._kept = None
        elif not connected and self._kept is None:
            self._kept = self._services.table.rules.copy()
        self._services.changed()

    def lose_power(self) -> None:
        """Rules live in memory."""
        self.running = False
        self._kept = None
        self._affinity.clear()
        self._services.changed()

    def choose(self, service: Service, port: Port, client: str, *, local: bool) -> Endpoint | None:
        """The endpoint for a connection from ``client``; None when there is none for it."""
        found = port.usable(self.machine if local else "")
        if not found:
            return None
        if not service.affinity:
            return self._services.rng.choice(found)
        now = self._services.clock.time()
        key = service.key, port.name, client
        kept = self._affinity.get(key)
        chosen = None
        if kept is not None and now - kept[1] <= service.affinity:
            chosen = next((one for one in found if one.ip == kept[0]), None)
        if chosen is None:
            chosen = self._services.rng.choice(found)
        self._affinity[key] = chosen.ip, now
        return chosen


class ServiceProxies:
    """All machines' kube-proxies, and the sockets on which Services are reached."""

    def __init__(
        self, table: Table, network: Network, fleet: Fleet, clock: Clock, rng: random.Random,
        connected: Callable[[str], bool] = lambda machine: True,
    ) -> None:  # fmt: skip
        """``connected(machine)``: does the API server answer that machine?"""
        self.table = table
        self.network = network
        self.fleet = fleet
        self.clock = clock
        self.rng = rng
        self.connected = connected
        self._proxies: dict[str, KubeProxy] = {}
        self._listeners: dict[Place, Listener] = {}
        self._node_listeners: dict[tuple[str, int], Listener] = {}
        self._placed: set[str] = set()
        self._chores = Chores()
        self._due = self._working = False
        table.subscribe(lambda keys: self.changed())
        self._forget = fleet.subscribe(self._plugged)

    def proxy(self, machine: str) -> KubeProxy:
        """The kube-proxy of that machine."""
        found = self._proxies.get(machine)
        if found is None:
            found = self._proxies[machine] = KubeProxy(self, machine)
        return found

    def rules_of(self, machine: str) -> Rules | None:
        proxy = self._proxies.get(machine)
        return proxy.rules if proxy is not None else None

    def refresh(self) -> None:
        """The API server was started or stopped, or wires were cut or mended: look at every proxy."""
        for proxy in self._proxies.values():
            proxy.refresh()

    def _plugged(self, name: str, what: str) -> None:
        if what == "fail" and name in self._proxies:
            self._proxies[name].lose_power()
        if what in ("fail", "heal", "partition"):
            self.refresh()

    def close(self) -> None:
        """The sandbox ends."""
        self._forget()
        self._chores.cancel()
        for listener in (*self._listeners.values(), *self._node_listeners.values()):
            listener.shut()
        self._listeners.clear()
        self._node_listeners.clear()

    # sockets --------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Somebody's rules have: open and close what has to be, a moment later and all at once."""
        if not self._due:
            self._due = True
            if not self._working:
                self._working = True
                self._chores.start(self._settle())

    async def _settle(self) -> None:
        try:
            while self._due:
                await asyncio.sleep(0)
                self._due = False
                await self._set_places()
                await self._set_node_ports()
        finally:
            self._working = False

    def _views(self) -> list[Rules]:
        """Every different set of rules that is in force somewhere."""
        views = {id(rules): rules for proxy in self._proxies.values() if (rules := proxy.rules) is not None}
        return list(views.values())

    async def _set_places(self) -> None:
        wanted: set[Place] = set()
        ips: set[str] = set()
        for rules in self._views():
            ips.update(service.ip for service in rules.services.values() if service.ip)
            wanted.update(place for place, (_, port) in rules.places.items() if port.usable())
        for ip in ips - self._placed:
            self.network.place(ip, EVERYWHERE)
        for ip in self._placed - ips:
            self.network.unplace(ip)
        self._placed = ips
        for place in self._listeners.keys() - wanted:
            self._listeners.pop(place).shut()
        for place in wanted - self._listeners.keys():
            try:
                self._listeners[place] = await self.network.listen(
                    EVERYWHERE, *place, lambda *stream, place=place: self._serve(place, stream)
                )
            except OSError as error:
                log.warning("cluster address %s:%d: %s", *place, error)

    async def _set_node_ports(self) -> None:
        wanted: set[tuple[str, int]] = set()
        for machine, proxy in self._proxies.items():
            rules = proxy.rules
            if rules is None or self.fleet.machine(machine).power == "off":
                continue
            for number, (service, port) in rules.node_ports.items():
                if port.usable(machine if service.external_local else ""):
                    wanted.add((machine, number))
        for key in list(self._node_listeners):
            if key not in wanted or self._node_listeners[key].closed:  # closed: the machine had lost its power
                self._node_listeners.pop(key).shut()
        for machine, number in wanted - self._node_listeners.keys():
            address = self.fleet.machine(machine).address
            try:
                self._node_listeners[machine, number] = await self.network.listen(
                    machine, address, number,
                    lambda *stream, machine=machine, number=number: self._serve_node_port(machine, number, stream),
                )  # fmt: skip
            except OSError as error:
                log.warning("node port %s:%d: %s", machine, number, error)

    # connections ----------------------------------------------------------------------------------------------

    async def _serve(self, place: Place, stream: Stream) -> None:
        """A connection to a Service's cluster address."""
        peer = stream[1].get_extra_info("peername")
        source = peer[0] if peer else ""
        machine = self.network.where(source)
        client = source
        if not machine:  # from outside the sandbox: by any machine that has rules
            source, machine = "", self._any_machine()
        proxy = self._proxies.get(machine or "")
        found = proxy.rules.places.get(place) if proxy is not None and proxy.rules is not None else None
        if proxy is None or found is None:
            stream[1].transport.abort()
            return
        service, port = found
        endpoint = proxy.choose(service, port, client, local=service.internal_local)
        await self._forward(stream, proxy.machine, endpoint, source)

    async def _serve_node_port(self, machine: str, number: int, stream: Stream) -> None:
        """A connection to a machine's address; endpoints see the machine as its source, unless the policy is local."""
        await self.fleet.gate(machine).wait()
        proxy = self._proxies.get(machine)
        found = proxy.rules.node_ports.get(number) if proxy is not None and proxy.rules is not None else None
        if proxy is None or found is None:
            stream[1].transport.abort()
            return
        service, port = found
        peer = stream[1].get_extra_info("peername")
        client = peer[0] if peer else ""
        endpoint = proxy.choose(service, port, client, local=service.external_local)
        source = client if service.external_local and self.network.inside(client) else self._address(machine)
        await self._forward(stream, machine, endpoint, source)

    async def _forward(self, stream: Stream, machine: str, endpoint: Endpoint | None, source: str) -> None:
        if endpoint is None:
            stream[1].transport.abort()
            return
        try:
            target = await self.network.connect(machine, endpoint.ip, endpoint.port, source=source or None)
        except OSError:
            stream[1].transport.abort()
            return
        await splice(stream, target)

    def _address(self, machine: str) -> str:
        return self.fleet.machine(machine).address

    def _any_machine(self) -> str | None:
        for machine, proxy in self._proxies.items():
            if proxy.rules is not None and self.fleet.state(machine) in ("up", "slow"):
                return machine
        return None

    def leads_somewhere(self, machine: str, place: Place) -> bool:
        """Would a datagram from ``machine`` to that Service reach an endpoint? ``""`` is somebody outside."""
        machine = machine or self._any_machine() or ""
        rules = self.rules_of(machine)
        if rules is None or (found := rules.datagrams.get(place)) is None:
            return False
        service, port = found
        usable = port.usable(machine if service.internal_local else "")
        return any(self.fleet.reachable(machine, one.machine) for one in usable if one.machine)

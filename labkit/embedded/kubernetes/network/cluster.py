"""The cluster's network put together: Services, names, and what the containers of kube-proxy and CoreDNS run."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.network.addresses import dns_address
from labkit.embedded.kubernetes.network.coredns import CoreDns
from labkit.embedded.kubernetes.network.names import Names
from labkit.embedded.kubernetes.network.proxy import KubeProxy, ServiceProxies
from labkit.embedded.kubernetes.network.resolvconf import lookup_of
from labkit.embedded.kubernetes.network.resolver import ClusterResolver, PodResolver
from labkit.embedded.kubernetes.network.table import Table
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.dns import Resolver
from labkit.embedded.runtime.dnsserver import MAX_UDP, answer
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import EVERYWHERE, Network

log = logging.getLogger("labkit.kubernetes.network")

DNS_PORT = 53


class ClusterNetwork:
    """One a sandbox. ``services`` and ``resolver`` are what :class:`~…kubelet.parts.Parts` asks for."""

    def __init__(
        self,
        client: Client,
        fleet: Fleet,
        network: Network,
        clock: Clock,
        rng: random.Random,
        connected: Callable[[str], bool] = lambda machine: True,
        domain: str = "cluster.local",
    ) -> None:
        """``client`` is one of the API server's own machine; ``connected(machine)``: does it answer that machine?"""
        self._fleet = fleet
        self._network = network
        self._domain = domain
        self.table = Table(client)
        self.proxies = ServiceProxies(self.table, network, fleet, clock, rng, connected)
        self.names = Names(self.table.rules, domain)
        self.dns = ClusterResolver(self.names)
        self.dns_address = dns_address(network.block)

    async def start(self) -> None:
        """Follow the API server; answer DNS from outside on the cluster address of ``kube-dns``."""
        self.table.start()
        try:
            await self._network.listen_udp(EVERYWHERE, self.dns_address, DNS_PORT, self._datagram)
        except OSError as error:
            self._network.note(f"No DNS server on {self.dns_address}: {error.strerror}.")

    async def close(self) -> None:
        await self.table.stop()
        self.proxies.close()
        self._network.close_udp(self.dns_address, DNS_PORT)

    async def _datagram(self, query: bytes) -> bytes | None:
        """A question from outside the sandbox. Pods have theirs answered without a packet."""
        return answer(query, self.dns, limit=MAX_UDP) if self._answers("") else None

    def _answers(self, machine: str) -> bool:
        return self.proxies.leads_somewhere(machine, (self.dns_address, DNS_PORT))

    def proxy(self, machine: str) -> KubeProxy:
        """The kube-proxy of a machine."""
        return self.proxies.proxy(machine)

    def coredns(self, machine: str, ip: str) -> CoreDns:
        """What a container of CoreDNS runs, in a pod with that address."""
        return CoreDns(self._network, self._fleet.machine(machine), ip, self.dns)

    def services(self, machine: str) -> tuple[Json, ...]:
        """The Services that a new pod finds in its environment."""
        return self.table.objects()

    def resolver(self, machine: str, pod: Json) -> Resolver:
        """What a pod on that machine looks names up with."""
        lookup = lookup_of(pod, self.dns_address, self._domain)
        return PodResolver(lookup, self.dns, lambda: self._answers(machine))

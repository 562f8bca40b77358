"""CoreDNS: a real DNS server on the address of each of its pods."""

from __future__ import annotations

import logging

from labkit.embedded.kubernetes.network.resolver import ClusterResolver
from labkit.embedded.runtime.dnsserver import DnsServer
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Network

log = logging.getLogger("labkit.kubernetes.dns")


class CoreDns:
    """What one pod of CoreDNS runs."""

    def __init__(self, network: Network, machine: Machine, ip: str, resolver: ClusterResolver) -> None:
        self._network = network
        self._machine = machine
        self._ip = ip
        self._resolver = resolver
        self._server: DnsServer | None = None

    async def start(self) -> None:
        if self._server is None:
            self._server = await DnsServer.start(self._network, self._machine, self._resolver, self._ip)

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.close()

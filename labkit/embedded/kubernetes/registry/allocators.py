"""What Services get from a pool that all share: cluster IPs and node ports.

``pkg/registry/core/service/{ipallocator,portallocator}``. The lower part of each range is left to those who ask for a
certain one, and what is chosen for a Service comes from above it, at random, as long as there is something.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address

from labkit.embedded.runtime.addresses import AddressPool, PoolExhausted

NODE_PORTS = range(30000, 32768)
_TRIES = 16  # at random, before it is searched for in order


class Refused(Exception):
    """It cannot be had; the words are the real allocator's."""


class ClusterIPs:
    """The addresses of the services' range. All but the first (the network) and the last (its broadcast) may be had."""

    def __init__(self, pool: AddressPool, rng: random.Random) -> None:
        self._pool = pool
        self._rng = rng
        self._held: set[str] = set()

    def claim(self, ip: str) -> None:
        """Take a certain one. Raises :class:`Refused`."""
        if ip not in self._pool:
            raise Refused(
                f"the provided IP ({ip}) is not in the valid range. The range of valid IPs is {self._pool.cidr}"
            )
        if ip in self._held:
            raise Refused("provided IP is already allocated")
        # The first address is a gateway's in a network of containers. Here it is the ``kubernetes`` Service's.
        if ip != self._pool.gateway:
            try:
                self._pool.claim(ip)
            except PoolExhausted:
                problem = "is not in the valid range. The range of valid IPs is"
                raise Refused(f"the provided IP ({ip}) {problem} {self._pool.cidr}") from None
        self._held.add(ip)

    def take(self) -> str:
        """A free one. Raises :class:`Refused`."""
        network = self._pool.network
        size = network.num_addresses
        first = min(max(16, size // 16), 256)
        for _ in range(_TRIES):
            ip = str(IPv4Address(int(network.network_address) + self._rng.randrange(min(first, size - 2), size - 1)))
            try:
                self.claim(ip)
            except Refused:
                continue
            return ip
        try:
            ip = self._pool.take()
        except PoolExhausted:
            raise Refused("range is full") from None
        self._held.add(ip)
        return ip

    def release(self, ip: str) -> None:
        """Harmless when nobody holds it."""
        if ip in self._held:
            self._held.discard(ip)
            self._pool.release(ip)


class NodePorts:
    """The ports that every node opens for Services. One number is one Service's, whatever the protocol."""

    def __init__(self, rng: random.Random, ports: range = NODE_PORTS) -> None:
        self._ports = ports
        self._rng = rng
        self._held: set[int] = set()

    def claim(self, port: int) -> None:
        """Take a certain one. Raises :class:`Refused`."""
        if port not in self._ports:
            last = self._ports[-1]
            raise Refused(
                f"provided port is not in the valid range. The range of valid ports is {self._ports[0]}-{last}"
            )
        if port in self._held:
            raise Refused("provided port is already allocated")
        self._held.add(port)

    def take(self) -> int:
        """A free one. Raises :class:`Refused`."""
        first = min(max(16, len(self._ports) // 32), 128)
        for _ in range(_TRIES):
            port = self._ports[self._rng.randrange(first, len(self._ports))]
            if port not in self._held:
                self._held.add(port)
                return port
        for port in (*self._ports[first:], *self._ports[:first]):
            if port not in self._held:
                self._held.add(port)
                return port
        raise Refused("range is full")

    def release(self, port: int) -> None:
        """Harmless when nobody holds it."""
        self._held.discard(port)

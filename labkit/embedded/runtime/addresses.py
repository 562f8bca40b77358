"""Pools of loopback addresses for the networks of a sandbox."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterable


class PoolExhausted(OSError):
    """No address is left; in the words of libnetwork."""

    def __init__(self) -> None:
        super().__init__(errno.EADDRNOTAVAIL, "no available IPv4 addresses on this network's address pools")


class AddressPool:
    """The addresses of one network. The first is the gateway's; ``take`` goes round so that a freed one rests."""

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.IPv4Network(cidr)
        if self.network.num_addresses < 4:
            raise ValueError(f"{cidr} has no room for a gateway and a container")
        self._first = int(self.network.network_address)
        self._count = self.network.num_addresses
        self.gateway = str(self.network.network_address + 1)
        self._taken: set[int] = {0, 1, self._count - 1}
        self._next = 2

    @classmethod
    def within(cls, block: str, size: int, taken: Iterable[ipaddress.IPv4Network]) -> AddressPool:
        """A pool of at least ``size`` addresses in a free part of ``127.S`` (its first /20 is the machines')."""
        prefix = 32 - max(2, (size + 2).bit_length())
        taken = list(taken)
        for subnet in ipaddress.IPv4Network(f"{block}.0.0/16").subnets(new_prefix=max(20, prefix)):
            used = subnet.network_address in ipaddress.IPv4Network(f"{block}.0.0/20")
            # The last /24 holds the address by which the block is claimed.
            used = used or subnet.overlaps(ipaddress.IPv4Network(f"{block}.255.0/24"))
            if not used and not any(subnet.overlaps(other) for other in taken):
                return cls(str(subnet))
        raise PoolExhausted

    @property
    def cidr(self) -> str:
        return str(self.network)

    @property
    def prefix(self) -> int:
        return self.network.prefixlen

    def take(self) -> str:
        """A free address, or :class:`PoolExhausted`."""
        for step in range(self._count):
            offset = (self._next + step) % self._count
            if offset not in self._taken:
                self._taken.add(offset)
                self._next = offset + 1
                return str(ipaddress.IPv4Address(self._first + offset))
        raise PoolExhausted

    def claim(self, ip: str) -> str:
        """Take a certain address; ValueError when it is not of this network, :class:`PoolExhausted` when taken."""
        offset = self._offset(ip)
        if offset in self._taken:
            raise PoolExhausted
        self._taken.add(offset)
        return ip

    def release(self, ip: str) -> None:
        """Give it back; harmless when it was not taken. Gateway and broadcast stay."""
        offset = self._offset(ip)
        if 1 < offset < self._count - 1:
            self._taken.discard(offset)

    def __contains__(self, ip: str) -> bool:
        return ipaddress.IPv4Address(ip) in self.network

    def _offset(self, ip: str) -> int:
        offset = int(ipaddress.IPv4Address(ip)) - self._first
        if not 0 <= offset < self._count:
            raise ValueError(f"{ip} is not in {self.network}")
        return offset

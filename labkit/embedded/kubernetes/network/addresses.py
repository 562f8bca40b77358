"""Where pods and Services get their addresses: parts of the sandbox's loopback block ``127.S``.

Machines are ``127.S.0.10`` and up, pods ``127.S.64.0/18``, Services ``127.S.128.0/20``. With up to 64 machines each has
a /24 of the pods' range as its ``podCIDR``, as kubeadm's cluster; with more of them all share the range.
"""

from __future__ import annotations

from labkit.embedded.runtime.addresses import AddressPool, PoolExhausted
from labkit.embedded.runtime.network import Network

PODS = "64.0/18"
SERVICES = "128.0/20"
MAX_RANGES = 64


def service_range(block: str) -> str:
    """``127.S.128.0/20``."""
    return f"{block}.{SERVICES}"


def kubernetes_address(block: str) -> str:
    """Of the Service ``kubernetes``."""
    return f"{block}.128.1"


def dns_address(block: str) -> str:
    """Of the Service ``kube-dns``."""
    return f"{block}.128.10"


class PodAddresses:
    """Hands out pods' addresses."""

    def __init__(self, network: Network, machines: list[str]) -> None:
        self._network = network
        self._ranges: dict[str, str] = {}
        if len(machines) <= MAX_RANGES:
            self._ranges = {name: f"{network.block}.{64 + number}.0/24" for number, name in enumerate(machines)}

    @property
    def cluster_cidr(self) -> str:
        return f"{self._network.block}.{PODS}"

    def cidr(self, machine: str) -> str:
        """The machine's own range; "" when all share one."""
        return self._ranges.get(machine, "")

    def take(self, machine: str) -> str:
        """A free address. Raises :class:`~labkit.embedded.runtime.addresses.PoolExhausted`."""
        return self._pool(machine).take()

    def claim(self, machine: str, ip: str) -> bool:
        """Take this one again, after a restart; False when it cannot be had."""
        try:
            self._pool(machine).claim(ip)
        except (PoolExhausted, ValueError):
            return False
        return True

    def release(self, machine: str, ip: str) -> None:
        """Give it back."""
        pool = self._pool(machine)
        if ip in pool:
            pool.release(ip)

    def _pool(self, machine: str) -> AddressPool:
        return self._network.pool(self._ranges.get(machine) or self.cluster_cidr)

"""What a container asks names of: Mesos-DNS, as the ``/etc/resolv.conf`` of its agent says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.runtime.dns import Resolver

if TYPE_CHECKING:
    from labkit.embedded.marathon.discovery.mesosdns.server import MesosDns


class MesosResolver(Resolver):
    """For the containers of a machine. While Mesos-DNS does not answer that machine, nothing is found."""

    __slots__ = ("_dns", "_machine")

    def __init__(self, dns: MesosDns, machine: str) -> None:
        super().__init__([dns.scope(machine)])
        self._dns = dns
        self._machine = machine

    @property
    def nameserver(self) -> str:
        return self._dns.machine.address

    @property
    def reachable(self) -> bool:
        return self._dns.answers(self._machine)

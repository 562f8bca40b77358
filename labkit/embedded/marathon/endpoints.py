"""Where everything of a sandbox answers, as clients of this computer reach it."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.embedded.marathon.credentials import Credentials
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Network

ZOOKEEPER_PORT, MASTER_PORT, MARATHON_PORT = 2181, 5050, 8080
DNS_PORTS = (53, 8053)  # the second where the first may not be opened
DNS_HTTP_PORT, STATS_PORT, BATCH_PORT = 8123, 9090, 8088


class Endpoints:
    """``masters`` are all machines with a Mesos master, ``marathons`` those that run a Marathon too."""

    def __init__(
        self, network: Network, credentials: Credentials, masters: Sequence[Machine], marathons: Sequence[Machine]
    ) -> None:
        self._network = network
        self._credentials = credentials
        self._masters = list(masters)
        self._marathons = list(marathons)

    def place(self, machine: Machine, port: int) -> tuple[str, int]:
        """Where ``port`` of the machine is found from outside; where it belongs, while nobody listens there."""
        return self._network.real(machine.address, port) or (machine.address, port)

    def _at(self, machine: Machine, port: int) -> str:
        host, number = self.place(machine, port)
        return f"{host}:{number}"

    def _opened(self, machine: Machine, port: int) -> str:
        return self._credentials.in_url(*self.place(machine, port))

    def shown(self) -> dict[str, str | list[str]]:
        """Without the password, by what answers there."""
        first = self._masters[0]
        dns = next((port for port in DNS_PORTS if self._network.real(first.address, port)), DNS_PORTS[0])
        return {
            "marathon": [f"http://{self._at(machine, MARATHON_PORT)}" for machine in self._marathons],
            "mesos": [f"http://{self._at(machine, MASTER_PORT)}" for machine in self._masters],
            "zookeeper": self.zookeeper(),
            "dns": self._at(first, dns),
            "mesos-dns": f"http://{self._at(first, DNS_HTTP_PORT)}",
            "lb": f"http://{self._at(first, STATS_PORT)}",
            "batch": f"http://{self._at(self._masters[-1], BATCH_PORT)}",
        }

    def zookeeper(self) -> str:
        """The ensemble's connection string."""
        return ",".join(self._at(machine, ZOOKEEPER_PORT) for machine in self._masters)

    def environment(self, machine: Machine | None = None) -> dict[str, str]:
        """What points a client at the sandbox; with a machine at what that one runs, as far as it runs it."""
        marathon = machine if machine in self._marathons else self._marathons[0]
        master = machine if machine in self._masters else self._masters[0]
        assert marathon is not None
        assert master is not None
        first = self._masters[0]
        return {
            "MARATHON_URL": self._opened(marathon, MARATHON_PORT),
            "MESOS_URL": self._opened(master, MASTER_PORT),
            "ZOOKEEPER": self.zookeeper(),
            "MARATHON_LB_URL": f"http://{self._at(first, STATS_PORT)}",
            "MESOS_DNS_URL": f"http://{self._at(first, DNS_HTTP_PORT)}",
            "BATCH_URL": self._opened(self._masters[-1], BATCH_PORT),
        }

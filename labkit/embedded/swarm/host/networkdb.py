"""What the hosts of a swarm gossip to each other: which task serves which service at which address.

A host puts a record when one of its tasks may be reached (started, and healthy if it has a health check) and takes it
away when the task stops. Readers see the records of the nodes that they can reach. A record of a node that vanished
stays for a few seconds, as it does until memberlist has noticed; whoever connects in that time has to try the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet

# memberlist on a LAN probes once a second and suspects for about four before it calls a node dead.
NOTICE = 5.0


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service: ``published`` is 0 when only the VIP has it."""

    target: int
    published: int = 0
    protocol: str = "tcp"
    mode: str = "ingress"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One task on one network."""

    cluster_id: str
    network_id: str
    service_id: str
    service_name: str
    task_id: str
    task_name: str  # the container's name, web.1.<task id>
    ip: str
    vip: str  # empty in dnsrr mode
    ports: tuple[Port, ...]
    machine: str
    aliases: tuple[str, ...] = ()
    ingress: bool = False  # the network is the swarm's ingress network
    container_id: str = ""


class NetworkDB:
    """The records of all hosts of a world; every reader gets its own view of them."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._records: dict[tuple[str, str], Endpoint] = {}  # (task or container, network)
        self._by_service: dict[tuple[str, str], dict[tuple[str, str], Endpoint]] = {}  # (network, service)
        self._listeners: list[Callable[[Endpoint, bool], None]] = []
        self._lost: dict[tuple[str, str], float] = {}  # (reader, node) -> when the reader lost it
        fleet.subscribe(lambda _name, _what: self._look())

    def put(self, endpoint: Endpoint) -> None:
        """Make a task reachable."""
        key = (endpoint.task_id or endpoint.container_id, endpoint.network_id)
        self.remove(*key)
        self._records[key] = endpoint
        self._by_service.setdefault((endpoint.network_id, endpoint.service_id), {})[key] = endpoint
        self._tell(endpoint, True)

    def remove(self, task_id: str, network_id: str | None = None) -> None:
        """Take a task away from one network or from all."""
        if network_id is None:
            keys = [key for key in self._records if key[0] == task_id]
        else:
            keys = [(task_id, network_id)]
        for key in keys:
            endpoint = self._records.pop(key, None)
            if endpoint is None:
                continue
            group = (endpoint.network_id, endpoint.service_id)
            members = self._by_service[group]
            del members[key]
            if not members:
                del self._by_service[group]
            self._tell(endpoint, False)

    def service(self, reader: str, network_id: str, service_id: str) -> list[Endpoint]:
        """The tasks of a service on a network that ``reader`` (a machine) knows of, oldest first."""
        members = self._by_service.get((network_id, service_id))
        return [record for record in members.values() if self.knows(reader, record.machine)] if members else []

    def named(self, reader: str, network_id: str) -> Iterable[Endpoint]:
        """Every record of a network that ``reader`` knows of."""
        return [
            record
            for (network, _), members in self._by_service.items()
            if network == network_id
            for record in members.values()
            if self.knows(reader, record.machine)
        ]

    def all(self, reader: str) -> list[Endpoint]:
        """Every record that ``reader`` knows of."""
        return [record for record in self._records.values() if self.knows(reader, record.machine)]

    def knows(self, reader: str, machine: str) -> bool:
        """Whether ``reader`` still counts ``machine`` in: it can reach it, or has not noticed yet that it cannot."""
        if reader == machine or not self._lost:
            return True
        lost = self._lost.get((reader, machine))
        return lost is None or self._clock.time() - lost < NOTICE

    def subscribe(self, changed: Callable[[Endpoint, bool], None]) -> Callable[[], None]:
        """Call ``changed(record, present)`` on every change; the result ends that."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed) if changed in self._listeners else None

    def _tell(self, endpoint: Endpoint, present: bool) -> None:
        for changed in tuple(self._listeners):
            changed(endpoint, present)

    def _look(self) -> None:
        """A plug was pulled or put back: note who lost whom. Told at once, believed after :data:`NOTICE`."""
        now = self._clock.time()
        names = [name for name, machine in self._fleet.machines.items() if machine.power == "on"]
        lost: dict[tuple[str, str], float] = {}
        for reader in names:
            for other in self._fleet.machines:
                if other != reader and not self._fleet.reachable(reader, other):
                    lost[(reader, other)] = self._lost.get((reader, other), now)
        self._lost = lost

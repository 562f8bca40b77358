"""What the hosts of a swarm gossip to each other: which task serves which service at which address.

A host puts a record when one of its tasks may be reached (started, and healthy if it has a health check) and takes it
away when the task stops. Readers see the records of the nodes that they can reach. A record of a node that vanished
stays for a few seconds, as it does until memberlist has noticed; whoever connects in that time has to try the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet

# memberlist on a LAN probes once a second and suspects for about four before it calls a node dead.
NOTICE = 5.0

Key = tuple[str, str]  # task (or container, of one that is no task's), network
Changed = Callable[["Endpoint", bool], object]


@dataclass(frozen=True, slots=True)
class Port:
    """An ingress port of a service."""

    target: int
    published: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One task on one network."""

    swarm_id: str
    network_id: str
    service_id: str  # empty for a container that is no task's, on an attachable network
    service_name: str
    task_id: str
    task_name: str  # the container's name, web.1.<task id>
    ip: str
    vip: str  # empty in dnsrr mode
    machine: str
    ports: tuple[Port, ...] = ()  # what the mesh publishes; only on the ingress network
    listens: tuple[int, ...] = ()  # TCP ports on which the VIP answers
    aliases: tuple[str, ...] = ()
    ingress: bool = False  # the network is the swarm's ingress network
    container_id: str = ""

    @property
    def key(self) -> Key:
        return (self.task_id or self.container_id, self.network_id)


class NetworkDB:
    """The records of all hosts of a world; every reader gets its own view of them."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._records: dict[Key, Endpoint] = {}
        self._by_service: dict[tuple[str, str], dict[Key, Endpoint]] = {}  # (network, service)
        self._by_port: dict[tuple[str, int], dict[Key, tuple[Endpoint, int]]] = {}  # (swarm, published) -> target
        self._listeners: list[Changed] = []
        self._lost: dict[tuple[str, str], float] = {}  # (reader, machine) -> since when it is out of reach
        fleet.subscribe(lambda _name, _what: self._look())

    # writing --------------------------------------------------------------------------------------------------

    def put(self, endpoint: Endpoint) -> None:
        """Make a task reachable."""
        key = endpoint.key
        if self._records.get(key) == endpoint:
            return
        self._take(key)
        self._records[key] = endpoint
        self._by_service.setdefault((endpoint.network_id, endpoint.service_id), {})[key] = endpoint
        for port in endpoint.ports:
            if port.protocol == "tcp" and endpoint.ingress:
                self._by_port.setdefault((endpoint.swarm_id, port.published), {})[key] = (endpoint, port.target)
        self._tell(endpoint, True)

    def remove(self, task_id: str) -> None:
        """Take a task (or a container that is none) away from all networks."""
        for key in [key for key in self._records if key[0] == task_id]:
            self._take(key)

    def remove_from(self, task_id: str, network_ids: Iterator[str] | list[str]) -> None:
        """As :meth:`remove`, without a search, for whoever knows the networks."""
        for network_id in network_ids:
            self._take((task_id, network_id))

    def remove_machine(self, machine: str) -> None:
        """All that a machine has said: it has started anew."""
        for key in [key for key, record in self._records.items() if record.machine == machine]:
            self._take(key)

    def _take(self, key: Key) -> None:
        endpoint = self._records.pop(key, None)
        if endpoint is None:
            return
        _drop(self._by_service, (endpoint.network_id, endpoint.service_id), key)
        for port in endpoint.ports:
            _drop(self._by_port, (endpoint.swarm_id, port.published), key)
        self._tell(endpoint, False)

    # reading --------------------------------------------------------------------------------------------------

    def service(self, reader: str, network_id: str, service_id: str) -> list[Endpoint]:
        """The tasks of a service on a network that ``reader`` (a machine) knows of, oldest first."""
        members = self._by_service.get((network_id, service_id))
        return self._known(reader, list(members.values())) if members else []

    def services(self, network_id: str) -> Iterator[tuple[str, list[Endpoint]]]:
        """Every service id of a network with its records, whoever may know of them."""
        for (network, service_id), members in self._by_service.items():
            if network == network_id:
                yield service_id, list(members.values())

    def on_network(self, reader: str, network_id: str) -> list[Endpoint]:
        """Every record of a network that ``reader`` knows of."""
        return self._known(reader, [record for _, members in self.services(network_id) for record in members])

    def has_port(self, swarm_id: str, published: int) -> bool:
        """Is any task of that swarm behind that ingress port?"""
        return (swarm_id, published) in self._by_port

    def behind_port(self, reader: str, swarm_id: str, published: int) -> list[tuple[Endpoint, int]]:
        """The tasks behind an ingress port that ``reader`` knows of, each with the port it listens on."""
        members = self._by_port.get((swarm_id, published))
        if not members:
            return []
        if not self._lost:
            return list(members.values())
        return [pair for pair in members.values() if self.knows(reader, pair[0].machine)]

    def ingress_records(self) -> list[Endpoint]:
        """One record of each published port, to see which there are."""
        return [next(iter(members.values()))[0] for members in self._by_port.values()]

    def _known(self, reader: str, records: list[Endpoint]) -> list[Endpoint]:
        if not self._lost:
            return records
        return [record for record in records if self.knows(reader, record.machine)]

    def knows(self, reader: str, machine: str) -> bool:
        """Whether ``reader`` still counts ``machine`` in: it can reach it, or has not noticed yet that it cannot."""
        since = self._lost.get((reader, machine))
        return since is None or self._clock.time() - since < NOTICE

    def subscribe(self, changed: Changed) -> Callable[[], None]:
        """Call ``changed(record, present)`` on every change; the result ends that."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed) if changed in self._listeners else None

    def _tell(self, endpoint: Endpoint, present: bool) -> None:
        for changed in tuple(self._listeners):
            changed(endpoint, present)

    def _look(self) -> None:
        """A plug was pulled or put back: note who is out of whose reach, and since when."""
        now = self._clock.time()
        lost: dict[tuple[str, str], float] = {}
        for reader, machine in self._fleet.machines.items():
            if machine.power == "off":
                continue
            for other in self._fleet.machines:
                if other != reader and not self._fleet.reachable(reader, other):
                    lost[reader, other] = self._lost.get((reader, other), now)
        self._lost = lost


def _drop(index: dict[Any, dict[Key, Any]], group: tuple[Any, ...], key: Key) -> None:
    members = index.get(group)
    if members is not None:
        members.pop(key, None)
        if not members:
            del index[group]

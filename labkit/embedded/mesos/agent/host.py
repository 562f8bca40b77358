"""What the executors of one machine share, whether the agent runs or not."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import Any

from labkit.embedded.mesos.agent.options import Options
from labkit.embedded.mesos.agent.watcher import Watcher
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.images.base import Image
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network

Json = dict[str, Any]

BRIDGE = "mesos-containers"  # the pool of addresses that all agents' containers share
ADDRESSES = 8000


class Host:
    """A machine, as those see it who run tasks on it."""

    def __init__(
        self, machine: str, fleet: Fleet, clock: Clock, network: Network, catalogue: Catalogue, options: Options
    ) -> None:
        self.machine = fleet.machine(machine)
        self.fleet = fleet
        self.clock = clock
        self.network = network
        self.catalogue = catalogue
        self.options = options
        self.rng = options.rng
        self.gate = fleet.gate(machine)
        self.chores = Chores()
        self.watcher = Watcher(uuid.uuid4().hex)
        self.resolver = options.resolver(machine)
        self.images: dict[str, Image] = {}  # those that are here, by the words they were asked for with
        self.layers: set[str] = set()  # ids of images that were pulled
        self.ports: dict[int, list[Listener]] = {}  # of containers on the machine's own network
        self.volumes: dict[
            str, MutableMapping[str, bytes | None]
        ] = {}  # folders of the machine, as containers see them

    @property
    def address(self) -> str:
        return self.machine.address

    @property
    def addresses(self) -> AddressPool:
        return self.network.pool(BRIDGE, ADDRESSES)

    def new_uuid(self) -> str:
        """The id of a container."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def lose_power(self) -> None:
        """What the machine had in its memory is gone."""
        self.chores.cancel()
        self.ports.clear()
        self.watcher.close()
        self.watcher = Watcher(uuid.uuid4().hex)

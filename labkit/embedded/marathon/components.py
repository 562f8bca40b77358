"""The parts of a Mesos cluster, by name and machine: what runs, and how a person stops and starts each.

Each is a service of its machine, as systemd keeps it: it starts with the machine, a person may stop it, and one that a
person stopped stays so, also over a restart of the sandbox, until it is started again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from labkit.embedded.control import UnknownComponent
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.storage import Storage

log = logging.getLogger(__name__)

ZOOKEEPER, MASTER, MARATHON, AGENT = "zookeeper", "mesos-master", "marathon", "mesos-agent"
MESOS_DNS, MARATHON_LB, BATCH = "mesos-dns", "marathon-lb", "batch"

# What needs what, when a machine starts: in this order.
ORDER = (ZOOKEEPER, MASTER, AGENT, MARATHON, BATCH, MESOS_DNS, MARATHON_LB)

_KIND = "component"  # of rows in the storage: those that a person has stopped


class Part(Protocol):
    """What a component has to offer. Both calls may be made twice; the second changes nothing."""

    @property
    def running(self) -> bool:
        """Is its process there?"""

    async def start(self) -> None:
        """Begin. It need not do its work yet when this returns: it may still look for a leader."""

    async def stop(self) -> None:
        """End, as with SIGTERM."""


@dataclass(slots=True, eq=False)
class Component:
    """A part on a machine."""

    name: str
    machine: str
    part: Part


class Components:
    """All components of one sandbox."""

    def __init__(self, fleet: Fleet, storage: Storage, components: Iterable[Component]) -> None:
        self._fleet = fleet
        self._storage = storage
        self._chores = Chores()
        self._all = {(one.machine, one.name): one for one in components}
        self._held: set[tuple[str, str]] = set()  # stopped by a person
        for key in storage.all(_KIND):
            machine, _, name = key.partition("/")
            self._held.add((machine, name))
        self._unsubscribe = fleet.subscribe(self._plugged)

    # -- what there is

    def names(self, machine: str) -> list[str]:
        """The components of a machine, in the order in which they start."""
        return sorted((name for where, name in self._all if where == machine), key=ORDER.index)

    def find(self, name: str) -> list[Component]:
        """Those of that name, in the order of their machines."""
        return [one for one in self._all.values() if one.name == name]

    def is_held(self, machine: str, name: str) -> bool:
        """Has a person stopped it?"""
        return (machine, name) in self._held

    @property
    def any_held(self) -> bool:
        """Has a person stopped anything?"""
        return bool(self._held)

    def is_running(self, machine: str, name: str) -> bool:
        """Is its process there, on a machine that has power?"""
        return self._fleet.machine(machine).power != "off" and self._all[machine, name].part.running

    def status(self) -> list[dict[str, object]]:
        """For ``GET /status``."""
        return [
            {"name": name, "machine": machine, "state": "running" if self.is_running(machine, name) else "stopped"}
            for machine in self._fleet.machines
            for name in self.names(machine)
        ]

    # -- what a person does

    async def stop(self, machine: str, name: str) -> None:
        """Stop it, until it is started again; also over a restart of the sandbox. Raises UnknownComponent."""
        component = self._find(machine, name)
        self._held.add((machine, name))
        self._storage.put(_KIND, f"{machine}/{name}", {"stopped": True})
        await component.part.stop()

    async def start(self, machine: str, name: str) -> None:
        """Let it run again. On a machine without power it starts when that gets it back. Raises UnknownComponent."""
        component = self._find(machine, name)
        self._held.discard((machine, name))
        self._storage.delete(_KIND, f"{machine}/{name}")
        if self._fleet.machine(machine).power != "off":
            await component.part.start()

    def _find(self, machine: str, name: str) -> Component:
        found = self._all.get((machine, name))
        if found is None:
            names = ", ".join(self.names(machine))
            raise UnknownComponent(f"{machine} has no component {name!r}; there are {names}")
        return found

    # -- machines that start and end

    async def boot(self, component: Component) -> None:
        """Start it with its machine, unless a person has stopped it."""
        if (component.machine, component.name) in self._held:
            return
        if self._fleet.machine(component.machine).power == "off":
            return
        try:
            await component.part.start()
        except Exception:  # the others still have to
            log.exception("%s on %s does not start", component.name, component.machine)

    def _plugged(self, machine: str, what: str) -> None:
        """Parts end by themselves when their machine loses its power; systemd starts them when it has it again."""
        if what == "heal" and self._fleet.machine(machine).power == "on":
            self._chores.start(self._boot_machine(machine))

    async def _boot_machine(self, machine: str) -> None:
        for name in self.names(machine):
            await self.boot(self._all[machine, name])

    async def close(self) -> None:
        """Nothing is started any more."""
        self._unsubscribe()
        self._chores.cancel()

"""The host as its agent sees it: what the node has to offer, and a controller for each task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.swarm import engine
from labkit.embedded.swarm.agent.controller import TaskError
from labkit.embedded.swarm.objects import Config, Json, Network, Object, Secret, Task

from .controller import TaskController

if TYPE_CHECKING:
    from .host import Host


class Executor:
    """:class:`labkit.embedded.swarm.agent.controller.Executor` on a simulated Docker host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def description(self) -> Json:
        """``NodeDescription`` without the TLS part, which the node itself adds."""
        machine = self.host.machine
        described: Json = {
            "Hostname": machine.name,
            "Platform": {"Architecture": machine.arch, "OS": machine.os},
            "Resources": {"NanoCPUs": int(machine.cpus * 1e9), "MemoryBytes": machine.memory},
            "Engine": {"EngineVersion": engine.VERSION, "Plugins": list(engine.PLUGINS)},
        }
        if machine.attributes:
            described["Engine"] = {
                "EngineVersion": engine.VERSION,
                "Labels": dict(machine.attributes),
                "Plugins": list(engine.PLUGINS),
            }
        return described

    async def describe(self) -> Json:
        """What the agent registers with. A node that takes part in a swarm gets its gateway bridge and the mesh."""
        self.host.networks.gwbridge()
        self.host.swarm_changed()
        return self.description()

    def network(self, network_id: str) -> Network | None:
        """A network of a task, as it was assigned, else as a manager within reach has it."""
        found = self._find(Network, network_id)
        return found if isinstance(found, Network) else None

    def network_named(self, term: str) -> Network | None:
        """A network of the swarm by name or id, asked of a manager."""
        leader = self.host.swarm.find_leader()
        store = leader.store if leader is not None else self.host.swarm.store
        return None if store is None else store.get(Network, term) or store.by_name(Network, term)

    def given(self, cls: type[Secret] | type[Config], identifier: str) -> Json | None:
        """The specification of a secret or config, its data in base64; None if this node was not given it."""
        found = self._find(cls, identifier)
        return None if found is None else getattr(found, "spec", {})

    def _find(self, cls: type[Object], identifier: str) -> Object | None:
        """What came with the task, else (for a task of an older session) what a manager within reach has."""
        known = self.host.agent.dependencies.get(identifier)
        if known is None:
            leader = self.host.swarm.find_leader()
            store = leader.store if leader is not None else self.host.swarm.store
            known = store.get(cls, identifier) if store is not None else None
        return known

    def controller(self, task: Task) -> TaskController:
        """Raises :class:`TaskError` for a task that no Docker host could run."""
        if not task.spec.get("ContainerSpec"):
            raise TaskError("dockerexec: unsupported runtime")
        return TaskController(self.host, self, task)

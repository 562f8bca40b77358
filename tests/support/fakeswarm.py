"""A swarm's leader and agents around a local store: no sockets, no Raft, containers that are three fields.

For the tests of ``labkit.embedded.swarm.leader`` and ``agent``; the clock is turned by hand:
``await swarm.clock.advance(5)``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import Clock, ManualClock
from labkit.embedded.runtime.ids import Ids
from labkit.embedded.runtime.machines import Fleet, Machine, Unreachable
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.swarm.agent.agent import Agent
from labkit.embedded.swarm.agent.controller import TaskError
from labkit.embedded.swarm.leader.leader import Leader
from labkit.embedded.swarm.objects import Cluster, Json, Network, Node, Service, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import Store, Tx

SECOND = 1_000_000_000


class Pools:
    """The part of the runtime's network that the allocator uses."""

    def __init__(self) -> None:
        self._pools: dict[str, AddressPool] = {}

    def pool(self, name: str, size: int = 4094) -> AddressPool:
        if name not in self._pools:
            taken = [pool.network for pool in self._pools.values()]
            self._pools[name] = AddressPool(name) if "/" in name else AddressPool.within("127.99", size, taken)
        return self._pools[name]

    def drop_pool(self, name: str) -> None:
        self._pools.pop(name, None)


@dataclass
class World:
    """What leader and agents need of a world."""

    clock: Any = field(default_factory=ManualClock)
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.ids = Ids(self.rng)
        self.fleet = Fleet(self.clock)
        self.network = Pools()
        self.storage = Storage(None)


@dataclass(eq=False)
class Container:
    state: str = "created"  # created | running | exited
    code: int = 0
    exited: asyncio.Event = field(default_factory=asyncio.Event)

    def exit(self, code: int) -> None:
        if self.state == "running":
            self.state, self.code = "exited", code
            self.exited.set()


class FakeHost:
    """Containers by task id; they outlive the agent. ``calls`` lists what controllers were asked to do."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.containers: dict[str, Container] = {}
        self.calls: list[tuple[str, str]] = []
        self.cpus, self.memory = 4 * SECOND, 8 * 1024**3
        self.labels: Json = {}
        self.images_found: set[str] = set()  # that were unknown at first

    def kill(self, task_id: str, code: int = 137) -> None:
        self.containers[task_id].exit(code)

    def power_off(self) -> None:
        for container in self.containers.values():
            container.exit(255)

    async def describe(self) -> Json:
        return {
            "Hostname": self.name,
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": self.cpus, "MemoryBytes": self.memory},
            "Engine": {"EngineVersion": "28.2.2", "Labels": self.labels, "Plugins": []},
        }

    def controller(self, task: Task) -> FakeController:
        return FakeController(self, task)


class FakeController:
    """The image says how the container behaves: ``crash``, ``nosuch``, ``slow``, ``done``; else it runs on."""

    def __init__(self, host: FakeHost, task: Task) -> None:
        self.host = host
        self.task_id = task.id
        self.image = str((task.spec.get("ContainerSpec") or {}).get("Image", "app")).split(":")[0]

    @property
    def container(self) -> Container:
        return self.host.containers[self.task_id]

    def _called(self, what: str) -> None:
        self.host.calls.append((what, self.task_id))

    async def prepare(self) -> None:
        self._called("prepare")
        if self.image == "nosuch" and self.image not in self.host.images_found:
            raise TaskError("No such image: nosuch:1")
        self.host.containers.setdefault(self.task_id, Container())

    async def start(self) -> None:
        self._called("start")
        if self.container.state == "created":
            if self.image == "slow":
                await self.host.clock.sleep(3)
            self.container.state = "running"

    async def wait(self) -> None:
        container = self.container
        if self.image in ("crash", "done") and container.state == "running":
            await self.host.clock.sleep(1)
            container.exit(1 if self.image == "crash" else 0)
        await container.exited.wait()
        if container.code:
            raise TaskError(f"task: non-zero exit ({container.code})", container.code)

    async def shutdown(self) -> None:
        self._called("shutdown")
        if self.task_id in self.host.containers:
            self.container.exit(0)

    async def terminate(self) -> None:
        await self.shutdown()

    async def remove(self) -> None:
        self._called("remove")
        self.host.containers.pop(self.task_id, None)

    def status(self) -> tuple[str, int, int | None, tuple[Json, ...]]:
        container = self.host.containers.get(self.task_id)
        if container is None:
            return "", 0, None, ()
        running = container.state == "running"
        return f"c{self.task_id}", 4711 if running else 0, container.code if container.state == "exited" else None, ()


class FakeNode:
    """The part of a SwarmNode that its agent and its leader use."""

    def __init__(self, swarm: FakeSwarm, host: FakeHost, node_id: str) -> None:
        self.swarm = swarm
        self.host = host
        self.node_id = node_id
        self.roles: list[str] = []

    def find_leader(self) -> Leader | None:
        leader = self.swarm.leader
        if leader is None or not self.swarm.world.fleet.reachable(self.host.name, leader.machine):
            return None
        return leader

    async def role_changed(self, role: str) -> None:
        self.roles.append(role)


class FakeSwarm:
    """One leader on ``manager-1``, and an agent on every machine."""

    def __init__(self, workers: int = 2, clock: Any = None) -> None:
        self.world = World(**({} if clock is None else {"clock": clock}))
        self.clock = self.world.clock
        self.store = Store.local(self.clock)
        self.leader: Leader | None = None
        self.hosts: dict[str, FakeHost] = {}
        self.nodes: dict[str, FakeNode] = {}
        self.agents: dict[str, Agent] = {}
        self.history: dict[str, list[TaskState]] = {}
        names = ["manager-1", *(f"worker-{n}" for n in range(1, workers + 1))]
        for index, name in enumerate(names):
            self.world.fleet.add(Machine(name, f"127.99.0.{10 + index}"))
            self.hosts[name] = FakeHost(name, self.clock)

    async def start(self) -> None:
        def found(tx: Tx) -> None:
            tx.create(Cluster(id="cluster", spec={"Name": "default"}))
            tx.create(Network(id="ingress", spec={"Name": "ingress", "Ingress": True}))

        await self.store.update(found)
        self.node = FakeNode(self, self.hosts["manager-1"], "node-manager-1")
        await self.lead()
        for name in self.hosts:
            await self.join(name)

    async def lead(self) -> None:
        self.leader = Leader(self.node, self.store, self.world)
        await self.leader.start()

    async def join(self, name: str) -> None:
        node_id = f"node-{name}"
        role = "manager" if name.startswith("manager") else "worker"
        spec = {"Role": role, "Availability": "active", "Labels": {}}
        raft_id = 1 if role == "manager" else None
        await self.store.update(
            lambda tx: tx.create(Node(id=node_id, spec=spec, role=role, raft_id=raft_id, manager_addr="m:2377"))
        )
        self.nodes[name] = FakeNode(self, self.hosts[name], node_id)
        self.agents[name] = Agent(self.nodes[name], self.hosts[name], self.world)
        await self.agents[name].start()

    async def stop(self) -> None:
        for agent in self.agents.values():
            await agent.stop()
        if self.leader is not None:
            await self.leader.stop()

    # -- what a person does

    async def create(self, name: str, replicas: int | None = 1, image: str = "app:1", **spec: Any) -> Service:
        """``replicas`` None makes a global service. Keyword arguments are parts of the TaskTemplate or the service."""
        template: Json = {"ContainerSpec": {"Image": image}}
        template |= {key: spec.pop(key) for key in list(spec) if key in ("RestartPolicy", "Resources", "Placement")}
        mode: Json = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
        service = Service(
            id=self.world.ids.swarm_id(),
            spec={"Name": name, "Labels": {}, "TaskTemplate": template, "Mode": mode, **spec},
        )
        await self.store.update(lambda tx: tx.create(service))
        return service

    async def update(self, service: Service, **changes: Any) -> None:
        """As the API does: the old spec becomes the previous one. ``image`` and ``replicas`` are short for theirs."""

        def change(tx: Tx) -> None:
            current = tx.get(Service, service.id)
            assert current is not None
            spec = dict(current.spec)
            if "image" in changes:
                spec["TaskTemplate"] = spec["TaskTemplate"] | {"ContainerSpec": {"Image": changes.pop("image")}}
            if "replicas" in changes:
                spec["Mode"] = {"Replicated": {"Replicas": changes.pop("replicas")}}
            for key in ("RestartPolicy", "Resources", "Placement"):
                if key in changes:
                    spec["TaskTemplate"] = spec["TaskTemplate"] | {key: changes.pop(key)}
            spec |= changes
            tx.update(
                replace(
                    current,
                    spec=spec,
                    spec_version=current.version,
                    previous_spec=current.spec,
                    previous_spec_version=current.spec_version,
                    update_status=None,
                )
            )

        await self.store.update(change)

    async def rollback(self, service: Service) -> None:
        def change(tx: Tx) -> None:
            current = tx.get(Service, service.id)
            assert current is not None
            assert current.previous_spec is not None
            status = {
                "State": "rollback_started",
                "Message": "manually requested rollback",
                "StartedAt": self.clock.time(),
            }
            tx.update(
                replace(
                    current,
                    spec=current.previous_spec,
                    spec_version=current.previous_spec_version,
                    previous_spec=current.spec,
                    previous_spec_version=current.spec_version,
                    update_status=status,
                )
            )

        await self.store.update(change)

    async def remove(self, service: Service) -> None:
        await self.store.update(lambda tx: tx.delete(Service, service.id))

    async def set_node(self, name: str, **spec: Any) -> None:
        def change(tx: Tx) -> None:
            node = tx.get(Node, f"node-{name}")
            assert node is not None
            tx.update(replace(node, spec=node.spec | spec))

        await self.store.update(change)

    async def fail(self, name: str) -> None:
        """Pull the plug of a machine."""
        self.world.fleet.fail(name)
        self.hosts[name].power_off()
        await self.agents[name].stop()

    async def heal(self, name: str) -> None:
        was_off = self.world.fleet.machine(name).power == "off"
        self.world.fleet.heal(name)
        if was_off:
            await self.agents[name].start()

    # -- what a person sees

    def tasks(self, service: Service, *, running: bool | None = None) -> list[Task]:
        """Tasks of a service; ``running``: only those that run and shall."""
        found = self.store.tasks_of_service(service.id)
        if running:
            found = [t for t in found if t.status.state == t.desired_state == TaskState.RUNNING]
        return sorted(found, key=lambda task: (task.slot, task.created_at))

    def on(self, name: str) -> list[Task]:
        """Running tasks of a node."""
        return [t for t in self.store.tasks_of_node(f"node-{name}") if t.status.state == TaskState.RUNNING]

    def service(self, service: Service) -> Service:
        found = self.store.get(Service, service.id)
        assert found is not None
        return found

    def node_state(self, name: str) -> str:
        node = self.store.get(Node, f"node-{name}")
        assert node is not None
        return node.state

    async def settle(self, seconds: float = 1.0) -> None:
        await self.clock.advance(seconds)


@asynccontextmanager
async def fake_swarm(workers: int = 2, clock: Any = None) -> AsyncIterator[FakeSwarm]:
    swarm = FakeSwarm(workers, clock)
    await swarm.start()
    if isinstance(swarm.clock, ManualClock):
        await swarm.settle()
    try:
        yield swarm
    finally:
        await swarm.stop()


def a_node(id: str = "n1", **changes: Any) -> Node:
    """A ready node, for the tests of pure functions."""
    description = {
        "Hostname": changes.pop("hostname", f"host-{id}"),
        "Platform": changes.pop("platform", {"OS": "linux", "Architecture": "x86_64"}),
        "Resources": changes.pop("resources", {"NanoCPUs": 4 * SECOND, "MemoryBytes": 1024**3}),
        "Engine": {"Labels": changes.pop("engine_labels", {}), "Plugins": changes.pop("plugins", [])},
    }
    availability, labels = changes.pop("availability", "active"), changes.pop("labels", {})
    spec = {"Role": "worker", "Availability": availability, "Labels": labels}
    return replace(Node(id=id, spec=spec, description=description, state="ready", addr="127.0.0.1"), **changes)


def a_task(id: str = "t1", **changes: Any) -> Task:
    """A running task of slot 1 of service s1."""
    status = TaskStatus(state=changes.pop("state", TaskState.RUNNING), timestamp=changes.pop("at", 0.0))
    desired = changes.pop("desired_state", TaskState.RUNNING)
    base = Task(id=id, service_id="s1", service_name="web", slot=1, node_id="n1", status=status, desired_state=desired)
    return replace(base, **changes)


def a_service(id: str = "s1", *, replicas: int | None = 1, **spec: Any) -> Service:
    mode: Json = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    return Service(id=id, spec={"Name": "web", "TaskTemplate": {}, "Mode": mode, **spec})


__all__ = ["FakeSwarm", "Unreachable", "a_node", "a_service", "a_task", "fake_swarm"]

"""A cluster that exists only in memory, for tests of what watches, draws and controls one.

Its orchestrator is a few lines: `step()` moves every task one state further, so that a test sees pending, starting
and running in turn. It keeps unchanged objects, as real adapters do.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

from labkit.model import Endpoint, Node, NodeState, Resources, Snapshot, State, Task, Workload

GIB = 2**30
TINY = Resources(0.25, 128 * 2**20)


@dataclass
class Machine:
    name: str
    role: str
    state: str = "up"


@dataclass
class SimulatedSwarm:
    """An orchestrator adapter over a cluster in memory. `now` is turned by hand."""

    managers: int = 3
    workers: int = 2
    name: str = "swarm"
    now: float = 1_700_000_000.0
    client: Any = None
    error: str = ""
    keep: int = 4  # dead tasks kept a slot
    nodes: dict[str, Node] = field(default_factory=dict)
    workloads: dict[str, Workload] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    count: int = 0
    changed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        capacity = Resources(4.0, 8 * GIB)
        names = [f"manager-{i}" for i in range(1, self.managers + 1)]
        names += [f"worker-{i}" for i in range(1, self.workers + 1)]
        for index, name in enumerate(names):
            manager = name.startswith("manager")
            self.nodes[f"n{index}"] = Node(
                f"n{index}",
                name,
                "manager" if manager else "worker",
                NodeState.READY,
                leader=index == 0,
                reachable=True if manager else None,
                address=f"127.5.0.{10 + index}",
                capacity=capacity,
            )

    # The adapter -----------------------------------------------------------------------------------------------

    def snapshot(self, previous: Snapshot | None) -> Snapshot:
        for key, w in self.workloads.items():
            running = sum(t.wanted and t.state is State.RUNNING for t in self.tasks.values() if t.workload == key)
            if running != w.running:
                self.workloads[key] = replace(w, running=running)
        return Snapshot(
            self.now,
            self.name,
            dict(self.nodes),
            dict(self.workloads),
            dict(self.tasks),
            dict(self.endpoints),
            error=self.error,
        )

    def wait(self, timeout: float) -> None:
        if self.changed.wait(timeout):
            self.changed.clear()

    def scale(self, workload: str, replicas: int) -> None:
        key = self._workload(workload)
        self.workloads[key] = replace(self.workloads[key], desired=replicas)
        self._reconcile()

    def deploy(self, name: str, image: str, replicas: int = 1, ports: Any = None, **options: Any) -> None:
        key = f"w-{name}"
        if key in self.workloads:
            raise ValueError(f"name conflicts with an existing object: service {name} already exists")
        self.workloads[key] = Workload(key, name, "service", desired=replicas, image=image)
        for published, target in (ports or {}).items():
            self.endpoints[f"{key}:{published}"] = Endpoint(f"{key}:{published}", key, "ingress", published, target)
        self._reconcile()

    def remove(self, workload: str) -> None:
        key = self._workload(workload)
        del self.workloads[key]
        self.tasks = {k: t for k, t in self.tasks.items() if t.workload != key}
        self.endpoints = {k: e for k, e in self.endpoints.items() if e.workload != key}
        self.changed.set()

    def kill(self, task_id: str) -> None:
        self.die(task_id, "task: non-zero exit (137)", 137)
        self._reconcile()

    def drain(self, node: str) -> None:
        self._available(node, "drain")

    def activate(self, node: str) -> None:
        self._available(node, "active")

    def pause(self, node: str) -> None:
        self._available(node, "pause")

    def close(self) -> None:
        pass

    # What happens to it ----------------------------------------------------------------------------------------

    def down(self, name: str) -> None:
        key = next(k for k, n in self.nodes.items() if n.name == name)
        node = self.nodes[key]
        reachable = False if node.role == "manager" else None
        self.nodes[key] = replace(node, state=NodeState.DOWN, leader=False, reachable=reachable)
        if node.leader:
            heir = next(k for k, n in self.nodes.items() if n.role == "manager" and n.state is NodeState.READY)
            self.nodes[heir] = replace(self.nodes[heir], leader=True)
        for task in [t for t in self.tasks.values() if t.node == key and t.state.alive]:
            self.tasks[task.id] = replace(task, state=State.LOST, wanted=False, updated=self.now)
        self._reconcile()

    def up(self, name: str) -> None:
        key = next(k for k, n in self.nodes.items() if n.name == name)
        node = self.nodes[key]
        self.nodes[key] = replace(node, state=NodeState.READY, reachable=True if node.role == "manager" else None)
        self._reconcile()

    def die(self, task_id: str, message: str = "", code: int | None = None, state: State = State.FAILED) -> None:
        task = self.tasks[task_id]
        self.tasks[task_id] = replace(
            task, state=state, wanted=False, message=message, exit_code=code, updated=self.now,
            detail=state.name.lower(),
        )  # fmt: skip

    def step(self, seconds: float = 1.0) -> None:
        """Every task one state further."""
        self.now += seconds
        for task in list(self.tasks.values()):
            if task.state is State.PENDING:
                self._place(task)
            elif task.state is State.STARTING:
                self.tasks[task.id] = replace(task, state=State.RUNNING, detail="running", updated=self.now)
            elif task.state is State.STOPPING:
                self.die(task.id, state=State.STOPPED)
        self._reconcile()

    def settle(self) -> None:
        for _ in range(4):
            self.step()

    # ------------------------------------------------------------------------------------------------------------

    def _workload(self, name: str) -> str:
        for key, w in self.workloads.items():
            if name in (key, w.name):
                return key
        raise LookupError(f"service {name} not found")

    def _available(self, name: str, availability: str) -> None:
        key = next(k for k, n in self.nodes.items() if name in (k, n.name))
        self.nodes[key] = replace(self.nodes[key], availability=availability)
        if availability == "drain":
            for task in [t for t in self.tasks.values() if t.node == key and t.state.alive]:
                self.tasks[task.id] = replace(task, state=State.STOPPING, wanted=False)
        self._reconcile()

    def _reconcile(self) -> None:
        alive: dict[tuple[str, int], Task] = {
            (t.workload, t.slot): t for t in self.tasks.values() if t.wanted and t.state.alive
        }
        for key, w in self.workloads.items():
            for slot in range(1, w.desired + 1):
                if (key, slot) not in alive:
                    self.count += 1
                    task = Task(
                        f"t{self.count:05d}", f"{w.name}.{slot}", key, State.PENDING, slot=slot,
                        image=w.image, reserved=TINY, created=self.now,
                    )  # fmt: skip
                    self.tasks[task.id] = task
        for (workload, slot), task in alive.items():
            if slot > self.workloads[workload].desired:
                self.tasks[task.id] = replace(task, state=State.STOPPING, wanted=False)
        history: dict[tuple[str, int], list[Task]] = {}
        for task in self.tasks.values():
            if not task.state.alive:
                history.setdefault((task.workload, task.slot), []).append(task)
        for dead in history.values():
            for task in sorted(dead, key=lambda t: t.created)[: -self.keep]:
                del self.tasks[task.id]
        self.changed.set()

    def _place(self, task: Task) -> None:
        load = {
            key: sum(t.node == key and t.state.alive for t in self.tasks.values())
            for key, node in self.nodes.items()
            if node.state is NodeState.READY and node.availability == "active"
        }
        constraint = self.workloads[task.workload].labels.get("only")
        if constraint:
            load = {key: n for key, n in load.items() if self.nodes[key].name == constraint}
        if not load:
            others = len(self.nodes)
            text = f"no suitable node (scheduling constraints not satisfied on {others} nodes)"
            self.tasks[task.id] = replace(task, message=text)
            return
        node = min(load, key=lambda k: (load[k], k))
        self.count += 1
        self.tasks[task.id] = replace(
            task, node=node, state=State.STARTING, detail="preparing", message="", container=f"{self.count:064x}"
        )


def big(tasks: int, nodes: int) -> SimulatedSwarm:
    """A cluster with many running tasks, spread evenly."""
    swarm = SimulatedSwarm(managers=3, workers=nodes - 3)
    for index, share in enumerate((0.5, 0.3, 0.2)):
        count = round(tasks * share)
        key = f"w-svc{index}"
        swarm.workloads[key] = Workload(key, f"svc{index}", "service", desired=count, running=count, image="nginx:1.27")
        for slot in range(1, count + 1):
            swarm.count += 1
            task = Task(
                f"t{swarm.count:05d}", f"svc{index}.{slot}", key, State.RUNNING, node=f"n{swarm.count % nodes}",
                slot=slot, image="nginx:1.27", reserved=Resources(0.01, 2**20), created=swarm.now,
            )  # fmt: skip
            swarm.tasks[task.id] = task
    return swarm


@dataclass(frozen=True)
class Component:
    """A part of the orchestrator that can be stopped."""

    name: str
    machine: str
    state: str


class SimulatedSandbox:
    """What `labkit.sandbox.Sandbox` offers to widgets, over a simulated swarm."""

    name = "demo"
    orchestrator = "swarm"
    engine = "embedded"

    def __init__(self, swarm: SimulatedSwarm | None = None) -> None:
        from labkit.live import Live

        self.actions = swarm or SimulatedSwarm()
        self.live = Live(self.actions)
        self._machines = [Machine(n.name, n.role) for n in self.actions.nodes.values()]
        self._components: list[Component] = []

    @property
    def machines(self) -> list[Machine]:
        return self._machines

    def fail(self, machine: str) -> None:
        next(m for m in self._machines if m.name == machine).state = "down"
        self.actions.down(machine)

    @property
    def components(self) -> list[Component]:
        return self._components

    def stop(self, component: str, machine: str | None = None) -> None:
        self._components = [Component(component, machine or "", "stopped")]

    def start(self, component: str, machine: str | None = None) -> None:
        self._components = [Component(component, machine or "", "running")]

    def heal(self, machine: str) -> None:
        next(m for m in self._machines if m.name == machine).state = "up"
        self.actions.up(machine)

    def pause(self, machine: str) -> None:
        next(m for m in self._machines if m.name == machine).state = "paused"
        self.actions.down(machine)

    def partition(self, machine: str) -> None:
        next(m for m in self._machines if m.name == machine).state = "partitioned"
        self.actions.down(machine)

    def snapshot(self) -> Snapshot:
        return self.actions.snapshot(None)

"""Docker Swarm through the Docker Engine API, on any engine: what is there, and what may be done to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from labkit.errors import ClusterError
from labkit.model import Endpoint, Node, NodeState, Snapshot, State, Task, Workload
from labkit.orchestrators.base import Machine, as_last_seen, check_replicas
from labkit.orchestrators.connection import Connection, EndpointError, Outcome, docker_client
from labkit.orchestrators.swarm_deploy import service_spec
from labkit.orchestrators.swarm_reading import read_endpoints, read_node, read_task, read_workload
from labkit.orchestrators.waiting import Waiting

Result = TypeVar("Result")

# Which of several failures says most about why the swarm cannot be read.
_TELLING = (Outcome.NO_LEADER, Outcome.HANGING, Outcome.REFUSED, Outcome.NOT_MANAGER)

_READ_TIMEOUT = 2.5  # seconds for one read: a manager that is paused must not stop the picture
_ACT_TIMEOUT = 10.0
_STALE_RETRIES = 5  # tries when somebody else changed the object between our read and our write


class Swarm:
    """The adapter of :class:`labkit.orchestrators.base.Orchestrator` for a swarm.

    It asks the manager that answered last, and another one as soon as that fails.
    """

    name = "swarm"

    def __init__(self, machines: Callable[[], Sequence[Machine]]) -> None:
        found = sorted((m for m in machines() if m.env), key=lambda m: m.role == "worker")
        if not found:
            raise ClusterError("none of the machines has a Docker endpoint that can be reached from here")
        self._first_env = found[0].env
        self._readers = [Connection(m.name, m.env, _READ_TIMEOUT) for m in found]
        self._actors = [Connection(m.name, m.env, _ACT_TIMEOUT) for m in found]
        self._memory = _Memory()
        self._waiting = Waiting(lambda: self._in_order(self._readers)[0])
        self._client: Any = None

    @property
    def client(self) -> Any:
        """A ``docker.DockerClient`` for the first machine."""
        if self._client is None:
            self._client = docker_client(self._first_env)
        return self._client

    # -- looking --------------------------------------------------------------------------------------------------

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        """The swarm now; ``previous`` (or nothing) with ``error`` set if no manager can tell. Raises nothing."""
        started = time.monotonic()
        try:
            nodes, services, tasks = self._on_manager(self._readers, _read_all)
        except ClusterError as error:
            self._waiting.looked(0.0, changed=False)
            return as_last_seen(previous, self.name, str(error))
        snapshot, changed = self._memory.take(nodes, services, tasks)
        self._waiting.looked(time.monotonic() - started, changed=changed)
        return snapshot

    def wait(self, timeout: float) -> None:
        """Until an event arrives or it is time to look at the tasks again (Docker has no task events)."""
        self._waiting.wait(timeout)

    def wake(self) -> None:
        """Ends a :meth:`wait` that is under way."""
        self._waiting.wake()

    # -- acting ---------------------------------------------------------------------------------------------------

    def scale(self, workload: str, replicas: int) -> None:
        check_replicas(replicas)

        def change(spec: dict[str, Any]) -> None:
            if "Replicated" not in spec["Mode"]:
                raise ClusterError("scale can only be used with replicated mode")  # as `docker service scale` says
            spec["Mode"]["Replicated"] = {"Replicas": replicas}

        self._change("services", workload, change)

    def update(self, workload: str, image: str) -> None:
        self._change("services", workload, lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Image=image))

    def drain(self, node: str) -> None:
        self._change("nodes", node, lambda spec: spec.update(Availability="drain"))

    def activate(self, node: str) -> None:
        self._change("nodes", node, lambda spec: spec.update(Availability="active"))

    def pause(self, node: str) -> None:
        self._change("nodes", node, lambda spec: spec.update(Availability="pause"))

    def deploy(
        self,
        name: str,
        image: str,
        replicas: int = 1,
        ports: Mapping[int, int] | Sequence[str] = (),
        **options: Any,
    ) -> str:
        """Creates a service; its id. :func:`labkit.orchestrators.swarm_deploy.service_spec` knows the options."""
        spec = service_spec(name, image, replicas, ports, **options)
        answer = self._act(lambda manager: manager.post("/services/create", body=spec))
        return str(answer["ID"])

    def remove(self, workload: str) -> None:
        self._act(lambda manager: manager.delete(f"/services/{workload}"))

    def kill(self, task_id: str) -> None:
        """``docker kill`` of the task's container on its own machine: the swarm learns of it as of any crash.

        ``task_id`` may also be a name ("web.3"), which means the task that runs there.
        """
        task = self._task(task_id)
        if task is None:
            raise ClusterError(f"no such task: {task_id}")
        if not task.container or not task.state.alive:
            raise ClusterError(f"{task.name} has no running container ({task.detail})")
        machine = self._machine_of(task.node)
        try:
            machine.post(f"/containers/{task.container}/kill")
        finally:
            self._waiting.wake()

    def close(self) -> None:
        self._waiting.close()
        for connection in (*self._readers, *self._actors):
            connection.close()
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- how ------------------------------------------------------------------------------------------------------

    def _change(self, kind: str, key: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Reads an object's spec, changes it, writes it whole; again if somebody else was quicker."""

        def attempt(manager: Connection) -> None:
            data = manager.get_json(f"/{kind}/{key}")
            spec = data["Spec"]
            change(spec)
            manager.post(f"/{kind}/{data['ID']}/update", {"version": data["Version"]["Index"]}, spec)

        for left in reversed(range(_STALE_RETRIES)):
            try:
                self._act(attempt)
                break
            except EndpointError as error:
                if not left or "update out of sequence" not in str(error):
                    raise

    def _act(self, do: Callable[[Connection], Result]) -> Result:
        try:
            return self._on_manager(self._actors, do)
        finally:
            self._waiting.wake()

    def _on_manager(self, connections: list[Connection], do: Callable[[Connection], Result]) -> Result:
        """Does it on the first manager that can; otherwise raises the error that tells most.

        Only one that is known to hang is waited for each time, another the next time: while an election is held, every
        manager hangs (a real one for up to 20 s).
        """
        problems: list[EndpointError] = []
        for connection in self._in_order(connections):
            if connection.outcome is Outcome.HANGING and any(p.outcome is Outcome.HANGING for p in problems):
                continue
            try:
                return do(connection)
            except EndpointError as error:
                if error.outcome is Outcome.OK:
                    raise  # a manager answered: nobody else would say anything else
                if error.outcome is Outcome.HANGING and connections is self._actors:
                    raise  # it may have been done all the same: doing it twice is worse than saying so
                problems.append(error)
        raise min(problems, key=lambda problem: _TELLING.index(problem.outcome))

    @staticmethod
    def _in_order(connections: list[Connection]) -> list[Connection]:
        def order(connection: Connection) -> tuple[int, float]:
            hanging = connection.outcome is Outcome.HANGING
            return connection.outcome, connection.asked_at if hanging else 0.0

        return sorted(connections, key=order)

    def _task(self, task_id: str) -> Task | None:
        snapshot = self.snapshot(None)
        if snapshot.error:
            raise ClusterError(snapshot.error)
        if task_id in snapshot.tasks:
            return snapshot.tasks[task_id]
        found = [task for task in snapshot.tasks.values() if task.name == task_id or task.id.startswith(task_id)]
        return max(found, key=lambda task: (task.state is State.RUNNING, task.created), default=None)

    def _machine_of(self, node_id: str) -> Connection:
        """The connection to the machine that is this node: by its name, or by asking each who it is."""
        node = self._memory.nodes.get(node_id)
        name = node.name if node else node_id
        for connection in self._actors:
            if connection.name == name:
                return connection
        for connection in self._actors:
            try:
                info = connection.get_json("/info")
            except EndpointError:
                continue
            if (info.get("Swarm") or {}).get("NodeID") == node_id:
                return connection
        raise ClusterError(f"the Docker engine of {name} cannot be reached from here; only it can kill its containers")


def _read_all(manager: Connection) -> tuple[bytes, bytes, bytes]:
    return manager.get("/nodes"), manager.get("/services"), manager.get("/tasks")


class _Memory:
    """What the last snapshot was made of, so that the next one makes only what changed.

    A list whose bytes are the same is not even parsed; an object whose version is the same is the same object.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._workloads: dict[str, Workload] = {}
        self._tasks: dict[str, Task] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._raw: tuple[bytes, bytes, bytes] = (b"", b"", b"")
        self._services: list[dict[str, Any]] = []
        self._task_list: list[dict[str, Any]] = []
        self._task_keys: dict[str, tuple[Any, ...]] = {}
        self._names: dict[str, str] = {}  # of services, also removed ones whose last tasks still stop

    def take(self, nodes: bytes, services: bytes, tasks: bytes) -> tuple[Snapshot, bool]:
        """The snapshot of these three lists, and whether it differs from the one before."""
        changed = (nodes, services, tasks) != self._raw
        if changed:
            self._read(nodes, services, tasks)
            self._raw = (nodes, services, tasks)
        snapshot = Snapshot(time.time(), Swarm.name, self.nodes, self._workloads, self._tasks, self._endpoints)
        return snapshot, changed

    def _read(self, nodes: bytes, services: bytes, tasks: bytes) -> None:
        old_nodes, old_services, old_tasks = self._raw
        if nodes != old_nodes:
            self.nodes = _kept(self.nodes, [read_node(data) for data in orjson.loads(nodes)])
        if services != old_services:
            self._services = orjson.loads(services)
            self._names.update((data["ID"], data["Spec"]["Name"]) for data in self._services)
            self._endpoints = _kept(self._endpoints, [e for data in self._services for e in read_endpoints(data)])
        if tasks != old_tasks:
            self._task_list = orjson.loads(tasks)
        self._tasks = self._read_tasks()
        self._workloads = self._read_workloads()

    def _read_tasks(self) -> dict[str, Task]:
        lost = {node.id for node in self.nodes.values() if node.state is NodeState.DOWN}
        made: dict[str, Task] = {}
        keys: dict[str, tuple[Any, ...]] = {}
        for data in self._task_list:
            task_id, node_id = data["ID"], data.get("NodeID", "")
            node = self.nodes.get(node_id)
            gone = bool(node_id) and (node is None or node_id in lost)
            name = self._names.get(data.get("ServiceID", ""), data.get("ServiceID", "")[:12])
            node_name = node.name if node else node_id[:12]
            keys[task_id] = key = (data["Version"]["Index"], gone, name, node_name)
            before = self._tasks.get(task_id)
            if before is not None and self._task_keys.get(task_id) == key:
                made[task_id] = before
            else:
                made[task_id] = read_task(data, name, node_name, gone)
        self._task_keys = keys
        return made

    def _read_workloads(self) -> dict[str, Workload]:
        wanted: dict[str, int] = {}
        running: dict[str, int] = {}
        for task in self._tasks.values():
            if task.wanted:
                wanted[task.workload] = wanted.get(task.workload, 0) + 1
                if task.state is State.RUNNING:
                    running[task.workload] = running.get(task.workload, 0) + 1
        return _kept(
            self._workloads,
            [read_workload(data, wanted.get(data["ID"], 0), running.get(data["ID"], 0)) for data in self._services],
        )


Item = TypeVar("Item", Node, Workload, Endpoint)


def _kept(before: dict[str, Item], now: list[Item]) -> dict[str, Item]:
    """By id, the old object wherever the new one equals it; the old mapping if nothing changed at all."""
    made = {item.id: before[item.id] if before.get(item.id) == item else item for item in now}
    same = len(made) == len(before) and all(before.get(key) is item for key, item in made.items())
    return before if same else made

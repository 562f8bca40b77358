"""The adapter of :class:`labkit.orchestrators.base.Orchestrator` for Marathon on Mesos."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.errors import ClusterError, UsageError
from labkit.model import Resources, Snapshot, State, Task, Workload
from labkit.orchestrators.base import Machine, as_last_seen, check_replicas
from labkit.orchestrators.marathon import deploying
from labkit.orchestrators.marathon.client import MarathonClient
from labkit.orchestrators.marathon.memory import Memory
from labkit.orchestrators.marathon.sources import Places, Raw, Sources
from labkit.orchestrators.marathon.stream import EventStream
from labkit.orchestrators.marathon.why import explain_placed, explain_waiting
from labkit.orchestrators.waiting import Waiting
from labkit.placement import Why

Json = dict[str, Any]

_ACT_TIMEOUT = 8.0

# What the dashboard calls by other names elsewhere, and Mesos does not have.
_NO_DRAIN = (
    "Mesos does not drain agents by itself: a framework moves its tasks (Marathon: a constraint, or kill them there), "
    "and an operator announces maintenance, which this does not do"
)


class Marathon:
    """Reads Marathon and the masters below it, and acts through their HTTP APIs alone.

    Apps are found by id (``/prod/web``) or without the slash; tasks by id or by the name in the picture.
    """

    name = "marathon"

    def __init__(self, machines: Callable[[], Sequence[Machine]]) -> None:
        places = Places.of(list(machines()))
        self._sources = Sources(places)
        self._client = MarathonClient(places.marathons, places.mesos_urls, _ACT_TIMEOUT)
        self._memory = Memory(places)
        self._looking = threading.Lock()  # the live view and somebody who acts may look at the same time
        self._waiting = Waiting(lambda: _Events(self._client, self._memory.note))
        self._taken: Snapshot | None = None

    @property
    def client(self) -> MarathonClient:
        """A :class:`~labkit.orchestrators.marathon.MarathonClient`; ``client.mesos`` talks to the masters."""
        return self._client

    # -- looking --------------------------------------------------------------------------------------------------

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        """The cluster now. Raises nothing.

        What cannot be read (no master leads, no Marathon answers) is what was last seen, with ``error`` set; the
        masters and the ensemble are always as they are now.
        """
        with self._looking:
            started = time.monotonic()
            raw = self._sources.read()
            changed = self._memory.take(raw)
            self._sources.learn_members(self._memory.state)
            self._waiting.looked(time.monotonic() - started, changed=changed)
            memory, error = self._memory, trouble(raw)
            if error and not memory.state and previous is not None:
                return as_last_seen(previous, self.name, error)  # another adapter has seen more than this new one
            at = self._taken.at if error and self._taken is not None else time.time()
            self._taken = Snapshot(
                at, self.name, memory.nodes, memory.workloads, memory.tasks, memory.endpoints, error,
                memory.frameworks, memory.offers,
            )  # fmt: skip
            return self._taken

    def wait(self, timeout: float) -> None:
        """Until Marathon tells of an event, or it is time to look at offers and other frameworks again."""
        self._waiting.wait(timeout)

    def wake(self) -> None:
        """Ends a :meth:`wait` that is under way."""
        self._waiting.wake()

    # -- acting: apps -----------------------------------------------------------------------------------------------

    def scale(self, workload: str, replicas: int) -> None:
        """Another number of instances."""
        check_replicas(replicas)
        app = self._app(workload)
        # As often as a slider is moved: a deployment that is not done must not lock the next one out.
        self._do(lambda: self._client.scale(app, replicas, force=True))

    def suspend(self, workload: str) -> None:
        """Keeps the app, stops all its tasks."""
        self.scale(workload, 0)

    def restart(self, workload: str) -> None:
        """New tasks for all, as the app's upgradeStrategy says."""
        app = self._app(workload)
        self._do(lambda: self._client.restart(app))

    def update(self, workload: str, image: str) -> None:
        """Another image (or, of a process, ``$ another command``): a rolling restart."""
        app = self._app(workload)
        self._do(lambda: self._client.update(app, deploying.with_image(self._client.app(app), image)))

    def deploy(
        self,
        name: str,
        image: str = "",
        replicas: int = 1,
        ports: Mapping[int, int] | Sequence[str] = (),
        **options: Any,
    ) -> str:
        """Makes an app; its id. :func:`labkit.orchestrators.marathon.deploying.app` knows the options."""
        made = deploying.app(name, image, replicas, ports or (), **options)
        return str(self._do(lambda: self._client.create(made))["id"])

    def remove(self, workload: str) -> None:
        """Destroys an app; of another framework: tears it down, with all its tasks."""
        found = self._workload(workload)
        if found.kind == "framework":
            self._do(lambda: self._client.mesos.teardown(found.id))
        else:
            self._do(lambda: self._client.delete(found.id, force=True))

    # -- acting: tasks and agents -------------------------------------------------------------------------------------

    def kill(self, task_id: str) -> None:
        """Kills a task: Marathon starts another one for it."""
        self._kill(task_id, scale=False)

    def kill_and_scale(self, task_id: str) -> None:
        """Kills a task, and asks for one instance less."""
        self._kill(task_id, scale=True)

    def drain(self, node: str) -> None:
        raise UsageError(_NO_DRAIN)

    def activate(self, node: str) -> None:
        raise UsageError(_NO_DRAIN)

    def pause(self, node: str) -> None:
        raise UsageError(_NO_DRAIN)

    # -- asking why -------------------------------------------------------------------------------------------------

    def why(self, task: str, ask: Callable[[str, str], Json | None] | None = None) -> Why:
        """Why a task is on its agent, or why an app waits. ``ask`` is for schedulers that keep tables; not used."""
        snapshot = self._now()
        app = self._waiting_app(snapshot, task)
        if app is None:
            found = self._task(snapshot, task)
            if found.state is not State.PENDING:
                workload = snapshot.workloads.get(found.workload)
                other = workload.name if workload is not None and workload.kind == "framework" else ""
                return explain_placed(found, snapshot.nodes.values(), other)
            app = found.workload
        item = next((item for item in self._memory.queue if _id_of(item) == app), None)
        if item is None:
            raise ClusterError(f"{app} waits for nothing any more")
        left = {key: _free(snapshot, key, node.capacity) for key, node in snapshot.nodes.items()}
        names = {key: framework.name for key, framework in snapshot.frameworks.items()}
        return explain_waiting(app, item, snapshot.nodes.values(), snapshot.offers.values(), names, left)

    def close(self) -> None:
        self._waiting.close()
        self._sources.close()
        self._client.close()

    # -- how ----------------------------------------------------------------------------------------------------------

    def _kill(self, task_id: str, *, scale: bool) -> None:
        snapshot = self._now()
        task = self._task(snapshot, task_id)
        workload = snapshot.workloads.get(task.workload)
        if task.state is State.PENDING:
            raise ClusterError(f"{task.name} has not started: scale its app down instead")
        if not task.state.alive and task.state is not State.LOST:
            raise ClusterError(f"{task.name} has ended ({task.detail})")
        if workload is not None and workload.kind == "framework":
            raise ClusterError(f"{task.name} belongs to {workload.name}: only a framework itself can kill its tasks")
        self._do(lambda: self._client.kill(task.id, scale=scale))

    def _do(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        finally:
            self._waiting.wake()

    # -- finding ------------------------------------------------------------------------------------------------------

    def _now(self) -> Snapshot:
        snapshot = self.snapshot(None)
        if snapshot.error and not snapshot.workloads and not snapshot.tasks:
            raise ClusterError(snapshot.error)
        return snapshot

    def _workload(self, wanted: str) -> Workload:
        there = self._now().workloads
        found = there.get(wanted) or there.get(f"/{wanted.strip('/')}")
        found = found or next((w for w in there.values() if w.name == wanted), None)
        if found is None:
            raise ClusterError(f"App '/{wanted.strip('/')}' does not exist")  # as Marathon says it
        return found

    def _app(self, wanted: str) -> str:
        if wanted.startswith("/"):
            return wanted  # Marathon itself says whether it is there
        found = self._workload(wanted)
        if found.kind != "app":
            raise UsageError(f"{found.name} is a framework of its own: it decides itself what it runs")
        return found.id

    @staticmethod
    def _task(snapshot: Snapshot, wanted: str) -> Task:
        if wanted in snapshot.tasks:
            return snapshot.tasks[wanted]
        found = [task for task in snapshot.tasks.values() if task.name == wanted]
        if not found:
            raise ClusterError(f"no task and no app is called {wanted!r}")
        return max(found, key=lambda task: (task.state.alive, task.created))

    @staticmethod
    def _waiting_app(snapshot: Snapshot, wanted: str) -> str | None:
        """The app of that name, if it waits for something; a task that waits is found by its own."""
        app = next((w for w in snapshot.workloads.values() if wanted in (w.id, w.name)), None)
        if app is None:
            return None
        mine = snapshot.tasks_of(app.id)
        if any(task.state is State.PENDING for task in mine) or not mine:
            return app.id
        raise ClusterError(f"{app.name} does not wait: ask for one of its tasks, {mine[0].name} for example")


def trouble(raw: Raw) -> str:
    """Why the picture is not current, in one line."""
    told = []
    if raw.mesos_error:
        told.append(raw.mesos_error)
        known = [mode for mode in raw.members.values() if mode]
        serving = sum(mode not in ("down", "no quorum") for mode in known)
        if known and serving * 2 <= len(known):
            told.append(f"ZooKeeper has no quorum ({serving} of {len(known)} members serve)")
    if raw.marathon_error:
        told.append(raw.marathon_error)
    return "; ".join(dict.fromkeys(told))


def _free(snapshot: Snapshot, node: str, capacity: Resources) -> Resources:
    used = snapshot.reserved_on(node)
    return Resources(capacity.cpus - used.cpus, capacity.memory - used.memory)


def _id_of(item: Mapping[str, Any]) -> str:
    return str((item.get("app") or item.get("pod") or {}).get("id", ""))


@dataclass(frozen=True, slots=True)
class _Events:
    """The event stream of whichever Marathon is asked next."""

    client: MarathonClient
    note: Callable[[Json], None]

    @property
    def name(self) -> str:
        return self.client.servers.name

    def events(self) -> _Heard:
        return _Heard(self.client.events(), self.note)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A stream whose events are noted as they pass."""

    stream: EventStream
    note: Callable[[Json], None]

    def __iter__(self) -> Iterator[Json]:
        for event in self.stream:
            self.note(event)
            yield event

    def close(self) -> None:
        self.stream.close()

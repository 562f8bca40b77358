"""The batch framework: a scheduler that takes what it is offered while it has work, and is silent while it has none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.batch.jobs import Attempt, Job, Spec
from labkit.embedded.mesos.resources import Resources
from labkit.embedded.mesos.tasks import is_terminal
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.runtime.keeper import Keeper
from labkit.embedded.runtime.listeners import Listener
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

if TYPE_CHECKING:
    from labkit.embedded.guard import Guard

log = logging.getLogger(__name__)

Json = dict[str, Any]

PORT = 8088  # that of YARN's ResourceManager
REFUSE = 1.0  # seconds for which an offer that does not suit is not made again
FIRST_ASK, ASK = 15.0, 300.0  # seconds until it asks again for tasks of which it has not heard: twice as long each time
MAX_JOBS = 100  # that are over and still listed
REMOVED = "Framework has been removed"  # how a master refuses one that was torn down
NO_FAULT = frozenset(("TASK_LOST", "TASK_DROPPED", "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_KILLED"))


@dataclass(frozen=True, slots=True)
class Options:
    """How the framework names itself to Mesos. The weight of its role is the operator's to set (``PUT /weights``)."""

    name: str = "batch"
    user: str = "root"
    role: str = "batch"
    port: int = PORT
    principal: str = "labkit"
    failover_timeout: float = 3600.0
    guard: Guard | None = None


class Batch:
    """The framework on one machine.

    ``make_driver(framework, received, connected, disconnected)`` makes its line to Mesos
    (:class:`labkit.embedded.mesos.driver.SchedulerDriver`).
    """

    def __init__(
        self,
        machine: str,
        fleet: Fleet,
        clock: Clock,
        network: Network,
        storage: Storage | None,
        make_driver: Callable[[Json, Any, Any, Any], Any],
        options: Options,
    ) -> None:
        self.machine = machine
        self.fleet = fleet
        self.clock = clock
        self.network = network
        self.options = options
        self.jobs: dict[str, Job] = {}
        self.running = False
        self.wanted = False
        self._make_driver = make_driver
        self._driver: Any = None
        self._keeper = Keeper(storage, machine) if storage is not None else None
        self._listener: Listener | None = None
        self._suppressed = False
        self._unheard: dict[str, str] = {}  # tasks and their agents: nothing was said of them since it subscribed
        self._asking: Timer | None = None
        self._number = 0
        self._framework_id: str | None = None
        self._chores = Chores()
        self._read()
        fleet.subscribe(self._plugged)

    # -- life

    async def start(self) -> None:
        """Start it, or have it start when the machine gets its power back."""
        self.wanted = True
        if self.running or self.fleet.machine(self.machine).power == "off":
            return
        from labkit.embedded.mesos.batch.api import serve

        self.running = True
        self._suppressed = False
        self._driver = self._make_driver(self._info(), self._received, self._connected, lambda: None)
        await self._driver.start()
        self._listener = await serve(self)

    async def stop(self) -> None:
        """Stop the scheduler. Its tasks run on for as long as its failover timeout lets them."""
        self.wanted = False
        await self._halt()

    async def _halt(self) -> None:
        if not self.running:
            return
        self.running = False
        self._heard_of_all()
        if self._listener is not None:
            self._listener.shut()
            self._listener = None
        driver, self._driver = self._driver, None
        await driver.stop()
        if self._keeper is not None:
            self._keeper.flush()

    async def _begin_anew(self) -> None:
        """Mesos has ended the framework, and its tasks with it: its jobs are over, and it takes another id.

        A scheduler ends itself when it is told so, and whatever keeps it running starts it again.
        """
        await self._halt()
        for job in self.jobs.values():
            if not job.over:
                job.end("KILLED", self.clock.time())
                job.running.clear()
                self._keep(job)
        self._framework_id = None
        if self._keeper is not None:
            self._keeper.delete("batch", "framework")
            self._keeper.flush()
        if self.wanted:
            await self.start()

    def _plugged(self, machine: str, what: str) -> None:
        if machine != self.machine:
            return

        if what == "fail":
            asyncio.get_running_loop().create_task(self._halt())
        elif what == "heal" and self.wanted and not self.running:
            asyncio.get_running_loop().create_task(self.start())

    def _info(self) -> Json:
        options = self.options
        made: Json = {
            "name": options.name,
            "user": options.user,
            "roles": [options.role],
            "principal": options.principal,
            "checkpoint": True,
            "failover_timeout": options.failover_timeout,
            "webui_url": f"http://{self.fleet.machine(self.machine).address}:{options.port}/jobs",
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
        }
        if self._framework_id is not None:
            made["id"] = {"value": self._framework_id}
        return made

    # -- jobs

    def submit(self, spec: Spec) -> Job:
        """Take a job; it is on disk when this returns."""
        self._number += 1
        job = Job.new(self._number, spec, self.clock.time())
        self.jobs[job.id] = job
        over = [one.id for one in self.jobs.values() if one.over]
        for name in over[: max(0, len(over) - MAX_JOBS)]:
            del self.jobs[name]
            if self._keeper is not None:
                self._keeper.delete("batch-job", name)
        self._keep(job)
        if self._keeper is not None:
            self._keeper.flush()
        self._want()
        return job

    def kill(self, job: Job) -> None:
        """End a job and its tasks."""
        if not job.over:
            job.end("KILLED", self.clock.time())
            self._keep(job)
        self._kill_tasks(job)
        self._want()

    def _kill_tasks(self, job: Job) -> None:
        for task_id, agent in job.running.items():
            kill = {"task_id": {"value": task_id}, "agent_id": {"value": agent}}
            self._call({"type": "KILL", "kill": kill})

    def _waiting(self) -> Job | None:
        """The oldest job that has a task to start."""
        return next((job for job in self.jobs.values() if job.waiting), None)

    def _want(self) -> None:
        """Ask for offers while there is work, and for none while there is not: others may have them."""
        if self._driver is None or not self._driver.connected:
            return
        idle = self._waiting() is None
        if idle and not self._suppressed:
            self._call({"type": "SUPPRESS"})
        elif not idle and self._suppressed:
            self._call({"type": "REVIVE"})
        self._suppressed = idle

    # -- what Mesos says

    def _call(self, call: Json) -> None:
        if self._driver is not None:
            self._driver.call(call)

    def _connected(self) -> None:
        """Subscribed, perhaps anew: the master takes it that offers are wanted."""
        given = self._driver.framework_id
        if given != self._framework_id:
            self._framework_id = given
            if self._keeper is not None:
                self._keeper.put("batch", "framework", lambda: {"id": given})
        self._suppressed = False
        self._want()
        self._unheard = {task_id: agent for job in self.jobs.values() for task_id, agent in job.running.items()}
        self._ask(FIRST_ASK)

    # -- what became of tasks

    def _ask(self, pause: float) -> None:
        """Explicit reconciliation: a new master says nothing of an agent that has not come back to it yet, so this is
        done again until there is an answer for each task (``docs/reconciliation.md`` of Mesos)."""
        unheard = self._unheard
        self._heard_of_all()
        if not unheard:
            return
        tasks = [{"task_id": {"value": task_id}, "agent_id": {"value": agent}} for task_id, agent in unheard.items()]
        self._unheard = unheard
        self._asking = self.clock.call_later(pause, self._ask, min(2 * pause, ASK))
        self._call({"type": "RECONCILE", "reconcile": {"tasks": tasks}})

    def _heard_of_all(self) -> None:
        self._unheard = {}
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _received(self, event: Json) -> None:
        kind = event["type"]
        if kind == "OFFERS":
            for offer in event["offers"]["offers"]:
                self._offered(offer)
            self._want()
        elif kind == "UPDATE":
            self._updated(event["update"]["status"])
        elif kind == "ERROR":
            message = event.get("error", {}).get("message", "")
            log.warning("the batch framework: %s", message)
            if message == REMOVED:
                self._chores.start(self._begin_anew())

    def _offered(self, offer: Json) -> None:
        """Start as many tasks as fit."""
        left = Resources.of(offer["resources"])
        cpus, mem = left.cpus, left.mem
        infos: list[Json] = []
        while (job := self._waiting()) is not None:
            spec = job.spec
            if spec.cpus > cpus + 1e-9 or spec.mem > mem + 1e-9:
                break
            cpus, mem = cpus - spec.cpus, mem - spec.mem
            attempt = job.waiting.popleft()
            agent = offer["agent_id"]["value"]
            job.launched(attempt, agent)
            infos.append(_task_info(spec, attempt, agent))
            self._keep(job)
        ids = [offer["id"]]
        if not infos:
            self._call({"type": "DECLINE", "decline": {"offer_ids": ids, "filters": {"refuse_seconds": REFUSE}}})
            return
        operations = [{"type": "LAUNCH", "launch": {"task_infos": infos}}]
        accept = {"offer_ids": ids, "operations": operations, "filters": {"refuse_seconds": 0.0}}
        self._call({"type": "ACCEPT", "accept": accept})

    def _updated(self, status: Json) -> None:
        if status.get("uuid"):
            fields = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
            self._call({"type": "ACKNOWLEDGE", "acknowledge": fields})
        self._unheard.pop(status["task_id"]["value"], None)
        attempt = Attempt.of(status["task_id"]["value"])
        job = self.jobs.get(f"job_{attempt.job:04}") if attempt is not None else None
        state = status["state"]
        if attempt is None or job is None or not (is_terminal(state) or state == "TASK_UNREACHABLE"):
            return
        if state == "TASK_UNREACHABLE" or state in NO_FAULT:
            changed = job.lost(attempt)
        else:
            changed = job.ended(attempt, state == "TASK_FINISHED", self.clock.time())
        if job.over and job.running:
            self._kill_tasks(job)
        self._keep(job)
        if changed:
            self._want()

    # -- records

    def _keep(self, job: Job) -> None:
        if self._keeper is not None:
            self._keeper.put("batch-job", job.id, job.row)

    def _read(self) -> None:
        if self._keeper is None:
            return
        self._framework_id = (self._keeper.get("batch", "framework") or {}).get("id")
        for row in self._keeper.all("batch-job").values():
            job = Job.of(row)
            self.jobs[job.id] = job
            self._number = max(self._number, job.number)


def _task_info(spec: Spec, attempt: Attempt, agent: str) -> Json:
    words = f"echo {attempt.stage} task {attempt.number}; sleep {round(spec.seconds_of(attempt), 2):g}"
    return {
        "name": f"{attempt.stage} {attempt.number} ({spec.name})",
        "task_id": {"value": attempt.task_id},
        "agent_id": {"value": agent},
        "resources": Resources({("cpus", "*"): round(spec.cpus * 1000), ("mem", "*"): round(spec.mem * 1000)}).json(),
        "command": {"shell": True, "value": words},
        "container": {"type": "DOCKER", "docker": {"image": spec.image, "network": "HOST"}},
        "labels": {
            "labels": [{"key": "job", "value": f"job_{attempt.job:04}"}, {"key": "stage", "value": attempt.stage}]
        },
    }

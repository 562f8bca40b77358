"""The agent itself: what it is told by the master, and what it tells.

``src/slave/slave.cpp``, for tasks of the command and the Docker executor. What it must know after a restart is written
down before the master hears of it: its id, frameworks that asked for it (``checkpoint``), their tasks and the updates
that nobody has acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from labkit.embedded.mesos.agent import sandbox, statuses
from labkit.embedded.mesos.agent.host import Host
from labkit.embedded.mesos.agent.ledger import Ledger, task_json
from labkit.embedded.mesos.agent.options import VERSION, Options
from labkit.embedded.mesos.agent.orders import Orders
from labkit.embedded.mesos.agent.records import Framework, Run
from labkit.embedded.mesos.agent.registration import LeaderDetector, Registration
from labkit.embedded.mesos.agent.reporting import Reports
from labkit.embedded.mesos.agent.tally import Tally
from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.mesos.resources import EMPTY, Resources
from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

log = logging.getLogger(__name__)

Json = dict[str, Any]

MASTERS = "/mesos"
CAPABILITIES = ("MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING")


class Agent:
    """The agent of one machine. A stopped one leaves its executors running, and finds them again."""

    def __init__(
        self,
        machine: str,
        post: Post,
        fleet: Fleet,
        clock: Clock,
        network: Network,
        catalogue: Catalogue,
        storage: Storage | None,
        ensemble: Any,
        options: Options,
        *,
        detector: LeaderDetector | None = None,
    ) -> None:
        """``detector`` is given by tests; else it is made of a session of the ensemble (ZooKeeper)."""
        self.machine = machine
        self.options = options
        self.fleet = fleet
        self.clock = clock
        self.network = network
        self.id = ""  # given by the first master that registers it, and kept
        self.running = False
        self.wanted = False  # whether it comes back with the machine's power
        self.started_at = 0.0
        self.ledger = Ledger(storage, machine, options.max_completed, self._collect)
        self.tally = Tally()
        self.pid = Pid("slave(1)", machine, fleet.machine(machine).address, options.port)
        self.host = Host(machine, fleet, clock, network, catalogue, options)
        self._post = post
        self._ensemble = ensemble
        self._given_detector = detector
        self._end_detection: Callable[[], object] = lambda: None
        self.registration = Registration(
            self.pid, post, fleet, clock, options.rng, options.registration_backoff, self._greeting, self._disconnected
        )
        parts = (self.registration, self.tally, lambda: self.id)
        self.reports = Reports(self.pid, post, clock, options.rng, self.ledger, *parts)
        self.updates = self.reports.updates
        self.orders = Orders(self.pid, self.host, self.ledger, self.reports, *parts)
        self._patience: Timer | None = None  # of executors without an agent
        self._starts = Chores()  # apart from the host's, which end with its power
        self._server: Any = None
        self._handlers: dict[str, Callable[[Pid, Json], object]] = {
            "SlaveRegisteredMessage": self._registered,
            "SlaveReregisteredMessage": self._reregistered,
            "PingSlaveMessage": self.registration.pinged,
            "ShutdownMessage": self._shut_down,
            **self.orders.handlers,
        }
        self._forget_fleet = fleet.subscribe(self._plugged)
        for begin, end in options.resources.spans("ports"):
            network.lend(self.pid.address, machine, begin, end)

    @property
    def registered(self) -> bool:
        """Does the leading master know it?"""
        return self.registration.registered

    @property
    def hostname(self) -> str:
        """What it is called: its address, unless an option says otherwise."""
        return self.options.hostname or self.pid.address

    def info(self) -> Json:
        """Its AgentInfo."""
        made: Json = {
            "hostname": self.hostname,
            "port": self.pid.port,
            "resources": self.options.resources.json(),
            "attributes": self.options.attributes,
            "checkpoint": True,
        }
        if self.id:
            made["id"] = {"value": self.id}
        return made

    @property
    def frameworks(self) -> dict[str, Framework]:
        """Those that have tasks here."""
        return self.ledger.frameworks

    @property
    def completed(self) -> dict[str, Framework]:
        """Those that had."""
        return self.ledger.completed

    def used(self) -> Resources:
        """What the tasks that have not ended hold."""
        held = EMPTY
        for run in self.runs():
            if not run.ended:
                held = held + Resources.of(run.task.get("resources") or ())
        return held

    def runs(self) -> list[Run]:
        """The tasks it has, also those whose end is not acknowledged yet."""
        return self.ledger.runs()

    # -- the service

    async def start(self) -> None:
        """Start it, or have it start when the machine gets its power back."""
        self.wanted = True
        if self.running or self.fleet.machine(self.machine).power == "off":
            return
        self.running = True
        self.started_at = self.clock.time()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._recover()
        self._post.register(self.pid, self)
        try:
            await self._serve()
        except OSError:  # its port is taken: it ends, as the real one does
            self._halt()
            raise
        if self.running:
            self.registration.start(self._detect())

    async def stop(self) -> None:
        """End the agent, as ``systemctl stop mesos-agent``: executors go on, and are found again by :meth:`start`.

        Those of frameworks that did not ask for checkpoints end with it.
        """
        self.wanted = False
        if not self.running:
            return
        self._halt()
        for framework in list(self.frameworks.values()):
            if not framework.checkpoint:
                self._abandon(framework)
        if self.runs():
            self._patience = self.clock.call_later(self.options.recovery_timeout, self._too_late)

    async def close(self) -> None:
        """The sandbox goes down: end every task, too; records stay as they are."""
        self.wanted = False
        self._forget_fleet()
        if self.running:
            self._halt()
        if self._patience is not None:
            self._patience.cancel()
        for run in self.runs():
            if run.executor is not None:
                run.executor.discard()
        self.host.chores.cancel()
        self.ledger.flush()
        self.host.watcher.close()

    def _halt(self) -> None:
        self.running = False
        self.registration.stop()
        self.updates.pause()
        self._end_detection()
        self._post.unregister(self.pid)
        server, self._server = self._server, None
        if server is not None:
            server.shut()

    def _detect(self) -> LeaderDetector:
        if self._given_detector is not None:
            return self._given_detector
        from labkit.embedded.zookeeper import Detector

        session = self._ensemble.session(self.machine)
        detector = Detector(session, MASTERS)

        def end() -> None:
            self._end_detection = lambda: None
            detector.close()
            self.host.chores.start(session.close())

        self._end_detection = end
        found: LeaderDetector = detector
        return found

    async def _serve(self) -> None:
        from labkit.embedded.mesos.agent.api.server import serve

        self._server = await serve(self)
        if not self.running:  # stopped meanwhile
            self._server.shut()

    # -- the machine

    def _plugged(self, machine: str, what: str) -> None:
        if machine != self.machine:
            return
        if what == "fail":
            self._lose_power()
        elif what == "heal" and self.wanted and not self.running and self.fleet.machine(machine).power != "off":
            self._starts.start(self.start())
        elif what in ("pause", "unpause"):
            for run in self.runs():
                if run.executor is not None and not run.executor.over:
                    (run.executor.work.freeze if what == "pause" else run.executor.work.thaw)()

    def _lose_power(self) -> None:
        """Everything on the machine ends; what was written down remains, and is read at the next start."""
        self.ledger.flush()  # before anything is forgotten: rows are made when they are written
        if self.running:
            self._halt()
        if self._patience is not None:
            self._patience.cancel()
        for run in self.runs():
            self.updates.forget(run)
            if run.executor is not None and not run.executor.over:
                run.executor.discard()
            if not run.checkpoint:
                self.ledger.drop(run)
        self.host.lose_power()
        self.ledger.forget()

    def _too_late(self) -> None:
        """Executors wait so long for their agent and no longer (``--recovery_timeout``)."""
        self._patience = None
        for run in self.runs():
            if run.executor is not None:
                run.executor.kill(0.0)

    def _collect(self, run: Run) -> None:
        """Nobody is shown the task any more: its sandbox goes, too."""
        if run.has_sandbox:
            self.host.chores.start(asyncio.to_thread(sandbox.remove, [run.directory]))

    # -- recovery

    def _recover(self) -> None:
        """What is on record and does not run has ended while nobody looked: its framework is to hear of it."""
        known = self.ledger.restore(self.updates.adopt)
        if known is not None:
            self.id = known
            # Listed now, before there is a new task, and removed by and by.
            left = sandbox.left_over(self.options.work_dir, {run.directory for run in self.ledger.shown()})
            if left:
                self.host.chores.start(asyncio.to_thread(sandbox.remove, left))
        for run in self.runs():
            if run.executor is None and not run.ended:
                self.reports.report(
                    run,
                    "TASK_FAILED",
                    source=statuses.AGENT,
                    reason="REASON_EXECUTOR_TERMINATED",
                    message="Abnormal executor termination: unknown container",
                )

    # -- messages

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        """A message of the master."""
        handler = self._handlers.get(message)
        if handler is None:
            log.warning("%s: nobody knows what to do with %s", self.pid, message)
            return
        handler(sender, body)

    def exited(self, pid: Pid) -> None:
        """The connection to a master broke."""
        self.registration.exited(pid)

    def _greeting(self) -> tuple[str, Json]:
        body: Json = {
            "agent": self.info(),
            "version": VERSION,
            "agent_capabilities": [{"type": name} for name in CAPABILITIES],
            "checkpointed_resources": [],
        }
        if not self.id:
            return "RegisterSlaveMessage", body
        body |= {
            "executor_infos": [],
            "tasks": [task_json(run, self.id) for run in self.runs()],
            "frameworks": [framework.info for framework in self.frameworks.values()],
            "completed_frameworks": [],
        }
        return "ReregisterSlaveMessage", body

    def _registered(self, sender: Pid, body: Json) -> None:
        if not self.registration.accepted(sender, body):
            return
        given = body["agent_id"]["value"]
        if self.id and self.id != given:
            log.error("%s: registered as %s, but was %s", self.pid, given, self.id)
        self.id = given
        self.ledger.keep_id(given)
        self.updates.resume()

    def _reregistered(self, sender: Pid, body: Json) -> None:
        if not self.registration.accepted(sender, body):
            return
        for reconciliation in body.get("reconciliations") or ():
            self.orders.reconcile(reconciliation)
        self.updates.resume()

    def _disconnected(self) -> None:
        self.updates.pause()

    def _shut_down(self, sender: Pid, body: Json) -> None:
        """The master wants no more of it: all tasks end, and the agent too. It comes back as a new one."""
        if self.registration.master is not None and sender != self.registration.master:
            return
        log.warning("%s: asked to shut down by %s: %s", self.pid, sender, body.get("message", ""))
        for run in self.runs():
            self.updates.forget(run)
            if run.executor is not None and not run.executor.over:
                run.executor.discard()
            self.ledger.drop(run)
        for framework in list(self.frameworks.values()):
            self.ledger.complete(framework)
        self.ledger.keep_id("")
        self.id = ""
        self._halt()
        if self.wanted:  # whoever supervises the service starts it again
            self.clock.call_later(1.0, self._restart)

    def _restart(self) -> None:
        if self.wanted and not self.running:
            self._starts.start(self.start())

    # -- frameworks

    def _abandon(self, framework: Framework) -> None:
        """The agent ends, and with it whatever belongs to a framework without checkpoints."""
        for run in list(framework.runs.values()):
            self.updates.forget(run)
            if run.executor is not None and not run.executor.over:
                run.executor.discard()
            self.ledger.drop(run)
        del self.frameworks[framework.id]

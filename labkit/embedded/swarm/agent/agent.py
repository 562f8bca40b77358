"""The agent of one node: keeps a session with the leader, runs what it is told, reports (SwarmKit ``agent/agent.go``).

Everything between it and the leader goes through the fleet, so a cut wire is felt as a real one is: heartbeats fail,
the agent looks for a leader again, and its tasks run on meanwhile.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

from labkit.embedded.runtime.machines import Unreachable
from labkit.embedded.swarm.agent.controller import Executor
from labkit.embedded.swarm.agent.worker import Worker
from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.leader.assignments import Message
from labkit.embedded.swarm.leader.loop import Wakeup, cancelled
from labkit.embedded.swarm.objects import Object, TaskStatus

INITIAL_BACKOFF = 0.1
MAX_BACKOFF = 8.0
RPC_TIMEOUT = 5.0
DESCRIPTION_PERIOD = 20.0
"""Seconds after which the node's description is looked at again."""

_log = logging.getLogger("labkit.swarm.agent")


class _SessionClosed(Exception):
    """The leader ended the session, or there is a reason to begin another one."""


class Agent:
    """``node`` is the :class:`~labkit.embedded.swarm.node.swarmnode.SwarmNode` of this host."""

    def __init__(self, node: Any, executor: Executor, world: Any) -> None:
        self.node = node
        self.executor = executor
        self.world = world
        self._clock = world.clock
        self._machine = str(node.host.name)
        self._worker = Worker(self._machine, executor, world, self._progress)
        self._leader: Any = None  # while there is a session
        self._session_id = ""
        self._pending: dict[str, TaskStatus] = {}  # to be reported
        self._report = Wakeup(self._clock)
        self._session_wakeup = Wakeup(self._clock)
        self._broken = False
        self._role = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[Any]] = set()

    # -- life

    async def start(self) -> None:
        """Take up the tasks that this node had, and look for a leader."""
        if self._tasks:
            return
        self._role = ""
        self._worker.restore()
        self._tasks = [
            asyncio.create_task(self._keep_session(), name=f"swarm agent {self._machine}"),
            asyncio.create_task(self._send_reports(), name=f"swarm agent reports {self._machine}"),
        ]

    async def stop(self) -> None:
        """Stop as when the machine loses power: containers are left as they are, the task database stays."""
        await self._end()
        await self._worker.stop()

    async def leave(self) -> None:
        """Remove every task with its container, forget them, and stop: the node leaves the swarm."""
        await self._end()
        await self._worker.remove_all()

    async def _end(self) -> None:
        tasks, self._tasks = self._tasks, []
        self._leader, self._session_id = None, ""
        self._pending.clear()
        await cancelled(*tasks, *(errand for errand in self._errands if errand is not asyncio.current_task()))

    @property
    def dependencies(self) -> dict[str, Object]:
        """The networks, secrets and configs of this node's tasks, by id, as the leader sent them with the tasks."""
        return self._worker.dependencies

    # -- the session

    async def _keep_session(self) -> None:
        backoff = 0.0
        while True:
            try:
                await self._open_session()
                backoff = 0.0
                await self._beat()
            except asyncio.CancelledError:
                raise
            except (_SessionClosed, Unreachable, RpcError) as error:
                _log.debug("%s: session ended: %s", self._machine, error)
            except Exception:
                _log.exception("%s: session failed", self._machine)
            self._leader, self._session_id = None, ""
            backoff = min(INITIAL_BACKOFF + 2 * backoff, MAX_BACKOFF)
            await self._clock.sleep(self.world.rng.random() * backoff)

    async def _open_session(self) -> None:
        await self.world.fleet.gate(self._machine).wait()
        leader = self.node.find_leader()
        if leader is None:
            raise _SessionClosed("no leader can be reached")
        self._broken = False
        description = await self.executor.describe()
        arguments = (self.node.node_id, self._session_id, description, self._address(), self._machine, self)
        session_id = await self._call(leader, leader.dispatcher.register, *arguments)
        self._leader, self._session_id = leader, session_id
        self._description = description
        self._described_at = self._clock.time()
        self._pending = self._worker.statuses() | self._pending  # the last leader may not have written all of them
        self._report.set()

    async def _beat(self) -> None:
        """Heartbeats, until one fails or the stream breaks."""
        while True:
            leader = self._leader
            period = await self._call(leader, leader.dispatcher.heartbeat, self.node.node_id, self._session_id)
            until = self._clock.time() + period
            while not self._broken and self._clock.time() < until:
                await self._session_wakeup.wait(until)
            if self._broken:
                raise _SessionClosed("the leader closed it")
            await self._check_description()

    async def _check_description(self) -> None:
        if self._clock.time() < self._described_at + DESCRIPTION_PERIOD:
            return
        self._described_at = self._clock.time()
        if await self.executor.describe() != self._description:
            raise _SessionClosed("the node has changed")

    async def _call(self, leader: Any, fn: Any, *args: Any) -> Any:
        return await self.world.fleet.call(self._machine, leader.machine, fn, *args, timeout=RPC_TIMEOUT)

    def _address(self) -> str:
        return str(self.world.fleet.machine(self._machine).address)

    # -- the stream: what the leader calls

    async def receive(self, message: Message) -> None:
        """A message of the session."""
        if not self._tasks:
            raise Unreachable(f"no agent on {self._machine}")
        if message.managers:
            self._tell("managers_changed", list(message.managers))
        if message.node is not None and message.node.role != self._role:
            self._role = message.node.role
            self._tell("role_changed", self._role)
        if message.complete or message.tasks or message.removed:
            self._worker.apply(message)

    def broken(self, session_id: str) -> None:
        """The leader closed the stream of this session."""
        if session_id == self._session_id:
            self._break()

    def _break(self) -> None:
        self._broken = True
        self._session_wakeup.set()

    def _tell(self, method: str, *args: Any) -> None:
        """Tell the node, which may take its time: becoming a manager needs the leader, who must not wait for us."""
        told = getattr(self.node, method, lambda *_: None)(*args)
        if inspect.isawaitable(told):
            errand = asyncio.ensure_future(told)
            self._errands.add(errand)
            errand.add_done_callback(self._done)

    def _done(self, errand: asyncio.Future[Any]) -> None:
        self._errands.discard(errand)
        if not errand.cancelled() and errand.exception() is not None:
            _log.error("%s: the node could not follow", self._machine, exc_info=errand.exception())

    # -- reports

    def _progress(self, task_id: str, status: TaskStatus) -> None:
        self._pending[task_id] = status
        self._report.set()

    async def _send_reports(self) -> None:
        """Write what has changed, then report it, many tasks at a time."""
        while True:
            await self._report.wait()
            await asyncio.sleep(0)  # others that are about to report may join
            await self.world.fleet.gate(self._machine).wait()
            self._worker.flush()
            leader, session_id = self._leader, self._session_id
            if leader is None or not self._pending:
                continue  # a new session reports everything
            batch, self._pending = self._pending, {}
            try:
                await self._call(leader, leader.dispatcher.update_task_status, self.node.node_id, session_id, batch)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not isinstance(error, Unreachable | RpcError):
                    _log.exception("%s: reporting failed", self._machine)
                self._pending = batch | self._pending
                if leader is self._leader and session_id == self._session_id:
                    self._break()

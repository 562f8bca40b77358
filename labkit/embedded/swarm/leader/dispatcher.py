"""The dispatcher: the leader's side of the sessions with the agents (SwarmKit ``manager/dispatcher``).

Agents register, send heartbeats and report the status of their tasks; the dispatcher sends them their tasks. It calls
a node that is silent for three heartbeats ``down``; the orchestrators then replace its tasks. What agents report is
collected and written in batches, as a thousand tasks that start report several times each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from labkit.embedded.runtime.machines import Unreachable
from labkit.embedded.swarm.errors import NoLeader, RpcError
from labkit.embedded.swarm.leader.assignments import AssignmentSet, Message, dependencies
from labkit.embedded.swarm.leader.loop import RETRY_DELAY, Loop, Wakeup, cancelled
from labkit.embedded.swarm.leader.orchestrator.tasks import NANO
from labkit.embedded.swarm.leader.sessions import NodeNotFound, Session, Sessions, Stream
from labkit.embedded.swarm.objects import Cluster, Json, Node, Task, TaskState, TaskStatus
from labkit.embedded.swarm.store import Change, Store, Tx

BATCH_INTERVAL = 0.1
"""Least seconds between two writes of reports. The first after a pause is written at once."""

NODE_DOWN_PERIOD = 24 * 3600.0
"""Seconds after which the tasks of a node that stays down are called orphaned."""

UNKNOWN = 'Node moved to "unknown" state due to leadership change in cluster'
FAILURE = "heartbeat failure"
FAILURE_UNKNOWN = 'heartbeat failure for node in "unknown" state'


class Stopped(RpcError):
    def __init__(self) -> None:
        super().__init__("Aborted", "dispatcher is stopped")


@dataclass(slots=True)
class _NodeUpdate:
    state: str
    message: str = ""
    addr: str = ""
    description: Json | None = None


class Dispatcher(Loop):
    watches = (Task, Node, Cluster)

    def __init__(self, store: Store, world: Any, machine: str) -> None:
        super().__init__(store, world, machine)
        self._sessions = Sessions(self.clock, world.rng, self._expired)
        self._task_updates: dict[str, TaskStatus] = {}
        self._node_updates: dict[str, _NodeUpdate] = {}
        self._written: list[asyncio.Future[None]] = []  # registrations that wait for their write
        self._flush = Wakeup(self.clock)
        self._flusher: asyncio.Task[None] | None = None
        self._down: dict[str, Any] = {}  # timers of nodes that are down
        self._ready = asyncio.Event()  # the nodes of the former leader are accounted for
        self._running = False

    def start(self) -> None:
        self._running = True
        super().start()
        self._flusher = asyncio.create_task(self._write_reports(), name="swarm dispatcher reports")

    async def stop(self) -> None:
        self._running = False
        self._ready.set()  # whoever waits to be let in is told
        streams = [(session, session.stream) for session in self._sessions.all() if session.stream is not None]
        senders = [session.sender for session in self._sessions.all()]
        self._sessions.clear()
        for timer in self._down.values():
            timer.cancel()
        self._down.clear()
        for future in self._written:
            future.cancel()
        await super().stop()
        await cancelled(self._flusher, *senders)
        for session, stream in streams:
            # An agent notices at once that a stream is closed, unless nothing reaches it any more.
            if self.world.fleet.reachable(self._machine, session.machine):
                stream.broken(session.id)

    # -- what agents call (through the fleet, which knows what a wire does to calls)

    async def register(
        self, node_id: str, session_id: str, description: Json, addr: str, machine: str, stream: Stream
    ) -> str:
        """Open a session; returns its id. Returns when the node is known to be ready.

        Raises :class:`NodeNotFound` when the node is not (or no longer) of this swarm.
        """
        await self._check_running()
        if self.store.get(Node, node_id) is None:
            raise NodeNotFound
        self._forget_down(node_id)
        self._node_updates[node_id] = _NodeUpdate("ready", addr=addr, description=description)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._written.append(written)
        self._flush.set()
        try:
            await written
        except asyncio.CancelledError:
            if not self._running:
                raise Stopped from None
            raise
        node = self.store.get(Node, node_id)
        if node is None:
            raise NodeNotFound
        session = Session(self.world.ids.swarm_id(), node_id, machine, stream, node=node)
        session.assignments = AssignmentSet(node_id)
        for task in self.store.tasks_of_node(node_id):
            session.assignments.put(task)
        session.wakeup = Wakeup(self.clock)
        self._sessions.add(session)
        session.sender = asyncio.create_task(self._send(session), name=f"swarm session {node_id}")
        return session.id

    async def heartbeat(self, node_id: str, session_id: str) -> float:
        """Returns the seconds until the next one is due. Raises :class:`SessionInvalid`, :class:`NodeNotRegistered`."""
        await self._check_running()
        return self._sessions.heartbeat(node_id, session_id)

    async def update_task_status(self, node_id: str, session_id: str, updates: dict[str, TaskStatus]) -> None:
        """Take reports in; they are written soon. A report about another node's task is refused as a whole."""
        await self._check_running()
        self._sessions.get(node_id, session_id)
        accepted: dict[str, TaskStatus] = {}
        for task_id, status in updates.items():
            task = self.store.get(Task, task_id)
            if task is None:
                continue  # deleted meanwhile
            if task.node_id != node_id:
                raise RpcError("PermissionDenied", "cannot update a task not assigned this node")
            accepted[task_id] = status
        for task_id, status in accepted.items():
            waiting = self._task_updates.get(task_id)
            if waiting is None or waiting.state <= status.state:
                self._task_updates[task_id] = status
        if accepted:
            self._flush.set()

    async def _check_running(self) -> None:
        if self._running and not self._ready.is_set():
            await self._ready.wait()
        if not self._running:
            raise Stopped

    # -- the loop: what changes goes to the sessions that it concerns

    async def begin(self) -> None:
        self._read_period()
        if not self._ready.is_set():
            await self._mark_unknown()
            self._ready.set()
        for session in self._sessions.all():  # after an error: say everything again that may have been missed
            for task in self.store.tasks_of_node(session.node_id):
                session.assignments.put(task)
            if session.wakeup is not None:
                session.wakeup.set()

    async def changed(self, batch: list[Change]) -> None:
        touched: dict[str, Session] = {}
        for change in batch:
            match change.object:
                case Task() as task:
                    session = self._sessions.of(task.node_id) if task.node_id else None
                    if session is None or session.wakeup is None:
                        continue
                    if change.new is None:
                        session.assignments.remove(task.id)
                    else:
                        session.assignments.put(task)
                    if session.assignments:
                        touched[session.node_id] = session
                case Node() as node:
                    self._node_changed(change, node, touched)
                case Cluster():
                    self._read_period()
        for session in touched.values():
            if session.wakeup is not None:
                session.wakeup.set()

    def _node_changed(self, change: Change, node: Node, touched: dict[str, Session]) -> None:
        if change.new is None:
            self._sessions.drop(node.id)
            self._forget_down(node.id)
            return
        session = self._sessions.of(node.id)
        if session is not None and session.wakeup is not None:
            session.node = node
            touched[node.id] = session
        if change.old is None or (change.old.raft_id, change.old.manager_addr) != (node.raft_id, node.manager_addr):
            for other in self._sessions.all():
                other.managers = True
                touched[other.node_id] = other

    def _read_period(self) -> None:
        cluster = self.store.cluster()
        period = ((cluster.spec.get("Dispatcher") or {}) if cluster else {}).get("HeartbeatPeriod")
        if period:
            self._sessions.period = period * NANO

    # -- sending

    async def _send(self, session: Session) -> None:
        """Tell one agent what it does not know yet, as long as the session lasts."""
        stream, wakeup = session.stream, session.wakeup
        if stream is None or wakeup is None:
            return
        complete = True
        try:
            while True:
                await self._awake()
                message = self._compose(session, complete)
                if message is not None:
                    await self.world.fleet.call(self._machine, session.machine, stream.receive, message)
                    complete = False
                await wakeup.wait()
        except Unreachable:
            # The stream is broken. The next heartbeat, if one gets through, is told so.
            session.id = ""
        except asyncio.CancelledError:
            raise
        except Exception:
            self.log.exception("the session of node %s broke", session.node_id)
            session.id = ""

    def _compose(self, session: Session, complete: bool) -> Message | None:
        tasks, removed = session.assignments.take()
        node, session.node = session.node, None
        managers, session.managers = session.managers, False
        if not (complete or tasks or removed or node or managers):
            return None
        return Message(
            session_id=session.id,
            node=node,
            managers=tuple(managers_of(self.store.all(Node))) if managers else (),
            complete=complete,
            tasks=tasks,
            removed=removed,
            dependencies=dependencies(self.store, tasks),
        )

    # -- reports

    async def _write_reports(self) -> None:
        await self._ready.wait()
        not_before = 0.0
        while True:
            await self._flush.wait()
            while not self._node_updates and self.clock.time() < not_before:
                await self._flush.wait(not_before)  # tasks may wait for others; a node that registers may not
            await self._awake()
            if not self._task_updates and not self._node_updates:
                continue
            tasks, self._task_updates = self._task_updates, {}
            nodes, self._node_updates = self._node_updates, {}
            written, self._written = self._written, []
            try:
                await self.store.update(lambda tx, tasks=tasks, nodes=nodes: _apply_reports(tx, tasks, nodes))  # type: ignore[misc]
            except asyncio.CancelledError:
                for future in written:
                    future.cancel()
                raise
            except Exception as error:
                if not isinstance(error, NoLeader):
                    self.log.exception("reports could not be written")
                self._task_updates = tasks | self._task_updates
                self._node_updates = nodes | self._node_updates
                self._written = written + self._written
                self._flush.set()
                await self.clock.sleep(RETRY_DELAY)
                continue
            for future in written:
                if not future.done():
                    future.set_result(None)
            not_before = self.clock.time() + BATCH_INTERVAL

    # -- nodes that fall silent

    async def _mark_unknown(self) -> None:
        """A new leader has heard of nobody yet. Nodes that were down are not brought back by that."""

        def mark(tx: Tx) -> None:
            for node in tx.all(Node):
                if node.state == "down":
                    continue
                tx.update(replace(node, state="unknown", message=UNKNOWN))

        for node in self.store.all(Node):
            if node.state == "down":
                self._watch_down(node.id)
            else:
                self._sessions.expect(node.id)
        await self.store.update(mark)

    def _expired(self, node_id: str, was_unknown: bool) -> None:
        if not self._running:
            return
        if self.world.fleet.gate(self._machine).closed:
            # This machine stands still, and so would its timers: give the nodes their time again when it goes on.
            session = self._sessions.of(node_id)
            if session is not None:
                session.expiry = self.clock.call_later(self._sessions.period, self._expired, node_id, was_unknown)
            return
        self._sessions.drop(node_id)
        if self.store.get(Node, node_id) is None:
            return
        self._watch_down(node_id)
        waiting = self._node_updates.get(node_id)
        self._node_updates[node_id] = _NodeUpdate(
            "down",
            FAILURE_UNKNOWN if was_unknown else FAILURE,
            description=None if waiting is None else waiting.description,
        )
        self._flush.set()

    def _watch_down(self, node_id: str) -> None:
        self._forget_down(node_id)
        self._down[node_id] = self.clock.call_later(NODE_DOWN_PERIOD, self._orphan, node_id)

    def _forget_down(self, node_id: str) -> None:
        timer = self._down.pop(node_id, None)
        if timer is not None:
            timer.cancel()

    def _orphan(self, node_id: str) -> None:
        """The node has been down for a day: nobody knows any more whether its tasks run."""
        self._down.pop(node_id, None)
        now = self.clock.time()
        for task in self.store.tasks_of_node(node_id):
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
                self._task_updates[task.id] = replace(task.status, state=TaskState.ORPHANED, timestamp=now)
        self._flush.set()


def managers_of(nodes: Iterable[Node]) -> list[Json]:
    """The managers, as agents are told of them."""
    return [{"NodeID": node.id, "Addr": node.manager_addr} for node in nodes if node.raft_id is not None]


def _apply_reports(tx: Tx, tasks: dict[str, TaskStatus], nodes: dict[str, _NodeUpdate]) -> None:
    for task_id, status in tasks.items():
        task = tx.get(Task, task_id)
        if task is not None and task.status.state <= status.state and task.status != status:
            tx.update(replace(task, status=status))
    for node_id, update in nodes.items():
        node = tx.get(Node, node_id)
        if node is None:
            continue
        changed = replace(
            node,
            state=update.state,
            message=update.message,
            addr=update.addr or node.addr,
            description=node.description if update.description is None else update.description,
        )
        if changed != node:
            tx.update(changed)

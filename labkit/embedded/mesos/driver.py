"""A framework's line to the leading master, within the engine's process.

What a scheduler library does over HTTP (``src/scheduler/scheduler.cpp``): find the leader, subscribe, hand events on,
send calls in order, and begin again when the leader changes, the wire breaks or heartbeats stop. The calls are those of
the HTTP API and take the same way through the master; only bytes are left out. A driver lives on a machine: its plug
cuts this line as it would cut a connection.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.runtime.machines import Fleet

log = logging.getLogger(__name__)

Json = dict[str, Any]

FIRST_RETRY, RETRY = 0.05, 1.0  # seconds until the next attempt to subscribe: each is twice the one before
MISSED_HEARTBEATS = 5


class LeaderDetector(Protocol):
    """Who says which master leads: :class:`labkit.embedded.zookeeper.Detector`."""

    @property
    def leader(self) -> bytes | None:
        """The leader's MasterInfo as JSON, None when there is none."""

    def on_change(self, fn: Callable[[bytes | None], object]) -> object:
        """Have it called with each new leader, or None."""


class Line(Protocol):
    """The master's side of a subscription."""

    stream_id: str

    def attach(self, event: Callable[[Json], object], ended: Callable[[], object]) -> None:
        """Have events handed on from now on, those that wait first; ``ended`` is called when the master hangs up."""

    def hang_up(self) -> None:
        """The client has gone."""


class Reply(Protocol):
    """What a call was answered when it was no subscription."""

    status: int
    text: str


class MasterDoor(Protocol):
    """What a driver needs of a master."""

    machine: str

    @property
    def running(self) -> bool: ...

    def handle_scheduler(self, call: Json, principal: str | None, stream_id: str | None) -> Any:
        """A :class:`Line` when the call was a SUBSCRIBE that was let in, else a :class:`Reply`."""


class SchedulerDriver:
    """One framework's connection.

    ``framework`` is its FrameworkInfo; with an ``id`` in it, it takes up where that framework stopped. ``received``
    gets each event, the SUBSCRIBED one too (its ``framework_id`` is kept here by then). ``masters`` gives the masters
    of this sandbox by machine.
    """

    def __init__(
        self,
        machine: str,
        fleet: Fleet,
        clock: Clock,
        masters: Callable[[], Mapping[str, MasterDoor]],
        detector: LeaderDetector,
        framework: Json,
        received: Callable[[Json], object],
        *,
        connected: Callable[[], object] = lambda: None,
        disconnected: Callable[[], object] = lambda: None,
        principal: str | None = None,
    ) -> None:
        self.machine = machine
        self.framework = framework
        self.framework_id: str | None = framework.get("id", {}).get("value") or None
        self.leader: Json | None = None  # MasterInfo of the one that is spoken to
        self.principal = principal if principal is not None else framework.get("principal")
        self._fleet = fleet
        self._clock = clock
        self._masters = masters
        self._detector = detector
        self._received = received
        self._on_connected = connected
        self._on_disconnected = disconnected
        self._running = False
        self._listening = False
        self._delay = FIRST_RETRY
        self._interval = 15.0
        self._epoch = 0  # counts attempts: whatever belongs to an earlier one is stale
        self._master: MasterDoor | None = None
        self._line: Line | None = None
        self._subscribed = False
        self._suppressed: list[str] = []
        self._calls: deque[Json] = deque()
        self._events: deque[Json] = deque()
        self._patience: Timer | None = None
        self._again: Timer | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def connected(self) -> bool:
        """Has the master said SUBSCRIBED, and is the line up?"""
        return self._subscribed

    async def start(self) -> None:
        """Look for the leader and subscribe; returns at once."""
        if self._running:
            return
        self._running = True
        self._unsubscribe = self._fleet.subscribe(self._plugged)
        if self._listening:
            self._detected(self._detector.leader)
        else:
            self._listening = True
            self._detector.on_change(self._detected)
            if self.leader is None and self._detector.leader is not None:
                self._detected(self._detector.leader)

    async def stop(self, *, teardown: bool = False) -> None:
        """Hang up. ``teardown`` ends the framework and all its tasks, else its failover timeout begins to run."""
        if not self._running:
            return
        if teardown and self.framework_id is not None and self._master is not None and self._line is not None:
            await self._tear_down(self._master, self._line)
        self._running = False
        self._unsubscribe()
        self._drop()

    async def _tear_down(self, master: MasterDoor, line: Line) -> None:
        call = {"type": "TEARDOWN", "framework_id": {"value": self.framework_id}}
        try:
            await self._fleet.call(
                self.machine, master.machine, master.handle_scheduler, call, self.principal, line.stream_id
            )
        except ConnectionError as error:
            log.warning("the framework could not be torn down: %s", error)

    def call(self, call: Json) -> None:
        """Send a call; ``framework_id`` is filled in. Without a leader it is lost, as on a wire that is cut."""
        if not self._subscribed or self.framework_id is None:
            return
        if "framework_id" not in call:
            call = {"framework_id": {"value": self.framework_id}, **call}
        self._calls.append(call)
        if len(self._calls) == 1 and self._master is not None:
            delay = self._fleet.delay(self.machine, self._master.machine)
            self._clock.call_later(delay, self._send, self._epoch)

    # -- finding the leader

    def _detected(self, data: bytes | None) -> None:
        if not self._running:
            return
        self._drop()
        self.leader = None if data is None else orjson.loads(data)
        if self.leader is not None:
            self._try(self._epoch)

    def _find(self, info: Json) -> MasterDoor | None:
        ip = info.get("address", {}).get("ip") or info.get("hostname")
        for name, master in self._masters().items():
            if self._fleet.machine(name).address == ip and master.running:
                return master
        return None

    def _try(self, epoch: int) -> None:
        """Subscribe over a new connection."""
        self._again = None
        if epoch != self._epoch or not self._running or self.leader is None:
            return
        gate = self._fleet.gate(self.machine)
        master = self._find(self.leader)
        if gate.closed or master is None or not self._fleet.reachable(self.machine, master.machine):
            self._retry()
            return
        self._master = master
        self._clock.call_later(self._fleet.delay(self.machine, master.machine), self._subscribe, epoch)

    def _retry(self) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = self._clock.call_later(self._delay, self._try, self._epoch)
        self._delay = min(2 * self._delay, RETRY)

    def _subscribe(self, epoch: int) -> None:
        master = self._master
        if epoch != self._epoch or master is None:
            return
        if not master.running or not self._fleet.reachable(self.machine, master.machine):
            self._drop()
            self._retry()
            return
        info = dict(self.framework)
        call: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
        if self.framework_id is not None:
            info["id"] = call["framework_id"] = {"value": self.framework_id}
        if self._suppressed:
            call["subscribe"]["suppressed_roles"] = list(self._suppressed)
        answer = master.handle_scheduler(call, self.principal, None)
        if not hasattr(answer, "attach"):
            # A master that was just elected may not know it yet: that is no trouble.
            level = logging.DEBUG if answer.status in (307, 503) else logging.WARNING
            log.log(level, "SUBSCRIBE was answered %s %s", answer.status, answer.text)
            self._drop()
            self._retry()
            return
        self._line = answer
        answer.attach(lambda event: self._arrive(epoch, event), lambda: self._hung_up(epoch))

    # -- events

    def _arrive(self, epoch: int, event: Json) -> None:
        if epoch != self._epoch:
            return
        self._events.append(event)
        if len(self._events) == 1 and self._master is not None:
            self._clock.call_later(self._fleet.delay(self._master.machine, self.machine), self._deliver, epoch)

    def _deliver(self, epoch: int) -> None:
        if self._held(epoch, self._deliver):
            return
        while self._events and epoch == self._epoch:
            event = self._events.popleft()
            kind = event["type"]
            if kind == "SUBSCRIBED":
                subscribed = event["subscribed"]
                self.framework_id = subscribed["framework_id"]["value"]
                self._interval = float(subscribed.get("heartbeat_interval_seconds", 15.0))
                self._subscribed = True
                self._delay = FIRST_RETRY
                self._on_connected()
            self._wait_for_heartbeat()
            try:
                self._received(event)
            except Exception:
                log.exception("the framework failed on %s", kind)

    def _wait_for_heartbeat(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._clock.call_later(self._interval * MISSED_HEARTBEATS, self._broken, self._epoch)

    # -- calls

    def _send(self, epoch: int) -> None:
        if self._held(epoch, self._send):
            return
        master, line = self._master, self._line
        while self._calls and epoch == self._epoch and master is not None and line is not None:
            call = self._calls.popleft()
            answer = master.handle_scheduler(call, self.principal, line.stream_id)
            if answer.status >= 400:
                log.warning("%s was answered %s %s", call.get("type"), answer.status, answer.text)

    def _held(self, epoch: int, then: Callable[[int], None]) -> bool:
        """Is one of the two machines frozen? Then nothing arrives until it thaws."""
        if epoch != self._epoch or self._master is None:
            return True
        for machine in (self.machine, self._master.machine):
            if self._fleet.gate(machine).closed:
                self._clock.call_later(0.1, then, epoch)
                return True
        return False

    # -- the end of a connection

    def _plugged(self, machine: str, what: str) -> None:
        master = self._master
        if master is None or what not in ("fail", "partition"):
            return
        if not self._fleet.connected(self.machine, master.machine):
            self._broken(self._epoch)

    def _hung_up(self, epoch: int) -> None:
        """The master has closed the stream. What it said before that, perhaps why, arrives first."""
        if epoch == self._epoch and self._events and self._master is not None:
            self._clock.call_later(self._fleet.delay(self._master.machine, self.machine), self._closed, epoch)
        else:
            self._broken(epoch)

    def _closed(self, epoch: int) -> None:
        if not self._held(epoch, self._closed):
            self._broken(epoch)

    def _broken(self, epoch: int) -> None:
        if epoch == self._epoch and self._running:
            self._drop()
            if self._fleet.machine(self.machine).power != "off":
                self._retry()

    def _drop(self) -> None:
        """Whatever was under way is gone."""
        self._epoch += 1
        line, self._line, self._master = self._line, None, None
        self._calls.clear()
        self._events.clear()
        for timer in (self._patience, self._again):
            if timer is not None:
                timer.cancel()
        self._patience = self._again = None
        if line is not None:
            line.hang_up()
        if self._subscribed:
            self._subscribed = False
            self._on_disconnected()

"""How masters and agents talk: messages between named processes, in order, at most once.

As libprocess (``3rdparty/libprocess`` of Mesos) has it: a process is known by its *PID*, ``master@127.5.0.10:5050``;
sending never fails and never answers; whoever has *linked* to another is told when the connection breaks. What is
sent over a cut wire, or to a machine without power, is lost: the protocols above repeat what matters. A paused machine
gets what waits for it when it thaws, as a stopped process whose kernel still takes bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.gates import Gate
from labkit.embedded.runtime.machines import Fleet

log = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pid:
    """The address of a process: ``str()`` gives it as Mesos prints it."""

    name: str  # "master", "slave(1)"
    machine: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}@{self.address}:{self.port}"


class Process(Protocol):
    """Who can be written to."""

    def receive(self, sender: Pid, message: str, body: Json) -> None:
        """A message: its name as in ``messages.proto`` (``RegisterSlaveMessage``) and its fields. Must not raise."""

    def exited(self, pid: Pid) -> None:
        """The connection to somebody whom this process had linked to is broken."""


class _Wire:
    """What is under way from one machine to another, in order."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[Pid, Pid, str, Json]] = deque()
        self.busy = False


class Post:
    """Delivers the messages of one sandbox."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._processes: dict[Pid, Process] = {}
        self._wires: dict[tuple[str, str], _Wire] = {}
        self._links: set[tuple[Pid, Pid]] = set()  # (who wants to know, about whom)
        self._held: set[asyncio.Task[None]] = set()
        fleet.subscribe(self._plugged)

    def register(self, pid: Pid, process: Process) -> None:
        """From now on ``process`` gets what is sent to ``pid``."""
        self._processes[pid] = process

    def unregister(self, pid: Pid) -> None:
        """The process has ended: whoever had linked to it is told, and nothing reaches it any more."""
        if self._processes.pop(pid, None) is None:
            return
        self._links = {link for link in self._links if link[0] != pid}
        self._break(lambda me, other: other == pid)

    def link(self, me: Pid, other: Pid) -> None:
        """Tell ``me`` once, when the connection to ``other`` breaks, or soon when there can be none."""
        self._links.add((me, other))
        if other not in self._processes or not self._fleet.connected(me.machine, other.machine):
            self._clock.call_later(0, self._break, lambda a, b: (a, b) == (me, other))

    def unlink(self, me: Pid, other: Pid) -> None:
        """``me`` does not want to know any more."""
        self._links.discard((me, other))

    def send(self, sender: Pid, receiver: Pid, message: str, body: Json) -> None:
        """Send, and forget. The body is handed over as it is: nobody may change it afterwards."""
        wire = self._wires.setdefault((sender.machine, receiver.machine), _Wire())
        wire.waiting.append((sender, receiver, message, body))
        if not wire.busy:
            wire.busy = True
            delay = self._fleet.delay(sender.machine, receiver.machine)
            self._clock.call_later(delay, self._deliver, wire)

    def _deliver(self, wire: _Wire) -> None:
        """What is on the wire arrives, until a frozen machine at either end holds it up."""
        while wire.waiting:
            sender, receiver, message, body = wire.waiting[0]
            for machine in (sender.machine, receiver.machine):
                gate = self._fleet.gate(machine)
                if gate.closed:
                    self._after(gate, wire)
                    return
            wire.waiting.popleft()
            process = self._processes.get(receiver)
            if process is None or not self._fleet.connected(sender.machine, receiver.machine):
                continue
            try:
                process.receive(sender, message, body)
            except Exception:  # one message must not take the others along
                log.exception("%s, sent to %s", message, receiver)
        wire.busy = False

    def _after(self, gate: Gate, wire: _Wire) -> None:
        async def wait() -> None:
            await gate.wait()
            self._deliver(wire)

        task = asyncio.get_running_loop().create_task(wait())
        self._held.add(task)
        task.add_done_callback(self._held.discard)

    def close(self) -> None:
        """Nothing is delivered any more."""
        for task in tuple(self._held):
            task.cancel()
        self._processes.clear()
        self._links.clear()

    def _plugged(self, machine: str, what: str) -> None:
        if what in ("fail", "partition"):
            self._break(lambda me, other: not self._fleet.connected(me.machine, other.machine))

    def _break(self, chosen: Callable[[Pid, Pid], bool]) -> None:
        for me, other in [link for link in self._links if chosen(*link)]:
            self._links.discard((me, other))
            process = self._processes.get(me)
            if process is not None and self._fleet.machine(me.machine).power != "off":
                process.exited(other)

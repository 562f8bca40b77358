"""How an agent comes to be known by the leading master, and stays so.

As ``Slave::detected``, ``doReliableRegistration`` and ``pingTimeout`` of ``src/slave/slave.cpp``: it registers with the
leader, again and again with a back-off until it is answered; comes back with all it has when the leader changes, when
the master says that it thinks it disconnected, or when no ping has come for long.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from labkit.embedded.mesos.libprocess import Pid, Post
from labkit.embedded.runtime.clock import Clock, Timer
from labkit.embedded.runtime.machines import Fleet

log = logging.getLogger(__name__)

Json = dict[str, Any]

RETRY_MAX = 60.0  # seconds between two attempts at most
PING_TIMEOUT = 75.0  # without a ping; the master says its own when it registers
THAW_LOOK = 0.1  # how often the timers of a frozen machine look whether it goes on


class LeaderDetector(Protocol):
    """Who says which master leads: :class:`labkit.embedded.zookeeper.Detector`."""

    @property
    def leader(self) -> bytes | None:
        """The leader's MasterInfo as JSON, None when there is none."""

    def on_change(self, fn: Callable[[bytes | None], object]) -> object:
        """Have it called with each new leader, or None."""


class Registration:
    """An agent's tie to the leading master.

    ``message()`` makes what is sent: its name and body; ``lost()`` is called when no master knows the agent any more.
    """

    def __init__(
        self,
        me: Pid,
        post: Post,
        fleet: Fleet,
        clock: Clock,
        rng: random.Random,
        backoff: float,
        message: Callable[[], tuple[str, Json]],
        lost: Callable[[], object],
    ) -> None:
        self._me = me
        self._post = post
        self._fleet = fleet
        self._clock = clock
        self._rng = rng
        self._backoff = backoff
        self._message = message
        self._lost = lost
        self._detector: LeaderDetector | None = None
        self._retry: Timer | None = None
        self._patience: Timer | None = None
        self._ping_timeout = PING_TIMEOUT
        self.master: Pid | None = None
        self.info: Json | None = None  # MasterInfo of the leader
        self.registered = False

    def start(self, detector: LeaderDetector) -> None:
        """Look for a leader."""
        self._detector = detector
        detector.on_change(lambda data: self._detected(detector, data))
        if self.master is None and detector.leader is not None:
            self._detected(detector, detector.leader)

    def stop(self) -> None:
        """Be tied to nobody."""
        self._detector = None
        self._leave()
        self.info = None

    # the leader -------------------------------------------------------------------------------------------------

    def _detected(self, detector: LeaderDetector, data: bytes | None) -> None:
        if detector is not self._detector:
            return  # of a time before a restart
        self._leave()
        self.info = None if data is None else orjson.loads(data)
        if self.info is None:
            return
        self.master = master_pid(self.info, self._fleet)
        if self.master is not None:
            self._post.link(self._me, self.master)
            self._again(self._rng.uniform(0, self._backoff), self._backoff)

    def _leave(self) -> None:
        if self.master is not None:
            self._post.unlink(self._me, self.master)
        self.master = None
        self._unregister()

    def _unregister(self) -> None:
        for timer in (self._retry, self._patience):
            if timer is not None:
                timer.cancel()
        self._retry = self._patience = None
        if self.registered:
            self.registered = False
            self._lost()

    def exited(self, pid: Pid) -> None:
        """The connection to a master is broken: wait for another leader, or for this one to ping again."""
        if pid == self.master:
            log.info("%s: the master has gone; waiting for a new one", self._me)
            self._unregister()
            self._wait_for_ping()

    # registering ------------------------------------------------------------------------------------------------

    def _again(self, delay: float, most: float) -> None:
        """Try after ``delay``; the next try comes within ``most`` doubled."""
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._clock.call_later(delay, self._try, most)

    @property
    def _frozen(self) -> bool:
        """A frozen machine says nothing: what it would say now might not be true when it thaws."""
        return self._fleet.gate(self._me.machine).closed

    def _try(self, most: float) -> None:
        self._retry = None
        if self._frozen:
            self._retry = self._clock.call_later(THAW_LOOK, self._try, most)
            return
        if self.master is None or self.registered:
            return
        name, body = self._message()
        self._post.link(self._me, self.master)
        self._post.send(self._me, self.master, name, body)
        most = min(most * 2, RETRY_MAX)
        self._again(most / 2 + self._rng.uniform(0, most / 2), most)

    def accepted(self, sender: Pid, body: Json) -> bool:
        """The master knows the agent now. False when this came from one that does not lead any more."""
        if sender != self.master:
            return False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        seconds = (body.get("connection") or {}).get("total_ping_timeout_seconds")
        if seconds:
            self._ping_timeout = float(seconds)
        if not self.registered:
            self.registered = True
        self._wait_for_ping()
        return True

    def pinged(self, sender: Pid, body: Json) -> None:
        """The master asks whether the agent is there."""
        if sender != self.master:
            return
        self._post.send(self._me, sender, "PongSlaveMessage", {})
        self._wait_for_ping()
        # The connection broke and the master has noticed: it answers nothing until the agent has come back.
        if not body.get("connected", True) and self.registered:
            self._unregister()
            self._wait_for_ping()
        if not self.registered and self._retry is None:
            self._again(self._rng.uniform(0, self._backoff), self._backoff)

    def _wait_for_ping(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._clock.call_later(self._ping_timeout, self._no_ping)

    def _no_ping(self) -> None:
        """As if the leader had just been detected."""
        self._patience = None
        if self._frozen:  # what the master has sent meanwhile arrives first
            self._patience = self._clock.call_later(THAW_LOOK, self._no_ping)
            return
        log.info("%s: no pings from the master within %gsecs", self._me, self._ping_timeout)
        if self._detector is not None:
            self._detected(self._detector, self._detector.leader)


def master_pid(info: Json, fleet: Fleet) -> Pid | None:
    """The process that a MasterInfo names; None when it is on no machine of the sandbox."""
    address = info.get("address") or {}
    ip, port = str(address.get("ip") or info.get("hostname") or ""), int(address.get("port") or info.get("port") or 0)
    machine = next((one for one in fleet.machines.values() if one.address == ip), None)
    return None if machine is None else Pid("master", machine.name, ip, port)

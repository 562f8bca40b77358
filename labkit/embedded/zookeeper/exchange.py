"""The wires between members and clients of one process: in order, at most once, as TCP has it.

What is sent arrives from the event loop after the delay between the two machines. A frozen machine gets what waits
for it when it thaws; over a cut wire nothing comes through, and whoever holds a connection over it is told by the
:class:`~labkit.embedded.zookeeper.ensemble.Ensemble`, which listens to the fleet.

A healthy sandbox has neither delays nor frozen machines, and then all that is under way is delivered from one
callback of the loop, which also delivers the answers: a whole write with its quorum is one turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet

log = logging.getLogger(__name__)

_Parcel = tuple[Callable[..., object], tuple[Any, ...]]


class _Lane:
    """What is late on the way from one machine to another."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, _Parcel]] = deque()  # (when it is due, what)
        self.busy = False


class Exchange:
    """Carries calls between the machines of a sandbox."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self.fleet = fleet
        self.clock = clock
        self._queue: list[tuple[str, str, _Parcel]] = []
        self._scheduled = False
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._chores = Chores()

    def carry(self, src: str, dst: str, fn: Callable[..., object], *args: Any) -> None:
        """Call ``fn(*args)`` on ``dst``, soon, unless the wire is cut when it would arrive."""
        delay = self.fleet.delay(src, dst)
        if delay or (src, dst) in self._lanes:
            self._late(src, dst, delay, (fn, args))
            return
        self._queue.append((src, dst, (fn, args)))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def close(self) -> None:
        """Nothing is delivered any more."""
        self._queue.clear()
        self._lanes.clear()
        self._chores.cancel()

    def _drain(self) -> None:
        fleet = self.fleet
        while self._queue:
            batch, self._queue = self._queue, []
            for src, dst, parcel in batch:
                if fleet.gate(dst).closed or (src, dst) in self._lanes:
                    self._late(src, dst, 0.0, parcel)
                elif fleet.connected(src, dst):
                    _run(parcel)
        self._scheduled = False

    def _late(self, src: str, dst: str, delay: float, parcel: _Parcel) -> None:
        lane = self._lanes.get((src, dst))
        if lane is None:
            lane = self._lanes[src, dst] = _Lane()
        due = self.clock.time() + delay
        if lane.waiting:
            due = max(due, lane.waiting[-1][0])
        lane.waiting.append((due, parcel))
        if not lane.busy:
            lane.busy = True
            self._chores.start(self._pump(src, dst, lane))

    async def _pump(self, src: str, dst: str, lane: _Lane) -> None:
        while lane.waiting:
            due, parcel = lane.waiting[0]
            if (wait := due - self.clock.time()) > 0:
                await self.clock.sleep(wait)
            await self.fleet.gate(dst).wait()
            lane.waiting.popleft()
            if self.fleet.connected(src, dst):
                _run(parcel)
        if self._lanes.get((src, dst)) is lane:
            del self._lanes[src, dst]


def _run(parcel: _Parcel) -> None:
    fn, args = parcel
    try:
        fn(*args)
    except Exception:  # one message must not take the others along
        log.exception("delivering to %s", fn)

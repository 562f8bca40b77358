"""Which Marathon leads: the election in ZooKeeper, and what a Marathon knows of it.

As ``core/election/CuratorElectionStream.scala``: every Marathon offers itself below ``/marathon/leader`` with its
``host:port``; the oldest leads. The one that loses its session, or is told to abdicate, stops leading at once; the real
one ends its process then and is started again by its supervisor, so it joins the end of the queue.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.runtime.clock import Clock

log = logging.getLogger(__name__)

PATH = "/marathon/leader"
PREFIX = "member_"
RESTART = 1.0  # seconds until a supervisor has started a Marathon that gave up its leadership


class Leadership:
    """The election as one Marathon sees it.

    ``election`` and ``detector`` are ZooKeeper's recipes on this Marathon's session. ``lead`` is awaited once it is
    elected and ``stop`` is called when it is not any more; ``fell()`` when it lost its place in the queue, too, and
    needs a new session to stand again.
    """

    def __init__(
        self,
        clock: Clock,
        host_port: str,
        election: Any,
        detector: Any,
        lead: Callable[[], Awaitable[None]],
        stop: Callable[[], None],
        fell: Callable[[], object],
    ) -> None:
        self.clock = clock
        self.host_port = host_port
        self.is_leader = False
        self._election = election
        self._detector = detector
        self._lead = lead
        self._stop = stop
        self._fell = fell
        self._chores = Chores()
        self._stopped = False
        election.on_elected(self._elected)
        election.on_lost(self._fallen)

    @property
    def leader(self) -> str | None:
        """``host:port`` of the Marathon that leads, as ZooKeeper says; None when there is none or nobody knows."""
        data = self._detector.leader
        return data.decode() if data else None

    async def contend(self) -> None:
        """Stand for election, again and again while there is no quorum."""
        try:
            await self._election.contend()
        except Exception as error:
            log.info("%s cannot stand for election yet: %s", self.host_port, error)
            await self._come_back()

    def resign(self) -> None:
        """Lead no more and do not stand again; :meth:`withdraw` still has to tell the others."""
        self._stopped = True
        self.lost()

    async def withdraw(self) -> None:
        """Stop for good: give up the leadership and the place in the queue."""
        self.resign()
        await self._election.withdraw()
        self._chores.cancel()

    async def abdicate(self) -> None:
        """Give up the leadership and queue up again, as a Marathon that is started anew."""
        if not self.is_leader:
            return
        self.lost()
        await self._election.withdraw()
        await self._come_back()

    def die(self) -> None:
        """Its process was killed."""
        self._stopped = True
        self._chores.cancel()
        self.lost()

    def _elected(self, *_: object) -> None:
        if not self._stopped and not self.is_leader:
            self._chores.start(self._take_over())

    async def _take_over(self) -> None:
        if self._stopped:
            return
        self.is_leader = True
        try:
            await self._lead()
        except Exception:  # a store that cannot be read: somebody else may have more luck
            log.exception("%s could not take over", self.host_port)
            self._chores.start(self.abdicate())

    def _fallen(self, *_: object) -> None:
        """ZooKeeper was out of reach for too long: the real one ends, and is started again."""
        self.lost()
        if not self._stopped:
            self._fell()

    async def _come_back(self) -> None:
        while not self._stopped:
            await self.clock.sleep(RESTART)
            try:
                await self._election.contend()
                return
            except Exception as error:  # no quorum yet
                log.debug("%s cannot stand for election: %s", self.host_port, error)

    def lost(self, *_: object) -> None:
        """It leads no more: nothing may be written or launched from here on."""
        if self.is_leader:
            self.is_leader = False
            self._stop()

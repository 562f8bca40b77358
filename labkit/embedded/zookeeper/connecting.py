"""How a client of the ensemble in this process stays connected, with the manners of the real ones.

It tries one member after the other until one serves it, pings when it has nothing to say, gives a silent member up
after two thirds of its timeout, takes its session and watches along to the next one, and learns there that it has
expired, if it has. What was under way when a connection broke ends with ``ConnectionLoss``: it may have happened.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from labkit.embedded.runtime.clock import Timer
from labkit.embedded.zookeeper.errors import (
    ConnectionLoss,
    NoNode,
    SessionClosed,
    SessionExpired,
    ZooKeeperError,
)
from labkit.embedded.zookeeper.ops import (
    CHILDREN,
    DELETED,
    CloseSession,
    Event,
    Exists,
    GetChildren,
    Op,
    SetWatches,
)
from labkit.embedded.zookeeper.serving import Connection, Hello

if TYPE_CHECKING:
    from labkit.embedded.zookeeper.ensemble import Ensemble
    from labkit.embedded.zookeeper.member import Member

State = Literal["connecting", "connected", "expired", "closed"]
Watch = Callable[[Event], object]

RETRY = 0.1  # seconds between two rounds through the members


class _Link:
    """This client's end of a connection. What comes from one that was given up is not listened to."""

    def __init__(self, session: Connecting, member: Member) -> None:
        self.session = session
        self.member = member
        self.connection: Connection | None = None

    # called at the member; carried over the wire
    def welcomed(self, session: int, timeout: int, password: bytes) -> None:
        self._carry(self.session._welcomed, session, timeout, password)

    def unknown(self) -> None:
        self._carry(self.session._unknown)

    def answered(self, number: int, zxid: int, error: ZooKeeperError | None, value: Any) -> None:
        self._carry(self.session._answered, number, zxid, error, value)

    def notified(self, event: Event, zxid: int) -> None:
        self._carry(self.session._notified, event, zxid)

    def dropped(self) -> None:
        self._carry(self.session._lost)

    def ponged(self) -> None:
        self._carry(self.session._ponged)

    def _carry(self, fn: Callable[..., object], *args: Any) -> None:
        session = self.session
        session.ensemble.exchange.carry(self.member.machine, session.machine, self._arrive, fn, args)

    def _arrive(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self.session._link is self:
            fn(*args)

    # called at the client
    def send(self, fn: Callable[..., object], *args: Any) -> None:
        session = self.session
        session.ensemble.exchange.carry(session.machine, self.member.machine, self._at_member, fn, args)

    def _at_member(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self.member.running:
            fn(*args)

    def greet(self, hello: Hello, peer: str) -> None:
        self.connection = self.member.greet(self, hello, peer)
        if self.connection is None:
            self.dropped()

    def request(self, number: int, op: Op) -> None:
        if self.connection is not None:
            self.connection.request(number, op)

    def ping(self) -> None:
        if self.connection is not None:
            self.connection.ping()
            self.ponged()

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.gone()


class Connecting:
    """A session as far as its connection goes; what may be asked over it is :class:`Session`'s."""

    def __init__(self, ensemble: Ensemble, machine: str, timeout: float) -> None:
        self.ensemble = ensemble
        self.machine = machine
        self.clock = ensemble.clock
        self.timeout = timeout
        self.state: State = "connecting"
        self.id = 0
        self._password = b"\0" * 16
        self._wished = int(timeout * 1000)
        self._seen = 0
        self._rng = random.Random(ensemble.rng.getrandbits(32))
        self._link: _Link | None = None
        self._order = list(ensemble.members.values())
        self._rng.shuffle(self._order)
        self._next = 0
        self._tried = 0  # of this round
        self._number = 0
        self._pending: dict[int, tuple[asyncio.Future[Any], Op, Watch | None]] = {}
        self._waiting: list[asyncio.Future[None]] = []  # calls that wait for a connection
        self._watches: dict[str, dict[str, list[Watch]]] = {"data": {}, "exists": {}, "children": {}}
        self._listeners: list[Callable[[State], object]] = []
        self._timer: Timer | None = None
        self._heard = self._said = self.clock.time()
        self._hurried = False  # a member began to serve since the last try
        self._port = 40000 + ensemble.next_connection() % 20000

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id:#x} on {self.machine}, {self.state}>"

    @property
    def member(self) -> str | None:
        """The machine of the member that serves it."""
        return self._link.member.machine if self._link is not None and self.state == "connected" else None

    def on_state(self, fn: Callable[[State], object]) -> Callable[[], None]:
        """Have ``fn(state)`` called after each change; returns what ends it."""
        self._listeners.append(fn)
        return lambda: self._listeners.remove(fn) if fn in self._listeners else None

    # -- asking

    async def call(self, op: Op, watch: Watch | None = None) -> Any:
        """Any request of :mod:`labkit.embedded.zookeeper.ops`."""
        if self.state != "connected":
            await self.connected()
        return await self._ask(op, watch)

    async def connected(self) -> None:
        """Return when it is connected; raises as every call does."""
        if self.state == "connecting":
            waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waits)
            try:
                async with self.clock.timeout(self.timeout):
                    await waits
            except TimeoutError:
                raise ConnectionLoss from None
            finally:
                if waits in self._waiting:
                    self._waiting.remove(waits)
        if self.state == "expired":
            raise SessionExpired
        if self.state == "closed":
            raise SessionClosed

    def _ask(self, op: Op, watch: Watch | None = None) -> asyncio.Future[Any]:
        """Send it now. ``watch`` is noted when the answer is there, as the real client does."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._link is None or self.state != "connected":  # lost between two steps
            answer.set_exception(ConnectionLoss(getattr(op, "path", None)))
            return answer
        self._number += 1
        self._pending[self._number] = (answer, op, watch)
        self._said = self.clock.time()
        self._link.send(self._link.request, self._number, op)
        return answer

    def _keep_watch(self, op: Op, watch: Watch, error: ZooKeeperError | None) -> None:
        """At once with the answer: the event may be right behind it."""
        if isinstance(op, Exists) and isinstance(error, NoNode):
            table = "exists"
        elif error is not None:
            return
        else:
            table = "children" if isinstance(op, GetChildren) else "data"
        self._watches[table].setdefault(op.path, []).append(watch)  # type: ignore[union-attr]

    async def close(self) -> None:
        """End the session: its ephemeral nodes go at once. Without a connection it is left to expire."""
        if self.state == "connected":
            try:
                async with self.clock.timeout(self.timeout):
                    await self._ask(CloseSession())
            except (ZooKeeperError, TimeoutError):
                pass
        if self.state not in ("closed", "expired"):
            self._end("closed", SessionClosed)

    def die(self) -> None:
        """Its process was killed: nothing is said to anybody, the ensemble finds out by its silence."""
        if self.state in ("connecting", "connected"):
            self._listeners.clear()
            self._end("closed", SessionClosed)

    # -- connecting

    def begin(self) -> None:
        """Look for a member that serves it."""
        self._connect()

    def hurry(self) -> None:
        """A member serves: try now rather than at the end of the pause."""
        self._hurried = True
        if self.state == "connecting" and self._link is None:
            self._soon()

    def _soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        asyncio.get_running_loop().call_soon(self._connect)

    def _arm(self, seconds: float, fn: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.clock.call_later(seconds, fn)

    @property
    def _frozen(self) -> bool:
        return self.ensemble.fleet.machine(self.machine).power == "paused"

    def _connect(self) -> None:
        """Try the next member that may answer; after a round of them, rest a little."""
        if self.state != "connecting" or self._link is not None:
            return
        if self._frozen:
            self._arm(RETRY, self._connect)
            return
        self._hurried = False
        while self._tried < len(self._order):
            self._tried += 1
            member = self._order[self._next]
            self._next = (self._next + 1) % len(self._order)
            if member.running and self.ensemble.fleet.connected(self.machine, member.machine):
                link = self._link = _Link(self, member)
                hello = Hello(self._seen, self._wished, self.id, self._password, True)
                address = self.ensemble.fleet.machine(self.machine).address
                link.send(link.greet, hello, f"{address}:{self._port}")
                self._arm(self.timeout / len(self._order), self._give_up)
                return
        self._tried = 0
        self._arm(RETRY * self._rng.uniform(0.5, 1.5), self._connect)

    def _give_up(self) -> None:
        """It has not answered in time."""
        if self._frozen:
            self._arm(RETRY, self._give_up)
        else:
            self._lost()

    def _lost(self) -> None:
        """The connection is broken, or came to nothing."""
        link, self._link = self._link, None
        if link is not None:
            link.send(link.hang_up)
        if self.state in ("expired", "closed"):
            return
        if self._hurried:
            self._tried = 0
        self._soon()
        if self.state == "connected":
            self._fail(ConnectionLoss)
            self._become("connecting")

    def _fail(self, error: type[ZooKeeperError]) -> None:
        pending, self._pending = self._pending, {}
        for answer, op, _ in pending.values():
            if not answer.done():
                answer.set_exception(error(getattr(op, "path", None)))

    def _welcomed(self, session: int, timeout: int, password: bytes) -> None:
        self.id, self._password, self.timeout = session, password, timeout / 1000
        self._heard = self._said = self.clock.time()
        self._tried = 0
        self._pulse()
        link = self._link
        assert link is not None
        if self._seen and any(self._watches.values()):
            tables = (tuple(self._watches[table]) for table in ("data", "exists", "children"))
            link.send(link.request, -8, SetWatches(self._seen, *tables))
        self._become("connected")
        waiting, self._waiting = self._waiting, []
        for waits in waiting:
            if not waits.done():
                waits.set_result(None)

    def _unknown(self) -> None:
        self._link = None
        self._end("expired", SessionExpired)

    def _end(self, state: State, error: type[ZooKeeperError]) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.send(link.hang_up)
        if self._timer is not None:
            self._timer.cancel()
        self.ensemble.forget(self)
        for table in self._watches.values():
            table.clear()
        self._become(state)
        self._fail(error)
        waiting, self._waiting = self._waiting, []
        for waits in waiting:
            if not waits.done():
                waits.set_result(None)  # it looks at the state

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            for fn in tuple(self._listeners):
                fn(state)

    def check_wire(self) -> None:
        """A plug was pulled or put back somewhere."""
        fleet = self.ensemble.fleet
        if fleet.machine(self.machine).power == "off":
            self.die()
        elif self._link is not None and not fleet.connected(self.machine, self._link.member.machine):
            self._lost()

    # -- while connected

    def _pulse(self) -> None:
        """Ping when nothing was said for a third of the timeout; give up when nothing was heard for two."""
        self._arm(self.timeout / 3, self._pulse)
        link = self._link
        if self._frozen or link is None:
            return
        now = self.clock.time()
        if now - self._heard > self.timeout * 2 / 3 + 0.001:
            self._lost()
            return
        if now - self._said >= self.timeout / 3 - 0.001:
            self._said = now
            link.send(link.ping)

    def _ponged(self) -> None:
        self._heard = self.clock.time()

    def _answered(self, number: int, zxid: int, error: ZooKeeperError | None, value: Any) -> None:
        self._heard = self.clock.time()
        self._seen = max(self._seen, zxid)
        asked = self._pending.pop(number, None)
        if asked is None:
            return
        answer, op, watch = asked
        if watch is not None:
            self._keep_watch(op, watch, error)
        if answer.done():  # whoever asked was cancelled
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def _notified(self, event: Event, zxid: int) -> None:
        self._heard = self.clock.time()
        tables: tuple[str, ...] = ("children",) if event.type == CHILDREN else ("data", "exists")
        if event.type == DELETED:
            tables = ("data", "exists", "children")
        for table in tables:
            for watch in self._watches[table].pop(event.path, ()):
                watch(event)

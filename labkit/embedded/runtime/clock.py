"""Sandbox time: the one clock that every delay in the embedded engines goes through.

Times are seconds since the epoch in *sandbox* time, delays are sandbox seconds. :class:`ScaledClock` runs along with
the event loop, ``speed`` times as fast as the wall; :class:`ManualClock` stands still until a test turns it.
"""

from __future__ import annotations

import asyncio
import heapq
import time as _time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from typing import Any, Protocol

from labkit.embedded.runtime import loops

BEAT = 0.02  # seconds of the wall clock after which a fast clock looks whether its loop is still with it
LATE = 0.03  # so many without a look, and the loop was held up


class Timer:
    """A call that is due at ``when`` (sandbox time). ``cancel()`` is harmless after it has fired."""

    __slots__ = ("_clock", "args", "fn", "when")

    def __init__(self, clock: _Timers, when: float, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._clock = clock
        self.when = when
        self.fn: Callable[..., object] | None = fn
        self.args = args

    @property
    def cancelled(self) -> bool:
        """True once it is cancelled or has fired: nothing more will come of it."""
        return self.fn is None

    def cancel(self) -> None:
        if self.fn is not None:
            self.fn = None
            self.args = ()
            self._clock._forget_one()


class Clock(Protocol):
    """What the engines know of time."""

    speed: float

    def time(self) -> float:
        """Now, in seconds since the epoch of sandbox time. Never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of sandbox time; zero or less only lets the others run once."""
        ...

    def call_later(self, seconds: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call ``fn(*args)`` from the event loop after ``seconds`` of sandbox time."""
        ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """``async with clock.timeout(3):`` raises TimeoutError in the body after 3 sandbox seconds (None: never)."""
        ...

    def unhurried(self) -> AbstractContextManager[None]:
        """``with clock.unhurried():`` no second of the sandbox is shorter than one of the wall in the body.

        For what a real program does that knows nothing of sandbox time: where a fast sandbox did not wait for HAProxy
        to read its configuration, six seconds of a task's farewell would be over before it has.
        """
        ...


class _Timers:
    """A heap of timers, shared by both clocks. Cancelled ones stay until they surface or outnumber the live ones."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []  # when, and the numbers tell those of one moment apart
        self._seq = 0
        self._dead = 0

    def time(self) -> float:
        raise NotImplementedError

    def _changed(self) -> None:
        """The earliest timer may be another one now."""

    def call_later(self, seconds: float, fn: Callable[..., object], *args: Any) -> Timer:
        self._seq += 1
        timer = Timer(self, self.time() + max(0.0, seconds), fn, args)
        heapq.heappush(self._heap, (timer.when, self._seq, timer))
        if self._heap[0][2] is timer:
            self._changed()
        return timer

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = loops.running().create_future()
        timer = self.call_later(seconds, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        if seconds is None:
            yield
            return
        # asyncio's own Timeout knows how to tell its cancellation from others; it is only started by our timer.
        async with asyncio.timeout(None) as scope:
            timer = self.call_later(seconds, scope.reschedule, 0.0)
            try:
                yield
            finally:
                timer.cancel()

    def _pop_due(self, now: float) -> Timer | None:
        """Take the earliest live timer that is due by ``now``."""
        heap = self._heap
        while heap and (heap[0][2].fn is None or heap[0][0] <= now):
            timer = heapq.heappop(heap)[2]
            if timer.fn is not None:
                return timer
            self._dead -= 1
        return None

    def _fire(self, timer: Timer) -> None:
        fn, args = timer.fn, timer.args
        timer.fn, timer.args = None, ()
        if fn is None:
            return
        try:
            fn(*args)
        except Exception as error:  # as the loop does with its own callbacks: report it and go on
            loops.running().call_exception_handler({"message": f"Exception in timer {fn!r}", "exception": error})

    def _forget_one(self) -> None:
        self._dead += 1
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap = [row for row in self._heap if row[2].fn is not None]
            heapq.heapify(self._heap)
            self._dead = 0


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class ScaledClock(_Timers):
    """Sandbox time that starts at the wall's and runs ``speed`` times as fast.

    It goes by the monotonic clock, so a change of the computer's date moves nothing. Only the earliest timer is armed
    in the event loop, so a change of speed re-arms a single one.

    All machines of a sandbox live in this one process. When it gets no processor for a third of a second, at speed ten
    that would be three seconds in which nobody could answer anybody, and every patience would be over: so a fast clock
    stands still while its loop is held up.
    """

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        super().__init__()
        self.speed = self._pace = _checked(speed)
        self._unhurried = 0  # how many ask for patience
        self._base = _time.time() if start is None else start
        self._since = _time.monotonic()
        self._armed: asyncio.TimerHandle | None = None
        self._beating: asyncio.TimerHandle | None = None  # while somebody waits and time is fast

    def time(self) -> float:
        real = _time.monotonic() - self._since
        if self._beating is None:  # asked some dozen times in the life of every pod
            return self._base + real * self._pace
        return self._base + self._passed(real)

    def _passed(self, real: float) -> float:
        """How much sandbox time so many seconds since the last look are."""
        held_up = self._beating is not None and self._pace > 1 and real > LATE
        return (LATE if held_up else real) * self._pace

    def set_speed(self, speed: float) -> None:
        """Run ``speed`` times as fast from now on; whoever sleeps is woken by the new speed."""
        speed = _checked(speed)
        self._rebase()
        self.speed = speed
        self._set_pace()

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        self._ask_patience(1)
        try:
            yield
        finally:
            self._ask_patience(-1)

    def _ask_patience(self, more: int) -> None:
        self._rebase()
        self._unhurried += more
        self._set_pace()

    def _set_pace(self) -> None:
        self._pace = min(1.0, self.speed) if self._unhurried else self.speed
        self._changed()

    def _rebase(self) -> None:
        """What has passed has passed at the pace of until now."""
        now = _time.monotonic()
        self._base += self._passed(now - self._since)
        self._since = now

    def _beat(self) -> None:
        self._rebase()
        self._beating = None
        if self._heap and self._pace > 1:
            self._beating = loops.running().call_later(BEAT, self._beat)

    def _changed(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        if self._heap:
            delay = (self._heap[0][0] - self.time()) / self._pace
            self._armed = loops.running().call_later(max(0.0, delay), self._run)
            if self._beating is None and self._pace > 1:
                self._beat()

    def _run(self) -> None:
        self._armed = None
        now = self.time()
        while (timer := self._pop_due(now)) is not None:
            self._fire(timer)
        self._changed()


def _checked(speed: float) -> float:
    if not 0.01 <= speed <= 1000:
        raise ValueError(f"speed must be between 0.01 and 1000, not {speed:g}")
    return float(speed)


class ManualClock(_Timers):
    """Time that only moves when a test says so."""

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        super().__init__()
        self.speed = 1.0
        self._now = start

    def time(self) -> float:
        return self._now

    def unhurried(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def advance(self, seconds: float) -> None:
        """Move on by ``seconds``: fire what falls due in order, each at its own time, settling after each moment."""
        await self.settle()
        until = self._now + seconds
        while (timer := self._pop_due(until)) is not None:
            self._now = max(self._now, timer.when)
            self._fire(timer)
            while (twin := self._pop_due(self._now)) is not None:  # all of one moment, then let them act on it
                self._fire(twin)
            await self.settle()
        self._now = until
        await self.settle()

    async def settle(self, rounds: int = 2000) -> None:
        """Let everything run that is ready, until nobody is or ``rounds`` are over (someone may never rest)."""
        ready = getattr(loops.running(), "_ready", None)
        if ready is None:  # another loop implementation: a fixed number of rounds has to do
            for _ in range(100):
                await asyncio.sleep(0)
            return
        quiet = 0
        for _ in range(rounds):
            await asyncio.sleep(0)
            # Twice, for a socket's bytes arrive in the round after the one that sent them.
            quiet = quiet + 1 if not ready else 0
            if quiet >= 3:
                return

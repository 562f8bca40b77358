"""Freezing: a gate that code waits at, and a driver that takes no step of a coroutine while a gate is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any


class Gate:
    """Something that frozen code waits at. Open at first."""

    __slots__ = ("_waiting", "closed")

    def __init__(self) -> None:
        self.closed = False  # set by the methods only; every message asks two gates, so it is no property
        self._waiting: list[asyncio.Future[None]] = []

    def close(self) -> None:
        self.closed = True

    def open(self) -> None:
        self.closed = False
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Return at once when it is open, else when it opens."""
        while self.closed:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future


class Held:
    """Await it instead of the coroutine: the coroutine takes no step while one of the gates is closed.

    This is what the cgroup freezer does to a real process. What the coroutine waits for may well happen meanwhile (time
    goes by, bytes arrive); it only finds out when the gates open.
    """

    __slots__ = ("_coro", "_dead", "_gates")

    def __init__(self, coro: Coroutine[Any, Any, Any], *gates: Gate, dead: Callable[[], bool] | None = None) -> None:
        """``dead()`` says that nothing may run any more: a cancellation is not even shown to the coroutine then."""
        self._coro = coro
        self._gates = gates
        self._dead = dead

    def __await__(self) -> Generator[Any, Any, Any]:
        coro, gates = self._coro, self._gates
        error: BaseException | None = None
        while True:
            for gate in gates:
                while gate.closed:
                    try:
                        yield from gate.wait().__await__()
                    except BaseException:
                        coro.close()
                        raise
            try:
                waits_for = coro.send(None) if error is None else coro.throw(error)
            except StopIteration as stop:
                return stop.value
            error = None
            try:
                yield waits_for
            except BaseException as thrown:  # a cancellation is for the coroutine to see
                if self._dead is not None and self._dead():
                    _drop(coro)
                    raise
                error = thrown


def _drop(coro: Coroutine[Any, Any, Any]) -> None:
    try:
        coro.close()
    except RuntimeError:  # it awaits something in a `finally`; that is over, too
        pass


async def called(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Calls it with the first step: ended before that, frozen from the start, there is nothing that nobody awaited."""
    return await function(*arguments)

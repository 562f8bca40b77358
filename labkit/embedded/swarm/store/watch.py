"""Hearing of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from labkit.embedded.swarm.objects import Object
from labkit.embedded.swarm.store.reads import Change


class Watch:
    """``async for batch in store.watch(Task): …`` where ``batch`` is a list of :class:`Change`, in order.

    Nothing is ever lost: changes that come while the reader is busy are handed over in one longer batch.
    """

    def __init__(self, classes: tuple[type[Object], ...], forget: Callable[[Watch], None]) -> None:
        self._forget = forget
        self._classes = classes
        self._pending: list[Change] = []
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, changes: list[Change]) -> None:
        """Called by the store."""
        if self._classes:
            changes = [change for change in changes if isinstance(change.object, self._classes)]
        if changes:
            self._pending += changes
            self._wake.set()

    def take(self) -> list[Change]:
        """What has come since the last time, without waiting; may be empty."""
        batch, self._pending = self._pending, []
        if not self._closed:
            self._wake.clear()
        return batch

    async def wait(self) -> list[Change]:
        """The next batch; empty only after :meth:`close`."""
        await self._wake.wait()
        return self.take()

    async def __aiter__(self) -> AsyncIterator[list[Change]]:
        while batch := await self.wait():
            yield batch

    def close(self) -> None:
        """End the iteration, once what has come is read."""
        self._closed = True
        self._forget(self)
        self._wake.set()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""The masters' registry in ZooKeeper, where all of them see it.

Real masters replicate it among themselves (``--registry=replicated_log``); labkit's write it to a storage that the
masters of one process share. These are processes of their own, so what the leader writes goes to a node that the
others watch: whoever leads next knows the agents.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from labkit.embedded.runtime.chores import Chores
from labkit.embedded.zookeeper import Session
from labkit.embedded.zookeeper.errors import ConnectionLoss

log = logging.getLogger(__name__)

PATH = "/labkit/registry"


class SharedRegistry:
    """As much of :class:`labkit.embedded.runtime.storage.Storage` as a master's registry uses."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: dict[str, dict[str, Any]] = {}
        self._written = asyncio.Event()
        self._changed = asyncio.Event()
        self._chores = Chores()

    async def begin(self) -> None:
        """Read it, as soon as there is a quorum, and follow it from now on."""
        await self._again(lambda: self._session.ensure(PATH))
        await self._again(self._read)
        self._chores.start(self._follow())
        self._chores.start(self._write())

    def put(self, table: str, key: str, value: Any) -> None:
        self._tables.setdefault(table, {})[key] = value
        self._written.set()

    def delete(self, table: str, key: str) -> None:
        self._tables.get(table, {}).pop(key, None)
        self._written.set()

    def all(self, table: str) -> dict[str, Any]:
        return copy.deepcopy(self._tables.get(table, {}))

    async def _read(self) -> None:
        data, _ = await self._session.get(PATH, lambda event: self._changed.set())
        if data and not self._written.is_set():  # what this one has to say is newer
            self._tables = orjson.loads(data)

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._again(self._read)

    async def _write(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            await self._again(lambda: self._session.set(PATH, orjson.dumps(self._tables)))

    async def _again(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Until it is answered: a connection may break at any time."""
        while True:
            try:
                await ask()
                return
            except ConnectionLoss:
                log.info("ZooKeeper has not answered; asking again")

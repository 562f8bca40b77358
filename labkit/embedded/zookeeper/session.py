"""What a client of the ensemble in this process may ask, each request by its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.embedded.zookeeper import paths
from labkit.embedded.zookeeper.connecting import Connecting, State, Watch
from labkit.embedded.zookeeper.errors import NodeExists, NoNode
from labkit.embedded.zookeeper.ops import (
    OPEN_ACL,
    Acl,
    Check,
    Create,
    Delete,
    Exists,
    GetChildren,
    GetData,
    Multi,
    SetData,
    Stat,
    Sync,
)


class Session(Connecting):
    """One session. Made by :meth:`Ensemble.session`; ``timeout`` in seconds, ``id`` is 0 until it is connected first.

    Every call waits while the session is connecting, for its timeout at most, and raises ``ConnectionLoss`` then or
    when the connection breaks before the answer; ``SessionExpired`` when it has expired; ``SessionClosed`` when it was
    closed, or its machine has lost its power.
    """

    acl: tuple[Acl, ...] = OPEN_ACL  # of the nodes that it makes

    async def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        ephemeral: bool = False,
        sequence: bool = False,
        make_parents: bool = False,
    ) -> str:
        """Make a node; returns its path, which has ten digits more with ``sequence``."""
        op = Create(path, data, self.acl, ephemeral, sequence)
        try:
            return (await self.call(op))[0]
        except NoNode:
            if not make_parents:
                raise
        await self.ensure(paths.parent(path))
        return (await self.call(op))[0]

    async def ensure(self, path: str) -> None:
        """Make a node and those above it, as far as they are not there."""
        try:
            await self.call(Create(path, acl=self.acl))
        except NodeExists:
            pass
        except NoNode:
            await self.ensure(paths.parent(path))
            await self.ensure(path)

    async def get(self, path: str, watch: Watch | None = None) -> tuple[bytes, Stat]:
        """Data and numbers of a node; ``watch`` is called when it changes or goes."""
        return await self.call(GetData(path, watch is not None), watch)

    async def set(self, path: str, data: bytes, version: int = -1) -> Stat:
        """Write the data of a node that is there. ``version``: only if it is still that one."""
        return await self.call(SetData(path, data, version))

    async def delete(self, path: str, version: int = -1) -> None:
        """Remove a node that has no children."""
        await self.call(Delete(path, version))

    async def exists(self, path: str, watch: Watch | None = None) -> Stat | None:
        """Numbers of a node, or None; ``watch`` is called when it comes, changes or goes."""
        try:
            return await self.call(Exists(path, watch is not None), watch)
        except NoNode:
            return None

    async def children(self, path: str, watch: Watch | None = None) -> list[str]:
        """Names of its children, in no order; ``watch`` is called when one comes or goes, or the node itself goes."""
        return (await self.call(GetChildren(path, watch is not None), watch))[0]

    async def multi(self, ops: Iterable[Create | Delete | SetData | Check]) -> list[Any]:
        """All of it or nothing: raises ``MultiFailed`` with an error for each operation. Returns, for each, what the
        single call does (for a create: path and numbers)."""
        return await self.call(Multi(tuple(ops)))

    async def sync(self, path: str = "/") -> None:
        """Return when the member that serves this session has all that the leader had when it was asked."""
        await self.call(Sync(path))


__all__ = ["Session", "State", "Watch"]

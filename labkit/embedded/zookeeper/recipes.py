"""Recipes on a session: who leads, and who is told.

Election: each contender makes an ephemeral node with a sequence number, the lowest leads, and each of the others
watches only the one before it. Mesos (``zookeeper/contender.cpp``) and Marathon (Curator's LeaderLatch) both do so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from labkit.embedded.zookeeper import paths
from labkit.embedded.zookeeper.errors import ConnectionLoss, NoNode, SessionExpired, ZooKeeperError
from labkit.embedded.zookeeper.ops import Event
from labkit.embedded.zookeeper.session import Session, State

log = logging.getLogger(__name__)


def _sequence(name: str) -> int:
    digits = name[-10:]
    return int(digits) if digits.isdigit() else -1


def contenders(children: list[str], prefix: str) -> list[str]:
    """The nodes of an election among these, who leads first."""
    return sorted((name for name in children if name.startswith(prefix) and _sequence(name) >= 0), key=_sequence)


class _Recipe:
    """A loop that looks at ``path`` and is woken by watches and by the session's ups and downs."""

    def __init__(self, session: Session, path: str, prefix: str, patience: float | None) -> None:
        self.session = session
        self.path = path
        self.prefix = prefix
        self._patience = patience
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unlisten: Callable[[], None] = lambda: None

    def _wake(self, event: Event | State | None = None) -> None:
        self._woken.set()

    def _listen(self) -> None:
        self._unlisten()
        self._unlisten = self.session.on_state(self._wake)

    def _renew(self) -> None:
        """A session of its own, when the one it had has expired."""
        if self.session.state in ("expired", "closed"):
            old = self.session
            self.session = old.ensemble.session(old.machine, timeout=old.timeout)
            self.session.acl = old.acl
        self._listen()

    def _halt(self) -> None:
        self._unlisten()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _rest(self) -> bool:
        """Wait until there is something to look at; False when the session was gone for too long."""
        session = self.session
        if session.member is not None:
            await self._woken.wait()
        if session.member is not None:
            return True
        patience = session.timeout if self._patience is None else self._patience
        try:
            async with session.clock.timeout(patience):
                while session.state == "connecting":
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return False
        return self.session.state == "connected"


class Election(_Recipe):
    """One contender. ``data`` is what detectors read of the leader.

    It has lost when its node is gone, its session expired, or it was without a connection for ``patience`` seconds
    (its session's timeout when None, as a Mesos master waits; 0 for those who let go at once, as Marathon does).
    It may contend again after it has lost or withdrawn.
    """

    def __init__(
        self,
        session: Session,
        path: str,
        data: bytes = b"",
        prefix: str = "member_",
        *,
        patience: float | None = None,
    ) -> None:
        super().__init__(session, path, prefix, patience)
        self.data = data
        self.node: str | None = None  # the whole path
        self.leads = False
        self._elected: list[Callable[[], object]] = []
        self._lost: list[Callable[[], object]] = []

    def on_elected(self, fn: Callable[[], object]) -> None:
        """``fn`` is called when it begins to lead."""
        self._elected.append(fn)

    def on_lost(self, fn: Callable[[], object]) -> None:
        """``fn`` is called when it led or stood for election, and does no longer, without having withdrawn."""
        self._lost.append(fn)

    async def contend(self) -> None:
        """Stand for election; returns when the node is there."""
        if self._task is not None:
            return
        self._renew()
        await self._stand()
        self._task = asyncio.create_task(self._watch())

    async def withdraw(self) -> None:
        """Stand no more: the next in the line takes over. ``on_lost`` is not called."""
        self._halt()
        node, self.node, self.leads = self.node, None, False
        if node is not None:
            try:
                await self.session.delete(node)
            except ZooKeeperError:
                pass  # gone with its session, or will be

    def abandon(self) -> None:
        """The process was killed: let the node go with its session."""
        self._halt()
        self.node, self.leads = None, False

    async def _stand(self) -> None:
        session = self.session
        while self.node is None:
            try:
                self.node = await session.create(
                    f"{self.path}/{self.prefix}", self.data, ephemeral=True, sequence=True, make_parents=True
                )
            except ConnectionLoss:
                self.node = await self._mine()

    async def _mine(self) -> str | None:
        """The node of this session, if the create whose answer was lost went through."""
        session = self.session
        while True:
            try:
                for name in contenders(await session.children(self.path), self.prefix):
                    stat = await session.exists(f"{self.path}/{name}")
                    if stat is not None and stat.ephemeral_owner == session.id:
                        return f"{self.path}/{name}"
                return None
            except NoNode:
                return None
            except ConnectionLoss:
                continue

    async def _watch(self) -> None:
        try:
            while await self._look():
                pass
        except SessionExpired:
            pass
        self._task = None
        self._unlisten()
        self.node, self.leads = None, False
        for fn in tuple(self._lost):
            fn()

    async def _look(self) -> bool:
        """One look at the line; False when this contender is out of it."""
        assert self.node is not None
        self._woken.clear()
        try:
            line = contenders(await self.session.children(self.path), self.prefix)
            mine = paths.name(self.node)
            if mine not in line:
                return False
            place = line.index(mine)
            # Who leads watches its own node, so that it hears when somebody deletes it.
            watched = self.node if place == 0 else f"{self.path}/{line[place - 1]}"
            there = await self.session.exists(watched, self._wake)
            if place > 0 and there is not None and there.ephemeral_owner == self.session.id:
                # Its own, of which nobody knows: a create or a delete that went through, or did not, after its answer
                # was lost. It lives as long as this session, so this contender would wait for itself for ever.
                await self.session.delete(watched)
                return True
            if place == 0 and there is not None and not self.leads:
                self.leads = True
                for fn in tuple(self._elected):
                    fn()
            if there is None:
                return True
        except NoNode:
            return False
        except ConnectionLoss:
            pass
        return await self._rest()


class Detector(_Recipe):
    """Knows who leads at ``path``: ``leader`` is the data of its node, None when there is none or none is known."""

    def __init__(
        self, session: Session, path: str, prefix: str = "json.info_", *, patience: float | None = None
    ) -> None:
        super().__init__(session, path, prefix, patience)
        self.leader: bytes | None = None
        self.node: str | None = None
        self._listeners: list[Callable[[bytes | None], object]] = []
        self._task = asyncio.create_task(self._watch())

    def on_change(self, fn: Callable[[bytes | None], object]) -> None:
        """Have ``fn(leader)`` called after each change, and once at once if there is a leader already."""
        self._listeners.append(fn)
        if self.leader is not None:
            fn(self.leader)

    def close(self) -> None:
        """Look no more. The session stays."""
        self._halt()

    def _tell(self, node: str | None, leader: bytes | None) -> None:
        if (node, leader) == (self.node, self.leader):
            return
        self.node, self.leader = node, leader
        for fn in tuple(self._listeners):
            fn(leader)

    async def _watch(self) -> None:
        self._listen()
        while True:
            self._woken.clear()
            try:
                await self._look()
                known = await self._rest()
            except ConnectionLoss:
                known = await self._rest()
            except SessionExpired:
                known = False
            if not known:
                self._tell(None, None)
                if self.session.state == "closed":
                    return
                if self.session.state == "expired":
                    self._renew()
                else:
                    await self._woken.wait()

    async def _look(self) -> None:
        session = self.session
        try:
            line = contenders(await session.children(self.path, self._wake), self.prefix)
        except NoNode:
            if await session.exists(self.path, self._wake) is not None:
                self._woken.set()
            self._tell(None, None)
            return
        if not line:
            self._tell(None, None)
            return
        node = f"{self.path}/{line[0]}"
        if node == self.node:
            return
        try:
            data, _ = await session.get(node)
        except NoNode:  # gone again: the watch on the children says so
            return
        self._tell(node, data)

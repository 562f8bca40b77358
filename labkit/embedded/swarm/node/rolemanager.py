"""The leader's loop that turns wanted roles into real ones (SwarmKit ``manager/role_manager.go``).

``spec.Role`` is what a person asked for, ``role`` what the node is. A promotion only has to be written down: the node
reads it in its session and joins the Raft group itself. A demotion first takes the member out of the group, and is
written down once it is out; a leader that is to go hands over first. What cannot be done now, because the majority
would be lost, is tried again every few seconds. Nodes that were deleted while they were members are taken out, too.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.node import control
from labkit.embedded.swarm.objects import Node
from labkit.embedded.swarm.raft.member import Member
from labkit.embedded.swarm.store import Store, Tx

RETRY = 5.0  # seconds between attempts at what could not be done yet
_REMOVAL_TIMEOUT = 5.0

_log = logging.getLogger("labkit.swarm.roles")


class RoleManager:
    """Runs on the leader, from :meth:`start` to :meth:`stop`."""

    def __init__(self, member: Member, store: Store, clock: Any) -> None:
        self._member = member
        self._store = store
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="role manager")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """The membership has changed."""
        self._wake.set()

    async def _run(self) -> None:
        with self._store.watch(Node) as watch:
            listener = asyncio.ensure_future(self._listen(watch))
            try:
                while True:
                    self._wake.clear()
                    try:
                        done = await self._reconcile()
                    except RpcError as error:
                        _log.info("roles cannot be brought in order now: %s", error)
                        done = False
                    if not done:
                        timer = self._clock.call_later(RETRY, self._wake.set)
                        await self._wake.wait()
                        timer.cancel()
                    else:
                        await self._wake.wait()
            finally:
                listener.cancel()

    async def _listen(self, watch: Any) -> None:
        async for _ in watch:
            self._wake.set()

    async def _reconcile(self) -> bool:
        """Bring every node one step nearer to its wanted role; True if nothing is left to do."""
        if control.stale(self._store.all(Node), self._member.membership.members):
            await self._store.update(lambda tx: control.follow_membership(tx, self._member.membership.members))
        done = True
        for node in self._store.all(Node):
            wanted = node.spec.get("Role", "worker")
            if wanted == node.role:
                continue
            raft_id = self._member.id_of_node(node.id)
            if wanted == "worker" and raft_id is not None:
                done = await self._remove(raft_id) and done
                continue
            await self._store.update(lambda tx, id=node.id: _take_role(tx, id))  # type: ignore[misc]
        known = {node.id for node in self._store.all(Node)}
        for raft_id, context in list(self._member.membership.members.items()):
            if context[0] not in known:
                done = await self._remove(raft_id) and done
        return done

    async def _remove(self, raft_id: int) -> bool:
        if not self._member.can_remove(raft_id):
            return False
        if raft_id == self._member.id:
            _log.info("demoted; handing leadership over")
            if await self._member.transfer():
                return False  # the next leader does the rest
        try:
            async with self._clock.timeout(_REMOVAL_TIMEOUT):
                await self._member.remove(raft_id)
        except TimeoutError:
            pass
        return False  # look again: the role is written down once the member is out


def _take_role(tx: Tx, node_id: str) -> None:
    node = tx.get(Node, node_id)
    if node is not None and node.spec.get("Role", "worker") != node.role:
        tx.update(replace(node, role=node.spec.get("Role", "worker")))

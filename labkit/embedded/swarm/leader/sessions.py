"""The sessions of agents with the leader: who is there, and when it last said so (``dispatcher/nodes.go``)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.leader.assignments import AssignmentSet, Message
from labkit.embedded.swarm.leader.loop import Wakeup
from labkit.embedded.swarm.objects import Node

HEARTBEAT_PERIOD = 5.0
HEARTBEAT_EPSILON = 0.5  # so that the agents of a cluster do not all beat at once
GRACE_MULTIPLIER = 3
GRACE_MULTIPLIER_UNKNOWN = 6  # after a change of leader the agents have to find the new one first


class SessionInvalid(RpcError):
    """The session is not the one that the leader knows: the agent has to register again."""

    def __init__(self) -> None:
        super().__init__("InvalidArgument", "session invalid")


class NodeNotRegistered(RpcError):
    def __init__(self) -> None:
        super().__init__("NotFound", "node not registered")


class NodeNotFound(RpcError):
    """The node is not in the store: it has been removed from the swarm."""

    def __init__(self) -> None:
        super().__init__("NotFound", "node not found")


class Stream(Protocol):
    """The agent's end of a session."""

    async def receive(self, message: Message) -> None: ...

    def broken(self, session_id: str) -> None:
        """The leader closed the stream."""


@dataclass(slots=True, eq=False)
class Session:
    """One node's registration. Without ``stream``, a node of which one only waits to hear (state ``unknown``)."""

    id: str
    node_id: str
    machine: str = ""
    stream: Stream | None = None
    expiry: Any = None  # the timer that says it is down
    assignments: AssignmentSet = field(default_factory=lambda: AssignmentSet(""))
    node: Node | None = None  # to be told to the agent
    managers: bool = True  # the list of managers is to be told
    wakeup: Wakeup | None = None
    sender: asyncio.Task[None] | None = None


class Sessions:
    """All sessions of one leader; calls ``expired(node id, was unknown)`` when a node has been silent too long."""

    def __init__(self, clock: Any, rng: random.Random, expired: Callable[[str, bool], None]) -> None:
        self.period = HEARTBEAT_PERIOD
        self._clock = clock
        self._rng = rng
        self._expired = expired
        self._by_node: dict[str, Session] = {}

    def expect(self, node_id: str) -> None:
        """Wait for a node to register, for twice as long as for a heartbeat."""
        self._replace(Session("", node_id), GRACE_MULTIPLIER_UNKNOWN)

    def add(self, session: Session) -> None:
        """A node has registered; an older session of it is over."""
        self._replace(session, GRACE_MULTIPLIER)

    def get(self, node_id: str, session_id: str) -> Session:
        """The node's session. Raises :class:`NodeNotRegistered`, :class:`SessionInvalid`."""
        session = self._by_node.get(node_id)
        if session is None:
            raise NodeNotRegistered
        if not session_id or session.id != session_id:
            raise SessionInvalid
        return session

    def of(self, node_id: str) -> Session | None:
        return self._by_node.get(node_id)

    def all(self) -> list[Session]:
        return list(self._by_node.values())

    def heartbeat(self, node_id: str, session_id: str) -> float:
        """Returns after how many seconds the next one is due."""
        session = self.get(node_id, session_id)
        period = self._choose()
        self._arm(session, period * GRACE_MULTIPLIER)
        return period

    def drop(self, node_id: str) -> Session | None:
        """Forget a node, and end its stream."""
        session = self._by_node.pop(node_id, None)
        if session is not None:
            self._end(session)
        return session

    def clear(self) -> None:
        for node_id in list(self._by_node):
            self.drop(node_id)

    def _replace(self, session: Session, grace: float) -> None:
        self.drop(session.node_id)
        self._by_node[session.node_id] = session
        self._arm(session, self._choose() * grace)

    def _arm(self, session: Session, seconds: float) -> None:
        if session.expiry is not None:
            session.expiry.cancel()
        session.expiry = self._clock.call_later(seconds, self._expired, session.node_id, session.stream is None)

    def _choose(self) -> float:
        return self.period + self._rng.uniform(-HEARTBEAT_EPSILON, HEARTBEAT_EPSILON) * min(1.0, self.period / 5)

    def _end(self, session: Session) -> None:
        if session.expiry is not None:
            session.expiry.cancel()
        if session.sender is not None:
            session.sender.cancel()

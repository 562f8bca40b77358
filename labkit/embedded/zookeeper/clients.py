"""What a member does for its clients: it welcomes them, passes their writes to the leader, and tells them what came.

Their reads are :mod:`labkit.embedded.zookeeper.serving`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.embedded.zookeeper.errors import ZooKeeperError
from labkit.embedded.zookeeper.ops import OpenSession, Write
from labkit.embedded.zookeeper.serving import Client, Connection, Hello
from labkit.embedded.zookeeper.tree import Outcome, Request
from labkit.embedded.zookeeper.watches import Watches

if TYPE_CHECKING:
    from labkit.embedded.zookeeper.member import Member


class Clients:
    """The clients of one member. Each has its session revalidated, or opened, by the leader before it is served."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.connections: dict[int, Connection] = {}
        self.watches: Watches[Connection] = Watches()
        self.touched: set[int] = set()  # sessions that were heard of since the leader was told last
        self._greeting: dict[int, tuple[Connection, Hello]] = {}
        known = (id for id in member.tree.sessions if id >> 56 == member.id)
        self._next_session = max(known, default=0)

    def greet(self, client: Client, hello: Hello, peer: str) -> Connection | None:
        """A client wants to be served. None: not here, not now (the real one closes the connection)."""
        member = self.member
        if not member.serving or hello.seen > member.tree.zxid:
            return None
        ensemble = member.ensemble
        auth = ensemble.addresses_auth(peer) + (ensemble.owner.auth if hello.inside else ())
        connection = Connection(ensemble.next_connection(), member, client, peer, auth)
        leader = member.leader
        assert leader is not None
        self._greeting[connection.id] = connection, hello
        if hello.session:
            member.send(leader, leader.revalidate, member, connection.id, hello.session, hello.password)
        else:
            op = OpenSession(ensemble.negotiated(hello.timeout), member.rng.randbytes(16), hello.inside)
            request = Request(self._new_session_id(), 0, op, origin=(member.machine, connection.id, 0))
            member.send(leader, leader.take, request)
        return connection

    def _new_session_id(self) -> int:
        """As ``SessionTrackerImpl``: the member's id, the time, and a counter below."""
        member = self.member
        first = (member.id << 56) | ((member.millis() << 24 & (1 << 64) - 1) >> 8)
        first &= (1 << 63) - 1
        self._next_session = max(self._next_session + 1, first)
        return self._next_session

    def revalidated(self, connection_id: int, session: int, timeout: int) -> None:
        """The leader knows whether it is a session (0: it is none)."""
        waiting = self._greeting.pop(connection_id, None)
        if waiting is None:
            return
        connection, hello = waiting
        if timeout:
            self._welcome(connection, session, timeout, hello.password)
        else:
            connection.open = False
            connection.client.unknown()

    def _welcome(self, connection: Connection, session: int, timeout: int, password: bytes) -> None:
        if not connection.open:
            return
        connection.session, connection.timeout = session, timeout
        self.connections[connection.id] = connection
        self.touched.add(session)
        connection.client.welcomed(session, timeout, password)

    def submit(self, connection: Connection, number: int, op: Write) -> None:
        """A write of a client's: it is the leader's to order."""
        member = self.member
        leader = member.leader
        if leader is None:
            return
        request = Request(connection.session, 0, op, connection.auth, (member.machine, connection.id, number))
        if leader is member:
            member.take(request)
        else:
            member.send(leader, leader.take, request)

    def refuse(self, origin: tuple[str, int, int], error: ZooKeeperError) -> None:
        """The leader does not take it. A client whose session has moved is hung up on, as in the real one."""
        connection = self.connections.get(origin[1])
        if connection is not None:
            connection.complete(origin[2], self.member.tree.zxid, error, None)
            connection.drop()

    def forget(self, connection: Connection) -> None:
        """That client has gone."""
        self.connections.pop(connection.id, None)
        self._greeting.pop(connection.id, None)
        self.watches.forget(connection)

    def tell(self, request: Request, out: Outcome) -> None:
        """Watches first, then whoever waits: nobody hears of a change of its own before its watchers."""
        if not self.member.serving and not self._greeting:
            return
        for event in out.events:
            for connection in self.watches.take(event):
                connection.notify(event)
        if request.origin is None or request.origin[0] != self.member.machine:
            return
        _, id, number = request.origin
        if isinstance(request.op, OpenSession):
            waiting = self._greeting.pop(id, None)
            if waiting is not None and out.error is None:
                self._welcome(waiting[0], out.value.id, out.value.timeout, out.value.password)
            return
        asker = self.connections.get(id)
        if asker is not None:
            asker.complete(number, self.member.tree.zxid, out.error, out.value)

    def hang_up(self) -> None:
        """The member serves no more."""
        for connection in [*self.connections.values(), *(waiting for waiting, _ in self._greeting.values())]:
            connection.drop()
        self._greeting.clear()
        self.connections.clear()
        self.watches.clear()
        self.touched.clear()

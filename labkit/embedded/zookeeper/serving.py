"""A client's connection at the member that serves it.

Answers come in the order of the requests: a read waits for the writes that the same client sent before it, as in
``CommitProcessor``; it then sees them. What it reads is this member's tree, which may be behind the leader's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from labkit.embedded.zookeeper import acls
from labkit.embedded.zookeeper.errors import ZooKeeperError
from labkit.embedded.zookeeper.ops import (
    CHANGED,
    CHILDREN,
    CREATED,
    DELETED,
    READ,
    Acl,
    Check,
    Create,
    Delete,
    Event,
    Exists,
    GetAcl,
    GetChildren,
    GetData,
    Id,
    Multi,
    Op,
    SetAcl,
    SetData,
    SetWatches,
    Stat,
    Sync,
)

if TYPE_CHECKING:
    from labkit.embedded.zookeeper.member import Member


class Hello(NamedTuple):
    """How a client begins: with a session of its own, or with none (0). ``timeout`` in milliseconds."""

    seen: int  # the last zxid that it knows of
    timeout: int
    session: int = 0
    password: bytes = b"\0" * 16
    inside: bool = False  # a client in this process


class Client(Protocol):
    """The other end. Calls come in order."""

    def welcomed(self, session: int, timeout: int, password: bytes) -> None:
        """The session is served here. ``timeout`` is what was negotiated, in milliseconds."""

    def unknown(self) -> None:
        """There is no such session (any more)."""

    def answered(self, number: int, zxid: int, error: ZooKeeperError | None, value: Any) -> None:
        """What came of the client's request of that number."""

    def notified(self, event: Event, zxid: int) -> None:
        """A watch has seen something."""

    def dropped(self) -> None:
        """The member hangs up."""


class _Asked:
    __slots__ = ("done", "error", "number", "op", "since", "value", "zxid")

    def __init__(self, number: int, op: Op, since: float) -> None:
        self.number = number
        self.op = op
        self.since = since
        self.done = False
        self.zxid = 0
        self.error: ZooKeeperError | None = None
        self.value: Any = None


@dataclass(slots=True)
class Counts:
    """What ``cons`` and ``stat`` say of a connection, or of all of them."""

    received: int = 0
    sent: int = 0
    latency_min: float | None = None
    latency_max: float = 0.0
    latency_sum: float = 0.0
    answers: int = 0

    def answer(self, latency: float) -> None:
        """One more request was answered, after so many seconds.

        ZooKeeper measures in whole milliseconds (``System.currentTimeMillis``), so its average is never above its
        maximum: what takes less counts as nothing.
        """
        latency = int(latency * 1000) / 1000
        self.answers += 1
        self.sent += 1
        self.latency_sum += latency
        if latency > self.latency_max:
            self.latency_max = latency
        if self.latency_min is None or latency < self.latency_min:
            self.latency_min = latency


class Connection:
    """The member's end of it."""

    def __init__(self, id: int, member: Member, client: Client, peer: str, auth: tuple[Id, ...] = ()) -> None:
        self.id = id
        self.member = member
        self.client = client
        self.peer = peer  # address:port as cons prints it
        self.auth = auth
        self.session = 0
        self.timeout = 0  # milliseconds
        self.since = member.clock.time()
        self.counts = Counts()
        self.last_number = 0
        self.last_zxid = -1
        self.last_op = "NA"
        self.last_heard = self.since
        self.last_latency = 0.0
        self.open = True
        self._asked: deque[_Asked] = deque()

    @property
    def outstanding(self) -> int:
        """Requests without an answer yet."""
        return len(self._asked)

    def request(self, number: int, op: Op) -> None:
        """The client asks for something."""
        if not self.open:
            return
        self.heard()
        asked = _Asked(number, op, self.last_heard)
        self._asked.append(asked)
        if not isinstance(op, READ):
            self.member.clients.submit(self, number, op)
        elif self._asked[0] is asked:
            self._flush()

    def ping(self) -> None:
        """The client lives."""
        if self.open:
            self.heard()
            self.counts.sent += 1

    def heard(self) -> None:
        """The client has said something: its session lives."""
        self.last_heard = self.member.clock.time()
        self.counts.received += 1
        self.member.totals.received += 1
        self.member.clients.touched.add(self.session)

    def complete(self, number: int, zxid: int, error: ZooKeeperError | None, value: Any) -> None:
        """A write of this client has been done, or refused."""
        for asked in self._asked:
            if asked.number == number and not asked.done:
                asked.done, asked.zxid, asked.error, asked.value = True, zxid, error, value
                break
        self._flush()

    def _flush(self) -> None:
        asked = self._asked
        while asked and self.open:
            first = asked[0]
            if not first.done:
                read = READS.get(type(first.op))
                if read is None:
                    return  # a write that is under way
                try:
                    first.value = read(self, first.op)
                except ZooKeeperError as error:
                    first.error = error
                first.zxid = self.member.tree.zxid
            asked.popleft()
            self._answer(first)

    def _answer(self, asked: _Asked) -> None:
        latency = self.member.clock.time() - asked.since
        self.counts.answer(latency)
        self.member.totals.answer(latency)
        self.last_latency, self.last_number, self.last_zxid = latency, asked.number, asked.zxid
        self.last_op = LAST_OPS.get(type(asked.op), "NA")
        self.client.answered(asked.number, asked.zxid, asked.error, asked.value)

    def notify(self, event: Event) -> None:
        """Tell the client what its watch has seen."""
        self.counts.sent += 1
        self.member.totals.sent += 1
        self.client.notified(event, self.member.tree.zxid)

    def drop(self) -> None:
        """Hang up: the member has no quorum any more, or stops."""
        if self.open:
            self.gone()
            self.client.dropped()

    def gone(self) -> None:
        """The client hung up, or its wire is cut."""
        if self.open:
            self.open = False
            self._asked.clear()
            self.member.clients.forget(self)

    # reads ----------------------------------------------------------------------------------------------------

    def _get_data(self, op: GetData) -> tuple[bytes, Stat]:
        tree = self.member.tree
        node = tree.node(op.path)
        acls.check(node.acl, acls.READ, self.auth, op.path)
        if op.watch:
            self.member.clients.watches.add(op.path, self)
        return node.data, node.stat

    def _exists(self, op: Exists) -> Stat:
        if op.watch:
            self.member.clients.watches.add(op.path, self)
        return self.member.tree.node(op.path).stat

    def _get_children(self, op: GetChildren) -> tuple[list[str], Stat]:
        node = self.member.tree.node(op.path)
        acls.check(node.acl, acls.READ, self.auth, op.path)
        if op.watch:
            self.member.clients.watches.add(op.path, self, children=True)
        return list(node.children), node.stat

    def _get_acl(self, op: GetAcl) -> tuple[tuple[Acl, ...], Stat]:
        node = self.member.tree.node(op.path)
        acls.check(node.acl, acls.READ | acls.ADMIN, self.auth, op.path)
        return node.acl, node.stat

    def _set_watches(self, op: SetWatches) -> None:
        """Watches that the client had elsewhere: tell what it has missed, keep the others (``DataTree.setWatches``)."""
        nodes, watches = self.member.tree.nodes, self.member.clients.watches
        for path in op.data:
            node = nodes.get(path)
            if node is None:
                self.notify(Event(DELETED, path))
            elif node.mzxid > op.zxid:
                self.notify(Event(CHANGED, path))
            else:
                watches.add(path, self)
        for path in op.exists:
            if path in nodes:
                self.notify(Event(CREATED, path))
            else:
                watches.add(path, self)
        for path in op.children:
            node = nodes.get(path)
            if node is None:
                self.notify(Event(DELETED, path))
            elif node.pzxid > op.zxid:
                self.notify(Event(CHILDREN, path))
            else:
                watches.add(path, self, children=True)


LAST_OPS: dict[type, str] = {
    Create: "CREA",
    Delete: "DELE",
    Exists: "EXIS",
    GetData: "GETD",
    SetData: "SETD",
    GetAcl: "GETA",
    SetAcl: "SETA",
    GetChildren: "GETC",
    Sync: "SYNC",
    Check: "CHEC",
    Multi: "MULT",
    SetWatches: "SETW",
}  # as cons prints them

READS: dict[type, Callable[[Connection, Any], Any]] = {
    GetData: Connection._get_data,
    Exists: Connection._exists,
    GetChildren: Connection._get_children,
    GetAcl: Connection._get_acl,
    SetWatches: Connection._set_watches,
}

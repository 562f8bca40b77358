"""The data tree of one member: what is in it, and how a committed request changes it.

Pure: a request, its zxid, its time and its session go in; the answer, the events for watches and the paths that have
changed come out. All members apply the same requests in the same order, and so come to the same tree. A refused
request takes a zxid, too, as in the real one, where it goes through the log as an error transaction.

The rules and their order are those of ``PrepRequestProcessor`` and ``DataTree`` of ZooKeeper 3.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.zookeeper import acls, paths
from labkit.embedded.zookeeper.errors import (
    BadArguments,
    BadVersion,
    MultiFailed,
    NoChildrenForEphemerals,
    NodeExists,
    NoNode,
    NotEmpty,
    RuntimeInconsistency,
    SessionExpired,
    ZooKeeperError,
)
from labkit.embedded.zookeeper.ops import (
    CHANGED,
    CHILDREN,
    CREATED,
    DELETED,
    OPEN_ACL,
    Acl,
    Check,
    CloseSession,
    Create,
    Delete,
    Event,
    Id,
    Multi,
    OpenSession,
    SetAcl,
    SetData,
    Stat,
    Sync,
    Write,
)

READ_ONLY_ACL = (Acl(acls.READ, Id("world", "anyone")),)


@dataclass(slots=True)
class Node:
    """One znode. ``creations`` counts all children that it ever had: the next sequence number."""

    data: bytes
    acl: tuple[Acl, ...]
    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    pzxid: int
    owner: int = 0
    version: int = 0
    creations: int = 0
    aversion: int = 0
    children: set[str] = field(default_factory=set)

    def copy(self) -> Node:
        """A node of its own with the same content."""
        return Node(
            self.data,
            self.acl,
            self.czxid,
            self.mzxid,
            self.ctime,
            self.mtime,
            self.pzxid,
            self.owner,
            self.version,
            self.creations,
            self.aversion,
            set(self.children),
        )

    @property
    def stat(self) -> Stat:
        """Its numbers, as clients get them."""
        count = len(self.children)
        return Stat(
            self.czxid,
            self.mzxid,
            self.ctime,
            self.mtime,
            self.version,
            self.creations * 2 - count,  # creations and deletions of children, as DataNode.copyStat counts them
            self.aversion,
            self.owner,
            len(self.data),
            count,
            self.pzxid,
        )


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as the ensemble knows it."""

    id: int
    timeout: int  # milliseconds
    password: bytes
    inside: bool = False  # its client lives in the ensemble's own process


@dataclass(slots=True)
class Request:
    """One line of the log. ``origin`` is who waits for the answer: (member, connection, number), or None."""

    session: int
    time: int  # milliseconds since the epoch
    op: Write
    auth: tuple[Id, ...] = ()
    origin: tuple[str, int, int] | None = None


class Outcome:
    """What came of a request: ``value`` or ``error``, the ``events``, and what must be written to disk."""

    __slots__ = ("error", "events", "nodes", "sessions", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: ZooKeeperError | None = None
        self.events: list[Event] = []
        self.nodes: dict[str, bool] = {}  # path -> has its data changed, too?
        self.sessions: list[int] = []


class Tree:
    """Nodes and sessions of one member."""

    def __init__(self, acl: tuple[Acl, ...] = OPEN_ACL) -> None:
        """``acl`` is of the nodes that are there from the beginning."""
        self.nodes: dict[str, Node] = {}
        self.sessions: dict[int, SessionRecord] = {}
        self.ephemerals: dict[int, set[str]] = {}
        self.zxid = 0
        self._before: dict[str, Node | None] | None = None  # what a multi under way has changed
        for path in paths.SPECIAL:
            own = READ_ONLY_ACL if path == "/zookeeper/config" else acl
            self.nodes[path] = Node(b"", own, 0, 0, 0, 0, 0)
            if path != "/":
                self.nodes[paths.parent(path)].children.add(paths.name(path))

    # reading --------------------------------------------------------------------------------------------------

    def node(self, path: str) -> Node:
        """The node at that path. Raises ``NoNode``."""
        try:
            return self.nodes[path]
        except KeyError:
            raise NoNode(path) from None

    @property
    def size(self) -> int:
        """Bytes of all paths and data, as ``approximateDataSize`` counts them."""
        return sum(len(path) + len(node.data) for path, node in self.nodes.items())

    # taking over what a disk or another member has ------------------------------------------------------------

    def load(self, nodes: Iterable[tuple[str, Node]], sessions: Iterable[SessionRecord], zxid: int) -> None:
        """Become that tree. Nodes may come in any order."""
        self.nodes = dict(nodes)
        self.sessions = {record.id: record for record in sessions}
        self.ephemerals = {}
        for path, node in self.nodes.items():
            if path != "/":
                self.nodes[paths.parent(path)].children.add(paths.name(path))
            if node.owner:
                self.ephemerals.setdefault(node.owner, set()).add(path)
        self.zxid = zxid

    def copy(self) -> Tree:
        """A tree of its own with the same content."""
        other = Tree()
        other.nodes = {path: node.copy() for path, node in self.nodes.items()}
        other.sessions = dict(self.sessions)
        other.ephemerals = {owner: set(held) for owner, held in self.ephemerals.items()}
        other.zxid = self.zxid
        return other

    # writing --------------------------------------------------------------------------------------------------

    def apply(self, request: Request, zxid: int) -> Outcome:
        """Do what is asked, or nothing of it."""
        self.zxid = zxid
        out = Outcome()
        try:
            if request.session not in self.sessions and not isinstance(request.op, OpenSession):
                raise SessionExpired
            out.value = _APPLY[type(request.op)](self, request, request.op, zxid, out)
        except ZooKeeperError as error:
            out.error = error
        return out

    def _create(self, request: Request, op: Create, zxid: int, out: Outcome) -> tuple[str, Stat]:
        path = op.path
        if not path.startswith("/") or "\0" in path:
            raise BadArguments(path)
        acl = acls.fixed(op.acl, request.auth, path)
        above = paths.parent(path)
        parent = self.node(above)
        acls.check(parent.acl, acls.CREATE, request.auth, path)
        if op.sequence:
            path = f"{path}{parent.creations:010d}"
        paths.check(path)
        if path in self.nodes:
            raise NodeExists(path)
        if parent.owner:
            raise NoChildrenForEphemerals(path)
        self._remember(path, above)
        owner = request.session if op.ephemeral else 0
        node = Node(op.data, acl, zxid, zxid, request.time, request.time, zxid, owner)
        self.nodes[path] = node
        parent.children.add(paths.name(path))
        parent.creations += 1
        parent.pzxid = zxid
        if owner:
            self.ephemerals.setdefault(owner, set()).add(path)
        out.nodes[path] = True
        out.nodes.setdefault(above, False)
        out.events += (Event(CREATED, path), Event(CHILDREN, above))
        return path, node.stat

    def _delete(self, request: Request, op: Delete, zxid: int, out: Outcome) -> None:
        path = op.path
        if "/" not in path or "\0" in path or path in paths.SPECIAL:
            raise BadArguments(path)
        node, parent = self.node(path), self.node(paths.parent(path))
        acls.check(parent.acl, acls.DELETE, request.auth, path)
        if op.version not in (-1, node.version):
            raise BadVersion(path)
        if node.children:
            raise NotEmpty(path)
        self._remove(path, zxid, out)

    def _remove(self, path: str, zxid: int, out: Outcome) -> None:
        above = paths.parent(path)
        self._remember(path, above)
        node = self.nodes.pop(path)
        parent = self.nodes[above]
        parent.children.discard(paths.name(path))
        parent.pzxid = zxid
        if node.owner:
            self._disown(node.owner, path)
        out.nodes[path] = True
        out.nodes.setdefault(above, False)
        out.events += (Event(DELETED, path), Event(CHILDREN, above))

    def _set_data(self, request: Request, op: SetData, zxid: int, out: Outcome) -> Stat:
        paths.check(op.path)
        node = self.node(op.path)
        acls.check(node.acl, acls.WRITE, request.auth, op.path)
        if op.version not in (-1, node.version):
            raise BadVersion(op.path)
        self._remember(op.path)
        node.data = op.data
        node.version += 1
        node.mzxid, node.mtime = zxid, request.time
        out.nodes[op.path] = True
        out.events.append(Event(CHANGED, op.path))
        return node.stat

    def _set_acl(self, request: Request, op: SetAcl, zxid: int, out: Outcome) -> Stat:
        paths.check(op.path)
        acl = acls.fixed(op.acl, request.auth, op.path)
        node = self.node(op.path)
        acls.check(node.acl, acls.ADMIN, request.auth, op.path)
        if op.version not in (-1, node.aversion):
            raise BadVersion(op.path)
        self._remember(op.path)
        node.acl = acl
        node.aversion += 1
        out.nodes.setdefault(op.path, False)
        return node.stat

    def _check(self, request: Request, op: Check, zxid: int, out: Outcome) -> None:
        paths.check(op.path)
        node = self.node(op.path)
        acls.check(node.acl, acls.READ, request.auth, op.path)
        if op.version not in (-1, node.version):
            raise BadVersion(op.path)

    def _multi(self, request: Request, op: Multi, zxid: int, out: Outcome) -> list[Any]:
        self._before = {}
        try:
            values: list[Any] = []
            for part in op.ops:
                try:
                    values.append(_APPLY[type(part)](self, request, part, zxid, out))
                except ZooKeeperError as error:
                    self._undo()
                    out.nodes, out.events = {}, []
                    done, rest = len(values), len(op.ops) - len(values) - 1
                    raise MultiFailed([*[None] * done, error, *[RuntimeInconsistency()] * rest]) from None
            return values
        finally:
            self._before = None

    def _remember(self, *changing: str) -> None:
        """Inside of a multi: keep what these nodes were before it."""
        if self._before is not None:
            for path in changing:
                if path not in self._before:
                    node = self.nodes.get(path)
                    self._before[path] = None if node is None else node.copy()

    def _undo(self) -> None:
        for path, node in (self._before or {}).items():
            now = self.nodes.pop(path, None)
            if now is not None and now.owner:
                self._disown(now.owner, path)
            if node is not None:
                self.nodes[path] = node
                if node.owner:
                    self.ephemerals.setdefault(node.owner, set()).add(path)

    def _disown(self, owner: int, path: str) -> None:
        held = self.ephemerals.get(owner)
        if held is not None:
            held.discard(path)
            if not held:
                del self.ephemerals[owner]

    def _open_session(self, request: Request, op: OpenSession, zxid: int, out: Outcome) -> SessionRecord:
        record = SessionRecord(request.session, op.timeout, op.password, op.inside)
        self.sessions[record.id] = record
        out.sessions.append(record.id)
        return record

    def _close_session(self, request: Request, op: CloseSession, zxid: int, out: Outcome) -> None:
        del self.sessions[request.session]
        for path in sorted(self.ephemerals.get(request.session, ())):
            self._remove(path, zxid, out)
        out.sessions.append(request.session)

    def _sync(self, request: Request, op: Sync, zxid: int, out: Outcome) -> str:
        return op.path


_APPLY: dict[type, Callable[[Tree, Request, Any, int, Outcome], Any]] = {
    Create: Tree._create,
    Delete: Tree._delete,
    SetData: Tree._set_data,
    SetAcl: Tree._set_acl,
    Check: Tree._check,
    Multi: Tree._multi,
    OpenSession: Tree._open_session,
    CloseSession: Tree._close_session,
    Sync: Tree._sync,
}

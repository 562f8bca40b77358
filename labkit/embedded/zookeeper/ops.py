"""What a client asks for. Plain immutable data, the same for sessions in this process and those on the wire."""

from __future__ import annotations

from typing import NamedTuple


class Id(NamedTuple):
    """Who an access rule is about: ``world:anyone``, ``digest:user:hash``, ``ip:10.0.0.0/8``."""

    scheme: str
    id: str


class Acl(NamedTuple):
    """``perms``: 1 read, 2 write, 4 create, 8 delete, 16 admin."""

    perms: int
    id: Id


ALL = 31
WORLD = Id("world", "anyone")
OPEN_ACL = (Acl(ALL, WORLD),)


class Stat(NamedTuple):
    """What ZooKeeper tells of a node, in the order of the wire. Times are milliseconds since the epoch."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    num_children: int
    pzxid: int


class Event(NamedTuple):
    """What a watch tells, once. ``type`` is one of created, deleted, changed, children."""

    type: str
    path: str


CREATED, DELETED, CHANGED, CHILDREN = "created", "deleted", "changed", "children"


# writes -----------------------------------------------------------------------------------------------------------


class Create(NamedTuple):
    """Make a node. ``ephemeral``: it goes with the session; ``sequence``: ten digits are put behind its name."""

    path: str
    data: bytes = b""
    acl: tuple[Acl, ...] = OPEN_ACL
    ephemeral: bool = False
    sequence: bool = False


class Delete(NamedTuple):
    """Take a node away that has no children. ``version`` -1: whichever it has (so below, too)."""

    path: str
    version: int = -1


class SetData(NamedTuple):
    """Give a node other bytes."""

    path: str
    data: bytes
    version: int = -1


class SetAcl(NamedTuple):
    """Give a node another access list; ``version`` is the list's own (``aversion``)."""

    path: str
    acl: tuple[Acl, ...]
    version: int = -1


class Check(NamedTuple):
    """Do nothing, and be refused if the node has another version: a guard for the rest of a multi."""

    path: str
    version: int


class Multi(NamedTuple):
    """All of these or none, in their order."""

    ops: tuple[Create | Delete | SetData | Check, ...]


class OpenSession(NamedTuple):
    """``timeout`` in milliseconds, negotiated already. ``inside``: for a client in the ensemble's own process."""

    timeout: int
    password: bytes
    inside: bool = False


class CloseSession(NamedTuple):
    """The client leaves: its ephemeral nodes go at once."""


class Sync(NamedTuple):
    """Nothing is written; the answer comes when the member has all that the leader had."""

    path: str


Write = Create | Delete | SetData | SetAcl | Check | Multi | OpenSession | CloseSession | Sync


# reads ------------------------------------------------------------------------------------------------------------


class GetData(NamedTuple):
    """A node's bytes and its :class:`Stat`; ``watch``: tell once of a change or its end."""

    path: str
    watch: bool = False


class Exists(NamedTuple):
    """A node's :class:`Stat` if it is there; ``watch``: tell once when it is made, changed or deleted."""

    path: str
    watch: bool = False


class GetChildren(NamedTuple):
    """The names below a node; ``watch``: tell once when one comes or goes, or the node does."""

    path: str
    watch: bool = False


class GetAcl(NamedTuple):
    """A node's access list and its :class:`Stat`."""

    path: str


class SetWatches(NamedTuple):
    """A client that comes from another member says what it had set there, and up to where it had seen the world."""

    zxid: int
    data: tuple[str, ...]
    exists: tuple[str, ...]
    children: tuple[str, ...]


Read = GetData | Exists | GetChildren | GetAcl | SetWatches
Op = Write | Read
READ = (GetData, Exists, GetChildren, GetAcl, SetWatches)

"""Requests and answers on the wire, a row each: how it is read, and what its answer looks like.

Numbers and fields are those of ``ZooDefs.OpCode`` and ``zookeeper.jute``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from labkit.embedded.zookeeper.errors import BadArguments, MarshallingError, MultiFailed, Unimplemented, ZooKeeperError
from labkit.embedded.zookeeper.ops import (
    CHANGED,
    CHILDREN,
    CREATED,
    DELETED,
    Check,
    CloseSession,
    Create,
    Delete,
    Event,
    Exists,
    GetAcl,
    GetChildren,
    GetData,
    Multi,
    Op,
    SetAcl,
    SetData,
    SetWatches,
    Stat,
    Sync,
)
from labkit.embedded.zookeeper.serving import Hello
from labkit.embedded.zookeeper.wire import jute
from labkit.embedded.zookeeper.wire.jute import Reader

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(1, 10)
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2 = 11, 12, 13, 14, 15
AUTH, SET_WATCHES, CLOSE, ERROR = 100, 101, -11, -1

# Flags of create: 1 ephemeral, 2 sequence, 3 both; a container (4) stays here as any other node. Nodes with a time to
# live (5, 6) are off by default in the real one, too.
_EPHEMERAL, _SEQUENCE, _CONTAINER = 1, 2, 4

EVENTS = {CREATED: 1, DELETED: 2, CHANGED: 3, CHILDREN: 4}


def _create(reader: Reader) -> Create:
    path, data, acl, flags = reader.string(), reader.buffer(), reader.acl(), reader.integer()
    if flags in (5, 6):
        raise Unimplemented(path)
    if not 0 <= flags <= _CONTAINER:
        raise BadArguments(path)
    plain = 0 if flags == _CONTAINER else flags
    return Create(path, data, acl, bool(plain & _EPHEMERAL), bool(plain & _SEQUENCE))


def _multi(reader: Reader) -> Multi:
    ops: list[Any] = []
    while True:
        kind, done, _ = reader.integer(), reader.flag(), reader.integer()
        if done:
            return Multi(tuple(ops))
        if kind not in _PARTS:
            raise MarshallingError
        ops.append(KINDS[kind].read(reader))


def _path_and_stat(value: tuple[str, Stat]) -> bytes:
    return jute.string(value[0]) + jute.stat(value[1])


class Kind(NamedTuple):
    """How the requests of one number are read, and their answers written."""

    read: Callable[[Reader], Op]
    answer: Callable[[Any], bytes]


def _nothing(value: Any) -> bytes:
    return b""


KINDS: dict[int, Kind] = {
    CREATE: Kind(_create, lambda value: jute.string(value[0])),
    CREATE2: Kind(_create, _path_and_stat),
    DELETE: Kind(lambda r: Delete(r.string(), r.integer()), _nothing),
    EXISTS: Kind(lambda r: Exists(r.string(), r.flag()), jute.stat),
    GET_DATA: Kind(lambda r: GetData(r.string(), r.flag()), lambda v: jute.buffer(v[0]) + jute.stat(v[1])),
    SET_DATA: Kind(lambda r: SetData(r.string(), r.buffer(), r.integer()), jute.stat),
    GET_ACL: Kind(lambda r: GetAcl(r.string()), lambda v: jute.acl(v[0]) + jute.stat(v[1])),
    SET_ACL: Kind(lambda r: SetAcl(r.string(), r.acl(), r.integer()), jute.stat),
    GET_CHILDREN: Kind(lambda r: GetChildren(r.string(), r.flag()), lambda v: jute.strings(v[0])),
    GET_CHILDREN2: Kind(lambda r: GetChildren(r.string(), r.flag()), lambda v: jute.strings(v[0]) + jute.stat(v[1])),
    SYNC: Kind(lambda r: Sync(r.string()), jute.string),
    CHECK: Kind(lambda r: Check(r.string(), r.integer()), _nothing),
    MULTI: Kind(_multi, _nothing),
    SET_WATCHES: Kind(lambda r: SetWatches(r.long(), r.strings(), r.strings(), r.strings()), _nothing),
    CLOSE: Kind(lambda r: CloseSession(), _nothing),
}
_PARTS = (CREATE, CREATE2, DELETE, SET_DATA, CHECK)
_PART_KINDS: dict[type, int] = {Create: CREATE, Delete: DELETE, SetData: SET_DATA, Check: CHECK}


def read_hello(data: bytes) -> Hello:
    """The first record of a connection. Raises :class:`MarshallingError`."""
    reader = Reader(data)
    reader.integer()  # the protocol's version, 0 since ever
    return Hello(reader.long(), reader.integer(), reader.long(), reader.buffer())


def welcome(session: int, timeout: int, password: bytes) -> bytes:
    """Its answer; all zero: there is no such session."""
    return jute.integer(0) + jute.integer(timeout) + jute.long(session) + jute.buffer(password) + b"\0"


def reply(number: int, zxid: int, error: int = 0, body: bytes = b"") -> bytes:
    return jute.integer(number) + jute.long(zxid) + jute.integer(error) + body


def event(seen: Event) -> bytes:
    """A watch's word: number -1, the session connected (3)."""
    return reply(-1, -1) + jute.integer(EVENTS[seen.type]) + jute.integer(3) + jute.string(seen.path)


def multi_answer(op: Multi, values: list[Any] | None, error: ZooKeeperError | None) -> bytes:
    """Results part by part, or an error for each: the request as a whole is never refused."""
    parts: list[bytes] = []
    if isinstance(error, MultiFailed):
        for one in error.results:
            code = jute.integer(one.code if one is not None else 0)
            parts.append(jute.integer(ERROR) + b"\0" + code + code)
    else:
        for part, value in zip(op.ops, values or (), strict=True):
            kind = _PART_KINDS[type(part)]
            parts.append(jute.integer(kind) + b"\0" + jute.integer(0) + KINDS[kind].answer(value))
    return b"".join(parts) + jute.integer(-1) + b"\1" + jute.integer(-1)

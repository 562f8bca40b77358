"""Sessions of labkit's own ZooKeeper client on a real ensemble: the same sessions, over TCP.

:class:`labkit.embedded.zookeeper.session.Session` speaks to members that live in its own process. The members here look
the same to it, and write what it asks to a socket in ZooKeeper's protocol.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Fleet
from labkit.embedded.zookeeper import errors
from labkit.embedded.zookeeper.exchange import Exchange
from labkit.embedded.zookeeper.ops import (
    Check,
    CloseSession,
    Create,
    Delete,
    Event,
    Exists,
    GetChildren,
    GetData,
    Multi,
    Op,
    SetData,
    SetWatches,
    Stat,
    Sync,
)
from labkit.embedded.zookeeper.serving import Client, Hello
from labkit.embedded.zookeeper.session import Session
from labkit.embedded.zookeeper.wire import jute, records
from labkit.embedded.zookeeper.wire.jute import Reader

log = logging.getLogger(__name__)

PORT = 2181
_PING, _WATCH = -2, -1  # numbers of what is no answer to a request
_ERRORS: dict[int, type[errors.ZooKeeperError]] = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.ZooKeeperError) and "code" in vars(one)
}
_EVENTS = {number: name for name, number in records.EVENTS.items()}


def _flag(value: bool) -> bytes:
    return b"\1" if value else b"\0"


def _create(op: Create) -> bytes:
    flags = int(op.ephemeral) + 2 * int(op.sequence)
    return jute.string(op.path) + jute.buffer(op.data) + jute.acl(op.acl) + jute.integer(flags)


def _multi(op: Multi) -> bytes:
    parts = [
        jute.integer(_KINDS[type(one)][0]) + b"\0" + jute.integer(-1) + _KINDS[type(one)][1](one) for one in op.ops
    ]
    return b"".join(parts) + jute.integer(-1) + b"\1" + jute.integer(-1)


def _watches(op: SetWatches) -> bytes:
    return jute.long(op.zxid) + b"".join(jute.strings(list(each)) for each in (op.data, op.exists, op.children))


def _stat(reader: Reader) -> Stat:
    i, q = reader.integer, reader.long
    return Stat(q(), q(), q(), q(), i(), i(), i(), q(), i(), i(), q())


def _nothing(reader: Reader) -> None:
    return None


# By kind of request: its number, how it is written, and how its answer is read.
_KINDS: dict[type, tuple[int, Callable[[Any], bytes], Callable[[Reader], Any]]] = {
    Create: (records.CREATE2, _create, lambda r: (r.string(), _stat(r))),
    Delete: (records.DELETE, lambda op: jute.string(op.path) + jute.integer(op.version), _nothing),
    Exists: (records.EXISTS, lambda op: jute.string(op.path) + _flag(op.watch), _stat),
    GetData: (records.GET_DATA, lambda op: jute.string(op.path) + _flag(op.watch), lambda r: (r.buffer(), _stat(r))),
    SetData: (
        records.SET_DATA,
        lambda op: jute.string(op.path) + jute.buffer(op.data) + jute.integer(op.version),
        _stat,
    ),
    GetChildren: (
        records.GET_CHILDREN2,
        lambda op: jute.string(op.path) + _flag(op.watch),
        lambda r: (list(r.strings()), _stat(r)),
    ),
    Sync: (records.SYNC, lambda op: jute.string(op.path), lambda r: r.string()),
    Check: (records.CHECK, lambda op: jute.string(op.path) + jute.integer(op.version), _nothing),
    Multi: (records.MULTI, _multi, lambda r: _multi_answer(r)),
    SetWatches: (records.SET_WATCHES, _watches, _nothing),
    CloseSession: (records.CLOSE, lambda op: b"", _nothing),
}
_BY_NUMBER = {number: read for number, _, read in _KINDS.values()} | {records.CREATE: lambda r: (r.string(), None)}


def _multi_answer(reader: Reader) -> list[Any]:
    values: list[Any] = []
    failed: list[errors.ZooKeeperError | None] = []
    while True:
        kind, done, _ = reader.integer(), reader.flag(), reader.integer()
        if done:
            break
        if kind == records.ERROR:
            code = reader.integer()
            failed.append(_error(code) if code else None)
        else:
            values.append(_BY_NUMBER[kind](reader))
    if any(failed):
        raise errors.MultiFailed(failed)
    return values


def _error(code: int, path: str | None = None) -> errors.ZooKeeperError:
    return _ERRORS.get(code, errors.ZooKeeperError)(path)


class _Wire:
    """One TCP connection, from hello to the end: what a session takes for the member's end of it."""

    def __init__(self, member: Member, client: Client, hello: Hello) -> None:
        self._client = client
        self._hello = hello
        self._asked: dict[int, Op] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._heard = 0.0
        self._silence = hello.timeout * 2 / 3000
        self._over = False
        self._task = asyncio.get_running_loop().create_task(self._run(member.machine))

    # -- as the session sees it

    def request(self, number: int, op: Op) -> None:
        kind, write, _ = _KINDS[type(op)]
        self._asked[number] = op
        self._send(jute.integer(number) + jute.integer(kind) + write(op))

    def ping(self) -> None:
        # The session takes a ping for answered as soon as it is sent, so silence is found out here.
        if self._heard and asyncio.get_running_loop().time() - self._heard > self._silence:
            self._end()
        else:
            self._send(jute.integer(_PING) + jute.integer(records.PING))

    def gone(self) -> None:
        self._over = True
        self._task.cancel()
        self._close()

    # -- the socket

    def _send(self, record: bytes) -> None:
        if self._writer is not None:
            self._writer.write(jute.buffer(record))

    async def _run(self, host: str) -> None:
        try:
            reader, self._writer = await asyncio.open_connection(host, PORT)
            hello = self._hello
            self._send(
                jute.integer(0)
                + jute.long(hello.seen)
                + jute.integer(hello.timeout)
                + jute.long(hello.session)
                + jute.buffer(hello.password)
                + b"\0"
            )
            self._welcome(Reader(await self._record(reader)))
            while not self._over:
                self._take(Reader(await self._record(reader)))
        except (OSError, EOFError, errors.MarshallingError) as error:
            log.info("ZooKeeper at %s: %s", host, error or "it hung up")
            self._end()

    async def _record(self, reader: asyncio.StreamReader) -> bytes:
        size = int.from_bytes(await reader.readexactly(4))
        record = await reader.readexactly(size)
        self._heard = asyncio.get_running_loop().time()
        return record

    def _welcome(self, reader: Reader) -> None:
        reader.integer()
        timeout, session, password = reader.integer(), reader.long(), reader.buffer()
        if not timeout:
            self._over = True
            self._close()
            self._client.unknown()
            return
        self._silence = timeout * 2 / 3000
        self._client.welcomed(session, timeout, password)

    def _take(self, reader: Reader) -> None:
        number, zxid, code = reader.integer(), reader.long(), reader.integer()
        if number == _WATCH:
            kind, _ = reader.integer(), reader.integer()
            if kind in _EVENTS:
                self._client.notified(Event(_EVENTS[kind], reader.string()), max(zxid, 0))
            return
        op = self._asked.pop(number, None)
        if op is None:  # a ping
            return
        error: errors.ZooKeeperError | None = None
        value = None
        try:
            if code:
                raise _error(code, getattr(op, "path", None))
            value = _KINDS[type(op)][2](reader)
        except errors.MarshallingError:
            raise
        except errors.ZooKeeperError as found:
            error = found
        self._client.answered(number, zxid, error, value)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._close()
            self._client.dropped()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


class Member:
    """A real member, by the address of its machine."""

    running = True  # whether it is, is found out by connecting

    def __init__(self, address: str) -> None:
        self.machine = address

    def greet(self, client: Client, hello: Hello, peer: str) -> _Wire:
        return _Wire(self, client, hello)


class RealEnsemble:
    """What masters, agents and Marathons need of an ensemble: sessions, and its connection string."""

    def __init__(self, fleet: Fleet, clock: Clock, addresses: list[str]) -> None:
        self.fleet = fleet
        self.clock = clock
        self.rng = random.Random()
        self.exchange = Exchange(fleet, clock)
        self.members = {address: Member(address) for address in addresses}
        self._connections = 0

    def session(self, machine: str, *, timeout: float = 10.0, private: bool = False) -> Session:
        made = Session(self, machine, timeout)  # type: ignore[arg-type]  # as much of an ensemble as it uses
        made.begin()
        return made

    def hosts(self) -> str:
        return ",".join(f"{address}:{PORT}" for address in self.members)

    def next_connection(self) -> int:
        self._connections += 1
        return self._connections

    def forget(self, session: Session) -> None:
        """It keeps no list of them: a real plug is pulled at the machine."""

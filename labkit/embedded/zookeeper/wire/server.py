"""A member's port 2181: connections that speak the protocol, or say a four-letter word.

The operating system connects whoever comes from outside, so only what the member itself does counts here: without a
quorum it hangs up, without power its sockets close, and while its machine is frozen nothing is read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from labkit.embedded.zookeeper import acls
from labkit.embedded.zookeeper.errors import AuthFailed, MarshallingError, ZooKeeperError
from labkit.embedded.zookeeper.ops import CloseSession, Event, Id, Multi
from labkit.embedded.zookeeper.serving import Connection
from labkit.embedded.zookeeper.wire import jute, records, words

if TYPE_CHECKING:
    from labkit.embedded.zookeeper.member import Member

MAX_RECORD = 0xFFFFF  # jute.maxbuffer: a node's data may be about a megabyte


class Wire(asyncio.Protocol):
    """One TCP connection; the member sees it as a :class:`~labkit.embedded.zookeeper.serving.Client`."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None
        self._welcomed = False
        self._kinds: dict[int, list[tuple[int, Any]]] = {}  # number -> what was asked with it, in order
        self._held: asyncio.Task[None] | None = None
        self._out: list[bytes] = []
        self._peer = ""

    # -- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        self._peer = f"{host}:{port}"
        self._member.wires.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._member.wires.discard(self)
        if self._held is not None:
            self._held.cancel()
        if self._connection is not None:
            self._connection.gone()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._held is None:
            self._read()

    def _read(self) -> None:
        gate = self._member.ensemble.fleet.gate(self._member.machine)
        while self._transport is not None and not self._transport.is_closing():
            if gate.closed:
                self._held = asyncio.get_running_loop().create_task(self._thaw())
                return
            if len(self._buffer) < 4:
                return
            head = bytes(self._buffer[:4])
            if self._connection is None and head.isalpha() and head.islower():
                self._buffer.clear()
                self._say(head.decode())
                return
            size = int.from_bytes(head, signed=True)
            if not 0 <= size <= MAX_RECORD:
                self._transport.close()
                return
            if len(self._buffer) < 4 + size:
                return
            record = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            try:
                self._take(record)
            except MarshallingError:
                self._transport.close()

    async def _thaw(self) -> None:
        await self._member.ensemble.fleet.gate(self._member.machine).wait()
        self._held = None
        self._read()

    def _say(self, word: str) -> None:
        assert self._transport is not None
        answer = words.answer(self._member, word, self._peer)
        if answer is not None:
            self._transport.write(answer.encode())
        self._transport.close()

    def _send(self, record: bytes) -> None:
        """Answers of one turn of the loop go out together."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._write)
        self._out += (jute.integer(len(record)), record)

    def _write(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def hang_up(self) -> None:
        if self._transport is not None:
            self._write()
            self._transport.close()

    # -- requests

    def _take(self, record: bytes) -> None:
        if self._connection is None:
            self._connection = self._member.greet(self, records.read_hello(record), self._peer)
            if self._connection is None:
                self.hang_up()
            return
        if not self._welcomed:  # it may not ask before it is served
            raise MarshallingError
        reader = jute.Reader(record)
        number, kind = reader.integer(), reader.integer()
        connection = self._connection
        if kind == records.PING:
            connection.ping()
            self._send(records.reply(number, self._member.tree.zxid))
        elif kind == records.AUTH:
            self._authenticate(connection, number, reader)
        elif kind not in records.KINDS:
            connection.heard()
            self._send(records.reply(number, self._member.tree.zxid, -6))  # Unimplemented
        else:
            self._ask(connection, number, kind, reader)

    def _ask(self, connection: Connection, number: int, kind: int, reader: jute.Reader) -> None:
        try:
            op = records.KINDS[kind].read(reader)
        except MarshallingError:
            raise
        except ZooKeeperError as error:
            connection.heard()
            self._send(records.reply(number, self._member.tree.zxid, error.code))
            return
        self._kinds.setdefault(number, []).append((kind, op))
        connection.request(number, op)

    def _authenticate(self, connection: Connection, number: int, reader: jute.Reader) -> None:
        reader.integer()
        scheme, secret = reader.string(), reader.buffer()
        connection.heard()
        if scheme == "digest":
            who = Id("digest", acls.digest(secret.decode(errors="replace")))
            connection.auth = tuple(dict.fromkeys((*connection.auth, who)))
        elif scheme not in ("ip", "world"):
            self._send(records.reply(number, self._member.tree.zxid, AuthFailed.code))
            self.hang_up()
            return
        self._send(records.reply(number, self._member.tree.zxid))

    # -- as the member sees it

    def welcomed(self, session: int, timeout: int, password: bytes) -> None:
        self._welcomed = True
        self._send(records.welcome(session, timeout, password))

    def unknown(self) -> None:
        self._send(records.welcome(0, 0, b"\0" * 16))
        self.hang_up()

    def answered(self, number: int, zxid: int, error: ZooKeeperError | None, value: Any) -> None:
        asked = self._kinds[number]
        kind, op = asked.pop(0)
        if not asked:
            del self._kinds[number]
        if isinstance(op, Multi) and (error is None or hasattr(error, "results")):
            self._send(records.reply(number, zxid, 0, records.multi_answer(op, value, error)))
        elif error is not None:
            self._send(records.reply(number, zxid, error.code))
        else:
            self._send(records.reply(number, zxid, 0, records.KINDS[kind].answer(value)))
        if isinstance(op, CloseSession):
            self.hang_up()

    def notified(self, event: Event, zxid: int) -> None:
        self._send(records.event(event))

    def dropped(self) -> None:
        self.hang_up()

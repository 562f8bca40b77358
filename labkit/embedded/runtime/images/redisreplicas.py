"""A redis that follows another: it asks for all data once (``SYNC``), and is told every write from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labkit.embedded.runtime.images.rediscommands import run
from labkit.embedded.runtime.images.redisdata import Database, RedisError, encode
from labkit.embedded.runtime.processes import Process

_CHANGING = (
    "APPEND DECR DECRBY DEL EXPIRE FLUSHALL FLUSHDB GETDEL GETSET HDEL HSET INCR INCRBY LPOP LPUSH MSET PERSIST "
    "PEXPIRE RENAME RPOP RPUSH SADD SET SETEX SETNX SREM UNLINK"
)
WRITES = frozenset(_CHANGING.split())
READ_ONLY = "READONLY You can't write against a read only replica."
RETRY = 1.0  # seconds between two attempts to reach the leader
MAX_UNREAD = 8 * 1024 * 1024  # bytes that wait for a follower before it is let go: it will ask for everything anew
_MAX_COPY = 256 * 1024 * 1024

ReadCommand = Callable[[asyncio.StreamReader], Awaitable["list[bytes] | None"]]


class Followers:
    """Those who follow one server."""

    def __init__(self, data: Database) -> None:
        self._data = data
        self._writers: set[asyncio.StreamWriter] = set()

    def add(self, writer: asyncio.StreamWriter) -> None:
        """Send everything there is; :meth:`tell` sends what comes."""
        copy = self._data.dump()
        writer.write(b"$%d\r\n%s\r\n" % (len(copy), copy))
        self._writers.add(writer)
        self._data.followers = len(self._writers)

    def drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        self._data.followers = len(self._writers)

    def tell(self, database: int, words: list[bytes]) -> None:
        """A write that has just been done."""
        if not self._writers:
            return
        told = encode([b"SELECT", b"%d" % database]) + encode([*words])
        for writer in tuple(self._writers):
            if writer.is_closing() or writer.transport.get_write_buffer_size() > MAX_UNREAD:
                self.drop(writer)
                writer.close()
            else:
                writer.write(told)


async def follow(
    process: Process, data: Database, leader: tuple[str, int], log: Callable[[str], None], read: ReadCommand
) -> None:
    """Be the copy of ``leader`` (host and port) until the process ends."""
    host, port = data.leader = leader
    while True:
        log(f"Connecting to MASTER {host}:{port}")
        try:
            reader, writer = await process.connect(host, port)
        except (OSError, TimeoutError) as error:
            log(f"Unable to connect to MASTER: {getattr(error, 'strerror', None) or error}")
        else:
            log("MASTER <-> REPLICA sync started")
            try:
                await _copy(data, reader, writer, log, read)
            except (OSError, EOFError, ValueError) as error:
                log(f"Connection with master lost. ({error})")
            finally:
                data.linked = False
                writer.close()
        await process.clock.sleep(RETRY)


async def _copy(
    data: Database,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    log: Callable[[str], None],
    read: ReadCommand,
) -> None:
    writer.write(encode([b"SYNC"]))
    head = (await reader.readline()).strip()
    if not head[1:].isdigit() or int(head[1:]) > _MAX_COPY:
        raise ValueError(f"the leader answered {head[:80]!r}")
    copy = (await reader.readexactly(int(head[1:]) + 2))[:-2]
    data.flush(True)
    data.load(copy)
    data.linked = True
    log("MASTER <-> REPLICA sync: Finished with success")
    session = {"db": 0, "auth": 1}
    while words := await read(reader):
        try:
            run(data, session, words[0].decode("utf-8", "replace").upper(), words[1:])
        except RedisError as error:
            log(f"A command of the leader failed here: {error}")
    raise EOFError("Connection reset by peer")

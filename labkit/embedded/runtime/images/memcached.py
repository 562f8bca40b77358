"""``memcached``: the commands of its text protocol that people type, with eviction when its memory is full."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from labkit.embedded.runtime.images.base import MIB, Program
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

MAX_VALUE = 1024 * 1024
_MONTH = 30 * 24 * 3600  # a longer time to live is a point in time


class Memcached(WithShell):
    name = "memcached"
    versions: ClassVar = releases(
        "1.4.39 1.5.22 1.6.8-9 1.6.21-38", variants=("", "-alpine"), also={"": ("-bookworm",)}
    )
    debian = True
    megabytes = 32.0
    memory = 3 * MIB
    entrypoint = ("docker-entrypoint.sh",)
    cmd = ("memcached",)
    ports = ("11211/tcp",)
    user = "memcache"
    own_user = ("memcache", 11211)

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = version.partition("-")[0]
        self.env = {**self.env, "MEMCACHED_VERSION": self.number}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "docker-entrypoint.sh": entrypoint, "memcached": memcached}


async def entrypoint(process: Process) -> int:
    process.args = process.args[1:] or ["memcached"]
    if process.args[0].startswith("-"):
        process.args = ["memcached", *process.args]
    if process.entry is not None:
        process.entry.args = process.args
    return await process.image.program(process.args, process)(process)


async def memcached(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT, say="Signal handled: Terminated.\n")
    image = process.image
    options = dict(zip(process.args[1:], process.args[2:], strict=False))
    port, megabytes = options.get("-p", "11211"), options.get("-m", "64")
    if not (port.isdigit() and 0 < int(port) < 65536 and megabytes.isdigit()):
        process.err("memcached: invalid option\n")
        return 64
    cache = Cache(min(int(megabytes), 64) * MIB, image.number if isinstance(image, Memcached) else "1.6.38")

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(cache, process, reader, writer)

    try:
        await process.listen(int(port), client)
    except OSError as error:
        process.err(f"bind(): {error.strerror}\nfailed to listen on TCP port {port}: {error.strerror}\n")
        return 71
    return await process.forever()


@dataclass(slots=True)
class Item:
    flags: int
    data: bytes
    until: float  # 0: for ever


class Cache:
    """The items of one server; the one not used for the longest goes first when they get too many."""

    def __init__(self, room: int, number: str) -> None:
        self.items: OrderedDict[bytes, Item] = OrderedDict()
        self.room = room
        self.number = number
        self.bytes = 0
        self.counts = dict.fromkeys(("cmd_get", "cmd_set", "get_hits", "get_misses", "evictions"), 0)

    def get(self, key: bytes, now: float) -> Item | None:
        item = self.items.get(key)
        if item is not None and item.until and item.until <= now:
            self.drop(key)
            return None
        if item is not None:
            self.items.move_to_end(key)
        return item

    def put(self, key: bytes, item: Item) -> None:
        self.drop(key)
        self.items[key] = item
        self.bytes += len(key) + len(item.data)
        while self.bytes > self.room:
            self.drop(next(iter(self.items)))
            self.counts["evictions"] += 1

    def drop(self, key: bytes) -> bool:
        item = self.items.pop(key, None)
        if item is not None:
            self.bytes -= len(key) + len(item.data)
        return item is not None


async def converse(cache: Cache, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client until it quits."""
    try:
        while line := await reader.readline():
            words = line.split()
            if words[:1] == [b"quit"]:
                return
            data = b""
            if words and words[0] in _STORING and len(words) >= 5 and words[4].isdigit():
                if int(words[4]) > MAX_VALUE:
                    writer.write(b"SERVER_ERROR object too large for cache\r\n")
                    return
                data = await reader.readexactly(int(words[4]))
                if (await reader.readline()).strip():
                    writer.write(b"CLIENT_ERROR bad data chunk\r\n")
                    continue
            said = respond(cache, words, data, process.clock.time())
            if words[-1:] != [b"noreply"]:
                writer.write(said)
                await writer.drain()
    except (asyncio.IncompleteReadError, ValueError):
        return


_STORING = (b"set", b"add", b"replace", b"append", b"prepend")


def respond(cache: Cache, words: list[bytes], data: bytes, now: float) -> bytes:
    """The answer to one command."""
    name, rest = words[0] if words else b"", words[1:]
    if name in _STORING and len(rest) >= 4 and all(word.lstrip(b"-").isdigit() for word in rest[1:4]):
        return _store(cache, name, rest, data, now)
    if name in (b"get", b"gets") and rest:
        return _read(cache, rest, now)
    if name == b"delete" and rest:
        return b"DELETED\r\n" if cache.get(rest[0], now) and cache.drop(rest[0]) else b"NOT_FOUND\r\n"
    if name in (b"incr", b"decr") and len(rest) >= 2:
        return _count(cache, name, rest, now)
    if name == b"flush_all":
        cache.items.clear()
        cache.bytes = 0
        return b"OK\r\n"
    if name == b"version":
        return f"VERSION {cache.number}\r\n".encode()
    if name == b"stats" and not rest:
        told = {"version": cache.number, "curr_items": len(cache.items), "bytes": cache.bytes, **cache.counts}
        told["limit_maxbytes"] = cache.room
        return "".join(f"STAT {key} {value}\r\n" for key, value in told.items()).encode() + b"END\r\n"
    return b"ERROR\r\n"


def _store(cache: Cache, name: bytes, rest: list[bytes], data: bytes, now: float) -> bytes:
    key, flags, ttl = rest[0], int(rest[1]), int(rest[2])
    if len(key) > 250:
        return b"CLIENT_ERROR line too long\r\n"
    cache.counts["cmd_set"] += 1
    old = cache.get(key, now)
    if (old is None) == (name != b"add") and name != b"set":
        return b"NOT_STORED\r\n"
    if old is not None and name in (b"append", b"prepend"):
        joined = old.data + data if name == b"append" else data + old.data
        if len(joined) > MAX_VALUE:
            return b"SERVER_ERROR object too large for cache\r\n"
        cache.put(key, Item(old.flags, joined, old.until))
    else:
        cache.put(key, Item(flags, data, 0.0 if ttl == 0 else float(ttl) if ttl > _MONTH else now + ttl))
    return b"STORED\r\n"


def _read(cache: Cache, keys: list[bytes], now: float) -> bytes:
    said = b""
    for key in keys:
        item = cache.get(key, now)
        cache.counts["cmd_get"] += 1
        cache.counts["get_misses" if item is None else "get_hits"] += 1
        if item is not None:
            said += b"VALUE %b %d %d\r\n%b\r\n" % (key, item.flags, len(item.data), item.data)
    return said + b"END\r\n"


def _count(cache: Cache, name: bytes, rest: list[bytes], now: float) -> bytes:
    item = cache.get(rest[0], now)
    if item is None:
        return b"NOT_FOUND\r\n"
    if not item.data.isdigit() or not rest[1].isdigit():
        return b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
    by = int(rest[1])
    value = (int(item.data) + by) % 2**64 if name == b"incr" else max(0, int(item.data) - by)
    cache.put(rest[0], Item(item.flags, b"%d" % value, item.until))
    return b"%d\r\n" % value

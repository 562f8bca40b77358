"""Redis's data: pure, no sockets. Keys expire when they are looked at, by the sandbox's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

import orjson

Value = Union[None, int, str, bytes, "RedisError", "list[Value]"]
Stored = Union[bytes, "list[bytes]", "dict[bytes, bytes]", "set[bytes]"]
MAX_KEYS = 100_000
DATABASES = 16


class RedisError(Exception):
    """An error answer; ``str()`` begins with its kind (``ERR``, ``WRONGTYPE``)."""


TYPE_WORDS = "WRONGTYPE Operation against a key holding the wrong kind of value"


def encode(value: Value) -> bytes:
    """A value in RESP2."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, bool | int):
        return b":%d\r\n" % value
    if isinstance(value, RedisError):
        return b"-%s\r\n" % str(value).encode()
    if isinstance(value, str):
        return b"+%s\r\n" % value.encode()
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return b"*%d\r\n" % len(value) + b"".join(encode(item) for item in value)


class Database:
    """All that one server holds. ``grew`` is told how many bytes more (or less) are used."""

    def __init__(
        self,
        now: Callable[[], float],
        number: str,
        port: int,
        options: dict[str, str],
        grew: Callable[[int], None],
    ) -> None:
        self.now = now
        self.number = number
        self.port = port
        self.options = options
        self._grew = grew
        self._data: list[dict[bytes, Stored]] = [{} for _ in range(DATABASES)]
        self._expires: list[dict[bytes, float]] = [{} for _ in range(DATABASES)]
        self.db = 0
        self._started = now()
        self.commands = 0
        self.followers = 0  # how many there are
        self.leader: tuple[str, int] | None = None  # whom it follows
        self.linked = False  # and whether it hears from there

    def size(self) -> int:
        return sum(len(data) for data in self._data)

    # keys -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Stored | None:
        expires = self._expires[self.db]
        if key in expires and expires[key] <= self.now():
            self.drop(key)
        return self._data[self.db].get(key)

    def text(self, key: bytes) -> bytes | None:
        value = self.get(key)
        if value is not None and not isinstance(value, bytes):
            raise RedisError(TYPE_WORDS)
        return value

    def items(self, key: bytes, *, make: bool = False) -> list[bytes]:
        value = self.get(key)
        if value is None:
            value = []
            if make:
                self.put(key, value)
        if not isinstance(value, list):
            raise RedisError(TYPE_WORDS)
        return value

    def hash(self, key: bytes, *, make: bool = False) -> dict[bytes, bytes]:
        value = self.get(key)
        if value is None:
            value = {}
            if make:
                self.put(key, value)
        if not isinstance(value, dict):
            raise RedisError(TYPE_WORDS)
        return value

    def members(self, key: bytes, *, make: bool = False) -> set[bytes]:
        value = self.get(key)
        if value is None:
            value = set()
            if make:
                self.put(key, value)
        if not isinstance(value, set):
            raise RedisError(TYPE_WORDS)
        return value

    def put(self, key: bytes, value: Stored, expires: float | None = None) -> None:
        data = self._data[self.db]
        if key not in data and self.size() >= MAX_KEYS:
            raise RedisError("OOM command not allowed when used memory > 'maxmemory'.")
        self.grow(_weight(value) - (_weight(data[key]) if key in data else -len(key) - 64))
        data[key] = value
        self._expires[self.db].pop(key, None)
        if expires is not None:
            self._expires[self.db][key] = expires

    def grow(self, size: int) -> None:
        self._grew(size)

    def drop(self, key: bytes) -> bool:
        value = self._data[self.db].pop(key, None)
        self._expires[self.db].pop(key, None)
        if value is None:
            return False
        self.grow(-_weight(value) - len(key) - 64)
        return True

    def alive(self) -> list[bytes]:
        return [key for key in list(self._data[self.db]) if self.get(key) is not None]

    def expire(self, key: bytes, seconds: float) -> int:
        if self.get(key) is None:
            return 0
        if seconds <= 0:
            self.drop(key)
        else:
            self._expires[self.db][key] = self.now() + seconds
        return 1

    def left(self, key: bytes) -> float:
        """Seconds that a key has left; -1 for ever, -2 when there is no such key."""
        if self.get(key) is None:
            return -2
        expires = self._expires[self.db].get(key)
        return -1 if expires is None else expires - self.now()

    def persist(self, key: bytes) -> int:
        return int(self.get(key) is not None and self._expires[self.db].pop(key, None) is not None)

    def flush(self, everything: bool) -> str:
        for number in range(DATABASES) if everything else (self.db,):
            self.grow(-sum(_weight(value) + len(key) + 64 for key, value in self._data[number].items()))
            self._data[number].clear()
            self._expires[number].clear()
        return "OK"

    def info(self) -> bytes:
        keys = "".join(
            f"db{number}:keys={len(data)},expires={len(self._expires[number])},avg_ttl=0\r\n"
            for number, data in enumerate(self._data)
            if data
        )
        return (
            f"# Server\r\nredis_version:{self.number}\r\nredis_mode:standalone\r\nos:Linux\r\ntcp_port:{self.port}\r\n"
            f"uptime_in_seconds:{int(self.now() - self._started)}\r\n\r\n# Stats\r\n"
            f"totalcommands_processed:{self.commands}\r\n\r\n"
            f"# Replication\r\n{self._replication()}connected_slaves:{self.followers}\r\n\r\n"
            f"# Keyspace\r\n{keys}"
        ).encode()

    def _replication(self) -> str:
        if self.leader is None:
            return "role:master\r\n"
        host, port = self.leader
        status = "up" if self.linked else "down"
        return f"role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{status}\r\n"

    # on disk --------------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        saved = [
            [number, key.decode("latin-1"), _plain(value), self._expires[number].get(key)]
            for number, data in enumerate(self._data)
            for key, value in data.items()
        ]
        return b"REDIS0011" + orjson.dumps(saved)

    def load(self, data: bytes) -> int:
        """Take over what :meth:`dump` made; ValueError when it is something else. Returns the number of keys."""
        if not data.startswith(b"REDIS0011"):
            raise ValueError("not a dump")
        count = 0
        for number, key, value, expires in orjson.loads(data.removeprefix(b"REDIS0011")):
            self.db = number
            self.put(key.encode("latin-1"), _stored(value), expires)
            count += 1
        return count


def _weight(value: Stored) -> int:
    if isinstance(value, dict):
        return sum(len(k) + len(v) + 32 for k, v in value.items())
    return len(value) if isinstance(value, bytes) else sum(len(item) + 16 for item in value)


def _plain(value: Stored) -> object:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {"hash": {k.decode("latin-1"): v.decode("latin-1") for k, v in value.items()}}
    return {"set" if isinstance(value, set) else "list": [item.decode("latin-1") for item in value]}


def _stored(value: str | dict[str, dict[str, str]] | dict[str, list[str]]) -> Stored:
    if isinstance(value, str):
        return value.encode("latin-1")
    ((kind, inner),) = value.items()
    if isinstance(inner, dict):
        return {k.encode("latin-1"): v.encode("latin-1") for k, v in inner.items()}
    items = [item.encode("latin-1") for item in inner]
    return set(items) if kind == "set" else items

"""Jute, the way in which ZooKeeper writes records: big-endian numbers, and byte strings after their length."""

from __future__ import annotations

import struct

from labkit.embedded.zookeeper.errors import MarshallingError
from labkit.embedded.zookeeper.ops import Acl, Id, Stat

_INT = struct.Struct("!i")
_LONG = struct.Struct("!q")
_STAT = struct.Struct("!qqqqiiiqiiq")


class Reader:
    """Reads a record front to back. Raises :class:`MarshallingError` where it ends too soon."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise MarshallingError
        part = self._data[self._at : end]
        self._at = end
        return part

    def integer(self) -> int:
        value: int = _INT.unpack(self._take(4))[0]
        return value

    def long(self) -> int:
        value: int = _LONG.unpack(self._take(8))[0]
        return value

    def flag(self) -> bool:
        return self._take(1) != b"\0"

    def buffer(self) -> bytes:
        """Bytes; those that are not there (length -1) are empty."""
        size = self.integer()
        return self._take(size) if size != -1 else b""

    def string(self) -> str:
        try:
            return self.buffer().decode()
        except UnicodeDecodeError:
            raise MarshallingError from None

    def strings(self) -> tuple[str, ...]:
        return tuple(self.string() for _ in range(self._count()))

    def acl(self) -> tuple[Acl, ...]:
        return tuple(Acl(self.integer(), Id(self.string(), self.string())) for _ in range(self._count()))

    def _count(self) -> int:
        count = self.integer()
        if count > len(self._data):
            raise MarshallingError
        return max(0, count)


def integer(value: int) -> bytes:
    return _INT.pack(value)


def long(value: int) -> bytes:
    return _LONG.pack(value)


def buffer(value: bytes) -> bytes:
    return _INT.pack(len(value)) + value


def string(value: str) -> bytes:
    return buffer(value.encode())


def strings(values: list[str]) -> bytes:
    return _INT.pack(len(values)) + b"".join(map(string, values))


def stat(value: Stat) -> bytes:
    return _STAT.pack(*value)


def acl(rules: tuple[Acl, ...]) -> bytes:
    parts = (_INT.pack(rule.perms) + string(rule.id.scheme) + string(rule.id.id) for rule in rules)
    return _INT.pack(len(rules)) + b"".join(parts)

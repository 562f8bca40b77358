"""Rows of one host in the sandbox's storage, written together at the end of the event loop's turn.

A thousand containers that are created and started in one go, on however many hosts, are a thousand dirty rows and a few
transactions. Whoever answers a client calls :meth:`Keeper.flush` first, so that what is acknowledged is on disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, cast

import orjson

from labkit.embedded.runtime.nodes import Link, Node
from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]


class Keeper:
    """``kind`` is this host's word (``container``); in the storage it is ``host/<machine>/container``."""

    def __init__(self, storage: Storage, machine: str) -> None:
        self._storage = storage
        self._prefix = f"host/{machine}/"
        self._dirty: dict[tuple[str, str], Callable[[], Json] | None] = {}

    def put(self, kind: str, key: str, make: Callable[[], Json]) -> None:
        """The row has changed; ``make`` tells what it is when it is written."""
        self._storage.soon(self.flush)
        self._dirty[kind, key] = make

    def delete(self, kind: str, key: str) -> None:
        self._storage.soon(self.flush)
        self._dirty[kind, key] = None

    def all(self, kind: str) -> dict[str, Json]:
        """The rows as they were written."""
        return self._storage.all(self._prefix + kind)

    def get(self, kind: str, key: str) -> Json | None:
        """One row as it was written, None if there is none."""
        row: Json | None = self._storage.get(self._prefix + kind, key)
        return row

    def flush(self) -> None:
        """Write what is dirty now."""
        dirty, self._dirty = self._dirty, {}
        if not dirty:
            return
        with self._storage.transaction():
            self._storage.put_all(
                (self._prefix + kind, key, orjson.dumps(make()))
                for (kind, key), make in dirty.items()
                if make is not None
            )
            for (kind, key), make in dirty.items():
                if make is None:
                    self._storage.delete(self._prefix + kind, key)


class KeptLayer(dict[str, "bytes | None"]):
    """A layer of files that says when it has changed (:class:`labkit.embedded.runtime.files.Layer`)."""

    __slots__ = ("_changed",)

    def __init__(self, changed: Callable[[], None], content: Iterable[tuple[str, bytes | None]] = ()) -> None:
        super().__init__(content)
        self._changed = changed

    def __setitem__(self, path: str, data: bytes | None) -> None:
        super().__setitem__(path, data)
        self._changed()

    def __delitem__(self, path: str) -> None:
        super().__delitem__(path)
        self._changed()

    def pop(self, path: str, *default: Any) -> Any:
        value = super().pop(path, *default)
        self._changed()
        return value


class ReadOnlyLayer(MutableMapping[str, "bytes | None"]):
    """A layer that is mounted read-only: it may change, but not through this."""

    __slots__ = ("_layer",)
    readonly = True

    def __init__(self, layer: MutableMapping[str, bytes | None]) -> None:
        self._layer = layer

    @property
    def tmpfs(self) -> bool:
        return bool(getattr(self._layer, "tmpfs", False))

    def __getitem__(self, path: str) -> bytes | None:
        return self._layer[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layer)

    def __len__(self) -> int:
        return len(self._layer)

    def __setitem__(self, path: str, data: bytes | None) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def __delitem__(self, path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


def to_text(layer: dict[str, bytes | None] | None) -> Json:
    """A layer as JSON; Latin-1 carries any byte as one character. What is more than bytes is an object."""
    return {path: _text(data) for path, data in (layer or {}).items()}


def _text(data: bytes | None) -> Any:
    text = None if data is None else data.decode("latin-1")
    if not isinstance(data, Node):
        return text
    kind = "link" if isinstance(data, Link) else "data"
    return {kind: text, "mode": data.mode, "uid": data.uid, "gid": data.gid}


def from_text(row: Json) -> Iterator[tuple[str, bytes | None]]:
    for path, text in row.items():
        if isinstance(text, dict):
            cls, kind = (Link, "link") if "link" in text else (Node, "data")
            yield path, cls(text[kind].encode("latin-1"), text["mode"], text["uid"], text["gid"])
        else:
            yield path, None if text is None else cast(str, text).encode("latin-1")

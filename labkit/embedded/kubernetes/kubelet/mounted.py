"""Parts of volumes as containers mount them, and the directories that they start with."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from labkit.embedded.runtime.files import Layer
from labkit.embedded.runtime.nodes import Node

_OPEN, _STICKY = Node(b"", 0o777), Node(b"", 0o1777)
_GROUP_WRITES = 0o2770  # what fsGroup adds to a directory that may be written


class Memory(dict[str, "bytes | None"]):
    """A tmpfs: it takes room in memory only, which shows in the sizes of its directories."""

    __slots__ = ()
    tmpfs = True


class Below(MutableMapping[str, "bytes | None"]):
    """A directory of a layer as a layer of its own, or a file of it: ``subPath``."""

    __slots__ = ("_layer", "_prefix")

    def __init__(self, layer: Layer, directory: str) -> None:
        self._layer = layer
        self._prefix = f"/{directory.strip('/')}".rstrip("/")

    @property
    def tmpfs(self) -> bool:
        return bool(getattr(self._layer, "tmpfs", False))

    def __getitem__(self, path: str) -> bytes | None:
        return self._layer[self._prefix + path]

    def __setitem__(self, path: str, data: bytes | None) -> None:
        self._layer[self._prefix + path] = data

    def __delitem__(self, path: str) -> None:
        del self._layer[self._prefix + path]

    def __contains__(self, path: object) -> bool:
        return f"{self._prefix}{path}" in self._layer

    def __iter__(self) -> Iterator[str]:
        if self._prefix in self._layer:
            yield ""
        inside = self._prefix + "/"
        yield from (path[len(self._prefix) :] for path in list(self._layer) if path.startswith(inside))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def empty_dir(medium: str, gid: int | None) -> dict[str, bytes | None]:
    """A new ``emptyDir``: anybody may write it; with ``fsGroup`` what is made in it is that group's."""
    root = _STICKY if medium == "Memory" else _OPEN
    if gid is not None:
        root = Node(b"", root.mode | _GROUP_WRITES, 0, gid)
    return Memory({"/": root}) if medium == "Memory" else {"/": root}


def part(layer: Layer, path: str) -> Layer:
    """``subPath`` of a volume that may be written: a directory that is not there is made like the volume's own."""
    made = Below(layer, path)
    root = layer.get("/")
    if root is not None and not any(True for _ in made):
        layer[f"/{path.strip('/')}/"] = root
    return made

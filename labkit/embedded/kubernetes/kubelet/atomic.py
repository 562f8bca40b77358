"""Volumes that the kubelet fills: their files in a directory named after the time, and links that lead there.

``..2026_11_23_10_00_00.1234567890/key`` holds the data, ``..data`` leads to the directory and ``key`` to
``..data/key``. A change is a new directory and one link that is turned, so that a reader sees all of it or nothing
(kubernetes' ``pkg/volume/util/atomic_writer.go``). Links, directories and modes are made up when somebody looks: what
is kept is the data.
"""

from __future__ import annotations

import errno
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass

from labkit.embedded.runtime.files import Layer
from labkit.embedded.runtime.keeper import ReadOnlyLayer
from labkit.embedded.runtime.nodes import DIRECTORY, FILE, Link, Node, node

ROOT = 0o777  # the mode of a volume's own directory; that of a tmpfs is sticky, too
DATA = "..data"
_GROUP_READS, _GROUP_ENTERS = 0o440, 0o2550  # what fsGroup adds to files and to directories


@dataclass(frozen=True, slots=True)
class Made:
    """A file whose content is made when it is read. Equal ones hold the same, or a newer one of the same."""

    make: Callable[[], bytes]
    mode: int = FILE
    uid: int = 0


Payload = Mapping[str, "bytes | Made"]  # by path below the volume, without a leading slash


def directory_name(when: float, salt: str) -> str:
    """As the kubelet names it: the time, and a number that nobody else has taken."""
    return time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime(when)) + str(zlib.crc32(f"{salt}{when}".encode()))


class Atomic(MutableMapping[str, "bytes | None"]):
    """A volume's files as a layer. Nobody in a container may write them."""

    __slots__ = ("_files", "_gid", "_name", "tmpfs")
    readonly = True

    def __init__(self, files: Payload, name: str, *, tmpfs: bool = False, gid: int | None = None) -> None:
        self._files = files
        self._name = name
        self.tmpfs = tmpfs
        self._gid = gid  # the pod's fsGroup

    def publish(self, files: Payload, name: str) -> None:
        """Turn ``..data`` to a new directory, if there is anything new."""
        if files != self._files:
            self._files, self._name = files, name

    @property
    def files(self) -> Payload:
        """The data."""
        return self._files

    @property
    def name(self) -> str:
        """The directory that holds the data now."""
        return self._name

    # as a layer -----------------------------------------------------------------------------------------------

    def _entry(self, path: str) -> bytes | Made | None:
        top, slash, rest = path[1:].partition("/")
        if not path:
            return None
        if path == "/":
            return self._directory(ROOT | (0o1000 if self.tmpfs else 0))
        if top == self.name:
            if slash and (not rest or rest.endswith("/")):
                return self._directory(DIRECTORY) if rest in _directories(self.files) else None
            return self.files.get(rest) if slash else None
        if slash or not top:
            return None
        if top == DATA:
            return self._link(self.name)
        return self._link(f"{DATA}/{top}") if any(_top(file) == top for file in self.files) else None

    def _directory(self, mode: int) -> Node:
        return Node(b"", mode) if self._gid is None else Node(b"", mode | _GROUP_ENTERS, 0, self._gid)

    def _link(self, target: str) -> Link:
        return Link(target.encode(), gid=self._gid or 0)

    def _file(self, found: bytes | Made) -> bytes:
        if isinstance(found, Link) or (isinstance(found, bytes) and self._gid is None):
            return found
        if isinstance(found, Made):
            data, mode, uid = found.make(), found.mode, found.uid
        else:
            data, mode, uid = found, found.mode if isinstance(found, Node) else FILE, 0
        return node(data, mode if self._gid is None else mode | _GROUP_READS, uid, self._gid or 0)

    def __getitem__(self, path: str) -> bytes:
        found = self._entry(path)
        if found is None:
            raise KeyError(path)
        return found if path.endswith("/") and isinstance(found, bytes) else self._file(found)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._entry(path) is not None

    def __iter__(self) -> Iterator[str]:
        files, name = self.files, self.name
        yield "/"
        yield f"/{DATA}"
        for directory in _directories(files):
            yield f"/{name}/{directory}"
        for file in files:
            yield f"/{name}/{file}"
        for top in dict.fromkeys(map(_top, files)):
            yield f"/{top}"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __setitem__(self, path: str, data: bytes | None) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def __delitem__(self, path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    # subPath --------------------------------------------------------------------------------------------------

    def at(self, path: str) -> Layer:
        """A file or directory of it as a mount of its own.

        The kubelet follows the links when the container starts: what is mounted stays as it is then. Where nothing is,
        it makes a directory.
        """
        path = path.strip("/").removeprefix(f"{DATA}/")
        files = self.files
        if path in files:
            return ReadOnlyLayer({"": self._file(files[path])})
        found: dict[str, bytes | None] = {"/": self._directory(DIRECTORY)}
        for name, file in files.items():
            if name.startswith(f"{path}/"):
                found[name[len(path) :]] = self._file(file)
        return ReadOnlyLayer(found)


def _top(path: str) -> str:
    return path.partition("/")[0]


def _directories(files: Payload) -> dict[str, None]:
    """The directories of the data, each with a slash at its end; the data's own is the empty one."""
    found = {"": None}
    for path in files:
        at = path.find("/")
        while at >= 0:
            found[path[: at + 1]] = None
            at = path.find("/", at + 1)
    return found

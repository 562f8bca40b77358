"""The file system of a container, in memory: the image's files below, the container's own layer above.

Paths are absolute strings. A directory exists when something is in it, or as an entry ``"/path/"``; in the layer,
``None`` hides a file of the image that was removed. Nothing here ever touches the computer's own files.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, MutableMapping

MAX_BYTES = 16 * 1024 * 1024  # of one container's own layer; a real one would fill the disk
MAX_FILES = 10_000

Layer = MutableMapping[str, "bytes | None"]


class Files:
    """A container's view of its files. ``layer`` is changed in place, so whoever keeps it keeps the container's data.

    ``virtual(path)`` answers for files that are made up when they are read (``/proc``); ``mounts`` lays other layers
    over directories (volumes): their keys are paths below the mount point, with a leading slash.
    """

    __slots__ = ("base", "layer", "mounts", "readonly", "virtual")

    def __init__(
        self,
        layer: Layer | None = None,
        base: Mapping[str, bytes] | None = None,
        *,
        mounts: Mapping[str, Layer] | None = None,
        virtual: Callable[[str], bytes | None] | None = None,
        readonly: bool = False,
    ) -> None:
        self.layer: Layer = {} if layer is None else layer
        self.base: Mapping[str, bytes] = {} if base is None else base
        self.mounts = dict(mounts or {})
        self.virtual = virtual
        self.readonly = readonly

    # looking --------------------------------------------------------------------------------------------------

    def _get(self, path: str) -> bytes | None:
        layer, key = self._layer_of(path)
        if key in layer:
            return layer[key]
        if layer is not self.layer:
            return None
        found = self.base.get(path)
        return self.virtual(path) if found is None and self.virtual is not None else found

    def _layer_of(self, path: str) -> tuple[Layer, str]:
        for point, layer in self.mounts.items():
            if path.startswith(point + "/"):
                return layer, path[len(point) :]
        return self.layer, path

    def paths(self) -> Iterator[str]:
        """Every entry there is, directories that are entries of their own with a trailing slash."""
        for path in self.base:
            if path not in self.layer:
                yield path
        for path, data in list(self.layer.items()):
            if data is not None:
                yield path
        for point, layer in self.mounts.items():
            yield point + "/"
            for path in list(layer):  # without a look at the data, which may be made only when it is read
                yield point + path

    def isfile(self, path: str) -> bool:
        return self._get(normal(path)) is not None

    def isdir(self, path: str) -> bool:
        path = normal(path)
        inside = path.rstrip("/") + "/"
        return path in _DIRECTORIES or any(entry.startswith(inside) for entry in self.paths())

    def exists(self, path: str) -> bool:
        return self.isfile(path) or self.isdir(path)

    def read(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError or IsADirectoryError."""
        path = normal(path)
        data = self._get(path)
        if data is None:
            raise _error(errno.EISDIR if self.isdir(path) else errno.ENOENT, path)
        return data

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted; FileNotFoundError or NotADirectoryError."""
        path = normal(path)
        if not self.isdir(path):
            raise _error(errno.ENOTDIR if self.isfile(path) else errno.ENOENT, path)
        inside = path.rstrip("/") + "/"
        names = {entry[len(inside) :].split("/", 1)[0] for entry in self.paths() if entry.startswith(inside)}
        if path == "/":
            names.update(directory[1:] for directory in _DIRECTORIES if directory.count("/") == 1)
        return sorted(names - {""})

    def tree(self, path: str) -> list[str]:
        """All files and directories below (and with) ``path``, parents first."""
        found = [path]
        if self.isdir(path):
            for name in self.listdir(path):
                found += self.tree(posixpath.join(path, name))
        return found

    def glob(self, pattern: str, cwd: str) -> list[str]:
        """The paths that match a shell pattern, in order; names that begin with a dot only when asked for."""
        found = ["/" if pattern.startswith("/") else ""]
        for part in [part for part in pattern.split("/") if part]:
            step: list[str] = []
            for start in found:
                if any(char in part for char in "*?["):
                    here = normal(start or ".", cwd)
                    names = self.listdir(here) if self.isdir(here) else []
                    step += [
                        start + name
                        for name in names
                        if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
                    ]
                elif self.exists(normal(start + part, cwd)):
                    step.append(start + part)
            found = [path + "/" for path in step]
        return [path.rstrip("/") for path in found if path.strip("/")]

    # changing -------------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        """Make or replace a file (or add to it); its directory must be there, and there must be room."""
        path = normal(path)
        if self.isdir(path):
            raise _error(errno.EISDIR, path)
        if not self.isdir(posixpath.dirname(path)):
            raise _error(errno.ENOTDIR if self.isfile(posixpath.dirname(path)) else errno.ENOENT, path)
        layer, key = self._writable(path)
        if append:
            data = (self._get(path) or b"") + data
        others = sum(len(value) for name, value in layer.items() if value and name != key)
        if others + len(data) > MAX_BYTES or len(layer) >= MAX_FILES:
            raise _error(errno.ENOSPC, path)
        layer[key] = data

    def mkdir(self, path: str, *, parents: bool = False) -> None:
        path = normal(path)
        if self.exists(path):
            if parents and self.isdir(path):
                return
            raise _error(errno.EEXIST, path)
        parent = posixpath.dirname(path)
        if not self.isdir(parent):
            if not parents:
                raise _error(errno.ENOENT, path)
            self.mkdir(parent, parents=True)
        layer, key = self._writable(path)
        if len(layer) >= MAX_FILES:
            raise _error(errno.ENOSPC, path)
        layer[key + "/"] = b""

    def remove(self, path: str) -> None:
        """Remove a file, or a directory with all that is in it."""
        path = normal(path)
        if not self.exists(path):
            raise _error(errno.ENOENT, path)
        if path in _DIRECTORIES or path in self.mounts:
            raise _error(errno.EBUSY, path)
        for entry in [e for e in self.paths() if e.rstrip("/") == path or e.startswith(path + "/")]:
            layer, key = self._writable(entry)
            if layer is self.layer and entry in self.base:
                layer[key] = None
            else:
                layer.pop(key, None)
        parent = posixpath.dirname(path)
        if not self.isdir(parent):  # it was only there because of what was in it
            layer, key = self._writable(parent)
            layer[key.rstrip("/") + "/"] = b""

    def _writable(self, path: str) -> tuple[Layer, str]:
        layer, key = self._layer_of(path)
        if layer is self.layer and (self.readonly or path.startswith(("/proc/", "/sys/"))):
            raise _error(errno.EROFS, path)
        return layer, key


_TOP = ("bin", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr")
_DIRECTORIES = frozenset(("/", "/usr/bin", "/usr/sbin", *(f"/{name}" for name in (*_TOP, "var"))))


def normal(path: str, cwd: str = "/") -> str:
    """The absolute path without ``.``, ``..`` and doubled slashes."""
    path = posixpath.normpath(posixpath.join(cwd, path))
    return path[1:] if path.startswith("//") else path


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)

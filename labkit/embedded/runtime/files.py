"""The file system of a container, in memory: the image's files below, the container's own layer above.

Paths are absolute strings. A directory exists when something is in it, or as an entry ``"/path/"``; in the layer,
``None`` hides a file of the image that was removed. A file is bytes; one with a mode or an owner of its own, and a
symbolic link, are a :class:`~labkit.embedded.runtime.nodes.Node`. Nothing here ever touches the computer's own files.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, MutableMapping

from labkit.embedded.runtime.nodes import DIRECTORY, FILE, Link, Node, Status, like, node

MAX_BYTES = 16 * 1024 * 1024  # of one container's own layer; a real one would fill the disk
MAX_FILES = 10_000
MAX_LINKS = 40  # symbolic links on the way to one file, as Linux has it
MAX_PATH = 4096  # characters

Layer = MutableMapping[str, "bytes | None"]


class Files:
    """A container's view of its files. ``layer`` is changed in place, so whoever keeps it keeps the container's data.

    ``virtual(path)`` answers for files that are made up when they are read (``/proc``); ``mounts`` lays other layers
    over directories (volumes): their keys are paths below the mount point, with a leading slash. The key ``"/"`` is
    the mount point's own directory; a layer that has the key ``""`` is a single file, mounted over another.
    A layer may say that it is ``readonly``, and that it is ``tmpfs``.
    """

    __slots__ = ("base", "layer", "mounts", "readonly", "virtual")
    owner: tuple[int, int] = (0, 0)  # of what is made: user and group

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
            if path.startswith(point) and path[len(point) : len(point) + 1] in ("/", ""):
                return layer, path[len(point) :]
        return self.layer, path

    def _kept(self, path: str) -> bytes | None:
        """What the layers have under a name: a link as itself, a directory if it ends with a slash."""
        layer, key = self._layer_of(path)
        found = layer.get(key)
        return self.base.get(path) if found is None and layer is self.layer and key not in layer else found

    def entry(self, path: str) -> bytes | None:
        """What is kept under a name, as it is: a link itself, of a directory (``/etc/``) its own entry, if any."""
        found = self._kept(path)
        return self._get(path) if found is None else found

    def forget(self, path: str) -> None:
        """Keep nothing under a name any more: a file of the image is hidden."""
        layer, key = self.place(path)
        if layer is self.layer and path in self.base:
            layer[key] = None
        else:
            layer.pop(key, None)

    def below(self, directory: str) -> Iterator[str]:
        """Every entry in a directory, however deep; directories that are entries of their own end with a slash.

        What is mounted hides what was there.
        """
        inside = directory.rstrip("/") + "/"
        layer, _ = self._layer_of(directory)
        if layer is self.layer:
            for path in self.base:
                if path.startswith(inside) and path not in layer:
                    yield path
            for path, data in layer.items():
                if data is not None and path.startswith(inside):
                    yield path
        for point, mounted in self.mounts.items():
            if point.startswith(inside):
                yield point if "" in mounted else f"{point}/"
                yield from (point + path for path in mounted if path)  # without a look at what may be made only then
            elif mounted is layer and inside.startswith(f"{point}/"):
                if point == directory and "" not in mounted:
                    yield inside
                yield from (point + path for path in mounted if (point + path).startswith(inside))

    def real(self, path: str, *, last: bool = True) -> str:
        """Where a path leads when its symbolic links are followed; its last name only with ``last``.

        OSError when they lead in a circle, or for too long. Nothing need be there.
        """
        path, hops, at = normal(path), 0, 1
        while True:
            if len(path) > MAX_PATH:
                raise failure(errno.ENAMETOOLONG, path)
            end = path.find("/", at)
            if end < 0 and not last:
                return path
            here = path if end < 0 else path[:end]
            found = self._kept(here)
            if isinstance(found, Link):
                hops += 1
                if hops > MAX_LINKS:
                    raise failure(errno.ELOOP, path)
                path, at = normal(found.target + path[len(here) :], posixpath.dirname(here)), 1
            elif end < 0:
                return path
            else:
                at = end + 1

    def _found(self, path: str) -> str:
        """As :meth:`real`; of a circle nothing is found."""
        try:
            return self.real(path)
        except OSError:
            return ""

    def readlink(self, path: str) -> str | None:
        """Where a symbolic link says that it leads, None when it is none."""
        try:
            found = self._kept(self.real(path, last=False))
        except OSError:
            return None
        return found.target if isinstance(found, Link) else None

    def isfile(self, path: str) -> bool:
        path = self._found(path)
        return bool(path) and self._get(path) is not None

    def isdir(self, path: str) -> bool:
        path = self._found(path)
        return path in DIRECTORIES or (bool(path) and any(True for _ in self.below(path)))

    def exists(self, path: str) -> bool:
        return self.isfile(path) or self.isdir(path)

    def lexists(self, path: str) -> bool:
        """Also a link that leads nowhere is something."""
        return self.readlink(path) is not None or self.exists(path)

    def read(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError or IsADirectoryError."""
        data = self._get(self.real(path))
        if data is None:
            raise failure(errno.EISDIR if self.isdir(path) else errno.ENOENT, path)
        return data

    def status(self, path: str, *, follow: bool = True) -> Status:
        """What there is to know of a file or directory, of a link itself without ``follow``; FileNotFoundError."""
        path = self.real(path, last=follow)
        data = self._kept(path)
        if isinstance(data, Link):
            return Status("link", data.mode, data.uid, data.gid, len(data), data.target)
        data = self._get(path) if data is None else data
        if data is None:
            return self._directory(path)
        blocks = -(-len(data) // 4096) * 4
        if isinstance(data, Node):
            return Status("file", data.mode, data.uid, data.gid, len(data), blocks=blocks)
        return Status("file", FILE, size=len(data), blocks=blocks)

    def _directory(self, path: str) -> Status:
        if not self.isdir(path):
            raise failure(errno.ENOENT, path)
        mode, uid, gid = self._marks(path)
        in_memory = getattr(self._layer_of(path)[0], "tmpfs", False)
        size, blocks = (20 * (2 + len(self.listdir(path))), 0) if in_memory else (4096, 4)
        return Status("directory", mode, uid, gid, size, blocks=blocks)

    def _marks(self, directory: str) -> tuple[int, int, int]:
        """Mode and owner of a directory, if it is one."""
        entry = self._kept(directory.rstrip("/") + "/")
        if isinstance(entry, Node):
            return entry.mode, entry.uid, entry.gid
        return _MODES.get(directory, DIRECTORY), 0, 0

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted; FileNotFoundError or NotADirectoryError."""
        path = self.real(path)
        if not self.isdir(path):
            raise failure(errno.ENOTDIR if self.isfile(path) else errno.ENOENT, path)
        cut = len(path.rstrip("/")) + 1
        names = {entry[cut:].split("/", 1)[0] for entry in self.below(path)}
        if path == "/":
            names.update(directory[1:] for directory in DIRECTORIES if directory.count("/") == 1)
        return sorted(names - {""})

    def folders(self, path: str) -> int:
        """How many directories are in a directory."""
        path = self.real(path)
        cut = len(path.rstrip("/")) + 1
        found = {entry[cut:].split("/", 1)[0] for entry in self.below(path) if "/" in entry[cut:]}
        if path == "/":
            found.update(directory[1:] for directory in DIRECTORIES if directory.count("/") == 1)
        return len(found - {""})

    def tree(self, path: str) -> list[str]:
        """All files and directories below (and with) ``path``, parents first. Links are not followed."""
        found, pending = [], [path]
        while pending:
            path = pending.pop()
            found.append(path)
            if self.readlink(path) is None and self.isdir(path):
                pending += [posixpath.join(path, name) for name in reversed(self.listdir(path))]
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
                elif self.lexists(normal(start + part, cwd)):
                    step.append(start + part)
            found = [path + "/" for path in step]
        return [path.rstrip("/") for path in found if path.strip("/")]

    # changing -------------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        """Make or replace a file (or add to it); its directory must be there, and there must be room."""
        path = self.real(path)
        if self.isdir(path):
            raise failure(errno.EISDIR, path)
        self._need_directory(posixpath.dirname(path), path)
        layer, key = self.place(path)
        old = self._get(path)
        data = (old or b"") + data if append else data
        self._put(layer, key, self._new(data, path) if old is None else like(old, data), path)

    def mkdir(self, path: str, *, parents: bool = False) -> None:
        path = self.real(path, last=False)
        if self.lexists(path):
            if parents and self.isdir(path):
                return
            raise failure(errno.EEXIST, path)
        parent = posixpath.dirname(path)
        if not self.isdir(parent):
            if not parents:
                raise failure(errno.ENOENT, path)
            self.mkdir(parent, parents=True)
        layer, key = self.place(path)
        self._put(layer, f"{key}/", self._new(b"", path, DIRECTORY), path)

    def symlink(self, target: str, path: str) -> None:
        """Make a symbolic link; where it leads nobody asks."""
        path = self.real(path, last=False)
        if self.lexists(path):
            raise failure(errno.EEXIST, path)
        self._need_directory(posixpath.dirname(path), path)
        if len(target) >= MAX_PATH:
            raise failure(errno.ENAMETOOLONG, path)
        layer, key = self.place(path)
        self._put(layer, key, self._new(Link(target.encode("utf-8", "surrogateescape")), path), path)

    def change(
        self, path: str, mode: int | None = None, uid: int | None = None, gid: int | None = None, *, follow: bool = True
    ) -> None:
        """``chmod`` and ``chown``: what is given is changed."""
        path = self.real(path, last=follow)
        now = self.status(path, follow=False)
        mode = now.mode if mode is None else mode
        uid, gid = now.uid if uid is None else uid, now.gid if gid is None else gid
        layer, key = self.place(path)
        if now.kind == "link":
            layer[key] = Link(now.target.encode("utf-8", "surrogateescape"), mode, uid, gid)
        elif now.kind == "directory":
            layer[key.rstrip("/") + "/"] = Node(b"", mode, uid, gid)
        else:
            layer[key] = node(self._get(path) or b"", mode, uid, gid)

    def remove(self, path: str) -> None:
        """Remove a file, a link (not what it leads to), or a directory with all that is in it."""
        path = self.real(path, last=False)
        if not self.lexists(path):
            raise failure(errno.ENOENT, path)
        busy = path in DIRECTORIES or path in self.mounts
        if busy:
            raise failure(errno.EBUSY, path)
        for entry in [path, *self.below(path)]:
            layer, key = self.place(entry)
            if key in ("", "/") and layer is not self.layer:
                busy = True
            else:
                self.forget(entry)
        if busy:  # something is mounted in it
            raise failure(errno.EBUSY, path)
        parent = posixpath.dirname(path)
        if not self.isdir(parent):  # it was only there because of what was in it
            layer, key = self.place(parent)
            layer[key.rstrip("/") + "/"] = b""

    def check_write(self, path: str) -> None:
        """OSError when a file that is there may not be written."""
        if self.frozen(path):
            raise failure(errno.EROFS, path)

    def check_removal(self, path: str) -> None:
        """OSError when something that is there may not be taken from its directory."""

    def enter(self, path: str) -> None:
        """OSError when one may not go to a directory."""
        self.real(path)

    def frozen(self, path: str) -> bool:
        """Is it on a file system that is mounted read-only?"""
        try:
            self.place(self.real(path))
        except OSError as error:
            return error.errno == errno.EROFS
        return False

    def _need_directory(self, directory: str, path: str) -> None:
        if not self.isdir(directory):
            raise failure(errno.ENOTDIR if self.isfile(directory) else errno.ENOENT, path)

    def _new(self, data: bytes, path: str, mode: int = FILE) -> bytes:
        """What is made belongs to who makes it; in a setgid directory to its group, and directories pass that on."""
        uid, gid = self.owner
        above, _, group = self._marks(posixpath.dirname(path))
        if above & 0o2000:
            gid, mode = group, mode | 0o2000 if mode == DIRECTORY else mode
        if isinstance(data, Link):
            return Link(data, uid=uid, gid=gid)
        if mode == DIRECTORY and not uid and not gid:
            return data
        return node(data, mode, uid, gid)

    def _put(self, layer: Layer, key: str, data: bytes, path: str) -> None:
        others = sum(len(value) for name, value in layer.items() if value and name != key)
        if others + len(data) > MAX_BYTES or len(layer) >= MAX_FILES:
            raise failure(errno.ENOSPC, path)
        layer[key] = data

    def place(self, path: str) -> tuple[Layer, str]:
        """The layer that keeps what is under a name, and the name there; OSError when nobody may change it."""
        layer, key = self._layer_of(path)
        if layer is self.layer and (self.readonly or path.startswith(("/proc/", "/sys/"))):
            raise failure(errno.EROFS, path)
        if getattr(layer, "readonly", False):
            raise failure(errno.EROFS, path)
        return layer, key


_TOP = ("bin", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr")
DIRECTORIES = frozenset(("/", "/usr/bin", "/usr/sbin", *(f"/{name}" for name in (*_TOP, "var"))))

_MODES = {"/proc": 0o555, "/root": 0o700, "/sys": 0o555, "/tmp": 0o1777, "/var/tmp": 0o1777}


def normal(path: str, cwd: str = "/") -> str:
    """The absolute path without ``.``, ``..`` and doubled slashes."""
    path = posixpath.normpath(posixpath.join(cwd, path))
    return path[1:] if path.startswith("//") else path


def failure(number: int, path: str) -> OSError:
    """What the kernel says of a path."""
    return OSError(number, os.strerror(number), path)

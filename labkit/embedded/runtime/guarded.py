"""A container's files as somebody sees them who is not root: modes keep out, and what is made has an owner."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable, Iterator

from labkit.embedded.runtime.files import Files, Layer, failure
from labkit.embedded.runtime.nodes import EXECUTE, READ, WRITE, Status, allows
from labkit.embedded.runtime.users import Identity

_STICKY = 0o1000


class Guarded(Files):
    """``files``, for one identity. The layers are the same ones."""

    __slots__ = ("_files", "_groups", "owner")

    def __init__(self, files: Files, who: Identity) -> None:
        super().__init__(files.layer, files.base, virtual=files.virtual, readonly=files.readonly)
        self.mounts = files.mounts
        self.owner = who.uid, who.gid
        self._groups = (who.gid, *who.groups)
        self._files = files  # as root sees them

    def _layer_of(self, path: str) -> tuple[Layer, str]:
        return self._files._layer_of(path)

    def below(self, directory: str) -> Iterator[str]:
        return self._files.below(directory)

    def real(self, path: str, *, last: bool = True) -> str:
        """Also PermissionError for a directory on the way that one may not go through."""
        found = super().real(path, last=last)
        above = posixpath.dirname(found)
        while above != "/":
            self._need_directory_bit(above, EXECUTE, path)
            above = posixpath.dirname(above)
        return found

    def enter(self, path: str) -> None:
        self._need_directory_bit(self.real(path), EXECUTE, path)

    def read(self, path: str) -> bytes:
        path = self.real(path)
        if self.isfile(path):
            self._need(path, READ, path)
        return super().read(path)

    def listdir(self, path: str) -> list[str]:
        path = self.real(path)
        if self.isdir(path):
            self._need_directory_bit(path, READ, path)
        return super().listdir(path)

    def check_write(self, path: str) -> None:
        super().check_write(path)
        self._need(self.real(path), WRITE, path)

    def change(
        self, path: str, mode: int | None = None, uid: int | None = None, gid: int | None = None, *, follow: bool = True
    ) -> None:
        now = self.status(path, follow=follow)
        given_away = uid not in (None, now.uid) or (gid not in (None, now.gid) and gid not in self._groups)
        if self.owner[0] and (given_away or self.owner[0] != now.uid):
            raise failure(errno.EPERM, path)
        super().change(path, mode, uid, gid, follow=follow)

    def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        path = self.real(path)
        if self.isfile(path) and not path.startswith("/dev/"):
            self._need(path, WRITE, path)
            super().write(path, data, append=append)
        else:
            self._make(path, lambda: super(Guarded, self).write(path, data, append=append))

    def mkdir(self, path: str, *, parents: bool = False) -> None:
        if parents and self.isdir(path):
            return
        if parents and not self.isdir(posixpath.dirname(path)):
            self.mkdir(posixpath.dirname(path), parents=True)
        self._make(path, lambda: super(Guarded, self).mkdir(path))

    def symlink(self, target: str, path: str) -> None:
        self._make(path, lambda: super(Guarded, self).symlink(target, path))

    def remove(self, path: str) -> None:
        place = self.real(path, last=False)
        if self.lexists(place) and place not in self.mounts:
            self.check_removal(place)
        super().remove(path)

    def _make(self, path: str, make: Callable[[], None]) -> None:
        """Something new in a directory; what is wrong with the place itself is told first."""
        place = self.real(path, last=False)
        folder = posixpath.dirname(place)
        if self.isdir(folder) and not self.lexists(place) and not place.startswith("/dev/") and not self.frozen(place):
            self._need_directory_bit(folder, WRITE, path)
        make()

    def check_removal(self, path: str) -> None:
        """The directory must be one's own to change; in a sticky one, the file must be one's own too."""
        for entry in self._files.tree(self.real(path, last=False)):
            folder = posixpath.dirname(entry)
            if self.frozen(entry):
                return  # that is told instead
            self._need_directory_bit(folder, WRITE, entry)
            mode, uid, _ = self._marks(folder)
            if mode & _STICKY and self.owner[0] not in (0, uid, self._files.status(entry, follow=False).uid):
                raise failure(errno.EPERM, entry)

    def _need_directory_bit(self, path: str, bit: int, named: str) -> None:
        """As :meth:`_need`, for what is known to be a directory if it is there at all."""
        if not allows(Status("directory", *self._marks(path)), self.owner[0], self._groups, bit):
            raise failure(errno.EACCES, named)

    def _need(self, path: str, bit: int, named: str) -> None:
        if self._files.exists(path) and not allows(self._files.status(path), self.owner[0], self._groups, bit):
            raise failure(errno.EACCES, named)

"""``docker cp``: a container's files as a tar archive, and a tar archive as a container's files.

Both go between the request and the container's file system in memory; no file of this computer is touched.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from typing import TYPE_CHECKING

from labkit.embedded.runtime.files import MAX_BYTES, Files, normal
from labkit.embedded.swarm.errors import ApiError, BadRequest, NotFound
from labkit.embedded.swarm.objects import Json

from .container import Container
from .wording import rfc3339nano

if TYPE_CHECKING:
    from .host import Host

_KINDS = {"directory": 1 << 31, "link": 1 << 27, "file": 0}  # Go's os.ModeDir, os.ModeSymlink


def files_of(host: Host, container: Container) -> Files:
    """The container's files as root sees them, whether it runs or not."""
    if container.process is not None:
        return container.process.ns.files
    found = host.launcher.files(container)
    image = host.images.by_id(container.image_id)
    found.base = image.files if image is not None else {}
    return found


def _missing(path: str, reference: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {reference}")


def stat(host: Host, container: Container, path: str, reference: str) -> Json:
    """``X-Docker-Container-Path-Stat``. Raises :class:`NotFound`."""
    files, place = files_of(host, container), normal(path or "/")
    if not files.lexists(place):
        raise _missing(path, reference)
    status = files.status(place, follow=False)
    return {
        "name": posixpath.basename(place) or "/",
        "size": status.size,
        "mode": _KINDS[status.kind] | status.mode & 0o777,
        "mtime": rfc3339nano(float(int(container.created))),
        "linkTarget": files.real(place) if status.kind == "link" else "",
    }


def pack(host: Host, container: Container, path: str, reference: str) -> bytes:
    """A file, or a directory with all that is in it, under its own name (``path/.`` packs only what is in it)."""
    files, place = files_of(host, container), normal(path or "/")
    if not files.lexists(place):
        raise _missing(path, reference)
    if path.endswith("/."):
        place = files.real(place)
    root = "." if path.endswith("/.") or place == "/" else posixpath.basename(place)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry in files.tree(place):
            member = tarfile.TarInfo(posixpath.normpath(posixpath.join(root, posixpath.relpath(entry, place))))
            member.mtime = int(container.created)
            status = files.status(entry, follow=False)
            member.mode, member.uid, member.gid = status.mode, status.uid, status.gid
            if status.kind == "directory":
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif status.kind == "link":
                member.type, member.linkname = tarfile.SYMTYPE, status.target
                tar.addfile(member)
            else:
                data = files.read(entry)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def unpack(host: Host, container: Container, path: str, reference: str, data: bytes) -> None:
    """Put the files of a tar archive (compressed or not) into a directory.

    Raises :class:`NotFound`, :class:`BadRequest` (not a directory, read-only, no archive), :class:`ApiError` when the
    container has no room. Hard links are left out: the file systems of the embedded engine have none.
    """
    files, place = files_of(host, container), normal(path or "/")
    if not files.exists(place):
        raise _missing(path, reference)
    if not files.isdir(place):
        raise BadRequest("extraction point is not a directory")
    _check_writable(container, place)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
            for member in tar:
                _extract(files, tar, member, place)
    except (tarfile.TarError, EOFError) as error:
        raise BadRequest(f"Error processing tar file(exit status 1): {error}") from None
    except OSError as error:
        raise ApiError(f"Error processing tar file(exit status 1): {error.strerror or error}") from None
    host.containers.log(container, "extract-to-dir")


def _extract(files: Files, tar: tarfile.TarFile, member: tarfile.TarInfo, place: str) -> None:
    target = normal(posixpath.join("/", member.name))  # ".." ends at the directory's own root
    target = posixpath.normpath(place + target)
    if member.isdir():
        files.mkdir(target, parents=True)
    elif member.isfile():
        if member.size > MAX_BYTES:
            raise OSError(28, "no space left on device")
        source = tar.extractfile(member)
        files.mkdir(posixpath.dirname(target), parents=True)
        files.write(target, source.read(MAX_BYTES + 1) if source is not None else b"")
        files.change(target, member.mode & 0o7777)
    elif member.issym():
        files.mkdir(posixpath.dirname(target), parents=True)
        if files.lexists(target):
            files.remove(target)
        files.symlink(member.linkname, target)


def _check_writable(container: Container, place: str) -> None:
    for mount in container.mounts:
        if place == mount.destination or place.startswith(mount.destination + "/"):
            if not mount.rw:
                raise BadRequest("mounted volume is marked read-only")
            return
    if container.host.get("ReadonlyRootfs"):
        raise BadRequest("container rootfs is marked read-only")

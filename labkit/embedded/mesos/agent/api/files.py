"""``/files``: sandboxes over HTTP, a page at a time (``src/files/files.cpp``).

A sandbox is found by its path on disk, or as ``/frameworks/FRAMEWORK/executors/TASK/runs/latest``. Nothing outside of
a sandbox is shown, whatever links a task has made. The output of a container is no file here but the runtime's log,
and looks like one.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat as stat_words
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.agent.records import Run

if TYPE_CHECKING:
    from labkit.embedded.mesos.agent.agent import Agent

Json = dict[str, Any]

PAGE = 4096
MAX_READ = 16 * PAGE  # of one answer
STREAMS = ("stdout", "stderr")


class FilesError(Exception):
    """It cannot be shown; ``status`` and ``str()`` are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to: a place on disk, or bytes that are no file."""

    path: str  # as it was asked for
    real: str = ""
    data: bytes | None = None
    listing: tuple[str, ...] | None = None  # of a sandbox without a folder
    run: Run | None = None


def find(agent: Agent, path: str) -> Found:
    """Where a path leads. Raises :class:`FilesError`."""
    if "\0" in path:
        raise FilesError(400, "Failed to resolve path: invalid argument.\n")
    path = path.rstrip("/")
    for run, root in _roots(agent):
        if path != root and not path.startswith(f"{root}/"):
            continue
        rest = path[len(root) :].strip("/")
        if run.executor is not None and run.kind == "image" and rest in STREAMS:
            data = run.executor.work.output(rest)
            if data is not None:
                return Found(path, data=data, run=run)
        base = os.path.realpath(run.directory)
        real = os.path.realpath(os.path.join(base, rest))
        if real != base and not real.startswith(f"{base}/"):
            raise FilesError(404, f"Resolved path '{real}' is outside of the sandbox.\n")
        if run.kind == "image" and not rest:
            return Found(path, real=real if os.path.isdir(real) else "", listing=STREAMS, run=run)
        if os.path.exists(real):
            return Found(path, real=real, run=run)
    raise FilesError(404, f"Failed to find '{path}'.\n" if path else "Expecting 'path=value' in query.\n")


def _roots(agent: Agent) -> Iterator[tuple[Run, str]]:
    """The paths by which each sandbox is known, the newest runs first."""
    for framework in (*agent.frameworks.values(), *agent.completed.values()):
        for run in (*framework.runs.values(), *reversed(framework.completed)):
            if run.directory:
                yield run, run.directory
                yield run, f"{os.path.dirname(run.directory)}/latest"
                yield run, f"/frameworks/{run.framework_id}/executors/{run.task_id}/runs/{run.container_id}"
                yield run, f"/frameworks/{run.framework_id}/executors/{run.task_id}/runs/latest"


def browse(agent: Agent, path: str) -> list[Json]:
    """What is in a folder: FileInfos in the old form."""
    found = find(agent, path)
    entries: dict[str, Json] = {}
    if found.listing is not None and found.run is not None and found.run.executor is not None:
        for name in found.listing:
            data = found.run.executor.work.output(name) or b""
            mtime = found.run.statuses[-1]["timestamp"] if found.run.statuses else found.run.launched
            entries[name] = _made_up(f"{found.path}/{name}", len(data), mtime)
    if found.data is not None or (found.real and not os.path.isdir(found.real)):
        raise FilesError(400, "Cannot browse a file.\n")
    if found.real:
        for name in os.listdir(found.real):
            try:
                entries[name] = info(f"{found.path}/{name}", os.lstat(os.path.join(found.real, name)))
            except OSError:
                continue  # gone meanwhile
    return [entries[name] for name in sorted(entries)]


def info(path: str, seen: os.stat_result) -> Json:
    """A file as ``ls -l`` would show it."""
    return {
        "gid": _name(grp.getgrgid, seen.st_gid),
        "mode": stat_words.filemode(seen.st_mode),
        "mtime": seen.st_mtime,
        "nlink": seen.st_nlink,
        "path": path,
        "size": seen.st_size,
        "uid": _name(pwd.getpwuid, seen.st_uid),
    }


def _made_up(path: str, size: int, mtime: float) -> Json:
    user = _name(pwd.getpwuid, os.getuid())
    group = _name(grp.getgrgid, os.getgid())
    return {
        "gid": group, "mode": "-rw-r--r--", "mtime": mtime or time.time(), "nlink": 1, "path": path, "size": size,
        "uid": user,
    }  # fmt: skip


def _name(look: Any, number: int) -> str:
    try:
        return str(look(number)[0])
    except KeyError:
        return str(number)


def read(agent: Agent, path: str, offset: int, length: int | None) -> tuple[bytes, int, int]:
    """Bytes from ``offset`` on (-1: none), the offset they begin at, and the file's size."""
    if offset < -1:
        raise FilesError(400, f"Negative offset provided: {offset}.\n")
    if length is not None and length < -1:
        raise FilesError(400, f"Negative length provided: {length}.\n")
    found = find(agent, path)
    if found.data is not None:
        size = len(found.data)
    elif not found.real or os.path.isdir(found.real):
        raise FilesError(400, "Cannot read a directory.\n")
    elif not os.path.isfile(found.real):
        raise FilesError(400, "Cannot read what is no regular file.\n")
    else:
        size = os.path.getsize(found.real)
    if offset == -1 or offset >= size:
        return b"", size if offset == -1 else offset, size
    wanted = size - offset if length is None or length == -1 else length
    wanted = min(wanted, MAX_READ)
    if found.data is not None:
        return found.data[offset : offset + wanted], offset, size
    with open(found.real, "rb") as file:
        file.seek(offset)
        return file.read(wanted), offset, size


def whole(agent: Agent, path: str) -> tuple[str, bytes | str]:
    """For a download: the file's name, and its bytes or where it is."""
    found = find(agent, path)
    name = os.path.basename(found.path)
    if found.data is not None:
        return name, found.data
    if not found.real or not os.path.isfile(found.real):
        raise FilesError(400, "Cannot download a directory.\n")
    return name, found.real


def debug(agent: Agent) -> dict[str, str]:
    """Which paths lead where."""
    return {root: run.directory for run, root in _roots(agent)}

"""Containers in a process namespace that is not their own: another's (``kubectl debug --target``), or their pod's
(``shareProcessNamespace``).

They have images, files and memory of their own, and see and signal each other's processes. When the first process of a
process namespace ends, the kernel ends all that are in it: a guest ends with its host. A pod's own namespace begins
with the sandbox's ``pause``, which stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Protocol

from labkit.embedded.kubernetes.kubelet.containers import Inside
from labkit.embedded.runtime import signals
from labkit.embedded.runtime.files import DIRECTORIES, Files, Layer
from labkit.embedded.runtime.namespaces import MAX_PROCESSES, Entry
from labkit.embedded.runtime.processes import Process


class Host(Protocol):
    """Whose process namespace it is."""

    table: dict[int, Entry]

    def take_pid(self) -> int: ...


class Pause:
    """The process namespace that a pod's containers share."""

    __slots__ = ("_next_pid", "table")

    def __init__(self, now: float) -> None:
        self._next_pid = 2
        self.table = {1: Entry(1, 0, ["/pause"], now, lambda signal: None)}

    def take_pid(self) -> int:
        self._next_pid += 1
        return self._next_pid - 1


class Root(MutableMapping[str, "bytes | None"]):
    """Another container's files as a layer: what is changed in it is changed there, if it may be.

    A link in it that begins with a slash leads out of it, to one's own files, as it does for real. Every file can be
    asked for; those that are counted are of the container's own layer, as its room is.
    """

    __slots__ = ("_files",)

    def __init__(self, files: Files) -> None:
        self._files = files

    def __getitem__(self, key: str) -> bytes | None:
        if key in self._files.layer:
            return self._files.layer[key]
        found = self._files.entry(key)
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, data: bytes | None) -> None:
        layer, key = self._files.place(key)
        layer[key] = data

    def __delitem__(self, key: str) -> None:
        self._files.forget(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._files.entry(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._files.layer))

    def __len__(self) -> int:
        return len(self._files.layer)


class GuestFiles(Files):
    """Its files; those of the host's processes are below ``/proc/PID/root``, where one has to look on purpose."""

    __slots__ = ("host",)

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.host: Host | None = None

    def _behind(self, path: str) -> tuple[Files, str] | None:
        """Whose file that is, and what it is called there; None for an own one."""
        if not path.startswith("/proc/") or self.host is None:
            return None
        pid, root, rest = path.removeprefix("/proc/").partition("/root")
        entry = self.host.table.get(int(pid)) if root and pid.isdigit() and rest[:1] in ("", "/") else None
        if entry is None or entry.process is None or entry.process.ns.files is self:
            return None
        return entry.process.ns.files, rest or "/"

    def _layer_of(self, path: str) -> tuple[Layer, str]:
        found = self._behind(path)
        return super()._layer_of(path) if found is None else (Root(found[0]), found[1])

    def below(self, directory: str) -> Iterator[str]:
        found = self._behind(directory)
        if found is None:
            yield from super().below(directory)
            return
        files, there = found
        before, inside = directory.removesuffix(there.rstrip("/")), there.rstrip("/") + "/"
        for folder in DIRECTORIES:  # they are there without an entry of their own
            if f"{folder}/".startswith(inside):
                yield f"{before}{folder.rstrip('/')}/"
        for path in files.below(there):
            yield before + path


class Guest(Inside):
    """Its namespaces, of which the process table is the host's."""

    __slots__ = ("_own", "host")

    def join(self, host: Host) -> None:
        """Before the first process starts."""
        self.host: Host = host.host if isinstance(host, Guest) else host
        self.table = self.host.table
        self._own: dict[int, Entry] = {}
        if isinstance(self.files, GuestFiles):
            self.files.host = host

    def take_pid(self) -> int:
        return self.host.take_pid()

    def spare(self, count: int) -> None:
        if len(self._own) + self.forks + count > (self.limits.pids or MAX_PROCESSES):
            raise BlockingIOError("Resource temporarily unavailable")

    def enter(
        self, args: list[str], kill: Callable[[int], object], ppid: int = 0, process: Process | None = None
    ) -> Entry:
        entry = super().enter(args, kill, ppid, process)
        self._own[entry.pid] = entry
        return entry

    def leave(self, entry: Entry) -> None:
        super().leave(entry)
        self._own.pop(entry.pid, None)

    def end(self) -> None:
        """Its own processes end; the host's are none of its business."""
        for entry in tuple(self._own.values()):
            entry.kill(signals.SIGKILL)
            self.leave(entry)
        self.table = {}
        super().end()

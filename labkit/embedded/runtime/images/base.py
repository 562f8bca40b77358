"""What an image is: metadata as in a registry, and programs as Python coroutines."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.images.reference import DOCKER_IO
from labkit.embedded.runtime.nodes import Node

if TYPE_CHECKING:
    from labkit.embedded.runtime.processes import Process

Program = Callable[["Process"], Awaitable[int]]

PROGRAM = 0o755  # the mode of what can be run
_ELF = Node(b"\x7fELF", PROGRAM)
MIB = 1024 * 1024
SECOND = 1_000_000_000  # nanoseconds, the unit of a health check's times


class Image:
    """One version of an image. A family of versions is a subclass; :class:`Catalogue` makes an instance for each.

    Class attributes say what the Dockerfile would; an instance has ``version`` and the made-up rest.
    """

    name: ClassVar[str] = ""
    versions: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # version -> its tags
    megabytes: ClassVar[float] = 8.0
    memory: ClassVar[int] = 4 * MIB  # what its main process usually takes
    idle_cpu: ClassVar[float] = 0.0002  # of one processor, when there is nothing to do

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    ports: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    stop_signal: str = ""
    labels: Mapping[str, str] = {}
    volumes: tuple[str, ...] = ()
    gnu: bool = False  # its ``ls`` is GNU's, and not busybox's
    healthcheck: Mapping[str, Any] | None = None  # as in the API: Test, Interval, Timeout, StartPeriod, Retries

    def __init__(self, version: str) -> None:
        self.version = version
        self.tags = self.versions[version]
        self.tag = self.tags[0]
        seed = f"{self.name}:{version}"
        self.id = f"sha256:{_hash('config', seed)}"
        self.digest = f"sha256:{_hash('manifest', seed)}"
        self.layers = tuple(f"sha256:{_hash(f'layer {n}', seed)}" for n in range(1 + int(self.megabytes > 10) * 3))
        wobble = int(_hash("size", seed)[:4], 16) / 0xFFFF
        self.size = int(self.megabytes * 1_000_000 * (0.97 + 0.06 * wobble))  # bytes
        self.created = 1_735_689_600.0 + int(_hash("date", seed)[:6], 16)  # some day of the half year from 2025-01-01
        self._programs: dict[str, Program] | None = None
        self._files: Mapping[str, bytes] | None = None

    # what a family says ---------------------------------------------------------------------------------------

    def programs(self) -> dict[str, Program]:
        """Its programs: by absolute path, or by the bare name for those that are in ``$PATH``."""
        return {}

    def contents(self) -> dict[str, bytes]:
        """Files that programs and people may look at."""
        return {}

    # what the engine asks -------------------------------------------------------------------------------------

    @property
    def repository(self) -> str:
        """``docker.io/library/nginx``; images of other registries have theirs in their name."""
        first = self.name.partition("/")[0]
        if "." in first and first != self.name:
            return self.name
        return f"{DOCKER_IO}/{self.name if '/' in self.name else f'library/{self.name}'}"

    @property
    def repo_tags(self) -> list[str]:
        return [f"{self.name}:{tag}" for tag in self.tags]

    @property
    def repo_digest(self) -> str:
        return f"{self.name}@{self.digest}"

    @property
    def files(self) -> Mapping[str, bytes]:
        """The files below a container's own; shared by all containers of the image."""
        if self._files is None:
            programs = {path: _ELF for name in self._table() if (path := self.path_of(name))}
            scripts = {path: Node(data, PROGRAM) for path, data in self.contents().items() if path in programs}
            self._files = {**programs, **self.contents(), **scripts}
        return self._files

    def _table(self) -> dict[str, Program]:
        if self._programs is None:
            self._programs = self.programs()
        return self._programs

    def path_of(self, name: str) -> str:
        """Where a program lies: ``/bin/sh`` for ``sh``; empty when there is none of that name."""
        if name.startswith("/"):
            return name if name in self._table() else ""
        return posixpath.join(_directory_of(name), name) if name in self._table() else ""

    def program(self, args: list[str], process: Process) -> Program:
        """The program that ``args`` starts, or ``ExecutableNotFound`` in the words of runc."""
        name = args[0] if args else ""
        found = self.lookup(name)
        if found is not None:
            return found
        if "/" in name:
            if process.files.isdir(name):
                raise ExecutableNotFound(name, "is a directory", 126)
            if process.files.readlink(name) is not None and (found := self.lookup(process.files.real(name))):
                return found
            script = self.script(name, process)
            if script is not None:
                return script
        raise ExecutableNotFound(name)

    def lookup(self, name: str) -> Program | None:
        """The program called ``name`` or lying at that path."""
        table = self._table()
        if name in table:
            return table[name]
        directory, _, base = name.rpartition("/")
        if directory in _PATHS and base in table:
            return table[base]
        return None

    def script(self, path: str, process: Process) -> Program | None:
        """A shell script that somebody wrote into the container, if there is a shell to run it."""
        return None

    async def main(self, process: Process) -> int:
        """Run what ``process.args`` says; returns the exit code."""
        return await self.program(process.args, process)(process)

    def __repr__(self) -> str:
        return f"<Image {self.name}:{self.tag}>"


_PATHS = frozenset(("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"))


def _directory_of(name: str) -> str:
    from labkit.embedded.runtime.shell import DIRECTORIES

    return DIRECTORIES.get(name, "/usr/local/bin")


@cache
def _hash(kind: str, seed: str) -> str:
    return hashlib.sha256(f"labkit {kind} {seed}".encode()).hexdigest()

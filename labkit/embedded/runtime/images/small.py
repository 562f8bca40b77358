"""``busybox`` and ``alpine``: a shell and its tools."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell import shell_programs

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"


class WithShell(Image):
    """An image that has busybox inside, or something that looks like it. Scripts in its files can be run."""

    def programs(self) -> dict[str, Program]:
        return dict(shell_programs())

    def contents(self) -> dict[str, bytes]:
        return {"/etc/passwd": PASSWD, "/etc/group": b"root:x:0:\nnobody:x:65534:\n"}

    def script(self, path: str, process: Process) -> Program | None:
        from labkit.embedded.runtime.files import normal

        if not process.files.isfile(normal(path, process.cwd)):
            return None
        shell = self.lookup("sh")

        async def run(process: Process) -> int:
            assert shell is not None
            process.args = ["sh", *process.args]
            return await shell(process)

        return run


class Busybox(WithShell):
    name = "busybox"
    versions: ClassVar = {
        "1.35.0": ("1.35", "1.35.0"),
        "1.36.1": ("1.36", "1.36.1", "stable", "1.36-glibc"),
        "1.37.0": ("1.37", "1.37.0", "latest", "glibc", "unstable", "1"),
        "1.37.0-musl": ("musl", "1.37-musl", "1.37.0-musl", "1.36-musl", "1.35-musl"),
    }
    megabytes = 4.3
    memory = 1024 * 1024
    cmd = ("sh",)


class Alpine(WithShell):
    name = "alpine"
    versions: ClassVar = {
        "3.18.12": ("3.18", "3.18.12"),
        "3.19.7": ("3.19", "3.19.7"),
        "3.20.6": ("3.20", "3.20.6"),
        "3.21.3": ("3.21", "3.21.3"),
        "3.22.0": ("3.22", "3.22.0", "3", "latest"),
    }
    megabytes = 8.3
    memory = 1024 * 1024
    cmd = ("/bin/sh",)

    def contents(self) -> dict[str, bytes]:
        release = (
            f'NAME="Alpine Linux"\nID=alpine\nVERSION_ID={self.version}\n'
            f'PRETTY_NAME="Alpine Linux v{self.version.rpartition(".")[0]}"\n'
        )
        return {
            **super().contents(),
            "/etc/alpine-release": f"{self.version}\n".encode(),
            "/etc/os-release": release.encode(),
        }

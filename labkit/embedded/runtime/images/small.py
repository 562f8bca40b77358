"""``busybox`` and ``alpine``: a shell and its tools."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.images.releases import releases
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
    versions: ClassVar = releases(
        "1.27.2 1.28.4 1.29.3 1.30.1 1.31.1 1.32.1 1.33.1 1.34.1 1.35.0 1.36.0-1 1.37.0",
        variants=("", "-musl"),
        also={"": ("-glibc", "-uclibc")},
        pinned={"stable": "1.37.0", "unstable": "1.37.0"},
    )
    megabytes = 4.3
    memory = 1024 * 1024
    cmd = ("sh",)


class Alpine(WithShell):
    name = "alpine"
    versions: ClassVar = releases(
        "3.1.4 3.2.3 3.3.3 3.4.6 3.5.3 3.6.5 3.7.3 3.8.5 3.9.6 3.10.9 3.11.13 3.12.12 3.13.12 3.14.0-10 3.15.0-11 "
        "3.16.0-9 3.17.0-10 3.18.0-12 3.19.0-7 3.20.0-6 3.21.0-3 3.22.0"
    )
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

"""``busybox`` and ``alpine``: a shell and its tools."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.images import osrelease
from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.nodes import EXECUTE, allows
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell import shell_programs

# name -> uid, gid, home, shell; the groups are called as their users.
_USERS = {
    "root": (0, 0, "/root", "/bin/sh"),
    "bin": (1, 1, "/bin", "/sbin/nologin"),
    "daemon": (2, 2, "/sbin", "/sbin/nologin"),
    "mail": (8, 12, "/var/mail", "/sbin/nologin"),
    "www-data": (33, 33, "/var/www", "/sbin/nologin"),
    "guest": (405, 100, "/dev/null", "/sbin/nologin"),
    "nobody": (65534, 65534, "/", "/sbin/nologin"),
}


class WithShell(Image):
    """An image that has busybox inside, or something that looks like it. Scripts in its files can be run."""

    own_user: tuple[str, int] | None = None  # a user that the image adds, for its program
    debian: ClassVar[bool] = False  # what is not called alpine is made on Debian, and so has bash

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.gnu = self.debian and "alpine" not in version

    def programs(self) -> dict[str, Program]:
        programs = shell_programs()
        return {**programs, "bash": programs["sh"]} if self.gnu else dict(programs)

    def contents(self) -> dict[str, bytes]:
        users = dict(_USERS)
        if self.own_user is not None:
            users[self.own_user[0]] = (self.own_user[1], self.own_user[1], "/nonexistent", "/sbin/nologin")
        passwd = "".join(f"{name}:x:{u}:{g}:{name}:{home}:{shell}\n" for name, (u, g, home, shell) in users.items())
        group = "".join(f"{'users' if name == 'guest' else name}:x:{row[1]}:\n" for name, row in users.items())
        return {"/etc/passwd": passwd.encode(), "/etc/group": group.encode(), **self._release()}

    def _release(self) -> dict[str, bytes]:
        if not self.debian:
            return {}
        return osrelease.alpine(osrelease.ALPINE) if "alpine" in self.version else osrelease.debian(*osrelease.DEBIAN)

    def script(self, path: str, process: Process) -> Program | None:
        from labkit.embedded.runtime.files import normal

        file = normal(path, process.cwd)
        if not process.files.isfile(file):
            return None
        who = process.identity
        if not allows(process.files.status(file), who.uid, (who.gid, *who.groups), EXECUTE):
            raise ExecutableNotFound(path, "permission denied", 126)
        shell = self.lookup("sh")

        async def run(process: Process) -> int:
            assert shell is not None
            process.args = ["sh", *process.args]
            return await shell(process)

        return run


class Busybox(WithShell):
    name = "busybox"
    versions: ClassVar = releases(
        "1.24.2 1.25.1 1.26.2 1.27.2 1.28.4 1.29.3 1.30.1 1.31.1 1.32.1 1.33.1 1.34.1 1.35.0 1.36.0-1 1.37.0",
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
        return {**super().contents(), **osrelease.alpine(self.version)}

"""Linux distributions, and ``nicolaka/netshoot``: a shell to look around with.

As the real ones, ``ubuntu`` and ``debian`` come without ping, wget or nslookup. Package managers have nothing to
fetch here: an image that has the tool is the way.
"""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.runtime.images import osrelease
from labkit.embedded.runtime.images.base import Program
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.shell import shell_programs
from labkit.embedded.runtime.shell.curl import curl_program
from labkit.embedded.runtime.shell.dig import dig_program

# Busybox's tools that a bare Debian does not have; it has GNU's or nothing.
_NOT_IN_DEBIAN = frozenset(
    ("ash", "busybox", "httpd", "ifconfig", "ip", "nc", "netstat", "nslookup", "ping", "traceroute", "vi", "wget")
)


class _Debian(WithShell):
    """What Debian and Ubuntu have in common."""

    debian = True
    cmd = ("bash",)
    memory = 1024 * 1024
    names: ClassVar[dict[str, str]]

    def programs(self) -> dict[str, Program]:
        programs = {name: program for name, program in shell_programs().items() if name not in _NOT_IN_DEBIAN}
        return {**programs, "bash": programs["sh"]}


class Ubuntu(_Debian):
    name = "ubuntu"
    names: ClassVar = {
        "14.04": "trusty",
        "16.04": "xenial",
        "18.04": "bionic",
        "20.04": "focal",
        "22.04": "jammy",
        "24.04": "noble",
    }
    versions: ClassVar = {
        version: (version, name, *(("latest",) if version == "24.04" else ())) for version, name in names.items()
    }
    megabytes = 78.0
    cmd = ("/bin/bash",)

    def contents(self) -> dict[str, bytes]:
        return {**super().contents(), **osrelease.ubuntu(self.version, self.names[self.version])}


class Debian(_Debian):
    name = "debian"
    names: ClassVar = {"10": "buster", "11": "bullseye", "12": "bookworm"}
    versions: ClassVar = {
        version: (version, name, f"{name}-slim", f"{version}-slim", *(("latest", "stable") if version == "12" else ()))
        for version, name in names.items()
    }
    megabytes = 117.0

    def contents(self) -> dict[str, bytes]:
        return {**super().contents(), **osrelease.debian(self.version, self.names[self.version])}


class Netshoot(WithShell):
    """Tools for looking into networks."""

    name = "nicolaka/netshoot"
    versions: ClassVar = {
        f"v0.{minor}": (f"v0.{minor}", *(("latest",) if minor == 13 else ())) for minor in (11, 12, 13)
    }
    megabytes = 488.0
    cmd = ("zsh",)

    def programs(self) -> dict[str, Program]:
        programs = super().programs()
        return {
            **programs,
            **dict.fromkeys(("bash", "zsh"), programs["sh"]),
            **dict.fromkeys(("dig", "drill"), dig_program),
            "curl": curl_program,
        }

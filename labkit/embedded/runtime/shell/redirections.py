"""Redirections: files, other descriptors, here-documents, and the special files of ``/dev`` and ``/proc``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.embedded.runtime.files import normal
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.context import FileSink, special_source
from labkit.embedded.runtime.shell.jumps import ShellError
from labkit.embedded.runtime.shell.syntax import Redirect
from labkit.embedded.runtime.streams import Bytes, Sink, Source, Tap

if TYPE_CHECKING:
    from labkit.embedded.runtime.shell.interpreter import Shell

Streams = dict[int, Any]  # file descriptor -> Source or Sink


class OpenFailed(Exception):
    """A redirection to or from something that cannot be opened; in the words of busybox."""


async def redirected(shell: Shell, redirects: list[Redirect]) -> Streams:
    """The file descriptors with these redirections. :class:`OpenFailed`, ``ShellError`` for a bad descriptor."""
    streams = dict(shell.streams)
    for redirect in redirects:
        target = await shell.expander.text(redirect.target)
        if redirect.operator in ("<<", "<<-"):
            streams[redirect.fd] = Bytes(target.encode("utf-8", "surrogateescape"))
        elif redirect.operator in (">&", "<&"):
            if target == "-":
                streams[redirect.fd] = Bytes() if redirect.operator == "<&" else Tap(_nowhere)
            elif not target.isdigit() or int(target) not in streams:
                raise ShellError(f"{target}: Bad file descriptor")
            else:
                streams[redirect.fd] = streams[int(target)]
        else:
            try:
                streams[redirect.fd] = _open(shell, target, redirect.operator, streams)
            except OSError as error:
                reading = redirect.operator == "<"
                verb, missing = ("open", "no such file") if reading else ("create", "nonexistent directory")
                words = missing if isinstance(error, FileNotFoundError) else error.strerror
                raise OpenFailed(f"can't {verb} {target}: {words}") from None
    return streams


def _open(shell: Shell, name: str, operator: str, streams: Streams) -> Source | Sink:
    path = shell.process.files.real(normal(name, shell.state.cwd))
    if operator == "<":
        return special_source(path, streams[0]) or Bytes(shell.process.files.read(path))
    if path in ("/dev/null", "/dev/zero", "/dev/full"):
        return Tap(_nowhere)
    if path in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/tty"):
        return streams[1]
    if path in ("/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"):
        return streams[2]
    main = shell.process.ns.main
    if path in ("/proc/1/fd/1", "/proc/1/fd/2") and main is not None:  # how scripts write to `docker logs`
        return main.stdout if path.endswith("1") else main.stderr
    return FileSink(shell.process.files, path, operator == ">>")


def own_streams(process: Process) -> list[tuple[int, Any]]:
    return [(0, process.stdin), (1, process.stdout), (2, process.stderr)]


def _nowhere(data: bytes) -> None:
    pass

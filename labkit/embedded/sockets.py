"""Unix sockets that belong to one person: in a folder of mode 0700, themselves 0600, replaced when stale."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

from aiohttp import web

MAX_PATH = 107  # bytes: sun_path of Linux without its zero
BACKLOG = 128
MAX_HEADER = 1024 * 1024  # as Go's net/http: a registry's credentials travel in a header
KEEP_ALIVE = 3600.0  # seconds; clients keep connections for as long as they like


class SocketError(Exception):
    """The socket cannot be made; the message says why, in one line."""


def prepare_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter. Raises SocketError if it is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise SocketError(f"{folder} belongs to another user")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def bind(path: Path) -> socket.socket:
    """A listening socket at ``path``. A stale one of a process that is gone is replaced.

    Raises:
        SocketError: the path is too long, or somebody answers there.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise SocketError(
            f"{path} is too long for a unix socket ({len(os.fsencode(path))} bytes, {MAX_PATH} are allowed): "
            "choose a shorter name or run folder"
        )
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)  # the mode must be right from the first moment
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise SocketError(f"cannot make the socket {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    return sock


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise SocketError(f"somebody listens on {path} already")


class HttpSocket:
    """An HTTP server on a unix socket that can go away (the machine lost its power) and come back."""

    def __init__(self, runner: web.AppRunner, path: Path) -> None:
        self._runner = runner
        self.path = path
        self._server: asyncio.Server | None = None

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self) -> None:
        """Listen. Raises SocketError."""
        if self._server is None:
            assert self._runner.server is not None
            self._server = await asyncio.get_running_loop().create_unix_server(
                self._runner.server, sock=bind(self.path), backlog=BACKLOG
            )

    def close(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.path.unlink(missing_ok=True)
        self.abort_connections()

    def abort_connections(self) -> None:
        """Reset every connection that came through this socket."""
        assert self._runner.server is not None
        for connection in tuple(self._runner.server.connections):
            transport = connection.transport
            if transport is not None and transport.get_extra_info("sockname") == str(self.path):
                transport.abort()


async def make_runner(app: web.Application) -> web.AppRunner:
    """An application made ready to be served on :class:`HttpSocket`.

    A client that goes away cancels its request: nobody else would end a ``logs --follow``.
    """
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=KEEP_ALIVE,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
        shutdown_timeout=0.5,
    )
    await runner.setup()
    return runner

"""HAProxy's processes: a master and its workers, in a group of their own that ends with this engine.

A reaper, a shell that waits at a pipe, kills the group when the pipe closes: so nothing outlives the engine, also when
the engine is killed, and also while HAProxy is frozen with its machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal as signals
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_READY = 30.0  # seconds that a new worker gets to take over: on a busy machine it may well need some
_LOOK = 0.01
# Waits for the word before it becomes HAProxy, so that the reaper knows the group before there is anything to reap.
_LAUNCH = 'read go && exec "$0" "$@"'
_REAP = 'read stop || kill -KILL "-$1"'  # without "--", which dash does not know


class HaproxyFailed(Exception):
    """HAProxy did not start or did not take a configuration; the message is its own."""


class HaproxyProcess:
    """One HAProxy in master-worker mode, in ``folder``."""

    def __init__(self, executable: str, folder: Path, ended: Callable[[], object] = lambda: None) -> None:
        """``ended`` is called when it ends without having been told to."""
        self._ended = ended
        self._watching: asyncio.Task[None] | None = None
        self._executable = executable
        self.folder = folder
        self.config = folder / "haproxy.cfg"
        self.stats_socket = folder / "haproxy.sock"
        self._master_socket = folder / "master.sock"
        self._process: asyncio.subprocess.Process | None = None
        self._reaper: asyncio.subprocess.Process | None = None
        self.frozen = False

    @property
    def running(self) -> bool:
        """Is the master process there?"""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The master's process id, which is also its group's."""
        return self._process.pid if self._process is not None else None

    async def check(self, text: str) -> str:
        """What HAProxy has against this configuration; "" when it would take it."""
        path = self.folder / "haproxy.cfg.new"
        _write(path, text)
        process = await asyncio.create_subprocess_exec(
            self._executable, "-c", "-f", str(path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        return "" if process.returncode == 0 else said.decode("utf-8", "replace").strip() or "not valid"

    async def start(self, text: str) -> None:
        """Run it with this configuration. Raises :class:`HaproxyFailed`."""
        _write(self.config, text)
        for socket in (self.stats_socket, self._master_socket):
            socket.unlink(missing_ok=True)
        # Anew each time: the words of an earlier one explain nothing, and would fill the disk.
        with (self.folder / "haproxy.log").open("wb") as said:
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", _LAUNCH, self._executable, "-W", "-db", "-f", str(self.config),
                "-S", f"{self._master_socket},mode,600",
                stdin=asyncio.subprocess.PIPE, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        self._process = process
        self._reaper = await asyncio.create_subprocess_exec(
            "sh", "-c", _REAP, "sh", str(process.pid),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        await process.stdin.drain()
        process.stdin.close()
        if not await self._new_worker(set()):
            said_last = self._last_words()
            await self.stop()
            raise HaproxyFailed(said_last)
        self._watching = asyncio.create_task(self._watch(process))

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._process is process:
            log.error("HAProxy ended by itself: %s", self._last_words())
            await self.stop()
            self._ended()

    async def reload(self, text: str) -> None:
        """Take over this configuration: new workers get the listening sockets of the old ones, which finish what they
        have open. Raises :class:`HaproxyFailed` when no new worker came; then the old ones go on."""
        old = set(await self.workers())
        _write(self.config, text)
        self.signal(signals.SIGUSR2, group=False)
        if not await self._new_worker(old):
            raise HaproxyFailed(self._last_words())

    async def stop(self) -> None:
        """End all its processes."""
        process, self._process = self._process, None
        reaper, self._reaper = self._reaper, None
        if process is not None:
            self._kill(process, signals.SIGCONT)
            self._kill(process, signals.SIGTERM, group=False)
            try:
                await asyncio.wait_for(process.wait(), 2.0)
            except TimeoutError:
                pass
            self._kill(process, signals.SIGKILL)
            await process.wait()
        if reaper is not None:
            assert reaper.stdin is not None
            reaper.stdin.write(b"stop\n")
            reaper.stdin.close()
            await reaper.wait()
        self.frozen = False

    def kill(self) -> None:
        """As when the machine loses its power: gone at once. :meth:`stop` still has to be called."""
        if self._watching is not None:
            self._watching.cancel()  # it does not end by itself
        self.signal(signals.SIGKILL)

    def freeze(self, frozen: bool) -> None:
        """As when the machine is paused."""
        self.frozen = frozen
        self.signal(signals.SIGSTOP if frozen else signals.SIGCONT)

    def signal(self, number: signals.Signals, *, group: bool = True) -> None:
        """Send a signal to all its processes, or to the master alone. Harmless when there is none."""
        if self._process is not None:
            self._kill(self._process, number, group=group)

    @staticmethod
    def _kill(process: asyncio.subprocess.Process, number: signals.Signals, *, group: bool = True) -> None:
        try:
            (os.killpg if group else os.kill)(process.pid, number)
        except ProcessLookupError:
            pass

    # -- what it says

    async def workers(self) -> list[int]:
        """The process ids of the workers that take connections."""
        text = await self._ask(self._master_socket, "show proc")
        current = text.partition("# workers")[2].partition("# old workers")[0]
        return [int(found) for found in re.findall(r"^(\d+)\s+worker", current, re.MULTILINE)]

    async def pids(self) -> list[int]:
        """Of all its processes, old workers that still have connections too."""
        text = await self._ask(self._master_socket, "show proc")
        return [int(found) for found in re.findall(r"^(\d+)\s+(?:master|worker)", text, re.MULTILINE)]

    async def server_states(self) -> dict[tuple[str, str], str]:
        """(back end, server) -> ``UP``, ``DOWN``, ``MAINT``, ``no check``…, as the statistics show it."""
        text = await self._ask(self.stats_socket, "show stat")
        head, *rows = [line.split(",") for line in text.lstrip("# ").splitlines() if line]
        column = {name: index for index, name in enumerate(head)}
        names, status = (column["pxname"], column["svname"]), column["status"]
        return {(row[names[0]], row[names[1]]): row[status] for row in rows if len(row) > status}

    async def _new_worker(self, old: set[int]) -> bool:
        until = time.monotonic() + _READY
        while time.monotonic() < until:
            if not self.running:
                return False
            try:
                new = set(await self.workers()) - old
                if new and await self._ask(self.stats_socket, "show info"):
                    return True
            except (OSError, EOFError):
                pass  # it is just starting
            await asyncio.sleep(_LOOK)
        return False

    async def _ask(self, socket: Path, command: str) -> str:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(f"{command}\n".encode())
                writer.write_eof()  # the master closes after its answer only then
                return (await reader.read(-1)).decode("utf-8", "replace")
            finally:
                writer.close()

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "haproxy.log").read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        return next((line for line in reversed(lines) if "ALERT" in line), "HAProxy did not start")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")

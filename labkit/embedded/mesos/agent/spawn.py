"""Real processes: each leads a process group of its own, and begins only when its end is taken care of.

A child is a ``sh`` at first that waits for a line; it is made known to the :class:`.watcher.Watcher`, then gets the
line and becomes the command (``exec``). Should the engine die in between, it finds the pipe closed and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from labkit.embedded.mesos.agent.watcher import Watcher, started

_GATE = 'IFS= read -r go || exit 1; exec "$@" </dev/null'
_LOOK = 0.05  # seconds of the wall clock between two looks, where the kernel does not tell of a process' end


class Child:
    """One process with all that it starts in its group."""

    __slots__ = ("_ended", "_fd", "_popen", "_timer", "_watcher", "code", "pid", "started")

    def __init__(self, popen: subprocess.Popen[bytes], watcher: Watcher, ended: Callable[[int], object]) -> None:
        self.pid = popen.pid  # and its group's
        self.started = started(popen.pid)
        self.code: int | None = None  # negative: the signal that ended it
        self._popen = popen
        self._watcher = watcher
        self._ended = ended
        self._fd = -1
        self._timer: asyncio.TimerHandle | None = None

    def go(self) -> None:
        """Let it begin."""
        self._watcher.add(self.pid)
        stdin = self._popen.stdin
        assert stdin is not None
        try:
            stdin.write(b"\n")
            stdin.close()
        except OSError:  # somebody has killed it; that is noticed below
            pass
        loop = asyncio.get_running_loop()
        try:
            self._fd = os.pidfd_open(self.pid)
            loop.add_reader(self._fd, self._over)
        except (AttributeError, OSError):  # not Linux, or an old one
            self._timer = loop.call_later(_LOOK, self._look)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        if self.code is None:
            try:
                os.killpg(self.pid, number)
            except OSError:
                pass

    def abandon(self) -> None:
        """Kill it, and reap it without telling anybody."""
        if self.code is None:
            self._ended = lambda code: None
            self.signal(signal.SIGKILL)
            self._reap()

    def _look(self) -> None:
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)
        else:
            self._over()

    def _over(self) -> None:
        if self.code is None:
            # What it has left behind goes with it, as when Mesos destroys a container. The leader is not reaped yet,
            # so the number is still the group's.
            self.signal(signal.SIGKILL)
            self._reap()

    def _reap(self) -> None:
        self._watcher.remove(self.pid)
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self.code = self._popen.wait()
        self._ended(self.code)


def spawn(
    watcher: Watcher,
    command: Sequence[str],
    *,
    directory: str,
    env: Mapping[str, str],
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    ended: Callable[[int], object],
) -> Child:
    """Make a child that waits for :meth:`Child.go`. ``ended`` gets its code (negative: a signal). Raises OSError."""
    popen = subprocess.Popen(
        ["/bin/sh", "-c", _GATE, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,
        cwd=directory,
        env=dict(env),
        start_new_session=True,
    )
    return Child(popen, watcher, ended)

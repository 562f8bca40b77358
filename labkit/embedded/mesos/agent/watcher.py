"""Who ends the tasks' processes when this engine cannot: a small shell that outlives it by a moment.

It reads the numbers of process groups from a pipe whose other end only the engine holds. However the engine ends, even
by ``kill -9``, the kernel closes that end; the shell then kills every group that it still knows, and on Linux whatever
else carries the engine's token in its environment (a program that has made itself a daemon). One shell for all tasks
of an agent: a task costs two lines.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys

log = logging.getLogger(__name__)

TOKEN = "LABKIT_MESOS_AGENT"  # the variable that every process of a task inherits

_SCRIPT = r"""
trap '' HUP INT TERM QUIT PIPE
groups=' '
while IFS= read -r line; do
  case $line in
    +*) groups="$groups${line#+} " ;;
    -*) case $groups in *" ${line#-} "*) groups="${groups%% ${line#-} *} ${groups#* ${line#-} }" ;; esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
[ -d /proc/self ] || exit 0
for round in 1 2 3; do
  found=$(grep -lsF -- "$1" /proc/[0-9]*/environ)
  [ -n "$found" ] || exit 0
  for file in $found; do pid=${file#/proc/}; kill -s KILL "${pid%/environ}"; done
done
"""


class Watcher:
    """The shell of one agent. Started with the first process that needs it."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the shell; 0 when there is none."""
        return 0 if self._shell is None else self._shell.pid

    def add(self, group: int) -> None:
        """From now on this group ends with the engine. Only then may it begin: see :mod:`.spawn`."""
        self._groups.add(group)
        self._write(f"+{group}\n")

    def remove(self, group: int) -> None:
        """It is over. Must be said before the leader is reaped: then its number may be given to others."""
        if group in self._groups:
            self._groups.discard(group)
            self._write(f"-{group}\n")

    def close(self) -> None:
        """End the shell, and with it all that it still knows."""
        shell, self._shell = self._shell, None
        if shell is not None:
            assert shell.stdin is not None
            shell.stdin.close()
            try:
                shell.wait(5)
            except subprocess.TimeoutExpired:
                log.warning("the shell %d that watches the tasks does not end", shell.pid)
        self._groups.clear()

    def _write(self, line: str) -> None:
        if self._shell is None or self._shell.poll() is not None:
            self._start()
            return  # which has told it of all groups
        assert self._shell.stdin is not None
        try:
            self._shell.stdin.write(line.encode())
        except OSError:  # somebody has killed it
            self._start()

    def _start(self) -> None:
        # In a session of its own: what ends the engine's group (Ctrl-C, a hub) must not end this.
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "labkit-mesos-watcher", f"{TOKEN}={self.token}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )
        assert self._shell.stdin is not None
        self._shell.stdin.write("".join(f"+{group}\n" for group in self._groups).encode())


def started(pid: int) -> str:
    """When a process began, as its kernel counts; "" when that cannot be known. With it a number is one process."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def end_leftover(group: int, since: str) -> bool:
    """End a group that an earlier engine has left behind, if it is still the one that was meant."""
    if group <= 1 or not since or started(group) != since:
        return False
    try:
        os.killpg(group, 9)
    except OSError:
        return False
    return True

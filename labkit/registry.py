"""The sandboxes of this user, known to every kernel, terminal and script: a small JSON record each.

Records are replaced whole (written beside, then renamed), and whoever starts or ends a sandbox holds its lock, so two
that start "swarm" at the same moment get one sandbox. What a record says may have stopped being true, a reboot or a
``kill -9`` does that; whether the sandbox runs is always asked of its engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from labkit.engines.base import Record
from labkit.errors import LabkitError
from labkit.paths import Paths

# Start times come in clock ticks (1/100 s), and psutil adds a boot time that the kernel may correct by a little.
_START_TIME_SLACK = 1.5


def process_runs(pid: int, started: float) -> bool:
    """Whether the process that was started then still runs, rather than another that got its number, or its corpse."""
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > _START_TIME_SLACK:
            return False
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def start_time(pid: int) -> float:
    """When a process was started, seconds since the epoch; 0 if there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


class Registry:
    """The records in one state folder."""

    def __init__(self, paths: Paths | None = None) -> None:
        self.paths = paths or Paths.of()

    def names(self) -> list[str]:
        try:
            found = list(self.paths.sandboxes.glob("*/record.json"))
        except OSError:
            return []
        return sorted(path.parent.name for path in found)

    def get(self, name: str) -> Record | None:
        """The record of that name, None if there is none or it cannot be read (cut short by a full disk, say)."""
        try:
            return Record.from_dict(json.loads(self.paths.record_of(name).read_text("utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def all(self) -> list[Record]:
        """Every record, oldest first."""
        found = [record for name in self.names() if (record := self.get(name)) is not None]
        return sorted(found, key=lambda record: (record.created, record.name))

    def save(self, record: Record) -> None:
        self.paths.make_state()
        path = self.paths.record_of(record.name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        beside = path.with_name(f".record-{os.getpid()}.tmp")
        try:
            with open(beside, "w", encoding="utf-8", opener=_private) as file:
                json.dump(record.as_dict(), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise LabkitError(f"cannot write {path}: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Forgets a sandbox and removes its folders; empty parents go too, so that nothing of labkit stays."""
        record = self.get(name)
        for folder in {self.paths.state_of(name), self.paths.run_of(name)} | (
            {Path(record.state), Path(record.run)} if record else set()
        ):
            shutil.rmtree(folder, ignore_errors=True)

    def tidy(self) -> None:
        """Removes the shared folders if the last sandbox has left them empty."""
        with contextlib.suppress(OSError):
            self.paths.sandboxes.rmdir()  # refuses while there is a record, or a lock of one that is just starting
            for folder in (self.paths.runtime, self.paths.state):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float = 300.0, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Holds a sandbox's lock while it is started or ended. ``waiting`` is called once if somebody else has it.

        The kernel frees it when its holder dies. The file itself is removed at the end (nothing stays after `down`),
        so whoever gets the lock first looks whether the file is still the one that the name leads to.
        """
        path = self.paths.lock_of(name)
        deadline = time.monotonic() + timeout
        told = False
        while True:
            self.paths.make_state()
            try:
                held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the last `down` tidied the folder away between the two calls
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same_file(held, path):
                    break
                os.close(held)
                continue
            except BlockingIOError:
                os.close(held)
            if waiting and not told:
                told = True
                waiting()
            if time.monotonic() > deadline:
                raise LabkitError(f"“{name}” has been busy in another labkit for {timeout:.0f} s; see `labkit ls`")
            time.sleep(0.05)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(held)

    def locked(self, name: str) -> bool:
        """Whether somebody is starting or ending this sandbox right now."""
        try:
            held = os.open(self.paths.lock_of(name), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(held)
        return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _same_file(held: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), path.stat())
    except OSError:
        return False

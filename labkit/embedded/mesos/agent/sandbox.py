"""Where a task's files are: the folders of ``src/slave/paths.cpp``."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

_UNSAFE = re.compile(r"[/\\\0]|^\.\.?$")


class BadName(ValueError):
    """An id that cannot be a folder's name."""


def executor_path(work_dir: Path, agent_id: str, framework_id: str, executor_id: str) -> str:
    """The folder of an executor, with ``runs`` in it. Raises :class:`BadName`."""
    for name in (agent_id, framework_id, executor_id):
        if not name or len(name) > 255 or _UNSAFE.search(name):
            raise BadName(f"'{name}' cannot be the name of a folder")
    return f"{work_dir}/slaves/{agent_id}/frameworks/{framework_id}/executors/{executor_id}"


def run_path(work_dir: Path, agent_id: str, framework_id: str, executor_id: str, container_id: str) -> str:
    """The sandbox of one run of an executor."""
    return f"{executor_path(work_dir, agent_id, framework_id, executor_id)}/runs/{container_id}"


def make(directory: str) -> None:
    """Make a sandbox, and let ``latest`` lead to it. Raises OSError."""
    os.makedirs(directory, mode=0o750)
    runs, _, name = directory.rpartition("/")
    latest = f"{runs}/latest"
    try:
        os.unlink(latest)
    except FileNotFoundError:
        pass
    os.symlink(name, latest)


def remove(directories: Iterable[str]) -> None:
    """Remove sandboxes, and the folders above them as far as nothing else is left there: a task's id may be given
    to another task after its end, whose sandbox is beside the old one."""
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
        runs, _, name = directory.rpartition("/")
        latest = f"{runs}/latest"
        try:
            if os.readlink(latest) == name:
                os.unlink(latest)
            os.rmdir(runs)
            os.rmdir(os.path.dirname(runs))
        except OSError:  # another run is there
            pass


def left_over(work_dir: Path, shown: Collection[str]) -> list[str]:
    """The sandboxes that are on disk and not among these: an earlier engine, or one without power, forgot them."""
    found = (path for path in work_dir.glob("slaves/*/frameworks/*/executors/*/runs/*") if not path.is_symlink())
    return [text for path in found if (text := str(path)) not in shown]

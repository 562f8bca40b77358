"""The running event loop, asked for cheaply.

Before Python 3.12, ``asyncio.get_running_loop`` asks the kernel for the number of the process each time, to notice a
fork. Ten such calls for every pod were a thirtieth of all that a pod costs; the sandboxes never fork.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Here(threading.local):
    """What this thread has found last."""

    loop: asyncio.AbstractEventLoop | None = None


_here = _Here()


def _running() -> asyncio.AbstractEventLoop:
    """The event loop that this is called from. Raises RuntimeError when there is none."""
    loop = _here.loop
    if loop is None or not loop.is_running():  # a thread runs one at a time, so one of its own that runs is the one
        loop = _here.loop = asyncio.get_running_loop()
    return loop


running = asyncio.get_running_loop if sys.version_info >= (3, 12) else _running


def create_task(work: Coroutine[Any, Any, Result], *, name: str | None = None) -> asyncio.Task[Result]:
    """As ``asyncio.create_task``."""
    return running().create_task(work, name=name)

"""What an executor has its task run as: a process of this computer, or a container of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from labkit.embedded.mesos.agent import statuses

Json = dict[str, Any]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LAUNCH_FAILED = "REASON_CONTAINER_LAUNCH_FAILED"


class LaunchError(Exception):
    """It does not run. ``str()`` is the message of the status that tells it."""

    def __init__(self, message: str, *, reason: str = LAUNCH_FAILED, source: str = statuses.AGENT) -> None:
        super().__init__(message)
        self.reason = reason
        self.source = source


class Work(Protocol):
    """One task's process or container."""

    @property
    def noun(self) -> str:
        """How its end is told: "Command exited with status 1"."""

    async def prepare(self) -> None:
        """Fetch or pull what it needs. Raises :class:`LaunchError`."""

    async def start(self, ended: Callable[[int], object]) -> None:
        """Run it; ``ended`` is called with its exit code, negative for a signal. Raises :class:`LaunchError`."""

    def terminate(self) -> None:
        """Ask it to end."""

    def signal(self, number: int) -> None:
        """Send a signal to all of it."""

    def freeze(self) -> None:
        """The machine is paused."""

    def thaw(self) -> None:
        """And goes on."""

    def discard(self) -> None:
        """End it at once, and tell nobody."""

    def container_status(self) -> Json:
        """Its ContainerStatus: where it is found."""

    def describe(self) -> tuple[str, Json | None]:
        """``data`` and ``labels`` of the status that says that it runs."""

    def end_words(self, code: int) -> tuple[str, str]:
        """Reason and message of its end."""

    async def execute(self, command: Json) -> int:
        """Run the command of a check beside it; its exit code. Raises OSError."""

    async def connect(self, port: int) -> Connection:
        """Connect to one of its ports from inside. Raises OSError."""

    def output(self, stream: str) -> bytes | None:
        """What it wrote, when that is no file."""

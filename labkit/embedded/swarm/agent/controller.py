"""What an agent needs of the host to run a task, and the errors by which the host answers (SwarmKit ``agent/exec``).

The host's side is :mod:`labkit.embedded.swarm.host.executor`; the agent only knows these shapes.
"""

from __future__ import annotations

from typing import Any, Protocol

from labkit.embedded.swarm.objects import Json, Task


class Controller(Protocol):
    """Runs one task. Every method may be cancelled and called again: a task whose desired state changes is stopped
    in whatever it was doing. A method that finds its work already done returns at once (after a restart of the
    process :meth:`start` and :meth:`wait` are called on a container that is already there)."""

    async def prepare(self) -> None:
        """Pull the image, create the container. An error rejects the task with its words."""

    async def start(self) -> None:
        """Start, and return when it runs (and is healthy, if it has a health check). An error fails the task."""

    async def wait(self) -> None:
        """Return when it has exited with 0. Else raise an error with the words for ``Status.Err``, and, where there
        is one, an ``exit_code`` attribute: ``task: non-zero exit (1)``."""

    async def shutdown(self) -> None:
        """Stop it gracefully."""

    async def terminate(self) -> None:
        """Kill it."""

    async def remove(self) -> None:
        """Remove the container and all that was made for it."""

    def status(self) -> tuple[str, int, int | None, tuple[Json, ...]]:
        """Container id, pid, exit code, ports published in host mode."""


class Executor(Protocol):
    """The host, as its agent sees it."""

    async def describe(self) -> Json:
        """``NodeDescription``: Hostname, Platform, Resources, Engine."""

    def controller(self, task: Task) -> Controller:
        """The controller of a task. Raises when this host cannot run such a task at all."""


class TaskError(Exception):
    """A task's end that is not well. ``str()`` is what ``Status.Err`` says."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class TemporaryError(TaskError):
    """Not fatal: the step is tried again after a second."""


def exit_code_of(error: BaseException) -> int | None:
    """The exit code that an error of a controller carries, if it does."""
    code: Any = getattr(error, "exit_code", None)
    return code if isinstance(code, int) else None

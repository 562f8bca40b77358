"""What an orchestrator adapter is: it reads a cluster into a :class:`labkit.model.Snapshot` and acts on it.

An adapter goes through the official client only and cannot tell which engine is behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from labkit.errors import UsageError
from labkit.model import Snapshot


class Machine(Protocol):
    """What an adapter needs to know of a machine: its name, and the environment that points a client at it."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def env(self) -> Mapping[str, str]: ...


class Orchestrator(Protocol):
    """Reads and drives one cluster. Safe to use from several threads.

    Every call ends within a few seconds, also when machines hang: the picture has to live through a failure.
    """

    name: str  # "swarm"

    @property
    def client(self) -> Any:
        """The official client, pointed at a manager."""

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        """The cluster now.

        Objects that did not change are the very ones of an earlier snapshot, so that :func:`labkit.model.diff` is
        cheap. When no manager can answer (no quorum, connection refused) it is ``previous`` with ``error`` set, in the
        real engine's words.
        """

    def wait(self, timeout: float) -> None:
        """Blocks until something may have changed, at most ``timeout`` seconds."""

    def wake(self) -> None:
        """Ends a :meth:`wait` that is under way: somebody did something and wants to see it."""

    def scale(self, workload: str, replicas: int) -> None:
        """Asks for another number of tasks."""

    def update(self, workload: str, image: str) -> None:
        """Starts a rolling update to another image."""

    def drain(self, node: str) -> None:
        """Takes all work from a node."""

    def activate(self, node: str) -> None:
        """Lets a node have work again."""

    def pause(self, node: str) -> None:
        """Keeps a node's tasks but gives it no new ones."""

    def kill(self, task_id: str) -> None:
        """Kills what a task runs, behind the orchestrator's back, as a crash would."""

    def deploy(
        self,
        name: str,
        image: str,
        replicas: int = 1,
        ports: Mapping[int, int] | Sequence[str] = (),
        **options: Any,
    ) -> str:
        """Starts a workload; returns its id. ``ports`` maps published to target ports, or lists "8080:80"."""

    def remove(self, workload: str) -> None:
        """Removes a workload and its tasks."""

    def close(self) -> None:
        """Ends background threads and connections."""


_ORCHESTRATORS = {
    "swarm": ("labkit.orchestrators.swarm", "Swarm"),
    "kubernetes": ("labkit.orchestrators.kubernetes", "Kubernetes"),
    "marathon": ("labkit.orchestrators.marathon", "Marathon"),
}
ORCHESTRATORS = tuple(_ORCHESTRATORS)

# Words that people try, and what they are after.
_HINTS = {
    "mesos": "Mesos alone runs nothing: 'marathon' starts ZooKeeper, Mesos and Marathon together",
    "k8s": "it is called 'kubernetes' here",
    "docker": "Docker's own orchestrator is 'swarm'",
}


def check_orchestrator(name: str) -> str:
    """The name, if there is such an orchestrator."""
    if name in _ORCHESTRATORS:
        return name
    if name in _HINTS:
        raise UsageError(f"there is no orchestrator {name!r}: {_HINTS[name]}")
    *most, last = ORCHESTRATORS
    raise UsageError(f"there is no orchestrator {name!r}; there is {', '.join(most)} and {last}")


def check_replicas(replicas: Any) -> None:
    """Refuses what cannot be a number of tasks; sliders and people send all kinds of things."""
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise UsageError(f"replicas must be a whole number from 0 on, not {replicas!r}")


def as_last_seen(previous: Snapshot | None, orchestrator: str, error: str) -> Snapshot:
    """What to show of a cluster that cannot be read: what was seen last, as old as it is, and why."""
    return replace(previous or Snapshot(at=0.0, orchestrator=orchestrator), orchestrator=orchestrator, error=error)


def orchestrator_for(name: str, machines: Callable[[], Sequence[Machine]]) -> Orchestrator:
    """An adapter for the cluster on those machines. ``machines`` is called again when their list may be stale."""
    import importlib

    module, attribute = _ORCHESTRATORS[check_orchestrator(name)]
    adapter: Orchestrator = getattr(importlib.import_module(module), attribute)(machines)
    return adapter

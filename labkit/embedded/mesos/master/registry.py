"""What outlives a master: which agents were admitted, are unreachable or gone, and the weights of roles.

The real masters agree on it in a replicated log (``registrar.cpp``), which the leader alone writes, and which needs a
quorum as the election does. Here the leader writes it to the sandbox's storage.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]

_AGENTS = "mesos/registry/agent"
_WEIGHTS = "mesos/registry/weight"


class Registry:
    """Rows of the sandbox's storage; ``storage`` None keeps them with the object (tests)."""

    def __init__(self, storage: Storage | None) -> None:
        self._storage = storage if storage is not None else Storage()

    def admit(self, agent: str, info: Json) -> None:
        """A new agent, one that comes back, or one that has changed."""
        self._storage.put(_AGENTS, agent, {"state": "admitted", "info": info})

    def mark(self, agent: str, state: str, time: float, info: Json | None = None) -> None:
        """It is ``unreachable`` or ``gone`` since then."""
        self._storage.put(_AGENTS, agent, {"state": state, "time": time, "info": info})

    def remove(self, agent: str) -> None:
        """It unregistered: nobody needs to remember it."""
        self._storage.delete(_AGENTS, agent)

    def agents(self) -> dict[str, Json]:
        """``{"state": "admitted" | "unreachable" | "gone", "info", "time"}`` by id."""
        return self._storage.all(_AGENTS)

    def set_weight(self, role: str, weight: float) -> None:
        """Remember a role's weight."""
        self._storage.put(_WEIGHTS, role, weight)

    def weights(self) -> dict[str, float]:
        """By role; those that nobody has set are 1."""
        return self._storage.all(_WEIGHTS)

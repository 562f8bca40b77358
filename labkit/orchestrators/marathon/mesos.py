"""A small client of Mesos' masters, over requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.orchestrators.marathon.errors import mesos_error
from labkit.orchestrators.marathon.servers import Answer, Servers

Json = dict[str, Any]


class MesosClient:
    """The masters of a Mesos cluster; each call reaches the one that leads.

    Raises :class:`~labkit.orchestrators.marathon.MesosError` with Mesos' own words, and ``Unreachable`` while nobody
    leads.

    >>> sandbox.client.mesos.state()["leader_info"]["hostname"]                          # doctest: +SKIP
    """

    def __init__(self, urls: Iterable[str], timeout: float = 5.0) -> None:
        self.servers = Servers("Mesos", urls, timeout, mesos_error)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of any endpoint: ``get("/metrics/snapshot")``."""
        return self.servers.get(path, params or None)

    def send(self, method: str, path: str, json: Any = None) -> Any:
        """Any other call: ``send("PUT", "/weights", [{"role": "batch", "weight": 2}])``; None for an empty answer."""
        return self.servers.request(method, path, json=json).json()

    def state(self) -> Json:
        """Everything the leading master knows: ``slaves``, ``frameworks`` with their tasks and offers, ``flags``…"""
        found: Json = self.get("/state")
        return found

    def slaves(self) -> list[Json]:
        """The agents."""
        return list(self.get("/slaves")["slaves"])

    def frameworks(self) -> list[Json]:
        """The frameworks that are registered now."""
        return list(self.get("/frameworks")["frameworks"])

    def tasks(self, limit: int = 1000) -> list[Json]:
        """Tasks of all frameworks, also ended ones."""
        return list(self.get("/tasks", limit=limit)["tasks"])

    def roles(self) -> list[Json]:
        """Roles with their weights, frameworks and resources."""
        return list(self.get("/roles")["roles"])

    def metrics(self) -> dict[str, float]:
        """``/metrics/snapshot`` of the master that is asked first (it need not lead)."""
        found: dict[str, float] = self.get("/metrics/snapshot")
        return found

    def version(self) -> str:
        return str(self.get("/version")["version"])

    def leader(self) -> str:
        """The leading master's ``host:port``."""
        info = self.state().get("leader_info") or {}
        return f"{info.get('hostname', '')}:{info.get('port', '')}"

    def call(self, kind: str, **fields: Any) -> Json:
        """A call of the operator API: ``call("GET_AGENTS")``."""
        answer = self.servers.request("POST", "/api/v1", json={"type": kind, **fields})
        found: Json = answer.json() or {}
        return found

    def teardown(self, framework_id: str) -> None:
        """Ends a framework and kills all its tasks."""
        self.servers.request("POST", "/master/teardown", data={"frameworkId": framework_id})

    def answer(self, path: str) -> Answer:
        """The raw answer of the leading master, and which one it was."""
        return self.servers.request("GET", path)

    def close(self) -> None:
        self.servers.close()

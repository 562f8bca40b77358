"""Emptying a node as ``kubectl drain --ignore-daemonsets --force --delete-emptydir-data`` does."""

from __future__ import annotations

import time
from typing import Any

from labkit.errors import ClusterError
from labkit.orchestrators.kubernetes.connection import ApiError, Connection

Json = dict[str, Any]

_MIRROR = "kubernetes.io/config.mirror"
_PATIENCE = 20.0  # seconds for budgets to allow an eviction
_AGAIN = 1.0  # seconds between tries; kubectl waits 5


class Drain:
    """Evicts the pods of one node through the eviction API, so that disruption budgets are asked."""

    def __init__(self, connection: Connection, node: str, patience: float = _PATIENCE) -> None:
        self._connection = connection
        self._node = node
        self._patience = patience

    def run(self) -> None:
        """Until each pod is evicted; ClusterError with the budgets' words for those that were not in time."""
        version = self._eviction_version()
        waiting = [pod for pod in self._pods() if movable(pod)]
        deadline = time.monotonic() + self._patience
        while True:
            refused = {}
            for pod in waiting:
                why = self._evict(pod, version)
                if why:
                    refused[pod["metadata"]["uid"]] = why
            waiting = [pod for pod in waiting if pod["metadata"]["uid"] in refused]
            if not waiting:
                return
            if time.monotonic() > deadline:
                names = ", ".join(pod["metadata"]["name"] for pod in waiting)
                raise ClusterError(f"{self._node} is cordoned, but {names}: {next(iter(refused.values()))}")
            time.sleep(_AGAIN)

    def _pods(self) -> list[Json]:
        found = self._connection.get("/api/v1/pods", {"fieldSelector": f"spec.nodeName={self._node}"})
        items: list[Json] = found["items"]
        return items

    def _eviction_version(self) -> str:
        """``policy/v1`` came with 1.22; before, the sub-resource took v1beta1."""
        groups = {version["groupVersion"] for group in self._groups() for version in group["versions"]}
        return "policy/v1" if "policy/v1" in groups else "policy/v1beta1"

    def _groups(self) -> list[Json]:
        groups: list[Json] = self._connection.get("/apis")["groups"]
        return groups

    def _evict(self, pod: Json, version: str) -> str:
        """Asks for one eviction; why it was refused for now, "" when it was not."""
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
        body = {
            "apiVersion": version,
            "kind": "Eviction",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        }
        try:
            self._connection.post(path, body)
        except ApiError as error:
            if error.status == 429:
                return str(error)
            if error.status != 404:
                raise
        return ""


def movable(pod: Json) -> bool:
    """Pods of DaemonSets would come back at once, mirror pods are the kubelet's own; finished ones take no place."""
    metadata = pod["metadata"]
    owner: Json = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), {})
    if owner.get("kind") == "DaemonSet" or _MIRROR in (metadata.get("annotations") or {}):
        return False
    return "deletionTimestamp" not in metadata

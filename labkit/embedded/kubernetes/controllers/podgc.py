"""The pod garbage collector: pods whose kubelet will never confirm their end, and finished ones that are too many.

``pkg/controller/podgc``. Every 20 s it looks at all pods.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.nodelifecycle.taints import OUT_OF_SERVICE, taints_of
from labkit.embedded.kubernetes.errors import NotFound, StatusError
from labkit.embedded.kubernetes.objects import (
    Json,
    has_condition,
    is_pod_finished,
    is_terminating,
    key_of,
    name_of,
    spec_of,
    status_of,
    with_condition,
)
from labkit.embedded.kubernetes.times import rfc3339

CHECK_SECONDS = 20.0
QUARANTINE_SECONDS = 40.0
"""How long a node must be missing before its pods are given up."""

TERMINATED_PODS = 12_500
"""How many finished pods may stay (``--terminated-pod-gc-threshold``)."""


def surplus(pods: Iterable[Json], threshold: int = TERMINATED_PODS) -> list[Json]:
    """Finished pods beyond the threshold: those first that a kubelet evicted, then the oldest."""
    finished = [pod for pod in pods if is_pod_finished(pod)]
    if len(finished) <= threshold:
        return []
    finished.sort(
        key=lambda pod: (
            status_of(pod).get("reason") != "Evicted",
            pod["metadata"].get("creationTimestamp", ""),
            name_of(pod),
        )
    )
    return finished[: len(finished) - threshold]


def is_out_of_service(node: Json | None) -> bool:
    """Whether somebody has declared that the node will not come back."""
    return (
        node is not None
        and not has_condition(node, "Ready")
        and any(taint["key"] == OUT_OF_SERVICE for taint in taints_of(node))
    )


class PodGarbageCollector(Controller):
    name: ClassVar[str] = "pod-garbage-collector-controller"
    source: ClassVar[str] = "pod-garbage-collector"

    def setup(self) -> None:
        self.pods = self.informers[kinds.PODS]
        self.nodes = self.informers[kinds.NODES]
        self._missing: dict[str, float] = {}  # nodes that pods speak of and nobody knows, and since when

    async def begin(self) -> None:
        self.spawn(self.every(CHECK_SECONDS, self.collect), "collects")

    async def collect(self) -> None:
        """One round over all pods."""
        pods = list(self.pods.objects())
        for pod in surplus(pods):
            await self._end(pod)
        for pod in pods:
            if not is_terminating(pod):
                continue
            node = spec_of(pod).get("nodeName")
            if not node or is_out_of_service(self.nodes.get("", node)):
                await self._end(pod)
        gone = await self._gone(pods)
        if not gone:
            return
        for pod in pods:
            if spec_of(pod).get("nodeName") in gone:
                await self._end(pod, "PodGC: node no longer exists")

    async def _gone(self, pods: list[Json]) -> set[str]:
        """The nodes that have been missing for longer than the quarantine."""
        now = self.clock.time()
        absent = {spec_of(pod).get("nodeName", "") for pod in pods} - {""}
        absent = {name for name in absent if self.nodes.get("", name) is None}
        self._missing = {name: self._missing.get(name, now) for name in absent}
        gone = set()
        for name, since in list(self._missing.items()):
            if now - since >= QUARANTINE_SECONDS:
                del self._missing[name]
                if await self.client.find(kinds.NODES, "", name) is None:
                    gone.add(name)
        return gone

    async def _end(self, pod: Json, why: str = "") -> None:
        """Delete it without grace. One that was running has failed: no kubelet will say so."""
        now = rfc3339(self.clock.time())
        uid = pod["metadata"]["uid"]

        def failed(pod: Json) -> Json | None:
            if is_pod_finished(pod) or pod["metadata"]["uid"] != uid:
                return None
            status = {**status_of(pod), "phase": "Failed"}
            if why:
                target = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "lastProbeTime": None,
                    "lastTransitionTime": now,
                    "reason": "DeletionByPodGC",
                    "message": why,
                }
                status["conditions"] = with_condition(status.get("conditions"), target)
            return {**pod, "status": status}

        try:
            await self.client.modify(kinds.PODS, *key_of(pod), failed, subresource="status")
            await self.client.delete(kinds.PODS, *key_of(pod), grace_period_seconds=0, uid=uid)
        except NotFound:
            pass
        except StatusError as error:
            self.log.debug("%s", error)

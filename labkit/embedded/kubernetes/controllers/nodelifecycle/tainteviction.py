"""The taint eviction controller: pods that do not bear their node's NoExecute taints go, some of them after a while.

``pkg/controller/tainteviction``; a controller of its own since 1.29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client.index import by_node
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.nodelifecycle.taints import stay, taints_of
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    has_condition,
    key_of,
    name_of,
    spec_of,
    status_of,
    with_condition,
)
from labkit.embedded.kubernetes.times import rfc3339
from labkit.embedded.runtime.clock import Timer

REASON = "DeletionByTaintManager"
MESSAGE = "Taint manager: deleting due to NoExecute taint"


@dataclass(slots=True)
class _Eviction:
    since: float
    timer: Timer | None  # None: it is under way


class TaintEvictionController(Controller):
    name: ClassVar[str] = "taint-eviction-controller"

    def setup(self) -> None:
        self._evictions: dict[Key, _Eviction] = {}
        self._tainted: dict[str, list[Json]] = {}
        self.pods = self.informers[kinds.PODS]
        self.pods.add_index("node", by_node)
        self.nodes = self.watch(kinds.NODES, self._node, self._node_changed, self._node_gone)
        self.watch(kinds.PODS, self._pod, self._pod_changed, self._pod_gone)

    async def stop(self) -> None:
        for eviction in self._evictions.values():
            if eviction.timer is not None:
                eviction.timer.cancel()
        self._evictions.clear()
        await super().stop()

    async def sync(self, key: Key) -> None:
        """The pod's time is over."""
        if self._evictions.pop(key, None) is None:
            return
        self._say(key, f"Marking for deletion Pod {key[0]}/{key[1]}")
        now = rfc3339(self.clock.time())

        def marked(pod: Json) -> Json | None:
            if has_condition(pod, "DisruptionTarget"):
                return None
            target = {
                "type": "DisruptionTarget",
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": now,
                "reason": REASON,
                "message": MESSAGE,
            }
            conditions = with_condition(status_of(pod).get("conditions"), target)
            return {**pod, "status": {**status_of(pod), "conditions": conditions}}

        try:
            await self.client.modify(kinds.PODS, *key, marked, subresource="status")
            await self.client.delete(kinds.PODS, *key)
        except NotFound:
            pass
        except Exception:
            self._evictions[key] = _Eviction(self.clock.time(), None)  # the retry shall not find it called off
            raise

    # nodes

    def _node(self, node: Json) -> None:
        self._taints_changed(node)

    def _node_changed(self, old: Json, new: Json) -> None:
        if _evicting(old) != _evicting(new):
            self._taints_changed(new)

    def _node_gone(self, node: Json) -> None:
        self._tainted.pop(name_of(node), None)

    def _taints_changed(self, node: Json) -> None:
        taints = _evicting(node)
        if taints:
            self._tainted[name_of(node)] = taints
        elif self._tainted.pop(name_of(node), None) is None:
            return
        for pod in self.pods.by_index("node", name_of(node)):
            self._weigh(pod, taints)

    # pods

    def _pod(self, pod: Json) -> None:
        taints = self._tainted.get(spec_of(pod).get("nodeName", ""))
        if taints:
            self._weigh(pod, taints)

    def _pod_changed(self, old: Json, new: Json) -> None:
        before, after = spec_of(old), spec_of(new)
        if before is after:
            return  # only its status is another, as mostly
        if before.get("nodeName") != after.get("nodeName") or before.get("tolerations") != after.get("tolerations"):
            self._pod(new)

    def _pod_gone(self, pod: Json) -> None:
        self._cancel(key_of(pod))

    def _weigh(self, pod: Json, taints: list[Json]) -> None:
        key = key_of(pod)
        seconds = stay(pod, taints) if taints else None
        if seconds is None:
            self._cancel(key)
            return
        now = self.clock.time()
        running = self._evictions.get(key)
        since = now
        if seconds and running is not None:
            since = running.since
            if since + seconds < now + seconds:
                return  # a new taint of the same kind does not buy it more time
        if running is not None and not seconds and running.timer is None:
            return
        self._cancel(key)
        timer = self.clock.call_later(since + seconds - now, self._due, key) if seconds else None
        self._evictions[key] = _Eviction(since, timer)
        if timer is None:
            self.queue.add(key)

    def _due(self, key: Key) -> None:
        self._evictions[key].timer = None
        self.queue.add(key)

    def _cancel(self, key: Key) -> None:
        eviction = self._evictions.pop(key, None)
        if eviction is None:
            return
        if eviction.timer is not None:
            eviction.timer.cancel()
        self._say(key, f"Cancelling deletion of Pod {key[0]}/{key[1]}")

    def _say(self, key: Key, message: str) -> None:
        about = {"kind": "Pod", "namespace": key[0], "name": key[1], "apiVersion": "v1"}
        self.recorder.event(about, "Normal", "TaintManagerEviction", message)


def _evicting(node: Json) -> list[Json]:
    return [taint for taint in taints_of(node) if taint["effect"] == "NoExecute"]

"""The node lifecycle controller's loop (``pkg/controller/nodelifecycle``).

Every five seconds it looks at every node. A silent one gets conditions ``Unknown``, which at once bring the taints that
keep new pods away; the taints that evict pods (``NoExecute``) are given out at the pace of the zone rule.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client.index import by_node
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.nodelifecycle.health import Health, is_silent, observed, with_unknown
from labkit.embedded.kubernetes.controllers.nodelifecycle.taints import (
    NOT_READY,
    UNREACHABLE,
    Taint,
    has_taint,
    no_schedule,
    swapped,
)
from labkit.embedded.kubernetes.controllers.nodelifecycle.zones import Zones, zone_of
from labkit.embedded.kubernetes.errors import Conflict, NotFound
from labkit.embedded.kubernetes.objects import (
    Json,
    condition_of,
    edited,
    is_pod_ready,
    key_of,
    labels_of,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from labkit.embedded.kubernetes.times import rfc3339

MONITOR_SECONDS = 5.0  # --node-monitor-period
EVICTION_SECONDS = 0.1  # NodeEvictionPeriod: how often nodes are given up, if the limiter lets one
LEASES = "kube-node-lease"
EXCLUDED = "node.kubernetes.io/exclude-disruption"

# The old names of two labels, which are still kept equal to the new ones.
LABELS = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}

EVICTING: dict[str, Taint] = {"False": (NOT_READY, "NoExecute"), "Unknown": (UNREACHABLE, "NoExecute")}


class NodeLifecycleController(Controller):
    name: ClassVar[str] = "node-lifecycle-controller"
    source: ClassVar[str] = "node-controller"

    def setup(self) -> None:
        self._known: dict[str, Json] = {}
        self._health: dict[str, Health] = {}
        self._retry: set[str] = set()  # nodes whose pods could not all be marked
        self._zones = Zones()
        self._doomed: dict[str, dict[str, None]] = {}  # by zone: nodes that await the taint that evicts
        self._wake = asyncio.Event()
        self.leases = self.informers[kinds.LEASES]
        self.pods = self.watch(kinds.PODS, self._pod, self._pod_changed)
        self.pods.add_index("node", by_node)
        self.nodes = self.watch(kinds.NODES, self._node, lambda _, new: self._node(new))

    async def begin(self) -> None:
        self.spawn(self.every(MONITOR_SECONDS, self.monitor), "monitors")
        self.spawn(self._evict(), "evicts")

    # what follows from a node's state at once -------------------------------------------------------------------

    def _node(self, node: Json) -> None:
        self.queue.add(("", name_of(node)))

    def _pod(self, pod: Json) -> None:
        if is_pod_ready(pod) and self._is_unready(spec_of(pod).get("nodeName", "")):
            self.queue.add(key_of(pod))

    def _pod_changed(self, old: Json, new: Json) -> None:
        if spec_of(old).get("nodeName") != spec_of(new).get("nodeName"):
            self._pod(new)

    def _is_unready(self, name: str) -> bool:
        node = self.nodes.get("", name) if name in self._health else None
        return node is not None and (condition_of(node, "Ready") or {}).get("status") in ("False", "Unknown")

    async def sync(self, key: tuple[str, str]) -> None:
        namespace, name = key
        if namespace:
            pod = self.pods.get(namespace, name)
            if pod is not None and self._is_unready(spec_of(pod).get("nodeName", "")):
                await self._mark(pod)
            return
        node = self.nodes.get("", name)
        if node is None:
            return
        add, remove = no_schedule(node)
        if add or remove:
            await self._taint(name, add, remove)
        if _labels(node):
            await self._modify(name, _with_labels)

    # what follows from silence ------------------------------------------------------------------------------------

    async def monitor(self) -> None:
        """One round: who is silent, and what state the zones are in."""
        now = self.clock.time()
        nodes = list(self.nodes.objects())
        self._notice(nodes)
        ready: dict[str, list[bool]] = {}
        for node in nodes:
            try:
                is_ready = await self._look(node, now)
            except (Conflict, NotFound):
                continue  # it changed meanwhile: next round
            if EXCLUDED not in labels_of(node):
                ready.setdefault(zone_of(node), []).append(is_ready)
        match self._zones.observe(ready, now):
            case "enter":
                self.log.info("all nodes are not ready: nothing is evicted")
                for node in nodes:
                    await self._reachable(node)
            case "leave":
                for health in self._health.values():
                    health.at = now
        self._wake.set()

    def _notice(self, nodes: list[Json]) -> None:
        """Say which nodes are new and which are gone."""
        names = set()
        for node in nodes:
            name = name_of(node)
            names.add(name)
            if name not in self._known:
                self._say(node, "RegisteredNode", f"Registered Node {name} in Controller")
            self._known[name] = node
        for name in [name for name in self._known if name not in names]:
            node = self._known.pop(name)
            self._say(node, "RemovingNode", f"Removing Node {name} from Controller")
            self._health.pop(name, None)
            self._retry.discard(name)
            self._doomed.get(zone_of(node), {}).pop(name, None)

    async def _look(self, node: Json, now: float) -> bool:
        """Bring one node's conditions up to date; returns whether it is ready."""
        name = name_of(node)
        health = observed(self._health.get(name), node, self.leases.get(LEASES, name), now)
        self._health[name] = health
        before = (condition_of(node, "Ready") or {"status": "Unknown"})["status"]
        if is_silent(health, node, now) and (changed := with_unknown(node, now)) is not None:
            node = await self.client.update_status(kinds.NODES, changed)
        current = condition_of(node, "Ready")
        if current is None:
            return False
        await self._doom(node, before)
        after = current["status"]
        if before == "True" and after != "True":
            self.recorder.event(_reference(node), "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
            self._retry.add(name)
        if name in self._retry and after != "True":
            for pod in self.pods.by_index("node", name):
                await self._mark(pod)
        self._retry.discard(name)
        return bool(after == "True")

    async def _doom(self, node: Json, ready: str) -> None:
        """Have the node lose its pods, or not, by what its Ready condition was before this round."""
        taint = EVICTING.get(ready)
        if taint is None:
            await self._reachable(node)
            return
        other = EVICTING["Unknown" if ready == "False" else "False"]
        if has_taint(node, *taint):
            return
        if has_taint(node, *other):  # it was given up already, only the reason is another one
            await self._taint(name_of(node), [taint], [other])
            return
        self._zones.limiter(zone_of(node), self.clock.time())
        self._doomed.setdefault(zone_of(node), {})[name_of(node)] = None

    async def _reachable(self, node: Json) -> None:
        self._doomed.get(zone_of(node), {}).pop(name_of(node), None)
        gone = [taint for taint in EVICTING.values() if has_taint(node, *taint)]
        if gone:
            await self._taint(name_of(node), [], gone)

    async def _mark(self, pod: Json) -> None:
        """A pod of a node that is not heard of counts as not ready: nobody shall send it anything."""
        uid = uid_of(pod)
        now = rfc3339(self.clock.time())

        def unready(pod: Json) -> Json | None:
            if uid_of(pod) != uid or not is_pod_ready(pod):
                return None
            conditions = [
                {**c, "status": "False", "lastTransitionTime": now} if c["type"] == "Ready" else c
                for c in status_of(pod)["conditions"]
            ]
            return {**pod, "status": {**status_of(pod), "conditions": conditions}}

        if not is_pod_ready(pod):
            return
        try:
            marked = await self.client.modify(kinds.PODS, *key_of(pod), unready, subresource="status")
        except NotFound:
            return
        if uid_of(marked) == uid:
            self.recorder.event(marked, "Warning", "NodeNotReady", "Node is not ready")

    # giving nodes up ------------------------------------------------------------------------------------------------

    async def _evict(self) -> None:
        """Put the taints that evict on doomed nodes, at each zone's pace."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while any(doomed and self._zones.limiter(zone, 0.0).rate for zone, doomed in self._doomed.items()):
                for zone, doomed in list(self._doomed.items()):
                    for name in list(doomed):
                        if not self._zones.limiter(zone, self.clock.time()).take(self.clock.time()):
                            break
                        doomed.pop(name, None)
                        await self._give_up(name)
                await self.clock.sleep(EVICTION_SECONDS)

    async def _give_up(self, name: str) -> None:
        node = self.nodes.get("", name)
        taint = EVICTING.get((condition_of(node, "Ready") or {}).get("status", "")) if node is not None else None
        if taint is None:
            return
        other = EVICTING["False" if taint[0] == UNREACHABLE else "Unknown"]
        try:
            await self._taint(name, [taint], [other])
        except Exception as error:
            self.log.debug("node %s was not given up: %s", name, error)  # the next round dooms it again

    # writing --------------------------------------------------------------------------------------------------------

    async def _taint(self, name: str, add: list[Taint], remove: list[Taint]) -> None:
        now = self.clock.time()
        await self._modify(name, lambda node: swapped(node, add, remove, now))

    async def _modify(self, name: str, change: Any) -> None:
        try:
            await self.client.modify(kinds.NODES, "", name, change)
        except NotFound:
            pass

    def _say(self, node: Json, reason: str, words: str) -> None:
        self.recorder.event(_reference(node), "Normal", reason, f"Node {name_of(node)} event: {words}")


def _reference(node: Json) -> Json:
    """What node events are about: a reference without version, as the real controller makes it."""
    return {"kind": "Node", "name": name_of(node), "uid": uid_of(node), "apiVersion": "v1"}


def _labels(node: Json) -> dict[str, str]:
    """Labels that the node lacks or has wrong."""
    labels = labels_of(node)
    return {old: labels[new] for new, old in LABELS.items() if new in labels and labels.get(old) != labels[new]}


def _with_labels(node: Json) -> Json | None:
    missing = _labels(node)
    if not missing:
        return None
    node = edited(node)
    node["metadata"]["labels"] = {**labels_of(node), **missing}
    return node

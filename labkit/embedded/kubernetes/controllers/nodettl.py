"""The TTL controller: tells kubelets by an annotation how long they may keep Secrets and ConfigMaps.

``pkg/controller/ttl``: the more nodes, the longer, so that they do not ask too often. Nodes that come and go around a
limit do not make it jump: each step begins later than the one before it ends.
"""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.objects import Json, annotations_of, name_of

TTL = "node.alpha.kubernetes.io/ttl"

# Least and most nodes of each step, and its seconds.
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 1 << 31, 300))


def step_for(step: int, nodes: int) -> int:
    """The step that so many nodes lead to, from the one that holds now."""
    while nodes > STEPS[step][1]:
        step += 1
    while nodes < STEPS[step][0]:
        step -= 1
    return step


class TTLController(Controller):
    name: ClassVar[str] = "ttl-controller"

    def setup(self) -> None:
        self._step = 0
        self.nodes = self.watch(kinds.NODES, self._came, lambda _, new: self._look(new), lambda _: self._count())

    def _came(self, node: Json) -> None:
        self._count()
        self._look(node)

    def _count(self) -> None:
        self._step = step_for(self._step, len(self.nodes.cache))

    def _look(self, node: Json) -> None:
        # Most of what is heard of a node is its heartbeat.
        if annotations_of(node).get(TTL) != self._seconds():
            self.queue.add(name_of(node))

    def _seconds(self) -> str:
        return str(STEPS[self._step][2])

    async def sync(self, key: str) -> None:
        node = self.nodes.get("", key)
        if node is None or annotations_of(node).get(TTL) == self._seconds():
            return
        change: Json = {"metadata": {"annotations": {TTL: self._seconds()}}}
        try:
            await self.client.patch(kinds.NODES, "", key, "application/strategic-merge-patch+json", change)
        except NotFound:
            pass

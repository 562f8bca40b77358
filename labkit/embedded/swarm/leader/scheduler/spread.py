"""Which of the nodes that will do: spread by preferences, then by the service's tasks, then by all tasks.

SwarmKit: ``manager/scheduler/{nodeset,decision_tree,scheduler}.go``. Pure: node infos in, node ids out; the infos are
charged with what is placed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.embedded.swarm.leader.constraint import ENGINE_LABELS, NODE_LABELS, label
from labkit.embedded.swarm.leader.scheduler.filters import Pipeline
from labkit.embedded.swarm.leader.scheduler.nodeinfo import Failures, NodeInfo
from labkit.embedded.swarm.objects import Node, Task


@dataclass(slots=True)
class Branch:
    """A set of nodes that share values of the preferences so far; a leaf has them, others have branches."""

    tasks: int = 0  # of the service, in all of it
    branches: dict[str, Branch] = field(default_factory=dict)
    nodes: list[NodeInfo] = field(default_factory=list)


def place(tasks: list[Task], nodes: Iterable[NodeInfo], failures: Failures, now: float) -> dict[str, str]:
    """Node ids by task id, for tasks of one service and spec. A task that is missing found no place.

    Charges the node infos with the tasks that it places.
    """
    if not tasks:
        return {}
    placer = _Placer(tasks, failures, now)
    placer.fill(_tree(tasks[0], nodes, placer.pipeline), len(tasks))
    return placer.placed


def preferences(task: Task) -> list[str]:
    """The spread descriptors that are understood: labels of nodes and of engines."""
    wanted = (task.spec.get("Placement") or {}).get("Preferences") or ()
    spreads = [str((preference.get("Spread") or {}).get("SpreadDescriptor", "")) for preference in wanted]
    return [spread for spread in spreads if _prefix(spread)]


def _prefix(descriptor: str) -> str:
    lowered = descriptor.lower()
    return next((p for p in (NODE_LABELS, ENGINE_LABELS) if lowered.startswith(p) and len(descriptor) > len(p)), "")


def _value(node: Node, descriptor: str) -> str:
    """A node without the label forms a branch with the others that lack it."""
    prefix = _prefix(descriptor)
    return label(node, prefix, descriptor[len(prefix) :])


def _tree(task: Task, nodes: Iterable[NodeInfo], pipeline: Pipeline) -> Branch:
    root = Branch()
    descriptors = preferences(task)
    for info in nodes:
        count = info.per_service[task.service_id]
        branch = root
        branch.tasks += count
        for descriptor in descriptors:
            branch = branch.branches.setdefault(_value(info.node, descriptor), Branch())
            branch.tasks += count
        if pipeline.allows(info):
            branch.nodes.append(info)
    return root


class _Placer:
    def __init__(self, tasks: list[Task], failures: Failures, now: float) -> None:
        self.pipeline = Pipeline(tasks[0])
        self.placed: dict[str, str] = {}
        self._sample = tasks[0]
        self._left = iter(tasks)
        self._failures = failures
        self._now = now

    def fill(self, branch: Branch, count: int) -> int:
        """Place up to ``count`` tasks in the branch; returns how many found room."""
        if not branch.branches:
            return self._fill_leaf(branch, count)
        # Share out until the branches are even; what one has no room for goes to the others.
        placed = 0
        open_branches = list(branch.branches.values())
        while placed < count and open_branches:
            settled = sum(sub.tasks for sub in open_branches)
            level, extra = divmod(settled + count - placed, len(open_branches))
            for sub in list(open_branches):
                wanted = level - sub.tasks + (1 if extra > 0 else 0)
                wanted = min(wanted, count - placed)
                if wanted <= 0:
                    continue
                got = self.fill(sub, wanted)
                placed += got
                if got < wanted:
                    open_branches.remove(sub)
                elif extra > 0:
                    extra -= 1
        branch.tasks += placed
        return placed

    def _fill_leaf(self, branch: Branch, count: int) -> int:
        heap = [(self._rank(info), order, info) for order, info in enumerate(branch.nodes)]
        heapq.heapify(heap)
        placed = 0
        while heap and placed < count:
            _, order, info = heapq.heappop(heap)
            if not self.pipeline.allows(info):
                continue  # full: what is placed only ever takes room away
            task = next(self._left)
            info.add(task)
            self.placed[task.id] = info.node.id
            placed += 1
            heapq.heappush(heap, (self._rank(info), order, info))
        branch.tasks += placed
        return placed

    def _rank(self, info: NodeInfo) -> tuple[int, int, int]:
        """Least is best: failures, then tasks of this service, then tasks of all."""
        failures = self._failures.weight(info.node.id, self._sample, self._now)
        return (failures, info.per_service[self._sample.service_id], info.total)

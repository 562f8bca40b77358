"""Sums over tasks that are kept up to date with what changed, so that a frame never walks over every task."""

from __future__ import annotations

from collections import defaultdict

from labkit.model import Resources, State, Task

Counts = list[int]  # tasks by State


class Tally:
    """Tasks by state and what they have reserved, per node, per workload and per pair of both."""

    def __init__(self) -> None:
        self.reserved: dict[str, Resources] = {}
        self.living: dict[str, int] = defaultdict(int)  # by node
        self.pairs: dict[tuple[str, str], Counts] = defaultdict(lambda: [0] * len(State))  # (node, workload)

    def change(self, old: Task | None, new: Task | None) -> None:
        """A task came (``old`` is None), went (``new`` is None) or changed."""
        if old is not None:
            self._add(old, -1)
        if new is not None:
            self._add(new, +1)

    def _add(self, task: Task, sign: int) -> None:
        self.pairs[task.node, task.workload][task.state] += sign
        if task.node and task.state.alive:
            self.living[task.node] += sign
            was = self.reserved.get(task.node, Resources())
            mine = task.reserved
            # Rounded: floats that are added and taken away for hours would drift off zero.
            self.reserved[task.node] = Resources(round(was.cpus + sign * mine.cpus, 6), was.memory + sign * mine.memory)


def common_state(counts: Counts) -> State | None:
    """One state for many tasks: that of most which live, in doubt the one that needs an eye; None when none lives."""
    living = [state for state in State if state.alive and counts[state]]
    return max(living, key=lambda state: (counts[state], state is not State.RUNNING), default=None)

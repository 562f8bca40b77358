"""The live graph: what a change of ten tasks costs in a picture of a thousand, on the Python side and on the wire."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.comms import listening
from support.simulated import SimulatedSwarm, big

from labkit.model import Snapshot, State
from labkit.topology.fading import FADE
from labkit.topology.renderer import FigureRenderer
from labkit.topology.scene import Scene

TASKS, NODES, CHANGED, ROUNDS = 1000, 20, 10, 60

Row = tuple[str, float, str, str]


def change(swarm: SimulatedSwarm, previous: Snapshot, turn: int) -> Snapshot:
    """Ten tasks fail and their replacements start, each on the next node."""
    tasks = dict(previous.tasks)
    living = [t for t in tasks.values() if t.state.alive]
    for task in living[turn * 17 % 900 :][:CHANGED]:
        tasks[task.id] = replace(task, state=State.FAILED, wanted=False, message="task: non-zero exit (1)")
        swarm.count += 1
        new = f"t{swarm.count:05d}"
        node = f"n{(int(task.node[1:]) + 1) % NODES}"
        tasks[new] = replace(task, id=new, node=node, state=State.STARTING)
    dead = [t.id for t in tasks.values() if not t.state.alive]
    for key in dead[: -4 * CHANGED]:  # the orchestrator forgets the oldest
        del tasks[key]
    running = Counter(t.workload for t in tasks.values() if t.state is State.RUNNING)
    workloads = {key: replace(w, running=running[key] - turn % 2) for key, w in previous.workloads.items()}
    return replace(previous, at=previous.at + 1, tasks=tasks, workloads=workloads)


def measure() -> list[Row]:
    """(name, value, unit, goal) for the table."""
    from labkit.widgets.figurewidget import GraphWidget

    swarm = big(TASKS, NODES)
    with listening() as wire:
        scene = Scene()
        snapshot = swarm.snapshot(None)
        scene.update(snapshot, 0.0)
        renderer = FigureRenderer(GraphWidget(scene, "light"), scene)
        spent, sent, moved = [], [], 0  # CPU time: the goal is of the code, not of a busy machine
        now = 0.0
        for turn in range(ROUNDS):
            later = change(swarm, snapshot, turn)
            now += FADE + 1 if turn == 0 else 0.25
            before = {key: (int(scene.layout.x[s.point]), int(scene.layout.y[s.point]))
                      for key, s in scene.layout.occupants()}  # fmt: skip
            wire.clear()
            began = time.thread_time()
            renderer.update(scene.update(later, now))
            spent.append((time.thread_time() - began) * 1e3)
            sent.append(wire.bytes)
            after = {key: (int(scene.layout.x[s.point]), int(scene.layout.y[s.point]))
                     for key, s in scene.layout.occupants()}  # fmt: skip
            moved += sum(after[key] != place for key, place in before.items() if key in after)
            snapshot = later
    what = f"graph of {TASKS:,} tasks, {CHANGED} fail and are replaced"
    return [
        (f"{what}: Python", statistics.median(spent), "ms", "≤ 2"),
        (f"{what}: sent", statistics.median(sent) / 1024, "KB", "≤ 5"),
        (f"{what}: tasks that moved", float(moved), "", "0"),
    ]


if __name__ == "__main__":
    for name, value, unit, goal in measure():
        print(f"{name:<60} {value:8.2f} {unit:<3} goal {goal}")

"""What labs/mesos/13-frameworks-side-by-side measures: dominant shares, weights, what is free, and the batch jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from labkit.guide import Context
from labkit.orchestrators.marathon.reading import dominant, totals

from .common import Json, framework, mesos, running

MARATHON, BATCH = "marathon", "batch"  # as the two frameworks call themselves
TIMEOUT = 4.0  # seconds for one question

CACHE: Mapping[str, float] = {"cpus": 0.5, "mem": 2000}
MAP: Mapping[str, float] = {"cpus": 0.5, "mem": 32}

EMBEDDED_ONLY = {
    "docker": "The batch framework is part of the embedded engine: on real Mesos this step needs a second framework "
    "of your own that is called `batch`. The next lab writes one.",
    "attached": "This step needs a second framework that is called `batch`, and leave to disturb this cluster.",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A framework's bar: its dominant share, of which resource, and how many tasks make it."""

    share: float
    resource: str
    tasks: int

    def __str__(self) -> str:
        return f"{self.share:.0%} ({self.resource})" if self.resource else "0 %"


def bar(context: Context, name: str) -> Bar:
    """What the framework of that name holds now, offers not counted; an empty bar when there is none."""
    state = mesos(context).state()
    mine = [one for one in state["frameworks"] if one["name"] == name]
    if not mine:
        return Bar(0.0, "", 0)
    newest = max(mine, key=lambda one: float(one.get("registered_time") or 0))
    share, resource = dominant(newest.get("used_resources") or {}, totals(state))
    return Bar(share, resource, len(running(newest)))


def level(total: Mapping[str, float], tasks: Sequence[Mapping[str, float]], weights: Sequence[float]) -> list[int]:
    """How many tasks each framework gets when all want more than there is, given one at a time.

    As the paper has it (Ghodsi and others, “Dominant Resource Fairness”, NSDI 2011, algorithm 1): the next task goes to
    the one whose dominant share, divided by its weight, is the smallest; it ends when that one's task does not fit.
    """
    counts = [0] * len(tasks)
    left = dict(total)
    shares = [max(task[key] / total[key] for key in task) for task in tasks]
    while True:
        held = [count * share / weight for count, share, weight in zip(counts, shares, weights, strict=True)]
        turn = held.index(min(held))
        if any(amount > left[key] + 1e-9 for key, amount in tasks[turn].items()):
            return counts
        counts[turn] += 1
        left = {key: amount - tasks[turn].get(key, 0.0) for key, amount in left.items()}


def fair(context: Context, weight: float = 1.0) -> tuple[int, int]:
    """Tasks of ``/cache`` and map tasks when the shares are level; ``weight`` is that of Marathon's role."""
    all_there = totals(mesos(context).state())
    total = {key: all_there[key] for key in ("cpus", "mem")}
    caches, maps = level(total, (CACHE, MAP), (weight, 1.0))
    return caches, maps


def weight_of(context: Context, name: str) -> float:
    """The weight of the role of that framework."""
    found = framework(context, name)
    roles = (found or {}).get("roles") or ["*"]
    return next((float(r.get("weight", 1.0)) for r in mesos(context).roles() if r["name"] == roles[0]), 1.0)


def room(context: Context, task: Mapping[str, float]) -> int:
    """How many such tasks would fit into what nobody holds."""
    fits = 0
    for slave in mesos(context).slaves():
        used = slave.get("used_resources") or {}
        left = {key: float(slave["resources"][key]) - float(used.get(key) or 0.0) for key in task}
        fits += min(int(left[key] / amount + 1e-9) for key, amount in task.items())
    return fits


def jobs(context: Context) -> list[Json]:
    """What the batch framework has been asked to do; nothing where it cannot be asked."""
    url = context.sandbox.env.get("BATCH_URL")
    if not url:
        return []
    found: list[Json] = requests.get(f"{url}/jobs", timeout=TIMEOUT).json()["jobs"]
    return found


def job(context: Context, name: str) -> Json | None:
    """The newest job of that name."""
    return next((one for one in reversed(jobs(context)) if one["name"] == name), None)


def ids(tasks: Sequence[Json]) -> list[str]:
    return sorted(str(task["id"]) for task in tasks)


def lives(framework_json: Json | None) -> bool:
    """Whether it is registered, and its scheduler is on the line."""
    return framework_json is not None and bool(framework_json["active"]) and bool(framework_json["connected"])


def set_weights(context: Context, **weights: float) -> None:
    """Of Marathon's role and of the batch framework's: ``set_weights(context, marathon=1, batch=1)``."""
    rows: list[dict[str, Any]] = []
    for name, weight in weights.items():
        found = framework(context, name)
        role = ((found or {}).get("roles") or ["*" if name == MARATHON else name])[0]
        rows.append({"role": role, "weight": weight})
    mesos(context).send("PUT", "/weights", rows)

"""What lab 13 teaches, measured: Marathon and the batch framework on one embedded Mesos, and how their shares shift."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from support.until import until

import labkit
from labkit.guide import load_lab

Json = dict[str, Any]

CACHE = {"cpus": 0.5, "mem": 2000.0}
MAP = {"cpus": 0.5, "mem": 32.0}


def level(*given: Any) -> list[int]:
    """The lab's own calculation."""
    lab = load_lab("mesos/13-frameworks-side-by-side")
    found: list[int] = sys.modules[f"{lab.steps[0].check.__module__.rpartition('.')[0]}.frameworks_sharing"].level(
        *given
    )
    return found


def test_the_example_of_the_paper() -> None:
    """9 CPUs and 18 GB; tasks of <1 CPU, 4 GB> and <3 CPUs, 1 GB>: three of the one and two of the other."""
    tasks = ({"cpus": 1, "mem": 4}, {"cpus": 3, "mem": 1})
    assert level({"cpus": 9, "mem": 18}, tasks, (1, 1)) == [3, 2]


def test_the_numbers_of_the_lab() -> None:
    total = {"cpus": 12.0, "mem": 3 * 8192.0}
    assert level(total, (CACHE, MAP), (1, 1)) == [8, 16]
    assert level(total, (CACHE, MAP), (2, 1)) == [12, 12]


@dataclass(frozen=True)
class Look:
    """Tasks and dominant shares at one moment."""

    caches: int
    maps: int
    marathon: float
    batch: float


class Pair:
    """Both frameworks, as a person sees them."""

    def __init__(self, sandbox: labkit.Sandbox) -> None:
        self.client = sandbox.client
        self.batch = sandbox.env["BATCH_URL"]

    def job(self, **spec: Any) -> None:
        requests.post(f"{self.batch}/jobs", json={"cpus": 0.5, "mem": 32, **spec}, timeout=5).raise_for_status()

    def weigh(self, role: str, weight: float) -> None:
        self.client.mesos.send("PUT", "/weights", [{"role": role, "weight": weight}])

    def look(self) -> Look:
        state = self.client.mesos.state()
        total = {kind: sum(agent["resources"][kind] for agent in state["slaves"]) for kind in ("cpus", "mem")}
        found = {framework["name"]: framework for framework in state["frameworks"]}
        for kind in total:  # nothing is given twice
            given = sum(f["used_resources"][kind] + f["offered_resources"][kind] for f in found.values())
            assert given <= total[kind] + 1e-6
        shares = {name: max(f["used_resources"][kind] / total[kind] for kind in total) for name, f in found.items()}
        tasks = {name: len(f["tasks"]) for name, f in found.items()}
        return Look(tasks["marathon"], tasks["batch"], shares["marathon"], shares["batch"])

    def maps(self) -> set[str]:
        """The map tasks that run, by their ids."""
        [batch] = [one for one in self.client.mesos.state()["frameworks"] if one["name"] == "batch"]
        return {task["id"] for task in batch["tasks"]}

    def turn(self) -> None:
        """Waits until every map task of now has ended: each of their places was offered to somebody since."""
        before = self.maps()
        until(lambda: not before & self.maps(), 60, "the map tasks of then have ended")

    def average(self, looks: int = 15) -> Look:
        """Map tasks come and go, so one look is none: the average of a time, which is one and a half seconds."""
        seen = []
        for _ in range(looks):
            seen.append(self.look())
            time.sleep(0.1)  # not a wait for anything: looks at one moment would be one look
        return Look(
            round(sum(one.caches for one in seen) / looks),
            round(sum(one.maps for one in seen) / looks),
            sum(one.marathon for one in seen) / looks,
            sum(one.batch for one in seen) / looks,
        )


@pytest.fixture
def pair() -> Iterator[Pair]:
    sandbox = labkit.up("marathon", engine="embedded", name="shares", speed=4, masters=1, agents=3)
    try:
        yield Pair(sandbox)
    finally:
        sandbox.down()


def test_shares_shift_as_drf_has_it(pair: Pair) -> None:
    cache = {"id": "/cache", "cmd": "sleep 100000", "instances": 3, **CACHE}
    cache["container"] = {"type": "DOCKER", "docker": {"image": "busybox:1.36"}}
    pair.client.create(cache)
    until(lambda: pair.look().caches == 3)
    assert pair.client.settled(10), "its deployment is to be over before the next one"
    assert pair.look().marathon == pytest.approx(3 * 2000 / (3 * 8192))

    # Alone in wanting more, batch takes all that is free.
    pair.job(maps=10000, seconds=12, spread=0.5)
    until(lambda: pair.look().maps == 21)
    assert pair.look().batch == pytest.approx(21 * 0.5 / 12)

    # Both want more: their dominant shares meet, and no task is ended for it.
    pair.client.scale("/cache", 30)
    until(lambda: pair.look().caches >= 7, 60)
    pair.turn()
    met = pair.average()
    assert abs(met.caches - 8) <= 2, met
    assert abs(met.marathon - met.batch) < 0.25, met
    ended = next(f for f in pair.client.mesos.state()["frameworks"] if f["name"] == "batch")["completed_tasks"]
    assert {task["state"] for task in ended} == {"TASK_FINISHED"}

    # A weight of two: twice the share.
    pair.weigh("*", 2)
    until(lambda: pair.look().caches >= 11, 60)
    heavy = pair.average()
    assert 1.6 < heavy.marathon / heavy.batch < 2.8, heavy

    # And what is held is not taken back.
    pair.weigh("*", 1)
    pair.turn()
    assert pair.average().caches >= heavy.caches

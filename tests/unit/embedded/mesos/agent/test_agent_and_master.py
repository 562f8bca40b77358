"""An agent with the real master: a task's whole way, and what outlives the leader and the agent."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from labkit.embedded.mesos.agent.agent import Agent
from labkit.embedded.mesos.agent.options import for_machine
from labkit.embedded.mesos.driver import SchedulerDriver
from labkit.embedded.mesos.libprocess import Post
from labkit.embedded.mesos.master import Master
from labkit.embedded.mesos.master import Options as MasterOptions
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.machines import GIB, Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage
from labkit.embedded.zookeeper import Detector, Ensemble

Json = dict[str, Any]


class Cluster:
    """Two masters behind one ZooKeeper, an agent, and a framework that takes every offer it has a task for."""

    async def open(self, work_dir: Path) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.network = await Network.open(self.fleet, self.clock)
        for number, name in enumerate(("master-1", "master-2", "agent-1")):
            address = self.network.machine_address(number)
            self.fleet.add(Machine(name=name, address=address, cpus=64, memory=256 * GIB))
        self.post = Post(self.fleet, self.clock)
        self.storage = Storage()
        rng = random.Random(1)
        self.ensemble = Ensemble(self.fleet, self.clock, self.storage, ["master-2"], rng)
        await self.ensemble.start("master-2")
        options = MasterOptions(quorum=1)
        self.masters = {
            name: Master(name, self.post, self.fleet, self.clock, self.storage, self.ensemble, options, rng)
            for name in ("master-1", "master-2")
        }
        await self.masters["master-1"].start()
        await self.clock.advance(1)
        await self.masters["master-2"].start()
        self.agent = Agent(
            "agent-1", self.post, self.fleet, self.clock, self.network, Catalogue(), self.storage, self.ensemble,
            for_machine(self.fleet.machine("agent-1"), 1, work_dir, rng=rng),
        )  # fmt: skip
        await self.agent.start()
        self.waiting: list[Json] = []
        self.states: dict[str, list[str]] = {}
        detector = Detector(self.ensemble.session("master-2"), "/mesos")
        info = {"name": "test", "user": "me", "checkpoint": True, "failover_timeout": 3600.0, "roles": ["*"]}
        info["capabilities"] = [{"type": "MULTI_ROLE"}]
        self.driver = SchedulerDriver(
            "master-2", self.fleet, self.clock, lambda: self.masters, detector, info, self.received
        )
        await self.driver.start()

    def received(self, event: Json) -> None:
        if event["type"] == "UPDATE":
            status = event["update"]["status"]
            known = self.states.setdefault(status["task_id"]["value"], [])
            if known[-1:] != [status["state"]]:
                known.append(status["state"])
            if "uuid" in status:
                fields = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
                self.driver.call({"type": "ACKNOWLEDGE", "acknowledge": fields})
        elif event["type"] == "OFFERS":
            for offer in event["offers"]["offers"]:
                tasks, self.waiting = self.waiting, []
                infos = [{**one, "agent_id": offer["agent_id"]} for one in tasks]
                launch = [{"type": "LAUNCH", "launch": {"task_infos": infos}}] if infos else []
                accept = {"offer_ids": [offer["id"]], "operations": launch, "filters": {"refuse_seconds": 0.5}}
                self.driver.call({"type": "ACCEPT", "accept": accept})

    def run(self, task_id: str, **more: Any) -> None:
        amounts = {"cpus": 0.01, "mem": 32}
        resources = [{"name": name, "type": "SCALAR", "scalar": {"value": many}} for name, many in amounts.items()]
        self.waiting.append({"name": task_id, "task_id": {"value": task_id}, "resources": resources, **more})

    async def until(self, look: Any, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, self.states
            await self.clock.advance(0.1)

    async def close(self) -> None:
        await self.driver.stop()
        await self.agent.close()
        for master in self.masters.values():
            await master.stop()
        for name in ("master-2",):
            await self.ensemble.stop(name)
        self.post.close()
        await self.network.close()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster()
    await made.open(tmp_path)
    await made.until(lambda: made.agent.registered and made.driver.connected)
    yield made
    await made.close()


IMAGE = {
    "command": {"shell": True, "value": "sleep 10000"},
    "container": {"type": "DOCKER", "docker": {"image": "busybox", "network": "BRIDGE"}},
}


async def test_a_tasks_whole_way(cluster: Cluster) -> None:
    cluster.run("real", command={"value": "exit 3"})
    cluster.run("image", **IMAGE)
    await cluster.until(lambda: cluster.states.get("real", [])[-1:] == ["TASK_FAILED"])
    assert cluster.states["real"] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    await cluster.until(lambda: cluster.states.get("image") == ["TASK_STARTING", "TASK_RUNNING"])
    kill = {"task_id": {"value": "image"}, "agent_id": {"value": cluster.agent.id}}
    cluster.driver.call({"type": "KILL", "kill": kill})
    await cluster.until(lambda: cluster.states["image"][-1] == "TASK_KILLED")
    await cluster.until(lambda: not cluster.agent.runs())


async def test_tasks_outlive_the_leader_and_the_agents_restart(cluster: Cluster) -> None:
    cluster.run("t1", command={"value": "sleep 1000"})
    await cluster.until(lambda: cluster.states.get("t1", [])[-1:] == ["TASK_RUNNING"])
    pid = cluster.agent.runs()[0].group
    await cluster.masters["master-1"].stop()
    await cluster.until(lambda: cluster.masters["master-2"].elected)
    await cluster.until(lambda: cluster.agent.registered and cluster.driver.connected)
    await cluster.agent.stop()
    await cluster.clock.advance(5)
    await cluster.agent.start()
    await cluster.until(lambda: cluster.agent.registered)
    await cluster.clock.advance(20)
    assert cluster.states["t1"] == ["TASK_STARTING", "TASK_RUNNING"]
    assert cluster.agent.runs()[0].group == pid
    cluster.driver.call({"type": "KILL", "kill": {"task_id": {"value": "t1"}}})
    await cluster.until(lambda: cluster.states["t1"][-1] == "TASK_KILLED")


async def test_a_machine_that_failed_comes_back_without_its_tasks(cluster: Cluster) -> None:
    cluster.run("t1", command={"value": "sleep 1000"})
    await cluster.until(lambda: cluster.states.get("t1", [])[-1:] == ["TASK_RUNNING"])
    cluster.fleet.fail("agent-1")
    await cluster.clock.advance(2)
    cluster.fleet.heal("agent-1")
    await cluster.until(lambda: cluster.states["t1"][-1] == "TASK_FAILED")


async def test_a_thousand_tasks(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    count = 1000
    for number in range(count):
        cluster.run(f"t{number}", **IMAGE)
    begun = time.process_time()
    await cluster.until(lambda: sum(one[-1] == "TASK_RUNNING" for one in cluster.states.values()) == count)
    spent = time.process_time() - begun
    with capsys.disabled():
        print(f"\n{count} image tasks: {spent / count * 1000:.2f} ms of CPU each, master, agent and framework together")
    assert spent / count < 0.01


async def test_a_frozen_agent_says_nothing_that_is_not_true_when_it_thaws(cluster: Cluster) -> None:
    """Tasks are under way to it when it freezes: it may not come back to the master with a list from before them."""
    await cluster.clock.advance(1)
    cluster.run("late", **IMAGE)
    cluster.fleet.pause("agent-1")
    await cluster.clock.advance(200)
    cluster.fleet.heal("agent-1")
    await cluster.clock.advance(200)
    lead = cluster.masters["master-1"].leading
    assert lead is not None
    agent = lead.agents[cluster.agent.id]
    known = {task.id for tasks in agent.tasks.values() for task in tasks.values()}
    assert known == {run.task_id for run in cluster.agent.runs()}

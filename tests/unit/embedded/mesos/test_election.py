"""Masters with ZooKeeper, and the in-process driver: who leads, and what a framework notices of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from labkit.embedded.mesos.master import Answer

from .cluster import Cluster
from .house import task

Json = dict[str, Any]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = await Cluster().up()
    yield made
    await made.close()


async def test_one_leads_and_the_others_know_it(cluster: Cluster) -> None:
    assert sum(master.elected for master in cluster.masters.values()) == 1
    known = [master.leader["id"] for master in cluster.masters.values() if master.leader is not None]
    assert known == [cluster.leader.info["id"]] * 3
    answer = cluster.follower.handle_scheduler({}, None, None)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["Location"]) == (
        307,
        f"//{cluster.leader.pid.address}:5050/api/v1/scheduler",
    )


async def test_a_framework_and_its_task_outlive_the_leader(cluster: Cluster) -> None:
    events: list[Json] = []
    driver = cluster.driver("master-3", events.append)
    await driver.start()
    await cluster.clock.advance(0.5)
    assert driver.connected
    offer = next(event for event in events if event["type"] == "OFFERS")["offers"]["offers"][0]
    launch = {"type": "LAUNCH", "launch": {"task_infos": [task("t1", offer)]}}
    driver.call({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [launch]}})
    await cluster.settle()
    assert events[-1]["update"]["status"]["state"] == "TASK_RUNNING"
    first, own = cluster.leader, driver.framework_id
    await first.stop()
    assert not driver.connected
    await cluster.until_led()
    assert cluster.leader is not first
    cluster.register()
    await cluster.clock.advance(2)
    assert driver.connected
    assert driver.framework_id == own
    driver.call({"type": "RECONCILE", "reconcile": {"tasks": []}})
    await cluster.settle()
    status = events[-1]["update"]["status"]
    assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_RECONCILIATION")
    await driver.stop(teardown=True)
    lead = cluster.leader.leading
    assert lead is not None
    assert not lead.frameworks.registered


async def test_a_leader_that_is_cut_off_ends_itself_and_comes_back_as_a_follower(cluster: Cluster) -> None:
    old = cluster.leader
    before = old.info["id"]
    cluster.fleet.partition([old.machine])
    await cluster.clock.advance(30)
    leaders = [master for master in cluster.masters.values() if master.elected]
    assert leaders
    assert old not in leaders
    cluster.fleet.heal(old.machine)
    await cluster.clock.advance(10)
    assert old.running
    assert not old.elected
    assert old.info["id"] != before
    assert sum(master.elected for master in cluster.masters.values()) == 1


async def test_without_a_quorum_nobody_leads_and_all_comes_back(cluster: Cluster) -> None:
    down = cluster.names[:2]
    for name in down:
        await cluster.ensemble.stop(name)
    await cluster.clock.advance(40)
    assert not any(master.elected for master in cluster.masters.values())
    answer = cluster.masters["master-3"].handle_scheduler({}, None, None)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.text) == (503, "No leader elected")
    for name in down:
        await cluster.ensemble.start(name)
    await cluster.until_led()
    cluster.register()
    await cluster.settle()
    lead = cluster.leader.leading
    assert lead is not None
    assert len(lead.agents) == 1


async def test_a_machine_without_power(cluster: Cluster) -> None:
    old = cluster.leader
    cluster.fleet.fail(old.machine)
    assert not old.running
    await cluster.until_led()
    cluster.fleet.heal(old.machine)
    await cluster.ensemble.start(old.machine)
    await cluster.clock.advance(5)
    assert old.running
    assert not old.elected


async def test_a_drivers_plug_cuts_its_line(cluster: Cluster) -> None:
    driver = cluster.driver("agent-1", lambda event: None)
    await driver.start()
    await cluster.clock.advance(0.5)
    assert driver.connected
    cluster.fleet.partition(["agent-1"])
    assert not driver.connected
    lead = cluster.leader.leading
    assert lead is not None
    assert not next(iter(lead.frameworks)).connected
    cluster.fleet.heal("agent-1")
    await cluster.clock.advance(3)
    assert driver.connected
    assert len(lead.frameworks.registered) == 1

"""Tasks that fail, agents that are lost, offers that will not do, leaders that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.marathon import Play, app

from labkit.embedded.marathon.core.store import Store


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    async with Play() as play:
        await play.subscribe()
        yield play


async def test_a_failing_app_waits_longer_each_time(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(backoffSeconds=1, backoffFactor=2))
    await play.clock.settle()
    for delay in (1, 2, 4):
        tasks = await play.offers()
        assert len(tasks) == 1
        await play.say(tasks[0]["task_id"]["value"], "TASK_FAILED", message="oops")
        _, body = await play.call("GET", "/v2/queue")
        assert body["queue"][0]["delay"] == {"timeLeftSeconds": delay, "overdue": False}
        assert await play.offers() == []
        await play.clock.advance(delay)
    assert tasks[0]["task_id"]["value"].endswith("._app.3")
    _, body = await play.call("GET", "/v2/apps//web")
    assert body["app"]["lastTaskFailure"]["message"] == "oops"
    tasks = await play.offers()
    await play.say(tasks[0]["task_id"]["value"], "TASK_FAILED")
    assert (await play.call("DELETE", "/v2/queue//web/delay"))[0] == 204
    assert len(await play.offers()) == 1


async def test_the_queue_says_why_an_app_waits(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(instances=2, constraints=[["hostname", "UNIQUE"]]))
    await play.clock.settle()
    assert len(await play.run_all("a1")) == 1
    assert await play.offers("a1") == []
    _, body = await play.call("GET", "/v2/queue?embed=lastUnusedOffers")
    item = body["queue"][0]
    assert item["count"] == 1
    summary = {each["reason"]: each["declined"] for each in item["processedOffersSummary"]["rejectSummaryLastOffers"]}
    assert summary["UnfulfilledConstraint"] == 1
    assert item["lastUnusedOffers"][0]["reason"] == ["UnfulfilledConstraint"]
    assert play.driver.taken("DECLINE")[-1]["decline"]["filters"] == {"refuse_seconds": 120.0}
    assert len(await play.run_all("a2")) == 1
    assert (await play.call("GET", "/v2/queue"))[1] == {"queue": []}


async def test_tasks_of_a_lost_agent_are_replaced_at_once(play: Play) -> None:
    await play.call("POST", "/v2/apps", app())
    task = (await play.run_all("a1"))[0]["task_id"]["value"]
    await play.say(task, "TASK_UNREACHABLE")
    assert len(await play.run_all("a2")) == 1
    await play.clock.advance(6)
    assert [each.host for each in play.instances()] == ["127.9.0.22"]
    play.driver.taken("KILL")
    await play.say(task, "TASK_RUNNING")  # it is back, and nobody knows it
    assert [call["kill"]["task_id"]["value"] for call in play.driver.taken("KILL")] == [task]


async def test_a_patient_app_takes_its_task_back(play: Play) -> None:
    strategy = {"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120}
    await play.call("POST", "/v2/apps", app(unreachableStrategy=strategy))
    task = (await play.run_all("a1"))[0]["task_id"]["value"]
    await play.say(task, "TASK_UNREACHABLE")
    await play.clock.advance(50)
    assert await play.offers("a2") == []
    await play.say(task, "TASK_RUNNING")
    assert [each.condition for each in play.instances()] == ["Running"]
    await play.say(task, "TASK_UNREACHABLE")
    await play.clock.advance(66)
    assert len(await play.run_all("a2")) == 1
    assert sorted(each.condition for each in play.instances()) == ["Running", "UnreachableInactive"]
    await play.clock.advance(66)
    assert [each.condition for each in play.instances()] == ["Running"]


async def test_kills_are_repeated(play: Play) -> None:
    await play.call("POST", "/v2/apps", app())
    task = (await play.run_all())[0]["task_id"]["value"]
    status, body = await play.call("DELETE", f"/v2/apps//web/tasks/{task}")
    assert (status, body["task"]["id"]) == (200, task)
    assert len(play.driver.taken("KILL")) == 1
    await play.clock.advance(10)
    assert len(play.driver.taken("KILL")) == 1
    await play.say(task, "TASK_KILLED")
    await play.clock.advance(30)
    assert play.driver.taken("KILL") == []
    assert len(await play.offers()) == 1


async def test_an_unhealthy_task_is_killed(play: Play) -> None:
    check = {"protocol": "TCP", "gracePeriodSeconds": 10, "intervalSeconds": 5, "maxConsecutiveFailures": 2}
    await play.call("POST", "/v2/apps", app(portDefinitions=[{"port": 0}], healthChecks=[check]))
    task = (await play.run_all())[0]["task_id"]["value"]
    await play.clock.advance(16)
    _, body = await play.call("GET", "/v2/apps//web")
    assert body["app"]["tasksUnhealthy"] == 1
    results = body["app"]["tasks"][0]["healthCheckResults"]
    assert results[0]["alive"] is False
    assert results[0]["consecutiveFailures"] >= 1
    await play.clock.advance(10)
    assert [call["kill"]["task_id"]["value"] for call in play.driver.taken("KILL")][:1] == [task]
    kinds = play.kinds()
    assert "failed_health_check_event" in kinds
    assert "unhealthy_instance_kill_event" in kinds
    failure = (await play.call("GET", "/v2/apps//web"))[1]["app"]["lastTaskFailure"]
    assert (failure["taskId"], failure["state"]) == (task, "TASK_KILLED")
    assert failure["message"].startswith("Task was killed since health check failed. Reason: ")


async def test_an_executors_health_checks_count_for_a_deployment(play: Play) -> None:
    check = {"protocol": "COMMAND", "command": {"value": "true"}}
    await play.call("POST", "/v2/apps", app(healthChecks=[check]))
    task = (await play.run_all())[0]["task_id"]["value"]
    assert (await play.call("GET", "/v2/deployments"))[1]
    await play.say(task, "TASK_RUNNING", healthy=True)
    assert (await play.call("GET", "/v2/deployments"))[1] == []
    assert (await play.call("GET", "/v2/apps//web"))[1]["app"]["tasksHealthy"] == 1


async def test_reconciliation_asks_for_what_is_known_and_then_for_everything(play: Play) -> None:
    await play.call("POST", "/v2/apps", app())
    task = (await play.run_all())[0]["task_id"]["value"]
    play.driver.taken("RECONCILE")
    await play.clock.advance(700)
    known, implicit = play.driver.taken("RECONCILE")[:2]
    assert [each["task_id"]["value"] for each in known["reconcile"]["tasks"]] == [task]
    assert implicit["reconcile"]["tasks"] == []


async def test_another_leader_takes_up_where_the_first_stopped() -> None:
    async with Play(marathons=2) as play:
        await play.subscribe()
        await play.call("POST", "/v2/apps", app(instances=2))
        await play.run_all("a1")
        await play.call("PUT", "/v2/apps//web", {"cmd": "sleep 2000"})
        await play.clock.settle()
        (new,) = (await play.run_all("a1"))[:1] or (None,)
        first = play.leader
        status, body = await play.call("GET", "/v2/apps//web", at=1)
        assert (status, body["app"]["id"]) == (200, "/web")
        assert play.headers["X-Marathon-Leader"] == f"http://{first.host_port}"
        status, body = await play.call("DELETE", "/v2/leader")
        assert (status, body) == (200, {"message": "Leadership abdicated"})
        await play.clock.advance(5)
        second = play.leader
        assert second is not first
        assert play.driver.framework["id"] == {"value": "framework-0000"}
        await play.subscribe()
        assert play.driver.taken("RECONCILE")
        assert sum(each.launched for each in play.instances()) >= 2
        for _ in range(5):
            await play.clock.advance(2)
            await play.run_all("a1")
            await play.kill_all()
        assert (await play.call("GET", "/v2/deployments"))[1] == []
        assert [each.app.cmd for each in play.instances()] == ["sleep 2000"] * 2
        assert new is not None


async def test_who_is_told_to_go_while_it_takes_over_does_not_subscribe(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Play() as play:
        await play.subscribe()
        marathon, reached, go = play.leader, asyncio.Event(), asyncio.Event()
        load = Store.load

        async def slow(store: Store) -> dict[str, dict[str, Any]]:
            found = await load(store)
            reached.set()
            await go.wait()
            return found

        monkeypatch.setattr(Store, "load", slow)
        assert (await play.call("DELETE", "/v2/leader"))[0] == 200
        await play.clock.advance(5)
        assert reached.is_set()
        before, interrupted = len(play.drivers), marathon.term
        assert interrupted is not None
        abdicating = asyncio.create_task(marathon.abdicate())
        await play.clock.settle()
        go.set()
        await play.clock.settle()
        assert not interrupted.ready
        assert len(play.drivers) == before
        await play.clock.advance(5)
        await abdicating
        assert play.leader is marathon
        assert len(play.drivers) == before + 1


async def test_without_zookeeper_it_leads_no_more() -> None:
    async with Play() as play:
        await play.subscribe()
        await play.call("POST", "/v2/apps", app())
        await play.run_all()
        marathon = play.leader
        await play.ensemble.stop("master-1")
        await play.clock.advance(1)
        assert not marathon.is_leader
        assert play.driver.taken("KILL") == []
        await play.ensemble.start("master-1")
        await play.clock.advance(30)
        assert play.leader is marathon
        assert [each.condition for each in play.instances()] == ["Running"]


async def test_a_marathon_can_be_stopped_and_started_and_lose_its_power() -> None:
    async with Play(marathons=2) as play:
        await play.subscribe()
        await play.call("POST", "/v2/apps", app())
        await play.run_all()
        second = play.marathons[1]
        await play.marathons[0].stop()
        await play.clock.advance(2)
        assert play.leader is second
        await play.subscribe()
        await play.marathons[0].start()
        await play.clock.advance(2)
        play.fleet.fail("master-2")
        assert not second.running
        await play.clock.advance(20)
        assert play.leader is play.marathons[0]
        await play.subscribe()
        assert [each.condition for each in play.instances()] == ["Running"]
        play.fleet.heal("master-2")
        await second.start()
        await play.clock.advance(2)
        status, _ = await play.call("GET", "/v2/apps//web", at=1)
        assert status == 200


async def test_an_app_whose_delay_begins_anew_is_not_forgotten(play: Play) -> None:
    """A new task's sign of life moves the delay of its app: what still waits must be woken at the new time."""
    await play.call("POST", "/v2/apps", app(instances=3, constraints=[["hostname", "UNIQUE"]], backoffSeconds=1))
    await play.clock.settle()
    _, second = await play.run_all("a1", "a2")
    await play.say(second["task_id"]["value"], "TASK_FAILED", "a2")
    await play.clock.advance(1.5)  # due, and offers are wanted
    await play.call("POST", "/v2/apps", app("/other"))  # once more, a second after the last time
    await play.clock.advance(0.1)
    await play.run_all("a2")
    await play.clock.advance(5)
    wishes = [call["type"] for call in play.driver.taken() if call["type"] in ("REVIVE", "SUPPRESS")]
    assert wishes[-1] == "REVIVE"
    assert len(await play.run_all("a3")) == 1


async def test_one_that_is_started_again_while_zookeeper_does_not_answer() -> None:
    """Its end takes as long as ZooKeeper does; the process that is started meanwhile has a session of its own."""
    async with Play() as play:
        await play.subscribe()
        first = play.leader
        play.fleet.slow("master-1", 2.0)
        play.fleet.pause("master-1")
        stopping = asyncio.ensure_future(first.stop())
        await play.clock.advance(3)
        await first.start()
        play.fleet.heal("master-1")
        await play.clock.advance(60)
        assert stopping.done()
        assert first.is_leader


@pytest.mark.parametrize(("message", "kept"), [("Framework failed over", True), ("Framework has been removed", False)])
async def test_only_a_framework_that_was_torn_down_begins_anew(message: str, kept: bool) -> None:
    async with Play(marathons=2) as play:
        await play.subscribe()
        before = play.driver
        before.play({"type": "ERROR", "error": {"message": message}})
        await play.clock.advance(30)
        assert play.driver is not before
        assert ("id" in play.driver.framework) is kept

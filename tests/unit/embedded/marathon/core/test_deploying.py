"""Apps deployed, scaled, updated and deleted, from the request to the calls of the scheduler API and back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.marathon import Play, app


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    async with Play() as play:
        await play.subscribe()
        yield play


async def test_an_app_is_launched_when_there_is_an_offer(play: Play) -> None:
    status, body = await play.call("POST", "/v2/apps", app(instances=2))
    assert status == 201
    assert play.headers["Marathon-Deployment-Id"] == body["deployments"][0]["id"]
    assert play.headers["Location"].endswith("/web")
    await play.clock.settle()
    assert play.driver.taken("REVIVE")
    tasks = await play.offers("a1")
    assert len(tasks) == 2
    assert [each.condition for each in play.instances()] == ["Provisioned"] * 2
    for task in tasks:
        await play.say(task["task_id"]["value"], "TASK_STARTING")
        await play.say(task["task_id"]["value"], "TASK_RUNNING")
    status, body = await play.call("GET", "/v2/apps//web")
    assert (body["app"]["tasksRunning"], body["app"]["deployments"]) == (2, [])
    assert {task["state"] for task in body["app"]["tasks"]} == {"TASK_RUNNING"}
    assert len(play.driver.taken("ACKNOWLEDGE")) == 4
    kinds = play.kinds()
    for kind in ("api_post_event", "group_change_success", "deployment_info", "deployment_step_success",
                 "status_update_event", "instance_changed_event", "deployment_success"):  # fmt: skip
        assert kind in kinds
    assert play.driver.taken("SUPPRESS")


async def test_nothing_is_launched_before_it_is_stored(play: Play) -> None:
    await play.call("POST", "/v2/apps", app())
    await play.clock.settle()
    await play.ensemble.stop("master-1")
    assert await play.offers("a1") == []


async def test_scaling_down_kills_the_youngest(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(instances=1))
    old = (await play.run_all())[0]["task_id"]["value"]
    await play.clock.advance(10)
    await play.call("PUT", "/v2/apps//web", {"instances": 2})
    await play.clock.settle()
    young = (await play.run_all())[0]["task_id"]["value"]
    status, answer = await play.call("PUT", "/v2/apps//web", {"instances": 1})
    assert status == 200
    assert set(answer) == {"version", "deploymentId"}
    await play.clock.settle()
    assert await play.kill_all() == [young]
    assert [each.task_id for each in play.instances()] == [old]
    assert (await play.call("GET", "/v2/deployments"))[1] == []


async def test_a_new_version_rolls_in_at_full_strength(play: Play) -> None:
    strategy = {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5}
    await play.call("POST", "/v2/apps", app(instances=2, upgradeStrategy=strategy))
    await play.run_all()
    await play.call("PUT", "/v2/apps//web", {"cmd": "sleep 2000"})
    await play.clock.settle()
    rounds = 0
    while (await play.call("GET", "/v2/deployments"))[1]:
        rounds += 1
        assert rounds < 10
        assert len(await play.run_all()) <= 1  # three at most, so one more than there are
        running = sum(each.running for each in play.instances())
        assert running >= 2
        await play.kill_all()
    assert [each.app.cmd for each in play.instances()] == ["sleep 2000"] * 2
    assert rounds == 2


async def test_a_locked_app_answers_409_and_force_overrides(play: Play) -> None:
    _, first = await play.call("POST", "/v2/apps", app())
    status, body = await play.call("PUT", "/v2/apps//web", {"instances": 3})
    assert status == 409
    assert body["deployments"] == first["deployments"]
    assert body["message"].startswith("App is locked by one or more deployments. Override with the option")
    status, _ = await play.call("PUT", "/v2/apps//web?force=true", {"instances": 3})
    assert status == 200
    await play.clock.settle()
    assert len(await play.run_all()) == 3
    assert "deployment_failed" in play.kinds()


async def test_an_update_that_waits_for_offers_gives_way_to_the_next(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(instances=2))
    await play.run_all()
    await play.call("PUT", "/v2/apps//web", {"cpus": 100})
    await play.clock.settle()
    assert await play.offers("a2") == []
    assert sum(each.scheduled for each in play.instances()) == 2
    await play.call("PUT", "/v2/apps//web?force=true", {"cpus": 0.2})
    await play.clock.settle()
    assert {each.app.body["cpus"] for each in play.instances() if each.scheduled} == {0.2}
    await play.run_all()
    await play.kill_all()
    assert [(each.app.body["cpus"], each.running) for each in play.instances()] == [(0.2, True)] * 2
    assert (await play.call("GET", "/v2/deployments"))[1] == []


async def test_cancelling_reverts_and_force_just_stops(play: Play) -> None:
    await play.call("POST", "/v2/apps", app())
    await play.run_all()
    _, update = await play.call("PUT", "/v2/apps//web", {"instances": 5})
    status, back = await play.call("DELETE", f"/v2/deployments/{update['deploymentId']}")
    assert status == 200
    assert back["deploymentId"] != update["deploymentId"]
    await play.clock.settle()
    assert play.term.groups.app("/web").instances == 1  # type: ignore[union-attr]
    assert len(play.instances()) == 1
    assert (await play.call("GET", "/v2/deployments"))[1] == []
    _, update = await play.call("PUT", "/v2/apps//web", {"instances": 5})
    status, _ = await play.call("DELETE", f"/v2/deployments/{update['deploymentId']}?force=true")
    assert status == 202
    assert play.term.groups.app("/web").instances == 5  # type: ignore[union-attr]
    status, body = await play.call("DELETE", "/v2/deployments/nothing")
    assert (status, body) == (404, {"message": "DeploymentPlan nothing does not exist"})


async def test_a_deleted_app_ends_and_is_forgotten(play: Play) -> None:
    await play.call("POST", "/v2/apps", app(instances=2))
    await play.run_all()
    status, _ = await play.call("DELETE", "/v2/apps//web")
    assert status == 200
    await play.clock.settle()
    assert len(await play.kill_all()) == 2
    assert play.instances() == []
    assert (await play.call("GET", "/v2/apps//web"))[1] == {"message": "App '/web' does not exist"}
    assert "app_terminated_event" in play.kinds()


async def test_dependencies_are_started_first(play: Play) -> None:
    group = {"id": "/shop", "apps": [app("db"), app("web", dependencies=["/shop/db"])]}
    status, _ = await play.call("POST", "/v2/groups", group)
    assert status == 201
    await play.clock.settle()
    assert len(await play.run_all()) == 1
    assert [each.id.partition(".")[0] for each in play.instances("/shop/db")] == ["shop_db"]
    assert len(await play.run_all()) == 1
    assert play.instances("/shop/web")[0].running


async def test_readiness_holds_a_restart_up(play: Play) -> None:
    body = app(
        portDefinitions=[{"port": 0, "name": "http"}],
        readinessChecks=[{"name": "ready", "portName": "http", "intervalSeconds": 5, "timeoutSeconds": 1}],
    )
    await play.call("POST", "/v2/apps", body)
    await play.run_all()
    _, deployments = await play.call("GET", "/v2/deployments")
    results = deployments[0]["currentActions"][0]["readinessCheckResults"]
    assert [(each["name"], each["ready"]) for each in results] == [("ready", False)]
    assert (await play.call("GET", "/v2/apps//web?embed=app.readiness"))[1]["app"]["readinessCheckResults"]

"""The leading master: agents and frameworks that come and go, offers, tasks, updates, reconciliation."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.mesos.master import views

from .house import House, Scheduler, task

Json = dict[str, Any]

AWARE = [{"type": "PARTITION_AWARE"}]


@pytest.fixture
async def house() -> House:
    return await House().up()


async def started(house: House, **info: Any) -> tuple[Scheduler, Json]:
    """A scheduler, and the first of its offers."""
    scheduler = house.scheduler(**info)
    await house.clock.advance(0)
    return scheduler, scheduler.offers()[0]


async def running(house: House, **info: Any) -> tuple[Scheduler, Json]:
    """A scheduler with a task "t1" that runs on the agent of the offer."""
    scheduler, offer = await started(house, **info)
    assert scheduler.launch(offer, task("t1", offer)).status == 202
    await house.clock.advance(0)
    await house.clock.advance(0)
    assert scheduler.states() == [("t1", "TASK_RUNNING")]
    return scheduler, offer


def holder(house: House, offer: Json) -> Any:
    return next(agent for agent in house.agents if agent.id == offer["agent_id"]["value"])


async def test_an_agent_is_numbered_and_offered_whole(house: House) -> None:
    assert [agent.id.rpartition("-")[2] for agent in house.agents] == ["S0", "S1"]
    scheduler = house.scheduler()
    await house.clock.advance(0)
    first, second = scheduler.of("SUBSCRIBED"), scheduler.of("OFFERS")
    assert first[0]["heartbeat_interval_seconds"] == 15
    offers = second[0]["offers"]
    assert len(offers) == 2
    assert offers[0]["resources"][0] == {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "role": "*"}
    assert "allocation_info" not in offers[0]
    assert offers[0]["url"]["path"] == "/slave(1)"
    assert [event["type"] for event in scheduler.events[:2]] == ["SUBSCRIBED", "HEARTBEAT"]


async def test_a_task_runs_and_its_updates_are_acknowledged_end_to_end(house: House) -> None:
    scheduler, offer = await running(house)
    agent = holder(house, offer)
    scheduler.acknowledge(scheduler.statuses()[-1])
    await house.clock.advance(0)
    assert not agent.unacknowledged
    agent.update("t1", "TASK_FINISHED")
    await house.clock.advance(0)
    framework = house.lead.frameworks.registered[scheduler.id]
    assert list(framework.tasks) == ["t1"]  # until the end was acknowledged
    assert not house.lead.agents[agent.id].used
    scheduler.acknowledge(scheduler.statuses()[-1])
    assert not framework.tasks
    assert [one.state for one in framework.completed] == ["TASK_FINISHED"]


async def test_what_is_left_over_is_declined_with_the_filter(house: House) -> None:
    scheduler, offer = await started(house)
    scheduler.launch(offer, task("t1", offer), refuse=3)
    await house.clock.advance(2.5)
    assert scheduler.offers() == []
    await house.clock.advance(1.5)
    again = scheduler.offers()
    assert [one["agent_id"] for one in again] == [offer["agent_id"]]
    assert again[0]["resources"][0]["scalar"]["value"] == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task_id": {"value": ""}}, "ID must not be empty"),
        ({"task_id": {"value": "a/b"}}, "'a/b' contains invalid characters"),
        ({"agent_id": {"value": "other"}}, "Task uses invalid agent other while agent "),
        ({"resources": []}, "Task uses no resources"),
        ({"command": None}, "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"),
        (
            {"resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 9}}]},
            "Total resources cpus:9 required by task and its executor is more than available cpus:4; mem:4096; ",
        ),
        (
            {"health_check": {"type": "HTTP", "http": {"port": 1, "path": "x"}}},
            "Task uses invalid health check: The path 'x' of HTTP health check must start with '/'",
        ),
        ({"container": {"type": "DOCKER"}}, "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set"),
    ],
)
async def test_a_bad_task_ends_with_an_error_in_the_real_words(house: House, change: Json, words: str) -> None:
    scheduler, offer = await started(house)
    scheduler.launch(offer, {**task("t1", offer), **change})
    status = scheduler.statuses()[-1]
    assert (status["state"], status["reason"]) == ("TASK_ERROR", "REASON_TASK_INVALID")
    assert status["source"] == "SOURCE_MASTER"
    assert "uuid" not in status
    assert status["message"].startswith(words)


async def test_a_duplicate_id_in_one_launch(house: House) -> None:
    scheduler, offer = await started(house)
    scheduler.launch(offer, task("t1", offer), task("t1", offer))
    assert scheduler.statuses()[-1]["message"] == "Task has duplicate ID: t1"


@pytest.mark.parametrize(("capabilities", "state"), [([], "TASK_LOST"), (AWARE, "TASK_DROPPED")])
async def test_an_offer_is_good_for_one_acceptance(house: House, capabilities: list[Json], state: str) -> None:
    scheduler, offer = await started(house, capabilities=capabilities)
    scheduler.launch(offer, task("t1", offer))
    scheduler.launch(offer, task("t2", offer))
    status = scheduler.statuses()[-1]
    assert (status["state"], status["reason"]) == (state, "REASON_INVALID_OFFERS")
    offer_id = offer["id"]["value"]
    assert status["message"] == f"Task launched with invalid offers: Offer {offer_id} is no longer valid"


async def test_offers_of_two_agents_are_not_accepted_together(house: House) -> None:
    scheduler = house.scheduler()
    await house.clock.advance(0)
    one, two = scheduler.offers()
    operation = {"type": "LAUNCH", "launch": {"task_infos": [task("t1", one)]}}
    scheduler.call("ACCEPT", accept={"offer_ids": [one["id"], two["id"]], "operations": [operation]})
    assert "Aggregated offers must belong to one single agent." in scheduler.statuses()[-1]["message"]
    assert not house.lead.offers.all


async def test_kill_is_passed_on_and_an_unknown_task_is_reconciled(house: House) -> None:
    scheduler, offer = await running(house)
    scheduler.call("KILL", kill={"task_id": {"value": "t1"}, "kill_policy": {"grace_period": {"nanoseconds": 7}}})
    await house.clock.advance(0)
    await house.clock.advance(0)
    told = holder(house, offer).messages("KillTaskMessage")[0]
    assert told["kill_policy"] == {"grace_period": {"nanoseconds": 7}}
    assert scheduler.states()[-1] == ("t1", "TASK_KILLED")
    scheduler.call("KILL", kill={"task_id": {"value": "nobody"}})
    status = scheduler.statuses()[-1]
    assert (status["state"], status["reason"]) == ("TASK_LOST", "REASON_RECONCILIATION")


async def test_reconciliation(house: House) -> None:
    scheduler, offer = await running(house, capabilities=AWARE)
    scheduler.events.clear()
    scheduler.call("RECONCILE", reconcile={"tasks": []})
    assert scheduler.statuses()[0]["message"] == "Reconciliation: Latest task state"
    scheduler.events.clear()
    asked = [
        {"task_id": {"value": "t1"}},
        {"task_id": {"value": "x"}, "agent_id": offer["agent_id"]},
        {"task_id": {"value": "y"}, "agent_id": {"value": "nowhere"}},
    ]
    scheduler.call("RECONCILE", reconcile={"tasks": asked})
    assert scheduler.states() == [("t1", "TASK_RUNNING"), ("x", "TASK_GONE"), ("y", "TASK_UNKNOWN")]


@pytest.mark.parametrize(("capabilities", "state"), [([], "TASK_LOST"), (AWARE, "TASK_UNREACHABLE")])
async def test_an_agent_that_does_not_answer_is_given_up_after_75_seconds(
    house: House, capabilities: list[Json], state: str
) -> None:
    scheduler, offer = await running(house, capabilities=capabilities)
    agent = holder(house, offer)
    agent.answering = False
    await house.clock.advance(74)
    assert scheduler.states()[-1] == ("t1", "TASK_RUNNING")
    await house.clock.advance(17)
    status = scheduler.statuses()[-1]
    assert (status["state"], status["reason"]) == (state, "REASON_AGENT_REMOVED")
    assert status["message"] == "health check timed out"
    assert scheduler.of("FAILURE") == [{"agent_id": offer["agent_id"]}]
    # It comes back with its task.
    agent.answering = True
    agent.register(house.pid)
    await house.clock.advance(0)
    status = scheduler.statuses()[-1]
    assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_AGENT_REREGISTERED")
    framework = house.lead.frameworks.registered[scheduler.id]
    assert list(framework.tasks) == ["t1"]
    assert not framework.unreachable
    assert house.lead.agents[agent.id].used[scheduler.id].cpus == 1


async def test_a_cut_off_agents_offers_are_rescinded_and_it_returns_with_nothing_lost(house: House) -> None:
    scheduler, offer = await running(house)
    agent = holder(house, offer)
    scheduler.call("REVIVE")
    await house.clock.advance(0)
    assert any(one["agent_id"] == offer["agent_id"] for one in scheduler.of("OFFERS")[-1]["offers"])
    house.fleet.partition([agent.pid.machine])
    assert scheduler.of("RESCIND")
    house.fleet.heal(agent.pid.machine)
    agent.register(house.pid)
    await house.clock.advance(1)
    assert agent.messages("SlaveReregisteredMessage")[0]["reconciliations"] == []
    assert house.lead.agents[agent.id].active
    assert scheduler.states() == [("t1", "TASK_RUNNING")]


async def test_a_framework_that_does_not_checkpoint_loses_its_tasks_with_the_connection(house: House) -> None:
    scheduler, offer = await running(house, checkpoint=False)
    house.fleet.fail(holder(house, offer).pid.machine)
    assert scheduler.statuses()[-1]["reason"] == "REASON_AGENT_DISCONNECTED"


async def test_a_task_lost_on_its_way_is_asked_for_when_the_agent_returns(house: House) -> None:
    _, offer = await running(house)
    agent = holder(house, offer)
    agent.tasks.clear()
    agent.register(house.pid)
    await house.clock.advance(0)
    asked = agent.messages("SlaveReregisteredMessage")[-1]["reconciliations"]
    assert asked[0]["statuses"][0]["task_id"] == {"value": "t1"}


async def test_a_new_master_learns_all_from_agents_and_frameworks(house: House) -> None:
    scheduler, offer = await running(house, failover_timeout=60.0)
    house.lead.end()
    assert scheduler.ended
    house.elect()
    assert set(house.lead.agents.recovered) == {agent.id for agent in house.agents}
    scheduler.subscribe()
    asked = [{"task_id": {"value": "t1"}, "agent_id": offer["agent_id"]}]
    before = len(scheduler.statuses())
    scheduler.call("RECONCILE", reconcile={"tasks": asked})
    assert len(scheduler.statuses()) == before  # nobody knows yet
    await house.up()
    scheduler.call("RECONCILE", reconcile={"tasks": asked})
    assert scheduler.states()[-1] == ("t1", "TASK_RUNNING")
    assert house.lead.agents[offer["agent_id"]["value"]].used[scheduler.id].cpus == 1


async def test_a_framework_known_from_agents_alone_is_recovered(house: House) -> None:
    scheduler, _ = await running(house, failover_timeout=60.0)
    house.lead.end()
    house.elect()
    await house.up()
    framework = house.lead.frameworks.registered[scheduler.id]
    assert framework.recovered
    assert list(framework.tasks) == ["t1"]
    scheduler.subscribe()
    assert framework.active
    await house.clock.advance(0)
    assert sum(offer["resources"][0]["scalar"]["value"] for offer in scheduler.offers()) == 7


async def test_agents_that_stay_away_after_a_failover_are_unreachable(house: House) -> None:
    house.lead.end()
    house.elect()
    await house.clock.advance(600)
    assert len(house.lead.agents.unreachable) == 2
    assert not house.lead.agents.recovered


async def test_failover_within_the_timeout_and_after_it(house: House) -> None:
    scheduler, _ = await running(house, failover_timeout=30.0)
    assert scheduler.line is not None
    scheduler.line.hang_up()
    framework = house.lead.frameworks.registered[scheduler.id]
    assert not framework.connected
    await house.clock.advance(20)
    assert scheduler.subscribe().id == framework.id
    assert list(framework.tasks) == ["t1"]
    assert scheduler.line is not None
    scheduler.line.hang_up()
    await house.clock.advance(31)
    assert framework.id in house.lead.frameworks.completed
    assert [one.state for one in framework.completed] == ["TASK_KILLED"]
    assert all(agent.messages("ShutdownFrameworkMessage") for agent in house.agents)
    scheduler.subscribe()
    assert scheduler.events[-1] == {"type": "ERROR", "error": {"message": "Framework has been removed"}}
    assert scheduler.ended


async def test_a_second_scheduler_with_the_same_id_takes_over(house: House) -> None:
    first, _ = await started(house)
    second = Scheduler(house)
    second.id = first.id
    second.subscribe()
    assert first.events[-1] == {"type": "ERROR", "error": {"message": "Framework failed over"}}
    assert first.ended
    assert first.call("REVIVE").status == 400  # its stream is not the framework's any more
    assert second.call("REVIVE").status == 202


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"role": "a", "capabilities": [{"type": "MULTI_ROLE"}]}, "'FrameworkInfo.role' must not be set when the"),
        ({"roles": ["a"]}, "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"),
        ({"role": "-a"}, "'FrameworkInfo.role' is not a valid role: Role component '-a' is invalid because it starts"),
        ({"failover_timeout": 1e300}, "The framework failover_timeout (1e+300) is invalid"),
    ],
)
async def test_a_bad_framework_gets_an_error_event(house: House, info: Json, words: str) -> None:
    scheduler = Scheduler(house, **info).subscribe()
    assert scheduler.of("ERROR")[0]["message"].startswith(words)
    assert scheduler.ended


async def test_suppress_and_revive(house: House) -> None:
    scheduler = house.scheduler()
    await house.clock.advance(0)
    scheduler.call("SUPPRESS")
    offers = scheduler.offers()
    scheduler.call("DECLINE", decline={"offer_ids": [one["id"] for one in offers], "filters": {"refuse_seconds": 0}})
    await house.clock.advance(10)
    assert scheduler.offers() == []
    scheduler.call("REVIVE")
    await house.clock.advance(0)
    assert len(scheduler.offers()) == 2


async def test_teardown_kills_and_forgets(house: House) -> None:
    scheduler, _ = await running(house)
    assert scheduler.call("TEARDOWN").status == 202
    assert scheduler.ended
    assert not house.lead.frameworks.registered
    await house.clock.advance(0)
    assert all(agent.messages("ShutdownFrameworkMessage") for agent in house.agents)
    other = house.scheduler()
    await house.clock.advance(0)
    assert sum(offer["resources"][0]["scalar"]["value"] for offer in other.offers()) == 8


async def test_marked_gone_by_an_operator(house: House) -> None:
    scheduler, offer = await running(house, capabilities=AWARE)
    house.lead.agents.mark_gone(offer["agent_id"]["value"])
    assert scheduler.statuses()[-1]["state"] == "TASK_GONE_BY_OPERATOR"
    agent = holder(house, offer)
    agent.register(house.pid)
    await house.clock.advance(0)
    assert agent.messages("ShutdownMessage")[-1] == {"message": "Agent has been marked gone"}


async def test_what_is_not_simulated_says_so(house: House) -> None:
    scheduler, offer = await started(house)
    group = {"executor": {}, "task_group": {"tasks": [task("t1", offer)]}}
    operations = [{"type": "LAUNCH_GROUP", "launch_group": group}, {"type": "RESERVE", "id": {"value": "r"}}]
    scheduler.call("ACCEPT", accept={"offer_ids": [offer["id"]], "operations": operations})
    assert scheduler.statuses()[-1]["reason"] == "REASON_TASK_GROUP_INVALID"
    assert scheduler.of("UPDATE_OPERATION_STATUS")[0]["status"]["state"] == "OPERATION_ERROR"


async def test_heartbeats(house: House) -> None:
    scheduler = house.scheduler()
    await house.clock.advance(46)
    assert len(scheduler.of("HEARTBEAT")) == 4


async def test_operators_see_what_happens(house: House) -> None:
    line = house.lead.subscribers.subscribe()
    events: list[Json] = []
    line.attach(events.append, lambda: None)
    await running(house)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["SUBSCRIBED", "HEARTBEAT"]
    assert kinds[2:] == ["FRAMEWORK_ADDED", "TASK_ADDED", "TASK_UPDATED"]
    assert [role["name"] for role in views.get_roles(house.lead)["roles"]] == ["*"]

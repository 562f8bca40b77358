"""Random rounds: agents and masters are lost, frameworks fail over; the books stay right all the time."""

from __future__ import annotations

import random

import pytest

from labkit.embedded.mesos.master.model import Offer
from labkit.embedded.mesos.resources import total

from .house import House, Scheduler, task

ENDED = {"TASK_FINISHED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE", "TASK_FAILED"}


def check(house: House, schedulers: list[Scheduler]) -> None:
    """Of everything that an agent has, each part is free, offered to one, or used by one."""
    lead = house.lead
    for agent in lead.agents:
        used, offered, free = agent.used_resources, agent.offered_resources, lead.allocator.free(agent.id)
        assert used + offered + free == agent.total, (str(used), str(offered), str(free))
        running = [one for tasks in agent.tasks.values() for one in tasks.values() if not one.terminal]
        assert used == total(one.resources for one in running)
    seen = [offer.id for scheduler in schedulers for offer in _framework_offers(house, scheduler)]
    assert sorted(seen) == sorted(lead.offers.all)
    for framework in lead.frameworks:
        for one in framework.tasks.values():
            assert lead.agents[one.agent_id].task(framework.id, one.id) is one


def _framework_offers(house: House, scheduler: Scheduler) -> list[Offer]:
    framework = house.lead.frameworks.get(scheduler.id)
    return [] if framework is None else list(framework.offers.values())


@pytest.mark.parametrize("seed", range(30))
async def test_rounds(seed: int) -> None:
    rng = random.Random(seed)
    house = await House(agents=3).up()
    aware = [{"type": "PARTITION_AWARE"}]
    schedulers = [
        house.scheduler(name="a", failover_timeout=1e6, capabilities=aware),
        house.scheduler(name="b", failover_timeout=1e6),
    ]
    launched: list[set[str]] = [set(), set()]
    cut: set[int] = set()
    for number in range(30):
        what = rng.choice(["launch", "launch", "launch", "end", "cut", "heal", "master", "failover", "wait", "kill"])
        which = rng.randrange(2)
        scheduler = schedulers[which]
        if what == "launch":
            for offer in scheduler.offers():
                if rng.random() < 0.3:
                    scheduler.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 1}})
                    continue
                names = [f"t{number}-{offer['id']['value']}-{one}" for one in range(rng.randrange(3))]
                launched[which].update(names)
                scheduler.launch(offer, *(task(name, offer, cpus=0.5) for name in names), refuse=0)
        elif what == "end":
            agent = rng.choice(house.agents)
            for name, one in list(agent.tasks.items())[:2]:
                if one["state"] == "TASK_RUNNING":
                    agent.update(name, "TASK_FINISHED")
        elif what == "kill" and launched[which]:
            scheduler.call("KILL", kill={"task_id": {"value": rng.choice(sorted(launched[which]))}})
        elif what == "cut":
            at = rng.randrange(3)
            cut.add(at)
            house.agents[at].answering = False
            house.fleet.partition([house.agents[at].pid.machine])
        elif what == "heal":
            for at in cut:
                house.agents[at].answering = True
                house.fleet.heal(house.agents[at].pid.machine)
                house.agents[at].register(house.pid)
            cut.clear()
        elif what == "master":
            house.lead.end()
            house.elect()
            for at in set(range(3)) - cut:
                house.agents[at].register(house.pid)
            for scheduler in rng.sample(schedulers, 2):
                scheduler.subscribe()
                await house.clock.advance(rng.choice([0, 0, 2]))
        elif what == "failover":
            assert scheduler.line is not None
            scheduler.line.hang_up()
            check(house, schedulers)
            scheduler.subscribe()
        await house.clock.advance(rng.choice([0, 0, 1, 30]) if what != "wait" else 100)
        for scheduler in schedulers:
            for status in scheduler.statuses():
                if "uuid" in status and rng.random() < 0.9:
                    scheduler.acknowledge(status)
        check(house, schedulers)
    # All come back: then every task is known, and its framework learns of it.
    for at in cut:
        house.agents[at].answering = True
        house.fleet.heal(house.agents[at].pid.machine)
    for agent in house.agents:
        agent.register(house.pid)
    await house.clock.advance(5)
    check(house, schedulers)
    for which, scheduler in enumerate(schedulers):
        scheduler.events = [event for event in scheduler.events if event["type"] != "UPDATE"]
        asked = [{"task_id": {"value": name}} for name in sorted(launched[which])]
        if asked:
            scheduler.call("RECONCILE", reconcile={"tasks": asked})
        told = dict(scheduler.states())
        assert told.keys() == launched[which]
        really = {name: one["state"] for agent in house.agents for name, one in agent.tasks.items()}
        for name, state in told.items():
            if state == "TASK_RUNNING":
                assert really[name] == "TASK_RUNNING"
            elif really.get(name) == "TASK_RUNNING":
                raise AssertionError(f"{name} runs, and its framework hears {state}")

"""Offers: what is in them, how they are taken, given back, asked for and taken away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support.documents import holds
from support.mesos_cluster import MesosCluster, Scheduler, of, resources

Json = dict[str, Any]
Frameworks = Callable[..., Scheduler]

ACCEPT = "mesos/docs/scheduler-http-api.md#accept"
DECLINE = "mesos/docs/scheduler-http-api.md#decline"
OFFERS = "mesos/docs/scheduler-http-api.md#offers"


def _all_offers(cluster: MesosCluster, scheduler: Scheduler) -> dict[str, Json]:
    """One offer of each agent, by the agent's id."""
    count = len(cluster.agents())
    found: dict[str, Json] = {}

    def enough(event: Json) -> bool:
        found.update((one["agent_id"]["value"], one) for one in event["offers"]["offers"])
        return len(found) == count

    scheduler.stream.event("OFFERS", enough)
    return found


@holds(OFFERS, "mesos/include/mesos/v1/mesos.proto#Offer")
def test_what_is_in_an_offer(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    agent = next(one for one in cluster.agents() if one["id"] == offer["agent_id"]["value"])
    assert offer["framework_id"] == {"value": scheduler.id}
    assert offer["allocation_info"] == {"role": "*"}
    assert offer["hostname"] == agent["hostname"]
    assert offer["url"]["path"] == "/slave(1)"
    names = {one["name"] for one in offer["resources"]}
    assert {"cpus", "mem", "disk", "ports"} <= names
    assert all(one["allocation_info"] == {"role": "*"} for one in offer["resources"])
    ports = next(one for one in offer["resources"] if one["name"] == "ports")
    assert ports["type"] == "RANGES"
    assert all(one["begin"] <= one["end"] for one in ports["ranges"]["range"])


@holds("mesos/docs/attributes-resources.md#attributes")
def test_attributes_of_the_agent_are_in_it(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    agent = next(one for one in cluster.agents() if one["id"] == offer["agent_id"]["value"])
    texts = {one["name"]: one["text"]["value"] for one in offer.get("attributes", []) if one["type"] == "TEXT"}
    assert texts == {name: value for name, value in agent["attributes"].items() if isinstance(value, str)}


@holds(OFFERS)
def test_nothing_is_offered_twice(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one, other = frameworks(name="one"), frameworks(name="other")
    one.subscribe()
    other.subscribe()
    whole = {agent["id"]: agent["resources"]["cpus"] for agent in cluster.agents()}
    offers = _all_offers(cluster, one)
    for agent, offer in offers.items():
        assert of(offer, "cpus") <= whole[agent]
    assert other.stream.quiet("OFFERS", cluster.seconds(3)), "all is with the first framework"
    one.told("DECLINE", offer_ids=[offer["id"] for offer in offers.values()], filters={"refuse_seconds": 3600.0})
    assert set(_all_offers(cluster, other)) == set(whole)


@holds("mesos/docs/endpoints/master/slaves.md#description")
def test_what_is_offered_is_shown(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    agent = next(one for one in cluster.agents() if one["id"] == offer["agent_id"]["value"])
    assert agent["offered_resources"]["cpus"] == of(offer, "cpus")
    shown = next(one for one in cluster.show("/frameworks")["frameworks"] if one["id"] == scheduler.id)
    assert offer["id"]["value"] in [one["id"] for one in shown["offers"]]


@holds(DECLINE)
def test_a_declined_offer_comes_again_after_refuse_seconds(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offers = _all_offers(cluster, scheduler)
    refused = {"refuse_seconds": 5.0}
    # From before the answer to after the offer: who looks late sees a longer time, and never one that is too short.
    began = time.monotonic()
    scheduler.told("DECLINE", offer_ids=[offer["id"] for offer in offers.values()], filters=refused)
    again = scheduler.offer()
    assert time.monotonic() - began >= cluster.seconds(4.5)
    assert again["id"] not in [offer["id"] for offer in offers.values()]


@holds(DECLINE, "mesos/include/mesos/v1/mesos.proto#Filters")
def test_without_filters_it_is_five_seconds(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offers = _all_offers(cluster, scheduler)
    began = time.monotonic()
    scheduler.told("DECLINE", offer_ids=[offer["id"] for offer in offers.values()])
    scheduler.offer()
    assert time.monotonic() - began >= cluster.seconds(4.5)


@holds(ACCEPT, "mesos/include/mesos/v1/mesos.proto#Filters")
def test_refusing_for_no_time_at_all(scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    scheduler.told("DECLINE", offer_ids=[offer["id"]], filters={"refuse_seconds": 0.0})
    assert scheduler.offer(lambda one: one["agent_id"] == offer["agent_id"])


@holds("mesos/docs/scheduler-http-api.md#revive")
def test_revive_forgets_filters(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offers = _all_offers(cluster, scheduler)
    refused = {"refuse_seconds": 3600.0}
    scheduler.told("DECLINE", offer_ids=[offer["id"] for offer in offers.values()], filters=refused)
    assert scheduler.stream.quiet("OFFERS", cluster.seconds(3))
    scheduler.told("REVIVE")
    assert _all_offers(cluster, scheduler)


@holds("mesos/docs/scheduler-http-api.md#suppress", "mesos/docs/scheduler-http-api.md#revive")
def test_suppress_until_revive(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offers = _all_offers(cluster, scheduler)
    scheduler.told("SUPPRESS")
    refused = {"refuse_seconds": 0.0}
    scheduler.told("DECLINE", offer_ids=[offer["id"] for offer in offers.values()], filters=refused)
    assert scheduler.stream.quiet("OFFERS", cluster.seconds(4))
    scheduler.told("REVIVE")
    assert scheduler.offer()


@holds("mesos/docs/scheduler-http-api.md#subscribe")
def test_roles_that_are_suppressed_from_the_start(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks(roles=["conf-a", "conf-b"])
    one.subscribe(suppressed_roles=["conf-b"])
    assert one.offer()["allocation_info"] == {"role": "conf-a"}
    assert one.stream.quiet("OFFERS", cluster.seconds(3), lambda event: any(
        offer["allocation_info"]["role"] == "conf-b" for offer in event["offers"]["offers"]
    ))  # fmt: skip


@holds("mesos/docs/roles.md#subscribing-to-multiple-roles")
def test_each_offer_is_for_one_of_its_roles(frameworks: Frameworks) -> None:
    one = frameworks(roles=["conf-a", "conf-b"])
    one.subscribe()
    offer = one.offer()
    assert offer["allocation_info"]["role"] in ("conf-a", "conf-b")
    role = offer["allocation_info"]["role"]
    assert all(each["allocation_info"] == {"role": role} for each in offer["resources"])
    task = one.task(offer, resources=resources(role=role))
    one.accept(offer, task)
    one.status(task, "TASK_RUNNING")


@holds(ACCEPT)
def test_what_a_task_does_not_take_is_offered_again(scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    task = scheduler.task(offer, resources=resources(cpus=1, mem=64))
    scheduler.accept(offer, task)
    scheduler.status(task, "TASK_RUNNING")
    rest = scheduler.offer(lambda one: one["agent_id"] == offer["agent_id"])
    assert of(rest, "cpus") == of(offer, "cpus") - 1
    assert of(rest, "mem") == of(offer, "mem") - 64


@holds(ACCEPT)
def test_the_rest_is_refused_for_as_long_as_the_filter_says(cluster: MesosCluster, scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    scheduler.accept(offer, scheduler.task(offer), refuse=3600.0)
    assert scheduler.stream.quiet("OFFERS", cluster.seconds(4), lambda event: any(
        one["agent_id"] == offer["agent_id"] for one in event["offers"]["offers"]
    ))  # fmt: skip


@holds(DECLINE)
def test_accepting_without_operations_declines(scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    assert scheduler.accept(offer).status_code == 202
    assert scheduler.offer(lambda one: one["agent_id"] == offer["agent_id"])


@holds(ACCEPT, "mesos/docs/task-state-reasons.md#for-state-task_lost")
def test_an_offer_can_be_taken_once(scheduler: Scheduler) -> None:
    offer = scheduler.offer()
    first, second = scheduler.task(offer), scheduler.task(offer)
    scheduler.accept(offer, first)
    scheduler.accept(offer, second)
    lost = scheduler.status(second, "TASK_LOST")
    assert (lost["reason"], lost["source"]) == ("REASON_INVALID_OFFERS", "SOURCE_MASTER")
    assert "no longer valid" in lost["message"]
    assert "uuid" not in lost


@holds("mesos/docs/task-state-reasons.md#for-state-task_dropped")
def test_a_partition_aware_framework_hears_dropped(frameworks: Frameworks) -> None:
    one = frameworks(capabilities=[{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}])
    one.subscribe()
    offer = one.offer()
    task = one.task(offer)
    one.accept({**offer, "id": {"value": "nothing"}}, task)
    assert one.status(task, "TASK_DROPPED")["reason"] == "REASON_INVALID_OFFERS"


@holds("mesos/include/mesos/v1/scheduler/scheduler.proto#Accept")
def test_offers_of_two_agents_do_not_go_together(cluster: MesosCluster, scheduler: Scheduler) -> None:
    one, other = list(_all_offers(cluster, scheduler).values())[:2]
    task = scheduler.task(one)
    operation = {"type": "LAUNCH", "launch": {"task_infos": [task]}}
    scheduler.told("ACCEPT", offer_ids=[one["id"], other["id"]], operations=[operation])
    lost = scheduler.status(task, "TASK_LOST")
    assert lost["reason"] == "REASON_INVALID_OFFERS"
    assert "must belong to one single agent" in lost["message"]


@holds("mesos/docs/scheduler-http-api.md#rescind", "mesos/docs/scheduler-http-api.md#updating-framework-roles")
def test_offers_to_a_role_that_is_given_up_are_taken_away(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one = frameworks(roles=["conf-a"])
    one.subscribe()
    offer = one.offer()
    info = {**one.info, "id": {"value": one.id}, "roles": ["conf-b"]}
    if cluster.mesos.auth is not None:
        info["principal"] = cluster.mesos.auth[0]
    answer = one.call("UPDATE_FRAMEWORK", framework_info=info)
    assert answer.status_code == 200, answer.text
    one.stream.event("RESCIND", lambda event: event["rescind"]["offer_id"] == offer["id"])
    assert one.offer()["allocation_info"] == {"role": "conf-b"}


@holds("mesos/docs/scheduler-http-api.md#disconnections")
def test_the_offers_of_who_hangs_up_go_to_others(cluster: MesosCluster, frameworks: Frameworks) -> None:
    one, other = frameworks(failover_timeout=3600.0), frameworks()
    one.subscribe()
    held = _all_offers(cluster, one)
    other.subscribe()
    one.stream.close()
    assert set(_all_offers(cluster, other)) == set(held)


@holds("mesos/docs/scheduler-http-api.md#request")
def test_a_request_is_taken_note_of(scheduler: Scheduler) -> None:
    agent = scheduler.offer()["agent_id"]
    scheduler.told("REQUEST", requests=[{"agent_id": agent, "resources": resources()}])


@holds("mesos/docs/weights.md#update", "mesos/docs/weights.md#query")
def test_weights_are_set_and_shown(cluster: MesosCluster) -> None:
    answer = cluster.master("/weights", "PUT", json=[{"role": "conf-heavy", "weight": 2.5}])
    assert answer.status_code == 200, answer.text
    assert {"role": "conf-heavy", "weight": 2.5} in cluster.show("/weights")
    cluster.master("/weights", "PUT", json=[{"role": "conf-heavy", "weight": 1.0}])


@holds("mesos/docs/weights.md#update")
@pytest.mark.parametrize(
    "info",
    [{"role": "conf-heavy", "weight": 0}, {"role": "conf-heavy", "weight": -1}, {"role": "with space", "weight": 1}],
)
def test_weights_that_make_no_sense(cluster: MesosCluster, info: Json) -> None:
    answer = cluster.master("/weights", "PUT", json=[info])
    assert answer.status_code == 400
    assert "Failed to validate update weights request JSON" in answer.text


@holds(
    "mesos/docs/roles.md#roles-and-resource-allocation",
    "mesos/docs/app-framework-development-guide.md#create-your-framework-scheduler",
)
def test_who_has_less_is_offered_first(cluster: MesosCluster, frameworks: Frameworks) -> None:
    """Dominant resource fairness: the role with the smaller share of what it has most of."""
    rich, poor = frameworks(roles=["conf-rich"]), frameworks(roles=["conf-poor"])
    rich.subscribe()
    *taken, left = _all_offers(cluster, rich).values()
    for offer in taken:
        whole = resources(of(offer, "cpus"), of(offer, "mem"), "conf-rich")  # what is left of a share is offered, too
        task = rich.task(offer, resources=whole)
        rich.accept(offer, task, refuse=3600.0)
        rich.status(task, "TASK_RUNNING")
    rich.told("DECLINE", offer_ids=[left["id"]], filters={"refuse_seconds": 3600.0})
    poor.subscribe()

    def fits(offer: Json) -> bool:
        return bool(offer["agent_id"] == left["agent_id"] and of(offer, "cpus"))

    offer = poor.offer(fits)
    rich.told("REVIVE")  # from now on both may have it
    for _ in range(3):
        poor.told("DECLINE", offer_ids=[offer["id"]], filters={"refuse_seconds": 0.0})
        offer = poor.offer(fits)
    assert not any(
        fits(one) and one is not left and one["id"] != left["id"]
        for event in rich.stream.seen
        if event["type"] == "OFFERS"
        for one in event["offers"]["offers"]
    )

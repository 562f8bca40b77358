"""Constraints and the launch queue: where tasks go, and why an app waits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.documents import holds
from support.marathon_cluster import Marathon
from support.until import until

Json = dict[str, Any]

PAGE = "marathon/docs/docs/constraints.md"
WAITING = "marathon/docs/docs/waiting.md"
QUEUE = "marathon/docs/docs/rest-api/public/api/v2/queue.raml#get"
TYPE = "marathon/docs/docs/rest-api/public/api/v2/types/queue.raml"


def _where(marathon: Marathon, attribute: str) -> Counter[str]:
    """How many tasks run at each value."""
    return Counter(marathon.attributes(task)[attribute] for task in marathon.tasks())


def _attributes(marathon: Marathon) -> None:
    """The cases below name the attributes of a sandbox: three agents, two racks, three zones."""
    assert marathon.cluster.own


@holds(f"{PAGE}#unique-operator", f"{PAGE}#hostname-as-field-name")
@pytest.mark.parametrize("field", ["hostname", "@hostname"])
def test_unique_hosts(marathon: Marathon, field: str) -> None:
    marathon.create(instances=3, constraints=[[field, "UNIQUE"]])
    assert len({task["host"] for task in marathon.tasks()}) == 3


@holds(f"{PAGE}#unique-operator", f"{WAITING}#why-your-app-or-pod-is-stuck")
def test_more_than_there_are_wait(marathon: Marathon) -> None:
    count = len(marathon.cluster.agents())
    marathon.call("POST", "/v2/apps", marathon.body(instances=count + 1, constraints=[["hostname", "UNIQUE"]]))
    marathon.running(count)
    until(lambda: marathon.refused() == {"UnfulfilledConstraint": count})
    assert marathon.queued()["count"] == 1


@holds(f"{PAGE}#cluster-operator", f"{PAGE}#attribute-as-field-name")
def test_cluster_of_a_value(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=3, constraints=[["rack", "CLUSTER", "rack-2"]])
    assert _where(marathon, "rack") == {"rack-2": 3}


@holds(f"{PAGE}#cluster-operator")
@pytest.mark.parametrize("field", ["rack", "hostname"])
def test_cluster_wherever_the_first_is(marathon: Marathon, field: str) -> None:
    _attributes(marathon)
    marathon.create(instances=4, constraints=[[field, "CLUSTER"]])
    found = {task["host"] if field == "hostname" else marathon.attributes(task)[field] for task in marathon.tasks()}
    assert len(found) == 1


@holds(f"{PAGE}#like-operator")
def test_like(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=4, constraints=[["zone", "LIKE", "[ab]"]])
    assert set(_where(marathon, "zone")) <= {"a", "b"}


@holds(f"{PAGE}#unlike-operator")
def test_unlike(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=4, constraints=[["zone", "UNLIKE", "[ab]"]])
    assert _where(marathon, "zone") == {"c": 4}


@holds(f"{PAGE}#attribute-as-field-name")
def test_unlike_is_content_without_the_attribute(marathon: Marathon) -> None:
    marathon.create(constraints=[["no-such-attribute", "UNLIKE", "x"]])
    assert marathon.app()["tasksRunning"] == 1


@holds(f"{PAGE}#attribute-as-field-name", f"{WAITING}#why-your-app-or-pod-is-stuck")
@pytest.mark.parametrize(
    "constraint",
    [["UNIQUE"], ["CLUSTER"], ["CLUSTER", "x"], ["LIKE", ".*"], ["GROUP_BY"], ["MAX_PER", "1"], ["IS", "x"]],
)
def test_all_others_need_it(marathon: Marathon, constraint: list[str]) -> None:
    marathon.call("POST", "/v2/apps", marathon.body(constraints=[["no-such-attribute", *constraint]]))
    until(lambda: marathon.refused() == {"UnfulfilledConstraint": len(marathon.cluster.agents())})
    assert marathon.tasks(state=None) == []


@holds(f"{PAGE}#max_per-operator")
def test_so_many_at_most(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=4, constraints=[["rack", "MAX_PER", "2"]])
    assert _where(marathon, "rack") == {"rack-1": 2, "rack-2": 2}


@holds(f"{PAGE}#group_by-operator")
def test_grouped(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=6, constraints=[["rack", "GROUP_BY", "2"]])
    assert _where(marathon, "rack") == {"rack-1": 3, "rack-2": 3}


@holds(f"{PAGE}#group_by-operator")
def test_grouped_by_more_than_there_are(marathon: Marathon) -> None:
    """One on each rack, and then it waits for an offer of a third."""
    _attributes(marathon)
    marathon.call("POST", "/v2/apps", marathon.body(instances=3, constraints=[["rack", "GROUP_BY", "3"]]))
    marathon.running(2)
    until(lambda: marathon.refused() == {"UnfulfilledConstraint": 3})
    assert _where(marathon, "rack") == {"rack-1": 1, "rack-2": 1}


@holds(f"{PAGE}#is-operator", f"{PAGE}#comparing-text-values")
def test_is(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=2, constraints=[["zone", "IS", "b"]])
    assert _where(marathon, "zone") == {"b": 2}


@holds(f"{PAGE}#operators")
def test_all_constraints_hold(marathon: Marathon) -> None:
    _attributes(marathon)
    marathon.create(instances=2, constraints=[["rack", "CLUSTER", "rack-1"], ["hostname", "UNIQUE"]])
    assert len({task["host"] for task in marathon.tasks()}) == 2
    assert _where(marathon, "rack") == {"rack-1": 2}


# -- the queue


@holds(QUEUE, f"{TYPE}#QueueApp", f"{TYPE}#ProcessedOffersSummary")
def test_what_the_queue_says(marathon: Marathon) -> None:
    marathon.call("POST", "/v2/apps", marathon.body(instances=2, cpus=1000))
    until(lambda: marathon.refused() == {"InsufficientCpus": len(marathon.cluster.agents())})
    item = marathon.queued()
    assert item["count"] == 2
    assert item["delay"] == {"timeLeftSeconds": 0, "overdue": True}
    assert item["app"]["cpus"] == 1000
    assert item["since"].endswith("Z")
    summary = item["processedOffersSummary"]
    assert summary["processedOffersCount"] >= summary["unusedOffersCount"] > 0
    assert summary["lastUnusedOfferAt"].endswith("Z")
    steps = summary["rejectSummaryLaunchAttempt"]
    assert {row["reason"] for row in steps} == {row["reason"] for row in summary["rejectSummaryLastOffers"]}
    assert all(row["processed"] >= row["declined"] for row in steps)
    assert "lastUnusedOffers" not in item


@holds(QUEUE, f"{TYPE}#UnusedOffer", "marathon/docs/docs/rest-api/public/api/v2/types/offer.raml#Offer")
def test_offers_that_were_not_used(marathon: Marathon) -> None:
    marathon.call("POST", "/v2/apps", marathon.body(cpus=1000))
    until(lambda: marathon.refused() == {"InsufficientCpus": len(marathon.cluster.agents())})
    unused = marathon.queued(embed="lastUnusedOffers")["lastUnusedOffers"]
    assert {one["offer"]["agentId"] for one in unused} == {agent["id"] for agent in marathon.cluster.agents()}
    one = unused[0]
    assert one["reason"] == ["InsufficientCpus"]
    assert {"id", "hostname", "agentId", "resources", "attributes"} <= set(one["offer"])
    cpus = next(each for each in one["offer"]["resources"] if each["name"] == "cpus")
    assert cpus["scalar"] > 0


@holds(f"{WAITING}#why-your-app-or-pod-is-stuck")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"cpus": 1000}, "InsufficientCpus"),
        ({"mem": 10_000_000}, "InsufficientMemory"),
        ({"disk": 10**12}, "InsufficientDisk"),
        ({"requirePorts": True, "portDefinitions": [{"port": 5}]}, "InsufficientPorts"),
        ({"constraints": [["hostname", "CLUSTER", "nowhere"]]}, "UnfulfilledConstraint"),
    ],
)
def test_why_an_app_waits(marathon: Marathon, fields: Json, reason: str) -> None:
    marathon.call("POST", "/v2/apps", marathon.body(**fields))
    until(lambda: marathon.refused() == {reason: len(marathon.cluster.agents())})


@holds(QUEUE)
def test_who_runs_is_not_in_the_queue(marathon: Marathon) -> None:
    marathon.create()
    with pytest.raises(AssertionError):
        marathon.queued()

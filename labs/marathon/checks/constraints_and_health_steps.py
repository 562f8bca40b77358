"""Checks and solutions of labs/marathon/16-constraints-and-health: where things run. (…_living: how they are.)"""

from __future__ import annotations

from typing import Any

from labkit.guide import Context, NotYet, Passed, Verdict
from labkit.guide.steps import Check

from .common import agents, app, asks, declined, not_running_yet, places, quietly, running, waiting

REFUSED = "It refuses: 422, not valid"
SHARE = "Two of them share an agent"
WAITS = "The fourth waits"

EVEN = "Two on each"
SKEWED = "Three and one"
ONE_RACK = "All four on one rack"

RUNS = "It runs: whoever has no disk has no ssd"
NEVER = "It waits: nobody can tell what disks they have"


def constrained(found: dict[str, Any], *wanted: str) -> bool:
    """Whether an app has a constraint that begins with these words."""
    return any(list(one[: len(wanted)]) == list(wanted) for one in found.get("constraints") or ())


def placed(app_id: str, count: int, constraint: tuple[str, ...], how: str) -> Check:
    """Of an app that has this constraint and runs."""

    @asks
    def check(context: Context) -> Verdict:
        found = app(context, app_id)
        if found is not None and not constrained(found, *constraint):
            return NotYet(f"`{app_id}` lacks the constraint `{list(constraint)}`", how)
        if (amiss := not_running_yet(context, app_id, count, how)) is not None:
            return amiss
        return Passed(f"{count} tasks, on {', '.join(places(context, app_id))}")

    return check


# -- racks -----------------------------------------------------------------------------------------------------------


@asks
def counted_racks(context: Context) -> Verdict:
    racks = {agent["attributes"].get("rack") for agent in agents(context).values()} - {None}
    if context.answer is None:
        return NotYet("no answer yet", "Look at the attributes that the cell above prints.")
    if float(context.answer) != len(racks):
        return NotYet(f"{context.answer:g} is not it", "Count different racks, not agents.")
    return Passed(f"{len(racks)}: {', '.join(sorted(racks))}")


def count_racks(context: Context) -> int:
    return len({agent["attributes"]["rack"] for agent in context.client.mesos.slaves()})


# -- one on each -----------------------------------------------------------------------------------------------------

one_each = placed(
    "/one-each", 3, ("hostname", "UNIQUE"), 'Its `constraints` should be `[["hostname", "UNIQUE"]]`, its `instances` 3.'
)


def post_one_each(context: Context) -> None:
    context.client.create(
        {
            "id": "/one-each",
            "cmd": "sleep 100000",
            "cpus": 0.1,
            "mem": 16,
            "instances": 3,
            "constraints": [["hostname", "UNIQUE"]],
        }
    )


@asks
def fourth_waits(context: Context) -> Verdict:
    found = app(context, "/one-each")
    if found is None or not constrained(found, "hostname", "UNIQUE"):
        return NotYet("there is no app `/one-each` with its constraint", "Post it again, as in the step before.")
    if found["instances"] != 4:
        return NotYet(f"`/one-each` asks for {found['instances']} instances", "Ask for 4.")
    item = waiting(context, "/one-each")
    if item is None:
        return NotYet("nothing of it waits", "Watch the dashboard.")
    if "UnfulfilledConstraint" not in declined(item):
        return NotYet("no offer has been looked at yet", "Offers come every second, or when something is free.")
    return Passed(f"{len(running(context, '/one-each'))} run, {item['count']} waits in the launch queue")


@quietly(None)
def fate_of_the_fourth(context: Context) -> str | None:
    there = places(context, "/one-each")
    if len(there) == 4:
        return SHARE
    return WAITS if waiting(context, "/one-each") else None


def ask_for_four(context: Context) -> None:
    context.client.scale("/one-each", 4)


@asks
def read_why(context: Context) -> Verdict:
    item = waiting(context, "/one-each")
    if item is None:
        return NotYet("`/one-each` waits for nothing", "Ask for 4 instances of it.")
    count = declined(item).get("UnfulfilledConstraint", 0)
    if context.answer is None:
        return NotYet("no answer yet", "`marathon.why('one-each')`, or `GET /v2/queue`.")
    if float(context.answer) != count:
        return NotYet(f"{context.answer:g} is not what the queue says", "Count the lines with `UnfulfilledConstraint`.")
    return Passed(f"UnfulfilledConstraint, for the last offers of {count} agents")


def count_refusals(context: Context) -> int:
    places = context.sandbox.why("one-each").places
    return sum("UnfulfilledConstraint" in place.filter for place in places)


# -- groups ----------------------------------------------------------------------------------------------------------

any_spread = placed(
    "/spread", 4, ("rack", "GROUP_BY"), 'Its `constraints` should be `[["rack", "GROUP_BY"]]`, its `instances` 4.'
)


@quietly(None)
def how_it_spread(context: Context) -> str | None:
    racks = places(context, "/spread", "rack")
    counts = sorted(racks.count(rack) for rack in set(racks))
    return {(4,): ONE_RACK, (1, 3): SKEWED, (2, 2): EVEN}.get(tuple(counts))


def post_spread(context: Context) -> None:
    context.client.create(
        {
            "id": "/spread",
            "cmd": "sleep 100000",
            "cpus": 0.1,
            "mem": 16,
            "instances": 4,
            "constraints": [["rack", "GROUP_BY"]],
        }
    )


@asks
def evenly_spread(context: Context) -> Verdict:
    found = app(context, "/spread")
    if found is not None and not constrained(found, "rack", "GROUP_BY", "2"):
        return NotYet("nobody has told `/spread` how many racks there are", '`[["rack", "GROUP_BY", "2"]]`')
    if (amiss := not_running_yet(context, "/spread", 4)) is not None:
        return amiss
    racks = places(context, "/spread", "rack")
    if {racks.count(rack) for rack in set(racks)} != {2}:
        return NotYet(f"the racks are {', '.join(racks)}", "Two on each: a moment, or deploy it anew.")
    return Passed(f"two and two: {', '.join(racks)}")


def say_how_many(context: Context) -> None:
    context.client.update("/spread", {"constraints": [["rack", "GROUP_BY", "2"]]})


# -- all on one, or on some ------------------------------------------------------------------------------------------


@asks
def together(context: Context) -> Verdict:
    how = '`[["rack", "CLUSTER", "rack-2"]]`, and 3 `instances`'
    if isinstance(verdict := placed("/together", 3, ("rack", "CLUSTER", "rack-2"), how)(context), NotYet):
        return verdict
    racks = set(places(context, "/together", "rack"))
    if racks != {"rack-2"}:
        return NotYet(f"it runs on {', '.join(sorted(racks))}", "Was it made before the constraint? Destroy it first.")
    return verdict


def post_together(context: Context) -> None:
    context.client.create(
        {
            "id": "/together",
            "cmd": "sleep 100000",
            "cpus": 0.1,
            "mem": 16,
            "instances": 3,
            "constraints": [["rack", "CLUSTER", "rack-2"]],
        }
    )


@asks
def two_zones(context: Context) -> Verdict:
    how = "Two constraints: `LIKE` with the pattern `a|c`, and `MAX_PER` with 1."
    if (amiss := not_running_yet(context, "/two-zones", 2, how)) is not None:
        return amiss
    found, zones = app(context, "/two-zones") or {}, places(context, "/two-zones", "zone")
    if not constrained(found, "zone", "LIKE") or not constrained(found, "zone", "MAX_PER"):
        return NotYet(f"its constraints are {found.get('constraints') or 'none'}", how)
    if zones != ["a", "c"]:
        return NotYet(f"it runs in {', '.join(zones)}", how)
    return Passed("one in zone a, one in zone c, none in b")


def post_two_zones(context: Context) -> None:
    context.client.create(
        {
            "id": "/two-zones",
            "cmd": "sleep 100000",
            "cpus": 0.1,
            "mem": 16,
            "instances": 2,
            "constraints": [["zone", "LIKE", "a|c"], ["zone", "MAX_PER", "1"]],
        }
    )


@asks
def no_ssd(context: Context) -> Verdict:
    found = app(context, "/no-ssd")
    if found is None or not constrained(found, "disk", "UNLIKE", "ssd"):
        return NotYet("there is no app `/no-ssd` with that constraint", 'Post it, with `[["disk", "UNLIKE", "ssd"]]`.')
    item = waiting(context, "/no-ssd")
    if item is not None and declined(item):
        return Passed(f"it waits: {', '.join(declined(item))}")
    if (amiss := not_running_yet(context, "/no-ssd")) is not None:
        return amiss
    return Passed(f"it runs on {', '.join(places(context, '/no-ssd'))}")


@quietly(None)
def does_it_run(context: Context) -> str | None:
    if running(context, "/no-ssd"):
        return RUNS
    return NEVER if waiting(context, "/no-ssd") else None


def post_no_ssd(context: Context) -> None:
    context.client.create(
        {"id": "/no-ssd", "cmd": "sleep 100000", "cpus": 0.1, "mem": 16, "constraints": [["disk", "UNLIKE", "ssd"]]}
    )


# -- not enough ------------------------------------------------------------------------------------------------------


@asks
def greedy_waits(context: Context) -> Verdict:
    found = app(context, "/greedy")
    if found is None:
        return NotYet("there is no app `/greedy`", "Post one that asks for 5 `cpus`.")
    item = waiting(context, "/greedy")
    if item is None:
        return NotYet(
            f"it waits for nothing: it asks for {found['cpus']:g} cpus", "No agent of yours has 5. Ask for 5."
        )
    if "InsufficientCpus" not in declined(item):
        return NotYet("it waits, and no offer was too small yet", "A moment; or does it ask for too little?")
    return Passed(f"{declined(item)['InsufficientCpus']} offers, and each too small: InsufficientCpus")


def post_greedy(context: Context) -> None:
    context.client.create({"id": "/greedy", "cmd": "sleep 100000", "cpus": 5, "mem": 16})


@asks
def greedy_runs(context: Context) -> Verdict:
    if (amiss := not_running_yet(context, "/greedy")) is not None:
        found = app(context, "/greedy")
        if found is not None and waiting(context, "/greedy"):
            return NotYet(
                f"it asks for {found['cpus']:g} cpus and waits", "Ask for less. Is it locked? Then `force=True`."
            )
        return amiss
    return Passed(f"it runs on {places(context, '/greedy')[0]}")


def ask_for_less(context: Context) -> None:
    context.client.update("/greedy", {"cpus": 0.5}, force=True)

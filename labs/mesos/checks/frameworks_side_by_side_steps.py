"""What labs/mesos/13-frameworks-side-by-side checks, and how each step is solved."""

from __future__ import annotations

from typing import Any

import requests

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    NO_ANSWER,
    asks,
    brief,
    framework,
    frameworks,
    heal_everything,
    many,
    mesos,
    not_running_yet,
    quietly,
    running,
    sweep,
)
from .frameworks_sharing import (
    BATCH,
    CACHE,
    MAP,
    MARATHON,
    TIMEOUT,
    Bar,
    bar,
    fair,
    ids,
    job,
    jobs,
    lives,
    room,
    set_weights,
    weight_of,
)

CACHE_APP, WEB_APP = "/cache", "/web"
COUNT, LATE, NIGHTLY = "count", "late", "nightly"  # the jobs
WANTED = 30  # instances of /cache: more than there is room for

ALL_FREE, LIKE_MARATHON, HALF = "All that is free", "As much as Marathon has", "Half of the cluster"
WAITS, ENDED, REFUSED = "It waits for map tasks to end", "Mesos ends map tasks for it", "It gets nothing at all"
STAY, MEET, SWAP = "They stay where they are", "They meet again", "They change places"
NOTHING, STARTS, TAKEN = "Nothing", "The job starts", "Mesos takes tasks from Marathon"
RUN_ON, DIE = "They run on", "They end with it"


def either(first: Bar, second: Bar) -> str:
    return f"Marathon holds {first}, batch {second}"


def both(context: Context) -> tuple[Bar, Bar]:
    return bar(context, MARATHON), bar(context, BATCH)


# -- one bar -------------------------------------------------------------------------------------------------------


@asks
def one_bar(context: Context) -> Verdict:
    if (
        amiss := not_running_yet(context, CACHE_APP, 3, "`marathon.actions.deploy('cache', …)`, as it stands above.")
    ) is not None:
        return amiss
    mine = bar(context, MARATHON)
    if context.answer is None:
        return NotYet("three tasks of `/cache` run; no answer yet", "Divide what they hold by what there is.")
    if abs(float(context.answer) - 100 * mine.share) > 1:
        return NotYet(
            f"{context.answer:g} % is not it",
            "Two shares: CPUs of all CPUs, memory of all memory. The *dominant* one is the larger.",
        )
    return Passed(f"Marathon's dominant share is {mine}")


def deploy_cache(context: Context) -> int:
    context.sandbox.actions.deploy("cache", "busybox:1.36", 3, cmd="sleep 100000", cpus=0.5, memory=2000)
    context.client.settled()

    agents = context.client.mesos.slaves()
    cpus = sum(agent["resources"]["cpus"] for agent in agents)
    memory = sum(agent["resources"]["mem"] for agent in agents)
    return round(100 * max(3 * 0.5 / cpus, 3 * 2000 / memory))


# -- two bars ------------------------------------------------------------------------------------------------------


@asks
def batch_joined(context: Context) -> Verdict:
    one, other = both(context)
    if not other.tasks:
        how = "`requests.post(f'{BATCH}/jobs', json=…)`, as it stands above."
        return NotYet("batch runs no task", how)
    if room(context, MAP):
        return NotYet(f"{other.tasks} map tasks run, and there is room for more", "Has the job enough tasks? 10 000.")
    if one.tasks > 3:
        return NotYet(f"`/cache` has {one.tasks} tasks already", "Leave it at three for now.")
    context.memory["joined"] = other.share
    return Passed(f"{either(one, other)}; no room is left for another map task")


@quietly(None)
def what_batch_took(context: Context) -> str | None:
    one, other = both(context)
    if other.share > 0.6:
        return ALL_FREE
    return LIKE_MARATHON if abs(one.share - other.share) < 0.1 else HALF


def submit_count(context: Context) -> None:
    import requests

    count = {"name": "count", "maps": 10000, "seconds": 12, "spread": 0.5, "cpus": 0.5, "mem": 32}
    requests.post(context.sandbox.env["BATCH_URL"] + "/jobs", json=count).raise_for_status()


# -- level ---------------------------------------------------------------------------------------------------------


@asks
def by_hand(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Two equations: the shares are equal, and the CPUs are used up.")
    caches, maps = fair(context)
    if abs(float(context.answer) - caches) > 0.5:
        return NotYet(
            f"{context.answer:g} tasks of `/cache` would hold {context.answer * _step(context, CACHE):.0%}",
            "What is left of the CPUs goes to map tasks. Is batch's share as large, then?",
        )
    return Passed(
        f"{caches} tasks of `/cache` hold {caches * _step(context, CACHE):.0%} of the memory, "
        f"{maps} map tasks {maps * _step(context, MAP):.0%} of the CPUs"
    )


def _step(context: Context, task: Any) -> float:
    """The dominant share of one such task."""
    slaves = mesos(context).slaves()
    return float(max(amount / sum(slave["resources"][key] for slave in slaves) for key, amount in task.items()))


def calculate(context: Context) -> int:
    agents = context.client.mesos.slaves()
    cpus = sum(agent["resources"]["cpus"] for agent in agents)
    memory = sum(agent["resources"]["mem"] for agent in agents)
    slots = cpus / 0.5  # tasks of either kind: both want half a CPU
    a_cache, a_map = 2000 / memory, 0.5 / cpus  # the dominant share of one
    # a_cache * caches = a_map * (slots - caches)
    return round(slots * a_map / (a_cache + a_map))


@asks
def levelled(context: Context) -> Verdict:
    wants = _wants(context)
    if wants < WANTED:
        return NotYet(f"`/cache` wants {wants} tasks", f"Let it want more than there is: `scale('/cache', {WANTED})`")
    one, other = both(context)
    caches, maps = fair(context)
    if not caches - 1 <= one.tasks <= caches + 2 or other.tasks < maps // 2:
        return NotYet(either(one, other), "Map tasks take 6 to 18 seconds. Watch who gets what they leave.")
    return Passed(f"{either(one, other)}: {one.tasks} tasks of `/cache` beside {other.tasks} map tasks")


def _wants(context: Context) -> int:
    from .common import app

    found = app(context, CACHE_APP)
    return int(found["instances"]) if found is not None else 0


@quietly(None)
def how_marathon_got_it(context: Context) -> str | None:
    ended = (framework(context, BATCH) or {}).get("completed_tasks", ())
    mine = [task for task in ended if task["name"].endswith(f"({COUNT})")]
    if any(task["state"] == "TASK_KILLED" for task in mine):
        return ENDED
    return WAITS if bar(context, MARATHON).tasks > 3 else REFUSED


def want_more(context: Context) -> None:
    context.client.scale("/cache", 30)


# -- weights -------------------------------------------------------------------------------------------------------


@asks
def heavier(context: Context) -> Verdict:
    weight = weight_of(context, MARATHON) / weight_of(context, BATCH)
    if weight < 2:
        return NotYet(f"Marathon's role weighs {weight:g} times that of batch", "PUT /weights, as it stands above.")
    one, other = both(context)
    caches, _ = fair(context, 2.0)
    if one.tasks < caches - 1:
        return NotYet(either(one, other), "Give the map tasks time to end.")
    return Passed(f"{either(one, other)}: about two to one")


def weigh_two(context: Context) -> None:
    context.client.mesos.send("PUT", "/weights", [{"role": "*", "weight": 2}])


@asks
def no_way_back(context: Context) -> Verdict:
    weight = weight_of(context, MARATHON) / weight_of(context, BATCH)
    if weight != 1:
        context.memory.pop("ran", None)
        return NotYet(f"Marathon's role weighs {weight:g} times that of batch", 'PUT /weights: "*" weighs 1 again.')
    now = ids(running(framework(context, BATCH)))
    before = context.memory.setdefault("ran", now)
    still = set(before) & set(now)
    if still or not now:
        return NotYet(
            f"{len(still)} of the {len(before)} map tasks that ran at that moment still run",
            "Wait until they have all ended: then every place that could be given anew has been.",
        )
    one, other = both(context)
    return Passed(f"all {len(before)} map tasks of that moment have ended, and {either(one, other)}")


@quietly(None)
def where_the_bars_went(context: Context) -> str | None:
    one, other = both(context)
    if one.share > 1.3 * other.share:
        return STAY
    return MEET if one.share > other.share / 1.3 else SWAP


def weigh_one(context: Context) -> None:
    context.client.mesos.send("PUT", "/weights", [{"role": "*", "weight": 1}])


# -- who starves whom ----------------------------------------------------------------------------------------------


@asks
def filled(context: Context) -> Verdict:
    going = [one for one in jobs(context) if one["state"] == "RUNNING"]
    if going:
        url = f"f'{{BATCH}}/jobs/{going[0]['id']}'"
        return NotYet(f"`{going[0]['name']}` still runs", f"`requests.delete({url})`")
    one, other = both(context)
    if other.tasks:
        return NotYet(f"{many(other.tasks, 'map task')} still to end", "They get three seconds to do so.")
    if free := room(context, MAP):
        return NotYet(f"there is room for {free} map tasks", "Create `/web`, which takes it: 24 instances.")
    return Passed(f"{either(one, other)}; no CPU is left")


def fill_up(context: Context) -> None:
    import requests

    batch = context.sandbox.env["BATCH_URL"]
    for found in requests.get(batch + "/jobs").json()["jobs"]:
        requests.delete(f"{batch}/jobs/{found['id']}")
    context.sandbox.actions.deploy("web", "busybox:1.36", 24, cmd="sleep 100000", cpus=0.5, memory=16)


@asks
def starved(context: Context) -> Verdict:
    found = job(context, LATE)
    if found is None or found["state"] != "RUNNING":
        return NotYet("no job called `late` waits", "The same as before, with another name.")
    weight = weight_of(context, BATCH) / weight_of(context, MARATHON)
    if weight < 10:
        return NotYet(f"`late` waits; batch weighs {weight:g} times what Marathon does", "Give it a weight of 100.")
    one, other = both(context)
    if other.tasks:
        return NotYet(f"batch runs {other.tasks} tasks", "Somebody has made room for it.")
    return Passed(f"{either(one, other)}; `late` has {found['tasks']['waiting']} tasks that wait")


@quietly(None)
def what_weight_did(context: Context) -> str | None:
    if bar(context, BATCH).tasks:
        return STARTS if room(context, MAP) else TAKEN
    return NOTHING


def come_late(context: Context) -> None:
    import requests

    late = {"name": "late", "maps": 10, "seconds": 5, "spread": 0.5, "cpus": 0.5, "mem": 32}
    requests.post(context.sandbox.env["BATCH_URL"] + "/jobs", json=late).raise_for_status()
    context.client.mesos.send("PUT", "/weights", [{"role": "batch", "weight": 100}])


@asks
def relieved(context: Context) -> Verdict:
    found = job(context, LATE)
    if found is None:
        return NotYet("there is no job `late`", "Hand it in again.")
    if found["state"] != "SUCCEEDED":
        tasks = found["tasks"]
        return NotYet(f"{tasks['done']} of {tasks['total']} tasks of `late` are done", "Who holds the CPUs?")
    return Passed(f"`late` is done: {found['tasks']['total']} tasks")


def make_room(context: Context) -> None:
    context.client.suspend("/web", force=True)  # its deployment waits for more room, and holds a lock


# -- a scheduler that goes, and one that is ended ------------------------------------------------------------------


@asks
def orphaned(context: Context) -> Verdict:
    found = framework(context, BATCH)
    if found is None:
        return NotYet("no framework is called batch", "`marathon.start('batch')`, and begin again.")
    mine = running(found)
    if lives(found):
        context.memory.pop("orphans", None)
        if len(mine) < 4:
            return NotYet(f"batch runs {len(mine)} tasks", "Hand in the job `nightly` first: something has to run.")
        return NotYet(f"the scheduler is on the line, and {len(mine)} tasks run", "Stop it: `marathon.stop('batch')`")
    if not mine:
        return NotYet("the scheduler is gone, and it has left nothing", "Start it, hand in `nightly`, stop it again.")
    context.memory["orphans"] = {"id": found["id"], "tasks": ids(mine)}
    return Passed(f"nobody speaks for batch, and its {len(mine)} tasks run on")


@quietly(None)
def fate_of_orphans(context: Context) -> str | None:
    return RUN_ON if running(framework(context, BATCH)) else DIE


def stop_batch(context: Context) -> None:
    import time

    import requests

    nightly = {"name": "nightly", "maps": 12, "seconds": 600, "cpus": 0.5, "mem": 32}
    requests.post(context.sandbox.env["BATCH_URL"] + "/jobs", json=nightly).raise_for_status()
    while len([task for task in context.client.mesos.tasks() if "nightly" in task["name"]]) < 12:
        time.sleep(0.2)
    context.sandbox.stop("batch")


@asks
def taken_up(context: Context) -> Verdict:
    orphans = context.memory["orphans"]
    found = framework(context, BATCH)
    if not lives(found) or found is None:
        return NotYet("nobody speaks for batch", "`marathon.start('batch')`")
    if found["id"] != orphans["id"]:
        return NotYet("batch has come back under another id", "Then its tasks were ended: do the step before again.")
    kept = set(orphans["tasks"]) & set(ids(running(found)))
    return Passed(
        f"batch is back under the same id, and {len(kept)} of its {len(orphans['tasks'])} tasks never noticed"
    )


def start_batch(context: Context) -> None:
    context.sandbox.start("batch")


@asks
def torn_down(context: Context) -> Verdict:
    before = context.memory["orphans"]["id"]
    ended = next((one for one in frameworks(context, BATCH, ended=True) if one["id"] == before), None)
    if ended is None or any(one["id"] == before for one in frameworks(context, BATCH)):
        return NotYet(f"batch is still registered as `{brief(before)}`", "`marathon.client.mesos.teardown(ID)`")
    left = running(ended)
    if left:
        return NotYet(f"{len(left)} of its tasks still run", "They are being ended.")
    again = framework(context, BATCH)
    if not lives(again) or again is None:
        return NotYet("its tasks are gone; the scheduler is not back yet", "It finds out by being refused.")
    return Passed(
        f"`{brief(before)}` is over, with all its tasks; batch is a new framework now, `{brief(again['id'])}`"
    )


@quietly(None)
def fate_of_torn(context: Context) -> str | None:
    before = context.memory["orphans"]
    state = mesos(context).state()
    alive = {task["id"] for one in state["frameworks"] for task in one["tasks"] if one["name"] == BATCH}
    return RUN_ON if alive & set(before["tasks"]) else DIE


def tear_down(context: Context) -> None:
    frameworks = context.client.mesos.frameworks()
    context.client.mesos.teardown(next(found["id"] for found in frameworks if found["name"] == "batch"))


# -- the end -------------------------------------------------------------------------------------------------------


@asks
def tidy(context: Context) -> Verdict:
    from .common import app

    there = [name for name in (CACHE_APP, WEB_APP) if app(context, name) is not None]
    if there:
        return NotYet(f"`{there[0]}` is still there", f"`marathon.client.delete({there[0]!r}, force=True)`")
    one, other = weight_of(context, MARATHON), weight_of(context, BATCH)
    if one != other:
        return NotYet(f"the roles weigh {one:g} and {other:g}", "PUT /weights, 1 for both.")
    if one := running(framework(context, BATCH)):
        return NotYet(f"batch runs {len(one)} tasks", "DELETE its jobs.")
    return Passed("both bars are empty, and weigh the same")


def tidy_up(context: Context) -> None:
    for app in ("/cache", "/web"):
        context.client.delete(app, force=True)
    context.client.mesos.send("PUT", "/weights", [{"role": "*", "weight": 1}, {"role": "batch", "weight": 1}])


def set_up(context: Context) -> None:
    """Both frameworks on the line; what a former run has broken is mended."""
    heal_everything(context)


def reset(context: Context) -> None:
    try:
        heal_everything(context)
        for one in jobs(context):
            if one["state"] == "RUNNING":
                requests.delete(f"{context.sandbox.env['BATCH_URL']}/jobs/{one['id']}", timeout=TIMEOUT)
        sweep(context, CACHE_APP, WEB_APP)
        set_weights(context, marathon=1, batch=1)
    except NO_ANSWER:  # what nobody answers for stays as it is
        return

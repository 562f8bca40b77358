"""What labs/mesos/12-agents-and-offers checks, and how each step is solved."""

from __future__ import annotations

import time

from labkit.guide import Context, NotYet, Passed, Verdict
from labkit.widgets.offerbook import ORDERS
from labkit.widgets.offerdesk import LIMIT, NAME

from .common import (
    Json,
    agent_states,
    agents,
    app,
    asks,
    framework,
    heal_everything,
    how_to_start,
    leader,
    many,
    master_alone,
    mesos,
    names,
    quietly,
    running,
    sweep,
    teardown,
)

HUNGRY = "/hungry"
FILTERS = "allocator/mesos/offer_filters/roles/*/active"
ERRORS = "master/tasks_error"
PAUSE = 2.0  # seconds without an offer: between two rounds of the master's allocator everybody's hands are empty
SUBSCRIBE_FIRST = NotYet("you are no framework yet", "Press **Subscribe** at the desk.")


def mine(context: Context) -> Json | None:
    """The learner's framework, while it is subscribed."""
    found = framework(context, NAME)
    return found if found is not None and found["active"] else None


def my_tasks(context: Context, order: str) -> list[Json]:
    """Those that run for an order."""
    return [task for task in running(framework(context, NAME)) if task["name"] == order]


def machine_by_id(context: Context) -> dict[str, str]:
    return {slave["id"]: machine for machine, slave in agent_states(context).items()}


def metrics(context: Context) -> dict[str, float]:
    """Of the master that leads: the others count nothing."""
    return master_alone(context, leader(context)).metrics()


# -- agents ------------------------------------------------------------------------------------------------------


@asks
def counted_cpus(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Add the *cpus* of all agents.")
    there = mesos(context).slaves()
    total = sum(float(slave["resources"]["cpus"]) for slave in there)
    if float(context.answer) != total:
        return NotYet(f"{context.answer:g} is not it", "Add the *cpus* of all agents.")
    return Passed(f"{total:g} cpus on {len(there)} agents")


def count_cpus(context: Context) -> float:
    return sum(slave["resources"]["cpus"] for slave in context.client.mesos.slaves())


# -- subscribed --------------------------------------------------------------------------------------------------


@asks
def subscribed(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return SUBSCRIBE_FIRST
    if not found["offers"]:
        return NotYet("subscribed; no offer yet", "The master makes offers once a second.")
    return Passed(f"`{NAME}` is a framework, and holds {many(len(found['offers']), 'offer')}")


def subscribe(context: Context) -> None:
    from labkit import widgets

    widgets.offers(context.sandbox).subscribe()


@quietly(None)
def what_is_offered(context: Context) -> str | None:
    return "Everything that is free" if _holds_everything(context) else "A part of it"


def _holds_everything(context: Context) -> bool:
    """Whether nobody else has, or could be offered, any cpus."""
    found = mine(context)
    if found is None:
        return False
    held: dict[str, float] = {}
    for offer in found["offers"]:
        held[offer["slave_id"]] = held.get(offer["slave_id"], 0.0) + float(offer["resources"]["cpus"])
    there = [slave for slave in mesos(context).slaves() if slave["active"]]
    free = {slave["id"]: float(slave["resources"]["cpus"]) - float(slave["used_resources"]["cpus"]) for slave in there}
    return all(held.get(agent, 0.0) >= cpus - 0.01 for agent, cpus in free.items())


# -- accepting ---------------------------------------------------------------------------------------------------


@asks
def tea_served(context: Context) -> Verdict:
    me = mine(context)
    if me is None:
        return SUBSCRIBE_FIRST
    found = my_tasks(context, "tea")
    if not found:
        return NotYet("no task `tea` runs", "Tick `tea` on a card, and press **Accept**.")
    if not any(offer["slave_id"] == found[0]["slave_id"] for offer in me["offers"]):
        return NotYet("`tea` runs; what it left over is with the master", "A second. Watch the cards.")
    context.memory["errors"] = metrics(context).get(ERRORS, 0.0)
    where = machine_by_id(context).get(found[0]["slave_id"], "an agent")
    return Passed(f"`{found[0]['id']}` runs on {where}: 0.5 of its cpus are yours")


def serve_tea(context: Context) -> None:
    from labkit import widgets

    desk = widgets.offers(context.sandbox)
    desk.accept(desk.offers[0], "tea")


def what_of_the_rest(context: Context) -> str:
    return "It is offered again, without what the task has"  # the check has seen it


@asks
def bread_served(context: Context) -> Verdict:
    if mine(context) is None:
        return SUBSCRIBE_FIRST
    found = my_tasks(context, "bread")
    if not found:
        return NotYet("no task `bread` runs", "Look at the attributes on the cards: one says `rack: rack-2`.")
    there = {slave["id"]: (machine, slave["attributes"]) for machine, slave in agent_states(context).items()}
    racks = {there[task["slave_id"]][0]: there[task["slave_id"]][1].get("rack") for task in found}
    if "rack-2" not in racks.values():
        machine, rack = next(iter(racks.items()))
        return NotYet(f"`bread` runs on {machine}, in {rack}", "Mesos did as you said. **Kill** it, and choose again.")
    machine = next(machine for machine, rack in racks.items() if rack == "rack-2")
    return Passed(f"`bread` runs on {machine}, in rack-2")


def serve_bread(context: Context) -> None:
    from labkit import widgets

    desk = widgets.offers(context.sandbox)
    offer = next(offer for offer in desk.offers if offer.attributes["rack"] == "rack-2")
    desk.accept(offer, "bread")


@asks
def too_much(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return SUBSCRIBE_FIRST
    now, before = metrics(context).get(ERRORS, 0.0), float(context.memory.get("errors", 0.0))
    context.memory["errors"] = min(now, before)  # a new leader counts from zero
    if now <= before:
        return NotYet("the master has refused nothing", "Tick `feast` on any card, and press **Accept**.")
    return Passed("the master answered with TASK_ERROR, and started nothing")


def serve_feast(context: Context) -> None:
    from labkit import widgets

    desk = widgets.offers(context.sandbox)
    desk.accept(desk.offers[0], "feast")


def what_of_the_feast(context: Context) -> str:
    return "An update says TASK_ERROR"


# -- declining ---------------------------------------------------------------------------------------------------


@asks
def all_declined(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return SUBSCRIBE_FIRST
    if found["offers"]:
        context.memory.pop("empty since", None)
        return NotYet(
            f"you hold {many(len(found['offers']), 'offer')}", "Choose **30 s** on each card, and press **Decline**."
        )
    filters = metrics(context).get(FILTERS, 0.0)
    if not filters:
        return NotYet("you hold no offers, and no filter is in force", "They will be back in a second: decline them.")
    now = time.time()
    since = float(context.memory.setdefault("empty since", now))
    if now - since < PAUSE:
        return NotYet("you hold no offers just now", "Let us see whether it stays like that.")
    context.memory["declined"] = since
    return Passed(f"you hold nothing; {filters:g} filters are in force at the master")


def decline_all(context: Context) -> None:
    import time

    from labkit import widgets

    time.sleep(1.5)  # what is left of an offer that was used comes back within a second
    widgets.offers(context.sandbox).decline(seconds=30)


@asks
def offered_again(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return SUBSCRIBE_FIRST
    if not found["offers"]:
        return NotYet("you hold no offers", "The clock at the desk says how long. (**Revive** is for the impatient.)")
    return Passed(f"back, under new ids: {many(len(found['offers']), 'offer')}")


def wait_for_offers(context: Context) -> None:
    import time

    from labkit import widgets

    while not widgets.offers(context.sandbox).offers:
        time.sleep(0.5)


def who_brought_them(context: Context) -> str | None:
    speed = float(context.sandbox.record.options.get("speed") or 1.0)
    waited = (time.time() - float(context.memory.get("declined", 0.0))) * speed
    return "By themselves, when the time is over" if waited > 15 else None


# -- hoarding ------------------------------------------------------------------------------------------------------


@asks
def marathon_starves(context: Context) -> Verdict:
    if mine(context) is None:
        return SUBSCRIBE_FIRST
    found = app(context, HUNGRY)
    if found is None:
        return NotYet("there is no app `/hungry`", "Deploy it, as the step says.")
    if found["tasksRunning"]:
        return NotYet(
            "`/hungry` runs: somebody gave it resources", "Destroy it, hold every offer, and deploy it again."
        )
    if not _holds_everything(context):
        return NotYet("you do not hold all that is free", "Press **Revive**, and keep what comes.")
    return Passed("you hold all that is free; `/hungry` waits, and Marathon has not been offered anything")


def starve_marathon(context: Context) -> None:
    import time

    from labkit import widgets

    widgets.offers(context.sandbox).revive()
    time.sleep(2)
    context.sandbox.actions.deploy("hungry", cmd="sleep 100000", cpus=1)


@quietly(None)
def what_marathon_gets(context: Context) -> str | None:
    found = app(context, HUNGRY)
    return "Nothing" if found is not None and not found["tasksRunning"] else "Its fair share"


@asks
def marathon_fed(context: Context) -> Verdict:
    if mine(context) is None:
        return NotYet("you are no framework any more", "**Subscribe** again: this is about sharing.")
    found = app(context, HUNGRY)
    if found is None:
        return NotYet("there is no app `/hungry`", "Deploy it again: step “Hold everything”.")
    if not found["tasksRunning"]:
        return NotYet("`/hungry` still waits", "Decline what you hold, for **2 min**.")
    return Passed("`/hungry` runs")


def feed_marathon(context: Context) -> None:
    from labkit import widgets

    widgets.offers(context.sandbox).decline(seconds=120)


# -- a lost agent --------------------------------------------------------------------------------------------------


@asks
def agent_gone(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return SUBSCRIBE_FIRST
    there = agent_states(context)
    off = {machine: slave for machine, slave in there.items() if not slave["active"]}
    tea = next((task for task in found["tasks"] if task["name"] == "tea"), None)
    given_up = [machine for machine in agents(context) if machine not in there]
    if not off and given_up:
        return NotYet(
            f"{names(given_up)} fell silent so long ago that its tasks are given up (TASK_LOST)",
            f"{how_to_start(context, 'mesos-agent', given_up[0])}, and then stop the agent's process alone.",
        )
    if not off:
        return NotYet("every agent is registered", "`marathon.stop('mesos-agent', …)` with the machine that has `tea`.")
    if tea is None:
        return NotYet("no `tea` was running on it", "Start the agent again, serve `tea`, and stop the agent below it.")
    machine = next((machine for machine, slave in off.items() if slave["id"] == tea["slave_id"]), None)
    if machine is None:
        return NotYet(
            f"{names(off)} is off, and `tea` runs elsewhere", "Stop the agent that runs `tea`; start the other."
        )
    if not found["offers"]:
        return NotYet("you hold no offers", "Press **Revive** and look which agents are left.")
    if any(offer["slave_id"] == off[machine]["id"] for offer in found["offers"]):
        return NotYet(f"the offer of {machine} is still yours", "A moment.")
    context.memory["lost"] = {"machine": machine, "id": off[machine]["id"]}
    context.memory["tea"] = tea["id"]
    return Passed(f"{machine} is not registered, and its offer is void; you hold {len(found['offers'])} others")


def stop_agent(context: Context) -> None:
    import time

    from labkit import widgets

    desk = widgets.offers(context.sandbox)
    desk.revive()
    time.sleep(2)
    tea = next(order for order in desk.view["orders"] if order["name"] == "tea")
    context.sandbox.stop("mesos-agent", tea["words"].rpartition(" ")[2])


def what_of_the_offer(context: Context) -> str:
    return "It is taken back: RESCIND"


@asks
def agent_back(context: Context) -> Verdict:
    lost = context.memory["lost"]
    slave = agent_states(context).get(lost["machine"])
    if slave is None or not slave["active"]:
        return NotYet(f"{lost['machine']} is not registered", how_to_start(context, "mesos-agent", lost["machine"]))
    if not any(task["id"] == context.memory.get("tea") for task in my_tasks(context, "tea")):
        return NotYet(f"{lost['machine']} is back; `tea` is not seen to run", "A moment.")
    kept = "under the id that it had" if slave["id"] == lost["id"] else f"as {slave['id']}"
    return Passed(f"{lost['machine']} has registered again {kept}; `{context.memory['tea']}` runs")


def start_agent(context: Context) -> None:
    for part in context.sandbox.components:
        if part.name == "mesos-agent" and part.state == "stopped":
            context.sandbox.start(part.name, part.machine)


@quietly(None)
def what_of_the_tea(context: Context) -> str | None:
    same = any(task["id"] == context.memory.get("tea") for task in my_tasks(context, "tea"))
    return "It has run all the time" if same else "It is started again"


# -- a round -------------------------------------------------------------------------------------------------------


@asks
def round_won(context: Context) -> Verdict:
    if mine(context) is None:
        return SUBSCRIBE_FIRST
    where = {slave["id"]: slave["attributes"] for slave in agent_states(context).values()}
    starts = []
    for order in ORDERS:
        if not order.counts:
            continue
        suits = [
            task
            for task in my_tasks(context, order.name)
            if order.wants.items() <= where.get(task["slave_id"], {}).items()
        ]
        if not suits:
            return NotYet(f"`{order.name}` is not served", "The cards say which agent has what it wants.")
        starts.append(max(_began(task) for task in suits))
    took = max(starts) - min(starts)
    if took > LIMIT:
        return NotYet(f"all are served, in {took:.0f} seconds", f"Within {LIMIT:.0f}, please: **Start a round**.")
    return Passed(f"all {len(starts)} orders are served, the last {took:.0f} seconds after the first")


def _began(task: Json) -> float:
    """When it was first said to run."""
    return min(float(one["timestamp"]) for one in task["statuses"] if one["state"] == "TASK_RUNNING")


def play_round(context: Context) -> None:
    import time

    from labkit import widgets

    if any(app["id"] == "/hungry" for app in context.client.apps()):
        context.client.delete("/hungry", force=True)
        context.client.settled()
    desk = widgets.offers(context.sandbox)
    desk.start_round()
    desk.revive()
    plan = {"agent-2": ["bread", "cake"], "agent-1": ["soup", "tea"], "agent-3": ["fish", "rice"]}
    for machine, orders in plan.items():
        while not any(offer.machine == machine and offer.cpus >= 4 for offer in desk.offers):
            time.sleep(0.2)
        desk.accept(machine, *orders)


# -- clean up ------------------------------------------------------------------------------------------------------


@asks
def all_gone(context: Context) -> Verdict:
    found = framework(context, NAME)
    if found is not None and not found["connected"]:  # a kernel that was restarted took its desk along
        return NotYet(
            f"`{NAME}` is still registered, and its desk has gone", f"`marathon.client.mesos.teardown({found['id']!r})`"
        )
    if found is not None:
        return NotYet(f"`{NAME}` is still registered", "Press **Tear down** at the desk.")
    if app(context, HUNGRY) is not None:
        return NotYet("`/hungry` is still there", "`marathon.client.delete('/hungry')`")
    return Passed(f"`{NAME}` is torn down, and its tasks are killed")


def clean_up(context: Context) -> None:
    from labkit import widgets

    widgets.offers(context.sandbox).teardown()
    if any(app["id"] == "/hungry" for app in context.client.apps()):
        context.client.delete("/hungry", force=True)


def reset(context: Context) -> None:
    from labkit import widgets

    heal_everything(context)
    widgets.offers(context.sandbox).teardown()
    teardown(context, NAME)
    sweep(context, HUNGRY)

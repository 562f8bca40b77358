"""What labs/mesos/11-zookeeper-and-masters checks, and how each step is solved."""

from __future__ import annotations

import requests

from labkit.guide import Context, NotYet, Passed, Verdict
from labkit.orchestrators.marathon import znodes

from .common import (
    NO_ANSWER,
    Json,
    agents,
    answers,
    app,
    asks,
    component_off,
    framework,
    heal_everything,
    how_to_start,
    leader,
    master_url,
    masters,
    members,
    mesos,
    modes,
    names,
    not_running_yet,
    quietly,
    running,
    sweep,
)

BEACON = "/beacon"
SERVING = ("leader", "follower", "observer", "standalone")

REDIRECTS = "It sends me to the leader"
LOWEST = "The one with the lowest number"
AGENTS_TOLD = "The agents, as they registered again"
NOBODY = "Nobody: without a master that leads there are no offers"


def serving(context: Context) -> list[str]:
    """The machines whose ZooKeeper member serves requests."""
    return [machine for machine, mode in modes(context).items() if mode in SERVING]


def silent(context: Context) -> list[str]:
    return [machine for machine, mode in modes(context).items() if mode == "down"]


def quorum_of(context: Context) -> int:
    return len(members(context)) // 2 + 1


# -- the ensemble ------------------------------------------------------------------------------------------------


@asks
def named_leader(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "The line *Mode* of `srvr` says it.")
    there = modes(context)
    if there.get(context.answer) != "leader":
        return NotYet(f"{context.answer}'s member says `Mode: {there.get(context.answer)}`", "Look for `leader`.")
    return Passed(
        f"{context.answer}'s member leads the ensemble; {names(m for m in there if m != context.answer)} follow"
    )


def name_leader(context: Context) -> str:
    from labkit.orchestrators.marathon import zookeeper

    members = context.sandbox.env["ZOOKEEPER"].split(",")
    masters = [machine.name for machine in context.sandbox.machines if machine.role == "master"]
    return next(name for name, member in zip(masters, members, strict=True) if zookeeper.ask(member) == "leader")


def tolerance_right(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "A write counts when more than half of the members have it.")
    count = len(members(context))
    spare = count - quorum_of(context)
    if float(context.answer) != spare:
        return NotYet(f"{context.answer:g} is not it", f"Two of three must be left over; here there are {count}.")
    return Passed(f"{quorum_of(context)} of {count} are a quorum: {spare} may be lost")


def tolerance(context: Context) -> int:
    members = context.sandbox.env["ZOOKEEPER"].split(",")
    return len(members) - (len(members) // 2 + 1)


# -- the masters' znodes -------------------------------------------------------------------------------------------


@asks
def right_znode(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Compare the numbers with the star in the dashboard.")
    if context.answer != LOWEST:
        return NotYet("that is not how they find it", "Which of them belongs to the master that leads?")
    ensemble = list(members(context).values())
    candidates = [name for name in znodes.look(ensemble, "/mesos").children if name.startswith("json.info")]
    context.memory["first leader"] = leader(context)
    return Passed(f"`/mesos/{min(candidates)}` is the oldest of {len(candidates)}: {leader(context)} leads")


def answer_lowest(context: Context) -> str:
    return "The one with the lowest number"


# -- something to worry about --------------------------------------------------------------------------------------


@asks
def beacon_burns(context: Context) -> Verdict:
    if (amiss := not_running_yet(context, BEACON, 3, "`marathon.actions.deploy('beacon', …)`, as above.")) is not None:
        return amiss
    if not _maps_a_port(app(context, BEACON) or {}):
        return NotYet(
            "`/beacon` runs, and none of its ports leads to port 80 in there",
            "`marathon.client.delete('/beacon')`, and deploy it with `{10011: 80}`.",
        )
    tasks = [
        {"id": task["id"], "host": task["host"], "port": task["ports"][0]}
        for task in context.client.tasks(BEACON)
        if task.get("ports")
    ]
    if len(tasks) != 3:
        return NotYet("not every task has its port yet", "A moment.")
    if not all(answers(task["host"], task["port"]) for task in tasks):
        return NotYet("not every task answers on its port yet", "A moment.")
    context.memory["tasks"] = tasks
    return Passed(f"three tasks answer: {names(_place(task) for task in tasks)}")


def _maps_a_port(found: Json) -> bool:
    """Whether the web server's port 80 is to be reached from outside: an image alone has no port on its agent."""
    container = found.get("container") or {}
    mappings = container.get("portMappings") or (container.get("docker") or {}).get("portMappings") or ()
    return any(mapping.get("containerPort") == 80 for mapping in mappings)


def _place(task: Json) -> str:
    return f"{task['host']}:{task['port']}"


def light_beacon(context: Context) -> None:
    context.sandbox.actions.deploy("beacon", "traefik/whoami:v1.10", 3, {10011: 80})


def answering(context: Context) -> int:
    """How many of the tasks that were started then answer now; no master is asked."""
    return sum(answers(task["host"], task["port"]) for task in context.memory.get("tasks", ()))


@quietly([])
def same_tasks(context: Context) -> list[str]:
    """Those of then that run now, as the leading master has it."""
    then = {task["id"] for task in context.memory.get("tasks", ())}
    return [task["id"] for task in running(framework(context, "marathon")) if task["id"] in then]


# -- the leading master --------------------------------------------------------------------------------------------


@asks
def redirected(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Run the cell above: it asks each master, and follows no redirect.")
    now = leader(context)
    others = [name for name in masters(context) if name != now]
    answer = requests.get(master_url(context, others[0]) + "/state", allow_redirects=False, timeout=4)
    if context.answer != REDIRECTS:
        return NotYet(
            "that is not what the others answer", "Read the status and the `Location` of a master without a star."
        )
    return Passed(f"{others[0]} answers {answer.status_code}, {answer.headers.get('Location', '')}")


def answer_redirect(context: Context) -> str:
    return "It sends me to the leader"


@asks
def another_leads(context: Context) -> Verdict:
    first = context.memory.get("first leader", "")
    off = component_off(context, "mesos-master")
    if first not in off:
        return NotYet(f"{first}'s master runs", f"`marathon.stop('mesos-master', {first!r})`, or the dashboard")
    now = leader(context)
    there = mesos(context).state()
    missing = len(agents(context)) - sum(bool(slave["active"]) for slave in there["slaves"])
    if missing:
        return NotYet(f"{now} leads; {missing} agents have not registered with it yet", "They look at ZooKeeper too.")
    kept = same_tasks(context)
    if len(kept) != 3:
        return NotYet(f"{now} leads and knows of {len(kept)} of the three tasks", "Marathon registers again. A moment.")
    context.memory["second leader"] = now
    return Passed(f"{now} leads; the same three tasks run, and {answering(context)} answer")


def what_became(context: Context) -> str | None:
    return "The same tasks run on" if len(same_tasks(context)) == 3 else "Marathon starts others for them"


def stop_leader(context: Context) -> None:
    leader = context.client.mesos.leader()
    for machine in context.sandbox.machines:
        if machine.role == "master" and leader in machine.env["MESOS_URL"]:
            context.sandbox.stop("mesos-master", machine.name)


@asks
def who_knew(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Who has known the tasks all the time?")
    if context.answer != AGENTS_TOLD:
        return NotYet("it is not written there", "Look at the znodes again: there are only the masters' names.")
    ids = [slave["id"] for slave in mesos(context).slaves()]
    return Passed(f"{len(ids)} agents registered again under the ids that they had")


def answer_agents(context: Context) -> str:
    return "The agents, as they registered again"


@asks
def old_one_waits(context: Context) -> Verdict:
    off = component_off(context, "mesos-master")
    if off:
        return NotYet(f"{off[0]}'s master is stopped", how_to_start(context, "mesos-master", off[0]))
    ensemble = list(members(context).values())
    candidates = [name for name in znodes.look(ensemble, "/mesos").children if name.startswith("json.info")]
    if len(candidates) != len(masters(context)):
        return NotYet(f"{len(candidates)} masters stand for election", "It needs a moment to get in line.")
    return Passed(f"{len(candidates)} masters stand in line, and {leader(context)} leads")


@quietly(None)
def who_leads_now(context: Context) -> str | None:
    first = context.memory.get("first leader", "")
    return "It leads again" if leader(context) == first else "It gets in line, last"


def start_master(context: Context) -> None:
    for part in context.sandbox.components:
        if part.name == "mesos-master" and part.state == "stopped":
            context.sandbox.start(part.name, part.machine)


# -- the ensemble's members ------------------------------------------------------------------------------------------


@asks
def one_less(context: Context) -> Verdict:
    gone, there = silent(context), serving(context)
    if not gone:
        return NotYet("every member answers", "`marathon.stop('zookeeper', 'master-3')`")
    if len(there) < quorum_of(context):
        return NotYet(f"only {len(there)} members serve", "One is enough for now: start the other again.")
    return Passed(f"{names(gone)} is gone, {len(there)} members serve; {leader(context)} leads")


@quietly(None)
def what_one_costs(context: Context) -> str | None:
    return "Nothing stops" if leader(context) and answering(context) == 3 else None


def stop_member(context: Context) -> None:
    context.sandbox.stop("zookeeper", "master-3")


def no_quorum(context: Context) -> Verdict:
    gone, there = silent(context), serving(context)
    if len(gone) == len(members(context)):
        return NotYet("every member is down", "Leave one alive, to hear what it says: `marathon.start('zookeeper', …)`")
    if len(gone) <= len(members(context)) - quorum_of(context):
        return NotYet(f"{len(gone)} of {len(members(context))} members are down: still a quorum", "One more.")
    if there:
        return NotYet(f"{names(there)} still says that it serves", "It notices within a second or two.")
    try:
        still = leader(context)
    except NO_ANSWER as error:
        if getattr(error, "status", 0) != 503:
            return NotYet(str(error), "The one that led has ended itself; it is started again, and finds no quorum.")
        count = answering(context)
        if count != 3:
            return NotYet(f"{count} of three tasks answer", "Were they stopped?")
        return Passed(f"“{error}”, and all three tasks answer")
    return NotYet(f"{still} still leads", "Its session with ZooKeeper is good for ten seconds. Ask it after that.")


def tasks_without(context: Context) -> str:
    return "They run, and answer" if answering(context) == 3 else "They stop"


def stop_another_member(context: Context) -> None:
    running = [p.machine for p in context.sandbox.components if p.name == "zookeeper" and p.state == "running"]
    context.sandbox.stop("zookeeper", running[0])


def nobody_repairs(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Run the cell above: it asks for one more.")
    if serving(context):
        return NotYet("the ensemble has a quorum again", "Answer while it is lost.")
    if context.answer != NOBODY:
        return NotYet("nobody can", "Who offers an agent's resources to Marathon?")
    return Passed(f"nobody; {answering(context)} tasks answer all the same")


def answer_nobody(context: Context) -> str:
    return "Nobody: without a master that leads there are no offers"


@asks
def quorum_back(context: Context) -> Verdict:
    there = serving(context)
    if len(there) < quorum_of(context):
        off = silent(context)
        return NotYet(
            f"{len(there)} members serve",
            how_to_start(context, "zookeeper", off[0]) if off else "They need a second to elect a leader.",
        )
    try:
        now = leader(context)
    except NO_ANSWER:
        return NotYet(f"{len(there)} members serve, and no master leads yet", "Two elections, one after the other.")
    waiting = [slave for slave in mesos(context).slaves() if not slave["active"]]
    if waiting or len(mesos(context).slaves()) != len(agents(context)):
        return NotYet(f"{now} leads; not every agent has registered again", "A moment.")
    kept = same_tasks(context)
    if len(kept) != 3:
        return NotYet(f"{now} leads and knows of {len(kept)} of the three tasks", "Marathon needs a leader, too.")
    return Passed(f"{now} leads, {len(there)} members serve, and these are the three tasks of before")


def how_many_new(context: Context) -> str | None:
    return {3: "None", 0: "All three"}.get(len(same_tasks(context)))


def start_one(context: Context) -> None:
    stopped = [p.machine for p in context.sandbox.components if p.name == "zookeeper" and p.state == "stopped"]
    context.sandbox.start("zookeeper", stopped[0])


@asks
def all_back(context: Context) -> Verdict:
    gone = [machine for machine in members(context) if machine not in serving(context)]
    if gone:
        return NotYet(f"{names(gone)}: no member that serves", how_to_start(context, "zookeeper", gone[0]))
    off = component_off(context, "mesos-master")
    if off:
        return NotYet(f"{names(off)}: no master", how_to_start(context, "mesos-master", off[0]))
    return Passed(f"{len(serving(context))} members, {len(masters(context))} masters; {leader(context)} leads")


def start_all(context: Context) -> None:
    for part in context.sandbox.components:
        if part.state == "stopped":
            context.sandbox.start(part.name, part.machine)


@asks
def beacon_out(context: Context) -> Verdict:
    if app(context, BEACON) is not None or context.client.deployments():
        return NotYet("`/beacon` is still there", "`marathon.client.delete('/beacon')`")
    return Passed("`/beacon` is destroyed, and its tasks with it")


def put_out(context: Context) -> None:
    context.client.delete("/beacon")


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, BEACON)

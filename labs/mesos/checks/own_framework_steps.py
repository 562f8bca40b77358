"""What labs/mesos/14-write-your-own-framework checks, and how each step is solved.

The framework lives in the learner's notebook. A solution takes from there what earlier cells have defined
(``from __main__ import …``); the guide leaves that line out where it shows the solution, for a cell has those names.
"""

from __future__ import annotations

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    NO_ANSWER,
    Json,
    app,
    asks,
    brief,
    frameworks,
    heal_everything,
    many,
    mesos,
    quietly,
    running,
    sweep,
    teardown,
)

MINE = "mine"  # what the learner's framework is called
POLITE = "/polite"
HELLO, BOX = "hello", "box"
KEEP = "keep-"

START, WAIT, SOON = "They start at once", "They wait", "They start after five seconds"
AGAIN, ALL, NONE = "TASK_STARTING, again and again", "TASK_STARTING, TASK_RUNNING, TASK_FINISHED", "Nothing at all"
LOST, UNKNOWN, SILENCE = "TASK_LOST", "TASK_GONE", "It says nothing"
RUNS_ON, ENDS, MOVES = "It runs on", "It ends", "Marathon takes it over"

NO_FRAMEWORK = NotYet("no framework is called `mine`", "Run the cells that subscribe it.")


def mine(context: Context) -> Json | None:
    """The learner's framework: one that is on the line, else the newest."""
    found = frameworks(context, MINE)
    return max(found, key=lambda one: (one["connected"], float(one["registered_time"])), default=None)


def all_tasks(one: Json) -> list[Json]:
    return [*one["tasks"], *one["completed_tasks"]]


def named(tasks: list[Json], name: str) -> list[Json]:
    return [task for task in tasks if task["id"] == name]


def said_of(task: Json) -> list[str]:
    """The states of which the framework has been told, in order."""
    return [status["state"] for status in task.get("statuses", ())]


# -- subscribe -----------------------------------------------------------------------------------------------------


@asks
def subscribed(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    if not found["connected"]:
        return NotYet(f"`mine` was registered as `{brief(found['id'])}`, and has hung up", "Subscribe again.")
    return Passed(
        f"`mine` is a framework of this cluster: `{brief(found['id'])}`, with {many(len(found['offers']), 'offer')}"
    )


def subscribe_by_hand(context: Context) -> None:
    """Done by cells of the notebook."""


# -- offers --------------------------------------------------------------------------------------------------------


@asks
def hoarded(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    polite = app(context, POLITE)
    if polite is None:
        return NotYet("there is no app `/polite`", "`marathon.actions.deploy('polite', …)`, as it stands above.")
    if polite["tasksRunning"]:
        return NotYet("`/polite` runs", "Somebody has let go of an offer: run the cells from the top.")
    held = {offer["slave_id"] for offer in found["offers"]}
    if len(held) < len(mesos(context).slaves()):
        return NotYet(f"`mine` holds offers of {len(held)} agents", "Give it a second.")
    return Passed(f"`mine` holds all that {len(held)} agents have, and `/polite` waits")


@quietly(None)
def fate_of_polite(context: Context) -> str | None:
    polite = app(context, POLITE)
    return START if polite is not None and polite["tasksRunning"] else WAIT


def deploy_polite(context: Context) -> None:
    context.sandbox.actions.deploy("polite", "busybox:1.36", 2, cmd="sleep 100000")


@asks
def declined(context: Context) -> Verdict:
    found = mine(context)
    if found is None or not found["connected"]:
        return NotYet("`mine` is not on the line", "It is no art to give way by leaving: subscribe again.")
    polite = app(context, POLITE)
    if polite is None or polite["tasksRunning"] < 2:
        return NotYet(f"`mine` holds {many(len(found['offers']), 'offer')}, and `/polite` waits", "DECLINE them all.")
    if found["offers"]:
        return NotYet(
            f"`/polite` runs, but `mine` holds {many(len(found['offers']), 'offer')} again", "Decline *each* time."
        )
    return Passed("`mine` holds no offer, and `/polite` runs")


def decline_politely(context: Context) -> None:
    from __main__ import call, handlers, heard

    def decline(event):
        ids = [offer["id"] for offer in event["offers"]["offers"]]
        call("DECLINE", decline={"offer_ids": ids, "filters": {"refuse_seconds": 5}})

    handlers["OFFERS"] = decline
    for event in list(heard):
        if event["type"] == "OFFERS":
            decline(event)


# -- tasks ---------------------------------------------------------------------------------------------------------


@asks
def launched(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    task = next(iter(named(all_tasks(found), HELLO)), None)
    if task is None:
        return NotYet("`mine` has no task called `hello`", 'wanted["hello"] = {"command": {"value": "…"}}')
    if task["state"] == "TASK_ERROR":
        return NotYet(f"Mesos refused it: {task['statuses'][-1].get('message', '')}", "")
    return Passed(f"`hello` is a task on {_machine(context, task)}: {task['state']}")


def _machine(context: Context, task: Json) -> str:
    for slave in mesos(context).slaves():
        if slave["id"] == task["slave_id"]:
            return str(slave["attributes"].get("machine", slave["hostname"]))
    return "an agent"


def launch_hello(context: Context) -> None:
    from __main__ import wanted

    wanted["hello"] = {"command": {"value": "echo hello from $(hostname); sleep 3"}}


@asks
def deaf(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    task = next(iter(named(found["tasks"], HELLO)), None)
    if task is None:
        return NotYet("`hello` has been acknowledged", "Too late for this one: launch it anew, with no UPDATE handler.")
    if context.answer is None:
        return NotYet(f"the master knows `hello` as {task['state']}; no answer yet", "`told()` prints what was heard.")
    if context.answer != AGAIN:
        return NotYet("that is not what was heard", "Wait ten seconds, and `told()` again.")
    return Passed(f"all that `mine` has been told of `hello` is {', '.join(said_of(task))}")


def listen_to_silence(context: Context) -> str:
    import time

    time.sleep(4)
    return "TASK_STARTING, again and again"


@asks
def acknowledged(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    done = next(iter(named(found["completed_tasks"], HELLO)), None)
    if done is None:
        there = next(iter(named(found["tasks"], HELLO)), None)
        seen = ", ".join(said_of(there)) if there is not None else "nothing"
        return NotYet(f"of `hello` the framework has been told {seen}", "ACKNOWLEDGE what has come, and what comes.")
    return Passed(f"`hello`: {', '.join(said_of(done))}, each acknowledged; the master has put it away")


def acknowledge(context: Context) -> None:
    from __main__ import handlers, heard, on_update

    handlers["UPDATE"] = on_update
    for event in list(heard):
        if event["type"] == "UPDATE":
            on_update(event)


@asks
def boxed(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    task = next(iter(named(running(found), BOX)), None)
    if task is None:
        return NotYet("no task called `box` runs", 'wanted["box"] = {"command": …, "container": …}')
    image = ((task.get("container") or {}).get("docker") or {}).get("image")
    if not image:
        return NotYet("`box` is a plain command", 'It takes a "container" of type DOCKER as well.')
    return Passed(f"`box` runs `{image}` on {_machine(context, task)}")


def launch_box(context: Context) -> None:
    from __main__ import wanted

    wanted["box"] = {
        "command": {"value": "sleep 100000"},
        "container": {"type": "DOCKER", "docker": {"image": "busybox:1.36"}},
    }


# -- the connection ------------------------------------------------------------------------------------------------


def stream_known(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Make one call with another `Mesos-Stream-Id`, and read the status.")
    if int(context.answer) != 400:
        return NotYet(f"{context.answer:g} is not what the master answers", "`answer.status_code`")
    return Passed("400: “The stream ID … doesn't match”")


def try_wrong_stream(context: Context) -> int:
    from __main__ import api, me, session

    body = {"type": "REVIVE", "framework_id": me["id"]}
    answer = session.post(api, json=body, headers={"Mesos-Stream-Id": "somebody-else"})
    print(answer.status_code, answer.text)
    return answer.status_code


@asks
def left(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    if found["connected"]:
        context.memory.pop("id", None)
        return NotYet("`mine` is on the line", "`hang_up()`")
    if not named(running(found), BOX):
        return NotYet("`mine` has gone, and no `box` runs", "Subscribe, launch `box`, hang up.")
    context.memory["id"] = found["id"]
    return Passed(f"nobody speaks for `mine`; `box` runs on, for {found['failover_timeout']:g} seconds at least")


@quietly(None)
def fate_of_box(context: Context) -> str | None:
    found = mine(context)
    return RUNS_ON if found is not None and named(running(found), BOX) else ENDS


def leave(context: Context) -> None:
    from __main__ import hang_up

    hang_up()


@asks
def returned(context: Context) -> Verdict:
    found = mine(context)
    if found is None or not found["connected"]:
        return NotYet("nobody speaks for `mine`", "`connect()`: `me` has an id now, and `subscribe` sends it along.")
    if found["id"] != context.memory["id"]:
        return NotYet("this `mine` is another framework, under a new id", 'Put the old id into `me["id"]` first.')
    if not named(running(found), BOX):
        return NotYet("`mine` is back, but `box` is gone", "")
    return Passed(f"`mine` is back as `{brief(found['id'])}`, and `box` is its own again")


def come_back(context: Context) -> None:
    from __main__ import connect

    connect()


def reconciled(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "`told('ghost')` prints what was heard of it.")
    if context.answer != LOST:
        return NotYet("that is not what the master says", "RECONCILE a task called `ghost`, then `told('ghost')`.")
    return Passed("TASK_LOST, with REASON_RECONCILIATION: the master knows of no such task")


def ask_for_ghost(context: Context) -> str:
    import time

    from __main__ import call, heard

    call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": "ghost"}}]})
    time.sleep(1)
    statuses = [event["update"]["status"] for event in heard if event["type"] == "UPDATE"]
    return next(status["state"] for status in statuses if status["task_id"]["value"] == "ghost")


@asks
def killed(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    done = next(iter(named(found["completed_tasks"], BOX)), None)
    if done is None:
        there = next(iter(named(found["tasks"], BOX)), None)
        return NotYet(f"`box` is {there['state'] if there else 'not there'}", "`call('KILL', kill={…})`")
    if done["state"] != "TASK_KILLED":
        return NotYet(f"`box` has ended as {done['state']}", "Launch it again, and KILL it.")
    return Passed("`box` is TASK_KILLED")


def kill_box(context: Context) -> None:
    from __main__ import call

    call("KILL", kill={"task_id": {"value": "box"}})


# -- a scheduler ---------------------------------------------------------------------------------------------------


@asks
def kept(context: Context) -> Verdict:
    found = mine(context)
    if found is None:
        return NO_FRAMEWORK
    alive = [task["id"] for task in running(found) if task["id"].startswith(KEEP)]
    ended = [task for task in found["completed_tasks"] if task["id"].startswith(KEEP)]
    if not alive and not ended:
        return NotYet("no task is called `keep-…`", "Three to begin with, and another one for each that ends.")
    if len(alive) != 3 or len(ended) < 3:
        return NotYet(
            f"{len(alive)} run, {len(ended)} have ended", "Three are to run, and three to have been replaced."
        )
    return Passed(f"{', '.join(sorted(alive))} run, in place of {len(ended)} that have ended")


def keep_three(context: Context) -> None:
    from __main__ import handlers, on_update, wanted

    numbers = iter(range(1, 10000))

    def another():
        wanted[f"keep-{next(numbers)}"] = {"command": {"value": "sleep 10"}}

    def keep(event):
        on_update(event)
        status = event["update"]["status"]
        over = status["state"] in ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST")
        if over and status["task_id"]["value"].startswith("keep-"):
            another()

    handlers["UPDATE"] = keep
    for _ in range(3):
        another()


@asks
def gone(context: Context) -> Verdict:
    left_over = frameworks(context, MINE)
    if left_over:
        one = left_over[0]
        if one["connected"] and len(left_over) == 1:
            return NotYet(f"`mine` is registered as `{brief(one['id'])}`", "`call('TEARDOWN')`")
        # Of a kernel that was restarted, or of the cell that subscribes, run twice.
        return NotYet(
            f"{many(len(left_over), 'framework')} called `mine` are left",
            f"`marathon.client.mesos.teardown({one['id']!r})`",
        )
    if app(context, POLITE) is not None:
        return NotYet("`/polite` is still there", "`marathon.client.delete('/polite')`")
    return Passed("`mine` is over, and the master has ended its tasks")


def end_all(context: Context) -> None:
    from __main__ import call

    call("TEARDOWN")
    context.client.delete("/polite")


def set_up(context: Context) -> None:
    heal_everything(context)


def reset(context: Context) -> None:
    try:
        heal_everything(context)
        teardown(context, MINE)
        sweep(context, POLITE)
    except NO_ANSWER:  # what nobody answers for stays as it is
        return

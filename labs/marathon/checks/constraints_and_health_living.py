"""Checks and solutions of labs/marathon/16-constraints-and-health: who is well, who is tried again, who is lost."""

from __future__ import annotations

from typing import Any

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    all_agents,
    app,
    asks,
    heal_everything,
    healthy,
    left,
    not_running_yet,
    quietly,
    running,
    sweep,
    tasks,
    waiting,
)

APPS = (
    "/one-each", "/spread", "/together", "/two-zones", "/no-ssd", "/greedy",
    "/clinic", "/slow", "/three-ways", "/crasher", "/quick", "/careful",
)  # fmt: skip

KILLED = "It is killed, and another task takes its place"
REPAIRED = "Its container is started again"
ALONE = "It is left alone, and only marked as ill"

GIVES_UP = "It gives up after some tries"
AT_ONCE = "It tries again at once, for ever"
SLOWER = "It tries again, after a longer pause each time"

QUICK, CAREFUL, BOTH, NEITHER = "`/quick`", "`/careful`", "Both", "Neither"

ENDED = "They are killed: their places have been taken"
SIX = "They run on, and `/quick` has more than four"
SWAPPED = "They stay, and the new ones go"

FAILED_CHECK = "health check failed"


# -- health ------------------------------------------------------------------------------------------------------------


def well(context: Context, app_id: str) -> list[dict[str, Any]]:
    return [task for task in running(context, app_id) if healthy(task)]


def _not_well_yet(context: Context, app_id: str, how: str) -> NotYet | None:
    found = app(context, app_id)
    if found is None:
        return NotYet(f"there is no app `{app_id}`", how)
    if not found.get("healthChecks"):
        return NotYet(f"`{app_id}` has no `healthChecks`", how)
    there = len(well(context, app_id))
    if there != found["instances"] or len(running(context, app_id)) != there:
        return NotYet(
            f"{there} of {found['instances']} tasks of `{app_id}` are healthy", "The first answers take a moment."
        )
    return None


@asks
def clinic_is_well(context: Context) -> Verdict:
    if (amiss := _not_well_yet(context, "/clinic", "Post the app of the cell above.")) is not None:
        return amiss
    return Passed(f"{len(well(context, '/clinic'))} tasks answer /health with 200")


def open_clinic(context: Context) -> None:
    context.client.create(
        {
            "id": "/clinic",
            "instances": 2,
            "cpus": 0.1,
            "mem": 32,
            "container": {
                "type": "DOCKER",
                "docker": {"image": "traefik/whoami:v1.10"},
                "portMappings": [{"containerPort": 80, "hostPort": 0}],
            },
            "networks": [{"mode": "container/bridge"}],
            "healthChecks": [
                {
                    "protocol": "HTTP",
                    "path": "/health",
                    "portIndex": 0,
                    "gracePeriodSeconds": 10,
                    "intervalSeconds": 2,
                    "timeoutSeconds": 2,
                    "maxConsecutiveFailures": 3,
                }
            ],
        }
    )


@asks
def one_was_killed(context: Context) -> Verdict:
    found = app(context, "/clinic") or {}
    failure = found.get("lastTaskFailure") or {}
    if FAILED_CHECK not in failure.get("message", ""):
        ill = [task for task in running(context, "/clinic") if not healthy(task)]
        if ill:
            return NotYet(f"`{ill[0]['id']}` fails its check; that may be chance", "It is asked again.")
        return NotYet("everybody is well", "POST `500` to `/health` of one of the tasks.")
    if (amiss := _not_well_yet(context, "/clinic", "")) is not None:
        return amiss
    return Passed(failure["message"])


@quietly(None)
def cure(context: Context) -> str | None:
    failure = (app(context, "/clinic") or {}).get("lastTaskFailure") or {}
    there = {task["id"] for task in running(context, "/clinic")}
    return KILLED if failure and failure["taskId"] not in there else None


def make_one_ill(context: Context) -> None:
    import requests

    task = context.client.tasks("/clinic")[0]
    requests.post(f"http://{task['host']}:{task['ports'][0]}/health", data="500")


@asks
def killed_too_early(context: Context) -> Verdict:
    found = app(context, "/slow")
    if found is None:
        return NotYet("there is no app `/slow`", "Post the app of the cell above.")
    failure = found.get("lastTaskFailure") or {}
    if FAILED_CHECK not in failure.get("message", ""):
        return NotYet("it is still being waited for", "Watch its health in the dashboard.")
    return Passed(f"killed before it could answer: {failure['message']}")


def post_slow(context: Context) -> None:
    context.client.create(
        {
            "id": "/slow",
            "cmd": "touch /tmp/health; sleep 15; exec httpd -f -p 8080 -h /tmp",
            "cpus": 0.1,
            "mem": 32,
            "container": {
                "type": "DOCKER",
                "docker": {"image": "busybox:1.36"},
                "portMappings": [{"containerPort": 8080, "hostPort": 0}],
            },
            "networks": [{"mode": "container/bridge"}],
            "healthChecks": [
                {
                    "protocol": "HTTP",
                    "path": "/health",
                    "gracePeriodSeconds": 2,
                    "intervalSeconds": 2,
                    "timeoutSeconds": 1,
                    "maxConsecutiveFailures": 2,
                }
            ],
        }
    )


@asks
def slow_is_well(context: Context) -> Verdict:
    if (amiss := _not_well_yet(context, "/slow", "Post it again, as in the step before.")) is not None:
        found = app(context, "/slow")
        if found is not None and all(check["gracePeriodSeconds"] < 15 for check in found.get("healthChecks") or ()):
            return NotYet(amiss.seen, "Give it a longer `gracePeriodSeconds`, with force: its deployment never ended.")
        return amiss
    return Passed("it took its time, and is well")


def be_patient(context: Context) -> None:
    checks = context.client.app("/slow")["healthChecks"]
    checks[0]["gracePeriodSeconds"] = 60
    context.client.update("/slow", {"healthChecks": checks}, force=True)


@asks
def three_ways(context: Context) -> Verdict:
    found = app(context, "/three-ways") or {}
    missing = {"HTTP", "TCP", "COMMAND"} - {check["protocol"] for check in found.get("healthChecks") or ()}
    if missing:
        return NotYet(f"`/three-ways` has no check by {', '.join(sorted(missing))}", "Post the app of the cell above.")
    there = running(context, "/three-ways")
    if not there or len(there[0].get("healthCheckResults") or ()) < 3:
        return NotYet("not all three have answered yet", "The agent begins after `delaySeconds`: 15.")
    if not healthy(there[0]):
        return NotYet("one of them says no", "Look at `healthCheckResults` of its task.")
    return Passed("HTTP, TCP and COMMAND agree: it is well")


def post_three_ways(context: Context) -> None:
    context.client.create(
        {
            "id": "/three-ways",
            "cmd": "touch /tmp/health; exec httpd -f -p 8080 -h /tmp",
            "cpus": 0.1,
            "mem": 32,
            "container": {
                "type": "DOCKER",
                "docker": {"image": "busybox:1.36"},
                "portMappings": [{"containerPort": 8080, "hostPort": 0}],
            },
            "networks": [{"mode": "container/bridge"}],
            "healthChecks": [
                {"protocol": "HTTP", "path": "/health", "intervalSeconds": 2, "timeoutSeconds": 2},
                {"protocol": "TCP", "intervalSeconds": 2, "timeoutSeconds": 2},
                {
                    "protocol": "COMMAND",
                    "command": {"value": "test -e /tmp/health"},
                    "intervalSeconds": 2,
                    "timeoutSeconds": 2,
                },
            ],
        }
    )


# -- back-off ----------------------------------------------------------------------------------------------------------


@asks
def backs_off(context: Context) -> Verdict:
    found = app(context, "/crasher")
    if found is None:
        return NotYet("there is no app `/crasher`", "Post one: `cmd` `sleep 1; exit 1`, `backoffFactor` 2.")
    item = waiting(context, "/crasher")
    pause = int((item or {}).get("delay", {}).get("timeLeftSeconds") or 0)
    most = context.memory["pause"] = max(pause, int(context.memory.get("pause", 0)))
    if most < 4:
        told = f"the longest pause so far: {most} s" if most else "no pause seen so far"
        return NotYet(told, "It grows with each failure. Watch `GET /v2/queue`.")
    failure = found.get("lastTaskFailure") or {}
    return Passed(f"{failure.get('message', 'it fails')}; it now waits {most} s for the next try")


@quietly(None)
def how_it_goes_on(context: Context) -> str | None:
    return SLOWER if int(context.memory.get("pause", 0)) >= 4 else None


def post_crasher(context: Context) -> None:
    context.client.create({"id": "/crasher", "cmd": "sleep 1; exit 1", "cpus": 0.1, "mem": 16, "backoffFactor": 2})


# -- lost agents -------------------------------------------------------------------------------------------------------


def lost(context: Context, app_id: str) -> list[dict[str, Any]]:
    return [task for task in tasks(context, app_id) if task["state"] == "TASK_UNREACHABLE"]


def machines(context: Context, *states: str) -> list[str]:
    return [machine.name for machine in context.sandbox.machines if machine.state in states]


@asks
def both_run(context: Context) -> Verdict:
    for one in ("/quick", "/careful"):
        if (amiss := not_running_yet(context, one, 4, "Run the cell above.")) is not None:
            return amiss
    strategy = (app(context, "/careful") or {}).get("unreachableStrategy") or {}
    if strategy == "disabled" or strategy.get("inactiveAfterSeconds", 0) < 60:
        return NotYet("`/careful` has another `unreachableStrategy`", "Run the cell above.")
    context.memory["careful"] = [task["id"] for task in tasks(context, "/careful")]
    return Passed("four tasks of each run")


def deploy_both(context: Context) -> None:
    app = {
        "cmd": "while true; do date; sleep 1; done",
        "cpus": 0.1,
        "mem": 16,
        "instances": 4,
        "constraints": [["hostname", "MAX_PER", "2"]],
    }
    context.client.create({**app, "id": "/quick"})
    strategy = {"inactiveAfterSeconds": 600, "expungeAfterSeconds": 1200}
    context.client.create({**app, "id": "/careful", "unreachableStrategy": strategy})


@asks
def agent_is_lost(context: Context) -> Verdict:
    cut = [name for name in machines(context, "partitioned", "cut-off", "down", "paused") if name.startswith("agent")]
    if not lost(context, "/careful"):
        if cut:
            return NotYet(f"{cut[0]} is off; Mesos is not sure yet", "It pings five times, 15 seconds apart.")
        return NotYet("every agent answers", "Cut one off that runs tasks of both: `marathon.partition('agent-1')`.")
    there = running(context, "/quick")
    if len(there) < 4:
        return NotYet(f"`/careful` has unreachable tasks; {len(there)} of 4 of `/quick` run", "A moment.")
    context.memory["quick"] = [task["id"] for task in there]
    return Passed(
        f"{len(lost(context, '/careful'))} tasks of `/careful` are TASK_UNREACHABLE; `/quick` runs 4 elsewhere"
    )


@quietly(None)
def who_has_replacements(context: Context) -> str | None:
    quick, careful = len(running(context, "/quick")) == 4, len(running(context, "/careful")) == 4
    return {(True, False): QUICK, (False, True): CAREFUL, (True, True): BOTH, (False, False): NEITHER}[quick, careful]


def cut_one_off(context: Context) -> None:
    names = {agent["id"]: agent["attributes"]["machine"] for agent in context.client.mesos.slaves()}
    quick = {names[task["slaveId"]] for task in context.client.tasks("/quick")}
    careful = {names[task["slaveId"]] for task in context.client.tasks("/careful")}
    context.sandbox.partition(sorted(quick & careful)[0])


@asks
def everybody_back(context: Context) -> Verdict:
    if not all_agents(context):
        return NotYet("an agent is missing", "**Heal** it, and give it a moment to register again.")
    for one in ("/quick", "/careful"):
        if (amiss := not_running_yet(context, one, 4)) is not None:
            return amiss
    more = _alive(context, "quick.")
    if len(more) > 4:
        return NotYet(f"{len(more)} tasks of `/quick` are alive", "Marathon is tidying up.")
    same = set(context.memory.get("careful", ())) == {task["id"] for task in running(context, "/careful")}
    return Passed(
        "four and four; those of `/careful` are the ones from before"
        if same
        else "four and four run, nobody is missing"
    )


def _alive(context: Context, prefix: str) -> list[str]:
    """Tasks that Mesos has running, whatever Marathon thinks of them."""
    found = context.client.mesos.tasks()
    return [task["id"] for task in found if task["id"].startswith(prefix) and task["state"] == "TASK_RUNNING"]


@quietly(None)
def fate_of_the_old(context: Context) -> str | None:
    before, now = set(context.memory.get("quick", ())), set(_alive(context, "quick."))
    if len(now) > 4:
        return SIX
    return ENDED if now == before else SWAPPED


def heal_all(context: Context) -> None:
    for machine in context.sandbox.machines:
        if machine.state != "up":
            context.sandbox.heal(machine.name)


# -- the end -----------------------------------------------------------------------------------------------------------


@asks
def tidy(context: Context) -> Verdict:
    there = left(context, *APPS)
    if there:
        return NotYet(
            f"still there: {', '.join(there)}", "Destroy them: in the dashboard, or by the cell of the solution."
        )
    return Passed("all gone")


def tidy_up(context: Context) -> None:
    for one in context.client.apps():
        context.client.delete(one["id"], force=True)


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, *APPS)

"""Checks and solutions of labs/marathon/15-apps-and-the-rest-api."""

from __future__ import annotations

import re

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    WHOAMI,
    app,
    asks,
    heal_everything,
    image,
    left,
    not_running_yet,
    output,
    quietly,
    running,
    sweep,
    tasks,
    under_way,
)

HELLO, CLOCK, SHOP = "/hello", "/clock", "/shop"
TYPO = "traefik/whoami:v99"
TOO_MANY = 8  # cpus that no agent of a sandbox has

SAME = "The same task, started again"
ANOTHER = "Another task, with another id"
NONE = "None: the wish is fulfilled only once"

KEPT = "They get it while they run"
REPLACED = "They are replaced by new ones"
ONLY_NEW = "They go on without it; only what is started later has it"

NOTHING = "Nothing"
HALF = "Half of the answers are missing"
ALL_DOWN = "The site is down"

AS_BEFORE = "What it was before the update"
STAYS = "Still too big, and nobody works on it"
GONE = "Gone"

TWO, AS_MANY = "Two, as it was then", "As many as now"

BOTH = "Both at once"
FRONT, DB = "`/shop/front`", "`/shop/db`"


# -- hello -----------------------------------------------------------------------------------------------------------


@asks
def hello_runs(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is not None and not image(found).startswith("traefik/whoami"):
        return NotYet("`/hello` is another app", "Destroy it, and post the one of the cell.")
    how = "POST it to `/v2/apps`, as the cell above prepares it."
    if (amiss := not_running_yet(context, HELLO, 2, how)) is not None:
        return amiss
    where = ", ".join(f"{task['host']}:{task['ports'][0]}" for task in running(context, HELLO) if task["ports"])
    return Passed(f"2 of 2 tasks run, at {where}")


def post_hello(context: Context) -> None:
    import requests

    hello = {
        "id": "/hello",
        "instances": 2,
        "cpus": 0.1,
        "mem": 32,
        "container": {
            "type": "DOCKER",
            "docker": {"image": "traefik/whoami:v1.10"},
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
        },
        "networks": [{"mode": "container/bridge"}],
    }
    requests.post(context.sandbox.env["MARATHON_URL"] + "/v2/apps", json=hello)


# -- a plain process ---------------------------------------------------------------------------------------------------


@asks
def clock_runs(context: Context) -> Verdict:
    found = app(context, CLOCK)
    if found is not None and found.get("container"):
        return NotYet("`/clock` has a container", "Destroy it, and make it without `container`: only a `cmd`.")
    if found is not None and "I am process" not in (found.get("cmd") or ""):
        return NotYet("`/clock` runs another command", "PUT the command of the task to `/v2/apps/clock`.")
    if (amiss := not_running_yet(context, CLOCK, 1, "POST it to `/v2/apps`: `id`, `cmd`, `cpus`, `mem`.")) is not None:
        return amiss
    return Passed(f"a process runs on {running(context, CLOCK)[0]['host']}, and no container round it")


def post_clock(context: Context) -> None:
    import requests

    cmd = "echo I am process $$; while true; do date; sleep 1; done"
    requests.post(
        context.sandbox.env["MARATHON_URL"] + "/v2/apps", json={"id": "/clock", "cmd": cmd, "cpus": 0.1, "mem": 16}
    )


@asks
def its_number(context: Context) -> Verdict:
    there = running(context, CLOCK)
    if not there:
        return NotYet("`/clock` does not run", "Look at the dashboard: what does it wait for?")
    told = re.search(r"I am process (\d+)", output(context, there[0]))
    if told is None:
        return NotYet("it has not said anything yet", "A moment.")
    if context.answer is None:
        return NotYet("no answer yet", "It is in the first line of its `stdout`.")
    if float(context.answer) != int(told[1]):
        return NotYet(f"{context.answer:g} is not its number", "Was it started anew meanwhile? Read the file again.")
    context.memory["clock"] = there[0]["id"]
    return Passed(f"process {told[1]}, read over the agent's files API")


def read_its_number(context: Context) -> int:
    import re

    import requests

    mesos_url = context.sandbox.env["MESOS_URL"]
    task = context.client.tasks("/clock")[0]
    agent = next(agent for agent in context.client.mesos.slaves() if agent["id"] == task["slaveId"])
    user = mesos_url.rpartition("@")[0]
    url = f"{user}@{agent['hostname']}:{agent['port']}"
    frameworks = requests.get(url + "/state").json()["frameworks"]
    executors = [executor for framework in frameworks for executor in framework["executors"]]
    folder = next(executor["directory"] for executor in executors if executor["source"] == task["id"])
    read = requests.get(url + "/files/read", params={"path": folder + "/stdout", "offset": 0, "length": 100}).json()
    return int(re.search(r"I am process (\d+)", read["data"])[1])


@asks
def clock_replaced(context: Context) -> Verdict:
    before = context.memory.get("clock")
    there = running(context, CLOCK)
    if any(task["id"] == before for task in there):
        return NotYet(
            "the process that you have read runs on", "`DELETE /v2/apps/clock/tasks/TASK`, or end it by hand."
        )
    if not there:
        return NotYet("it is gone; nothing has taken its place yet", "A moment.")
    return Passed(f"`{there[0]['id']}` has taken the place of `{before}`")


@quietly(None)
def what_runs_now(context: Context) -> str | None:
    there = running(context, CLOCK)
    if not there:
        return NONE
    return SAME if there[0]["id"] == context.memory.get("clock") else ANOTHER


def kill_clock(context: Context) -> None:
    import requests

    url = context.sandbox.env["MARATHON_URL"] + "/v2/apps/clock/tasks"
    task = requests.get(url, headers={"Accept": "application/json"}).json()["tasks"][0]["id"]
    requests.delete(f"{url}/{task}")


# -- events ------------------------------------------------------------------------------------------------------------


@asks
def counted_events(context: Context) -> Verdict:
    if (amiss := not_running_yet(context, HELLO, 4, scale="`scale_and_listen('/hello', 4)`")) is not None:
        return amiss
    if context.answer is None:
        return NotYet("4 of 4 run; no answer yet", "Count the `status_update_event`s with `TASK_RUNNING`.")
    if float(context.answer) != 2:
        return NotYet(f"{context.answer:g} is not it", "Two ran already: of them Marathon had nothing new to tell.")
    return Passed("two new tasks, two times TASK_RUNNING, one deployment_success at the end")


def listen_and_scale(context: Context) -> int:
    stream = context.client.events("status_update_event", "deployment_success")
    context.client.scale("/hello", 4)
    running = 0
    for event in stream:
        running += event.get("taskStatus") == "TASK_RUNNING"
        if event["eventType"] == "deployment_success":
            break
    stream.close()
    return running


# -- alter -------------------------------------------------------------------------------------------------------------


@asks
def has_a_name(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is None:
        return NotYet("there is no app `/hello`", "Post it again, as in the first step.")
    if not (found.get("env") or {}).get("WHOAMI_NAME"):
        context.memory["unnamed"] = [task["id"] for task in tasks(context, HELLO)]
        return NotYet("`/hello` has no `WHOAMI_NAME` in its `env`", 'PUT `{"env": {"WHOAMI_NAME": "…"}}`.')
    if (amiss := not_running_yet(context, HELLO)) is not None:
        return amiss
    return Passed(f"{found['instances']} tasks run as “{found['env']['WHOAMI_NAME']}”")


@quietly(None)
def what_became_of_them(context: Context) -> str | None:
    before = set(context.memory.get("unnamed", ()))
    now = {task["id"] for task in running(context, HELLO)}
    return REPLACED if before and not before & now else KEPT


def give_it_a_name(context: Context) -> None:
    import requests

    requests.put(context.sandbox.env["MARATHON_URL"] + "/v2/apps/hello", json={"env": {"WHOAMI_NAME": "the bakery"}})


# -- an update that does not end ---------------------------------------------------------------------------------------


@asks
def hangs(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is None:
        return NotYet("there is no app `/hello`", "Post it again, as in the first step.")
    if not under_way(context, HELLO):
        return NotYet("no deployment of `/hello` is under way", f"PUT the `container` with the image `{TYPO}`.")
    if image(found) != TYPO:
        return NotYet(f"it is a deployment of `{image(found)}`", f"The image should be `{TYPO}`.")
    failure = found.get("lastTaskFailure") or {}
    if TYPO not in failure.get("message", ""):
        return NotYet("the new tasks have not failed yet", "The agent is asking the registry. A moment.")
    return Passed(
        f"{failure['state']} on {failure['host']}: the image cannot be pulled; Marathon tries again and again"
    )


@quietly(None)
def what_customers_notice(context: Context) -> str | None:
    found = app(context, HELLO)
    serving = len(running(context, HELLO))
    if found is None or not serving:
        return ALL_DOWN
    return NOTHING if serving >= found["instances"] else HALF


def put_the_typo(context: Context) -> None:
    import requests

    url = context.sandbox.env["MARATHON_URL"] + "/v2/apps/hello"
    container = requests.get(url).json()["app"]["container"]
    container["docker"]["image"] = "traefik/whoami:v99"
    requests.put(url, json={"container": container})


@asks
def status_409(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", 'PUT `{"instances": 5}` to `/v2/apps/hello`, and print `status_code`.')
    if float(context.answer) != 409:
        return NotYet(f"{context.answer:g} is not it", "Ask while the deployment hangs, and without `force`.")
    return Passed("409 Conflict, and the id of the deployment that keeps the app locked")


def try_to_scale(context: Context) -> int:
    import requests

    answer = requests.put(context.sandbox.env["MARATHON_URL"] + "/v2/apps/hello", json={"instances": 5})
    return answer.status_code


@asks
def forced(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is None:
        return NotYet("there is no app `/hello`", "Post it again, as in the first step.")
    if image(found) == TYPO:
        return NotYet(f"it still wants `{TYPO}`", f"PUT the image `{WHOAMI}`, with `?force=true`.")
    if (amiss := not_running_yet(context, HELLO)) is not None:
        return amiss
    return Passed(f"{found['instances']} tasks of `{image(found)}`, nothing under way")


def force_it(context: Context) -> None:
    import requests

    url = context.sandbox.env["MARATHON_URL"] + "/v2/apps/hello"
    container = requests.get(url).json()["app"]["container"]
    container["docker"]["image"] = "traefik/whoami:v1.10"
    requests.put(url, json={"container": container}, params={"force": "true"})


# -- roll back ---------------------------------------------------------------------------------------------------------


@asks
def too_big(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is None:
        return NotYet("there is no app `/hello`", "Post it again, as in the first step.")
    if found["cpus"] < TOO_MANY or not under_way(context, HELLO):
        return NotYet(f"`/hello` asks for {found['cpus']:g} cpus", 'PUT `{"cpus": 64}` to `/v2/apps/hello`.')
    return Passed(f"nobody has {found['cpus']:g} cpus to offer: the deployment waits, for as long as it takes")


def ask_too_much(context: Context) -> None:
    import requests

    requests.put(context.sandbox.env["MARATHON_URL"] + "/v2/apps/hello", json={"cpus": 64})


@asks
def undone(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is None:
        return NotYet("there is no app `/hello`", "Post it again, as in the first step.")
    if found["cpus"] >= TOO_MANY:
        stuck = [one["id"] for one in under_way(context, HELLO)]
        if not stuck:
            return NotYet(
                f"nobody works on it, and it still wants {found['cpus']:g} cpus: that was `force`",
                'PUT `{"cpus": 0.1}`, or go back to a version: nothing is undone by itself any more.',
            )
        return NotYet("the deployment still waits", f"`DELETE /v2/deployments/{stuck[0]}`, without `force`.")
    if (amiss := not_running_yet(context, HELLO)) is not None:
        return amiss
    return Passed(f"{found['instances']} tasks with {found['cpus']:g} cpus, as before")


@quietly(None)
def what_it_wants_now(context: Context) -> str | None:
    found = app(context, HELLO)
    if found is None:
        return GONE
    return STAYS if found["cpus"] >= TOO_MANY else AS_BEFORE


def cancel_it(context: Context) -> None:
    import requests

    url = context.sandbox.env["MARATHON_URL"] + "/v2/deployments"
    for deployment in requests.get(url).json():
        requests.delete(f"{url}/{deployment['id']}")


@asks
def first_version_again(context: Context) -> Verdict:
    found = app(context, HELLO)
    if found is None:
        return NotYet("there is no app `/hello`", "Post it again, as in the first step.")
    if (found.get("env") or {}).get("WHOAMI_NAME"):
        return NotYet("`/hello` still has its name", "The oldest version is the last in the list.")
    if (amiss := not_running_yet(context, HELLO)) is not None:
        return amiss
    return Passed(f"no name, {found['instances']} tasks, and one version more in the list")


@quietly(None)
def how_many_after(context: Context) -> str | None:
    found = app(context, HELLO)
    return None if found is None else TWO if found["instances"] == 2 else AS_MANY


def go_back(context: Context) -> None:
    import requests

    url = context.sandbox.env["MARATHON_URL"] + "/v2/apps/hello"
    oldest = requests.get(url + "/versions").json()["versions"][-1]
    requests.put(url, json={"version": oldest})


# -- groups ------------------------------------------------------------------------------------------------------------


@asks
def shop_is_open(context: Context) -> Verdict:
    front = app(context, f"{SHOP}/front")
    if front is None:
        return NotYet("there is no app `/shop/front`", "POST the group of the cell above to `/v2/groups`.")
    if f"{SHOP}/db" not in (front.get("dependencies") or ()):
        return NotYet("`/shop/front` depends on nothing", 'Its `dependencies` should be `["/shop/db"]`.')
    for one in ("db", "front"):
        if (amiss := not_running_yet(context, f"{SHOP}/{one}", how="It belongs to the group.")) is not None:
            return amiss
    return Passed("`/shop/db` runs, and `/shop/front` that depends on it")


@quietly(None)
def who_came_first(context: Context) -> str | None:
    db, front = running(context, f"{SHOP}/db"), running(context, f"{SHOP}/front")
    if not db or not front:
        return None
    return DB if db[0]["startedAt"] <= front[0]["stagedAt"] else FRONT


def open_shop(context: Context) -> None:
    import requests

    shop = {
        "id": "/shop",
        "apps": [
            {
                "id": "front",
                "dependencies": ["/shop/db"],
                "cpus": 0.1,
                "mem": 32,
                "container": {
                    "type": "DOCKER",
                    "docker": {"image": "traefik/whoami:v1.10"},
                    "portMappings": [{"containerPort": 80, "hostPort": 0}],
                },
                "networks": [{"mode": "container/bridge"}],
            },
            {
                "id": "db",
                "cpus": 0.1,
                "mem": 64,
                "container": {"type": "DOCKER", "docker": {"image": "redis:7-alpine"}},
                "networks": [{"mode": "container/bridge"}],
            },
        ],
    }
    requests.post(context.sandbox.env["MARATHON_URL"] + "/v2/groups", json=shop)


@asks
def shop_doubled(context: Context) -> Verdict:
    twice = '`requests.put(f"{url}/v2/groups/shop", json={"scaleBy": 2})`'
    for one in ("db", "front"):
        if (amiss := not_running_yet(context, f"{SHOP}/{one}", 2, scale=twice)) is not None:
            return amiss
    return Passed("two of each, by one request")


def double_shop(context: Context) -> None:
    import requests

    requests.put(context.sandbox.env["MARATHON_URL"] + "/v2/groups/shop", json={"scaleBy": 2})


# -- the end -----------------------------------------------------------------------------------------------------------


@asks
def destroyed(context: Context) -> Verdict:
    there = left(context, HELLO, CLOCK, SHOP)
    if there:
        return NotYet(f"still there: {', '.join(there)}", "`DELETE /v2/apps/hello`, …, `DELETE /v2/groups/shop`")
    return Passed("all three are gone, and their tasks with them")


def destroy_everything(context: Context) -> None:
    import requests

    url = context.sandbox.env["MARATHON_URL"]
    requests.delete(url + "/v2/apps/hello")
    requests.delete(url + "/v2/apps/clock")
    requests.delete(url + "/v2/groups/shop")


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, HELLO, CLOCK, SHOP)

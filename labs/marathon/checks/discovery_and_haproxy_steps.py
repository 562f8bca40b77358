"""Checks and solutions of labs/marathon/17-discovery-and-haproxy."""

from __future__ import annotations

import re
from typing import Any

import requests

from labkit.guide import Context, NotYet, Passed, Verdict
from labkit.orchestrators.marathon.discovery import back_ends

from .common import (
    TIMEOUT,
    agents,
    all_agents,
    app,
    asks,
    heal_everything,
    healthy,
    image,
    left,
    machine_of,
    not_running_yet,
    output,
    places,
    quietly,
    running,
    sweep,
    under_way,
)

WEB, CUSTOMERS = "/web", "/customers"
BACK_END = "web_10080"

KILLED = "It is killed"
SPARED = "It gets no more customers, and is left alone"
ERRORS = "Every third customer gets an error"

NONE_LOST, SOME_LOST = "None", "Some"

UNAWARE = "Nothing"
OUTAGE = "Errors, until somebody leads again"
OLD_ROUTES = "They reach only one task"

CHECKS = "Whoever asks the tasks themselves: Marathon's and HAProxy's checks"
PINGS = "The Mesos master, who pings the agent"


# -- names -----------------------------------------------------------------------------------------------------------


@asks
def web_is_well(context: Context) -> Verdict:
    if (amiss := _not_well(context, "Post the app of the cell above.")) is not None:
        return amiss
    return Passed(f"{len(running(context, WEB))} tasks, all healthy")


def _not_well(context: Context, how: str = "") -> NotYet | None:
    if (amiss := not_running_yet(context, WEB, how=how)) is not None:
        return amiss
    tasks = running(context, WEB)
    ill = [task for task in tasks if not healthy(task)]
    if ill:
        return NotYet(f"healthy: {len(tasks) - len(ill)} of its {len(tasks)} tasks", "The first answers take a moment.")
    return None


def open_web(context: Context) -> None:
    context.client.create(
        {
            "id": "/web",
            "instances": 3,
            "cpus": 0.1,
            "mem": 32,
            "container": {
                "type": "DOCKER",
                "docker": {"image": "traefik/whoami:v1.10"},
                "portMappings": [{"containerPort": 80, "hostPort": 0, "servicePort": 10080}],
            },
            "networks": [{"mode": "container/bridge"}],
            "constraints": [["hostname", "MAX_PER", "2"]],
            "healthChecks": [
                {
                    "protocol": "HTTP",
                    "path": "/health",
                    "gracePeriodSeconds": 10,
                    "intervalSeconds": 2,
                    "timeoutSeconds": 2,
                    "maxConsecutiveFailures": 0,
                }
            ],
        }
    )


def records(context: Context, name: str) -> list[dict[str, str]]:
    """SRV records, by the HTTP API of Mesos-DNS. It says so in one record without a name when there are none."""
    url = context.sandbox.env["MESOS_DNS_URL"].split(",")[0]
    found = requests.get(f"{url}/v1/services/{name}", timeout=TIMEOUT).json()
    return [record for record in found if record.get("host")]


@asks
def counted_records(context: Context) -> Verdict:
    there = records(context, "_web._tcp.marathon.mesos")
    if context.answer is None:
        return NotYet("no answer yet", "`GET /v1/services/_web._tcp.marathon.mesos`, at `$MESOS_DNS_URL`")
    if float(context.answer) != len(there) or not there:
        return NotYet(f"{context.answer:g} is not what Mesos-DNS says", "One for each port of each task.")
    return Passed(f"{len(there)} records: " + ", ".join(f"{one['ip']}:{one['port']}" for one in there))


def count_records(context: Context) -> int:
    import requests

    url = context.sandbox.env["MESOS_DNS_URL"] + "/v1/services/_web._tcp.marathon.mesos"
    return len(requests.get(url).json())


# -- HAProxy ---------------------------------------------------------------------------------------------------------


def servers(context: Context) -> list[tuple[str, int, bool]] | None:
    """HAProxy's servers for the app: host, port and whether it gets traffic; None when it knows of no such app."""
    url = context.sandbox.env["MARATHON_LB_URL"].split(",")[0]
    return back_ends(requests.get(f"{url}/haproxy?stats;csv", timeout=TIMEOUT).text).get(BACK_END)


def serving(context: Context) -> set[tuple[str, int]]:
    return {(host, port) for host, port, up in servers(context) or () if up}


def whole(context: Context) -> NotYet | None:
    """None when HAProxy sends to every task that runs, and to nobody else. (By port: hosts have several names.)"""
    there = sorted(int(task["ports"][0]) for task in running(context, WEB))
    known = sorted(port for _, port in serving(context))
    if known == there:
        return None
    now = sum(port in there for port in known)
    return NotYet(f"HAProxy sends to {now} of {len(there)} tasks", "A moment: it is told by an event.")


@asks
def door_is_open(context: Context) -> Verdict:
    labels = (app(context, WEB) or {}).get("labels") or {}
    if labels.get("HAPROXY_GROUP") != "external":
        return NotYet("marathon-lb does not look after `/web`", "It wants the label `HAPROXY_GROUP=external`.")
    if labels.get("HAPROXY_0_VHOST") != "web.example":
        return NotYet("it has no name at the front door", "The label `HAPROXY_0_VHOST=web.example`")
    if (amiss := _not_well(context)) is not None:
        return amiss
    if (amiss := whole(context)) is not None:
        return amiss
    return Passed(f"HAProxy sends what comes in at port 10080 to {len(serving(context))} tasks")


def open_door(context: Context) -> None:
    context.client.update("/web", {"labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "web.example"}})


@asks
def one_left_out(context: Context) -> Verdict:
    ill = [task for task in running(context, WEB) if not healthy(task)]
    if not ill:
        return NotYet("every task of `/web` is well", "POST `500` to `/health` of one of them, as in the last lab.")
    place = (ill[0]["host"], ill[0]["ports"][0])
    if place[1] in {port for _, port in serving(context)}:
        return NotYet("Marathon knows that it is ill; HAProxy still sends there", "A moment.")
    context.memory["ill"] = ill[0]["id"]
    return Passed(f"{place[0]}:{place[1]} is ill and runs on; HAProxy sends to the other {len(serving(context))}")


@quietly(None)
def fate_of_the_ill(context: Context) -> str | None:
    there = {task["id"] for task in running(context, WEB)}
    return SPARED if context.memory.get("ill") in there else KILLED


def make_one_ill(context: Context) -> None:
    import requests

    task = context.client.tasks("/web")[0]
    requests.post(f"http://{task['host']}:{task['ports'][0]}/health", data="500")


@asks
def all_serve(context: Context) -> Verdict:
    if (amiss := _not_well(context)) is not None:
        return NotYet(amiss.seen, "POST `200` to its `/health`.")
    if (amiss := whole(context)) is not None:
        return amiss
    return Passed(f"{len(serving(context))} of {len(running(context, WEB))} serve")


def cure_it(context: Context) -> None:
    import requests

    for task in context.client.tasks("/web"):
        requests.post(f"http://{task['host']}:{task['ports'][0]}/health", data="200")


# -- customers -------------------------------------------------------------------------------------------------------


def counted(context: Context) -> tuple[int, int] | None:
    """How many requests of the customers were answered, and how many lost, so far; None while nobody asks."""
    there = running(context, CUSTOMERS)
    told = re.findall(r"^(\d+) answered, (\d+) lost", output(context, there[0]), re.MULTILINE) if there else []
    return (int(told[-1][0]), int(told[-1][1])) if told else None


@asks
def customers_come(context: Context) -> Verdict:
    count = counted(context)
    if count is None or count[0] < 20:
        return NotYet("nobody has asked for anything yet", "Post the app `/customers` of the cell above.")
    return Passed(f"{count[0]} requests answered, {count[1]} lost")


def send_customers(context: Context) -> None:
    from urllib.parse import urlsplit

    host = urlsplit(context.sandbox.env["MARATHON_LB_URL"]).hostname
    script = [
        "exec python3 -u - <<'END'",
        "import threading, time, urllib.request",
        "ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open",
        "answered, lost = [], []",
        "def customer():",
        "    while True:",
        "        try:",
        f"            with ask('http://{host}:10080/?wait=200ms', timeout=10) as answer:",
        "                answered.append(answer.read())",
        "        except OSError as error:",
        "            lost.append(error)",
        "        time.sleep(0.05)",
        "for _ in range(4):",
        "    threading.Thread(target=customer).start()",
        "while True:",
        "    print(len(answered), 'answered,', len(lost), 'lost', *lost[-1:])",
        "    time.sleep(1)",
        "END",
    ]
    where = [["machine", "LIKE", "agent-3"]]
    context.client.create({"id": "/customers", "cmd": "\n".join(script), "cpus": 0.2, "mem": 64, "constraints": where})


class Meanwhile:
    """What the customers noticed since a step was first looked at, kept in the lab's memory under its name."""

    def __init__(self, context: Context, step: str) -> None:
        self.context = context
        count = counted(context) or (0, 0)
        begun = context.memory.get(step)
        if begun is None or count[0] < begun["answered"]:  # not begun, or other customers than before
            begun = {
                "answered": count[0],
                "lost": count[1],
                "tasks": [task["id"] for task in running(context, WEB)],
                "leader": context.client.leader(),
            }
            context.memory[step] = begun
        self.begun: dict[str, Any] = begun
        self.answered = count[0] - begun["answered"]
        self.lost = count[1] - begun["lost"]

    @property
    def all_new(self) -> bool:
        """Whether the app runs, and none of its tasks is from before."""
        now = {task["id"] for task in running(self.context, WEB)}
        return bool(now) and not now & set(self.begun["tasks"]) and not under_way(self.context, WEB)

    def after(self, what: str) -> int:
        """How many were answered since ``what`` was first seen to be done: those who count are a second behind."""
        return self.answered - int(self.begun.setdefault(what, self.answered))


@asks
def restarted_rudely(context: Context) -> Verdict:
    meanwhile = Meanwhile(context, "rude")
    if not meanwhile.all_new:
        return NotYet("tasks from before still run", "`marathon.client.restart('/web')`, or **Restart**.")
    if (amiss := _not_well(context)) is not None:
        return amiss
    if meanwhile.after("all new") < 30:
        return NotYet("all tasks are new; how did the customers fare?", "They count once a second.")
    context.memory["rudely lost"] = meanwhile.lost
    return Passed(f"all tasks are new; {meanwhile.answered} requests answered, {meanwhile.lost} lost")


@quietly(None)
def how_many_rudely(context: Context) -> str | None:
    return SOME_LOST if context.memory.get("rudely lost") else NONE_LOST


def restart_it(context: Context) -> None:
    context.client.restart("/web")


@asks
def polite(context: Context) -> Verdict:
    found = app(context, WEB) or {}
    if not image(found).startswith("busybox") or "trap" not in (found.get("cmd") or ""):
        return NotYet("`/web` still ends at once when it is told to", "`marathon.client.update('/web', polite)`")
    if (found.get("taskKillGracePeriodSeconds") or 0) < 8:
        return NotYet("it would be killed before it has said goodbye", "`taskKillGracePeriodSeconds` should be 20.")
    if (amiss := _not_well(context)) is not None:
        return amiss
    if (amiss := whole(context)) is not None:
        return amiss
    if Meanwhile(context, "polite").after("all polite") < 30:
        return NotYet("all are polite; the last rude ones are being counted", "They count once a second.")
    return Passed(f"{len(running(context, WEB))} tasks that stay at the counter for six seconds after they were told")


def become_polite(context: Context) -> None:
    cmd = (
        "mkdir /www; hostname > /www/index.html; touch /www/health; httpd -p 8080 -h /www; "
        "trap 'sleep 6; exit 0' TERM; while true; do sleep 1 & wait $!; done"
    )
    container = {
        "type": "DOCKER",
        "docker": {"image": "busybox:1.36"},
        "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": 10080}],
    }
    context.client.update("/web", {"cmd": cmd, "container": container, "taskKillGracePeriodSeconds": 20})


@asks
def nothing_lost(context: Context) -> Verdict:
    meanwhile = Meanwhile(context, "lossless")
    if meanwhile.lost:
        context.memory.pop("lossless")
        return NotYet(f"{meanwhile.lost} requests were lost", "Was `/web` polite already? Restart it once more.")
    found = app(context, WEB) or {}
    if found.get("instances") != 4:
        return NotYet("`/web` has not been scaled to 4", "`marathon.client.scale('/web', 4)`")
    if not meanwhile.all_new:
        return NotYet("tasks from before still run", "Now `marathon.client.restart('/web')`.")
    if (amiss := _not_well(context)) is not None:
        return amiss
    if meanwhile.after("all new") < 30:
        return NotYet("all new; the customers are still counting", "They tell once a second.")
    return Passed(f"four tasks, all new; {meanwhile.answered} requests answered meanwhile, none lost")


@quietly(None)
def how_many_politely(context: Context) -> str | None:
    return NONE_LOST if not Meanwhile(context, "lossless").lost else SOME_LOST


def scale_and_restart(context: Context) -> None:
    context.client.scale("/web", 4)
    context.client.settled()
    context.client.restart("/web")


# -- who leads -------------------------------------------------------------------------------------------------------


@asks
def led_by_another(context: Context) -> Verdict:
    meanwhile = Meanwhile(context, "leader")
    now = context.client.leader()
    if now == meanwhile.begun["leader"]:
        return NotYet(f"{now} leads", "`marathon.client.abdicate()`, which is `DELETE /v2/leader`")
    if meanwhile.after("led by another") < 50:
        return NotYet(f"{now} leads now; how do the customers fare?", "They count once a second.")
    return Passed(f"{now} leads; {meanwhile.answered} requests answered meanwhile, {meanwhile.lost} lost")


@quietly(None)
def what_they_noticed(context: Context) -> str | None:
    return OUTAGE if Meanwhile(context, "leader").lost else UNAWARE


def step_down(context: Context) -> None:
    context.client.abdicate()


# -- an agent dies ---------------------------------------------------------------------------------------------------


def dead(context: Context) -> dict[str, str]:
    """Agents without power: their address → name."""
    return {m.address: m.name for m in context.sandbox.machines if m.role == "agent" and m.state == "down"}


def spared(context: Context) -> list[str]:
    """Agents that serve `/web` and have no customers on them: one of these is to fail."""
    return sorted(set(places(context, WEB)) - set(places(context, CUSTOMERS)))


@asks
def routed_round(context: Context) -> Verdict:
    off = dead(context)
    if not off:
        if served := spared(context):
            context.memory["served"] = served
            context.memory["homes of customers"] = places(context, CUSTOMERS)
            return NotYet("every agent has power", f"`marathon.fail({served[0]!r})`: it runs a task of `/web`.")
        return NotYet("every agent has power", "Wait until `/web` runs on another agent than its customers.")
    others = " or ".join(f"`{name}`" for name in context.memory.get("served", ())) or "another one"
    if not running(context, CUSTOMERS) or set(off.values()) & set(context.memory.get("homes of customers", ())):
        return NotYet(f"the customers themselves were on {', '.join(off.values())}", f"Heal it, and fail {others}.")
    if not set(off.values()) & set(context.memory.get("served", off.values())):
        return NotYet(f"no task of `/web` was on {', '.join(off.values())}", f"Heal it, and fail {others}.")
    lost = [host for host, _ in serving(context) if host in off]
    if lost or not serving(context):
        return NotYet(f"HAProxy still sends to {', '.join(off.values())}", "It asks every two seconds.")
    known = {machine_of(agent) for agent in agents(context).values()}
    context.memory["still known"] = any(name in known for name in off.values())
    return Passed(f"{', '.join(off.values())} is dead; HAProxy sends to the {len(serving(context))} tasks elsewhere")


def who_noticed(context: Context) -> str | None:
    return CHECKS if context.memory.get("still known") else PINGS


def fail_one(context: Context) -> None:
    names = {agent["id"]: agent["attributes"]["machine"] for agent in context.client.mesos.slaves()}
    busy = {names[task["slaveId"]] for task in context.client.tasks("/web")}
    context.sandbox.fail(min(busy - {"agent-3"}))


@asks
def whole_elsewhere(context: Context) -> Verdict:
    off = dead(context)
    if not off:
        return NotYet("every agent has power", "Leave it off, and wait.")
    there = [task for task in running(context, WEB) if task["host"] not in off]
    wanted = (app(context, WEB) or {}).get("instances", 0)
    if len(there) < wanted:
        return NotYet(f"{len(there)} of {wanted} tasks run elsewhere", "The master pings for 75 seconds first.")
    if (now := len(serving(context))) < wanted:
        return NotYet(f"all {wanted} run elsewhere; HAProxy sends to {now}", "Marathon asks them first how they are.")
    return Passed(f"{wanted} of {wanted} run and serve, none of them on {', '.join(off.values())}")


def only_wait(context: Context) -> None:
    pass  # it is the cluster's turn


@asks
def tidy(context: Context) -> Verdict:
    if not all_agents(context):
        return NotYet("an agent is missing", "**Heal** it.")
    there = left(context, WEB, CUSTOMERS)
    if there:
        return NotYet(f"still there: {', '.join(there)}", "`marathon.client.delete('/web')`, and the customers")
    return Passed("all agents are back, both apps are gone")


def tidy_up(context: Context) -> None:
    for machine in context.sandbox.machines:
        if machine.state != "up":
            context.sandbox.heal(machine.name)
    context.client.delete("/customers", force=True)
    context.client.delete("/web", force=True)


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, CUSTOMERS, WEB)

"""What Marathon's apps, tasks, launch queue and deployments mean in the common words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labkit.model import Resources, State, Task, Workload
from labkit.orchestrators.marathon.reading import MEBI, Naming

Json = Mapping[str, Any]

# What a step of a deployment does, in words; Marathon's own names.
DOING: Mapping[str, str] = {
    "StartApplication": "starting",
    "StopApplication": "stopping",
    "ScaleApplication": "scaling",
    "RestartApplication": "restarting",
    "KillAllOldTasksOf": "killing old tasks of",
    "ResolveArtifacts": "resolving artifacts",
}

# Why Marathon did not use an offer, in words; its own names are the filters of a table of reasons.
REASONS: Mapping[str, str] = {
    "UnfulfilledRole": "it is for another role",
    "UnfulfilledConstraint": "a constraint is not met",
    "NoCorrespondingReservationFound": "the reservation is missing",
    "AgentMaintenance": "the agent is to be maintained",
    "InsufficientCpus": "not enough cpus",
    "InsufficientMemory": "not enough memory",
    "InsufficientDisk": "not enough disk",
    "InsufficientGpus": "not enough gpus",
    "InsufficientPorts": "no ports that fit",
    "DeclinedScarceResources": "its scarce resources are for others",
}

_INSTANCE = re.compile(
    r"^(?P<app>.+?)\.(?:(?:instance|marathon)-)?(?P<uuid>[0-9a-f]{8}-[0-9a-f-]{27})(?:\.(?:_app\.(?P<number>\d+))?|$)"
)


def short_name(app_id: str) -> str:
    """ "/prod/web" → "prod/web"."""
    return app_id.strip("/")


def split_task(task_id: str) -> tuple[str, str]:
    """ "prod_web.instance-1b2c…-…._app.1" → ("/prod/web", "1b2c"): whose it is, and what tells it from its like.

    Another task for the same instance has the same UUID and the next number: "1b2c·2".
    """
    found = _INSTANCE.match(task_id)
    if not found:
        return "/" + task_id.partition(".")[0].replace("_", "/"), task_id[-4:]
    number = int(found["number"] or 1)
    return "/" + found["app"].replace("_", "/"), found["uuid"][:4] + (f"·{number}" if number > 1 else "")


def task_name(app_id: str, task_id: str) -> str:
    """ "web.1b2c": short enough to read in a picture; the id is kept too."""
    return f"{app_id.rpartition('/')[2]}.{split_task(task_id)[1]}"


def marathon_naming(tasks: Iterable[Json], apps: Iterable[Json]) -> Naming:
    """Of Marathon's own tasks: it says itself whose they are; of ended ones their id does."""
    owners = {str(task["id"]): str(task["appId"]) for task in tasks if task.get("appId")}
    there = {"_".join(str(app["id"]).strip("/").split("/")): str(app["id"]) for app in apps}

    def workload(task: Json) -> str:
        key = str(task["id"])
        if key in owners:
            return owners[key]
        found = split_task(key)[0]
        return there.get(found.strip("/").replace("/", "_"), found)  # an app's own id may have underscores, too

    return Naming(workload, lambda task: task_name(workload(task), str(task["id"])))


# -- apps


def read_app(data: Json, running: int, update: str) -> Workload:
    app_id = str(data["id"])
    labels = {str(key): str(value) for key, value in (data.get("labels") or {}).items()}
    return Workload(
        id=app_id,
        name=short_name(app_id),
        kind="app",
        desired=int(data.get("instances", 1)),
        running=running,
        image=image_of(data),
        labels=labels,
        update=update,
        namespace=app_id.rpartition("/")[0],
        needs=tuple(sorted(str(found) for found in data.get("dependencies") or ())),
    )


def image_of(app: Json) -> str:
    """The image of its container, or the command that it runs as a process: ``$ python3 -m http.server``."""
    container = app.get("container") or {}
    image = (container.get("docker") or {}).get("image") or ""
    if image:
        return str(image)
    command = app.get("cmd") or " ".join(map(str, app.get("args") or ()))
    line = " ".join(str(command).split())
    return f"$ {line[:80]}" if line else ""


def deploying(deployments: Iterable[Json]) -> dict[str, str]:
    """What the deployments do to each app just now: "scaling (step 1 of 2)", "waits for step 2 of 3"."""
    words: dict[str, str] = {}
    for deployment in deployments:
        step, steps = int(deployment.get("currentStep") or 0), int(deployment.get("totalSteps") or 0)
        where = f"step {step} of {steps}" if steps else "planned"
        for app in deployment.get("affectedApps") or ():
            words[str(app)] = f"deployment: {where} is another app's"
        for action in deployment.get("currentActions") or ():
            doing = DOING.get(str(action.get("action")), str(action.get("action")))
            probes = action.get("readinessCheckResults") or ()
            unready = f", {len(probes)} not ready yet" if probes else ""
            words[str(action.get("app") or action.get("pod"))] = f"deployment: {doing} ({where}{unready})"
    return words


# -- tasks


def healthy(tasks: Iterable[Json], apps: Iterable[Json]) -> dict[str, tuple[bool | None, str]]:
    """By task id: whether its health checks pass (None: none has answered yet), and what the failing one said.

    Tasks of apps without health checks are not among them.
    """
    checked = {str(app["id"]) for app in apps if app.get("healthChecks")}
    found: dict[str, tuple[bool | None, str]] = {}
    for task in tasks:
        if task.get("appId") not in checked:
            continue
        results = task.get("healthCheckResults") or ()
        bad = next((row for row in results if not row.get("alive")), None)
        if bad is not None:
            cause = str(bad.get("lastFailureCause") or "its health check fails")
            times = int(bad.get("consecutiveFailures") or 0)
            found[str(task["id"])] = False, f"{cause} ({times} in a row)" if times > 1 else cause
        else:
            found[str(task["id"])] = (True, "") if results else (None, "")
    return found


def with_health(task: Task, health: Mapping[str, tuple[bool | None, str]]) -> Task:
    """A running task that fails its checks is unready; one that has not been checked yet still starts."""
    if task.state is not State.RUNNING or task.id not in health:
        return task
    alive, cause = health[task.id]
    if alive is None:
        return replace(task, state=State.STARTING, message="no health check has answered yet")
    return (
        replace(task, ready="healthy")
        if alive
        else replace(task, state=State.UNREADY, message=cause, ready="unhealthy")
    )


def ports_of(tasks: Iterable[Json]) -> dict[tuple[str, int], str]:
    """(host, port) → the task that listens there."""
    found: dict[tuple[str, int], str] = {}
    for task in tasks:
        hosts = {str(task.get("host", "")), *(str(ip.get("ipAddress")) for ip in task.get("ipAddresses") or ())}
        for port in task.get("ports") or ():
            found.update({(host, int(port)): str(task["id"]) for host in hosts})
    return found


# -- the launch queue


def app_of(item: Json) -> Json:
    return item.get("app") or item.get("pod") or {}


def waiting(queue: Iterable[Json]) -> list[Task]:
    """Instances that wait for an offer, as pending tasks with the reasons."""
    found: list[Task] = []
    for item in queue:
        app = app_of(item)
        app_id = str(app.get("id", ""))
        message = why_waiting(item)
        name = app_id.rpartition("/")[2]
        reserved = Resources(float(app.get("cpus") or 0.0), int(float(app.get("mem") or 0.0) * MEBI))
        for number in range(1, int(item.get("count") or 0) + 1):
            found.append(
                Task(
                    f"{app_id}#{number}", f"{name} #{number}", app_id, State.PENDING, slot=number,
                    detail="waits for an offer", message=message, image=image_of(app), reserved=reserved,
                )
            )  # fmt: skip
    return found


def why_waiting(item: Json) -> str:
    """ "no offer fits (3 of 4 offers: not enough cpus; 1 of 4: …)", in the form that events and panels split up."""
    delay = item.get("delay") or {}
    left = float(delay.get("timeLeftSeconds") or 0.0)
    if not delay.get("overdue", True) and left > 0:
        return f"backs off for {left:.0f} s more, because its tasks fail"
    summary = item.get("processedOffersSummary") or {}
    refused = [row for row in summary.get("rejectSummaryLastOffers") or () if int(row.get("declined") or 0) > 0]
    if refused:
        told = "; ".join(f"{_reason(row)} ({row['declined']} of {row.get('processed', '?')} offers)" for row in refused)
        return f"no offer fits ({told})"
    if int(summary.get("processedOffersCount") or 0) == 0:
        return "no offer has come yet"
    return "waits for the next offer"


def _reason(row: Json) -> str:
    word = str(row.get("reason", ""))
    return REASONS.get(word, word)

"""What the Marathon labs' checks share: reading apps, tasks and their output over the REST APIs, and tidying up.

Everything is asked of Marathon, Mesos, HAProxy and the agents themselves, so a check cannot tell which engine it looks
at. Every question ends in seconds, for a lab may have stopped whoever should answer: :func:`asks` makes a
verdict of that.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import requests

from labkit.guide import Context, NotYet, Verdict
from labkit.guide.steps import Check
from labkit.orchestrators.marathon import MarathonError, MesosError

Json = dict[str, Any]

TIMEOUT = 4.0  # seconds for one question
WHOAMI = "traefik/whoami:v1.10"

# What the clients raise when nobody answers, or nobody leads.
NO_ANSWER = (MarathonError, MesosError, requests.RequestException, OSError)


# -- asking --------------------------------------------------------------------------------------------------------


def asks(check: Check) -> Check:
    """A check that may find nobody to ask: that is a verdict, not a failure of the check."""

    @functools.wraps(check)
    def asked(context: Context) -> Verdict:
        try:
            return check(context)
        except NO_ANSWER as error:
            return NotYet(str(error), _what_is_off(context))

    return asked


def quietly(otherwise: Any) -> Callable[[Callable[[Context], Any]], Callable[[Context], Any]]:
    """For hints and outcomes: what they are when nobody answers."""

    def wrap(look: Callable[[Context], Any]) -> Callable[[Context], Any]:
        @functools.wraps(look)
        def looked(context: Context) -> Any:
            try:
                return look(context)
            except NO_ANSWER:
                return otherwise

        return looked

    return wrap


def _what_is_off(context: Context) -> str:
    off = [machine.name for machine in context.sandbox.machines if machine.state not in ("up", "unknown")]
    if off:
        return f"Is it meant to be off? `marathon.heal({off[0]!r})` brings it back."
    stopped = [part for part in context.sandbox.components if part.state == "stopped"]
    if stopped:
        return f"`marathon.start({stopped[0].name!r}, {stopped[0].machine!r})` starts it again."
    return "Give it a moment: an election takes some seconds."


# -- apps and tasks ------------------------------------------------------------------------------------------------


def app(context: Context, app_id: str) -> Json | None:
    """An app with its counts, deployments and last failure; None when there is none."""
    try:
        found: Json = context.client.app(app_id, ("app.counts", "app.deployments", "app.lastTaskFailure"))
    except MarathonError as error:
        if error.status == 404:
            return None
        raise
    return found


def image(found: Json) -> str:
    return str(((found.get("container") or {}).get("docker") or {}).get("image") or "")


def tasks(context: Context, app_id: str) -> list[Json]:
    """The tasks that Marathon has of an app, oldest first; none of an app that is not there."""
    try:
        found: list[Json] = context.client.tasks(app_id)
    except MarathonError as error:
        if error.status == 404:
            return []
        raise
    return sorted(found, key=lambda task: (task.get("stagedAt") or "", task["id"]))


def running(context: Context, app_id: str) -> list[Json]:
    return [task for task in tasks(context, app_id) if task["state"] == "TASK_RUNNING"]


def healthy(task: Json) -> bool:
    """Whether all its health checks have been answered well."""
    results = task.get("healthCheckResults") or []
    return bool(results) and all(result.get("alive") for result in results)


def under_way(context: Context, app_id: str) -> list[Json]:
    """The deployments that work on an app."""
    return [one for one in context.client.deployments() if app_id in one.get("affectedApps", ())]


def not_running_yet(
    context: Context, app_id: str, wanted: int | None = None, how: str = "", scale: str = ""
) -> NotYet | None:
    """None when the app wants ``wanted`` instances (or whatever it wants), runs them, and nothing is under way.

    ``how`` says how to make the app, ``scale`` how this lab would have it scaled.
    """
    found = app(context, app_id)
    if found is None:
        return NotYet(f"there is no app `{app_id}`", how)
    if wanted is not None and found["instances"] != wanted:
        return NotYet(
            f"`{app_id}` asks for {instances(found['instances'])}, not {wanted}",
            scale or f"`marathon.client.scale({app_id!r}, {wanted})`, or the dashboard's slider",
        )
    there = len(running(context, app_id))
    if there != found["instances"]:
        return NotYet(f"{there} of {found['instances']} tasks of `{app_id}` run", "Give it a moment; watch the graph.")
    if found["deployments"]:
        return NotYet(f"a deployment of `{app_id}` is under way", "Give it a moment.")
    return None


def instances(count: int) -> str:
    return f"{count} {'instance' if count == 1 else 'instances'}"


def waiting(context: Context, app_id: str) -> Json | None:
    """The app's entry in the launch queue, None when it waits for nothing."""
    return next((item for item in context.client.queue() if item["app"]["id"] == app_id), None)


def declined(item: Json) -> dict[str, int]:
    """Why the last offers were not used: reason → how many of them."""
    rows = item["processedOffersSummary"]["rejectSummaryLastOffers"]
    return {row["reason"]: row["declined"] for row in rows if row["declined"]}


def names(things: Iterable[str]) -> str:
    return ", ".join(f"`{thing}`" for thing in things)


# -- agents --------------------------------------------------------------------------------------------------------


def agents(context: Context) -> dict[str, Json]:
    """Agent id → the agent, as the leading master knows it."""
    return {slave["id"]: slave for slave in context.client.mesos.slaves()}


def machine_of(agent: Json) -> str:
    """The machine that an agent is on: its attribute ``machine`` says so."""
    return str((agent.get("attributes") or {}).get("machine") or agent["hostname"])


def places(context: Context, app_id: str, attribute: str = "machine") -> list[str]:
    """The value of an attribute (``rack``) for each running task of an app."""
    there = agents(context)
    return sorted(
        str(there[task["slaveId"]]["attributes"].get(attribute, ""))
        for task in running(context, app_id)
        if task.get("slaveId") in there
    )


def output(context: Context, task: Json, stream: str = "stdout") -> str:
    """What a task has written, by its agent's files API (the last 60 kB)."""
    agent = agents(context)[task["slaveId"]]
    user, _, _ = urlsplit(context.sandbox.env["MESOS_URL"]).netloc.rpartition("@")
    base = f"http://{user + '@' if user else ''}{agent['hostname']}:{agent['port']}"
    state = requests.get(f"{base}/state", timeout=TIMEOUT).json()
    executors = [
        executor
        for framework in state["frameworks"]
        for executor in framework["executors"]
        if any(one["id"] == task["id"] for one in executor["tasks"])
    ]
    if not executors:
        return ""
    path = f"{executors[0]['directory']}/{stream}"
    size = requests.get(f"{base}/files/read", params={"path": path, "offset": -1}, timeout=TIMEOUT).json()["offset"]
    wanted = {"path": path, "offset": max(0, size - 60000), "length": 60000}
    return str(requests.get(f"{base}/files/read", params=wanted, timeout=TIMEOUT).json()["data"])


# -- putting it right ------------------------------------------------------------------------------------------------


def heal_everything(context: Context) -> None:
    """Every machine on, every component running, a Marathon that leads (as far as one can wait)."""
    mended = False
    for machine in context.sandbox.machines:
        if machine.state not in ("up", "unknown"):
            context.sandbox.heal(machine.name)
            mended = True
    for part in context.sandbox.components:
        if part.state == "stopped":
            context.sandbox.start(part.name, part.machine)
            mended = True
    if mended:
        wait_until(lambda: bool(context.client.leader()) and all_agents(context), 60)


def all_agents(context: Context) -> bool:
    wanted = {machine.name for machine in context.sandbox.machines if machine.role == "agent"}
    there = {machine_of(agent) for agent in agents(context).values() if agent.get("active")}
    return wanted <= there


def wait_until(so: Callable[[], bool], seconds: float) -> bool:
    """Looks until it is so, or so many seconds are over; nobody answering means not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if so():
                return True
        except NO_ANSWER:
            pass
        time.sleep(0.3)
    return False


def sweep(context: Context, *wanted: str) -> None:
    """Destroys these apps and groups, whatever is under way; answers when they are gone, within half a minute."""
    for path in wanted:
        for delete in (context.client.delete, context.client.delete_group):
            try:
                delete(path, force=True)
            except NO_ANSWER:
                continue
            break
    wait_until(lambda: not left(context, *wanted), 30)


def left(context: Context, *wanted: str) -> list[str]:
    """Those apps and groups that are still there."""
    there = [found["id"] for found in context.client.apps()]
    return [path for path in wanted if any(one == path or one.startswith(f"{path}/") for one in there)]

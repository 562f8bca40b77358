"""What the Mesos labs' checks share: reading a cluster through its HTTP APIs, and putting it right again.

Everything is asked of Mesos and Marathon themselves (``mesos.client`` is labkit's client of Marathon,
``mesos.client.mesos`` that of the masters), so a check cannot tell which engine it looks at. A lab stops masters and
ZooKeeper members on purpose: :func:`asks` makes a verdict of an answer that does not come.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import requests

from labkit.guide import Context, NotYet, Verdict
from labkit.guide.steps import Check
from labkit.orchestrators.marathon import MarathonError, MesosClient, MesosError, zookeeper
from labkit.orchestrators.marathon.servers import Server

Json = dict[str, Any]

# What the clients raise when nobody answers, or nobody leads.
NO_ANSWER = (MarathonError, MesosError, requests.RequestException, OSError)

ALIVE = ("TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING")


# -- asking --------------------------------------------------------------------------------------------------------


def asks(check: Check) -> Check:
    """A check that may find no leader, or nobody at all: that is a verdict, not a failure of the check."""

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


# -- machines and their parts ----------------------------------------------------------------------------------------


def names_of(context: Context, role: str) -> list[str]:
    """The machines of that role (``master``, ``agent``), answering or not, in order."""
    return [machine.name for machine in context.sandbox.machines if machine.role == role]


def masters(context: Context) -> list[str]:
    return names_of(context, "master")


def agents(context: Context) -> list[str]:
    return names_of(context, "agent")


def state_of(context: Context, machine: str) -> str:
    """``"up"``, ``"down"``, ``"paused"``…: the machine's plug."""
    return next((found.state for found in context.sandbox.machines if found.name == machine), "")


def component(context: Context, name: str, machine: str) -> str:
    """``"running"`` or ``"stopped"``; "" where the sandbox cannot tell."""
    there = (part for part in context.sandbox.components if (part.name, part.machine) == (name, machine))
    return next((part.state for part in there), "")


def component_off(context: Context, name: str) -> list[str]:
    """The machines where that component does not run: stopped, or the machine is off."""
    down = {machine.name for machine in context.sandbox.machines if machine.state == "down"}
    return [
        p.machine for p in context.sandbox.components if p.name == name and (p.state == "stopped" or p.machine in down)
    ]


def how_to_start(context: Context, name: str, machine: str) -> str:
    """What to type so that this component runs again: its machine may be off."""
    if state_of(context, machine) not in ("up", "unknown"):
        return f"`marathon.heal({machine!r})`"
    return f"`marathon.start({name!r}, {machine!r})`"


def master_url(context: Context, machine: str) -> str:
    """The URL of the master on that machine, credentials inside."""
    return next(str(found.env["MESOS_URL"]) for found in context.sandbox.machines if found.name == machine)


def master_alone(context: Context, machine: str, timeout: float = 3.0) -> MesosClient:
    """A client of that one master, which asks no other. (:func:`leader` says which one leads.)"""
    return MesosClient([master_url(context, machine)], timeout)


def members(context: Context) -> dict[str, str]:
    """Machine → ``host:port`` of the ZooKeeper member on it."""
    text = next((found.env["ZOOKEEPER"] for found in context.sandbox.machines if found.env.get("ZOOKEEPER")), "")
    told = [member.strip() for member in text.split(",") if member.strip()]
    return dict(zip(masters(context), told, strict=False))


def modes(context: Context) -> dict[str, str]:
    """Machine → what its ZooKeeper member says of itself: ``leader``, ``follower``, ``no quorum`` or ``down``."""
    return {machine: zookeeper.ask(member) for machine, member in members(context).items()}


# -- Mesos -----------------------------------------------------------------------------------------------------------


def mesos(context: Context) -> MesosClient:
    """The masters; every call reaches the one that leads."""
    found: MesosClient = context.client.mesos
    return found


def leader(context: Context) -> str:
    """The machine whose master leads. Raises what :data:`NO_ANSWER` names when none does."""
    answered = mesos(context).answer("/state").server
    return next(
        (name for name in masters(context) if Server.of(master_url(context, name)) == answered), answered.netloc
    )


def agent_states(context: Context) -> dict[str, Json]:
    """Machine → its agent as the leading master knows it (``id``, ``active``, ``resources``, ``attributes``…)."""
    there = {}
    for slave in mesos(context).state()["slaves"]:
        there[machine_of(context, slave)] = slave
    return there


def machine_of(context: Context, slave: Json) -> str:
    """The machine of an agent: its attribute ``machine`` says so, else its address."""
    named = (slave.get("attributes") or {}).get("machine")
    if named:
        return str(named)
    hosts = {found.address: found.name for found in context.sandbox.machines if found.address}
    return hosts.get(slave["hostname"], str(slave["hostname"]))


def frameworks(context: Context, name: str = "", *, ended: bool = False) -> list[Json]:
    """Frameworks (of that name) with their ``tasks``, ``completed_tasks`` and ``offers``; with ``ended`` those too."""
    state = mesos(context).state()
    found = [*state["frameworks"], *(state["completed_frameworks"] if ended else ())]
    return [framework for framework in found if not name or framework["name"] == name]


def framework(context: Context, name: str) -> Json | None:
    """The one that is registered under that name; the newest where there are several."""
    return max(frameworks(context, name), key=lambda one: float(one.get("registered_time") or 0), default=None)


def running(one: Json | None) -> list[Json]:
    """The tasks of a framework that run."""
    return [task for task in (one or {}).get("tasks", ()) if task["state"] == "TASK_RUNNING"]


def brief(framework_id: str) -> str:
    """An id in short. Its end alone is a number that each leading master counts anew."""
    return f"{framework_id[:4]}…{framework_id[-4:]}"


def many(count: int, word: str) -> str:
    """ "1 offer", "2 offers"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def names(things: Iterable[str]) -> str:
    return ", ".join(f"`{thing}`" for thing in things)


# -- Marathon --------------------------------------------------------------------------------------------------------


def app(context: Context, app_id: str) -> Json | None:
    """An app as Marathon has it, None when there is none."""
    try:
        found: Json = context.client.app(app_id)
    except MarathonError as error:
        if error.status == 404:
            return None
        raise
    return found


def not_running_yet(context: Context, app_id: str, wanted: int, how: str = "") -> NotYet | None:
    """None when the app wants ``wanted`` instances and runs them; else what is amiss."""
    found = app(context, app_id)
    name = f"`/{app_id.strip('/')}`"
    if found is None:
        return NotYet(f"there is no app {name}", how)
    if found["instances"] != wanted:
        return NotYet(
            f"{name} asks for {found['instances']} instances, not {wanted}",
            f"`marathon.client.scale({app_id!r}, {wanted})`, or the dashboard's slider",
        )
    if found["tasksRunning"] != wanted:
        return NotYet(
            f"{found['tasksRunning']} of {wanted} tasks of {name} run", "Give it a moment and watch the graph."
        )
    return None


# -- tasks themselves ------------------------------------------------------------------------------------------------


def answers(host: str, port: int, wait: float = 1.0) -> bool:
    """Whether somebody listens there: a task's own port is asked, and no master."""
    try:
        with socket.create_connection((host, port), wait):
            return True
    except OSError:
        return False


# -- putting it right ------------------------------------------------------------------------------------------------


def heal_everything(context: Context) -> None:
    """Every machine on, every component running, a master that leads (as far as one can wait)."""
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
        wait_for_leader(context)


def wait_for_leader(context: Context, seconds: float = 60.0) -> None:
    """Returns when a master leads and a Marathon too, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            leader(context)
            context.client.leader()
        except NO_ANSWER:
            time.sleep(0.3)
        else:
            return


def sweep(context: Context, *apps: str) -> None:
    """Destroys these apps of Marathon; answers when they are gone, within half a minute."""
    for app_id in apps:
        if _found(context, app_id):
            context.client.delete(app_id, force=True)
    deadline = time.monotonic() + 30
    while any(_found(context, app_id) for app_id in apps) and time.monotonic() < deadline:
        time.sleep(0.2)


@quietly(False)
def _leads(context: Context) -> bool:
    return bool(leader(context))


def _found(context: Context, app_id: str) -> bool:
    try:
        return app(context, app_id) is not None
    except NO_ANSWER:
        return False


def teardown(context: Context, *named: str) -> None:
    """Ends every framework of these names, with all its tasks."""
    if not _leads(context):
        return
    for name in named:
        for found in frameworks(context, name):
            mesos(context).teardown(found["id"])

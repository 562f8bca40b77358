"""Checks of labs/swarm/02-services-and-tasks: desired against actual state."""

from __future__ import annotations

import re
import time
from typing import Any

from labkit.guide import Ask, Context, Hint, Lab, NotYet, Passed, Prediction, Recap, Step, Verdict

from .common import (
    activate_everything,
    ask_managers,
    heal_everything,
    no_manager,
    node_names,
    not_running_yet,
    remove_services,
    replicas,
    running,
    service,
    tasks_a_node,
)

SETTLED = 3.0  # seconds that a state must hold before “nothing happens” counts as seen


# -- first-service -----------------------------------------------------------------------------------------------


def three_run(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    found = service(client, "web")
    if found is not None and not found.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].startswith(
        "traefik/whoami"
    ):
        return NotYet("`web` runs another image", "Remove it (`docker service rm web`) and use `traefik/whoami:v1.10`.")
    if (amiss := not_running_yet(client, "web", 3)) is not None:
        return amiss
    nodes = sorted(name for name, count in tasks_a_node(client, "web").items() if count)
    return Passed(f"3 of 3 tasks of `web` run, on {', '.join(nodes)}")


def create_web(context: Context) -> None:
    from docker.types import ServiceMode

    context.client.services.create("traefik/whoami:v1.10", name="web", mode=ServiceMode("replicated", replicas=3))


# -- kill-a-task -------------------------------------------------------------------------------------------------


def refilled_slots(client: Any) -> list[int]:
    """Slots of `web` in which a task has failed and another one runs."""
    failed = {
        task["Slot"]
        for task in client.api.tasks(filters={"service": "web"})
        if task["Status"]["State"] == "failed" and "Slot" in task
    }
    return sorted(failed & {task["Slot"] for task in running(client, "web")})


def slot_refilled(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    if service(client, "web") is None:
        return NotYet("there is no service `web`", "Create it again, as in the first step.")
    slots = refilled_slots(client)
    if not slots:
        tasks = client.api.tasks(filters={"service": "web"})
        if any(task["Status"]["State"] == "failed" for task in tasks):
            return NotYet("a task has failed; its successor is not running yet", "Swarm waits the restart delay: 5 s.")
        return NotYet("no task of `web` has failed so far", "Click a task in the graph, then **Kill task**.")
    return Passed(f"slot {slots[0]} holds a failed task and, after it, one that runs")


def what_refilled(context: Context) -> str | None:
    client, _ = ask_managers(context)
    return "A new task appears in the same slot" if client and refilled_slots(client) else None


def kill_one(context: Context) -> None:
    tasks = context.client.api.tasks(filters={"service": "web", "desired-state": "running"})
    task = next(task for task in tasks if task["Status"]["State"] == "running")
    node = context.client.nodes.get(task["NodeID"])
    engine = context.sandbox.client_of(node.attrs["Description"]["Hostname"])
    engine.containers.get(task["Status"]["ContainerStatus"]["ContainerID"]).kill()


# -- scale -------------------------------------------------------------------------------------------------------


def eight_run(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    if (amiss := not_running_yet(client, "web", 8)) is not None:
        return amiss
    counts = tasks_a_node(client, "web")
    return Passed("8 tasks run: " + ", ".join(f"{name} has {count}" for name, count in sorted(counts.items())))


def busiest(context: Context) -> str | None:
    client, _ = ask_managers(context)
    if client is None:
        return None
    most = max(tasks_a_node(client, "web").values())
    return {1: "One", 2: "Two", 8: "All eight"}.get(most)


def scale_to_8(context: Context) -> None:
    context.sandbox.actions.scale("web", 8)


def four_run(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    if (amiss := not_running_yet(client, "web", 4)) is not None:
        return amiss
    tasks = client.api.tasks(filters={"service": "web"})
    leaving = [task for task in tasks if task["DesiredState"] == "remove"]
    if leaving:
        return NotYet(f"slot {leaving[0]['Slot']} is still being cleared", "Its container has ten seconds to stop.")
    return Passed(f"4 tasks run; the slots that are left are {sorted(_living(client))}")


def _living(client: Any) -> set[int]:
    return {task["Slot"] for task in running(client, "web")}


def scale_to_4(context: Context) -> None:
    context.sandbox.actions.scale("web", 4)


# -- drain and activate ------------------------------------------------------------------------------------------


def one_drained(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    found = service(client, "web")
    if found is None:
        return NotYet("there is no service `web`", "Create it again, as in the first step.")
    drained = [n for n in client.api.nodes() if n["Spec"]["Availability"] == "drain"]
    if not drained:
        return NotYet("no node is drained", "`docker node update --availability drain worker-1`, or the dashboard.")
    name = drained[0]["Description"]["Hostname"]
    left = tasks_a_node(client, "web")[name]
    if left:
        return NotYet(f"{name} is drained and still runs {left} of `web`", "They are being moved.")
    if (amiss := not_running_yet(client, "web", replicas(found) or 0)) is not None:
        return amiss
    moved = any(
        task.get("NodeID") == drained[0]["ID"] and task["DesiredState"] == "shutdown"
        for task in client.api.tasks(filters={"service": "web"})
    )
    if not moved:
        return NotYet(f"{name} is drained, but no task of `web` was on it", "Drain a node that runs one.")
    context.memory["drained"] = name
    return Passed(f"{name} is drained and empty; `web` runs all its tasks elsewhere")


def where_to(context: Context) -> str | None:
    client, _ = ask_managers(context)
    if client is None:
        return None
    found = service(client, "web")
    whole = found is not None and len(running(client, "web")) == replicas(found)
    return "They are replaced on other nodes" if whole else "They stop and are not replaced"


def drain_one(context: Context) -> None:
    tasks = context.client.api.tasks(filters={"service": "web", "desired-state": "running"})
    node = context.client.nodes.get(next(task["NodeID"] for task in tasks if task["Status"]["State"] == "running"))
    node.update({**node.attrs["Spec"], "Availability": "drain"})


def active_again(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    name = context.memory.get("drained", "")
    idle = [n["Description"]["Hostname"] for n in client.api.nodes() if n["Spec"]["Availability"] != "active"]
    if idle:
        context.memory.pop("active since", None)
        return NotYet(
            f"{', '.join(idle)}: not active", f"`docker node update --availability active {idle[0]}`, or the dashboard."
        )
    since = context.memory.setdefault("active since", time.time())
    if time.time() - since < SETTLED:
        return NotYet(f"{name} is active; watching what moves back", "A few seconds.")
    return Passed(f"{name} is active and runs {tasks_a_node(client, 'web').get(name, 0)} tasks of `web`")


def what_moved_back(context: Context) -> str | None:
    client, _ = ask_managers(context)
    if client is None:
        return None
    back = tasks_a_node(client, "web").get(context.memory.get("drained", ""), 0)
    return "Some tasks" if back else "Nothing"


def activate_all(context: Context) -> None:
    for node in context.client.nodes.list():
        if node.attrs["Spec"]["Availability"] != "active":
            node.update({**node.attrs["Spec"], "Availability": "active"})


def spread_again(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    name = context.memory.get("drained", "")
    found = service(client, "web")
    if found is None:
        return NotYet("there is no service `web`", "Create it again, as in the first step.")
    count = tasks_a_node(client, "web").get(name, 0)
    if not count:
        return NotYet(f"{name} runs nothing of `web`", "`docker service update --force web` places the tasks anew.")
    return Passed(f"{name} runs {count} of `web` again")


def place_anew(context: Context) -> None:
    context.client.services.get("web").force_update()


# -- break it: a wish that nobody can fulfil -----------------------------------------------------------------------


def picky_pends(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    found = service(client, "picky")
    if found is None:
        return NotYet("there is no service `picky`", "Create it with the constraint `node.labels.disk==ssd`.")
    reasons = why_it_waits(client)
    if not reasons:
        return NotYet("no task of `picky` waits", "Did you give it `--constraint node.labels.disk==ssd`?")
    refused = refused_nodes(reasons)
    if not refused:
        return NotYet("the scheduler has not looked at it yet", "A moment.")
    context.memory["refused"] = refused[0]
    return Passed(f"pending: {reasons[0]}")


def why_it_waits(client: Any) -> list[str]:
    """What the scheduler says of each waiting task of `picky`."""
    tasks = client.api.tasks(filters={"service": "picky"})
    return [task["Status"].get("Err", "") for task in tasks if task["Status"]["State"] == "pending"]


def refused_nodes(reasons: list[str]) -> list[int]:
    """On how many nodes it says that the constraints are not satisfied."""
    found = (re.search(r"constraints not satisfied on (\d+) node", reason) for reason in reasons)
    return [int(match[1]) for match in found if match]


def create_picky(context: Context) -> None:
    context.client.services.create("traefik/whoami:v1.10", name="picky", constraints=["node.labels.disk==ssd"])


def why_pending(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Click the waiting task, or run `docker service ps --no-trunc picky`.")
    # Its message changes with the world: a node that was away a moment ago is counted as soon as it is back.
    client, _ = ask_managers(context)
    counted = {context.memory["refused"], *(refused_nodes(why_it_waits(client)) if client else ())}
    if context.answer not in counted:
        return NotYet(f"{context.answer:g} is not what the scheduler says", "Read the number in its message.")
    return Passed(f"the scheduler counted {context.answer:g} nodes that lack the label")


def answer_nodes(context: Context) -> int:
    import re

    task = context.client.api.tasks(filters={"service": "picky"})[0]
    return int(re.search(r"not satisfied on (\d+) node", task["Status"]["Err"])[1])


def picky_runs(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    tasks = running(client, "picky")
    if not tasks:
        return NotYet("`picky` still waits", "Label one node: `docker node update --label-add disk=ssd worker-2`.")
    names = node_names(client)
    labelled = {n["ID"] for n in client.api.nodes() if (n["Spec"].get("Labels") or {}).get("disk") == "ssd"}
    if tasks[0]["NodeID"] not in labelled:
        return NotYet("`picky` runs on a node without the label", "Keep its constraint and label a node instead.")
    return Passed(f"`picky` runs on {names[tasks[0]['NodeID']]}, which has disk=ssd")


def label_a_node(context: Context) -> None:
    node = context.client.nodes.list()[-1]
    spec = node.attrs["Spec"]
    node.update({**spec, "Labels": {**(spec.get("Labels") or {}), "disk": "ssd"}})


# -- clean up ----------------------------------------------------------------------------------------------------


def gone(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    left = [name for name in ("web", "picky") if service(client, name) is not None]
    if left:
        return NotYet(f"still there: {', '.join(left)}", f"`docker service rm {' '.join(left)}`")
    return Passed("both services are gone, and their tasks with them")


def remove_both(context: Context) -> None:
    for name in ("web", "picky"):
        context.client.services.get(name).remove()


def reset(context: Context) -> None:
    heal_everything(context)
    remove_services(context, "web", "picky")
    activate_everything(context)


LAB = Lab(
    id="swarm/02-services-and-tasks",
    title="Services and tasks",
    goal="See a swarm keep its promise: you say what you *want*, it works on what *is*.",
    minutes=25,
    orchestrator="swarm",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="first-service",
            title="Ask for three",
            task="Create a service called `web` from the image `traefik/whoami:v1.10` with **three replicas**: by the "
            "dashboard's *Deploy another*, in Python, or in a terminal:\n\n"
            "`docker service create --name web --replicas 3 traefik/whoami:v1.10`",
            check=three_run,
            solution=create_web,
            hints=(
                Hint("A service is not a container. You write down a wish; the managers make tasks of it."),
                Hint(
                    "The name and the number must be just right: `web`, 3.",
                    when=lambda context: bool(context.client.services.list()),
                ),
                Hint("`swarm.client.services.create('traefik/whoami:v1.10', name='web', …)` is the Python way."),
            ),
            why="The managers stored your **service** (what you want), cut it into three **tasks** (one container "
            "each, in slots 1 to 3), and placed each task on a node with few of them. A worker then fetched the image "
            "and started the container. Nobody told the workers directly: they carry out what the managers assign.",
        ),
        Step(
            id="kill-a-task",
            title="Kill one and watch its slot",
            needs=("first-service",),
            task="Kill a container of `web` behind the swarm's back: click a running task in the graph and press "
            "**Kill task**. (By hand: find its node with `docker service ps web`, then `docker kill` *on that node*.)",
            prediction=Prediction(
                "One of three containers is killed. What will the swarm do?",
                ("Restart the same container", "A new task appears in the same slot", "Leave it at two"),
                what_refilled,
            ),
            check=slot_refilled,
            solution=kill_one,
            hints=(
                Hint("Click one of the round, filled markers: its details come up beside the graph."),
                Hint(
                    "The replacement waits five seconds: the *restart delay*, so that a crashing container "
                    "does not spin.",
                    when=lambda context: len(running(context.client, "web")) < 3,
                ),
            ),
            why="A task is **one-shot**: it goes forward through its states and never back. The killed one is *failed* "
            "for good and stays in the slot's history (`docker service ps web` keeps four). The orchestrator saw "
            "two running where three are desired and put a **new task, with a new id,** in the same slot.",
        ),
        Step(
            id="scale-up",
            title="Scale to eight",
            needs=("first-service",),
            task="Ask for **eight** replicas: move the dashboard's slider, or `docker service scale web=8`.",
            prediction=Prediction(
                "Eight tasks on five nodes. How many will the busiest node get?", ("One", "Two", "All eight"), busiest
            ),
            check=eight_run,
            solution=scale_to_8,
            hints=(Hint("Every workload in the dashboard's list has a slider, with − and + beside it."),),
            why="The scheduler **spreads**: of the nodes that pass its filters it takes the one with the fewest tasks "
            "of this service. The slider and the command do the same thing: they write a new number into the service.",
        ),
        Step(
            id="scale-down",
            title="And down to four",
            needs=("scale-up",),
            task="Now ask for **four**. Watch *which* tasks go.",
            check=four_run,
            solution=scale_to_4,
            why="Swarm takes tasks away where a node has the most of them, so what is left is still spread. A task "
            "that was scaled away is not kept in any history: nothing went wrong that one might want to read.",
        ),
        Step(
            id="drain",
            title="Empty a node",
            needs=("scale-down",),
            task="You want to service a machine. **Drain** a node that runs a task of `web`: in the dashboard, or "
            "`docker node update --availability drain worker-1`.",
            prediction=Prediction(
                "What becomes of the tasks on a drained node?",
                (
                    "They stay; only new ones are kept away",
                    "They are replaced on other nodes",
                    "They stop and are not replaced",
                ),
                where_to,
            ),
            check=one_drained,
            solution=drain_one,
            hints=(
                Hint(
                    "The node that you drained had no task of `web`; choose one that has.",
                    when=lambda context: any(n["Spec"]["Availability"] == "drain" for n in context.client.api.nodes()),
                ),
            ),
            why="*Drain* means: shut down what runs here and start it elsewhere, at once, without the restart delay: "
            "nothing has failed. (*Pause* is the weaker wish: keep what runs, take nothing new.)",
        ),
        Step(
            id="activate",
            title="Take it back",
            needs=("drain",),
            task="The machine is fine again. Make the node **active**: in the dashboard, or "
            "`docker node update --availability active worker-1`. Then wait a few seconds.",
            prediction=Prediction(
                "What moves back to it?", ("All its old tasks", "Some tasks", "Nothing"), what_moved_back
            ),
            check=active_again,
            solution=activate_all,
            why="**Nothing moves back.** Four tasks are desired, four run: there is no difference to work on, and "
            "moving a healthy task would only break connections. The node gets its share of what comes *next*.",
        ),
        Step(
            id="rebalance",
            title="Spread by hand",
            needs=("activate",),
            task="You want the node used *now*. Make the swarm place the tasks of `web` anew: "
            "`docker service update --force web`.",
            check=spread_again,
            solution=place_anew,
            hints=(
                Hint("In Python: `swarm.client.services.get('web').force_update()`."),
                Hint("Scaling up also works: the emptiest node comes first."),
            ),
            why="`--force` changes a counter in the task's template, so all tasks are out of date and are replaced one "
            "after the other; each new one goes to the emptiest node.",
        ),
        Step(
            id="impossible",
            title="Break it: a wish that nobody can fulfil",
            task="Create a service `picky`, one replica of `traefik/whoami:v1.10`, that may only run where the node "
            "has the label `disk=ssd`. None has.\n\n"
            "`docker service create -d --name picky --constraint node.labels.disk==ssd traefik/whoami:v1.10`",
            check=picky_pends,
            solution=create_picky,
            hints=(Hint("In Python: `swarm.client.services.create(…, constraints=['node.labels.disk==ssd'])`."),),
            why="Not an error: the wish is stored, and the task waits in state **pending** until somebody can fulfil "
            "it. The scheduler writes down why it waits.",
        ),
        Step(
            id="why-pending",
            title="Read why",
            needs=("impossible",),
            task="Click the waiting task in the graph, or run `docker service ps --no-trunc picky`.",
            ask=Ask("On how many nodes does the scheduler say that the constraints are not satisfied?"),
            check=why_pending,
            solution=answer_nodes,
            why="`no suitable node (scheduling constraints not satisfied on 5 nodes)`: every filter of the scheduler "
            "counts the nodes that it refused. When something hangs in *pending*, this is the line to read first.",
        ),
        Step(
            id="fulfil",
            title="Make it possible",
            needs=("impossible",),
            task="Do not touch the service. Change the *world*: give one node the label.\n\n"
            "`docker node update --label-add disk=ssd worker-2`",
            check=picky_runs,
            solution=label_a_node,
            why="The scheduler looks at waiting tasks again whenever a node changes. Desired state is a standing "
            "order, not a command that is tried once.",
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("first-service", "impossible"),
            task="Remove both services: `docker service rm web picky`.",
            check=gone,
            solution=remove_both,
            why="With the service gone nothing is desired, so the managers shut every task down.",
        ),
    ),
    recap=(
        Recap(
            "A container of a service dies. What runs afterwards?",
            ("The same container, restarted", "A new task in the same slot", "A new service"),
            1,
            "A task never comes back to life. The slot stays, the task in it is new.",
        ),
        Recap(
            "A drained node is made active again. Its tasks…",
            ("come back", "come back one by one", "stay where they are now"),
            2,
            "Desired equals actual, so there is nothing to do; `docker service update --force` spreads anew.",
        ),
        Recap(
            "A task hangs in *pending*. What do you look at first?",
            ("The worker's log", "The error in `docker service ps --no-trunc`", "The image"),
            1,
            "*Pending* means that no node has it yet: only the scheduler can say why.",
        ),
    ),
    shows={
        "services are the interface to a set of containers across the swarm": "first-service",
        "tasks are single containers with image and command": "kill-a-task",
        "workers run the containers assigned to them": "drain",
    },
)

"""Checks of labs/00-start-here: one turn around a sandbox."""

from __future__ import annotations

from labkit.guide import Context, Hint, Lab, NotYet, Passed, Prediction, Recap, Step, Verdict


def _running(context: Context) -> list[dict]:
    """Tasks of `hello` that run and are meant to, on nodes that answer."""
    api = context.client.api
    ready = {node["ID"] for node in api.nodes() if node["Status"]["State"] == "ready"}
    return [
        task
        for task in api.tasks(filters={"service": "hello", "desired-state": "running"})
        if task["Status"]["State"] == "running" and task.get("NodeID") in ready
    ]


def _hello(context: Context) -> dict | None:
    found = context.client.api.services(filters={"name": "hello"})
    return next((service for service in found if service["Spec"]["Name"] == "hello"), None)


def _wants(context: Context, count: int) -> Verdict:
    hello = _hello(context)
    if hello is None:
        return NotYet("there is no service `hello`", "Run the cell that creates it.")
    wanted = hello["Spec"]["Mode"]["Replicated"]["Replicas"]
    if wanted != count:
        return NotYet(f"`hello` asks for {wanted} replicas", f"Ask for {count}.")
    running = len(_running(context))
    if running != count:
        return NotYet(f"{running} of {count} run", "Watch the graph.")
    return Passed(f"{running} of {count} tasks of `hello` run")


def create_hello(context: Context) -> None:
    from docker.types import ServiceMode

    context.client.services.create("traefik/whoami:v1.10", name="hello", mode=ServiceMode("replicated", replicas=2))


def grow_hello(context: Context) -> None:
    context.sandbox.actions.scale("hello", 5)


def lost_and_replaced(context: Context) -> Verdict:
    down = [node["Description"]["Hostname"] for node in context.client.api.nodes() if node["Status"]["State"] == "down"]
    off = [machine.name for machine in context.sandbox.machines if machine.state != "up"]
    if not off:
        return NotYet("every machine has its plug in", "Fail `worker-1`.")
    if not down:
        return NotYet(
            f"{', '.join(off)} is off; the managers have not noticed yet", "They miss three heartbeats first."
        )
    if isinstance(verdict := _wants(context, 5), NotYet):
        return verdict
    context.memory["failed"] = down
    return Passed(f"{', '.join(down)} is down, and 5 tasks run on the others")


def what_happened(context: Context) -> str | None:
    return "They are started again on other nodes" if len(_running(context)) == 5 else "They are lost"


def fail_worker(context: Context) -> None:
    context.sandbox.fail("worker-1")


def healed(context: Context) -> Verdict:
    silent = [n["Description"]["Hostname"] for n in context.client.api.nodes() if n["Status"]["State"] != "ready"]
    if silent:
        return NotYet(f"not ready: {', '.join(silent)}", f"`swarm.heal({silent[0]!r})`")
    return Passed("every node is ready")


def heal_all(context: Context) -> None:
    for machine in context.sandbox.machines:
        if machine.state != "up":
            context.sandbox.heal(machine.name)


def tidy(context: Context) -> Verdict:
    if _hello(context) is not None:
        return NotYet("`hello` is still there", "`docker service rm hello`, or the cell below.")
    return Passed("`hello` is gone")


def remove_hello(context: Context) -> None:
    context.client.services.get("hello").remove()


def reset(context: Context) -> None:
    heal_all(context)
    if _hello(context) is not None:
        remove_hello(context)


LAB = Lab(
    id="00-start-here",
    title="Start here",
    goal="Take one turn around a sandbox: start it, ask it for something, break it, mend it.",
    minutes=20,
    orchestrator="swarm",
    setup=heal_all,
    reset=reset,
    steps=(
        Step(
            id="hello",
            title="Say hello",
            task="Run the cell above. It asks the swarm for a **service** of two **tasks**, in the words of Docker's "
            "own Python client.",
            check=lambda context: _wants(context, 2),
            solution=create_hello,
            hints=(Hint("Put the cursor into the cell and press Shift + Enter."),),
            why="Two dots appeared in the graph: two tasks, on two nodes. This panel looked at the swarm, not at what "
            "you typed: with `docker service create` in a terminal it would have turned green as well.",
        ),
        Step(
            id="grow",
            title="Ask for more",
            needs=("hello",),
            task="Ask for **five**: move the slider of `hello` in the dashboard.",
            check=lambda context: _wants(context, 5),
            solution=grow_hello,
            hints=(Hint("Or in a cell: `swarm.actions.scale('hello', 5)`, which is what the slider calls."),),
            why="You changed a number; the swarm did the rest.",
        ),
        Step(
            id="pull-the-plug",
            title="Pull a plug",
            needs=("grow",),
            task="Every sandbox is there to be broken. Press **Pull plug** beside `worker-1` in the dashboard, or "
            "run `swarm.fail('worker-1')`. Then wait until the managers notice.",
            prediction=Prediction(
                "What becomes of the tasks that ran there?",
                ("They are lost", "They are started again on other nodes", "They wait until it is back"),
                what_happened,
            ),
            check=lost_and_replaced,
            solution=fail_worker,
            engines={"attached": "An attached cluster has no plug: do this on an embedded sandbox."},
            why="A node that misses three heartbeats, about fifteen seconds, counts as *down*. Five tasks were asked "
            "for, fewer were left, so new ones were started elsewhere.",
            patience=120,
        ),
        Step(
            id="mend",
            title="Put it back",
            needs=("pull-the-plug",),
            task="Press **Heal**, or `swarm.heal('worker-1')`.",
            check=healed,
            solution=heal_all,
            why="The node is ready again, and empty: its old tasks have been replaced, nothing moves back.",
            patience=120,
        ),
        Step(
            id="tidy",
            title="Tidy up",
            needs=("hello",),
            task="Remove the service.",
            check=tidy,
            solution=remove_hello,
            why="The swarm runs on, empty and ready for the next lab.",
        ),
    ),
    recap=(
        Recap(
            "What does a step's panel look at?",
            ("What you typed", "The state of the cluster", "The clock"),
            1,
            "Every way that leads to the state counts: dashboard, Python, terminal.",
        ),
        Recap(
            "You restart the notebook's kernel. The sandbox…",
            ("runs on", "is gone", "starts anew"),
            0,
            "A sandbox is a process of its own. `labkit.up('swarm')` finds it again; `swarm.down()` ends it.",
        ),
        Recap(
            "Where do the three engines differ for a notebook?",
            ("In the cells", "In one word: `engine=`", "In the checks"),
            1,
            "Embedded, real on this machine, or attached: the same cells and the same checks.",
        ),
    ),
    shows={},
)

"""Checks of labs/swarm/01-managers-and-raft: quorum, election, and what lives on without either."""

from __future__ import annotations

from typing import Any

from labkit.guide import Ask, Context, Hint, Lab, NotYet, Passed, Prediction, Recap, Step, Verdict

from .common import (
    NO_ANSWER,
    activate_everything,
    ask_managers,
    heal_everything,
    managers,
    no_manager,
    not_running_yet,
    remove_services,
    service,
    workers,
)

SERVICE = "heartbeat"
REFUSED = "It refuses: the swarm does not have a leader"
REPLICAS = 4


def leader_name(client: Any) -> str:
    """The host name of the leader, "" while there is none."""
    for node in client.api.nodes():
        if (node.get("ManagerStatus") or {}).get("Leader"):
            return str(node["Description"]["Hostname"])
    return ""


def unreachable(client: Any) -> list[str]:
    """Managers that the leader does not reach."""
    return sorted(
        node["Description"]["Hostname"]
        for node in client.api.nodes()
        if "ManagerStatus" in node and node["ManagerStatus"]["Reachability"] != "reachable"
    )


def containers_running(context: Context) -> int:
    """How many containers of the service run, asked of every worker's own engine: that needs no manager."""
    count = 0
    for machine in workers(context):
        try:
            found = context.sandbox.client_of(machine).containers.list(
                filters={"label": f"com.docker.swarm.service.name={SERVICE}"}
            )
        except NO_ANSWER:
            continue
        count += len(found)
    return count


# -- arithmetic --------------------------------------------------------------------------------------------------


def quorum_right(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "More than half of the managers have to agree.")
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    wanted = len(managers(context)) // 2 + 1
    if float(context.answer) != wanted:
        return NotYet(f"{context.answer:g} is not it", "How many is *more than half* of the managers?")
    context.memory["first leader"] = leader_name(client)
    return Passed(f"{wanted} of {len(managers(context))} managers are a quorum")


def quorum(context: Context) -> int:
    managers = [machine for machine in context.sandbox.machines if machine.role == "manager"]
    return len(managers) // 2 + 1


def tolerance_right(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "A quorum must be left over.")
    spare = len(managers(context)) - _quorum(context)
    if float(context.answer) != spare:
        return NotYet(f"{context.answer:g} is not it", "Managers less quorum.")
    return Passed(f"with {len(managers(context))} managers the swarm survives the loss of {spare}")


def tolerance(context: Context) -> int:
    managers = [machine for machine in context.sandbox.machines if machine.role == "manager"]
    return len(managers) - (len(managers) // 2 + 1)


def _quorum(context: Context) -> int:
    return len(managers(context)) // 2 + 1


# -- something that must live on ------------------------------------------------------------------------------------


def service_runs(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    if (amiss := not_running_yet(client, SERVICE, REPLICAS)) is not None:
        return amiss
    count = containers_running(context)
    if count != REPLICAS:
        return NotYet(
            f"{REPLICAS - count} of its tasks run on managers",
            "Remove it and create it again with `--constraint node.role==worker`: managers are about to die.",
        )
    return Passed(f"{count} containers of `{SERVICE}` run, all on workers")


def create_service(context: Context) -> None:
    from docker.types import ServiceMode

    context.client.services.create(
        "traefik/whoami:v1.10",
        name="heartbeat",
        mode=ServiceMode("replicated", replicas=4),
        constraints=["node.role==worker"],
    )


# -- kill the leader -----------------------------------------------------------------------------------------------


def other_leader(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return NotYet(refusal, "Without a quorum there is no election. Heal a manager, then fail only the leader.")
    first = context.memory.get("first leader", "")
    now = leader_name(client)
    if first not in unreachable(client):
        return NotYet(f"{first} still answers", f"Pull its plug: `swarm.fail({first!r})`, or the dashboard.")
    if now in ("", first):
        return NotYet(f"{first} is gone; no new leader yet", "An election takes 10 to 20 seconds.")
    return Passed(f"{first} is unreachable and {now} leads")


def after_the_leader(context: Context) -> str | None:
    client, _ = ask_managers(context)
    if client is None:
        return None
    return "Another manager is elected" if leader_name(client) else None


def fail_leader(context: Context) -> None:
    managers = context.client.nodes.list(filters={"role": "manager"})
    leader = next(node for node in managers if node.attrs["ManagerStatus"].get("Leader"))
    context.sandbox.fail(leader.attrs["Description"]["Hostname"])


# -- lose the quorum ------------------------------------------------------------------------------------------------


def up_managers(context: Context) -> list[str]:
    return [m.name for m in context.sandbox.machines if m.role == "manager" and m.state == "up"]


def quorum_lost(context: Context) -> Verdict:
    up = up_managers(context)
    if not up:
        return NotYet("every manager is down", "Leave one alive: it is the one to ask. Heal one.")
    if len(up) >= _quorum(context):
        return NotYet(
            f"{len(up)} of {len(managers(context))} managers are up", "Fail managers until the quorum is gone."
        )
    client, refusal = ask_managers(context)
    if client is not None:
        return NotYet(f"{up[0]} still answers", "It notices within an election timeout that the others do not hear it.")
    if "leader" not in refusal and "deadline" not in refusal:
        return NotYet(f"{up[0]}: {refusal}", "Give it a moment.")
    context.memory["refusal"] = refusal
    return Passed(f"{up[0]} says: {refusal}")


def tasks_without_quorum(context: Context) -> str | None:
    return "They keep running" if containers_running(context) == REPLICAS else "They stop"


def fail_to_minority(context: Context) -> None:
    managers = [machine for machine in context.sandbox.machines if machine.role == "manager"]
    alive = [machine.name for machine in managers if machine.state == "up"]
    for name in alive[1:]:
        context.sandbox.fail(name)


def scaling_refused(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", f"Try `docker service scale {SERVICE}=6` on the manager that is left.")
    client, _ = ask_managers(context)
    if client is not None:
        return NotYet("a manager answers: the quorum is back", "Answer while it is lost: fail a manager again.")
    if context.answer != REFUSED:
        return NotYet("that is not what the manager says", "Run it and read the error to its end.")
    return Passed(f"refused, and {containers_running(context)} containers run on")


# -- bring it back -------------------------------------------------------------------------------------------------


def quorum_back(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return NotYet(refusal, "Heal one manager: `swarm.heal('manager-2')`, then wait for an election.")
    leader = leader_name(client)
    if not leader:
        return NotYet("no leader yet", "An election takes 10 to 20 seconds.")
    if service(client, SERVICE) is None:
        return NotYet(f"`{SERVICE}` is not in the store", "Was it removed?")
    return Passed(f"{leader} leads; `{SERVICE}` is still in the store")


def heal_one(context: Context) -> None:
    failed = [machine.name for machine in context.sandbox.machines if machine.state != "up"]
    context.sandbox.heal(failed[0])


def answer_refused(context: Context) -> str:
    return "It refuses: the swarm does not have a leader"


def heal_all(context: Context) -> None:
    for machine in context.sandbox.machines:
        if machine.state != "up":
            context.sandbox.heal(machine.name)


def all_back(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    if missing := unreachable(client):
        return NotYet(f"not reachable: {', '.join(missing)}", f"`swarm.heal({missing[0]!r})`")
    silent = [n["Description"]["Hostname"] for n in client.api.nodes() if n["Status"]["State"] != "ready"]
    if silent:
        return NotYet(f"not ready yet: {', '.join(silent)}", "They report within a heartbeat or two.")
    return Passed(f"all {len(managers(context))} managers are reachable; {leader_name(client)} leads")


def gone(context: Context) -> Verdict:
    client, refusal = ask_managers(context)
    if client is None:
        return no_manager(refusal)
    if service(client, SERVICE) is not None:
        return NotYet(f"`{SERVICE}` is still there", f"`docker service rm {SERVICE}`")
    return Passed(f"`{SERVICE}` is gone")


def remove_heartbeat(context: Context) -> None:
    context.client.services.get("heartbeat").remove()


def reset(context: Context) -> None:
    heal_everything(context)
    remove_services(context, SERVICE)
    activate_everything(context)


DRILL = {
    "attached": "An attached cluster is somebody's real one: this drill is refused there. Use an embedded sandbox."
}

LAB = Lab(
    id="swarm/01-managers-and-raft",
    title="Managers and Raft",
    goal="Find out how many managers a swarm can lose, by losing them.",
    minutes=25,
    orchestrator="swarm",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="quorum",
            title="Work out the quorum",
            task="Look at the graph: the managers stand in the upper row, the leader wears the star. Everything that "
            "the swarm knows is in a log which the managers replicate with **Raft**. A change counts once a "
            "*quorum*, more than half of them, has it.",
            ask=Ask("How many managers of this swarm are a quorum?"),
            check=quorum_right,
            solution=quorum,
            hints=(Hint("Half of three is one and a half. What is the first whole number above it?"),),
            why="`n // 2 + 1`. Two groups of managers that cannot talk to each other can never *both* have more than "
            "half; so there can never be two truths.",
        ),
        Step(
            id="tolerance",
            title="And what it may lose",
            needs=("quorum",),
            task="Now the number that matters at night.",
            ask=Ask("How many managers can this swarm lose and still be managed?"),
            check=tolerance_right,
            solution=tolerance,
            why="Three managers survive one loss, five survive two. **Four survive one, like three**, and there is one "
            "more that can break: that is why one runs an odd number.",
        ),
        Step(
            id="workload",
            title="Something that must live on",
            needs=("tolerance",),
            task=f"Create `{SERVICE}`, {REPLICAS} replicas of `traefik/whoami:v1.10`, on **workers only**:\n\n"
            f"`docker service create --name {SERVICE} --replicas {REPLICAS} --constraint node.role==worker "
            "traefik/whoami:v1.10`",
            check=service_runs,
            solution=create_service,
            hints=(Hint("A manager is also a worker unless one says otherwise: the constraint keeps tasks off it."),),
            why="Managers take tasks too, by default. In production one drains them, so that a greedy task cannot slow "
            "down the election of a leader.",
        ),
        Step(
            id="kill-leader",
            title="Pull the leader's plug",
            needs=("workload",),
            task="**Fail the leader's machine**, power off at once: **Pull plug** in the dashboard, or "
            "`swarm.fail('manager-1')`. Then watch the star.",
            prediction=Prediction(
                "The leader is gone. What happens?",
                ("The swarm waits for it to return", "Another manager is elected", "All tasks are restarted"),
                after_the_leader,
            ),
            check=other_leader,
            solution=fail_leader,
            hints=(
                Hint("The leader is the one with the star, not always `manager-1`."),
                Hint(
                    "It is down; followers wait 10 to 20 s for its heartbeat before one of them stands for election.",
                    when=lambda context: len(up_managers(context)) < len(managers(context)),
                ),
            ),
            engines=DRILL,
            why="The followers heard no heartbeat, one of them stood for election and got the votes of a quorum. "
            "Nobody had to do anything. (Your `DOCKER_HOST` may point at the dead machine: ask another one, "
            "`swarm.client_of('manager-2')`.)",
            patience=120,
        ),
        Step(
            id="lose-quorum",
            title="Break it: one more",
            needs=("kill-leader",),
            task="Fail **one more manager**, so that only one is left.",
            prediction=Prediction(
                f"One manager of three is left. What do the tasks of `{SERVICE}` do?",
                ("They stop", "They keep running", "They move to the last manager"),
                tasks_without_quorum,
            ),
            check=quorum_lost,
            solution=fail_to_minority,
            hints=(
                Hint(
                    "Leave one manager alive, there has to be one to ask.",
                    when=lambda context: not up_managers(context),
                ),
                Hint("The last manager needs an election timeout to see that nobody follows it."),
            ),
            engines=DRILL,
            why="**Management fails, work goes on.** The workers hold their assignments and need no manager to keep "
            "containers running; but nobody may change the wish, so nothing is scaled, moved, or repaired.",
            patience=120,
        ),
        Step(
            id="refused",
            title="Try to manage",
            needs=("lose-quorum",),
            task=f"Ask the manager that is left for six replicas of `{SERVICE}` and read its answer. The cell below "
            "does it.",
            ask=Ask(
                "What does the manager do?",
                (
                    "It scales: a manager is a manager",
                    REFUSED,
                    "It refuses: this node is not a swarm manager",
                ),
            ),
            check=scaling_refused,
            solution=answer_refused,
            why="It may not even *read* for you: what it knows could be out of date. This error is worth knowing by "
            "heart: it says that too few managers are online, and nothing about your service.",
        ),
        Step(
            id="recover",
            title="Bring one back",
            needs=("lose-quorum",),
            task="**Heal one** of the failed managers: in the dashboard, or `swarm.heal('manager-2')`.",
            check=quorum_back,
            solution=heal_one,
            hints=(Hint("Two of three are a quorum; give them an election."),),
            engines=DRILL,
            why="Two of three: a quorum, an election, and the log is the same as before; the service never knew.",
            patience=120,
        ),
        Step(
            id="whole",
            title="And the last one",
            needs=("recover",),
            task="Heal the other manager too, until all are *reachable*. Does the old leader get its star back?",
            check=all_back,
            solution=heal_all,
            engines=DRILL,
            why="It comes back as a follower, fetches what it missed, and keeps quiet: leadership is not a property "
            "of a machine.",
            patience=120,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("workload",),
            task=f"`docker service rm {SERVICE}`",
            check=gone,
            solution=remove_heartbeat,
            why="Done. The swarm is as you found it.",
        ),
    ),
    recap=(
        Recap(
            "A swarm has five managers. How many may fail?",
            ("One", "Two", "Three"),
            1,
            "Three of five are a quorum, so two may go.",
        ),
        Recap(
            "Somebody adds a fourth manager to three “for safety”. The swarm now survives the loss of…",
            ("one manager, as before", "two managers", "three managers"),
            0,
            "The quorum of four is three. There is one more machine that can fail, and nothing won.",
        ),
        Recap(
            "The quorum is lost in the night. What do your users notice first?",
            ("Every service is down", "Nothing, until something needs repair", "Half of the requests fail"),
            1,
            "Tasks run on. But a task that dies now is not replaced.",
        ),
    ),
    shows={
        "managers distribute tasks, one of them orchestrates": "kill-leader",
        "a replicated store holds the swarm's state": "recover",
        "many machines look like one": "workload",
    },
)

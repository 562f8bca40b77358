"""The middle of labs/kubernetes/10-self-healing: a machine that dies, and one that is only cut off."""

from __future__ import annotations

from typing import Any

from kubernetes import client

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    TIMEOUT,
    asks,
    behind,
    condition,
    deployment,
    living,
    nodes,
    pods,
    quietly,
    ready,
    ready_pods,
)
from .placing import all_ready, counted, missing, per_node
from .self_healing_steps import BAKERY, REPLICAS, STEADY, restarts

UNREACHABLE = "node.kubernetes.io/unreachable"


def silent(context: Context) -> dict[str, Any]:
    """Nodes of which nothing has been heard for too long."""
    there = nodes(context).items()
    return {name: node for name, node in there if (told := condition(node, "Ready")) and told.status == "Unknown"}


def machines(context: Context, *states: str) -> list[str]:
    """Machines whose plug is in one of these states."""
    return [machine.name for machine in context.sandbox.machines if machine.state in states]


def effects(node: Any, key: str = UNREACHABLE) -> set[str]:
    """The effects of the taints of that key."""
    return {taint.effect for taint in node.spec.taints or () if taint.key == key}


# -- a machine dies --------------------------------------------------------------------------------------------------


@asks
def gone_silent(context: Context) -> Verdict:
    off = machines(context, "down")
    if not off:
        if (amiss := all_ready(context, BAKERY, REPLICAS)) is not None:
            return amiss
        return NotYet("every machine has its plug in", "Pull the plug of a worker that runs a pod of `bakery`.")
    quiet = silent(context)
    lost = [pod for pod in pods(context, "app=bakery") if pod.spec.node_name in off]
    if not lost and not quiet:
        return NotYet(f"{off[0]} runs no pod of `bakery`", f"`kube.heal({off[0]!r})`, and take one that does.")
    if off[0] not in quiet:
        if lost and ready(lost[0]):
            context.memory["at first"] = "Running and ready, as if nothing had happened"
        return NotYet(
            f"{off[0]} is off; its node is still *Ready*", "A node may be silent for 50 s (40 s before 1.32)."
        )
    if not effects(quiet[off[0]]):
        return NotYet(f"{off[0]} is *NotReady*; its taint is about to come", "A moment.")
    serving, _ = behind(context, BAKERY)
    if any(pod.metadata.name in serving for pod in lost):
        return NotYet(f"{off[0]} is *NotReady*; the Service still sends there", "A moment.")
    context.memory["lost"] = {"node": off[0], "pods": [pod.metadata.name for pod in lost]}
    return Passed(f"{off[0]} is NotReady{patience(context, quiet[off[0]])}; the Service sends nothing there")


def patience(context: Context, node: Any) -> str:
    """How long it had been silent when it was given up, by its lease; "" if that cannot be told."""
    leases = client.CoordinationV1Api(context.client)
    try:
        lease = leases.read_namespaced_lease(node.metadata.name, "kube-node-lease", _request_timeout=TIMEOUT)
    except client.ApiException:
        return ""
    silence = condition(node, "Ready").last_transition_time - lease.spec.renew_time
    return f", {silence.total_seconds():.0f} s after its last word"


def at_first(context: Context) -> str | None:
    return context.memory.get("at first")


def pull_the_plug(context: Context) -> None:
    from kubernetes import client

    pods = client.CoreV1Api(context.client).list_namespaced_pod("default", label_selector="app=bakery").items
    context.sandbox.fail(pods[0].spec.node_name)


@asks
def twins_elsewhere(context: Context) -> Verdict:
    lost = context.memory["lost"]
    quiet = silent(context)
    if lost["node"] not in quiet:
        return NotYet(f"{lost['node']} is back already", "Pull its plug again, and wait.")
    well = ready_pods(context, "app=bakery")
    if len(well) >= REPLICAS:
        hanging = [pod for pod in pods(context, "app=bakery") if pod.spec.node_name == lost["node"]]
        left = f"; `{hanging[0].metadata.name}` hangs on {lost['node']}" if hanging else ""
        return Passed(f"{REPLICAS} pods are ready: {counted(per_node(context, BAKERY))}{left}")
    if "NoExecute" not in effects(quiet[lost["node"]]):
        return NotYet(f"{lost['node']} has no `NoExecute` taint yet", "It follows the first taint by some seconds.")
    if any(
        pod.metadata.deletion_timestamp is None
        for pod in pods(context, "app=bakery")
        if pod.spec.node_name == lost["node"]
    ):
        return NotYet("the taint is there, and still tolerated", "10 s, says the toleration of `bakery`.")
    return NotYet(f"evicted; {len(well)} of {REPLICAS} are ready", "The twin is starting.")


@quietly(None)
def fate_of_the_lost(context: Context) -> str | None:
    lost = [pod for pod in pods(context, "app=bakery") if pod.metadata.name in context.memory["lost"]["pods"]]
    if not lost:
        return "It is gone"
    return "It hangs in Terminating" if lost[0].metadata.deletion_timestamp else "It is still there, not ready"


def only_wait(context: Context) -> None:
    pass  # there is nothing to do: it is the cluster's turn


@asks
def everybody_back(context: Context) -> Verdict:
    off = machines(context, "down", "paused", "partitioned")
    if off:
        return NotYet(
            f"{off[0]} is {'off' if off[0] in machines(context, 'down') else 'not well'}", f"`kube.heal({off[0]!r})`"
        )
    if quiet := [name for name, node in nodes(context).items() if not ready(node)]:
        return NotYet(f"{quiet[0]} is plugged in; its kubelet has not reported yet", "Give it a moment.")
    hanging = [pod for pod in pods(context, "app=bakery") if pod.metadata.deletion_timestamp]
    if hanging:
        return NotYet(
            f"`{hanging[0].metadata.name}` is still *Terminating*", "Its kubelet is about to say that it is gone."
        )
    if (amiss := all_ready(context, BAKERY, REPLICAS)) is not None:
        return amiss
    return Passed(f"every node is ready; `bakery`: {counted(per_node(context, BAKERY))}")


def heal_all(context: Context) -> None:
    for machine in context.sandbox.machines:
        if machine.state != "up":
            context.sandbox.heal(machine.name)


# -- a machine is cut off --------------------------------------------------------------------------------------------


@asks
def cut_off(context: Context) -> Verdict:
    if deployment(context, STEADY) is None:
        return missing(STEADY, "Run the cell that makes it.")
    away = machines(context, "partitioned")
    if not away:
        well = ready_pods(context, "app=steady")
        where = repr(well[0].spec.node_name) if well else "…"
        return NotYet("every machine is connected", f"`kube.partition({where})`")
    there = [pod for pod in living(context, "app=steady") if pod.spec.node_name in away]
    if not there:
        return NotYet(
            f"`steady` is not on {away[0]}", f"Heal it, and cut off the node of `steady`: `kube.heal({away[0]!r})`"
        )
    if away[0] not in silent(context):
        return NotYet(f"{away[0]} is cut off; nobody has noticed", "A node may be silent for 50 s (40 s before 1.32).")
    context.memory["steady"] = {"uid": there[0].metadata.uid, "restarts": restarts(there[0])}
    return Passed(f"{away[0]} is NotReady: from here, exactly as if it were dead")


def cut_it_off(context: Context) -> None:
    from kubernetes import client

    pods = client.CoreV1Api(context.client).list_namespaced_pod("default", label_selector="app=steady").items
    context.sandbox.partition(pods[0].spec.node_name)


@asks
def reunited(context: Context) -> Verdict:
    if isinstance(verdict := everybody_back(context), NotYet):
        return verdict
    before = context.memory["steady"]
    same = [pod for pod in ready_pods(context, "app=steady") if pod.metadata.uid == before["uid"]]
    if not same:
        return NotYet(
            "`steady` is another pod now: the old one had been evicted",
            "Cut its node off again, for less than five minutes.",
        )
    return Passed(
        f"`{same[0].metadata.name}` is the same pod, restarted {restarts(same[0]) - before['restarts']} times since"
    )


@quietly(None)
def meanwhile(context: Context) -> str | None:
    before = context.memory["steady"]
    same = [pod for pod in ready_pods(context, "app=steady") if pod.metadata.uid == before["uid"]]
    ran_on = same and restarts(same[0]) == before["restarts"]
    return "It ran on, unseen" if ran_on else "It was stopped, and started again"

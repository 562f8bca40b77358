"""The second half of labs/kubernetes/09-scheduling: cordons, taints, and who has to make way."""

from __future__ import annotations

from typing import Any

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    asks,
    deployment,
    living,
    nodes,
    quietly,
    ready_pods,
)
from .placing import all_ready, cordoned, counted, missing, per_node, said, seats, waiting

# -- cordon and taints -------------------------------------------------------------------------------------------------


@asks
def nobody_new(context: Context) -> Verdict:
    shut = cordoned(context)
    if not shut:
        return NotYet("every node is open", "`kubectl cordon …`, or click the node and press **Cordon**.")
    here = per_node(context, "hungry")[shut[0]]
    if not here:
        return NotYet(f"{shut[0]} is cordoned, but runs no pod of `hungry`", "Cordon one that runs some.")
    if (amiss := all_ready(context, "hungry", 2 * len(seats(context)))) is not None:
        return amiss
    return Passed(f"{shut[0]} is cordoned and keeps its {here}; {counted(per_node(context, 'hungry'))}")


@quietly(None)
def fate_of_the_cordoned(context: Context) -> str | None:
    shut = cordoned(context)
    return "They stay" if shut and per_node(context, "hungry")[shut[0]] else "They move"


def cordon_one(context: Context) -> None:
    from kubernetes import client

    core, apps = client.CoreV1Api(context.client), client.AppsV1Api(context.client)
    pods = core.list_namespaced_pod("default", label_selector="app=hungry").items
    context.sandbox.actions.pause(pods[0].spec.node_name)
    apps.patch_namespaced_deployment_scale("hungry", "default", {"spec": {"replicas": 6}})


def dedicated(context: Context, effect: str) -> list[str]:
    """Nodes with the taint ``dedicated=guests`` of that effect."""
    return [
        name
        for name, node in nodes(context).items()
        if any(t.key == "dedicated" and t.value == "guests" and t.effect == effect for t in node.spec.taints or ())
    ]


@asks
def guests_at_home(context: Context) -> Verdict:
    tainted = dedicated(context, "NoSchedule")
    if not tainted:
        return NotYet("no node is dedicated", "`kubectl taint node … dedicated=guests:NoSchedule`")
    if shut := cordoned(context):
        return NotYet(f"{shut[0]} is still cordoned", f"`kubectl uncordon {shut[0]}`")
    owner = deployment(context, "guest")
    if owner is None:
        return missing("guest", "Two replicas, with a toleration *and* a node selector.")
    if (amiss := all_ready(context, "guest", 2)) is not None:
        return amiss
    counts = per_node(context, "guest")
    if set(counts) != set(tainted[:1]):
        return NotYet(f"{counted(counts)}", f"A toleration permits, it does not attract: select {tainted[0]} as well.")
    context.memory["guests"] = sorted(pod.metadata.uid for pod in ready_pods(context, "app=guest"))
    return Passed(f"both guests are on {tainted[0]}, and nobody new joins them uninvited")


def invite_guests(context: Context) -> None:
    from kubernetes import client

    workers = [machine.name for machine in context.sandbox.machines if machine.role == "worker"]
    for worker in workers:
        context.sandbox.actions.activate(worker)
    taint = {"key": "dedicated", "value": "guests", "effect": "NoSchedule"}
    client.CoreV1Api(context.client).patch_node(workers[0], {"spec": {"taints": [taint]}})

    pod = {
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "guests"}],
        "nodeSelector": {"kubernetes.io/hostname": workers[0]},
    }
    context.sandbox.actions.deploy("guest", "traefik/whoami:v1.10", 2, pod=pod, grace=1)


@asks
def only_guests_left(context: Context) -> Verdict:
    tainted = dedicated(context, "NoExecute")
    if not tainted:
        home = dedicated(context, "NoSchedule")
        return NotYet(
            "nobody has to go yet", f"`kubectl taint node {home[0] if home else '…'} dedicated=guests:NoExecute`"
        )
    strangers = [p for p in living(context) if p.spec.node_name == tainted[0] and _label(p) != "guest"]
    if strangers:
        return NotYet(
            f"`{strangers[0].metadata.name}` is still on {tainted[0]}",
            "It has been told to go, or tolerates everything.",
        )
    if (amiss := all_ready(context, "hungry", 2 * len(seats(context)))) is not None:
        return amiss
    return Passed(f"only guests are left on {tainted[0]}; {counted(per_node(context, 'hungry'))}")


def _label(pod: Any) -> str:
    return str((pod.metadata.labels or {}).get("app", ""))


@quietly(None)
def who_left(context: Context) -> str | None:
    stayed = {pod.metadata.uid for pod in ready_pods(context, "app=guest")}
    return "All but the guests" if stayed >= set(context.memory.get("guests", ["?"])) else "Everybody"


def evict_strangers(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    for node in core.list_node().items:
        taints = [context.client.sanitize_for_serialization(taint) for taint in node.spec.taints or ()]
        if any(taint["key"] == "dedicated" for taint in taints):
            taints.append({"key": "dedicated", "value": "guests", "effect": "NoExecute"})
            core.patch_node(node.metadata.name, {"spec": {"taints": taints}})


# -- rank --------------------------------------------------------------------------------------------------------------


@asks
def vip_has_room(context: Context) -> Verdict:
    owner = deployment(context, "vip")
    if owner is None:
        return missing("vip", "First the PriorityClass `urgent`, then `vip`, which asks for 60 % of a worker.")
    well = ready_pods(context, "app=vip")
    rank = (well or living(context, "app=vip") or [None])[0]
    if rank is not None and not rank.spec.priority:
        return NotYet("the pod of `vip` is nobody special", "Give it `priorityClassName: urgent`.")
    if not well:
        waits = waiting(context, "vip")
        return NotYet(said(waits[0]) if waits else "`vip` has no place yet", "Others are asked to leave first.")
    pushed = waiting(context, "hungry")
    if not pushed:
        return NotYet(
            "`vip` runs, and nobody had to go",
            "There was room. Scale `hungry` up until one waits, then make `vip` anew.",
        )
    return Passed(f"`vip` runs on {well[0].spec.node_name}; {len(pushed)} of `hungry` wait in its stead")


@quietly(None)
def how_vip_got_in(context: Context) -> str | None:
    return "Others are pushed out" if ready_pods(context, "app=vip") and waiting(context, "hungry") else "It waits"


def let_vip_in(context: Context) -> None:
    from kubernetes import client
    from kubernetes.utils import parse_quantity

    client.SchedulingV1Api(context.client).create_priority_class({"metadata": {"name": "urgent"}, "value": 1000})
    worker = next(machine.name for machine in context.sandbox.machines if machine.role == "worker")
    allocatable = client.CoreV1Api(context.client).read_node(worker).status.allocatable
    cpus = 0.6 * float(parse_quantity(allocatable["cpu"]))
    context.sandbox.actions.deploy(
        "vip", "traefik/whoami:v1.10", cpus=cpus, pod={"priorityClassName": "urgent"}, grace=1
    )

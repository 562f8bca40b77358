"""What labs/kubernetes/09-scheduling checks, and how each step is solved."""

from __future__ import annotations

import re
import time

from kubernetes import client

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    NO_ANSWER,
    TIMEOUT,
    activate_everything,
    asks,
    deployment,
    heal_everything,
    living,
    nodes,
    quietly,
    ready,
    ready_pods,
    sweep,
)
from .placing import all_ready, asked, cordoned, counted, cpus, missing, per_node, said, seats, waiting

APPS = ("hungry", "fast", "shy", "even", "fair", "guest", "vip")
KEYS = ("disk", "dedicated")  # the labels and taints that this lab sets
URGENT = "urgent"
SETTLED = 3.0  # seconds that a state must hold before “nothing happens” counts as seen


# -- room ------------------------------------------------------------------------------------------------------------


@asks
def one_too_many(context: Context) -> Verdict:
    owner, room, workers = deployment(context, "hungry"), cpus(context), len(seats(context))
    if owner is None:
        return missing("hungry", f"Four replicas, and `--requests=cpu={room * 600:.0f}m`.")
    request = asked(owner)
    if not request:
        return NotYet(
            "its pods request nothing", f"`kubectl set resources deployment hungry --requests=cpu={room * 600:.0f}m`"
        )
    if request <= room / 2 or request > room:
        fits = "two of them fit on a worker" if request <= room / 2 else "not even one of them fits on a worker"
        return NotYet(f"each asks for {request:g} CPUs: {fits}", f"Ask for 60 % of {room:g} CPUs.")
    if owner.spec.replicas != workers + 1:
        return NotYet(
            f"`hungry` asks for {owner.spec.replicas} replicas", f"One more than there are workers: {workers + 1}."
        )
    well, waits = ready_pods(context, "app=hungry"), waiting(context, "hungry")
    if len(well) != workers or len(waits) != 1:
        return NotYet(f"{len(well)} of its pods run, {len(waits)} wait", "Give it a moment and watch the graph.")
    return Passed(f"{workers} run, `{waits[0].metadata.name}` waits")


@quietly(None)
def how_many_run(context: Context) -> str | None:
    return {4: "All four: the machines are idle", 3: "Three", 2: "Two"}.get(len(ready_pods(context, "app=hungry")))


def deploy_hungry(context: Context) -> None:
    from kubernetes import client
    from kubernetes.utils import parse_quantity

    workers = [machine.name for machine in context.sandbox.machines if machine.role == "worker"]
    worker = client.CoreV1Api(context.client).read_node(workers[0])
    cpus = float(parse_quantity(worker.status.allocatable["cpu"]))
    context.sandbox.actions.deploy("hungry", "traefik/whoami:v1.10", len(workers) + 1, cpus=0.6 * cpus, grace=1)


@asks
def why_nowhere(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "The number stands in the scheduler's message.")
    waits = waiting(context, "hungry")
    told = re.search(r"(\d+) Insufficient cpu", said(waits[0])) if waits else None
    if told is None:
        return NotYet("no pod of `hungry` waits for CPUs", "Scale it up until one does.")
    if float(context.answer) != int(told[1]):
        return NotYet(f"{context.answer:g} is not what the scheduler says", "Read on: *… Insufficient cpu*.")
    return Passed(said(waits[0]))


def answer_nodes(context: Context) -> int:
    import re

    from kubernetes import client

    pods = client.CoreV1Api(context.client).list_namespaced_pod("default", label_selector="app=hungry").items
    waits = next(pod for pod in pods if not pod.spec.node_name)
    message = next(told.message for told in waits.status.conditions if told.type == "PodScheduled")
    return int(re.search(r"(\d+) Insufficient cpu", message)[1])


@asks
def asks_for_less(context: Context) -> Verdict:
    owner, room = deployment(context, "hungry"), cpus(context)
    if owner is None:
        return missing("hungry", "It was there a step ago. Make it again.")
    request = asked(owner)
    if not request:
        return NotYet("its pods request nothing now", "They shall ask for what they need: 30 % of a worker.")
    if request > 0.35 * room:
        return NotYet(
            f"each still asks for {request:g} CPUs",
            f"`kubectl set resources deployment hungry --requests=cpu={room * 300:.0f}m`",
        )
    if (amiss := all_ready(context, "hungry", len(seats(context)) + 1)) is not None:
        return amiss
    return Passed(f"all run: {counted(per_node(context, 'hungry'))}")


def ask_for_less(context: Context) -> None:
    from kubernetes import client
    from kubernetes.utils import parse_quantity

    apps = client.AppsV1Api(context.client)
    hungry = apps.read_namespaced_deployment("hungry", "default")
    requests = hungry.spec.template.spec.containers[0].resources.requests
    requests["cpu"] = str(parse_quantity(requests["cpu"]) / 2)
    apps.replace_namespaced_deployment("hungry", "default", hungry)


# -- labels ------------------------------------------------------------------------------------------------------------


@asks
def on_the_ssd(context: Context) -> Verdict:
    owner = deployment(context, "fast")
    if owner is None:
        return missing("fast", "Create it first, *then* label a node, to see it wait.")
    selector = owner.spec.template.spec.node_selector or {}
    if selector.get("disk") != "ssd":
        return NotYet("the pods of `fast` go anywhere", "Give them the `nodeSelector` `disk: ssd`.")
    labelled = [name for name, node in nodes(context).items() if (node.metadata.labels or {}).get("disk") == "ssd"]
    if not labelled:
        waits = waiting(context, "fast")
        return NotYet(
            said(waits[0]) if waits else "no node has `disk=ssd`", "Label one worker: `kubectl label node … disk=ssd`."
        )
    well = [pod for pod in ready_pods(context, "app=fast") if pod.spec.node_name in labelled]
    if not well:
        return NotYet(f"{', '.join(labelled)} has the label; no pod of `fast` runs there yet", "A moment.")
    context.memory["fast"] = {"uid": well[0].metadata.uid, "node": well[0].spec.node_name}
    return Passed(f"`{well[0].metadata.name}` runs on {well[0].spec.node_name}, which has disk=ssd")


def deploy_fast(context: Context) -> None:
    from kubernetes import client

    context.sandbox.actions.deploy("fast", "traefik/whoami:v1.10", node_selector={"disk": "ssd"}, grace=1)
    worker = next(machine.name for machine in context.sandbox.machines if machine.role == "worker")
    client.CoreV1Api(context.client).patch_node(worker, {"metadata": {"labels": {"disk": "ssd"}}})


@asks
def label_gone(context: Context) -> Verdict:
    labelled = [name for name, node in nodes(context).items() if "disk" in (node.metadata.labels or {})]
    if labelled:
        context.memory.pop("label gone since", None)
        return NotYet(f"{labelled[0]} still has its label", f"`kubectl label node {labelled[0]} disk-`")
    since = context.memory.setdefault("label gone since", time.time())
    if time.time() - since < SETTLED:
        return NotYet("the label is gone; watching what becomes of the pod", "A few seconds.")
    return Passed(fate_of_fast(context) or "the label is gone")


@quietly(None)
def fate_of_fast(context: Context) -> str | None:
    before = context.memory.get("fast", {})
    there = {pod.metadata.uid: pod for pod in living(context, "app=fast")}
    same = there.get(before.get("uid"))
    if same is not None and ready(same):
        return "It stays where it is"
    elsewhere = any(ready(pod) and pod.spec.node_name != before.get("node") for pod in there.values())
    return "It moves to another node" if elsewhere else "It is stopped, and waits for a label"


def unlabel(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    for node in core.list_node(label_selector="disk").items:
        core.patch_node(node.metadata.name, {"metadata": {"labels": {"disk": None}}})


# -- company -----------------------------------------------------------------------------------------------------------


@asks
def one_stays_alone(context: Context) -> Verdict:
    workers = len(seats(context))
    owner = deployment(context, "shy")
    if owner is None:
        return missing("shy", "Run the cell above.")
    if owner.spec.replicas <= workers:
        return NotYet(
            f"`shy` asks for {owner.spec.replicas} replicas", f"Scale it to {workers + 1}: more than there are workers."
        )
    counts, waits = per_node(context, "shy"), waiting(context, "shy")
    if counts and max(counts.values()) > 1:
        return NotYet(f"they sit together: {counted(counts)}", "The anti-affinity must be *required*.")
    if len(counts) != workers or not waits or "anti-affinity" not in said(waits[0]):
        return NotYet(f"{sum(counts.values())} run, {len(waits)} wait", "Give it a moment and watch the graph.")
    return Passed(f"one on each of {workers} workers, and {len(waits)} without a place")


def deploy_shy(context: Context) -> None:
    apart = {"labelSelector": {"matchLabels": {"app": "shy"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    context.sandbox.actions.deploy("shy", "traefik/whoami:v1.10", 4, pod={"affinity": affinity}, grace=1)


A_WORKER, THE_MASTER, THE_OLD = "A worker that is still empty", "The control plane", "A node that was there before"


@asks
def skewed(context: Context) -> Verdict:
    owner = deployment(context, "even")
    if owner is None:
        return missing("even", "Run the cell above.")
    if not waiting(context, "even"):
        return NotYet("no pod of `even` waits yet", "Give it a moment.")
    if context.answer is None:
        return NotYet("no answer yet", "`kube.why(…)` of a pod that waits names it.")
    if context.answer != THE_MASTER:
        return NotYet("that is not it", "Which node has none of them? Look at the reason that `kube.why(…)` gives.")
    counts = per_node(context, "even")
    return Passed(f"{counted(counts)}; the control plane has 0, and nobody may be two ahead of it")


def answer_master(context: Context) -> str:
    return "The control plane"


@asks
def fair_shares(context: Context) -> Verdict:
    workers = len(seats(context))
    owner = deployment(context, "fair")
    if owner is None:
        return missing("fair", "As `even`, but with a node affinity that leaves the control plane out.")
    if not [
        r for r in owner.spec.template.spec.topology_spread_constraints or () if r.when_unsatisfiable == "DoNotSchedule"
    ]:
        return NotYet("`fair` is spread by luck", "Keep the `topologySpreadConstraints`, with `DoNotSchedule`.")
    if (amiss := all_ready(context, "fair", 2 * workers)) is not None:
        return amiss
    counts = per_node(context, "fair")
    if set(counts.values()) != {2}:
        return NotYet(f"not even: {counted(counts)}", "Delete it and make it anew: leaving pods may have been counted.")
    return Passed(f"two on each: {', '.join(sorted(counts))}")


def deploy_fair(context: Context) -> None:
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "fair"}},
    }
    worker = {"key": "node-role.kubernetes.io/control-plane", "operator": "DoesNotExist"}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [worker]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    pod = {"topologySpreadConstraints": [spread], "affinity": affinity}
    context.sandbox.actions.deploy("fair", "traefik/whoami:v1.10", 6, pod=pod, grace=1)


# -- clean up ----------------------------------------------------------------------------------------------------------


@asks
def tidy(context: Context) -> Verdict:
    left = [name for name in APPS if deployment(context, name) is not None]
    if left:
        return NotYet(f"still there: {', '.join(left)}", f"`kubectl delete deployment {' '.join(left)}`")
    if has_urgent(context):
        return NotYet("the PriorityClass `urgent` is still there", "`kubectl delete priorityclass urgent`")
    if shut := cordoned(context):
        return NotYet(f"{shut[0]} is cordoned", f"`kubectl uncordon {shut[0]}`")
    for name, node in nodes(context).items():
        if any(taint.key in KEYS for taint in node.spec.taints or ()):
            return NotYet(f"{name} is still dedicated", f"`kubectl taint node {name} dedicated-`")
        if set(KEYS) & set(node.metadata.labels or {}):
            return NotYet(f"{name} still has a label", f"`kubectl label node {name} disk-`")
    return Passed("every node is open to everybody again")


def has_urgent(context: Context) -> bool:
    found = client.SchedulingV1Api(context.client).list_priority_class(_request_timeout=TIMEOUT).items
    return any(item.metadata.name == URGENT for item in found)


def tidy_up(context: Context) -> None:
    from kubernetes import client

    for name in ("hungry", "fast", "shy", "even", "fair", "guest", "vip"):
        context.sandbox.actions.remove(name)
    client.SchedulingV1Api(context.client).delete_priority_class("urgent")
    core = client.CoreV1Api(context.client)
    for node in core.list_node().items:
        taints = [taint for taint in node.spec.taints or () if taint.key != "dedicated"]
        core.patch_node(node.metadata.name, {"spec": {"taints": context.client.sanitize_for_serialization(taints)}})


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, *APPS)
    activate_everything(context, *KEYS)
    try:
        if has_urgent(context):
            client.SchedulingV1Api(context.client).delete_priority_class(URGENT, _request_timeout=TIMEOUT)
    except (*NO_ANSWER, client.ApiException):
        return

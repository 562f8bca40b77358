"""What labs/kubernetes/06-control-plane checks, and how each step is solved."""

from __future__ import annotations

from typing import Any

import requests
from kubernetes import client

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    NAMESPACE,
    NO_ANSWER,
    TIMEOUT,
    asks,
    component,
    core,
    deployment,
    events,
    found,
    going,
    heal_everything,
    living,
    names,
    nodes,
    not_ready_yet,
    pods,
    quietly,
    ready,
    ready_pods,
    said,
    sweep,
)

HELLO = "app=hello"
MIRROR = "kubernetes.io/config.mirror"  # on pods whose kubelet has them from a file
BY_FILE = "The kubelet of its machine, from a file"


def missing_hello() -> NotYet:
    return NotYet("there is no Deployment `hello`", "Create it again: step “Give one order”.")


def not_stopped(context: Context, name: str) -> NotYet | None:
    """None when that part of the control plane is stopped."""
    if component(context, name) == "stopped":
        return None
    return NotYet(f"{name} runs", f"`kube.stop('{name}')`")


def not_running(context: Context, name: str) -> NotYet | None:
    state = component(context, name)
    if state == "running":
        return None
    if state == "starting":
        return NotYet(
            f"{name} is about to start",
            "Its kubelet saw it end and puts it off: ten seconds, twice as long each time, five minutes at most. Wait.",
        )
    return NotYet(f"{name} is stopped", f"`kube.start('{name}')`")


# -- who is who --------------------------------------------------------------------------------------------------


@asks
def counted_static(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "`kubectl get pods -n kube-system`")
    there = core(context).list_namespaced_pod("kube-system", _request_timeout=TIMEOUT).items
    static = [pod for pod in there if MIRROR in (pod.metadata.annotations or {})]
    if float(context.answer) != len(static):
        return NotYet(f"{context.answer:g} is not it", "Count the names that end in the control plane's own name.")
    return Passed(f"{len(static)}: {', '.join(sorted(pod.metadata.name.split('-control-plane')[0] for pod in static))}")


def count_static(context: Context) -> int:
    from kubernetes import client

    pods = client.CoreV1Api(context.client).list_namespaced_pod("kube-system").items
    return sum("kubernetes.io/config.mirror" in (pod.metadata.annotations or {}) for pod in pods)


# -- one order ---------------------------------------------------------------------------------------------------


@asks
def two_run(context: Context) -> Verdict:
    if (amiss := not_ready_yet(context, "hello", 2)) is not None:
        return amiss
    return Passed(f"{names(ready_pods(context, HELLO))} are ready")


def create_hello(context: Context) -> None:
    from kubernetes import client

    container = {"name": "whoami", "image": "traefik/whoami:v1.10"}
    hello = {
        "metadata": {"name": "hello", "labels": {"app": "hello"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "hello"}},
            "template": {"metadata": {"labels": {"app": "hello"}}, "spec": {"containers": [container]}},
        },
    }
    client.AppsV1Api(context.client).create_namespaced_deployment("default", hello)


@asks
def right_hand(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "Find the line *bound to …* in the diary.")
    bound = [event for event in events(context, "Pod") if event.reason == "Scheduled"]
    if not bound:
        return NotYet("no pod was given a node in the last hour", "Create `hello` again.")
    who = (bound[-1].source and bound[-1].source.component) or bound[-1].reporting_component
    if context.answer != who:
        return NotYet(f"{context.answer} did not write it", "The second column of the diary says who.")
    return Passed(f"`{who}` binds pods to nodes, and does nothing else")


def who_bound(context: Context) -> str:
    return "default-scheduler"


# -- the scheduler -----------------------------------------------------------------------------------------------


def unbound(context: Context) -> list[Any]:
    return [pod for pod in living(context, HELLO) if not pod.spec.node_name]


@asks
def some_wait(context: Context) -> Verdict:
    if (amiss := not_stopped(context, "kube-scheduler")) is not None:
        return amiss
    hello = deployment(context, "hello")
    if hello is None:
        return missing_hello()
    if not unbound(context):
        return NotYet(
            f"`hello` wants {hello.spec.replicas}, and every pod has its node", "Now ask for four: move the slider."
        )
    return Passed(f"{len(unbound(context))} pods exist and have no node")


@quietly(None)
def what_became(context: Context) -> str | None:
    return "Pods are created and wait" if unbound(context) else None


def stop_scheduler(context: Context) -> None:
    context.sandbox.stop("kube-scheduler")
    context.sandbox.actions.scale("hello", 4)


@asks
def scheduler_back(context: Context) -> Verdict:
    if (amiss := not_running(context, "kube-scheduler")) is not None:
        return amiss
    if (amiss := not_ready_yet(context, "hello", 4)) is not None:
        return amiss
    return Passed("4 of 4 are ready: it found by itself what had waited")


def start_scheduler(context: Context) -> None:
    context.sandbox.start("kube-scheduler")


# -- the controller manager ----------------------------------------------------------------------------------------


@asks
def nobody_counts(context: Context) -> Verdict:
    if (amiss := not_stopped(context, "kube-controller-manager")) is not None:
        return amiss
    hello = deployment(context, "hello")
    if hello is None:
        return missing_hello()
    left = len(living(context, HELLO))
    if left >= hello.spec.replicas:
        return NotYet(f"{left} of {hello.spec.replicas} pods are there", "Delete one of them.")
    return Passed(
        f"{left} of {hello.spec.replicas} are left; the Deployment's status says {hello.status.ready_replicas} ready"
    )


@quietly(None)
def who_replaces(context: Context) -> str | None:
    hello = deployment(context, "hello")
    return "Nobody replaces it" if hello and len(living(context, HELLO)) < hello.spec.replicas else None


def stop_controllers(context: Context) -> None:
    from kubernetes import client

    context.sandbox.stop("kube-controller-manager")
    core = client.CoreV1Api(context.client)
    name = core.list_namespaced_pod("default", label_selector="app=hello").items[0].metadata.name
    core.delete_namespaced_pod(name, "default", grace_period_seconds=1)


@asks
def controllers_back(context: Context) -> Verdict:
    if (amiss := not_running(context, "kube-controller-manager")) is not None:
        return amiss
    if (amiss := not_ready_yet(context, "hello", 4)) is not None:
        return amiss
    return Passed("4 of 4 are ready: it counted, and made one")


def start_controllers(context: Context) -> None:
    context.sandbox.start("kube-controller-manager")


# -- a kubelet ---------------------------------------------------------------------------------------------------


def deaf(context: Context) -> set[str]:
    """Machines whose kubelet is stopped."""
    parts = context.sandbox.components
    return {part.machine for part in parts if part.name == "kubelet" and part.state == "stopped"}


@asks
def undead(context: Context) -> Verdict:
    machines = deaf(context)
    if not machines:
        return NotYet("every kubelet runs", "Stop the one of a node that runs a pod of `hello`.")
    where = ", ".join(sorted(machines))
    told = [pod for pod in pods(context, HELLO) if going(pod) and pod.spec.node_name in machines]
    if not told:
        return NotYet(f"the kubelet of {where} is stopped; no pod there was told to go", "Delete a pod of that node.")
    name = told[0].metadata.name
    try:
        core(context).connect_get_namespaced_pod_proxy_with_path(f"{name}:80", NAMESPACE, "", _request_timeout=TIMEOUT)
    except client.ApiException:
        return NotYet(f"`{name}` was told to go and does not answer any more", "Delete another one.")
    return Passed(f"`{name}` was told to go, and still answers")


@quietly(None)
def who_ends_it(context: Context) -> str | None:
    return "Nothing: it goes on answering" if any(going(pod) for pod in pods(context, HELLO)) else None


@quietly(False)
def deleted_without_grace(context: Context) -> bool:
    return bool(deaf(context)) and not any(going(pod) for pod in pods(context, HELLO))


def stop_kubelet(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    there = core.list_namespaced_pod("default", label_selector="app=hello").items
    pod = next(pod for pod in there if not pod.metadata.deletion_timestamp)
    context.sandbox.stop("kubelet", pod.spec.node_name)
    core.delete_namespaced_pod(pod.metadata.name, "default", grace_period_seconds=1)


@asks
def kubelets_back(context: Context) -> Verdict:
    if machines := deaf(context):
        name = min(machines)
        return NotYet(f"the kubelet of {name} is stopped", f"`kube.start('kubelet', {name!r})`")
    if left := [pod for pod in pods(context, HELLO) if going(pod)]:
        return NotYet(f"{names(left)} still there", "Its kubelet reads what it missed, ends it, and reports.")
    if (amiss := not_ready_yet(context, "hello", 4)) is not None:
        return amiss
    return Passed("it ended what it should have ended; 4 of 4 are ready")


def start_kubelets(context: Context) -> None:
    for part in context.sandbox.components:
        if part.name == "kubelet" and part.state == "stopped":
            context.sandbox.start("kubelet", part.machine)


# -- etcd and the API server ---------------------------------------------------------------------------------------


def answering(context: Context) -> list[str]:
    """Names of the machines at whose node port the Service answers: no part of the control plane has a hand in it."""
    port, machines = context.memory.get("port"), []
    for machine in context.sandbox.machines:
        try:
            if port and machine.address and requests.get(f"http://{machine.address}:{port}", timeout=2).ok:
                machines.append(machine.name)
        except requests.exceptions.RequestException:
            continue
    return machines


@asks
def way_in(context: Context) -> Verdict:
    service = found(core(context).read_namespaced_service, "hello")
    if service is None or service.spec.type != "NodePort":
        return NotYet("there is no Service `hello` of type NodePort", "Run the cell above.")
    hello = deployment(context, "hello")
    if hello is None:
        return missing_hello()
    context.memory.update(port=service.spec.ports[0].node_port, uid=hello.metadata.uid)
    there = answering(context)
    if not there:
        return NotYet(f"nobody answers at port {context.memory['port']} yet", "kube-proxy writes its rules: a moment.")
    return Passed(f"port {context.memory['port']} answers on {', '.join(there)}")


def expose_hello(context: Context) -> None:
    from kubernetes import client

    service = {
        "metadata": {"name": "hello"},
        "spec": {"type": "NodePort", "selector": {"app": "hello"}, "ports": [{"port": 80}]},
    }
    client.CoreV1Api(context.client).create_namespaced_service("default", service)


def refusal(context: Context) -> str:
    """What becomes of a question to the API server; "" when it answers."""
    try:
        core(context).list_namespaced_pod(NAMESPACE, limit=1, _request_timeout=TIMEOUT)
    except client.ApiException as error:
        return said(error).rpartition("desc = ")[2].strip('"')  # without what gRPC puts around it
    except NO_ANSWER as error:
        return "it does not answer" if "timed out" in str(error) else "connection refused"
    return ""


def store_gone(context: Context) -> Verdict:
    if (amiss := not_stopped(context, "etcd")) is not None:
        return amiss
    words = refusal(context)
    if not words:
        return NotYet("the API server still answers", "A moment.")
    there = answering(context)
    if not there:
        return NotYet("nobody answers at the node port", "Ask again in a moment.")
    context.memory["served"] = True
    return Passed(f"the API server: “{words}”; `hello` still answers on {len(there)} machines")


def what_lives(context: Context) -> str | None:
    return "The pods, and the Service in front of them" if answering(context) else None


def stop_etcd(context: Context) -> None:
    context.sandbox.stop("etcd")


def door_shut(context: Context) -> Verdict:
    if (amiss := not_stopped(context, "kube-apiserver")) is not None:
        return amiss
    if context.answer is None:
        return NotYet(
            "the API server is stopped; no answer yet", "Who is left on that machine, and needs nobody's leave?"
        )
    if context.answer != BY_FILE:
        return NotYet("that one is told what to do by the API server", "There is one who also reads a folder.")
    if not (there := answering(context)):
        return NotYet("nobody answers at the node port", "Ask again in a moment.")
    return Passed(f"no API server, no etcd; `hello` still answers on {len(there)} machines")


def stop_apiserver(context: Context) -> str:
    context.sandbox.stop("kube-apiserver")
    return "The kubelet of its machine, from a file"


@asks
def all_back(context: Context) -> Verdict:
    for name in ("etcd", "kube-apiserver"):
        if (amiss := not_running(context, name)) is not None:
            return amiss
    hello = deployment(context, "hello")
    if hello is None or hello.metadata.uid != context.memory.get("uid"):
        return NotYet("`hello` is not what it was", "Was it removed? Create it and its Service again.")
    if silent := sorted(name for name, node in nodes(context).items() if not ready(node)):
        return NotYet(f"not ready: {', '.join(silent)}", "Their kubelets report every few seconds.")
    if (amiss := not_ready_yet(context, "hello", 4)) is not None:
        return amiss
    return Passed("the same Deployment (its uid tells), its 4 pods ready, every node ready")


def start_both(context: Context) -> None:
    context.sandbox.start("etcd")
    context.sandbox.start("kube-apiserver")


# -- clean up ----------------------------------------------------------------------------------------------------


@asks
def gone(context: Context) -> Verdict:
    left = [
        what
        for what, thing in (
            ("Deployment", deployment(context, "hello")),
            ("Service", found(core(context).read_namespaced_service, "hello")),
        )
        if thing is not None
    ]
    if left:
        return NotYet(f"still there: {' and '.join(left)} `hello`", "`kubectl delete deployment,service hello`")
    return Passed("both are gone, and their pods with them")


def remove_both(context: Context) -> None:
    from kubernetes import client

    client.AppsV1Api(context.client).delete_namespaced_deployment("hello", "default")
    client.CoreV1Api(context.client).delete_namespaced_service("hello", "default", _preload_content=False)


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, "hello")

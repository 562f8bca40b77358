"""What labs/kubernetes/10-self-healing checks of containers, budgets and drains, and how each step is solved."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any

from kubernetes import client

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    NO_ANSWER,
    TIMEOUT,
    activate_everything,
    asks,
    behind,
    core,
    deployment,
    found,
    heal_everything,
    living,
    objects,
    quietly,
    ready,
    sweep,
    version_of,
)
from .placing import all_ready, cordoned, counted, missing, per_node, seats

BAKERY, STEADY, CRASHY = "bakery", "steady", "crashy"
REPLICAS = 3
SETTLED = 3.0  # seconds that a state must hold before “nothing happens” counts as seen


def restarts(pod: Any) -> int:
    return sum(status.restart_count for status in pod.status.container_statuses or ())


def no_bakery() -> NotYet:
    return missing(BAKERY, "Run the cell that makes it.")


@asks
def bakery_is_open(context: Context) -> Verdict:
    if (amiss := all_ready(context, BAKERY, REPLICAS)) is not None:
        return amiss
    if found(core(context).read_namespaced_service, BAKERY) is None:
        return NotYet("nobody sends customers there: there is no Service `bakery`", "Run the cell that makes both.")
    serving, _ = behind(context, BAKERY)
    if len(serving) != REPLICAS:
        return NotYet(f"the Service knows {len(serving)} of {REPLICAS} pods", "A moment.")
    return Passed(f"the Service sends to {REPLICAS} pods: {counted(per_node(context, BAKERY))}")


def deploy_bakery(context: Context) -> None:
    command = "echo $HOSTNAME > /tmp/index.html; touch /tmp/alive /tmp/open; exec httpd -f -p 8080 -h /tmp"
    container = {
        "command": ["sh", "-c", command],
        "livenessProbe": {"httpGet": {"path": "/alive", "port": 8080}, "periodSeconds": 2, "failureThreshold": 2},
        "readinessProbe": {"httpGet": {"path": "/open", "port": 8080}, "periodSeconds": 2, "failureThreshold": 1},
    }
    ten_seconds = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}
    silences = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    pod = {"tolerations": [{"key": key, **ten_seconds} for key in silences], "terminationGracePeriodSeconds": 1}
    context.sandbox.actions.deploy("bakery", "busybox:1.36", 3, {80: 8080}, pod=pod, container=container)


# -- probes ----------------------------------------------------------------------------------------------------------


@asks
def restarted(context: Context) -> Verdict:
    if deployment(context, BAKERY) is None:
        return no_bakery()
    again = [pod for pod in living(context, "app=bakery") if restarts(pod)]
    if not again:
        return NotYet(
            "nothing has been restarted so far", "`kubectl exec POD -- rm /tmp/alive`, then two failures, 2 s apart."
        )
    if not ready(again[0]):
        return NotYet(f"`{again[0].metadata.name}` has been restarted; it is not ready yet", "A moment.")
    return Passed(f"`{again[0].metadata.name}` is the same pod, on the same node, with {restarts(again[0])} restart")


@quietly(None)
def after_the_illness(context: Context) -> str | None:
    again = [pod for pod in living(context, "app=bakery") if restarts(pod)]
    return "Its container is started again, in the same pod" if again else "A new pod takes its place"


def make_ill(context: Context) -> None:
    from kubernetes import client, config
    from kubernetes.stream import stream

    # exec needs a client of its own: for the moment of the call it speaks WebSocket only
    core = client.CoreV1Api(config.new_client_from_config(context.sandbox.env["KUBECONFIG"]))
    pod = core.list_namespaced_pod("default", label_selector="app=bakery").items[0]
    execute = core.connect_get_namespaced_pod_exec
    stream(execute, pod.metadata.name, "default", command=["rm", "/tmp/alive"], stdout=True)


@asks
def left_out(context: Context) -> Verdict:
    if deployment(context, BAKERY) is None:
        return no_bakery()
    serving, selected = behind(context, BAKERY)
    there = {pod.metadata.name: pod for pod in living(context, "app=bakery")}
    closed = [there[name] for name in sorted(selected) if name in there and not ready(there[name])]
    if not closed:
        context.memory.pop("closed", None)
        return NotYet(f"the Service sends to all {len(serving)} pods", "`kubectl exec POD -- rm /tmp/open`")
    name, count = closed[0].metadata.name, restarts(closed[0])
    since, before = context.memory.setdefault("closed", [time.time(), count])
    if count != before:
        return NotYet(f"`{name}` is being restarted", "That is the other probe. Remove `/tmp/open`, not `/tmp/alive`.")
    if time.time() - since < SETTLED:
        return NotYet(f"`{name}` gets no traffic; watching what becomes of it", "A few seconds.")
    return Passed(f"`{name}` runs and gets no traffic; {', '.join(sorted(serving))} share it")


@quietly(None)
def after_closing(context: Context) -> str | None:
    _, selected = behind(context, BAKERY)
    return "It gets no traffic, and is left alone" if selected else "It is restarted"


def close_one(context: Context) -> None:
    from kubernetes import client, config
    from kubernetes.stream import stream

    core = client.CoreV1Api(config.new_client_from_config(context.sandbox.env["KUBECONFIG"]))
    pod = core.list_namespaced_pod("default", label_selector="app=bakery").items[-1]
    execute = core.connect_get_namespaced_pod_exec
    stream(execute, pod.metadata.name, "default", command=["rm", "/tmp/open"], stdout=True)


@asks
def backs_off(context: Context) -> Verdict:
    if deployment(context, CRASHY) is None:
        return missing(CRASHY, "`kubectl create deployment crashy --image=busybox:1.36 -- sh -c 'exit 1'`")
    told = [
        status.state.waiting.message or ""
        for pod in living(context, "app=crashy")
        for status in pod.status.container_statuses or ()
        if status.state.waiting is not None and status.state.waiting.reason == "CrashLoopBackOff"
    ]
    pauses: list[str] = context.memory.setdefault("pauses", [])
    pause = re.search(r"back-off (\w+) restarting", told[0]) if told else None
    if pause is not None and pause[1] not in pauses:
        context.memory["pauses"] = pauses = [*pauses, pause[1]]
    if not pauses:
        return NotYet("it has not crashed often enough yet", "The first time it is started again at once.")
    if len(pauses) < 2:
        return NotYet(f"back-off {pauses[0]}", "Watch the next one.")
    return Passed(
        f"back-off {', then '.join(pauses)}, after {sum(map(restarts, living(context, 'app=crashy')))} restarts"
    )


@quietly(None)
def how_it_goes_on(context: Context) -> str | None:
    grown = len(context.memory.get("pauses", [])) > 1
    return "It tries again, after a longer pause each time" if grown else None


def deploy_crashy(context: Context) -> None:
    context.sandbox.actions.deploy("crashy", "busybox:1.36", command=["sh", "-c", "exit 1"])


# -- on purpose ------------------------------------------------------------------------------------------------------


def budget(context: Context) -> dict[str, Any] | None:
    there = objects(context, "policy", "poddisruptionbudgets")
    return next((b for b in there if (b["spec"].get("selector") or {}).get("matchLabels") == {"app": BAKERY}), None)


@asks
def nothing_to_spare(context: Context) -> Verdict:
    there = budget(context)
    if there is None:
        return NotYet(
            "there is no PodDisruptionBudget for `app: bakery`", "`minAvailable: 3`, and the selector of `bakery`."
        )
    if (amiss := all_ready(context, BAKERY, REPLICAS)) is not None:
        return amiss
    status = there.get("status") or {}
    if status.get("observedGeneration") != there["metadata"].get("generation"):
        return NotYet("the budget has not been worked out yet", "A moment.")
    allowed = status.get("disruptionsAllowed", 0)
    if allowed:
        return NotYet(f"it allows {allowed} disruption", "For three replicas, ask for three: `minAvailable: 3`.")
    return Passed(
        f"{status.get('currentHealthy')} healthy, {status.get('desiredHealthy')} wanted, 0 disruptions allowed"
    )


def make_budget(context: Context) -> None:
    from kubernetes import client

    groups = client.ApisApi(context.client).get_api_versions().groups
    version = next(group.preferred_version.version for group in groups if group.name == "policy")
    budget = {
        "apiVersion": f"policy/{version}",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "bakery"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "bakery"}}},
    }
    api = client.CustomObjectsApi(context.client)
    api.create_namespaced_custom_object("policy", version, "default", "poddisruptionbudgets", budget)


REFUSED = "It refuses: 429, it would violate the disruption budget"


@asks
def eviction_refused(context: Context) -> Verdict:
    if isinstance(verdict := nothing_to_spare(context), NotYet):
        return verdict
    if context.answer is None:
        return NotYet("no answer yet", "The cell above asks for an eviction and prints the answer.")
    if context.answer != REFUSED:
        return NotYet("that is not what it says", "Run the cell above, and read its answer to the end.")
    return Passed(f"refused, and all {REPLICAS} pods of `bakery` run on")


def answer_refused(context: Context) -> str:
    return "It refuses: 429, it would violate the disruption budget"


@asks
def drained(context: Context) -> Verdict:
    there, shut = budget(context), cordoned(context)
    if there is None:
        return NotYet("the budget is gone", "Do not take it away, change it: `minAvailable: 2`.")
    if not shut:
        return NotYet("no node is drained", "Click a worker in the dashboard, then **Drain**; or `kubectl drain`.")
    left = [pod for pod in living(context) if pod.spec.node_name == shut[0]]
    if left:
        allowed = (there.get("status") or {}).get("disruptionsAllowed", 0)
        why = "" if allowed else f"The budget allows none: {there['spec'].get('minAvailable')} of {REPLICAS} must stay."
        return NotYet(f"{shut[0]} is cordoned and still runs `{left[0].metadata.name}`", why or "It is being moved.")
    if (amiss := all_ready(context, BAKERY, REPLICAS)) is not None:
        return amiss
    return Passed(f"{shut[0]} is empty; `bakery`: {counted(per_node(context, BAKERY))}")


def relax_and_drain(context: Context) -> None:
    from kubernetes import client

    groups = client.ApisApi(context.client).get_api_versions().groups
    version = next(group.preferred_version.version for group in groups if group.name == "policy")
    api = client.CustomObjectsApi(context.client)
    two = {"spec": {"minAvailable": 2}}
    api.patch_namespaced_custom_object("policy", version, "default", "poddisruptionbudgets", "bakery", two)

    pods = client.CoreV1Api(context.client).list_namespaced_pod("default", label_selector="app=bakery").items
    context.sandbox.actions.drain(pods[0].spec.node_name)


# -- clean up --------------------------------------------------------------------------------------------------------


@asks
def tidy(context: Context) -> Verdict:
    left = [name for name in (BAKERY, STEADY, CRASHY) if deployment(context, name) is not None]
    if left:
        return NotYet(f"still there: {', '.join(left)}", f"`kubectl delete deployment {' '.join(left)}`")
    if found(core(context).read_namespaced_service, BAKERY) is not None:
        return NotYet("the Service `bakery` is still there", "`kubectl delete service bakery`")
    if budget(context) is not None:
        return NotYet("the budget is still there", "`kubectl delete poddisruptionbudget bakery`")
    if shut := cordoned(context):
        return NotYet(f"{shut[0]} is still cordoned", f"`kubectl uncordon {shut[0]}`")
    return Passed("everything is gone, and every node is open")


def tidy_up(context: Context) -> None:
    from kubernetes import client

    for name in ("bakery", "steady", "crashy"):
        context.sandbox.actions.remove(name)
    client.CoreV1Api(context.client).delete_namespaced_service("bakery", "default", _preload_content=False)
    groups = client.ApisApi(context.client).get_api_versions().groups
    version = next(group.preferred_version.version for group in groups if group.name == "policy")
    api = client.CustomObjectsApi(context.client)
    api.delete_namespaced_custom_object("policy", version, "default", "poddisruptionbudgets", "bakery")
    for machine in context.sandbox.machines:
        if machine.role == "worker":
            context.sandbox.actions.activate(machine.name)


def setup(context: Context) -> None:
    heal_everything(context)
    refresh_controllers(context)


def refresh_controllers(context: Context) -> None:
    """Starts the controller-manager anew where it has seen the birth of the cluster.

    A real one that once saw no node ready may never set a `NoExecute` taint again, until it is started anew
    (kubernetes/kubernetes#104639): a cluster that kind has just made would then evict nobody.
    """
    if context.sandbox.engine != "docker":
        return
    with contextlib.suppress(*NO_ANSWER, client.ApiException):
        born = max(node.metadata.creation_timestamp for node in seats(context).values())
        system = core(context).list_namespaced_pod(
            "kube-system", label_selector="component=kube-controller-manager", _request_timeout=TIMEOUT
        )
        for pod in system.items:
            running = pod.status.container_statuses[0].state.running
            if running is not None and running.started_at <= born:
                context.sandbox.stop("kube-controller-manager")
                time.sleep(2.0)  # its kubelet looks at the manifests once in a while
                context.sandbox.start("kube-controller-manager")
                return


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, BAKERY, STEADY, CRASHY)
    activate_everything(context)
    with contextlib.suppress(*NO_ANSWER, client.ApiException):
        if budget(context) is not None:
            client.CustomObjectsApi(context.client).delete_namespaced_custom_object(
                "policy",
                version_of(context, "policy"),
                "default",
                "poddisruptionbudgets",
                BAKERY,
                _request_timeout=TIMEOUT,
            )

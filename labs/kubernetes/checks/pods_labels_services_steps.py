"""What labs/kubernetes/07-pods-labels-services checks, and how each step is solved."""

from __future__ import annotations

from typing import Any

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    BUSYBOX,
    NAMESPACE,
    TIMEOUT,
    asks,
    behind,
    core,
    deployment,
    found,
    going,
    heal_everything,
    living,
    names,
    not_ready_yet,
    owner,
    pods,
    quietly,
    ready,
    ready_pods,
    sweep,
    waiting,
)

SHOP = "app=shop"
ASIDE = "app=aside"
ITS_OWN = "The Service's own address, which never changes"


def pod(context: Context, name: str) -> Any | None:
    return found(core(context).read_namespaced_pod, name)


# -- a pod of two --------------------------------------------------------------------------------------------------


@asks
def two_in_one(context: Context) -> Verdict:
    twins = pod(context, "twins")
    if twins is None or going(twins):
        return NotYet("there is no pod `twins`", "Run the cell above.")
    if not ready(twins):
        return NotYet(f"`twins` is not ready: {waiting(twins) or 'starting'}", "A moment.")
    log = core(context).read_namespaced_pod_log(
        "twins", NAMESPACE, container="helper", tail_lines=5, _request_timeout=TIMEOUT
    )
    if "Hostname: twins" not in log:
        return NotYet("`helper` has not heard from its twin yet", "It asks every second.")
    return Passed(f"two containers, one address ({twins.status.pod_ip}): `helper` hears `server` at localhost")


def create_twins(context: Context) -> None:
    from kubernetes import client

    ask = "while sleep 1; do wget -qO- http://localhost | grep Hostname; done"
    twins = {
        "metadata": {"name": "twins", "labels": {"app": "twins"}},
        "spec": {
            "containers": [
                {"name": "server", "image": "traefik/whoami:v1.10"},
                {"name": "helper", "image": "busybox:1.36", "command": ["sh", "-c", ask]},
            ]
        },
    }
    client.CoreV1Api(context.client).create_namespaced_pod("default", twins)


# -- two who want the same port ------------------------------------------------------------------------------------


def status_of(quarrel: Any) -> tuple[list[str], list[str]]:
    """Names of its containers that run, and of those that have ended at least once."""
    statuses = quarrel.status.container_statuses or []
    runs = [s.name for s in statuses if s.ready]
    fell = [s.name for s in statuses if not s.ready and (s.restart_count or (s.state and s.state.terminated))]
    return runs, fell


@asks
def one_of_two(context: Context) -> Verdict:
    quarrel = pod(context, "quarrel")
    if quarrel is None or going(quarrel):
        return NotYet("there is no pod `quarrel`", "`core.create_namespaced_pod('default', quarrel).metadata.name`")
    if len(quarrel.spec.containers) < 2:
        return NotYet("`quarrel` has one container", "Nobody quarrels alone: give it two.")
    runs, fell = status_of(quarrel)
    if not runs or not fell:
        return NotYet("both are starting", "Watch the READY column of `kubectl get pods`.")
    return Passed(f"`{runs[0]}` has port 80; `{fell[0]}` ends again and again")


@quietly(None)
def who_gets_the_port(context: Context) -> str | None:
    quarrel = pod(context, "quarrel")
    return "The first to start; the other fails" if quarrel and all(status_of(quarrel)) else None


def create_quarrel(context: Context) -> None:
    from kubernetes import client

    containers = [{"name": name, "image": "traefik/whoami:v1.10"} for name in ("one", "two")]
    quarrel = {"metadata": {"name": "quarrel", "labels": {"app": "quarrel"}}, "spec": {"containers": containers}}
    client.CoreV1Api(context.client).create_namespaced_pod("default", quarrel)


# -- a Service in front of three -----------------------------------------------------------------------------------


@asks
def three_ready(context: Context) -> Verdict:
    if (amiss := not_ready_yet(context, "shop", 3)) is not None:
        return amiss
    shop = deployment(context, "shop")
    assert shop is not None
    container = shop.spec.template.spec.containers[0]
    if container.readiness_probe is None or container.image != BUSYBOX:
        return NotYet("`shop` is not the one of this lab", "Delete it, and run the cell above.")
    return Passed(f"{names(ready_pods(context, SHOP))} are ready")


def create_shop(context: Context) -> None:
    from kubernetes import client

    script = "mkdir -p /www && hostname > /www/index.html && touch /www/ready && httpd -f -p 80 -h /www"
    container = {
        "name": "shop",
        "image": "busybox:1.36",
        "command": ["sh", "-c", script],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}, "periodSeconds": 1},
    }
    shop = {
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
    client.AppsV1Api(context.client).create_namespaced_deployment("default", shop)


@asks
def service_sends(context: Context) -> Verdict:
    service = found(core(context).read_namespaced_service, "shop")
    if service is None:
        return NotYet("there is no Service `shop`", "`kubectl expose deployment shop --port=80`")
    if service.spec.selector != {"app": "shop"}:
        return NotYet(f"`shop` selects {service.spec.selector}", "It should select `app: shop`.")
    serving, _ = behind(context, "shop")
    if len(serving) < 3:
        return NotYet(f"it sends to {len(serving)} pods", "Whoever keeps the list has not looked yet.")
    return Passed(f"{service.spec.cluster_ip} stands in front of {len(serving)} pods")


def expose_shop(context: Context) -> None:
    from kubernetes import client

    service = {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}}
    client.CoreV1Api(context.client).create_namespaced_service("default", service)


@asks
def name_known(context: Context) -> Verdict:
    if context.answer is None:
        return NotYet("no answer yet", "The last line of the answer above.")
    service = found(core(context).read_namespaced_service, "shop")
    if service is None:
        return NotYet("there is no Service `shop`", "Make it again.")
    if context.answer != ITS_OWN:
        return NotYet("that is not the address above", "Compare it with `kubectl get service,pods -o wide`.")
    return Passed(f"`shop` means {service.spec.cluster_ip}, whoever stands behind it")


def answer_name(context: Context) -> str:
    return "The Service's own address, which never changes"


# -- out, and back -------------------------------------------------------------------------------------------------


@asks
def put_aside(context: Context) -> Verdict:
    aside = [p for p in living(context) if owner(p) is None and p.metadata.name.startswith("shop-")]
    if not aside:
        return NotYet("every pod of `shop` still belongs to it", "`kubectl label pod NAME app=aside --overwrite`")
    if (amiss := not_ready_yet(context, "shop", 3)) is not None:
        return amiss
    serving, others = behind(context, "shop")
    name = aside[0].metadata.name
    if name in serving | others:
        return NotYet(f"the Service still knows `{name}`", "A moment.")
    context.memory["aside"] = name
    newest = max(ready_pods(context, SHOP), key=lambda p: p.metadata.creation_timestamp)
    return Passed(f"`{name}` runs on, nobody's; `{newest.metadata.name}` took its place")


@quietly(None)
def how_many(context: Context) -> str | None:
    return {3: "Three", 4: "Four", 2: "Two"}.get(
        len([p for p in living(context) if p.metadata.name.startswith("shop-")])
    )


def label_aside(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    name = core.list_namespaced_pod("default", label_selector="app=shop").items[0].metadata.name
    core.patch_namespaced_pod(name, "default", {"metadata": {"labels": {"app": "aside"}}})


@asks
def put_back(context: Context) -> Verdict:
    name = context.memory.get("aside", "")
    here = pod(context, name)
    alive = here is not None and not going(here)
    if alive and owner(here) is None:
        return NotYet(f"`{name}` is still outside", f"`kubectl label pod {name} app=shop --overwrite`")
    if (amiss := not_ready_yet(context, "shop", 3)) is not None:
        return amiss
    if len(there := living(context, SHOP)) != 3:
        return NotYet(f"{len(there)} pods carry `app=shop`", "One too many: its controller is about to notice.")
    return Passed(f"three again; `{name}` {'was taken back, another one had to go' if alive else 'itself had to go'}")


@quietly(None)
def what_came_of_four(context: Context) -> str | None:
    count = len(living(context, "app in (shop,aside)"))
    return {3: "The ReplicaSet takes it in, and deletes one", 4: "Four stay: more is better"}.get(count)


def label_back(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    name = core.list_namespaced_pod("default", label_selector="app=aside").items[0].metadata.name
    core.patch_namespaced_pod(name, "default", {"metadata": {"labels": {"app": "shop"}}})


# -- ready, or not ---------------------------------------------------------------------------------------------------


def sulking(context: Context) -> list[Any]:
    return [p for p in living(context, SHOP) if not ready(p) and p.status.phase == "Running"]


@asks
def unready(context: Context) -> Verdict:
    if not (found_some := sulking(context)):
        return NotYet("every pod of `shop` is ready", "Remove `/www/ready` in one of them.")
    name = found_some[0].metadata.name
    serving, _ = behind(context, "shop")
    if name in serving:
        return NotYet(f"the Service still sends to `{name}`", "A moment.")
    context.memory["unready"] = name
    return Passed(f"`{name}` runs, gets no traffic, and was not replaced: {len(serving)} pods serve")


@quietly(None)
def what_of_it(context: Context) -> str | None:
    return "It gets no traffic, and stays" if sulking(context) and len(living(context, SHOP)) == 3 else None


def remove_ready(context: Context) -> None:
    from kubernetes import client, config
    from kubernetes.stream import stream

    # `stream` turns the client that it is given into one for streams, so it gets one of its own.
    core = client.CoreV1Api(config.new_client_from_config(context.sandbox.env["KUBECONFIG"]))
    there = core.list_namespaced_pod("default", label_selector="app=shop").items
    pod = next(pod for pod in there if not pod.metadata.deletion_timestamp)
    command = ["rm", "/www/ready"]
    stream(core.connect_get_namespaced_pod_exec, pod.metadata.name, "default", command=command, stdout=True)


@asks
def well_again(context: Context) -> Verdict:
    if grumpy := sulking(context):
        name = grumpy[0].metadata.name
        return NotYet(f"`{name}` is not ready", f"`kubectl exec {name} -- touch /www/ready`")
    serving, _ = behind(context, "shop")
    if len(serving) != 3:
        return NotYet(f"the Service sends to {len(serving)} pods", "The probe looks every second.")
    kept = context.memory.get("unready") in serving
    return Passed(f"the Service sends to three pods again{', the same ones' if kept else ''}")


def touch_ready(context: Context) -> None:
    from kubernetes import client, config
    from kubernetes.stream import stream

    core = client.CoreV1Api(config.new_client_from_config(context.sandbox.env["KUBECONFIG"]))
    there = core.list_namespaced_pod("default", label_selector="app=shop").items
    for pod in [pod for pod in there if not pod.metadata.deletion_timestamp]:
        command = ["touch", "/www/ready"]
        stream(core.connect_get_namespaced_pod_exec, pod.metadata.name, "default", command=command, stdout=True)


# -- clean up ----------------------------------------------------------------------------------------------------


@asks
def gone(context: Context) -> Verdict:
    left = [f"Deployment `{d}`" for d in ("shop",) if deployment(context, d) is not None]
    left += ["Service `shop`"] if found(core(context).read_namespaced_service, "shop") is not None else []
    mine = [p for p in pods(context, "app in (shop,aside,twins,quarrel)") if not going(p)]
    left += [f"pod `{p.metadata.name}`" for p in mine]
    if left:
        return NotYet(f"still there: {', '.join(left[:4])}", "`kubectl delete` does it.")
    return Passed("all of it is gone")


def remove_all(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    client.AppsV1Api(context.client).delete_namespaced_deployment("shop", "default")
    core.delete_namespaced_service("shop", "default", _preload_content=False)
    for name in ("twins", "quarrel"):
        core.delete_namespaced_pod(name, "default", grace_period_seconds=1)


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, "shop", "aside", "twins", "quarrel")

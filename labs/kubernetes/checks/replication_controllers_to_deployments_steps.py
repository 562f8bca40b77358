"""What labs/kubernetes/08-replication-controllers-to-deployments checks, and how each step is solved."""

from __future__ import annotations

from typing import Any

from labkit.guide import Context, NotYet, Passed, Verdict

from .common import (
    REVISION,
    WHOAMI,
    WHOAMI_NEXT,
    apps,
    asks,
    condition,
    core,
    deployment,
    found,
    going,
    heal_everything,
    living,
    names,
    not_ready_yet,
    owned,
    owner,
    pods,
    quietly,
    ready_pods,
    replica_sets,
    sweep,
    waiting,
)

CLASSIC = "app=classic"
REPLICAS = 6
STUCK = ("ErrImagePull", "ImagePullBackOff")
ONLY_SAID = "It said so, and waits"


def image_of(thing: Any) -> str:
    """The image of a pod, or of what makes pods."""
    template = getattr(thing.spec, "template", None)
    return str((template.spec if template is not None else thing.spec).containers[0].image)


def short(image: str) -> str:
    return image.rpartition(":")[2]


# -- the first replication controller --------------------------------------------------------------------------------


def classic(context: Context) -> Any | None:
    return found(core(context).read_namespaced_replication_controller, "classic")


@asks
def three_kept(context: Context) -> Verdict:
    keeper = classic(context)
    if keeper is None:
        return NotYet("there is no replication controller `classic`", "Run the cell above.")
    mine = owned(ready_pods(context, CLASSIC), keeper)
    if len(mine) != 3:
        return NotYet(f"{len(mine)} of 3 pods are ready", "A moment.")
    return Passed(f"`classic` keeps {names(mine)}")


def create_classic(context: Context) -> None:
    from kubernetes import client

    container = {"name": "whoami", "image": "traefik/whoami:v1.10"}
    pod = {
        "metadata": {"labels": {"app": "classic"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    classic = {
        "metadata": {"name": "classic"},
        "spec": {"replicas": 3, "selector": {"app": "classic"}, "template": pod},
    }
    client.CoreV1Api(context.client).create_namespaced_replication_controller("default", classic)


@asks
def mixed(context: Context) -> Verdict:
    keeper = classic(context)
    if keeper is None:
        return NotYet("there is no replication controller `classic`", "Run the cell above the first step.")
    if image_of(keeper) != WHOAMI_NEXT:
        return NotYet(
            f"its template still says {short(image_of(keeper))}", f"`kubectl set image rc/classic whoami={WHOAMI_NEXT}`"
        )
    images = [image_of(pod) for pod in ready_pods(context, CLASSIC)]
    if WHOAMI_NEXT not in images:
        return NotYet("the template is new, every pod is old", "Delete a pod.")
    if len(images) != 3:
        return NotYet(f"{len(images)} of 3 are ready", "A moment.")
    count = images.count(WHOAMI_NEXT)
    return Passed(f"{count} of {short(WHOAMI_NEXT)}, {3 - count} of {short(WHOAMI)}: who dies comes back new")


@quietly(None)
def what_of_running(context: Context) -> str | None:
    images = {image_of(pod) for pod in living(context, CLASSIC)}
    return "Nothing, until one dies" if WHOAMI in images else None


def change_template(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    container = {"name": "whoami", "image": "traefik/whoami:v1.10.1"}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    core.patch_namespaced_replication_controller("classic", "default", template)
    name = core.list_namespaced_pod("default", label_selector="app=classic").items[0].metadata.name
    core.delete_namespaced_pod(name, "default")


# -- owners --------------------------------------------------------------------------------------------------------


@asks
def orphaned(context: Context) -> Verdict:
    if classic(context) is not None:
        return NotYet("`classic` is there", "`kubectl delete rc classic --cascade=orphan`")
    left = living(context, CLASSIC)
    if not left:
        return NotYet("its pods went with it", "`lab.reset()`, and then delete it with `--cascade=orphan`.")
    if any(owner(pod) for pod in left):
        return NotYet("somebody still owns them", "The garbage collector is taking the names off.")
    context.memory["orphans"] = sorted(pod.metadata.uid for pod in left)
    return Passed(f"{names(left)} run on, owned by nobody")


@quietly(None)
def what_of_the_pods(context: Context) -> str | None:
    return "They run on" if classic(context) is None and living(context, CLASSIC) else None


def orphan(context: Context) -> None:
    from kubernetes import client

    core = client.CoreV1Api(context.client)
    core.delete_namespaced_replication_controller("classic", "default", propagation_policy="Orphan")


@asks
def adopted(context: Context) -> Verdict:
    keeper = found(apps(context).read_namespaced_replica_set, "classic")
    if keeper is None:
        return NotYet("there is no ReplicaSet `classic`", "Run the cell above.")
    mine = owned(living(context, CLASSIC), keeper)
    if len(mine) != 3:
        return NotYet(f"it has {len(mine)} of 3", "A moment.")
    same = sum(pod.metadata.uid in context.memory.get("orphans", ()) for pod in mine)
    return Passed(f"it has its three pods; {same} of them are older than itself")


@quietly(None)
def how_many_made(context: Context) -> str | None:
    uids = {pod.metadata.uid for pod in living(context, CLASSIC)}
    return "None" if uids == set(context.memory.get("orphans", ())) else None


def adopt(context: Context) -> None:
    from kubernetes import client

    container = {"name": "whoami", "image": "traefik/whoami:v1.10.1"}
    pod = {
        "metadata": {"labels": {"app": "classic"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    selector = {"matchLabels": {"app": "classic"}}
    keeper = {"metadata": {"name": "classic"}, "spec": {"replicas": 3, "selector": selector, "template": pod}}
    client.AppsV1Api(context.client).create_namespaced_replica_set("default", keeper)


@asks
def all_gone(context: Context) -> Verdict:
    if found(apps(context).read_namespaced_replica_set, "classic") is not None:
        return NotYet("the ReplicaSet is there", "`kubectl delete rs classic`")
    if left := living(context, CLASSIC):
        return NotYet(f"{names(left)} are left", "Did you orphan them again? Delete them by hand.")
    return Passed("owner and owned are gone")


def delete_owner(context: Context) -> None:
    from kubernetes import client

    client.AppsV1Api(context.client).delete_namespaced_replica_set("classic", "default")


# -- the Deployment --------------------------------------------------------------------------------------------------


def sets(context: Context) -> list[Any]:
    return replica_sets(context, "web")


def ready_of(one: Any) -> int:
    return int(one.status.ready_replicas or 0)


def unavailable(web: Any) -> int:
    """maxUnavailable in pods."""
    limit = str(web.spec.strategy.rolling_update.max_unavailable)
    return REPLICAS * int(limit[:-1]) // 100 if limit.endswith("%") else int(limit)


@asks
def chain(context: Context) -> Verdict:
    if (amiss := not_ready_yet(context, "web", REPLICAS)) is not None:
        return amiss
    web, made = deployment(context, "web"), sets(context)
    if web is None or not made:
        return NotYet("it has no ReplicaSet yet", "A moment.")
    mine = owned(living(context, "app=web"), made[-1])
    return Passed(f"Deployment `web` → ReplicaSet `{made[-1].metadata.name}` → {len(mine)} pods")


def create_web(context: Context) -> None:
    from kubernetes import client

    container = {"name": "whoami", "image": "traefik/whoami:v1.10"}
    pod = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    spec = {
        "replicas": 6,
        "selector": {"matchLabels": {"app": "web"}},
        "template": pod,
        "minReadySeconds": 3,
        "progressDeadlineSeconds": 20,
    }
    client.AppsV1Api(context.client).create_namespaced_deployment(
        "default", {"metadata": {"name": "web"}, "spec": spec}
    )


@asks
def limits_known(context: Context) -> Verdict:
    web = deployment(context, "web")
    if web is None:
        return NotYet("there is no Deployment `web`", "Run the cell above the step before.")
    rolling = web.spec.strategy.rolling_update
    if rolling is None or not isinstance(rolling.max_surge, int):
        return NotYet("its limits are still shares of 25 %", "Move a slider.")
    if context.answer is None:
        return NotYet(f"maxSurge {rolling.max_surge}, maxUnavailable {rolling.max_unavailable}; no answer yet", "")
    most = web.spec.replicas + rolling.max_surge
    if float(context.answer) != most:
        return NotYet(f"{context.answer:g} is not it", "What is wanted, and what may come on top.")
    least = web.spec.replicas - unavailable(web)
    return Passed(f"at most {most} pods at a time, and at least {least} that serve")


def set_limits(context: Context) -> int:
    context.sandbox.actions.limit_rollout("web", surge=1, unavailable=1)
    return 6 + 1


def not_rolled_out(context: Context) -> NotYet | None:
    """None when the newest revision alone has all pods, ready."""
    web, made = deployment(context, "web"), sets(context)
    if web is None or not made:
        return NotYet("there is no Deployment `web`", "Create it again: step “Owner of owners”.")
    counts = ", ".join(f"revision {one.metadata.annotations[REVISION]} has {ready_of(one)}" for one in made[-2:])
    done = ready_of(made[-1]) == web.spec.replicas and not any(one.status.replicas for one in made[:-1])
    if not done or image_of(made[-1]) != image_of(web) or (web.status.available_replicas or 0) < web.spec.replicas:
        return NotYet(f"{counts} ready", "Each new pod must be ready for three seconds before it counts.")
    return None


@asks
def rolled_out(context: Context) -> Verdict:
    web = deployment(context, "web")
    if web is None or image_of(web) != WHOAMI_NEXT:
        return NotYet(f"`web` does not ask for {short(WHOAMI_NEXT)}", "Press **Roll out** below the sliders.")
    if (amiss := not_rolled_out(context)) is not None:
        return amiss
    old, new = sets(context)[-2:]
    return Passed(f"`{new.metadata.name}` has all six; `{old.metadata.name}` is kept, with none")


@quietly(None)
def what_of_the_old(context: Context) -> str | None:
    return "It stays, with no pods" if any(not one.spec.replicas for one in sets(context)) else "It is deleted"


def roll_out(context: Context) -> None:
    context.sandbox.actions.update("web", "traefik/whoami:v1.10.1")


@asks
def halfway(context: Context) -> Verdict:
    web = deployment(context, "web")
    if web is None:
        return NotYet("there is no Deployment `web`", "Create it again: step “Owner of owners”.")
    both = [one for one in sets(context) if ready_of(one)]
    if not web.spec.paused:
        return NotYet("no rollout is paused", "`kubectl rollout pause deployment/web` while the two cross.")
    if len(both) < 2:
        return NotYet("it is paused, and one ReplicaSet has all pods", "Resume, change the colour again, be quicker.")
    counts = " and ".join(f"{ready_of(one)} of revision {one.metadata.annotations[REVISION]}" for one in both)
    return Passed(f"paused: {counts} serve side by side")


@quietly(False)
def too_late(context: Context) -> bool:
    web = deployment(context, "web")
    return bool(web and not web.spec.paused and sum(bool(ready_of(one)) for one in sets(context)) == 1)


def pause_halfway(context: Context) -> None:
    import time

    from kubernetes import client

    apps = client.AppsV1Api(context.client)
    container = {"name": "whoami", "env": [{"name": "COLOUR", "value": "green"}]}
    apps.patch_namespaced_deployment("web", "default", {"spec": {"template": {"spec": {"containers": [container]}}}})
    crossing = False
    while not crossing:
        time.sleep(0.1)
        sets = apps.list_namespaced_replica_set("default", label_selector="app=web").items
        crossing = sum(bool(one.spec.replicas) for one in sets) > 1
    apps.patch_namespaced_deployment("web", "default", {"spec": {"paused": True}})


@asks
def onward(context: Context) -> Verdict:
    web = deployment(context, "web")
    if web is not None and web.spec.paused:
        return NotYet("it is still paused", "`kubectl rollout resume deployment/web`")
    if (amiss := not_rolled_out(context)) is not None:
        return amiss
    return Passed(f"all six are of revision {sets(context)[-1].metadata.annotations[REVISION]}")


def resume(context: Context) -> None:
    context.sandbox.actions.resume_rollout("web")


# -- a bad one -----------------------------------------------------------------------------------------------------


def stuck(context: Context) -> list[Any]:
    """Pods of the newest revision whose image nobody has."""
    made = sets(context)
    return [pod for pod in owned(living(context, "app=web"), made[-1]) if waiting(pod) in STUCK] if made else []


@asks
def stalls(context: Context) -> Verdict:
    web = deployment(context, "web")
    if web is None:
        return NotYet("there is no Deployment `web`", "Create it again: step “Owner of owners”.")
    new = stuck(context)
    if not new:
        return NotYet(
            f"`web` asks for {short(image_of(web))}; no pod waits for its image",
            "`kubectl set image deployment/web whoami=traefik/whoami:v9.99`",
        )
    serving = len(ready_pods(context, "app=web"))
    if serving < REPLICAS - unavailable(web):
        return NotYet(f"{serving} are ready", "A moment.")
    return Passed(f"{len(new)} new pods: {waiting(new[0])}; {serving} old ones serve")


@quietly(None)
def how_many_serve(context: Context) -> str | None:
    web = deployment(context, "web")
    if web is None or not stuck(context):
        return None
    serving = len(ready_pods(context, "app=web"))
    return "Six, less maxUnavailable" if serving == REPLICAS - unavailable(web) else None


def roll_out_bad(context: Context) -> None:
    context.sandbox.actions.update("web", "traefik/whoami:v9.99")


@asks
def gave_up(context: Context) -> Verdict:
    web = deployment(context, "web")
    told = condition(web, "Progressing") if web is not None else None
    if told is None or told.reason != "ProgressDeadlineExceeded":
        return NotYet("the deadline of 20 seconds has not passed", "`kubectl rollout status deployment/web` waits too.")
    if context.answer is None:
        return NotYet(f"{told.reason}; no answer yet", "Look at the two ReplicaSets.")
    if context.answer != ONLY_SAID:
        return NotYet("that is not what happened", "Look at the two ReplicaSets again: what has changed?")
    return Passed(f"{told.reason}: {told.message}")


def answer_gave_up(context: Context) -> str:
    return "It said so, and waits"


@asks
def undone(context: Context) -> Verdict:
    web = deployment(context, "web")
    if web is not None and "v9" in image_of(web):
        return NotYet(f"`web` still asks for {short(image_of(web))}", "`kubectl rollout undo deployment/web`")
    if (amiss := not_rolled_out(context)) is not None:
        return amiss
    now = sets(context)[-1]
    return Passed(f"`{now.metadata.name}` has all six again, as revision {now.metadata.annotations[REVISION]}")


@quietly(None)
def who_grows(context: Context) -> str | None:
    made = sets(context)
    youngest = max(made, key=lambda one: one.metadata.creation_timestamp, default=None)
    return "An old ReplicaSet grows again" if youngest is not None and made[-1] is not youngest else None


def undo(context: Context) -> None:
    context.sandbox.actions.roll_back("web")


# -- clean up ----------------------------------------------------------------------------------------------------


@asks
def gone(context: Context) -> Verdict:
    if deployment(context, "web") is not None:
        return NotYet("`web` is still there", "`kubectl delete deployment web`")
    if left := [pod for pod in pods(context, "app in (web,classic)") if not going(pod)]:
        return NotYet(f"{len(left)} pods are left", "The garbage collector goes down the owners, one by one.")
    return Passed("Deployment, ReplicaSets and pods are gone")


def remove_web(context: Context) -> None:
    from kubernetes import client

    client.AppsV1Api(context.client).delete_namespaced_deployment("web", "default")


def reset(context: Context) -> None:
    heal_everything(context)
    sweep(context, "web", "classic")

"""What the Kubernetes labs' checks share: reading a cluster through the official client, and putting it right again.

The labs work in the namespace ``default``, where a plain ``kubectl get`` looks. Every question ends in seconds, for a
lab may have stopped whoever should answer: :func:`asks` makes a verdict of that.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import urllib3
from kubernetes import client

from labkit.guide import Context, NotYet, Verdict
from labkit.guide.steps import Check

NAMESPACE = "default"
TIMEOUT = 4.0  # seconds for one question
WHOAMI = "traefik/whoami:v1.10"
WHOAMI_NEXT = "traefik/whoami:v1.10.1"
BUSYBOX = "busybox:1.36"

# What the client raises when the API server is away, frozen or cut off.
NO_ANSWER = (urllib3.exceptions.HTTPError, OSError)

Found = TypeVar("Found")
Json = dict[str, Any]


# -- asking --------------------------------------------------------------------------------------------------------


def asks(check: Check) -> Check:
    """A check that may find the API server away: that is a verdict, not a failure of the check."""

    @functools.wraps(check)
    def asked(context: Context) -> Verdict:
        try:
            return check(context)
        except NO_ANSWER:
            return NotYet("the API server does not answer", f"Is it stopped? {_start_it(context)}")
        except client.ApiException as error:
            if error.status and error.status < 500:
                raise
            return NotYet(f"the API server says: {said(error)}", "Is etcd stopped? `kube.start('etcd')`")

    return asked


def quietly(otherwise: Any) -> Callable[[Callable[[Context], Any]], Callable[[Context], Any]]:
    """For hints and outcomes: what they are when nobody answers."""

    def wrap(look: Callable[[Context], Any]) -> Callable[[Context], Any]:
        @functools.wraps(look)
        def looked(context: Context) -> Any:
            try:
                return look(context)
            except (*NO_ANSWER, client.ApiException):
                return otherwise

        return looked

    return wrap


def _start_it(context: Context) -> str:
    off = [machine.name for machine in context.sandbox.machines if machine.state == "down"]
    return f"`kube.heal({off[0]!r})`" if off else "`kube.start('kube-apiserver')`"


def said(error: client.ApiException) -> str:
    """The API server's own words."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


# -- looking ---------------------------------------------------------------------------------------------------------


def core(context: Context) -> client.CoreV1Api:
    return client.CoreV1Api(context.client)


def apps(context: Context) -> client.AppsV1Api:
    return client.AppsV1Api(context.client)


def found(read: Callable[..., Found], name: str, **options: Any) -> Found | None:
    """One object of ``default`` by the client's own ``read_namespaced_…``, or None when it is not there."""
    try:
        return read(name, NAMESPACE, _request_timeout=TIMEOUT, **options)
    except client.ApiException as error:
        if error.status == 404:
            return None
        raise


def listed(listing: Callable[..., Any], selector: str = "", **options: Any) -> list[Any]:
    """The objects of ``default`` with these labels (``"app=web,tier"``), by the client's ``list_namespaced_…``."""
    if selector:
        options["label_selector"] = selector
    items = listing(NAMESPACE, _request_timeout=TIMEOUT, **options).items
    return sorted(items, key=lambda item: (item.metadata.creation_timestamp, item.metadata.name))


def objects(context: Context, group: str, plural: str, selector: str = "") -> list[Json]:
    """Objects of a group whose version differs between clusters (``discovery.k8s.io``, ``policy``), as plain JSON."""
    options = {"label_selector": selector} if selector else {}
    answer = client.CustomObjectsApi(context.client).list_namespaced_custom_object(
        group, version_of(context, group), NAMESPACE, plural, _request_timeout=TIMEOUT, **options
    )
    return list(answer["items"])


def version_of(context: Context, group: str) -> str:
    """The version of a group that this cluster prefers: ``"v1"``, or ``"v1beta1"`` on an old one."""
    groups = client.ApisApi(context.client).get_api_versions(_request_timeout=TIMEOUT).groups
    return str(next(g.preferred_version.version for g in groups if g.name == group))


def pods(context: Context, selector: str = "") -> list[Any]:
    """Pods of ``default``, oldest first; those on their way out too."""
    return listed(core(context).list_namespaced_pod, selector)


def living(context: Context, selector: str = "") -> list[Any]:
    """Pods that nobody has told to go."""
    return [
        pod for pod in pods(context, selector) if not going(pod) and pod.status.phase not in ("Failed", "Succeeded")
    ]


def ready_pods(context: Context, selector: str = "") -> list[Any]:
    return [pod for pod in living(context, selector) if ready(pod)]


def going(thing: Any) -> bool:
    """Whether it has been told to go."""
    return thing.metadata.deletion_timestamp is not None


def condition(thing: Any, kind: str) -> Any | None:
    """The condition of that type of a pod, node or Deployment."""
    return next((c for c in thing.status.conditions or () if c.type == kind), None)


def ready(thing: Any) -> bool:
    """A pod that gets traffic, a node that answers."""
    told = condition(thing, "Ready")
    return told is not None and told.status == "True"


def waiting(pod: Any) -> str:
    """Why a pod does not run, in the API's words: ``Unschedulable``, ``ImagePullBackOff``…; "" when it runs."""
    for status in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
        if status.state is not None and status.state.waiting is not None:
            return str(status.state.waiting.reason or "")
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return str(scheduled.reason)
    return "" if pod.status.phase == "Running" else str(pod.status.phase)


def owner(thing: Any) -> Any | None:
    """The reference to the controller that keeps it."""
    return next((o for o in thing.metadata.owner_references or () if o.controller), None)


def owned(things: list[Any], by: Any) -> list[Any]:
    return [thing for thing in things if (ref := owner(thing)) is not None and ref.uid == by.metadata.uid]


def names(things: list[Any]) -> str:
    return ", ".join(f"`{thing.metadata.name}`" for thing in things)


def deployment(context: Context, name: str) -> Any | None:
    return found(apps(context).read_namespaced_deployment, name)


def replica_sets(context: Context, name: str) -> list[Any]:
    """The ReplicaSets of a Deployment, oldest revision first."""
    whose = deployment(context, name)
    if whose is None:
        return []
    mine = owned(listed(apps(context).list_namespaced_replica_set), whose)
    return sorted(mine, key=lambda item: int((item.metadata.annotations or {}).get(REVISION, 0)))


REVISION = "deployment.kubernetes.io/revision"


def not_ready_yet(context: Context, name: str, wanted: int, selector: str = "") -> NotYet | None:
    """None when Deployment ``name`` wants ``wanted`` pods and has them ready; else what is amiss."""
    whose = deployment(context, name)
    if whose is None:
        return NotYet(
            f"there is no Deployment `{name}`",
            f"`kubectl create deployment {name} --image={WHOAMI} --replicas={wanted}`",
        )
    if whose.spec.replicas != wanted:
        return NotYet(
            f"`{name}` asks for {whose.spec.replicas} replicas, not {wanted}",
            f"`kubectl scale deployment {name} --replicas={wanted}`",
        )
    there = ready_pods(context, selector or f"app={name}")
    if len(there) != wanted:
        return NotYet(f"{len(there)} of {wanted} pods of `{name}` are ready", "Give it a moment and watch the graph.")
    return None


def behind(context: Context, service: str) -> tuple[set[str], set[str]]:
    """Names of the pods that a Service sends to, and of those that it selects but that are not ready."""
    serving: set[str] = set()
    others: set[str] = set()
    for piece in objects(context, "discovery.k8s.io", "endpointslices", f"kubernetes.io/service-name={service}"):
        for endpoint in piece.get("endpoints") or ():
            name = (endpoint.get("targetRef") or {}).get("name", "")
            ok = (endpoint.get("conditions") or {}).get("ready") is not False
            (serving if ok else others).add(name)
    return serving, others - serving


def events(context: Context, kind: str, name: str = "") -> list[Any]:
    """Events about one object, or about all of a kind."""
    about = f"involvedObject.kind={kind}" + (f",involvedObject.name={name}" if name else "")
    return list(core(context).list_namespaced_event(NAMESPACE, field_selector=about, _request_timeout=TIMEOUT).items)


def component(context: Context, name: str) -> str:
    """``"running"`` or ``"stopped"``: a part of the control plane; "" where the sandbox cannot tell."""
    return next((part.state for part in context.sandbox.components if part.name == name), "")


# -- machines and nodes ----------------------------------------------------------------------------------------------


def workers(context: Context) -> list[str]:
    """Names of the worker machines, which are the names of their nodes."""
    return [machine.name for machine in context.sandbox.machines if machine.role == "worker"]


def nodes(context: Context) -> dict[str, Any]:
    """The nodes by name."""
    return {node.metadata.name: node for node in core(context).list_node(_request_timeout=TIMEOUT).items}


# -- putting it right ------------------------------------------------------------------------------------------------


def heal_everything(context: Context) -> None:
    """Every machine on, every component running, and an API server that answers again (as far as one can wait)."""
    mended = False
    for machine in context.sandbox.machines:
        if machine.state not in ("up", "unknown"):
            context.sandbox.heal(machine.name)
            mended = True
    for part in context.sandbox.components:
        if part.state == "stopped":
            context.sandbox.start(part.name, part.machine)
            mended = True
    if mended:
        wait_for_server(context)


def wait_for_server(context: Context, seconds: float = 60.0) -> None:
    """Returns when the API server answers, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            core(context).list_namespaced_pod(NAMESPACE, limit=1, _request_timeout=TIMEOUT)
        except (*NO_ANSWER, client.ApiException):
            time.sleep(0.3)
        else:
            return


def sweep(context: Context, *names: str) -> None:
    """Deletes the workloads, pods, Services and budgets of ``default`` that are called so, or carry ``app=NAME``.

    Answers when they are gone, within a minute; of what nobody answers for, nothing is deleted.
    """
    with contextlib.suppress(*NO_ANSWER):
        if _delete(context, names):
            deadline = time.monotonic() + 60
            while any(True for _ in _swept(context, names)) and time.monotonic() < deadline:
                time.sleep(0.3)


def _delete(context: Context, names: tuple[str, ...]) -> bool:
    any_deleted = False
    for delete, name in list(_swept(context, names)):
        any_deleted = True
        with contextlib.suppress(client.ApiException):  # gone already: its owner took it along
            delete(name, NAMESPACE, _request_timeout=TIMEOUT)
    return any_deleted


def _swept(context: Context, names: tuple[str, ...]) -> Iterator[tuple[Callable[..., Any], str]]:
    """How to delete each thing, and its name; owners first, so that nobody makes new pods meanwhile."""
    for listing, delete in _kinds(context):
        for item in listed(listing):
            labels = item.metadata.labels or {}
            if item.metadata.name in names or labels.get("app") in names:
                yield delete, item.metadata.name


def _kinds(context: Context) -> list[tuple[Callable[..., Any], Callable[..., Any]]]:
    on, batch, plain = apps(context), client.BatchV1Api(context.client), core(context)
    now = {"propagation_policy": "Background"}
    return [
        (on.list_namespaced_deployment, functools.partial(on.delete_namespaced_deployment, **now)),
        (on.list_namespaced_daemon_set, functools.partial(on.delete_namespaced_daemon_set, **now)),
        (batch.list_namespaced_job, functools.partial(batch.delete_namespaced_job, **now)),
        (on.list_namespaced_replica_set, functools.partial(on.delete_namespaced_replica_set, **now)),
        (
            plain.list_namespaced_replication_controller,
            functools.partial(plain.delete_namespaced_replication_controller, **now),
        ),
        # An old server answers with a Status, which the client would take for a Service.
        (plain.list_namespaced_service, functools.partial(plain.delete_namespaced_service, _preload_content=False)),
        (plain.list_namespaced_pod, functools.partial(plain.delete_namespaced_pod, grace_period_seconds=0)),
    ]


def activate_everything(context: Context, *keys: str) -> None:
    """Uncordons every node and takes the labs' taints and labels (``keys``) off."""
    with contextlib.suppress(*NO_ANSWER, client.ApiException):
        for name, node in nodes(context).items():
            taints = node.spec.taints or []
            keep = [t for t in taints if t.key not in keys and t.key != "node.kubernetes.io/unschedulable"]
            labels = {key: None for key in keys if key in (node.metadata.labels or {})}
            if not labels and not node.spec.unschedulable and len(keep) == len(taints):
                continue
            left = [context.client.sanitize_for_serialization(taint) for taint in keep] or None
            body = {"metadata": {"labels": labels}, "spec": {"unschedulable": None, "taints": left}}
            core(context).patch_node(name, body, _content_type="application/merge-patch+json", _request_timeout=TIMEOUT)

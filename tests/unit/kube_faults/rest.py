"""What a cluster looks like that is at rest: everything is as it was asked for, and nothing is left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.kubelet.pods import is_mirror
from labkit.embedded.kubernetes.objects import (
    Json,
    controller_of,
    has_condition,
    is_pod_active,
    is_pod_finished,
    is_pod_ready,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owners_of,
    spec_of,
    status_of,
    uid_of,
)
from labkit.embedded.kubernetes.world import World

Found = Iterator[str]


def at_rest(world: World) -> list[str]:
    """What is wrong; nothing, when it is at rest."""
    try:
        return [wrong for look in LOOKS for wrong in look(Picture(world))]
    except StatusError as error:
        return [f"the API server says: {error}"]


class Picture:
    """All objects at one moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pods = self.all(kinds.PODS)

    def all(self, kind: Kind) -> list[Json]:
        return [record.obj for record in self.world.registry.list(kind).records]

    def active(self, owner: Json) -> list[Json]:
        return [pod for pod in self.pods if is_pod_active(pod) and _is_of(pod, owner)]

    def selected(self, obj: Json) -> list[Json]:
        """The active pods that a Service or a budget selects."""
        selector = spec_of(obj).get("selector")
        wanted = selector if obj["kind"] == "PodDisruptionBudget" else {"matchLabels": selector}
        return [
            pod
            for pod in self.pods
            if namespace_of(pod) == namespace_of(obj)
            and is_pod_active(pod)
            and selectors.matches(wanted, labels_of(pod))
        ]


def _is_of(obj: Json, owner: Json) -> bool:
    return (controller_of(obj) or {}).get("uid") == uid_of(owner)


def _components(picture: Picture) -> Found:
    for row in picture.world.components.status():
        if row["state"] != "running":
            yield f"{row['name']} of {row['machine']} is {row['state']}"


def _nodes(picture: Picture) -> Found:
    if missing := set(picture.world.fleet.machines) - {name_of(node) for node in picture.all(kinds.NODES)}:
        yield f"there are no nodes {missing}"
    for node in picture.all(kinds.NODES):
        if not has_condition(node, "Ready"):
            yield f"{name_of(node)} is not ready"
        for taint in spec_of(node).get("taints") or ():
            if taint["key"] != "node-role.kubernetes.io/control-plane":
                yield f"{name_of(node)} has the taint {taint['key']}:{taint['effect']}"


def _pods(picture: Picture) -> Found:
    for pod in picture.pods:
        if is_terminating(pod):
            yield f"{key_of(pod)} is still terminating"
        elif not spec_of(pod).get("nodeName"):
            yield f"{key_of(pod)} is not scheduled: {status_of(pod).get('conditions')}"
        elif not is_pod_finished(pod) and not is_pod_ready(pod):
            yield f"{key_of(pod)} on {spec_of(pod)['nodeName']} is not ready"


def _owners(picture: Picture) -> Found:
    there = {uid_of(obj) for kind in kinds.stored() for obj in picture.all(kind)}
    for kind in kinds.stored():
        for obj in picture.all(kind):
            for owner in owners_of(obj):
                if owner["uid"] not in there:
                    yield f"{kind.resource} {key_of(obj)} has no {owner['kind']} {owner['name']} any more"
            if is_terminating(obj) and kind is not kinds.PODS:
                yield f"{kind.resource} {key_of(obj)} is still there with {obj['metadata'].get('finalizers')}"
            elif left := {"orphan", "foregroundDeletion"} & set(obj["metadata"].get("finalizers") or ()):
                yield f"{kind.resource} {key_of(obj)} keeps {left}"


def _namespaces(picture: Picture) -> Found:
    spaces = {name_of(space) for space in picture.all(kinds.NAMESPACES)}
    for kind in kinds.stored():
        for obj in picture.all(kind) if kind.namespaced else ():
            if namespace_of(obj) not in spaces and kind is not kinds.EVENTS:
                yield f"{kind.resource} {key_of(obj)} has outlived its namespace"
    for space in picture.all(kinds.NAMESPACES):
        if status_of(space).get("phase") != "Active":
            yield f"namespace {name_of(space)} is {status_of(space).get('phase')}"


def _deployments(picture: Picture) -> Found:
    sets = picture.all(kinds.REPLICA_SETS)
    for deployment in picture.all(kinds.DEPLOYMENTS):
        wanted, status = spec_of(deployment)["replicas"], status_of(deployment)
        for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"):
            expected = 0 if field == "unavailableReplicas" else wanted
            if status.get(field, 0) != expected:
                yield f"deployment {key_of(deployment)} wants {wanted} and has {field} {status.get(field, 0)}"
        if status.get("observedGeneration") != deployment["metadata"]["generation"]:
            yield f"deployment {key_of(deployment)} was not looked at"
        mine = [one for one in sets if _is_of(one, deployment)]
        if (total := sum(spec_of(one)["replicas"] for one in mine)) != wanted:
            yield f"the replica sets of {key_of(deployment)} want {total}, not {wanted}"
        images = {pod["spec"]["containers"][0]["image"] for one in mine for pod in picture.active(one)}
        if images - {spec_of(deployment)["template"]["spec"]["containers"][0]["image"]}:
            yield f"deployment {key_of(deployment)} runs {images}"


def _replicas(picture: Picture) -> Found:
    for kind in (kinds.REPLICA_SETS, kinds.REPLICATION_CONTROLLERS):
        for obj in picture.all(kind):
            wanted, pods = spec_of(obj)["replicas"], picture.active(obj)
            ready, status = sum(map(is_pod_ready, pods)), status_of(obj)
            told = (status.get("replicas", 0), status.get("readyReplicas", 0), status.get("availableReplicas", 0))
            if not wanted == len(pods) == ready or told != (wanted, wanted, wanted):
                yield f"{kind.resource} {key_of(obj)} wants {wanted}, has {len(pods)}, {ready} ready, and says {told}"


def _daemon_sets(picture: Picture) -> Found:
    nodes = {name_of(node) for node in picture.all(kinds.NODES)}
    for obj in picture.all(kinds.DAEMON_SETS):
        wanted = nodes if namespace_of(obj) == "kube-system" else nodes - {picture.world.control_plane}
        places = Counter(spec_of(pod).get("nodeName") for pod in picture.active(obj))
        if places != Counter(wanted):
            yield f"daemonset {key_of(obj)} runs on {dict(places)}"
        status = status_of(obj)
        for field in ("desiredNumberScheduled", "numberReady", "numberAvailable", "updatedNumberScheduled"):
            if status.get(field) != len(wanted):
                yield f"daemonset {key_of(obj)} says {field} {status.get(field)} of {len(wanted)}"


def _jobs(picture: Picture) -> Found:
    for job in picture.all(kinds.JOBS):
        succeeded, wanted = status_of(job).get("succeeded", 0), spec_of(job)["completions"]
        if has_condition(job, "Failed"):
            continue  # its pods were killed too often
        if not has_condition(job, "Complete") or succeeded != wanted or picture.active(job):
            yield f"job {key_of(job)}: {status_of(job)}"


def _budgets(picture: Picture) -> Found:
    for obj in picture.all(kinds.POD_DISRUPTION_BUDGETS):
        status, pods = status_of(obj), picture.selected(obj)
        if any((controller_of(pod) or {}).get("kind") in (None, "DaemonSet", "Job") for pod in pods):
            continue  # what has no scale cannot be reckoned with
        healthy = sum(map(is_pod_ready, pods))
        wanted = _wanted_healthy(spec_of(obj), len(pods))  # at rest there are as many as are asked for
        allowed = max(0, healthy - wanted) if pods else 0
        told = tuple(status.get(field) for field in ("currentHealthy", "desiredHealthy", "disruptionsAllowed"))
        if told != (healthy, wanted, allowed) or status.get("disruptedPods"):
            yield f"budget {key_of(obj)} of {healthy} pods: {status}"


def _wanted_healthy(spec: Mapping[str, Any], pods: int) -> int:
    if "maxUnavailable" in spec:
        return max(0, pods - _part(spec["maxUnavailable"], pods))
    return _part(spec["minAvailable"], pods)


def _part(value: int | str, pods: int) -> int:
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * pods // 100)


def _endpoints(picture: Picture) -> Found:
    slices, endpoints = picture.all(kinds.ENDPOINT_SLICES), picture.all(kinds.ENDPOINTS)
    for obj in picture.all(kinds.SERVICES):
        if not spec_of(obj).get("selector"):
            continue
        ready = sorted(status_of(pod)["podIP"] for pod in picture.selected(obj) if is_pod_ready(pod))
        told = sorted(
            address
            for one in slices
            if labels_of(one).get("kubernetes.io/service-name") == name_of(obj)
            and namespace_of(one) == namespace_of(obj)
            for endpoint in one["endpoints"] or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        )
        if told != ready:
            yield f"the slices of {key_of(obj)} have {told}, ready are {ready}"
        old = sorted(
            address["ip"]
            for one in endpoints
            if key_of(one) == key_of(obj)
            for subset in one.get("subsets") or ()
            for address in subset.get("addresses") or ()
        )
        if old != ready:
            yield f"the endpoints of {key_of(obj)} have {old}, ready are {ready}"


def _containers(picture: Picture) -> Found:
    """Machines run what was bound to them and nothing else."""
    for machine, kubelet in picture.world.kubelets.items():
        running = {uid for uid, sandbox in kubelet.containerd.sandboxes.items() if sandbox.running()}
        bound = {
            uid_of(pod)
            for pod in picture.pods
            if spec_of(pod).get("nodeName") == machine and not is_pod_finished(pod) and not is_mirror(pod)
        }
        statics = {worker.uid for worker in kubelet.workers() if worker.uid not in bound} & running
        if missing := bound - running:
            yield f"{machine} does not run {missing}"
        if more := running - bound - (statics if machine == picture.world.control_plane else set()):
            yield f"{machine} runs {more}, of which nobody knows"


LOOKS: tuple[Callable[[Picture], Found], ...] = (
    _components, _nodes, _pods, _owners, _namespaces, _deployments, _replicas, _daemon_sets, _jobs, _budgets,
    _endpoints, _containers,
)  # fmt: skip

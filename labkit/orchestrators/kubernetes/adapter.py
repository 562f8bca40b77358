"""The adapter of :class:`labkit.orchestrators.base.Orchestrator` for a Kubernetes cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labkit.errors import ClusterError, UsageError
from labkit.model import Snapshot, Task, Workload
from labkit.orchestrators.base import Machine, as_last_seen, check_replicas
from labkit.orchestrators.kubernetes.cache import Cache
from labkit.orchestrators.kubernetes.connection import MERGE_PATCH, Connection
from labkit.orchestrators.kubernetes.deploying import deployment, service
from labkit.orchestrators.kubernetes.draining import Drain
from labkit.orchestrators.kubernetes.memory import Memory
from labkit.orchestrators.kubernetes.reading import WORKLOADS
from labkit.orchestrators.kubernetes.rollouts import restarted, rolled_back
from labkit.orchestrators.kubernetes.why import explain
from labkit.placement import Why

Json = dict[str, Any]

_READ_TIMEOUT = 4.0
_ACT_TIMEOUT = 10.0
_FIRST_LOOK = 8.0  # seconds for the first lists


class Kubernetes:
    """Reads a cluster by list and watch only, and acts as kubectl does.

    Objects are found by id, by name (in the namespace ``default`` first), or as ``namespace/name``.
    """

    name = "kubernetes"

    def __init__(self, machines: Callable[[], Sequence[Machine]]) -> None:
        env = next((m.env for m in machines() if "KUBECONFIG" in m.env), None)
        if env is None:
            raise ClusterError("none of the machines leads to an API server")
        self._reader = Connection(env["KUBECONFIG"], _READ_TIMEOUT)
        self._actor = Connection(env["KUBECONFIG"], _ACT_TIMEOUT)
        self._cache = Cache(self._reader)
        self._memory = Memory()
        self._seen = (-1, False)
        self.system = False  # whether the cluster's own namespaces (kube-system…) are shown

    @property
    def client(self) -> Any:
        """A ``kubernetes.client.ApiClient``: ``kubernetes.client.CoreV1Api(kube.client)``."""
        return self._actor.client

    # -- looking --------------------------------------------------------------------------------------------------

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        """The cluster now; ``previous`` (or nothing) with ``error`` set if its API server cannot tell. Raises nothing.

        The first call waits for the first lists; later ones only put together what the watches brought.
        """
        self._cache.start()
        if not self._cache.ready(_FIRST_LOOK):
            return as_last_seen(previous, self.name, "the API server did not answer in time")
        error = self._cache.error
        if error:
            return as_last_seen(previous, self.name, error)
        seen = (self._cache.version(), self.system)
        if seen != self._seen:
            self._memory.read(self._cache, self.system)
            self._seen = seen
        memory = self._memory
        return Snapshot(time.time(), self.name, memory.nodes, memory.workloads, memory.tasks, memory.endpoints)

    def wait(self, timeout: float) -> None:
        """Until a watch brings something."""
        self._cache.wait(timeout)

    def wake(self) -> None:
        """Ends a :meth:`wait` that is under way."""
        self._cache.wake()

    # -- acting: workloads ------------------------------------------------------------------------------------------

    def scale(self, workload: str, replicas: int) -> None:
        """As ``kubectl scale``: through the scale sub-resource."""
        check_replicas(replicas)
        found = self._workload(workload)
        if found.kind == "Job":
            self._actor.patch(_path(found), {"spec": {"parallelism": replicas}}, MERGE_PATCH)
            return
        if found.mode != "replicated":
            raise UsageError(f"a {found.kind} cannot be scaled: it runs {_WHERE.get(found.kind, 'as it is')}")
        self._actor.patch(f"{_path(found)}/scale", {"spec": {"replicas": replicas}}, MERGE_PATCH)

    def update(self, workload: str, image: str) -> None:
        """Another image for its first container, as ``kubectl set image``."""
        found = self._workload(workload)
        containers = self._actor.get(_path(found))["spec"]["template"]["spec"]["containers"]
        changed = {"name": containers[0]["name"], "image": image}
        self._actor.patch(_path(found), {"spec": {"template": {"spec": {"containers": [changed]}}}})

    def restart(self, workload: str) -> None:
        """New pods from the same template, by and by, as ``kubectl rollout restart``."""
        self._actor.patch(_path(self._workload(workload)), restarted(time.time()))

    def limit_rollout(self, workload: str, surge: int | str, unavailable: int | str) -> None:
        """How many pods a rollout may have above, and how many ready ones below what is wanted: ``2``, ``"25%"``."""
        limits = {"maxSurge": surge, "maxUnavailable": unavailable}
        found = self._deployment(workload)
        self._actor.patch(_path(found), {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": limits}}})

    def pause_rollout(self, workload: str) -> None:
        """As ``kubectl rollout pause``."""
        self._actor.patch(_path(self._deployment(workload)), {"spec": {"paused": True}})

    def resume_rollout(self, workload: str) -> None:
        """As ``kubectl rollout resume``."""
        self._actor.patch(_path(self._deployment(workload)), {"spec": {"paused": None}})

    def roll_back(self, workload: str) -> None:
        """Back to the revision before, as ``kubectl rollout undo``."""
        found = self._deployment(workload)
        sets = self._actor.get(f"/apis/apps/v1/namespaces/{found.namespace}/replicasets")["items"]
        template = rolled_back(found.id, sets)
        if template is None:
            raise ClusterError(f"no rollout history found for deployment {found.name!r}")
        self._actor.send(
            "PATCH",
            _path(found),
            None,
            [{"op": "replace", "path": "/spec/template", "value": template}],
            "application/json-patch+json",
        )

    def deploy(
        self,
        name: str,
        image: str,
        replicas: int = 1,
        ports: Mapping[int, int] | Sequence[str] = (),
        **options: Any,
    ) -> str:
        """A Deployment; with ``ports`` a Service in front of it too. :mod:`.deploying` knows the options."""
        namespace = options.pop("namespace", "default")
        made = self._actor.post(
            f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment(name, image, replicas, ports, **options)
        )
        if ports:
            self._actor.post(f"/api/v1/namespaces/{namespace}/services", service(name, ports))
        return str(made["metadata"]["uid"])

    def remove(self, workload: str) -> None:
        """Deletes it, and with it (in the background) what it owns."""
        self._actor.delete(_path(self._workload(workload)), {"propagationPolicy": "Background"})

    # -- acting: pods and nodes -------------------------------------------------------------------------------------

    def kill(self, task_id: str) -> None:
        """Deletes a pod at once, without grace: whoever keeps it makes another."""
        pod = self._pod(task_id)
        self._actor.delete(_pod_path(pod), {"gracePeriodSeconds": 0})

    def relabel(self, task_id: str, label: str, value: str | None) -> None:
        """Sets a pod's label, or takes it away with None."""
        pod = self._pod(task_id)
        self._actor.patch(_pod_path(pod), {"metadata": {"labels": {label: value}}}, MERGE_PATCH)

    def drain(self, node: str) -> None:
        """Cordons the node and evicts its pods, as ``kubectl drain --ignore-daemonsets --force``.

        Returns when every pod was evicted or refused by a budget; ClusterError names those that were refused.
        """
        name = self._node(node)
        self._cordon(name, True)
        Drain(self._actor, name).run()

    def activate(self, node: str) -> None:
        """As ``kubectl uncordon``."""
        self._cordon(self._node(node), False)

    def pause(self, node: str) -> None:
        """As ``kubectl cordon``: it keeps its pods and gets no new ones."""
        self._cordon(self._node(node), True)

    # -- asking why -------------------------------------------------------------------------------------------------

    def why(self, task: str, ask: Callable[[str, str], Json | None] = lambda namespace, name: None) -> Why:
        """Why a pod is on its node, or on none.

        ``ask`` is told namespace and name, and gives the scheduler's own table where somebody has kept it.
        """
        found = self._pod(task)
        pod = self._cache.items("pods").get(found.id)
        if pod is None:
            raise ClusterError(f'pods "{found.name}" not found')
        return explain(
            pod,
            self._cache.items("nodes").values(),
            self._cache.items("pods").values(),
            self._events_of(pod),
            ask(found.namespace, found.name),
        )

    def _events_of(self, pod: Json) -> list[Json]:
        if pod["spec"].get("nodeName"):
            return []  # it has its place; what was said while it waited is past
        metadata = pod["metadata"]
        about = {"fieldSelector": f"involvedObject.uid={metadata['uid']},reason=FailedScheduling"}
        events: list[Json] = self._actor.get(f"/api/v1/namespaces/{metadata['namespace']}/events", about)["items"]
        return events

    def _cordon(self, node: str, wanted: bool) -> None:
        self._actor.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": wanted or None}}, MERGE_PATCH)

    def close(self) -> None:
        self._cache.close()
        self._reader.close()
        self._actor.close()

    # -- finding ----------------------------------------------------------------------------------------------------

    def _workload(self, wanted: str) -> Workload:
        return _find(self._now().workloads, wanted, "workload")

    def _deployment(self, wanted: str) -> Workload:
        found = self._workload(wanted)
        if found.kind != "Deployment":
            raise UsageError(f"{found.name} is a {found.kind}; only a Deployment has rollouts")
        return found

    def _pod(self, wanted: str) -> Task:
        return _find(self._now().tasks, wanted, "pod")

    def _node(self, wanted: str) -> str:
        nodes = self._now().nodes
        if wanted in nodes:
            return nodes[wanted].name
        if any(node.name == wanted for node in nodes.values()):
            return wanted
        raise ClusterError(f'nodes "{wanted}" not found')

    def _now(self) -> Snapshot:
        snapshot = self.snapshot(None)
        if snapshot.error:
            raise ClusterError(snapshot.error)
        return snapshot


_WHERE = {"DaemonSet": "once on every node that fits", "Pod": "once"}


def _path(workload: Workload) -> str:
    if workload.kind == "Pod":
        return f"/api/v1/namespaces/{workload.namespace}/pods/{workload.name}"
    resource, group = WORKLOADS[workload.kind]
    return f"{group}/namespaces/{workload.namespace}/{resource}/{workload.name}"


def _pod_path(pod: Task) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _find(there: Mapping[str, Any], wanted: str, what: str) -> Any:
    """By id; else by name: what nobody owns first, in ``default`` first."""
    if wanted in there:
        return there[wanted]
    namespace, slash, name = wanted.rpartition("/")
    named = [one for one in there.values() if one.name == name and (not slash or one.namespace == namespace)]
    if not named:
        raise ClusterError(f'there is no {what} "{wanted}"')
    return min(named, key=lambda one: (bool(getattr(one, "owner", "")), one.namespace != "default", one.namespace))

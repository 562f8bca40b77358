"""What the watches say, brought into the cluster and the queue."""

from __future__ import annotations

from collections.abc import Callable

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.client import Informers
from labkit.embedded.kubernetes.objects import Json, is_pod_finished, key_of, labels_of, spec_of, status_of
from labkit.embedded.kubernetes.scheduler import requeue
from labkit.embedded.kubernetes.scheduler.cluster import Cluster
from labkit.embedded.kubernetes.scheduler.nodes import NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shapes
from labkit.embedded.kubernetes.scheduler.queue import SchedulingQueue
from labkit.embedded.kubernetes.scheduler.requeue import Happening, What
from labkit.embedded.kubernetes.selectors import Selector


class Watching:
    """Handlers of the informers. ``wake`` is called when there may be somebody to schedule, ``gone`` with pods that
    are no more."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        queue: SchedulingQueue,
        shapes: Shapes,
        *,
        wake: Callable[[], None],
        gone: Callable[[PodInfo], None],
    ) -> None:
        self._name = name
        self._cluster = cluster
        self._queue = queue
        self._wake = wake
        self._gone = gone
        self._shapes = shapes

    def listen(self, informers: Informers) -> None:
        """Ask to be told of everything that decisions depend on."""
        cluster = self._cluster
        informers[kinds.NODES].on(self.node, lambda old, new: self.node(new), self.node_gone)
        informers[kinds.NAMESPACES].on(
            lambda obj: cluster.put_namespace(key_of(obj)[1], labels_of(obj)),
            lambda old, new: cluster.put_namespace(key_of(new)[1], labels_of(new)),
            lambda obj: cluster.put_namespace(key_of(obj)[1], None),
        )
        informers[kinds.SERVICES].on(self.service, lambda old, new: self.service(new), self.service_gone)
        for kind in (kinds.REPLICA_SETS, kinds.REPLICATION_CONTROLLERS):
            informers[kind].on(self.owner, self.owner_changed, self.owner_gone)
        informers[kinds.POD_DISRUPTION_BUDGETS]  # only looked at: asking for it makes it follow
        informers[kinds.PODS].on(self.pod, self.pod_changed, self.pod_gone)

    # -- pods

    def pod(self, obj: Json) -> None:
        if is_pod_finished(obj):
            self.pod_gone(obj)
            return
        pod = self._shapes.read(obj, self._cluster.pods.get(key_of(obj)))
        if pod.node:
            self._assigned(pod)
        elif spec_of(obj).get("schedulerName", self._name) == self._name and pod.key not in self._cluster.assumed:
            if pod.nominated != self._cluster.nomination(pod.key) and pod.key not in self._queue:
                self._cluster.nominate(pod, pod.nominated)  # from before this scheduler was started
            self._renominate(pod)
            if self._queue.update(pod):
                self._wake()

    def _renominate(self, pod: PodInfo) -> None:
        """A pod for which room is kept may change its labels meanwhile, which is others' business, too."""
        before = self._cluster.nominee(pod.key)
        if before is not None and before.shape is not pod.shape:
            self._cluster.nominate(pod, self._cluster.nomination(pod.key))
            self.happened(Happening(What.POD_LABELS, pod=pod, before=before))

    def pod_changed(self, old: Json, new: Json) -> None:
        known = self._cluster.pods.get(key_of(new))
        if known is not None and old is not new and _only_status_differs(old, new) and not is_pod_finished(new):
            known.obj = new
            known.started = status_of(new).get("startTime") or ""
            return
        self.pod(new)

    def _assigned(self, pod: PodInfo) -> None:
        cluster = self._cluster
        self._queue.remove(pod.key)
        if cluster.nomination(pod.key):
            cluster.withdraw(pod.key)
        assumed = pod.key in cluster.assumed
        before = cluster.put_pod(pod)
        if before is None or (assumed and before.node == pod.node):
            self.happened(Happening(What.POD_ADDED, pod=pod))
        elif before.shape is not pod.shape:
            self.happened(Happening(What.POD_LABELS, pod=pod, before=before))

    def pod_gone(self, obj: Json) -> None:
        key = key_of(obj)
        queued = self._queue.remove(key)
        nominated = self._cluster.nomination(key)
        self._cluster.withdraw(key)
        pod = self._cluster.remove_pod(key)
        if pod is None and queued is not None and nominated:
            pod = queued.pod  # the room that was made for it is free, as if it had been there
            self.happened(Happening(What.POD_DELETED, pod=pod))
        elif pod is not None:
            self.happened(Happening(What.POD_DELETED, pod=pod))
        known = pod or (queued.pod if queued is not None else None)
        if known is not None:
            self._gone(known)

    # -- nodes

    def node(self, obj: Json) -> None:
        before, facts = self._cluster.put_node(obj)
        if before is not facts:
            for happening in requeue.of_node(before, self._cluster.nodes[key_of(obj)[1]]):
                self.happened(happening)

    def node_gone(self, obj: Json) -> None:
        name = key_of(obj)[1]
        node = self._cluster.nodes.get(name)
        if node is not None:
            former = NodeInfo(name, node.facts)
            self._cluster.remove_node(name)
            self.happened(Happening(What.NODE_DELETED, former))

    # -- what pods belong to

    def service(self, obj: Json) -> None:
        self._cluster.put_service(*key_of(obj), spec_of(obj).get("selector"))

    def service_gone(self, obj: Json) -> None:
        self._cluster.put_service(*key_of(obj), None)

    def owner(self, obj: Json) -> None:
        namespace, name = key_of(obj)
        self._cluster.put_owner(namespace, obj["kind"], name, _selector_of(obj))

    def owner_changed(self, old: Json, new: Json) -> None:
        if spec_of(old).get("selector") != spec_of(new).get("selector"):
            self.owner(new)

    def owner_gone(self, obj: Json) -> None:
        namespace, name = key_of(obj)
        self._cluster.put_owner(namespace, obj["kind"], name, None)

    def happened(self, happening: Happening) -> None:
        """Have those tried again whom it may help."""
        cluster = self._cluster
        if self._queue.move(lambda shape, plugins: requeue.worth_a_try(shape, plugins, happening, cluster)):
            self._wake()


def _only_status_differs(old: Json, new: Json) -> bool:
    before, after = old["metadata"], new["metadata"]
    return (
        old["spec"] == new["spec"]
        and before.get("uid") == after.get("uid")
        and before.get("labels") == after.get("labels")
        and before.get("deletionTimestamp") == after.get("deletionTimestamp")
    )


def _selector_of(obj: Json) -> Selector | None:
    selector = spec_of(obj).get("selector")
    if obj["kind"] == kinds.REPLICATION_CONTROLLERS.kind:
        return selectors.of_map(selector) if selector else None
    try:
        return selectors.of(selector)
    except selectors.SelectorError:
        return None

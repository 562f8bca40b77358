"""What the scheduler believes of the cluster: nodes, the pods on them, those it has just sent there.

A pod that was decided on is *assumed* to be on its node from then on, so that the next decision counts with it while
the binding is still on its way.

Every change is noted, for those who keep something computed: what concerns one node (its totals, its taints) in the
``journal``, anything of wider consequence (a node's labels, a pod with affinity, a service) by a new ``epoch``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json, Key
from labkit.embedded.kubernetes.scheduler.nodes import NO_FACTS, NodeFacts, NodeInfo
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape, merged
from labkit.embedded.kubernetes.selectors import Selector

JOURNAL_LENGTH = 20_000


class Cluster:
    def __init__(self) -> None:
        self.nodes: dict[str, NodeInfo] = {}
        self.pods: dict[Key, PodInfo] = {}  # on a node, or assumed to be
        self.assumed: set[Key] = set()
        self.sociable: Counter[str] = Counter()  # node → its pods with terms of pod (anti-)affinity
        self.image_nodes: Counter[str] = Counter()  # image name → nodes that have it
        self.image_bytes: dict[str, int] = {}  # image name → its size, the biggest that was ever seen
        self.namespaces: dict[str, Mapping[str, str]] = {}  # name → labels
        self.nominated: dict[str, dict[Key, PodInfo]] = {}  # node → pods that others made room for there
        self.taintings = 0  # how often any node's taints have changed
        self.epoch = 0
        self.journal: list[str] = []
        self._absent: dict[str, NodeInfo] = {}  # nodes that pods are on, but that are not there (yet, or any more)
        self._nominations: dict[Key, str] = {}
        self._services: dict[str, dict[str, Selector]] = {}  # namespace → name → selector
        self._owners: dict[tuple[str, str, str], Selector | None] = {}  # namespace, kind, name → selector

    # -- nodes

    def put_node(self, node: Json) -> tuple[NodeFacts | None, NodeFacts]:
        """Take in a node as it is now. Returns what was known of it before, and what is now."""
        name = node["metadata"]["name"]
        facts = NodeFacts.of(node)
        info = self.nodes.get(name)
        if info is None:
            info = self._absent.pop(name, None) or NodeInfo(name)
            info.describe(facts)
            self.nodes[name] = info
            self._count_images(facts, 1)
            self._sweep()
            return None, facts
        before = info.facts
        if before == facts:
            return before, before
        self._count_images(before, -1)
        self._count_images(facts, 1)
        info.describe(facts)
        if before.labels == facts.labels:
            self._note(name)  # who cares how far an image has spread, or who is tainted, asks for that
        else:
            self._sweep()
        if before.taints != facts.taints:
            self.taintings += 1
        return before, facts

    def remove_node(self, name: str) -> None:
        info = self.nodes.pop(name, None)
        if info is None:
            return
        self._count_images(info.facts, -1)
        info.describe(NO_FACTS)
        if info.pods:
            self._absent[name] = info
        self._sweep()

    def _count_images(self, facts: NodeFacts, sign: int) -> None:
        for image, size in facts.images.items():
            self.image_nodes[image] += sign
            if size > self.image_bytes.get(image, 0):
                self.image_bytes[image] = size

    # -- pods

    def put_pod(self, pod: PodInfo) -> PodInfo | None:
        """Take in a pod that has a node, as the API server has it now. Returns it as it was known before."""
        before = self.pods.get(pod.key)
        self.assumed.discard(pod.key)
        if before is not None:
            if before.node == pod.node and before.shape is pod.shape and before.terminating == pod.terminating:
                # Only its status changed, or it is the confirmation of what was assumed.
                self.pods[pod.key] = self._home(pod.node).pods[pod.key] = pod
                if pod.shape.sociable:
                    self._home(pod.node).sociable[pod.key] = pod
                return before
            self._take(before)
        self._place(pod)
        return before

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count with a pod on a node to which it is only about to be bound."""
        self.assumed.add(pod.key)
        self._place(pod.on(node))

    def forget(self, key: Key) -> None:
        """The binding came to nothing."""
        if key in self.assumed:
            self.remove_pod(key)

    def remove_pod(self, key: Key) -> PodInfo | None:
        self.assumed.discard(key)
        pod = self.pods.get(key)
        if pod is not None:
            self._take(pod)
        return pod

    def _home(self, name: str) -> NodeInfo:
        info = self.nodes.get(name) or self._absent.get(name)
        if info is None:
            info = self._absent[name] = NodeInfo(name)
        return info

    def _place(self, pod: PodInfo) -> None:
        self.pods[pod.key] = pod
        self._home(pod.node).add(pod)
        self._moved(pod, 1)

    def _take(self, pod: PodInfo) -> None:
        del self.pods[pod.key]
        home = self._home(pod.node)
        home.remove(pod)
        self._moved(pod, -1)
        if not home.pods and pod.node in self._absent:
            del self._absent[pod.node]

    def _moved(self, pod: PodInfo, sign: int) -> None:
        if pod.shape.sociable:
            self.sociable[pod.node] += sign
            if not self.sociable[pod.node]:
                del self.sociable[pod.node]
            self._sweep()
        else:
            self._note(pod.node)

    def sociable_nodes(self) -> Iterator[NodeInfo]:
        """Those that hold pods with terms of pod (anti-)affinity."""
        return (self.nodes[name] for name in self.sociable if name in self.nodes)

    # -- nominations

    def nominate(self, pod: PodInfo, node: str) -> None:
        """Others were pushed aside for it there; pods of lower priority must not take the room."""
        self.withdraw(pod.key)
        if node:
            self._nominations[pod.key] = node
            self.nominated.setdefault(node, {})[pod.key] = pod
            self._renominated(pod, node)

    def withdraw(self, key: Key) -> None:
        node = self._nominations.pop(key, None)
        if node is None:
            return
        pod = self.nominated[node].pop(key)
        if not self.nominated[node]:
            del self.nominated[node]
        self._renominated(pod, node)

    def nomination(self, key: Key) -> str:
        return self._nominations.get(key, "")

    def nominee(self, key: Key) -> PodInfo | None:
        """The pod as it was when it was nominated."""
        return self.nominated[self._nominations[key]][key] if key in self._nominations else None

    def _renominated(self, pod: PodInfo, node: str) -> None:
        if pod.shape.sociable or pod.shape.constraints:
            self._sweep()
        else:
            self._note(node)

    def nominated_to(self, node: str, pod: PodInfo | None, priority: int) -> list[PodInfo]:
        """The other pods nominated to a node that are at least as important."""
        found = self.nominated.get(node)
        if not found:
            return []
        own = pod.key if pod is not None else None
        return [other for key, other in found.items() if key != own and other.shape.priority >= priority]

    def nominated_below(self, node: str, priority: int) -> list[PodInfo]:
        """The pods nominated to a node that are less important."""
        return [pod for pod in self.nominated.get(node, {}).values() if pod.shape.priority < priority]

    # -- services and other owners: only their selectors matter, for spreading by default

    def put_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """``labels`` None: it is gone."""
        before = self.namespaces.get(name)
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        if before != labels and self.sociable:
            self._sweep()

    def put_service(self, namespace: str, name: str, selector: Mapping[str, str] | None) -> None:
        """``selector`` None or empty: it selects no pods, or is gone."""
        services = self._services.setdefault(namespace, {})
        wanted = selectors.of_map(selector) if selector else None
        if services.get(name) != wanted:
            if wanted is None:
                del services[name]
            else:
                services[name] = wanted
            self._sweep()

    def put_owner(self, namespace: str, kind: str, name: str, selector: Selector | None) -> None:
        key = (namespace, kind, name)
        if self._owners.get(key) == selector:
            return
        if selector is None:
            self._owners.pop(key, None)
        else:
            self._owners[key] = selector
        # No new epoch: whoever depends on it asks for this very selector.

    def owner_selector(self, shape: Shape) -> Selector | None:
        """Of the controller that a pod belongs to; the same object as long as it does not change."""
        owner = shape.owner
        if owner is None or (owner.api_version, owner.kind) not in OWNER_KINDS:
            return None
        return self._owners.get((shape.namespace, owner.kind, owner.name))

    def default_selector(self, shape: Shape) -> Selector:
        """Of the services and of the controller that a pod belongs to (``helper.DefaultSelector``); empty if none."""
        found = [
            selector for selector in self._services.get(shape.namespace, {}).values() if selector.matches(shape.labels)
        ]
        owner = self.owner_selector(shape)
        if owner is not None:
            found.append(owner)
        return merged(found)

    # -- notes

    def _note(self, node: str) -> None:
        self.journal.append(node)
        if len(self.journal) > JOURNAL_LENGTH:
            self._sweep()

    def _sweep(self) -> None:
        self.epoch += 1
        self.journal.clear()

    @property
    def state(self) -> tuple[int, int]:
        """Equal as long as nothing has changed that a decision could depend on."""
        return self.epoch, len(self.journal)


OWNER_KINDS = {("v1", "ReplicationController"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet")}

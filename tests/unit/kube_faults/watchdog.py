"""What must hold at every single change of a cluster, whatever is done to it."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.etcd.record import Change
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.kubelet.pods import is_mirror
from labkit.embedded.kubernetes.objects import (
    Json,
    controller_of,
    is_pod_active,
    is_pod_finished,
    is_pod_ready,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    owners_of,
    spec_of,
    status_of,
    uid_of,
)
from labkit.embedded.kubernetes.registry import Registry, WriteOptions
from labkit.embedded.kubernetes.scheduler import resources
from labkit.embedded.runtime.clock import Clock

LATELY = 2.0
"""Seconds for which a controller may go by what it has just read: it hears of a change a moment after it."""

_ORDER = {"": 0, "Pending": 0, "Unknown": 0, "Running": 1, "Succeeded": 2, "Failed": 2}


class Broken(AssertionError):
    """Something that must hold does not."""


class Lately:
    """The highest that a number has been during the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._past: deque[tuple[float, int]] = deque()  # when it ceased to be so, what it was
        self._now = 0

    def set(self, value: int) -> None:
        if value != self._now:
            self._past.append((self._clock.time(), self._now))
            self._now = value

    @property
    def highest(self) -> int:
        while self._past and self._past[0][0] < self._clock.time() - LATELY:
            self._past.popleft()
        return max([self._now, *(value for _, value in self._past)])


class Watchdog:
    """Hears of every change before anybody else, and says what is wrong with it.

    What is wrong is kept in ``broken`` rather than raised, since the writer is not to blame the watcher.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.clock = registry.clock
        self.broken: list[str] = []
        self.evictions = self.evictions_of_budgets = self.binds = self.changes = 0
        self.orphaned: dict[str, set[str]] = {}  # owners deleted with Orphan: uid -> pods and ReplicaSets that stay
        self._revision = registry.etcd.revision
        self._owners: dict[str, Json] = {}  # everything that may own something, also a moment after its end
        self._pods: dict[str, Json] = {}
        self._by_owner: dict[str, set[str]] = defaultdict(set)  # controller's uid -> active pods'
        self._by_node: dict[str, set[str]] = defaultdict(set)
        self._wanted: dict[str, Lately] = {}  # uid of what has replicas
        self._surge: dict[str, Lately] = {}  # uid of a Deployment
        self._foreground: set[str] = set()  # owners that go last
        self._evicted: set[str] = set()
        self._evicting = False
        self._disturbed: set[str] = set()  # budgets that have lost pods in other ways
        self._requests: dict[str, resources.Resources] = {}
        self._ips: dict[str, str] = {}
        for kind in sorted(kinds.stored(), key=lambda kind: kind is kinds.PODS):  # owners before theirs
            for record in registry.list(kind).records:
                self._take(kind, None, record.obj)
        registry.etcd.subscribe(self._changed)
        self._evict = registry.evict
        registry.evict = self.evict  # type: ignore[assignment,method-assign]

    def check(self) -> None:
        """Raises :class:`Broken` if something was wrong since the beginning."""
        if self.broken:
            raise Broken("; ".join(self.broken[:5]))

    def _must(self, holds: Any, *words: object) -> None:
        if not holds:
            self.broken.append(" ".join(map(str, words)))

    # -- every change

    def _changed(self, kind: Kind, change: Change) -> None:
        old = change.old.obj if change.old is not None else None
        new = change.new.obj if change.new is not None else None
        self.changes += 1
        self._must(change.revision > self._revision, kind, change.key, "revision goes back", change.revision)
        self._revision = change.revision
        if new is not None:
            self._must(int(new["metadata"]["resourceVersion"]) == change.revision, kind, change.key, "wrong version")
        if old is not None and new is not None:
            self._check_identity(kind, old, new)
        if new is None and old is not None:
            # What is removed is the object as it was when its last finalizer was taken away.
            self._must(len(old["metadata"].get("finalizers") or ()) <= 1, kind, change.key, "goes with its finalizers")
        self._take(kind, old, new)

    def _check_identity(self, kind: Kind, old: Json, new: Json) -> None:
        was, now = old["metadata"], new["metadata"]
        for field in ("uid", "creationTimestamp"):
            self._must(was.get(field) == now.get(field), kind, key_of(new), field, "changes")
        self._must(was.get("generation", 0) <= now.get("generation", 0), kind, key_of(new), "generation goes back")
        self._must(not is_terminating(old) or is_terminating(new), kind, key_of(new), "comes back from its end")

    def _take(self, kind: Kind, old: Json | None, new: Json | None) -> None:
        if kind is kinds.PODS:
            self._take_pod(old, new)
        elif kind is kinds.POD_DISRUPTION_BUDGETS:
            self._take_budget(old, new)
        elif kind in _OWNERS:
            self._take_owner(kind, old, new)

    # -- owners

    def _take_owner(self, kind: Kind, old: Json | None, new: Json | None) -> None:
        obj = new if new is not None else old
        assert obj is not None
        uid = uid_of(obj)
        self._owners[uid] = obj
        replicas = spec_of(obj).get("replicas", 1)
        if kind in _SCALED and new is not None:
            before = self._wanted[uid].highest if uid in self._wanted else 0
            self._wanted.setdefault(uid, Lately(self.clock)).set(replicas)
            if kind is kinds.DEPLOYMENTS:
                self._surge.setdefault(uid, Lately(self.clock)).set(_surge(new))
            elif kind is kinds.REPLICA_SETS and replicas > before:
                self._check_surge(new)
        if kind is kinds.REPLICA_SETS:
            self._check_owners(old, new)
        if new is not None:
            if "foregroundDeletion" in (new["metadata"].get("finalizers") or ()):
                self._foreground.add(uid)
            return
        waited_for = self._blocking(uid) if uid in self._foreground and not self._namespace_ends(obj) else []
        self._must(not waited_for, kind, key_of(obj), "goes before what it waits for:", waited_for)
        self._foreground.discard(uid)
        for dependent in self.orphaned.pop(uid, ()):
            self._check_orphan(uid, dependent)

    def _blocking(self, uid: str) -> list[str]:
        """What an owner that goes in the foreground has to wait for."""
        return [
            name_of(obj)
            for obj in (*self._pods.values(), *self._live(kinds.REPLICA_SETS))
            for reference in owners_of(obj)
            if reference["uid"] == uid and reference.get("blockOwnerDeletion")
        ]

    def _namespace_ends(self, obj: Json) -> bool:
        """Then everything in it goes, in no order."""
        found = self.registry.etcd.cached(kinds.NAMESPACES).records.get(("", obj["metadata"]["namespace"]))
        return found is None or is_terminating(found.obj)

    def _live(self, kind: Kind) -> list[Json]:
        return [record.obj for record in self.registry.etcd.cached(kind).records.values()]

    def _check_orphan(self, owner: str, dependent: str) -> None:
        obj = self._pods.get(dependent)
        if obj is not None and not is_terminating(obj):
            self._must(all(r["uid"] != owner for r in owners_of(obj)), name_of(obj), "was to be an orphan and is none")

    def _check_owners(self, old: Json | None, new: Json | None) -> None:
        """One controller at most; a new one only after the old one has let go; and it has been there."""
        if new is None:
            return
        references = [owner for owner in owners_of(new) if owner.get("controller")]
        self._must(len(references) <= 1, key_of(new), "has two controllers")
        before = controller_of(old) if old is not None else None
        if not references or (before is not None and before["uid"] == references[0]["uid"]):
            return
        reference = references[0]
        self._must(before is None, key_of(new), "changes its controller without being let go")
        if reference["kind"] == "Node":  # a mirror pod's: by the node's own uid
            return
        owner = self._owners.get(reference["uid"])
        if owner is None:
            self._must(False, key_of(new), "has a controller that never was:", reference)
            return
        same = (owner["kind"], name_of(owner)) == (reference["kind"], reference["name"])
        self._must(same, key_of(new), "names its controller wrongly", reference)

    def _check_surge(self, replica_set: Json) -> None:
        """A Deployment's ReplicaSets together want no more than it allows, whenever one of them wants more."""
        reference = controller_of(replica_set)
        if reference is None or reference["uid"] not in self._surge:
            return
        uid = reference["uid"]
        total = sum(
            spec_of(obj).get("replicas", 1)
            for obj in (*self._others(replica_set), replica_set)
            if (controller_of(obj) or {}).get("uid") == uid
        )
        most = self._wanted[uid].highest + self._surge[uid].highest
        self._must(total <= most, key_of(replica_set), f"brings its Deployment to {total} replicas of at most {most}")

    def _others(self, replica_set: Json) -> list[Json]:
        return [obj for obj in self._live(kinds.REPLICA_SETS) if uid_of(obj) != uid_of(replica_set)]

    # -- pods

    def _take_pod(self, old: Json | None, new: Json | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        uid, key = uid_of(pod), key_of(pod)
        self._check_owners(old, new)
        if old is not None:
            self._forget_pod(old)
            self._disturb(old, new)
        if new is None:
            self._pods.pop(uid, None)
            self._requests.pop(uid, None)
            return
        self._pods[uid] = new
        node = spec_of(new).get("nodeName", "")
        if old is not None:
            was = spec_of(old).get("nodeName", "")
            self._must(not was or was == node, key, f"moves from {was} to {node or 'nowhere'}")
            self._check_phase(old, new)
        else:
            was = ""
        if not is_pod_finished(new):
            self._by_node[node].add(uid)
        reference = controller_of(new)
        if reference is not None and is_pod_active(new):
            self._by_owner[reference["uid"]].add(uid)
            if old is None:
                self._check_number(new, reference)
        if node and not was:
            self.binds += 1
            self._must(not is_terminating(new), key, "is bound on its way out")
            self._check_node(node, new)
        self._check_ip(new)

    def _forget_pod(self, pod: Json) -> None:
        uid = uid_of(pod)
        self._by_node[spec_of(pod).get("nodeName", "")].discard(uid)
        if (reference := controller_of(pod)) is not None:
            self._by_owner[reference["uid"]].discard(uid)
        if (ip := status_of(pod).get("podIP")) and self._ips.get(ip) == uid:
            del self._ips[ip]

    def _check_phase(self, old: Json, new: Json) -> None:
        was, now = status_of(old).get("phase", ""), status_of(new).get("phase", "")
        final = is_pod_finished(old)
        if not is_mirror(new):
            self._must(
                _ORDER[was] <= _ORDER[now] and (not final or was == now), key_of(new), f"goes from {was} to {now}"
            )
        counts = {c["name"]: c.get("restartCount", 0) for c in status_of(old).get("containerStatuses") or ()}
        for container in status_of(new).get("containerStatuses") or ():
            before = counts.get(container["name"], 0)
            self._must(container.get("restartCount", 0) >= before, key_of(new), "forgets restarts")

    def _check_number(self, pod: Json, reference: Json) -> None:
        """Nobody makes more pods than it is asked for."""
        uid = reference["uid"]
        active = self._by_owner[uid]
        if uid in self._wanted:
            most = self._wanted[uid].highest
            self._must(len(active) <= most, key_of(pod), f"is number {len(active)} of {most} of {reference['name']}")
        elif reference["kind"] == "Job" and (job := self._owners.get(uid)) is not None:
            most = spec_of(job).get("parallelism", 1)
            self._must(len(active) <= most, key_of(pod), f"is number {len(active)} of {most} at a time")
        elif reference["kind"] == "DaemonSet":
            places = [_target(self._pods[one]) for one in active]
            self._must(len(places) == len(set(places)), key_of(pod), "is the second of its DaemonSet for a node")

    def _check_node(self, node: str, pod: Json) -> None:
        record = self.registry.etcd.cached(kinds.NODES).records.get(("", node))
        if is_mirror(pod):
            return  # its kubelet runs it whatever the others say
        if record is None:
            self._must(False, key_of(pod), "is bound to a node that is not there:", node)
            return
        has = resources.amounts(status_of(record.obj).get("allocatable"))
        used: dict[str, int] = {resources.PODS: len(self._by_node[node])}
        for uid in self._by_node[node]:
            if uid not in self._requests:
                self._requests[uid] = resources.of_pod(self._pods[uid]["spec"])
            for name, amount in self._requests[uid].items():
                used[name] = used.get(name, 0) + amount
        asked = {resources.PODS: 1, **resources.of_pod(pod["spec"])}
        for name in asked:
            self._must(used[name] <= has.get(name, 0), f"{node} has {has.get(name)} {name}, asked are {used[name]}")

    def _check_ip(self, pod: Json) -> None:
        ip = status_of(pod).get("podIP")
        if not ip or is_pod_finished(pod) or spec_of(pod).get("hostNetwork"):
            return
        holder = self._ips.setdefault(ip, uid_of(pod))
        if holder != uid_of(pod):
            self._must(False, key_of(pod), f"has the address {ip} of", key_of(self._pods[holder]))

    # -- evictions

    def evict(self, namespace: str, name: str, eviction: Json, options: WriteOptions | None = None) -> Json:
        """In the place of the registry's, which it calls: is it right to grant this one?"""
        pod = self.registry.get(kinds.PODS, namespace, name)
        budgets = self._budgets(pod) if _is_healthy(pod) else []
        before = [self._healthy(budget) for budget in budgets]
        self._evicted.add(uid_of(pod))
        self._evicting = True
        try:
            answer = self._evict(namespace, name, eviction, options)
        except StatusError:
            self._evicted.discard(uid_of(pod))
            raise
        finally:
            self._evicting = False
        self.evictions += 1
        for budget, healthy in zip(budgets, before, strict=True):
            self._check_eviction(pod, budget, healthy)
        return answer

    def _check_eviction(self, pod: Json, budget: Json, healthy: int) -> None:
        """A budget that has lost pods in other ways, and of which the controller has not heard yet, may be overdrawn:
        the API server goes by its status, in real clusters too. Evictions alone may never overdraw it."""
        if uid_of(budget) in self._disturbed:
            return
        self.evictions_of_budgets += 1
        least = status_of(budget).get("desiredHealthy", 0)
        self._must(healthy > least, f"evicting {key_of(pod)} leaves {healthy - 1} of {least} of {key_of(budget)}")

    def _take_budget(self, old: Json | None, new: Json | None) -> None:
        """The controller's word on how many are healthy counts as soon as it is not too much."""
        if new is None or self._evicting:
            return
        if old is None or spec_of(old) != spec_of(new):
            self._disturbed.add(uid_of(new))
        elif status_of(new).get("currentHealthy", 0) <= self._healthy(new):
            self._disturbed.discard(uid_of(new))

    def _disturb(self, old: Json, new: Json | None) -> None:
        """Notice the budgets that lose a healthy pod otherwise than by its eviction."""
        if not _is_healthy(old) or uid_of(old) in self._evicted:
            return
        lost = new is None or not _is_healthy(new)
        if lost or labels_of(old) != labels_of(new or {}):
            self._disturbed.update(uid_of(budget) for budget in self._budgets(old))

    def _budgets(self, pod: Json) -> list[Json]:
        rows = self.registry.etcd.cached(kinds.POD_DISRUPTION_BUDGETS).in_namespace(pod["metadata"]["namespace"])
        return [row.obj for row in rows.values() if _selects(row.obj, pod)]

    def _healthy(self, budget: Json) -> int:
        """How many pods of the budget are ready now, and stay."""
        return sum(_is_healthy(pod) and _selects(budget, pod) for pod in self._pods.values())


def _is_healthy(pod: Json) -> bool:
    return is_pod_ready(pod) and is_pod_active(pod)


def _selects(budget: Json, pod: Json) -> bool:
    same = budget["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and selectors.matches(spec_of(budget).get("selector"), labels_of(pod))


_SCALED = frozenset({kinds.DEPLOYMENTS, kinds.REPLICA_SETS, kinds.REPLICATION_CONTROLLERS})
_OWNERS = _SCALED | {kinds.DAEMON_SETS, kinds.JOBS}


def _surge(deployment: Json) -> int:
    strategy = spec_of(deployment).get("strategy") or {}
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge", 0)
    if isinstance(surge, str):
        return -(-int(surge.removesuffix("%")) * spec_of(deployment).get("replicas", 1) // 100)
    return int(surge)


def _target(pod: Json) -> str:
    """The node that a DaemonSet's pod is for."""
    affinity = spec_of(pod)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(affinity["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])

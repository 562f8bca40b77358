"""DaemonSets: a pod on every node that allows it (``pkg/controller/daemon``).

The controller says for which node a pod is, the scheduler binds it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Informer, Informers
from labkit.embedded.kubernetes.client.index import by_controller, orphans
from labkit.embedded.kubernetes.controllers import history
from labkit.embedded.kubernetes.controllers.claims import claim
from labkit.embedded.kubernetes.controllers.daemonset.decide import Plan, Rules, limits, placing, rolling, status
from labkit.embedded.kubernetes.controllers.daemonset.placement import Placement, on_node, target_of, with_tolerations
from labkit.embedded.kubernetes.controllers.podcontrol import is_namespace_ending, slow_start
from labkit.embedded.kubernetes.controllers.podowner import PodOwner
from labkit.embedded.kubernetes.controllers.pods import available_at, from_template
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    annotations_of,
    edited,
    is_pod_finished,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    status_of,
    uid_of,
)

BURST = 250
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
FAILED_FIRST, FAILED_LAST = 1.0, 900.0  # seconds that a failed pod stays before it is replaced, doubling


class DaemonSetController(PodOwner):
    """DaemonSets."""

    name = "daemonset-controller"
    kind: ClassVar[Kind] = kinds.DAEMON_SETS
    workers = 2

    def __init__(self, client: Client, informers: Informers) -> None:
        super().__init__(client, informers)
        self.nodes: Informer
        self.revisions: Informer
        self._placements: dict[str, tuple[Json, Placement]] = {}
        self._failed: dict[tuple[Key, str], tuple[float, float]] = {}  # (DaemonSet, node) → since, pause

    def setup(self) -> None:
        super().setup()
        self.revisions = self.informers[kinds.CONTROLLER_REVISIONS]
        self.revisions.add_index("controller", by_controller)
        self.revisions.add_index("orphans", orphans)
        self.nodes = self.watch(kinds.NODES, self._node_added, self._node_updated, self._node_deleted)

    # nodes ----------------------------------------------------------------------------------------------------

    def _node_added(self, node: Json) -> None:
        for owner in list(self.owners.objects()):
            if self._placement(owner).on(node)[0]:
                self.enqueue(owner)

    def _node_updated(self, old: Json, new: Json) -> None:
        if labels_of(old) == labels_of(new) and old["spec"].get("taints") == new["spec"].get("taints"):
            return  # a heartbeat
        for owner in list(self.owners.objects()):
            placement = self._placement(owner)
            if placement.on(old) != placement.on(new):
                self.enqueue(owner)

    def _node_deleted(self, node: Json) -> None:
        for owner in list(self.owners.objects()):
            self.enqueue(owner)

    def _placement(self, owner: Json) -> Placement:
        template = owner["spec"]["template"]
        known = self._placements.get(uid_of(owner))
        if known is None or known[0] is not template:
            known = self._placements[uid_of(owner)] = template, Placement(template)
        return known[1]

    def owner_deleted(self, owner: Json) -> None:
        super().owner_deleted(owner)
        self._placements.pop(uid_of(owner), None)
        self._failed = {where: entry for where, entry in self._failed.items() if where[0] != key_of(owner)}

    # bringing it in order -------------------------------------------------------------------------------------

    async def sync(self, key: Key) -> None:
        owner = self.owners.get(*key)
        if owner is None or is_terminating(owner):
            return
        await self.let_changes_gather(owner)
        try:
            current, old = await history.settle(self.client, owner, await self._claimed_revisions(owner))
        except history.HashCollision:
            await self._count_collision(owner)
            raise
        digest = history.hash_of(current)
        pods = self._by_node(await self.claimed(owner))
        placement = self._placement(owner)
        should = {name_of(node): placement.on(node) for node in self.nodes.objects()}
        desired = sum(run for run, _ in should.values())
        rules = self._rules(owner, digest, desired)
        settled = self.expectations.satisfied(key)
        if settled:
            surges = self._is_rolling(owner) and rules.surge > 0
            plan = placing(should, pods, rules, surges=surges, backs_off=lambda pod: self._backs_off(key, owner, pod))
            await self._carry_out(owner, plan, digest)
            if self.expectations.satisfied(key) and self._is_rolling(owner):
                await self._carry_out(owner, rolling(should, pods, rules), digest)
            in_use = [labels_of(pod).get(history.HASH_LABEL, "") for there in pods.values() for pod in there]
            limit = owner["spec"].get("revisionHistoryLimit", 10)
            await history.clean(self.client, history.to_clean(old, limit, in_use))
        generation = owner["metadata"].get("generation", 0) if settled else self._seen_generation(owner)
        await self._write_status(owner, status(should, pods, rules, generation, status_of(owner)))
        self._look_again(key, pods, rules)

    async def _claimed_revisions(self, owner: Json) -> list[Json]:
        at = self.revisions.cache.at
        mine, nobodys = at("controller", uid_of(owner)).values(), at("orphans", namespace_of(owner)).values()
        selector = self.selector_of(owner)
        return await claim(self.client, self.kind, owner, kinds.CONTROLLER_REVISIONS, selector, mine, nobodys)

    def _seen_generation(self, owner: Json) -> int:
        return int(status_of(owner).get("observedGeneration", 0))

    def _is_rolling(self, owner: Json) -> bool:
        return (owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"

    def _rules(self, owner: Json, digest: str, desired: int) -> Rules:
        fields = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        surge, unavailable = limits(fields.get("maxSurge", 0), fields.get("maxUnavailable", 1), desired)
        return Rules(digest, owner["spec"].get("minReadySeconds", 0), surge, unavailable, self.clock.time())

    def _by_node(self, pods: list[Json]) -> dict[str, list[Json]]:
        """Its pods by the node that they are on or meant for; those that have ended and are going are gone."""
        found: defaultdict[str, list[Json]] = defaultdict(list)
        for pod in pods:
            if not (is_pod_finished(pod) and is_terminating(pod)) and (node := target_of(pod)):
                found[node].append(pod)
        return found

    def _backs_off(self, key: Key, owner: Json, pod: Json) -> bool:
        """Whether its failed pod stays for now; else it is said that it goes."""
        node, now = target_of(pod), self.clock.time()
        since, pause = self._failed.get((key, node), (now, 0.0))
        if now < since + pause:
            self.queue.add_after(key, since + pause - now)
            return True
        # A pod that lasted for twice the longest pause has earned a new beginning.
        pause = FAILED_FIRST if not pause or now - since > 2 * FAILED_LAST else min(2 * pause, FAILED_LAST)
        self._failed[key, node] = now, pause
        return False

    async def _carry_out(self, owner: Json, plan: Plan, digest: str) -> None:
        for pod in plan.failed:
            self._tell_of(owner, pod, "Warning", "FailedDaemonPod", "failed", "kill")
        for pod in plan.succeeded:
            self._tell_of(owner, pod, "Normal", "SucceededDaemonPod", "succeeded", "delete")
        nodes, doomed = plan.nodes[:BURST], plan.delete[:BURST]
        if not nodes and not doomed:
            return
        key = key_of(owner)
        self.expectations.expect(key, creations=len(nodes), deletions=[uid_of(pod) for pod in doomed])
        failure = await self._create(owner, nodes, digest)
        for pod in doomed:
            try:
                gone = not await self.pod_control.delete(pod, owner)
            except Exception as error:
                self.expectations.deleted(key, uid_of(pod))
                failure = failure or error
                continue
            if gone:
                self.expectations.deleted(key, uid_of(pod))
        if failure is not None:
            raise failure

    def _tell_of(self, owner: Json, pod: Json, type: str, reason: str, how: str, act: str) -> None:
        where = f"{namespace_of(pod)}/{name_of(pod)} on node {target_of(pod)}"
        self.recorder.event(owner, type, reason, f"Found {how} daemon pod {where}, will try to {act} it")

    async def _create(self, owner: Json, nodes: list[str], digest: str) -> Exception | None:
        template = self._template(owner, digest)
        spec = template["spec"]

        async def one(index: int) -> None:
            pod = from_template({**template, "spec": on_node(spec, nodes[index])}, owner)
            await self.pod_control.create(pod, owner)

        made, error = await slow_start(len(nodes), one)
        self.expectations.created(key_of(owner), len(nodes) - made)
        return None if error is not None and is_namespace_ending(error) else error

    def _template(self, owner: Json, digest: str) -> Json:
        template = owner["spec"]["template"]
        described = template.get("metadata") or {}
        labels = {**(described.get("labels") or {}), history.HASH_LABEL: digest}
        if generation := annotations_of(owner).get(GENERATION_ANNOTATION):
            labels[GENERATION_LABEL] = generation
        return {"metadata": {**described, "labels": labels}, "spec": with_tolerations(template["spec"])}

    # status ---------------------------------------------------------------------------------------------------

    async def _write_status(self, owner: Json, wanted: Json) -> None:
        if wanted == status_of(owner):
            return

        def change(newest: Json) -> Json | None:
            return {**edited(newest), "status": wanted} if uid_of(newest) == uid_of(owner) else None

        try:
            await self.client.modify(self.kind, *key_of(owner), change, subresource="status")
        except NotFound:
            pass

    async def _count_collision(self, owner: Json) -> None:
        before = status_of(owner)
        await self._write_status(owner, {**before, "collisionCount": before.get("collisionCount", 0) + 1})

    def _look_again(self, key: Key, pods: dict[str, list[Json]], rules: Rules) -> None:
        if not rules.min_ready:
            return
        times = (available_at(pod, rules.min_ready) for there in pods.values() for pod in there)
        due = min((at for at in times if at is not None and at > rules.now), default=None)
        if due is not None:
            self.queue.add_after(key, due - rules.now)

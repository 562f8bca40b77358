"""Deployments: the loop that hears of changes and lets :class:`Rollout` make the next step."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.client import Client, Informer, Informers
from labkit.embedded.kubernetes.client.index import by_controller, by_namespace, orphans
from labkit.embedded.kubernetes.controllers.claims import claim
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.deployment import conditions as cond
from labkit.embedded.kubernetes.controllers.deployment.rollout import Rollout
from labkit.embedded.kubernetes.controllers.deployment.status import (
    calculated,
    check_again_in,
    deadline_of,
    is_rolling,
)
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    controller_of,
    edited,
    is_pod_finished,
    is_terminating,
    labels_of,
    namespace_of,
    status_of,
    uid_of,
)


class DeploymentController(Controller):
    """Deployments."""

    name = "deployment-controller"
    workers: ClassVar[int] = 5

    def __init__(self, client: Client, informers: Informers) -> None:
        super().__init__(client, informers)
        self.deployments: Informer
        self.sets: Informer
        self.pods: Informer

    def setup(self) -> None:
        self.deployments = self.informers[kinds.DEPLOYMENTS]
        self.deployments.add_index("namespace", by_namespace)
        self.sets = self.informers[kinds.REPLICA_SETS]
        self.sets.add_index("controller", by_controller)
        self.sets.add_index("orphans", orphans)
        self.pods = self.informers[kinds.PODS]
        self.pods.add_index("controller", by_controller)
        self.watch_keys(kinds.DEPLOYMENTS)
        self.watch(kinds.REPLICA_SETS, self._set_added, self._set_updated, self._set_deleted)
        self.watch(kinds.PODS, deleted=self._pod_deleted)

    # who is concerned -----------------------------------------------------------------------------------------

    def _owner_of(self, replica_set: Json) -> Json | None:
        reference = controller_of(replica_set)
        if reference is None or reference["kind"] != "Deployment":
            return None
        owner = self.deployments.get(namespace_of(replica_set), reference["name"])
        return owner if owner is not None and uid_of(owner) == reference["uid"] else None

    def _tell(self, replica_set: Json) -> None:
        if (owner := self._owner_of(replica_set)) is not None:
            self.enqueue(owner)

    def _offer(self, replica_set: Json) -> None:
        for owner in self.deployments.cache.at("namespace", namespace_of(replica_set)).values():
            if selectors.matches(owner["spec"].get("selector"), labels_of(replica_set)):
                self.enqueue(owner)

    def _set_added(self, replica_set: Json) -> None:
        if controller_of(replica_set) is not None:
            self._tell(replica_set)
        elif not is_terminating(replica_set):
            self._offer(replica_set)

    def _set_updated(self, old: Json, new: Json) -> None:
        before, after = controller_of(old), controller_of(new)
        if before != after and before is not None:
            self._tell(old)
        if after is not None:
            self._tell(new)
        elif before != after or labels_of(old) != labels_of(new):
            self._offer(new)

    def _set_deleted(self, replica_set: Json) -> None:
        self._tell(replica_set)

    def _pod_deleted(self, pod: Json) -> None:
        """Recreate waits for the last old pod."""
        reference = controller_of(pod)
        if reference is None or reference["kind"] != "ReplicaSet":
            return
        replica_set = self.sets.get(namespace_of(pod), reference["name"])
        owner = None if replica_set is None else self._owner_of(replica_set)
        if owner is not None and not is_rolling(owner) and not self._has_pods(replica_set or {}):
            self.enqueue(owner)

    def _has_pods(self, replica_set: Json) -> bool:
        """Whether it has pods that have not ended, terminating ones included."""
        pods = self.pods.cache.at("controller", uid_of(replica_set)).values()
        return any(not is_pod_finished(pod) for pod in pods)

    # bringing it in order -------------------------------------------------------------------------------------

    async def sync(self, key: Key) -> None:
        deployment = self.deployments.get(*key)
        if deployment is None:
            return
        rollout = Rollout(self.client, self.recorder, deployment, await self._claimed(deployment), self.clock.time)
        if is_terminating(deployment):
            await rollout.settle_new(create=False)
            status = calculated(rollout.deployment, rollout.new, rollout.old, self.clock.time())
            await self._write(rollout.deployment, status)
            return
        await self._note_pause(rollout)
        if deployment["spec"].get("paused") or rollout.is_scaled():
            status = await rollout.scale()
        elif is_rolling(deployment):
            status = await rollout.roll()
        else:
            status = await rollout.recreate(self._has_pods)
        if not await self._write(rollout.deployment, status):
            pause = check_again_in(rollout.deployment, status, self.clock.time())
            if pause is not None:
                self.queue.add_after(key, pause)

    async def _claimed(self, deployment: Json) -> list[Json]:
        mine = self.sets.cache.at("controller", uid_of(deployment)).values()
        nobodys = self.sets.cache.at("orphans", namespace_of(deployment)).values()
        selector = selectors.of(deployment["spec"].get("selector"))
        kind = kinds.DEPLOYMENTS
        return await claim(self.client, kind, deployment, kinds.REPLICA_SETS, selector, mine, nobodys)

    async def _note_pause(self, rollout: Rollout) -> None:
        deployment = rollout.deployment
        if deadline_of(deployment) is None:
            return
        paused = bool(deployment["spec"].get("paused"))
        conditions = cond.of_pause(status_of(deployment).get("conditions") or [], paused, self.clock.time())
        if conditions is not None:
            changed = edited(deployment)
            changed["status"] = {**status_of(deployment), "conditions": conditions}
            rollout.deployment = await self.client.update_status(kinds.DEPLOYMENTS, changed)

    async def _write(self, deployment: Json, status: Json) -> bool:
        """Write the status if it changed; what the cache then hears of brings the next step."""
        if status == status_of(deployment):
            return False
        changed = edited(deployment)
        changed["status"] = status
        await self.client.update_status(kinds.DEPLOYMENTS, changed)
        return True

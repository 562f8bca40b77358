"""Keeping so many pods: the loop of ReplicaSets and ReplicationControllers (``pkg/controller/replicaset``)."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client.index import by_controller
from labkit.embedded.kubernetes.controllers.podcontrol import is_namespace_ending, slow_start
from labkit.embedded.kubernetes.controllers.podowner import PodOwner
from labkit.embedded.kubernetes.controllers.pods import from_template
from labkit.embedded.kubernetes.controllers.replicaset.ordering import to_delete
from labkit.embedded.kubernetes.controllers.replicaset.status import Count, Failure, count, status
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    controller_of,
    edited,
    is_pod_active,
    is_terminating,
    key_of,
    status_of,
    uid_of,
)

BURST = 500
"""Pods made or ended in one go; the rest waits until these have been seen."""


class ReplicasController(PodOwner):
    """Makes and ends pods until there are as many as ``spec.replicas`` says."""

    counts_terminating: ClassVar[bool] = True

    def setup(self) -> None:
        super().setup()
        self.owners.add_index("controller", by_controller)

    async def sync(self, key: Key) -> None:
        owner = self.owners.get(*key)
        if owner is None:
            self.expectations.forget(key)
            return
        await self.let_changes_gather(owner)
        owner = self.owners.get(*key) or owner
        settled = self.expectations.satisfied(key)
        pods = await self.claimed(owner)
        counted = count(owner, pods, self.clock.time())  # once: there may be thousands
        failure: Failure | None = None
        error: Exception | None = None
        if settled and not is_terminating(owner):
            failure, error = await self._manage(owner, pods, counted.replicas)
        await self._write_status(key, owner, counted, failure)
        if error is not None:
            raise error

    async def _manage(self, owner: Json, pods: list[Json], active: int) -> tuple[Failure | None, Exception | None]:
        missing = owner["spec"].get("replicas", 1) - active
        if missing > 0:
            error = await self._create(owner, min(missing, BURST))
            return (Failure("FailedCreate", str(error)), error) if error else (None, None)
        if missing < 0:
            error = await self._delete(owner, [pod for pod in pods if is_pod_active(pod)], min(-missing, BURST))
            return (Failure("FailedDelete", str(error)), error) if error else (None, None)
        return None, None

    async def _create(self, owner: Json, number: int) -> Exception | None:
        key = key_of(owner)
        self.expectations.expect(key, creations=number)
        pod = from_template(owner["spec"]["template"], owner)

        async def one(_: int) -> None:
            await self.pod_control.create(pod, owner)

        made, error = await slow_start(number, one)
        self.expectations.created(key, number - made)  # those will not be seen
        return None if error is not None and is_namespace_ending(error) else error

    async def _delete(self, owner: Json, active: list[Json], number: int) -> Exception | None:
        key = key_of(owner)
        chosen = to_delete(active, number, self._kin(owner), self.clock.time())
        self.expectations.expect(key, deletions=[uid_of(pod) for pod in chosen])

        async def one(index: int) -> None:
            try:
                gone = not await self.pod_control.delete(chosen[index], owner)
            except Exception:
                self.expectations.deleted(key, uid_of(chosen[index]))
                raise
            if gone:
                self.expectations.deleted(key, uid_of(chosen[index]))

        _, failure = await slow_start(number, one, first=number)
        return failure

    def _kin(self, owner: Json) -> list[Json]:
        """Pods of all that have the same controller as this one: old and new ReplicaSets of a Deployment."""
        parent = controller_of(owner)
        siblings = [owner] if parent is None else self.owners.by_index("controller", parent["uid"])
        at = self.pods.cache.at
        return [pod for sibling in siblings for pod in at("controller", uid_of(sibling)).values()]

    async def _write_status(self, key: Key, owner: Json, counted: Count, failure: Failure | None) -> None:
        now = self.clock.time()
        wanted = status(owner, counted, failure, now, terminating=self.counts_terminating)
        if wanted != status_of(owner):
            try:
                await self.client.modify(
                    self.kind, *key, lambda newest: _with_status(newest, owner, wanted), subresource="status"
                )
            except NotFound:
                return
        self._look_again(key, counted, now)

    def _look_again(self, key: Key, counted: Count, now: float) -> None:
        if counted.next_available is not None:
            self.queue.add_after(key, counted.next_available - now)


def _with_status(newest: Json, owner: Json, wanted: Json) -> Json | None:
    if uid_of(newest) != uid_of(owner):
        return None
    copy = edited(newest)
    copy["status"] = wanted
    return copy


class ReplicaSetController(ReplicasController):
    """ReplicaSets."""

    name = "replicaset-controller"
    kind: ClassVar[Kind] = kinds.REPLICA_SETS
    workers = 5

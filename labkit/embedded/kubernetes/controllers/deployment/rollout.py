"""One look at one Deployment: its ReplicaSets, and the steps that bring them where they shall be.

The shell around :mod:`rolling`, :mod:`scaling`, :mod:`revisions` and :mod:`status`; ``sync.go``, ``rolling.go`` and
``recreate.go`` in ``pkg/controller/deployment``. ReplicaSets are written as they were read, so a cache that is behind
ends in a conflict and another try, never in a step that is made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Recorder
from labkit.embedded.kubernetes.controllers.deployment import conditions as cond
from labkit.embedded.kubernetes.controllers.deployment import revisions
from labkit.embedded.kubernetes.controllers.deployment.rolling import Size, new_size, scale_new, scale_old
from labkit.embedded.kubernetes.controllers.deployment.scaling import Share, shares
from labkit.embedded.kubernetes.controllers.deployment.status import (
    calculated,
    deadline_of,
    desired_of,
    is_complete,
    is_rolling,
    limits_of,
    of_rollout,
)
from labkit.embedded.kubernetes.controllers.podcontrol import is_namespace_ending
from labkit.embedded.kubernetes.controllers.templates import HASH_LABEL, same_template, template_hash
from labkit.embedded.kubernetes.errors import AlreadyExists, NotFound, StatusError
from labkit.embedded.kubernetes.objects import (
    Json,
    annotations_of,
    controller_of,
    edited,
    name_of,
    namespace_of,
    owner_reference,
    status_of,
    uid_of,
)


def by_age(sets: Sequence[Json]) -> list[Json]:
    """Oldest first, by name among twins."""
    return sorted(sets, key=lambda one: (one["metadata"].get("creationTimestamp", ""), name_of(one)))


def is_active(replica_set: Json) -> bool:
    """Whether it shall have pods."""
    return desired_of(replica_set) > 0


class Rollout:
    """A Deployment, its newest ReplicaSet (None: not made yet) and the old ones, oldest first."""

    def __init__(
        self, client: Client, recorder: Recorder, deployment: Json, sets: Sequence[Json], clock: Callable[[], float]
    ) -> None:
        self.client = client
        self.recorder = recorder
        self.deployment = deployment
        ordered = by_age(sets)
        template = deployment["spec"]["template"]
        # If two have the same template the older one counts, so that they cannot take turns.
        self.new = next((one for one in ordered if same_template(one["spec"]["template"], template)), None)
        self.old = [one for one in ordered if one is not self.new]
        self._now = clock

    @property
    def sets(self) -> list[Json]:
        return [*self.old, *([self.new] if self.new is not None else [])]

    @property
    def desired(self) -> int:
        return desired_of(self.deployment)

    @property
    def most(self) -> int:
        """The most pods at a time, which the annotation ``max-replicas`` remembers."""
        return self.desired + limits_of(self.deployment).surge

    # the three ways to go on ----------------------------------------------------------------------------------

    async def roll(self) -> Json:
        """One step of a rolling update; returns the status to be."""
        await self.settle_new(create=True)
        assert self.new is not None
        if not await self._scale_new() and not await self._scale_old():
            await self._clean_if_complete()
        return self.rollout_status()

    async def recreate(self, has_pods: Callable[[Json], bool]) -> Json:
        """One step of Recreate: all old pods go, then all new ones come. ``has_pods``: any that has not ended."""
        await self.settle_new(create=False)
        ended = [one for one in self.old if is_active(one)]
        for one in ended:
            await self._resize(one, 0)
        if ended or any(status_of(one).get("replicas", 0) or has_pods(one) for one in self.old):
            return self.rollout_status()
        await self.settle_new(create=True)
        assert self.new is not None
        await self._resize(self.new, self.desired)
        await self._clean_if_complete()
        return self.rollout_status()

    async def scale(self) -> Json:
        """Only sizes: after it was scaled, or while it is paused."""
        await self.settle_new(create=False)
        await self._spread()
        await self._clean()
        return calculated(self.deployment, self.new, self.old, self._now())

    def is_scaled(self) -> bool:
        """Whether an active ReplicaSet was made for another size of the Deployment."""
        made_for = (revisions.annotation_number(one, revisions.DESIRED) for one in self.sets if is_active(one))
        return any(size is not None and size != self.desired for size in made_for)

    def rollout_status(self) -> Json:
        return of_rollout(self.deployment, self.new, self.old, self._now())

    # the newest one -------------------------------------------------------------------------------------------

    async def settle_new(self, *, create: bool) -> None:
        """Give the newest ReplicaSet its revision and annotations; make it if there is none and ``create``."""
        revision = revisions.highest(self.old) + 1
        if self.new is not None:
            await self._describe_new(self.new, revision)
            revision = max(revision, revisions.number(self.new))
            message = f'Found new replica set "{name_of(self.new)}"'
            await self._remember(revision, cond.NEW_FOUND, message, only_first=True)
        elif create:
            await self._make_new(revision)

    async def _describe_new(self, new: Json, revision: int) -> None:
        annotations = revisions.for_new(self.deployment, annotations_of(new), revision)
        min_ready = self.deployment["spec"].get("minReadySeconds", 0)
        if annotations == annotations_of(new) and min_ready == new["spec"].get("minReadySeconds", 0):
            return
        changed = edited(new)
        changed["metadata"]["annotations"] = annotations
        changed["spec"]["minReadySeconds"] = min_ready
        self.new = await self.client.update(kinds.REPLICA_SETS, changed)

    async def _make_new(self, revision: int) -> None:
        deployment = self.deployment
        replica_set = self._new_replica_set(revision)
        name = name_of(replica_set)
        made = True
        try:
            self.new = await self.client.create(kinds.REPLICA_SETS, namespace_of(deployment), replica_set)
        except AlreadyExists:
            self.new = await self._existing(name)
            made = False
        except StatusError as error:
            if not is_namespace_ending(error):
                await self._complain(f'Failed to create new replica set "{name}": {error}')
            raise
        size = desired_of(self.new)
        if made and size > 0:
            self._tell_scaled("up", self.new, 0, size)
        message = f'Created new replica set "{name}"'
        await self._remember(revision, cond.NEW_CREATED if made else "", message)

    def _new_replica_set(self, revision: int) -> Json:
        deployment, spec = self.deployment, self.deployment["spec"]
        template = spec["template"]
        digest = template_hash(template, status_of(deployment).get("collisionCount"))
        described = template.get("metadata") or {}
        labels = {**(described.get("labels") or {}), HASH_LABEL: digest}
        selector = spec.get("selector") or {}
        others = sum(desired_of(one) for one in self.old)
        size = new_size(self.desired, limits_of(deployment), 0, others) if is_rolling(deployment) else self.desired
        annotations = revisions.for_new(deployment, {}, revision)
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name_of(deployment)}-{digest}",
                "labels": labels,
                "annotations": revisions.with_sizes(annotations, self.desired, self.most),
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": size,
                "minReadySeconds": spec.get("minReadySeconds", 0),
                "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}},
                "template": {**template, "metadata": {**described, "labels": labels}},
            },
        }

    async def _existing(self, name: str) -> Json:
        """The ReplicaSet that has our name already: ours after all (the cache is behind), or a collision of hashes."""
        deployment = self.deployment
        found = await self.client.get(kinds.REPLICA_SETS, namespace_of(deployment), name)
        owner = controller_of(found)
        ours = owner is not None and owner["uid"] == uid_of(deployment)
        if ours and same_template(found["spec"]["template"], deployment["spec"]["template"]):
            return found
        status = {**status_of(deployment), "collisionCount": status_of(deployment).get("collisionCount", 0) + 1}
        await self._put_status(status)
        raise AlreadyExists("replicasets", "apps", name)

    async def _complain(self, message: str) -> None:
        self.recorder.event(self.deployment, "Warning", cond.CREATE_ERROR, message)
        if deadline_of(self.deployment) is None:
            return
        told = cond.condition(cond.PROGRESSING, "False", cond.CREATE_ERROR, message, self._now())
        before = status_of(self.deployment).get("conditions") or []
        if (after := cond.with_set(before, told)) != before:
            await self._put_status({**status_of(self.deployment), "conditions": after})

    async def _remember(self, revision: int, reason: str, message: str, *, only_first: bool = False) -> None:
        """Write the revision onto the Deployment, and that its rollout has begun."""
        deployment, now = self.deployment, self._now()
        annotations, status = annotations_of(deployment), dict(status_of(deployment))
        before = status.get("conditions") or []
        begun = cond.find(before, cond.PROGRESSING) is not None and only_first
        if reason and not begun and deadline_of(deployment) is not None:
            status["conditions"] = cond.with_set(before, cond.condition(cond.PROGRESSING, "True", reason, message, now))
        if annotations.get(revisions.REVISION) == str(revision) and status == status_of(deployment):
            return
        changed = edited(deployment)
        changed["metadata"]["annotations"] = {**annotations, revisions.REVISION: str(revision)}
        changed["status"] = status
        self.deployment = await self.client.update_status(kinds.DEPLOYMENTS, changed)

    async def _put_status(self, status: Json) -> None:
        changed = edited(self.deployment)
        changed["status"] = status
        self.deployment = await self.client.update_status(kinds.DEPLOYMENTS, changed)

    # sizes ----------------------------------------------------------------------------------------------------

    async def _scale_new(self) -> bool:
        assert self.new is not None
        wanted = scale_new(self.desired, limits_of(self.deployment), _size(self.new), [_size(one) for one in self.old])
        return await self._resize(self.new, wanted)

    async def _scale_old(self) -> bool:
        assert self.new is not None
        steps = scale_old(self.desired, limits_of(self.deployment), _size(self.new), [_size(one) for one in self.old])
        for one in list(self.old):
            current = one
            for size in steps.get(name_of(one), ()):
                await self._resize(current, size)
                current = next(other for other in self.old if name_of(other) == name_of(one))
        return bool(steps)

    async def _spread(self) -> None:
        active = [one for one in self.sets if is_active(one)]
        if len(active) <= 1:
            latest = active[0] if active else self.new if self.new is not None else _latest(self.old)
            if latest is not None:
                await self._resize(latest, self.desired)
        elif self._is_saturated():
            for one in [one for one in self.old if is_active(one)]:
                await self._resize(one, 0)
        elif is_rolling(self.deployment):
            before = status_of(self.deployment).get("replicas", 0)
            sizes = shares(self.desired, limits_of(self.deployment).surge, before, [_share(one) for one in active])
            for one in active:
                await self._resize(one, sizes[name_of(one)])

    def _is_saturated(self) -> bool:
        """Whether the newest one has all pods already, as it was made for this size, and they are available."""
        new = self.new
        if new is None or revisions.annotation_number(new, revisions.DESIRED) is None:
            return False
        made_for = revisions.annotation_number(new, revisions.DESIRED)
        available = status_of(new).get("availableReplicas", 0)
        return desired_of(new) == made_for == available == self.desired

    async def _resize(self, replica_set: Json, size: int) -> bool:
        """Give it that size, and note for which size of the Deployment. True when the size was another one."""
        before = desired_of(replica_set)
        annotations = annotations_of(replica_set)
        noted = revisions.with_sizes(annotations, self.desired, self.most)
        if before == size and noted == annotations:
            return False
        changed = edited(replica_set)
        changed["spec"]["replicas"] = size
        changed["metadata"]["annotations"] = noted
        written = await self.client.update(kinds.REPLICA_SETS, changed)
        if self.new is replica_set:
            self.new = written
        else:
            self.old = [written if one is replica_set else one for one in self.old]
        if before != size:
            self._tell_scaled("up" if size > before else "down", written, before, size)
        return before != size

    def _tell_scaled(self, way: str, replica_set: Json, before: int, after: int) -> None:
        message = f"Scaled {way} replica set {name_of(replica_set)} from {before} to {after}"
        self.recorder.event(self.deployment, "Normal", "ScalingReplicaSet", message)

    # history --------------------------------------------------------------------------------------------------

    async def _clean_if_complete(self) -> None:
        if is_complete(self.deployment, status_of(self.deployment)):
            await self._clean()

    async def _clean(self) -> None:
        for one in revisions.to_clean(self.old, self.deployment["spec"].get("revisionHistoryLimit", 10)):
            try:
                await self.client.delete(kinds.REPLICA_SETS, namespace_of(one), name_of(one))
            except NotFound:
                continue


def _size(replica_set: Json) -> Size:
    return Size(name_of(replica_set), desired_of(replica_set), status_of(replica_set).get("availableReplicas", 0))


def _share(replica_set: Json) -> Share:
    return Share(
        name_of(replica_set),
        desired_of(replica_set),
        replica_set["metadata"].get("creationTimestamp", ""),
        revisions.annotation_number(replica_set, revisions.MOST),
    )


def _latest(old: Sequence[Json]) -> Json | None:
    return old[-1] if old else None

"""The namespace controller's loop (``pkg/controller/namespace/deletion``).

Since 1.33 pods go first, and the rest (network policies, secrets) only when no pod runs any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.namespaces.conditions import Remains, with_conditions
from labkit.embedded.kubernetes.errors import NotFound, StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    is_pod_finished,
    is_terminating,
    name_of,
    spec_of,
    status_of,
)
from labkit.embedded.kubernetes.times import parse

GRACE_SECONDS = 5.0
"""Pause before anything is deleted, so that every API server knows that nothing may be made there any more."""

FINALIZER_SECONDS = 15.0
"""How long finalizers are given before somebody looks again."""

FINALIZER = "kubernetes"


def content_kinds() -> Iterator[Kind]:
    """The kinds that a namespace may have objects of."""
    return (kind for kind in kinds.stored() if kind.namespaced and "delete" in kind.verbs)


def estimate(kind: Kind, objects: list[Json], deleted_at: float, now: float) -> float:
    """Seconds that these may still take to go of themselves."""
    if kind is not kinds.PODS:
        return 0.0
    grace = (spec_of(pod).get("terminationGracePeriodSeconds") or 0 for pod in objects if not is_pod_finished(pod))
    longest = float(max(grace, default=0))
    return 0.0 if now - deleted_at >= longest else longest


class NamespaceController(Controller):
    name: ClassVar[str] = "namespace-controller"
    workers: ClassVar[int] = 10

    def setup(self) -> None:
        self.namespaces = self.watch(kinds.NAMESPACES, self._seen, lambda _, new: self._seen(new))

    def _seen(self, namespace: Json) -> None:
        if is_terminating(namespace):
            self.queue.add_after(name_of(namespace), GRACE_SECONDS)

    async def sync(self, key: str) -> None:
        namespace = await self.client.find(kinds.NAMESPACES, "", key)
        if namespace is None or not is_terminating(namespace):
            return
        if status_of(namespace).get("phase") != "Terminating":
            namespace = await self.client.update_status(
                kinds.NAMESPACES, {**namespace, "status": {**status_of(namespace), "phase": "Terminating"}}
            )
        if not spec_of(namespace).get("finalizers"):
            return
        left = Remains()
        pause = await self._empty(namespace, left)
        changed = with_conditions(namespace, left, self.clock.time())
        if changed is not None:
            namespace = await self.client.update_status(kinds.NAMESPACES, changed)
        if pause is not None:
            # Half of it and a second, so that short ones need not wait for the longest.
            self.queue.add_after(key, pause // 2 + 1)
            return
        if left.errors:
            raise _NotEmpty(", ".join(left.errors))
        await self._finalize(namespace)

    async def _empty(self, namespace: Json, left: Remains) -> float | None:
        """Tell everything to go. Returns seconds after which the rest should be gone; None: nothing is waited for."""
        pause = await self._empty_of(kinds.PODS, namespace, left)
        if left.objects:
            return pause
        for kind in content_kinds():
            if kind is kinds.PODS:
                continue
            seconds = await self._empty_of(kind, namespace, left)
            if seconds is not None:
                pause = seconds if pause is None else max(pause, seconds)
        return pause

    async def _empty_of(self, kind: Kind, namespace: Json, left: Remains) -> float | None:
        space = name_of(namespace)
        listing = await self.client.list(kind, space)
        if not listing.records:
            return None
        deleted_at = parse(namespace["metadata"]["deletionTimestamp"])
        pause = estimate(kind, [record.obj for record in listing.records], deleted_at, self.clock.time())
        for record in listing.records:
            try:
                await self.client.delete(kind, space, name_of(record.obj), propagation="Background")
            except NotFound:
                pass
            except StatusError as error:
                left.errors.append(str(error))
        there = [record.obj for record in (await self.client.list(kind, space)).records]
        left.add(kind, there)
        if not there:
            return None
        if pause:
            return pause
        if any(obj["metadata"].get("finalizers") for obj in there):
            return FINALIZER_SECONDS
        group = f"{kind.group}/{kind.version}, Resource={kind.plural}"
        left.errors.append(f"unexpected items still remain in namespace: {space} for gvr: {group}")
        return None

    async def _finalize(self, namespace: Json) -> None:
        """Take the finalizer away: the API server then forgets the namespace."""
        kept = [name for name in spec_of(namespace).get("finalizers") or () if name != FINALIZER]
        try:
            await self.client.update(
                kinds.NAMESPACES,
                {**namespace, "spec": {**spec_of(namespace), "finalizers": kept}},
                subresource="finalize",
            )
        except NotFound:
            pass


class _NotEmpty(StatusError):
    """Something did not go: look again soon."""

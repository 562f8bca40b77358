"""The disruption controller's loop: keeps the status of every PodDisruptionBudget (``pkg/controller/disruption``)."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds, selectors
from labkit.embedded.kubernetes.client.index import by_namespace
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.controllers.disruption.budget import (
    CannotReckon,
    expected,
    failed,
    reckon,
    stale_condition_due,
)
from labkit.embedded.kubernetes.controllers.selecting import Selections
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import (
    Json,
    Key,
    condition_of,
    controller_of,
    is_pod_ready,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    spec_of,
    status_of,
    uid_of,
    with_condition,
)
from labkit.embedded.kubernetes.times import rfc3339

# What scales pods. A Deployment's ReplicaSets stand for the Deployment.
SCALED = {kind.kind: kind for kind in (kinds.REPLICATION_CONTROLLERS, kinds.REPLICA_SETS, kinds.DEPLOYMENTS)}

UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of"
    " the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please"
    ' set ".spec.minAvailable" field of the PDB to an integer value.'
)

_STALE = "stale"


class DisruptionController(Controller):
    name: ClassVar[str] = "disruption-controller"
    source: ClassVar[str] = "disruption-controller"

    def setup(self) -> None:
        self.recorder.component = "controllermanager"  # so it calls itself in events
        self.pods = self.informers[kinds.PODS]
        self.pods.add_index("namespace", by_namespace)
        self._selections = Selections(lambda namespace: self.pods.by_index("namespace", namespace))
        self.budgets = self.watch(
            kinds.POD_DISRUPTION_BUDGETS, self._budget, lambda _, new: self._budget(new), self._budget_gone
        )
        self.watch(kinds.PODS, self._pod, self._pod_changed, self._pod_gone)
        self.scaled = {kind: self.watch(kind, updated=self._scaled) for kind in SCALED.values()}

    # what it hears ------------------------------------------------------------------------------------------------

    def _budget(self, budget: Json) -> None:
        key = key_of(budget)
        try:
            self._selections.select(key, selectors.of(spec_of(budget).get("selector")))
        except selectors.SelectorError:
            self._selections.unselect(key)
        self.queue.add(key)

    def _budget_gone(self, budget: Json) -> None:
        self._selections.unselect(key_of(budget))
        self.queue.add(key_of(budget))

    def _pod(self, pod: Json) -> None:
        self._tell(pod, self._selections.put(pod))

    def _pod_changed(self, old: Json, new: Json) -> None:
        keys = self._selections.put(new)
        if condition_of(new, "DisruptionTarget") is not None:
            self._stale(new)
        if keys and (
            is_pod_ready(old) != is_pod_ready(new)
            or is_terminating(old) != is_terminating(new)
            or labels_of(old) != labels_of(new)
            or uid_of(old) != uid_of(new)
        ):
            self._tell(new, keys)

    def _pod_gone(self, pod: Json) -> None:
        for key in self._selections.drop(pod):
            self.queue.add(key)

    def _tell(self, pod: Json, keys: list[Key]) -> None:
        if len(keys) > 1:
            self.recorder.event(
                pod,
                "Warning",
                "MultiplePodDisruptionBudgets",
                f'Pod "{pod["metadata"]["namespace"]}"/"{name_of(pod)}" matches multiple PodDisruptionBudgets.'
                f'  Chose "{keys[0][1]}" arbitrarily.',
            )
        for key in keys:
            self.queue.add(key)
        self._stale(pod)

    def _scaled(self, old: Json, new: Json) -> None:
        """The real one does not look at this; it hears of the pods that come and go for it."""

    def _stale(self, pod: Json) -> None:
        due = stale_condition_due(pod, self.clock.time())
        if due is not None:
            self.queue.add_after((_STALE, *key_of(pod)), due)

    # what it does -------------------------------------------------------------------------------------------------

    async def sync(self, key: tuple[str, ...]) -> None:
        if len(key) == 3:
            await self._no_longer_target((key[1], key[2]))
            return
        budget = self.budgets.get(key[0], key[1])
        if budget is None:
            return
        now = self.clock.time()
        pods = list(self._selections.members((key[0], key[1])).values())
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            wanted = expected(budget, pods, lambda reference: self._scale(key[0], reference))
        except CannotReckon as error:
            self.recorder.event(
                budget,
                "Warning",
                "CalculateExpectedPodCountFailed",
                f"Failed to calculate the number of expected pods: {error}",
            )
            await self._write(budget, failed(budget, str(error), now))
            return
        if wanted.unmanaged:
            self.recorder.event(budget, "Warning", "UnmanagedPods", UNMANAGED.format(_printed(budget)))
        reckoning = reckon(budget, pods, wanted, now)
        space = budget["metadata"]["namespace"]
        for pod in reckoning.not_deleted:
            self.recorder.event(
                pod, "Warning", "NotDeleted", f"Pod was expected by PDB {space}/{space} to be deleted but it wasn't"
            )
        await self._write(budget, reckoning.status)
        if reckoning.recheck is not None:
            self.queue.add_after(key, reckoning.recheck)

    async def _write(self, budget: Json, status: Json | None) -> None:
        if status is None:
            return
        try:
            await self.client.update_status(kinds.POD_DISRUPTION_BUDGETS, {**budget, "status": status})
        except NotFound:
            pass

    def _scale(self, namespace: str, reference: Json) -> tuple[str, int] | None:
        """The uid and the replicas of what manages the pod."""
        found = self._of(namespace, reference)
        if found is None:
            return None
        above = controller_of(found)
        if found["kind"] == "ReplicaSet" and above is not None and above["kind"] == "Deployment":
            found = self._of(namespace, above)
            if found is None:
                return None
        return uid_of(found), int(spec_of(found).get("replicas", 1))

    def _of(self, namespace: str, reference: Json) -> Json | None:
        kind: Kind | None = SCALED.get(reference["kind"])
        found = None if kind is None else self.scaled[kind].get(namespace, reference["name"])
        return found if found is not None and uid_of(found) == reference["uid"] else None

    async def _no_longer_target(self, key: Key) -> None:
        """Nobody has deleted a pod that was to be disrupted: its condition says so no longer."""
        pod = self.pods.get(*key)
        due = None if pod is None else stale_condition_due(pod, self.clock.time())
        if pod is None or due is None:
            return
        if due > 0:
            self.queue.add_after((_STALE, *key), due)
            return
        reset = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": rfc3339(self.clock.time())}
        status = {**status_of(pod), "conditions": with_condition(status_of(pod).get("conditions"), reset)}
        await self.client.update_status(kinds.PODS, {**pod, "status": status})


def _printed(budget: Json) -> str:
    """A selector as Go prints the pointer to it."""
    selector = spec_of(budget).get("selector") or {}
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
    )

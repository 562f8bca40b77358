"""What a DaemonSet needs next: which nodes get a pod, which pods go. Pure.

``podsShouldBeOnNode`` in ``daemon_controller.go`` and ``rollingUpdate`` in ``update.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from labkit.embedded.kubernetes.controllers.history import HASH_LABEL
from labkit.embedded.kubernetes.controllers.percent import IntOrPercent, resolve
from labkit.embedded.kubernetes.controllers.pods import is_available
from labkit.embedded.kubernetes.objects import Json, is_pod_ready, is_terminating, labels_of, name_of, status_of

PodsByNode = Mapping[str, Sequence[Json]]


@dataclass(slots=True)
class Plan:
    """What to do."""

    nodes: list[str] = field(default_factory=list)  # get a pod
    delete: list[Json] = field(default_factory=list)
    failed: list[Json] = field(default_factory=list)  # of those, the ones that failed
    succeeded: list[Json] = field(default_factory=list)  # and the ones that ended well, which a daemon must not


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a DaemonSet counts here."""

    hash: str
    min_ready: int
    surge: int
    unavailable: int
    now: float

    def is_new(self, pod: Json) -> bool:
        return labels_of(pod).get(HASH_LABEL) == self.hash

    def is_available(self, pod: Json) -> bool:
        return is_available(pod, self.min_ready, self.now)


def limits(surge: IntOrPercent, unavailable: IntOrPercent, desired: int) -> tuple[int, int]:
    """Surge and unavailable as numbers, both rounded up; one may be unavailable if neither may move."""
    more, less = resolve(surge, desired, up=True), resolve(unavailable, desired, up=True)
    return more, 1 if not more and not less else less


def oldest_first(pods: Sequence[Json]) -> list[Json]:
    """Those with a node first, then by age."""
    return sorted(
        pods,
        key=lambda pod: (
            not pod["spec"].get("nodeName"),
            pod["metadata"].get("creationTimestamp", ""),
            name_of(pod),
        ),
    )


def placing(
    should: Mapping[str, tuple[bool, bool]],
    pods: PodsByNode,
    rules: Rules,
    *,
    surges: bool,
    backs_off: Callable[[Json], bool],
) -> Plan:
    """A pod on each node that shall have one, none elsewhere.

    ``should`` says of each node whether a pod shall run there, and whether one that does may go on. ``backs_off`` says
    that a failed pod is not to be replaced yet.
    """
    plan = Plan()
    for node, (run, go_on) in should.items():
        there = pods.get(node, ())
        if run and not there:
            plan.nodes.append(node)
        elif go_on:
            _tidy_node(plan, there, rules, surges=surges, backs_off=backs_off)
        else:
            plan.delete += [pod for pod in there if not is_terminating(pod)]
    # Pods that were meant for a node which is gone, and are not bound, would wait for ever.
    for node, there in pods.items():
        if node not in should:
            plan.delete += [pod for pod in there if not pod["spec"].get("nodeName") and not is_terminating(pod)]
    return plan


def _tidy_node(
    plan: Plan, there: Sequence[Json], rules: Rules, *, surges: bool, backs_off: Callable[[Json], bool]
) -> None:
    running: list[Json] = []
    for pod in there:
        phase = status_of(pod).get("phase")
        if is_terminating(pod):
            continue
        if phase == "Failed":
            if not backs_off(pod):
                plan.failed.append(pod)
                plan.delete.append(pod)
        elif phase == "Succeeded":
            plan.succeeded.append(pod)
            plan.delete.append(pod)
        else:
            running.append(pod)
    if len(running) <= 1:
        return
    running = oldest_first(running)
    if not surges:
        plan.delete += running[1:]
        return
    new = [pod for pod in running if rules.is_new(pod)]
    old = [pod for pod in running if not rules.is_new(pod)]
    plan.delete += [*new[1:], *old[1:]]
    if new and old and (not is_pod_ready(old[0]) or rules.is_available(new[0])):
        plan.delete.append(old[0])


def rolling(should: Mapping[str, tuple[bool, bool]], pods: PodsByNode, rules: Rules) -> Plan:
    """One step of a rolling update."""
    nodes = dict.fromkeys([*pods, *(node for node, (run, _) in should.items() if run)])
    return (_surge if rules.surge else _replace)({node: pods.get(node, ()) for node in nodes}, rules)


def _pair(there: Sequence[Json], rules: Rules) -> tuple[Json | None, Json | None] | None:
    """The new and the old pod of a node; None when there are too many of a kind (:func:`placing` sees to that)."""
    alive = [pod for pod in there if not is_terminating(pod)]
    new = [pod for pod in alive if rules.is_new(pod)]
    old = [pod for pod in alive if not rules.is_new(pod)]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None), (old[0] if old else None)


def _replace(pods: PodsByNode, rules: Rules) -> Plan:
    """Old pods go first; a new one comes when the old one has gone."""
    plan, missing = Plan(), 0
    candidates: list[Json] = []
    for there in pods.values():
        pair = _pair(there, rules)
        if pair is None:
            missing += 1
            continue
        new, old = pair
        if old is None:
            missing += new is None or not rules.is_available(new)
        elif new is not None:
            missing += 1
        elif rules.is_available(old):
            candidates.append(old)
        else:  # it serves nobody as it is
            missing += 1
            plan.delete.append(old)
    plan.delete += candidates[: max(0, rules.unavailable - missing)]
    return plan


def _surge(pods: PodsByNode, rules: Rules) -> Plan:
    """New pods come first; an old one goes when the new one is available."""
    plan, surging = Plan(), 0
    candidates: list[str] = []
    for node, there in pods.items():
        pair = _pair(there, rules)
        if pair is None:
            surging += 1
            continue
        new, old = pair
        if old is None:
            continue
        if new is None:
            (candidates if rules.is_available(old) else plan.nodes).append(node)
        elif rules.is_available(new):
            plan.delete.append(old)
        else:
            surging += 1
    plan.nodes += candidates[: max(0, rules.surge - surging)]
    return plan


def status(
    should: Mapping[str, tuple[bool, bool]], pods: PodsByNode, rules: Rules, generation: int, before: Mapping[str, int]
) -> Json:
    """The numbers of its status. ``before`` is the status as it is, for what is not counted here."""
    desired = current = misplaced = ready = available = updated = 0
    for node, (run, _) in should.items():
        there = pods.get(node, ())
        if not run:
            misplaced += bool(there)
            continue
        desired += 1
        if not there:
            continue
        current += 1
        pod = oldest_first(there)[0]
        ready += is_pod_ready(pod)
        available += rules.is_available(pod)
        updated += rules.is_new(pod)
    result: Json = {
        "currentNumberScheduled": current,
        "numberMisscheduled": misplaced,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
    }
    optional = {
        "observedGeneration": generation,
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    result |= {key: number for key, number in optional.items() if number}
    if "collisionCount" in before:
        result["collisionCount"] = before["collisionCount"]
    return result

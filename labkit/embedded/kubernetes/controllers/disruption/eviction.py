"""May this pod be evicted? What the ``eviction`` sub-resource of pods answers, as a pure decision.

``pkg/registry/core/pod/storage/eviction.go``. The API server decides on the *status* that the disruption controller
wrote last, and takes one from ``disruptionsAllowed`` itself, so that evictions that come faster than the controller
looks cannot overdraw a budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.embedded.kubernetes import selectors, times
from labkit.embedded.kubernetes.controllers.disruption.conditions import (
    DISRUPTION_ALLOWED,
    SYNC_FAILED,
    allowed_condition,
)
from labkit.embedded.kubernetes.errors import Forbidden, StatusError, TooManyRequests
from labkit.embedded.kubernetes.objects import (
    Json,
    condition_of,
    is_pod_ready,
    is_terminating,
    labels_of,
    name_of,
    spec_of,
    status_of,
    with_condition,
)

MAX_DISRUPTED_PODS = 2000
"""Evictions that the controller has not confirmed; beyond these something is wrong, and nothing goes."""

TOO_MANY_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."


class TooManyBudgets(StatusError):
    """500, and without a reason, as the real one's."""

    code, reason = 500, ""

    def __init__(self) -> None:
        super().__init__(TOO_MANY_BUDGETS)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about an eviction.

    ``refusal`` is to be raised. Otherwise ``budget``, if there is one, is to be written to its ``status`` first (with
    its resourceVersion: on a conflict decide again), then the pod is deleted; if ``guarded``, on the condition that its
    resourceVersion is still that of the pod that was decided about, and a conflict then is :func:`undecided`.
    """

    refusal: StatusError | None = None
    budget: Json | None = None
    guarded: bool = False

    @property
    def allowed(self) -> bool:
        return self.refusal is None


def decide(pod: Json, budgets: Iterable[Json], now: float) -> Decision:
    """Decide about ``pod`` by ``budgets``, the PodDisruptionBudgets of its namespace, at sandbox time ``now``."""
    phase = status_of(pod).get("phase")
    if phase in ("Succeeded", "Failed") or is_terminating(pod):
        return Decision()  # the disruption, if it was one, has already been
    if phase == "Pending" or not phase:
        return Decision(guarded=True)  # counts for no budget, as long as it does not get ready meanwhile
    mine = [budget for budget in budgets if selects(budget, pod)]
    if not mine:
        return Decision()
    if len(mine) > 1:
        return Decision(refusal=TooManyBudgets())
    budget = mine[0]
    if not is_pod_ready(pod) and _may_go_unready(budget):
        return Decision(guarded=True)
    return _take_one(budget, name_of(pod), now)


def undecided(budget_name: str) -> StatusError:
    """429 as long as the controller has not seen the budget's spec, or the pod moved while it was decided about."""
    return _refused(f"The disruption budget {budget_name} is still being processed by the server.", retry_after=10)


def selects(budget: Json, pod: Json) -> bool:
    """Whether the budget is about the pod. ``{}`` selects all pods of the namespace, no selector none (policy/v1)."""
    return selectors.matches(spec_of(budget).get("selector"), labels_of(pod))


def _may_go_unready(budget: Json) -> bool:
    """Whether a pod that is not ready may go although the budget selects it (``unhealthyPodEvictionPolicy``)."""
    if spec_of(budget).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = status_of(budget)
    desired = status.get("desiredHealthy") or 0
    return desired > 0 and (status.get("currentHealthy") or 0) >= desired


def _take_one(budget: Json, pod_name: str, now: float) -> Decision:
    status = status_of(budget)
    name = name_of(budget)
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        return Decision(refusal=undecided(name))
    allowed = status.get("disruptionsAllowed") or 0
    if allowed < 0:
        return Decision(refusal=Forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative"))
    disrupted = status.get("disruptedPods") or {}
    if len(disrupted) > MAX_DISRUPTED_PODS:
        problem = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        return Decision(refusal=Forbidden("poddisruptionbudget", "policy", name, problem))
    if allowed == 0:
        return Decision(refusal=_refused(_why_not(budget)))
    paid = {
        **status,
        "disruptionsAllowed": allowed - 1,
        "disruptedPods": {**disrupted, pod_name: times.rfc3339(now)},
    }
    if allowed == 1:
        paid["conditions"] = with_condition(status.get("conditions"), allowed_condition(budget, 0, now))
    return Decision(budget={**budget, "status": paid})


def _why_not(budget: Json) -> str:
    status, name = status_of(budget), name_of(budget)
    condition = condition_of(budget, DISRUPTION_ALLOWED) or {}
    said = condition.get("message") if condition.get("status") == "False" else ""
    if said and condition.get("reason") == SYNC_FAILED:  # the numbers are not to be trusted then
        return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {said}"
    healthy, desired = status.get("currentHealthy") or 0, status.get("desiredHealthy") or 0
    if healthy <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    if said:
        return (
            f"The disruption budget {name} does not allow evicting pods currently ({condition.get('reason')}): {said}"
        )
    return f"The disruption budget {name} does not allow evicting pods currently"


def _refused(cause: str, retry_after: int = 0) -> TooManyRequests:
    return TooManyRequests(VIOLATION, retry_after, [{"reason": "DisruptionBudget", "message": cause}])

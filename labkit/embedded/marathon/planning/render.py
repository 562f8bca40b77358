"""Plans as ``/v2/deployments`` and the event stream show them (``raml/DeploymentPlanConversion.scala``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.embedded.marathon.planning.plans import DeploymentPlan, Step

Json = dict[str, Any]


def _step_json(step: Step) -> Json:
    return {"actions": [{"action": action.name, "app": action.app.id} for action in step.actions]}


def steps_json(plan: DeploymentPlan) -> list[Json]:
    return [_step_json(step) for step in plan.steps]


def plan_json(plan: DeploymentPlan) -> Json:
    """The *light* plan of events. The full one has ``original`` and ``target``, too."""
    return {"id": plan.id, "steps": steps_json(plan), "version": plan.version}


def step_info_json(plan: DeploymentPlan, current: int, readiness: Mapping[str, list[Json]] | None = None) -> Json:
    """An item of ``GET /v2/deployments``.

    ``current`` counts from 1; 0: no step has begun. ``readiness``: app id → results of its readiness checks.
    """
    results = readiness or {}
    actions = plan.steps[current - 1].actions if current else ()
    return {
        "id": plan.id,
        "version": plan.version,
        "affectedApps": list(plan.affected),
        "affectedPods": [],
        "steps": steps_json(plan),
        "currentActions": [
            {"action": action.name, "app": action.app.id, "readinessCheckResults": results.get(action.app.id, [])}
            for action in actions
        ],
        "currentStep": current,
        "totalSteps": len(plan.steps),
    }

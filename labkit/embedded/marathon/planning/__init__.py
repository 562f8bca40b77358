"""From one set of apps to another: what to do in which order, whom to kill, how many to start. Pure.

``plan`` gives the steps of a deployment between two root groups, ``revert`` the root group that undoes one,
``conflicts`` which deployments lock its apps; ``scaling`` and ``restarting`` do the arithmetic of single actions;
``render`` shows plans as the API and the event stream do.
"""

from __future__ import annotations

from labkit.embedded.marathon.planning.plans import Action, DeploymentPlan, Step, conflicts, plan
from labkit.embedded.marathon.planning.render import plan_json, step_info_json, steps_json
from labkit.embedded.marathon.planning.restarting import Replacement, RestartStrategy, restart_strategy, to_replace
from labkit.embedded.marathon.planning.reverting import revert
from labkit.embedded.marathon.planning.scaling import Proposition, kill_order, propose

__all__ = [
    "Action",
    "DeploymentPlan",
    "Proposition",
    "Replacement",
    "RestartStrategy",
    "Step",
    "conflicts",
    "kill_order",
    "plan",
    "plan_json",
    "propose",
    "restart_strategy",
    "revert",
    "step_info_json",
    "steps_json",
    "to_replace",
]

"""The guide: labs made of steps, checked against the state of a real cluster.

A lab is a notebook and a *checks* module beside it. The module holds one :class:`Lab`, data all through: steps with
what they need, a check, hints, a solution, sometimes a question or a prediction. In the notebook::

    from labkit.guide import open_lab

    lab = open_lab("swarm/02-services-and-tasks", swarm)
    lab.step("first-service")      # a panel that turns green by itself once the cluster is in the wanted state

The check looks at the cluster through the official client, never at what was typed: any way to get there counts.
"""

from labkit.guide.loader import find_labs, load_lab
from labkit.guide.opened import OpenLab, open_lab
from labkit.guide.progress import Progress
from labkit.guide.steps import Ask, Context, Hint, Lab, NotYet, Passed, Prediction, Recap, Step, Verdict

__all__ = [
    "Ask",
    "Context",
    "Hint",
    "Lab",
    "NotYet",
    "OpenLab",
    "Passed",
    "Prediction",
    "Progress",
    "Recap",
    "Step",
    "Verdict",
    "find_labs",
    "load_lab",
    "open_lab",
]

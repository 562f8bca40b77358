"""Whether an offer will do for the next instance of an app, and the task that is then launched on it. Pure.

``Offered.of(offer)`` reads an offer once; ``match`` decides and builds; the offer then has less left, for the next one.
``Statistics`` keeps what the launch queue shows of refused offers.
"""

from __future__ import annotations

from labkit.embedded.marathon.matching.context import Context
from labkit.embedded.marathon.matching.match import Match, NoMatch, match
from labkit.embedded.marathon.matching.offers import Offered
from labkit.embedded.marathon.matching.portassignments import PortAssignment, port_assignments
from labkit.embedded.marathon.matching.reasons import FUNNEL, first_reason
from labkit.embedded.marathon.matching.statistics import Statistics
from labkit.embedded.marathon.matching.tasks import build_task

__all__ = [
    "FUNNEL",
    "Context",
    "Match",
    "NoMatch",
    "Offered",
    "PortAssignment",
    "Statistics",
    "build_task",
    "first_reason",
    "match",
    "port_assignments",
]

"""What frameworks do not want to be offered for a while.

As ``RefusedOfferFilter`` of ``hierarchical.cpp``: whoever declines an agent's resources is not offered that agent again
until ``refuse_seconds`` are over, unless there is more to be had than what was refused.
"""

from __future__ import annotations

import math
from typing import Any

from labkit.embedded.mesos.resources import Resources

Json = dict[str, Any]

DEFAULT_REFUSE_SECONDS = 5.0
LONGEST = 31536000.0  # 365 days


def refuse_seconds(filters: Json | None) -> float:
    """How long, as the allocator understands it: what makes no sense is five seconds, and a year is the most."""
    if filters is None:
        return DEFAULT_REFUSE_SECONDS
    value = filters.get("refuse_seconds", DEFAULT_REFUSE_SECONDS)
    if not isinstance(value, int | float) or math.isnan(value) or value < 0:
        return DEFAULT_REFUSE_SECONDS
    return min(float(value), LONGEST)


class Filters:
    """The filters of one framework."""

    __slots__ = ("_by_agent",)

    def __init__(self) -> None:
        self._by_agent: dict[tuple[str, str], list[tuple[float, Resources]]] = {}  # (role, agent)

    def add(self, role: str, agent: str, refused: Resources, until: float) -> None:
        """Refuse what is no more than this, until then."""
        self._by_agent.setdefault((role, agent), []).append((until, refused))

    def refuses(self, role: str, agent: str, offered: Resources, now: float) -> bool:
        """Would it decline? What has run out is forgotten on the way."""
        found = self._by_agent.get((role, agent))
        if found is None:
            return False
        live = [item for item in found if item[0] > now]
        if len(live) != len(found):
            if not live:
                del self._by_agent[role, agent]
                return False
            self._by_agent[role, agent] = live
        return any(refused.contains(offered) for _, refused in live)

    def forget_role(self, role: str) -> None:
        """Refuse nothing in that role any more."""
        for key in [key for key in self._by_agent if key[0] == role]:
            del self._by_agent[key]

    def forget_agent(self, agent: str) -> None:
        """Refuse nothing of that agent any more."""
        for key in [key for key in self._by_agent if key[1] == agent]:
            del self._by_agent[key]

    def count(self, now: float) -> dict[str, int]:
        """How many are in force, by role."""
        counts: dict[str, int] = {}
        for (role, _), found in self._by_agent.items():
            counts[role] = counts.get(role, 0) + sum(until > now for until, _ in found)
        return counts

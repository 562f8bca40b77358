"""How long something takes or has been, as people read it: ``5s``, ``3m20s``, ``26h``, ``9d``.

``k8s.io/apimachinery/pkg/util/duration``: two or three significant figures, cut off, not rounded.
"""

from __future__ import annotations

from typing import Any

from labkit.embedded.kubernetes import times

UNKNOWN = "<unknown>"


def human(seconds: float) -> str:
    """A duration. Up to a second before now counts as now, for clocks differ; what is later is ``<invalid>``."""
    whole = int(seconds)  # towards zero, as Go's conversion does
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"


def since(moment: Any, now: float) -> str:
    """How long ago an RFC 3339 time was; ``<unknown>`` when there is none."""
    if not moment:
        return UNKNOWN
    try:
        return human(now - times.parse(moment))
    except (ValueError, TypeError):
        return UNKNOWN


def between(start: Any, end: Any) -> str:
    """How long it was from one RFC 3339 time to another."""
    try:
        return since(start, times.parse(end))
    except (ValueError, TypeError):
        return UNKNOWN

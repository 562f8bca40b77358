"""Go's ``time.Duration`` as text: what engines written in Go print and read."""

from __future__ import annotations

import re

MINUTE, HOUR = 60.0, 3600.0


def go_duration(seconds: float) -> str:
    """``1m30s``, ``500ms``: Go's ``time.Duration.String``."""
    if seconds < 0:
        return "-" + go_duration(-seconds)
    if seconds == 0:
        return "0s"
    for limit, unit in ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")):
        if seconds < limit:
            scale = {"ns": 1e9, "µs": 1e6, "ms": 1e3}[unit]
            return f"{round(seconds * scale, 6):g}{unit}"
    minutes, rest = divmod(seconds, MINUTE)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{round(rest, 9):.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail


_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": MINUTE, "h": HOUR}


def parse_duration(text: str) -> float | None:
    """Seconds of ``1m30s``, or None when it is not a Go duration."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text)
    parts = list(_DURATION_PART.finditer(body))
    if not parts or "".join(part.group(0) for part in parts) != body:
        return None
    return sign * sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)

"""How dockerd, a Go program, prints times, durations and identifiers."""

from __future__ import annotations

import re
import time

from labkit.embedded.runtime.durations import parse_duration
from labkit.embedded.swarm.errors import ApiError

ZERO_TIME = "0001-01-01T00:00:00Z"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def rfc3339nano(seconds: float) -> str:
    """``2026-11-22T15:23:38.909267375Z``; Go's zero time for 0. Trailing zeros go, as in ``time.RFC3339Nano``."""
    if not seconds:
        return ZERO_TIME
    whole, nanos = divmod(nanoseconds(seconds), 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    fraction = f"{nanos:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def rfc3339fixed(seconds: float) -> str:
    """Always nine digits of a second, as log lines have them so that they align."""
    whole, nanos = divmod(nanoseconds(seconds), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{nanos:09d}Z"


def nanoseconds(seconds: float) -> int:
    """An absolute time as Unix nanoseconds. A float of today's date is good to some 200 of them."""
    return int(seconds * 1e9)


def human_duration(seconds: float) -> str:
    """``About a minute``: the age that ``docker ps`` shows (go-units ``HumanDuration``)."""
    whole = int(max(seconds, 0))
    minutes = int(seconds // MINUTE)
    hours = int(seconds / HOUR + 0.5)
    steps: tuple[tuple[bool, str], ...] = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 14, f"{hours // 24} days"),
        (hours < 24 * 60, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    return next((text for fits, text in steps if fits), f"{int(seconds / DAY / 365)} years")


_STAMP = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:T(?P<clock>\d{2}(?::\d{2}(?::\d{2})?)?)(?P<fraction>\.\d+)?)?"
    r"(?P<zone>Z|[+-]\d{2}:\d{2})?$"
)


def parse_timestamp(text: str, now: float) -> float:
    """The moment that ``since`` and ``until`` name: Unix seconds, RFC 3339, or a duration before ``now``.

    Raises :class:`ApiError` 500 in the words in which dockerd passes on Go's complaint.
    """
    ago = parse_duration(text)
    if ago is not None:
        return now - ago
    match = _STAMP.match(text)
    if match:
        import calendar

        clock = (match["clock"] or "00") + ":00:00"
        when = calendar.timegm(time.strptime(f"{match['day']} {clock[:8]}", "%Y-%m-%d %H:%M:%S"))
        zone = match["zone"] or "Z"
        offset = 0
        if zone != "Z":
            offset = (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * (-1 if zone[0] == "-" else 1)
        return when - offset + float("0" + (match["fraction"] or ".0"))
    try:
        return float(text)
    except ValueError:
        raise ApiError(f'strconv.ParseInt: parsing "{text.split(".")[0]}": invalid syntax') from None


def short_id(identifier: str) -> str:
    """The first 12 hex digits, without ``sha256:``."""
    return identifier.partition(":")[2][:12] if ":" in identifier else identifier[:12]


def quoted(text: str) -> str:
    """Go's ``%q`` for the texts that appear in errors."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def boolean(value: str | None) -> bool:
    """dockerd's reading of a boolean query parameter: everything but these words is true."""
    return (value or "").strip().lower() not in ("", "0", "no", "false", "none")

"""Times as the API writes them: RFC 3339 in UTC, of seconds (``metav1.Time``) or microseconds (``MicroTime``)."""

from __future__ import annotations

from datetime import UTC, datetime
from time import gmtime, strftime

_SECONDS = 64  # that are kept: under load, what is written down is of several of them in turn
_texts: dict[int, str] = {}


def rfc3339(time: float) -> str:
    """``2026-11-22T18:37:38Z``; for a while the same second gives the same string object. Fractions are cut off."""
    second = int(time)
    text = _texts.get(second)
    if text is None:
        if len(_texts) >= _SECONDS:
            _texts.clear()
        text = _texts[second] = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(second))
    return text


def micro(time: float) -> str:
    """``2026-11-22T18:37:38.000123Z``: what leases and events carry."""
    second = int(time)
    return f"{rfc3339(second)[:-1]}.{int((time - second) * 1_000_000):06d}Z"


def parse(text: str) -> float:
    """Seconds since the epoch. Raises ValueError for what is no RFC 3339 time."""
    if len(text) < 20 or text[10] not in "Tt":
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    whole, dot, rest = text.partition(".")
    if dot:  # Go writes nine digits, Python reads at most six
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{whole}.{digits[:6]:<06}{rest[len(digits) :]}"
    moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": it has no zone')
    return moment.astimezone(UTC).timestamp()

"""Which events become one: counting, combining and dropping. Pure; ``k8s.io/client-go/tools/record/events_cache.go``.

1. Ten events that differ in their message only, within ten minutes, are combined from then on into one whose message
   begins with ``(combined from similar events): ``.
2. An event that was seen before is counted up instead of written anew.
3. A source may write 25 events about one object, and one more each five minutes; the rest is dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

COMBINED = "(combined from similar events): "
SIMILAR, SIMILAR_SECONDS = 10, 600.0
BURST, REFILL_SECONDS = 25, 300.0
REMEMBERED = 4096

V = TypeVar("V")


class _Recent(Generic[V]):
    """A dictionary of what was used last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Hashable, value: V) -> V:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
        return value


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    last: float


@dataclass(slots=True)
class Series:
    """One event object and how often it happened. ``name`` is "" until it has been written."""

    first: float
    count: int = 0
    name: str = ""


@dataclass(slots=True)
class _Tokens:
    left: float
    since: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be written: ``series.count`` is 1 for a new event, more for one to be counted up."""

    message: str
    series: Series
    count: int


class Correlator:
    """Remembers what a source has said lately."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._similar: _Recent[_Similar] = _Recent(limit)
        self._series: _Recent[Series] = _Recent(limit)
        self._tokens: _Recent[_Tokens] = _Recent(limit)

    def observe(self, about: Hashable, reason: Hashable, message: str, now: float) -> Seen | None:
        """Somebody says ``message`` about an object (``about``: all that identifies it). None: drop it.

        ``reason`` is type and reason, which tell events of different kinds apart.
        """
        alike = self._similar.get((about, reason))
        if alike is None or now - alike.last > SIMILAR_SECONDS:
            alike = self._similar.put((about, reason), _Similar(set(), now))
        alike.messages.add(message)
        alike.last = now
        if len(alike.messages) < SIMILAR:
            key: Hashable = (about, reason, message)
        else:
            # Any would do to keep the set from growing; the newest is what the real one keeps, too.
            alike.messages.discard(next(iter(alike.messages - {message}), ""))
            key, message = (about, reason, None), COMBINED + message
        series = self._series.get(key)
        if series is None:
            series = self._series.put(key, Series(now))
        series.count += 1
        return Seen(message, series, series.count) if self._allowed(about, now) else None

    def _allowed(self, about: Hashable, now: float) -> bool:
        tokens = self._tokens.get(about)
        if tokens is None:
            tokens = self._tokens.put(about, _Tokens(BURST, now))
        tokens.left = min(BURST, tokens.left + (now - tokens.since) / REFILL_SECONDS)
        tokens.since = now
        if tokens.left < 1:
            return False
        tokens.left -= 1
        return True

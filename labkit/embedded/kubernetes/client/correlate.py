"""Which events become one: counting, combining and dropping. Pure; ``k8s.io/client-go/tools/record/events_cache.go``.

1. Ten events that differ in their message only, within ten minutes, are combined from then on into one whose message
   begins with ``(combined from similar events): ``.
2. An event that was seen before is counted up instead of written anew.
3. A source may write 25 events about one object, and one more each five minutes; the rest is dropped.

What is remembered is filed by object, in as few Python objects as can be: there are some of them for every pod.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

COMBINED = "(combined from similar events): "
SIMILAR, SIMILAR_SECONDS = 10, 600.0
BURST, REFILL_SECONDS = 25, 300.0
REMEMBERED = 4096  # objects
MESSAGES = 32  # that are remembered of one reason about one object


@dataclass(slots=True)
class Series:
    """One event object and how often it happened. ``name`` is "" until it has been written."""

    first: float
    count: int = 0
    name: str = ""


class Seen(NamedTuple):
    """What is to be written: ``times`` is 1 for a new event, more for one to be counted up."""

    message: str
    series: Series
    times: int


class _Topic:
    """What was said about an object for one reason: mostly one thing, and so ``others`` and ``lately`` are None."""

    __slots__ = ("last", "lately", "message", "others", "series")

    def __init__(self, message: str, now: float) -> None:
        self.message: str | None = message
        self.series = Series(now)
        self.others: dict[str | None, Series] | None = None
        self.lately: set[str] | None = None  # the messages of the last ten minutes
        self.last = now

    def combines(self, message: str, now: float) -> bool:
        """Whether there have been so many different messages lately that they are one from now on."""
        silent, self.last = now - self.last > SIMILAR_SECONDS, now
        if self.lately is None:
            if message == self.message:
                return False
            self.lately = set() if silent or self.message is None else {self.message}
        elif silent:
            self.lately.clear()
        if len(self.lately) < SIMILAR:
            self.lately.add(message)
        return len(self.lately) >= SIMILAR

    def series_of(self, message: str | None, now: float) -> Series:
        """The event that says this; None stands for the one that is combined of many."""
        if message == self.message:
            return self.series
        if self.others is None:
            self.others = {}
        found = self.others.pop(message, None) or Series(now)
        self.others[message] = found
        if len(self.others) > MESSAGES:
            del self.others[next(iter(self.others))]
        return found


class _Object:
    """What was said about one object."""

    __slots__ = ("left", "since", "topics")

    def __init__(self, now: float) -> None:
        self.left: float = BURST
        self.since = now
        self.topics: dict[Hashable, _Topic] = {}

    def allows(self, now: float) -> bool:
        """Whether something more may be written about it."""
        self.left = min(BURST, self.left + (now - self.since) / REFILL_SECONDS)
        self.since = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Correlator:
    """Remembers what a source has said lately."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._objects: OrderedDict[Hashable, _Object] = OrderedDict()

    def observe(self, about: Hashable, reason: Hashable, message: str, now: float) -> Seen | None:
        """Somebody says ``message`` about an object (``about``: all that identifies it). None: drop it.

        ``reason`` is type and reason, which tell events of different kinds apart.
        """
        known = self._about(about, now)
        topic = known.topics.get(reason)
        if topic is None:
            topic = known.topics[reason] = _Topic(message, now)
        combined = topic.combines(message, now)
        series = topic.series_of(None if combined else message, now)
        series.count += 1
        if not known.allows(now):
            return None
        return Seen(COMBINED + message if combined else message, series, series.count)

    def _about(self, about: Hashable, now: float) -> _Object:
        known = self._objects.get(about)
        if known is None:
            known = self._objects[about] = _Object(now)
            if len(self._objects) > self._limit:
                self._objects.popitem(last=False)
        else:
            self._objects.move_to_end(about)
        return known

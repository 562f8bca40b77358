"""The event bus of Marathon: what happened, as the event stream of ``/v2/events`` tells it.

Names and fields are those of ``core/event/Events.scala`` and ``api/v2/json/Formats.scala`` (1.11), and of
``docs/docs/event-bus.md``. An event is a plain dict with ``eventType`` and ``timestamp``. Of those that carry a
deployment plan, the plan's ``original`` and ``target`` groups are only put in for whoever wants them, and rendered once
for all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from labkit.embedded.runtime.clock import Clock

log = logging.getLogger(__name__)

Json = dict[str, Any]
Groups = Callable[[], tuple[Json, Json]]  # the plan's original and target, rendered when they are wanted


def stamp(seconds: float) -> str:
    """A point in time as Marathon prints it: ``2026-01-31T12:00:00.123Z``."""
    whole = int(seconds)
    if whole != _second[0]:
        _second[0], _second[1] = whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
    return f"{_second[1]}{int((seconds - whole) * 1000):03d}Z"


_second: list[Any] = [-1, ""]  # the date part of the last stamp: thousands fall into the same second


def seconds(stamped: str) -> float:
    """What :func:`stamp` printed, in seconds since the epoch. Raises ValueError on what is no time."""
    return datetime.fromisoformat(stamped).timestamp()


class Event:
    """One event, encoded at most once for each form."""

    __slots__ = ("_full", "_groups", "_light", "body", "type")

    def __init__(self, body: Json, groups: Groups | None = None) -> None:
        self.body = body
        self.type: str = body["eventType"]
        self._groups = groups
        self._light: bytes | None = None
        self._full: bytes | None = None

    def light(self) -> bytes:
        """Its JSON, without the groups before and after a deployment."""
        if self._light is None:
            self._light = orjson.dumps(self.body)
        return self._light

    def full(self) -> bytes:
        """With the groups before and after in the plan, as Marathon sent it until 1.7."""
        if self._groups is None:
            return self.light()
        if self._full is None:
            original, target = self._groups()
            plan = {**self.body["plan"], "original": original, "target": target}
            self._full = orjson.dumps({**self.body, "plan": plan})
        return self._full


class EventBus:
    """Tells everybody who subscribed, in the order in which things happened."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._subscribers: list[Callable[[Event], object]] = []
        self.published = 0

    def subscribe(self, fn: Callable[[Event], object]) -> Callable[[], None]:
        """Have ``fn(event)`` called for each event from now on; returns what ends it."""
        self._subscribers.append(fn)
        return lambda: self._subscribers.remove(fn) if fn in self._subscribers else None

    def publish(self, kind: str, fields: Json, groups: Groups | None = None) -> None:
        """Send an event of that type. Costs next to nothing while nobody listens."""
        self.published += 1
        if not self._subscribers:
            return
        event = Event({**fields, "eventType": kind, "timestamp": stamp(self._clock.time())}, groups)
        for fn in tuple(self._subscribers):
            try:
                fn(event)
            except Exception:  # one listener must not take the others along
                log.exception("a listener of %s", kind)

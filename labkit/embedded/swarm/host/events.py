"""``docker events``: a bounded history and the subscribers of one host."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from labkit.embedded.swarm.objects import Json

from .wording import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.embedded.runtime.clock import Clock
    from labkit.embedded.swarm.api.request import Filters

HISTORY = 256  # moby's eventsLimit
_BACKLOG = 4096  # events a client may lag behind before it is cut off

FILTERS = frozenset(
    [
        "config",
        "container",
        "daemon",
        "event",
        "image",
        "label",
        "network",
        "node",
        "plugin",
        "scope",
        "secret",
        "service",
        "type",
        "volume",
    ]
)
_BY_NAME = ("daemon", "container", "plugin", "volume", "network", "service", "node", "secret", "config")
_WITH_ARGUMENT = frozenset(("health_status", "exec_create", "exec_start"))


class Event(NamedTuple):
    """One message. ``attributes`` belong to the event: they are never changed after."""

    time: float
    type: str
    action: str
    id: str
    attributes: Mapping[str, str]
    scope: str = "local"

    def json(self) -> Json:
        """As the API sends it. Containers and images also carry the fields of the API before 1.22."""
        old: Json = {}
        if self.type in ("container", "image"):
            old = {"status": self.action, "id": self.id}
            if self.type == "container" and self.attributes.get("image"):
                old["from"] = self.attributes["image"]
        return {
            **old,
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": dict(self.attributes)},
            "scope": self.scope,
            "time": int(self.time),
            "timeNano": nanoseconds(self.time),
        }


class TooSlow(Exception):
    """The subscriber fell too far behind; its stream ends."""


class Events:
    """The events of one Docker host."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._queues: set[asyncio.Queue[Event | None]] = set()

    def log(self, kind: str, action: str, identifier: str, attributes: Mapping[str, str], scope: str = "local") -> None:
        """Something happened now."""
        event = Event(self._clock.time(), kind, action, identifier, attributes, scope)
        self._history.append(event)
        for queue in self._queues:
            if queue.qsize() < _BACKLOG:
                queue.put_nowait(event)
            elif queue.qsize() == _BACKLOG:
                queue.put_nowait(None)

    def recorded(self, since: float | None, until: float | None) -> list[Event]:
        """What is still remembered of a period; without either bound nothing, as the real engine has it."""
        if since is None and until is None:
            return []
        return [
            event
            for event in self._history
            if (since is None or event.time >= since) and (until is None or event.time <= until)
        ]

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Event]]:
        """The events from now on, as an async iterator that ends with :class:`TooSlow` for one that does not read."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._queues.discard(queue)

    @property
    def listeners(self) -> int:
        """What ``docker info`` calls NEventsListener."""
        return len(self._queues)


async def _drain(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while True:
        event = await queue.get()
        if event is None:
            raise TooSlow
        yield event


def includes(filters: Filters, event: Event) -> bool:
    """Whether a client that asked with these filters gets this event (moby's ``events.Filter``)."""
    wanted = filters.get("event")
    if _WITH_ARGUMENT.intersection(wanted):  # "health_status" also means "health_status: healthy"
        if not filters.prefix("event", event.action):
            return False
    elif not filters.exact("event", event.action):
        return False
    name = event.attributes.get("name", "")
    return (
        filters.exact("type", event.type)
        and filters.exact("scope", event.scope)
        and all(filters.prefix(key, event.id) or filters.prefix(key, name) for key in _BY_NAME)
        and _image(filters, event)
        and filters.labels("label", event.attributes)
    )


def _image(filters: Filters, event: Event) -> bool:
    if "image" not in filters:
        return True
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    return any(filters.exact("image", text) for text in (event.id, name, _untagged(event.id), _untagged(name)))


def _untagged(reference: str) -> str:
    head, colon, tag = reference.partition("@")[0].rpartition(":")
    return head if colon and "/" not in tag else reference

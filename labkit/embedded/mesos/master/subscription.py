"""A scheduler's connection, as the master sees it: events go out, and either side may hang up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class Subscription:
    """Events for one scheduler. Until somebody is attached they wait."""

    __slots__ = ("_ended", "_event", "_gone", "_waiting", "open", "stream_id")

    def __init__(self, stream_id: str, gone: Callable[[Subscription], object]) -> None:
        """``gone`` is called when the client hangs up."""
        self.stream_id = stream_id
        self.open = True
        self._gone = gone
        self._waiting: list[Json] | None = []
        self._event: Callable[[Json], object] = lambda event: None
        self._ended: Callable[[], object] = lambda: None

    def attach(self, event: Callable[[Json], object], ended: Callable[[], object]) -> None:
        """Hand events on from now on, those that wait first; ``ended`` is called when the master hangs up."""
        self._event, self._ended = event, ended
        waiting, self._waiting = self._waiting, None
        for one in waiting or ():
            event(one)
        if not self.open:
            ended()

    def send(self, event: Json) -> None:
        """The master's side."""
        if not self.open:
            return
        if self._waiting is None:
            self._event(event)
        else:
            self._waiting.append(event)

    def close(self) -> None:
        """The master hangs up."""
        if self.open:
            self.open = False
            if self._waiting is None:
                self._ended()

    def hang_up(self) -> None:
        """The client has gone."""
        if self.open:
            self.open = False
            self._gone(self)

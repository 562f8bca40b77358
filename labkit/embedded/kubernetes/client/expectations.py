"""What a controller has asked for and has not yet seen come about, so that it does not ask twice.

An informer's cache is behind the store. A controller that has created three pods and looks at the cache at once would
create three more. So it notes what it expects, its handlers strike out what they see, and a key is not worked on before
all has been seen, or five minutes have gone by. ``pkg/controller/controller_utils.go``: ControllerExpectations, and
UIDTrackingControllerExpectations for deletions, which are told apart by the pods' keys: a pod may be seen to go twice.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from labkit.embedded.runtime.clock import Clock

TIMEOUT = 300.0


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[Hashable] = field(default_factory=set)


class Expectations:
    """What each key still waits for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[Hashable, _Expected] = {}

    def satisfied(self, key: Hashable) -> bool:
        """Whether everything has been seen, or was asked for too long ago to be waited for."""
        expected = self._of.get(key)
        if expected is None or (expected.creations <= 0 and not expected.deletions):
            return True
        return self._clock.time() - expected.since > TIMEOUT

    def expect(self, key: Hashable, *, creations: int = 0, deletions: Iterable[Hashable] = ()) -> None:
        """Expect this, and nothing else any more."""
        self._of[key] = _Expected(self._clock.time(), creations, set(deletions))

    def created(self, key: Hashable, count: int = 1) -> None:
        """One was seen (or ``count`` of them will never come)."""
        if (expected := self._of.get(key)) is not None:
            expected.creations -= count

    def deleted(self, key: Hashable, what: Hashable) -> None:
        """That one was seen to go (or will not)."""
        if (expected := self._of.get(key)) is not None:
            expected.deletions.discard(what)

    def forget(self, key: Hashable) -> None:
        """The key is gone."""
        self._of.pop(key, None)

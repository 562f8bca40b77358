"""The scheduling queue: who is next, who waits out a back-off, who waits for something to happen.

``pkg/scheduler/backend/queue``. A pod that was refused goes to the pool and comes back when something happens that may
help it (:mod:`~.requeue`), at the latest after five minutes; then it waits out the back-off for its number of failures,
1 s, 2 s, … 10 s, unless nobody else is waiting (``SchedulerPopFromBackoffQ``, since 1.33). What failed through no fault
of the pod's, say because the API server could not be reached, waits out its back-off in any case.

The most important are tried first, then who has waited longest, to the second: of those who came within one second,
alike ones go together, as that is how they are quickest decided on. (The real one goes by the nanosecond.)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from labkit.embedded.kubernetes.objects import Key
from labkit.embedded.kubernetes.scheduler.pods import PodInfo, Shape

INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_IN_POOL = 300.0

GATES = "SchedulingGates"

Place = Literal["", "active", "backoff", "errors", "pool", "gated"]


@dataclass(slots=True, eq=False)
class QueuedPod:
    pod: PodInfo
    since: float  # when it was last put into the queue
    place: Place = ""
    attempts: int = 0
    refusals: int = 0  # attempts that ended with no node for it
    errors: int = 0  # attempts in a row that ended with an error
    refused_by: frozenset[str] = frozenset()
    entry: object = None  # its place in a heap; another one there is out of date

    @property
    def backoff(self) -> float:
        """How long it has to wait after its last attempt."""
        failures = self.errors or self.refusals
        return min(INITIAL_BACKOFF * 2.0 ** min(failures - 1, 10), MAX_BACKOFF) if failures else 0.0


_Active = tuple[int, int, int, int, QueuedPod]
_Waiting = tuple[float, int, QueuedPod]
_Kind = tuple[Shape, frozenset[str]]


class SchedulingQueue:
    """``now`` tells the time. A pod is in at most one place; one that was popped is in none."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._pods: dict[Key, QueuedPod] = {}
        self._active: list[_Active] = []
        self._backoff: list[_Waiting] = []
        self._errors: list[_Waiting] = []
        self._pool: dict[_Kind, dict[Key, QueuedPod]] = {}  # alike pods that were refused alike
        self._number = 0
        self._second = 0
        self._firsts: dict[Shape, int] = {}  # of this second: shape → the number of the first that came
        self._counts: dict[Place, int] = {"active": 0, "backoff": 0, "errors": 0, "pool": 0, "gated": 0}

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, key: Key) -> bool:
        return key in self._pods

    def get(self, key: Key) -> QueuedPod | None:
        return self._pods.get(key)

    @property
    def waiting(self) -> int:
        """How many may be tried now."""
        return self._counts["active"] + self._counts["backoff"]

    def counts(self) -> dict[str, int]:
        """How many pods are where."""
        return {str(place): number for place, number in self._counts.items()}

    def __iter__(self) -> Iterator[QueuedPod]:
        return iter(list(self._pods.values()))

    # -- in and out

    def add(self, pod: PodInfo) -> QueuedPod:
        """A new pod, or one that has to be taken up afresh."""
        self.remove(pod.key)
        queued = QueuedPod(pod, self._now())
        self._pods[pod.key] = queued
        self._enter(queued)
        return queued

    def update(self, pod: PodInfo) -> bool:
        """The pod changed. True if it is ready to be tried because of that."""
        queued = self._pods.get(pod.key)
        if queued is None:
            self.add(pod)
            return True
        before, queued.pod = queued.pod, pod
        if before.shape is pod.shape:
            return False
        if queued.place in ("pool", "gated"):  # labels, tolerations, gates: whatever it was, it may help
            queued.pod = before
            self._leave(queued)
            queued.pod = pod
            self._ready(queued)
            return queued.place != "gated"
        return False

    def remove(self, key: Key) -> QueuedPod | None:
        queued = self._pods.pop(key, None)
        if queued is not None:
            self._leave(queued)
        return queued

    def pop(self) -> QueuedPod | None:
        """Who is to be tried now. None: nobody."""
        queued = self._pop_active() or self._pop_backoff()
        if queued is None:
            return None
        self._leave(queued)
        del self._pods[queued.pod.key]
        queued.attempts += 1
        return queued

    def _pop_active(self) -> QueuedPod | None:
        while self._active:
            entry = heapq.heappop(self._active)
            if entry[-1].entry is entry:
                return entry[-1]
        return None

    def _pop_backoff(self) -> QueuedPod | None:
        """Nobody else waits: no need to let a pod wait either that something happened for."""
        waiting = _first(self._backoff)
        return waiting[-1] if waiting is not None else None

    def refused(self, queued: QueuedPod, plugins: frozenset[str]) -> None:
        """A popped pod found no node; wait for something that these plug-ins care about."""
        queued.refused_by = plugins
        queued.refusals += 1
        queued.errors = 0
        queued.since = self._now()
        self._pods[queued.pod.key] = queued
        self._into_pool(queued)

    def hold(self, queued: QueuedPod) -> None:
        """A popped pod is not to be tried now: back to where it waited, as if it had not been popped."""
        queued.attempts -= 1
        self._pods[queued.pod.key] = queued
        self._into_pool(queued)

    def failed(self, queued: QueuedPod) -> None:
        """Something went wrong with a popped pod; try again after a while."""
        queued.errors += 1
        queued.since = self._now()
        self._pods[queued.pod.key] = queued
        self._into_backoff(queued, "errors")

    # -- time and events

    def activate(self, key: Key) -> None:
        """Have it tried at once, back-off or not."""
        queued = self._pods.get(key)
        if queued is not None and queued.place in ("pool", "backoff", "errors"):
            self._leave(queued)
            self._enter(queued)

    def move(self, worth: Callable[[Shape, frozenset[str]], bool]) -> bool:
        """Something happened: take those out of the pool for whom it is ``worth`` a try. True if there are any."""
        moved = False
        for kind in [kind for kind in self._pool if worth(*kind)]:
            for queued in list(self._pool[kind].values()):
                self._leave(queued)
                self._ready(queued)
                moved = True
        return moved

    def flush(self) -> bool:
        """Let those out whose back-off is over, and who have been in the pool for too long. True if there are any."""
        now = self._now()
        moved = False
        for heap in (self._backoff, self._errors):
            while (entry := _first(heap)) is not None and entry[0] <= now:
                self._leave(entry[-1])
                self._enter(entry[-1])
                moved = True
        for members in list(self._pool.values()):
            for queued in list(members.values()):
                if queued.since + MAX_IN_POOL > now:
                    break  # they are in the order in which they came
                self._leave(queued)
                self._ready(queued)
                moved = True
        return moved

    def due(self) -> float | None:
        """When :meth:`flush` will next have something to do."""
        times = [entry[0] for heap in (self._backoff, self._errors) if (entry := _first(heap)) is not None]
        times += [next(iter(members.values())).since + MAX_IN_POOL for members in self._pool.values()]
        return min(times, default=None)

    # -- places

    def _ready(self, queued: QueuedPod) -> None:
        if queued.since + queued.backoff > self._now():
            self._into_backoff(queued, "backoff")
        else:
            self._enter(queued)

    def _enter(self, queued: QueuedPod) -> None:
        if queued.pod.shape.gates:
            queued.refused_by = frozenset((GATES,))
            self._settle(queued, "gated")
            return
        queued.since = self._now()
        self._number += 1
        second = int(queued.since)
        if second != self._second:
            self._second, self._firsts = second, {}
        first = self._firsts.setdefault(queued.pod.shape, self._number)
        entry = (-queued.pod.shape.priority, second, first, self._number, queued)
        queued.entry = entry
        heapq.heappush(self._active, entry)
        self._settle(queued, "active")

    def _into_backoff(self, queued: QueuedPod, place: Literal["backoff", "errors"]) -> None:
        self._number += 1
        entry = (queued.since + queued.backoff, self._number, queued)
        queued.entry = entry
        heapq.heappush(self._backoff if place == "backoff" else self._errors, entry)
        self._settle(queued, place)

    def _into_pool(self, queued: QueuedPod) -> None:
        members = self._pool.setdefault((queued.pod.shape, queued.refused_by), {})
        members[queued.pod.key] = queued
        self._settle(queued, "pool")

    def _settle(self, queued: QueuedPod, place: Place) -> None:
        queued.place = place
        self._counts[place] += 1

    def _leave(self, queued: QueuedPod) -> None:
        if queued.place == "pool":
            kind = (queued.pod.shape, queued.refused_by)
            del self._pool[kind][queued.pod.key]
            if not self._pool[kind]:
                del self._pool[kind]
        if queued.place:
            self._counts[queued.place] -= 1
        queued.place = ""
        queued.entry = None


def _first(heap: list[_Waiting]) -> _Waiting | None:
    """The earliest that is still there."""
    while heap:
        if heap[0][-1].entry is heap[0]:
            return heap[0]
        heapq.heappop(heap)
    return None
